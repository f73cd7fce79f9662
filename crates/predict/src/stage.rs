use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hemex_artifacts::{
    ArtifactError, CaseRow, Cases, ClinicalRow, LabelShiftEstimate, PredictionCard, PredictionRow,
    PredictionStatus, Role, SplitRow, json, nifti, table,
};
use hemex_model::{CaseInput, parse_device};
use hemex_stage::{DrawKey, Progress, Request, log, warning};
use hemex_volume::{Geometry, Image, LabelMap, Lesion, inpaint};

use crate::config::LabelShift;
use crate::label_shift::estimate;
use crate::{Config, Doubt, Ensemble, Known, PredictError};

/// Runs the stage.
///
/// # Errors
/// If the model or the tables cannot be read, the cases were prepared in another way, the splits lack
/// the model's fold, or a prediction cannot be written. A case that cannot be read is no error.
pub fn run(config: &Config, request: &Request) -> anyhow::Result<()> {
    let folders: Vec<&Path> = request.inputs("model").iter().map(|m| m.path.as_path()).collect();
    let model = Ensemble::open(&folders, &parse_device(&request.device)?)?;
    let cases = Cases::open(request.input("cases")?)?;
    model.check_preparation(&cases.preparation)?;
    let units = match request.optional_input("splits")? {
        Some(splits) => evaluated_units(splits, &model)?,
        None => cases.rows.iter().map(|row| (row.case_id.clone(), Unit::whole())).collect(),
    };
    if model.has_calibration_cases() && model.conformal(config.passes).is_none() {
        let reason =
            if config.passes.mirrored { "mirrored = true" } else { "several models speak as one" };
        warning(format!("no sets of labels: they rest on one model's single passes, and {reason}"));
    }
    let output = request.output("predictions")?;
    let progress = Progress::new(units.len(), "cases");
    let rows_of = cases.rows.iter().map(|row| (row.case_id.as_str(), row)).collect();
    let clinical = cases.clinical()?;
    let predictor = Predictor {
        config,
        model: &model,
        cases: &cases,
        rows: rows_of,
        clinical,
        output,
        seed: request.seed,
        test_offset: 0.0,
    };
    let label_shift = predictor.label_shift(request.optional_input("splits")?)?;
    let test_offset = label_shift.map_or(0.0, |estimate| estimate.logit_offset);
    let predictor = Predictor { test_offset, ..predictor };
    let mut rows = Vec::with_capacity(units.len());
    let mut has_masks = false;
    for (case_id, unit) in &units {
        let predicted = predictor.predict(case_id, unit);
        let (row, mask) = predicted.map_err(|error| error.at_case(case_id))?;
        has_masks |= mask;
        rows.push(row);
        progress.add(1);
    }
    let count = |status| rows.iter().filter(|row| row.status == status).count();
    log(format_args!(
        "{} predicted, {} without hematoma, {} refused",
        count(PredictionStatus::Ok),
        count(PredictionStatus::NoLesion),
        count(PredictionStatus::Refused)
    ));
    table::write_rows(&output.join("predictions.csv"), &PredictionRow::COLUMNS, &rows)?;
    let card = PredictionCard {
        arm: model.card().arm.clone(),
        regime: model.card().regime,
        fold: model.card().fold,
        seed: model.card().seed,
        n_models: model.n_models(),
        mask_threshold: model.decision().mask_threshold,
        has_masks,
        label_shift,
    };
    json::write(&output.join("predictions.json"), &card)?;
    Ok(())
}

/// What is predicted of a case.
struct Unit {
    role: Role,
    /// Empty for all of them.
    slices: Vec<usize>,
}

impl Unit {
    /// A case that no split speaks of.
    fn whole() -> Self {
        Self { role: Role::Test, slices: Vec::new() }
    }
}

/// The unlabelled target cases of the model's fold.
fn target_cases(splits: &Path, model: &Ensemble) -> Result<BTreeSet<String>, PredictError> {
    let rows: Vec<SplitRow> = table::read_rows(&splits.join("splits.csv"))?;
    let fold = (model.card().regime, model.card().fold);
    let own = rows.into_iter().filter(|row| (row.regime, row.fold) == fold);
    Ok(own.filter(|row| row.role == Role::Target).map(|row| row.case_id).collect())
}

/// Test and validation units of the model's fold, with the slices where a unit is a slice; none is an
/// error.
fn evaluated_units(
    splits: &Path,
    model: &Ensemble,
) -> Result<BTreeMap<String, Unit>, PredictError> {
    let path = splits.join("splits.csv");
    let rows: Vec<SplitRow> = table::read_rows(&path)?;
    let card = model.card();
    let mut folds: Vec<usize> = model.folds().collect();
    folds.sort_unstable();
    folds.dedup();
    if folds.len() > 1 {
        return Err(PredictError::SeveralFolds { folds });
    }
    let own = rows.iter().filter(|row| (row.regime, row.fold) == (card.regime, card.fold));
    // Slices of one patient may have both roles: those that evaluate win, or the case has none.
    let tested: BTreeSet<&str> =
        own.clone().filter(|row| row.role == Role::Test).map(|row| row.case_id.as_str()).collect();
    let mut units: BTreeMap<String, Unit> = BTreeMap::new();
    for row in own {
        let is_tested = tested.contains(row.case_id.as_str());
        let wanted = if is_tested { Role::Test } else { Role::Val };
        if row.role == wanted {
            let unit = Unit { role: row.role, slices: Vec::new() };
            units.entry(row.case_id.clone()).or_insert(unit).slices.extend(row.slice_idx);
        }
    }
    if units.is_empty() {
        return Err(PredictError::NoUnits { path, regime: card.regime, fold: card.fold });
    }
    Ok(units)
}

/// A case as it is read.
struct Input {
    /// HU, canonical grid.
    image: Image,
    /// 1 within the brain, on that grid.
    brain: LabelMap,
    /// Normalised, as the network sees it.
    network: CaseInput,
    /// The same head without its hematoma, in HU and as the network sees it.
    twin: Option<(Image, CaseInput)>,
    /// The grid of the scan as it came.
    native: Geometry,
}

struct Predictor<'a> {
    config: &'a Config,
    model: &'a Ensemble,
    cases: &'a Cases,
    rows: BTreeMap<&'a str, &'a CaseRow>,
    clinical: BTreeMap<String, ClinicalRow>,
    output: &'a Path,
    seed: u64,
    /// Added to the logits of test cases.
    test_offset: f64,
}

impl Predictor<'_> {
    /// How frequent growth is among test cases, by the unlabelled target cases of the fold; without splits every case
    /// is one. `None` if it is taken to be as frequent as in training.
    fn label_shift(
        &self,
        splits: Option<&Path>,
    ) -> Result<Option<LabelShiftEstimate>, PredictError> {
        if self.config.label_shift == LabelShift::None {
            return Ok(None);
        }
        let targets: BTreeSet<String> = match splits {
            Some(splits) => target_cases(splits, self.model)?,
            None => self.cases.rows.iter().map(|row| row.case_id.clone()).collect(),
        };
        if self.model.n_models() > 1 {
            let reason = "several models that speak as one have no prior in common".to_owned();
            return Err(PredictError::LabelShift { reason });
        }
        let (mut logits, mut n_unread) = (Vec::new(), 0);
        for case_id in &targets {
            // A target case that cannot be read says nothing; if it is a test case too, its row says why.
            let (Ok(read), Some(case)) =
                (self.input(case_id, false), self.rows.get(case_id.as_str()))
            else {
                n_unread += 1;
                continue;
            };
            let known = self.known(&read.image, case);
            let verdict = self.model.read(&read.network, self.config.passes, known);
            logits.extend(verdict.map_err(|error| error.at_case(case_id))?.logit);
        }
        if n_unread > 0 {
            warning(format!("{n_unread} of {} target cases cannot be read", targets.len()));
        }
        let estimate = estimate(self.config.label_shift, self.model.card(), &logits)?;
        if let Some(estimate) = &estimate {
            log(format_args!(
                "growth among {} target cases: {:.1} %{}, {:.1} % in training",
                estimate.n_target,
                100.0 * estimate.target_share,
                interval_in_percent(estimate.target_share_ci95),
                100.0 * estimate.training_share
            ));
        }
        Ok(estimate)
    }

    /// The row of a case, and whether a mask was written. A case that cannot be read is refused; a mask
    /// that cannot be written stops the stage.
    fn predict(
        &self,
        case_id: &str,
        Unit { role, slices }: &Unit,
    ) -> Result<(PredictionRow, bool), PredictError> {
        // Some slices of a case are no head.
        let is_asked = |roles: &[Role]| slices.is_empty() && roles.contains(role);
        let has_twin = is_asked(&self.config.twin_roles);
        let Input { image, brain, network: input, twin, native } =
            match self.input(case_id, has_twin) {
                Ok(read) => read,
                Err(reason) => return Ok((refused(case_id, reason), false)),
            };
        let Some(case) = self.rows.get(case_id) else {
            return Ok((refused(case_id, "it has no row in cases.csv".to_owned()), false));
        };
        if self.model.reads_whole_cases() && !slices.is_empty() {
            let reason =
                "the model tells growth from a whole hematoma, and some slices are asked for";
            return Ok((refused(case_id, reason.to_owned()), false));
        }
        let part = if slices.is_empty() { input } else { input.keep_slices(slices) };
        let verdict = self.model.read(&part, self.config.passes, self.known(&image, case))?;
        let twin_logit = match &twin {
            Some((twin, input)) => {
                self.model.twin_logit(input, self.config.passes, self.known(twin, case))?
            }
            None => None,
        };
        // A promise over whole cases.
        let conformal = self.model.conformal(self.config.passes).filter(|_| slices.is_empty());
        let p_values = conformal.zip(verdict.logit).map(|(conformal, z)| conformal.p_values(z));
        let found = verdict.reading.mask.as_ref();
        let inpainted_logit = match found.filter(|_| is_asked(&self.config.inpainted_roles)) {
            Some(mask) => self.inpainted_logit(&image, &brain, mask, case)?,
            None => None,
        };
        if is_asked(&self.config.saliency_roles) {
            self.write_saliency(case_id, &part)?;
        }
        let offset = if *role == Role::Test { self.test_offset } else { 0.0 };
        let logit = verdict.logit.map(|logit| logit + offset);
        let doubt = Doubt::of(verdict.model_logits.iter().map(|logit| logit + offset));
        // Some slices of a case give no volume and no mask of it.
        let is_whole = |_: &LabelMap| slices.is_empty();
        let mask = verdict.reading.mask.filter(is_whole);
        let followup = verdict.reading.followup_mask.filter(is_whole);
        let write =
            |folder, mask: &LabelMap| self.write_mask(folder, case_id, &mask.resample(&native));
        let volume_ml = mask.as_ref().map(|mask| write("masks", mask)).transpose()?;
        let predicted_followup_ml =
            followup.map(|mask| write("followup_masks", &mask)).transpose()?;
        let row = PredictionRow {
            case_id: case_id.to_owned(),
            status: logit.map_or(PredictionStatus::NoLesion, |_| PredictionStatus::Ok),
            reason: None,
            probability: logit.map(|z| 1.0 / (1.0 + (-z).exp())),
            logit,
            volume_ml,
            uncertainty: verdict.uncertainty,
            twin_logit,
            p_value_stable: p_values.map(|[stable, _]| stable),
            p_value_growth: p_values.map(|[_, growth]| growth),
            inpainted_logit,
            entropy_nats: doubt.map(|doubt| doubt.entropy_nats),
            mutual_information_nats: doubt.and_then(|doubt| doubt.mutual_information_nats),
            predicted_followup_ml,
        };
        Ok((row, mask.is_some()))
    }

    fn known<'b>(&'b self, image: &'b Image, case: &'b CaseRow) -> Known<'b> {
        Known { image, case, clinical: self.clinical.get(&case.case_id) }
    }

    /// What is read of the case, or why it is refused. The reason names no folder: the predictions go on to others.
    fn input(&self, case_id: &str, with_twin: bool) -> Result<Input, String> {
        let of = |what: &'static str| {
            move |error: ArtifactError| format!("{what}: {}", error.without_path())
        };
        let image = self.cases.image(case_id).map_err(of("image"))?;
        let brain = self.cases.brain(case_id).map_err(of("brain mask"))?;
        let native = self.cases.native_geometry(case_id).map_err(of("native geometry"))?;
        let of_network = |image: &Image| CaseInput::new(image, &brain, self.model.input());
        let twin = match with_twin {
            true => self.cases.twin(case_id).map_err(of("lesion-free twin"))?,
            false => None,
        };
        let twin = twin.map(|twin| {
            let input = of_network(&twin);
            (twin, input)
        });
        Ok(Input { network: of_network(&image), image, brain, twin, native })
    }

    /// The logit of growth of the head with this hematoma filled in; `None` without one, or without any brain around it.
    fn inpainted_logit(
        &self,
        image: &Image,
        brain: &LabelMap,
        mask: &LabelMap,
        case: &CaseRow,
    ) -> Result<Option<f64>, PredictError> {
        let lesion = mask.mask(&[Lesion::Intraparenchymal as u8]);
        if !lesion.contains(&true) {
            return Ok(None);
        }
        let is_brain: Vec<bool> = brain.voxels().iter().map(|label| *label > 0).collect();
        let margin_mm = self.config.inpainted_margin_mm;
        let rng = &mut DrawKey::new(self.seed, "predict.inpaint").case(&case.case_id).rng();
        let filled = inpaint(image, &lesion, &is_brain, margin_mm, rng);
        let Some(filled) = filled.map_err(PredictError::Grid)? else { return Ok(None) };
        let input = CaseInput::new(&filled, brain, self.model.input());
        self.model.twin_logit(&input, self.config.passes, self.known(&filled, case))
    }

    /// Writes what each voxel has to do with the logit, on the canonical grid; nothing where no network's own logit
    /// counts.
    fn write_saliency(&self, case_id: &str, input: &CaseInput) -> Result<(), PredictError> {
        let Some(map) = self.model.saliency(input, self.config.passes)? else { return Ok(()) };
        let map = Image::new(*input.geometry(), map).map_err(PredictError::Grid)?;
        let folder = self.folder("saliency")?;
        Ok(nifti::write_image(&folder.join(format!("{case_id}.nii.gz")), &map)?)
    }

    /// A folder of the output, made if need be.
    fn folder(&self, name: &str) -> Result<PathBuf, PredictError> {
        let folder = self.output.join(name);
        std::fs::create_dir_all(&folder)
            .map_err(|source| ArtifactError::Io { path: folder.clone(), source })?;
        Ok(folder)
    }

    /// Writes a mask, on the grid of the scan as it came, into a folder of the output; gives its volume there, mL. A
    /// failure is not the case's: the disk is full, for instance.
    fn write_mask(
        &self,
        folder: &str,
        case_id: &str,
        mask: &LabelMap,
    ) -> Result<f64, PredictError> {
        let folder = self.folder(folder)?;
        nifti::write_label_map(&folder.join(format!("{case_id}.nii.gz")), mask)?;
        Ok(mask.volume_ml(&[Lesion::Intraparenchymal as u8]))
    }
}

/// ` (low to high)`, or nothing.
fn interval_in_percent(interval: Option<[f64; 2]>) -> String {
    interval.map_or_else(String::new, |[low, high]| {
        format!(" ({:.1} to {:.1})", 100.0 * low, 100.0 * high)
    })
}

fn refused(case_id: &str, reason: String) -> PredictionRow {
    PredictionRow {
        case_id: case_id.to_owned(),
        status: PredictionStatus::Refused,
        reason: Some(reason),
        probability: None,
        logit: None,
        volume_ml: None,
        uncertainty: None,
        twin_logit: None,
        p_value_stable: None,
        p_value_growth: None,
        inpainted_logit: None,
        entropy_nats: None,
        mutual_information_nats: None,
        predicted_followup_ml: None,
    }
}
