use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hemex_artifacts::{
    CaseRow, Cases, ClinicalRow, LabelRow, Preparation, Regime, Role, SignRow, SplitRow,
    clinical_feature, nifti, table,
};
use hemex_augment::{CaseView, Donor, OpenVoxels, TransplantPolicy};
use hemex_model::{CaseInput, Dims, Extent, NetworkSpec};
use hemex_stage::Request;
use hemex_volume::{Image, LabelMap, Lesion};
use rayon::prelude::*;

use crate::conformal::{CalibrationCases, CalibrationWeights};
use crate::followup::check_followed;
use crate::signs::{Readings, check_read, readings};
use crate::{DrawnCase, TrainError};

mod followup;
mod unlabelled;
mod weights;

pub(crate) use unlabelled::{TargetCase, Unlabelled};
pub(crate) use weights::read_weights;

use unlabelled::brain_by_slice;
use weights::weights_of_training;

/// Set in a voxel's label where it lies in the brain, so that lesion and brain are warped as one map.
pub(crate) const BRAIN: u8 = 0x80;

/// Set in a voxel's label where the hematoma lies at follow-up, so that this is warped with them too.
pub(crate) const FOLLOWUP: u8 = 0x40;

/// What is left of a label is that of the lesion mask.
const LESION: u8 = !(BRAIN | FOLLOWUP);

/// The cases of one fold.
pub(crate) struct Cohort {
    pub(crate) preparation: Preparation,
    pub(crate) train: Vec<TrainCase>,
    /// Sites of the cases that train.
    pub(crate) n_sites: usize,
    /// Hematomas of the cases that train, and of no other.
    pub(crate) donors: Vec<Donor>,
    pub(crate) val: Vec<ValCase>,
    pub(crate) calibration: CalibrationCases,
    /// Unlabelled cases of the target domain; none where none are asked for.
    pub(crate) target: Vec<TargetCase>,
}

/// What the tables say of a patient.
#[derive(Debug, Clone)]
pub(crate) struct Clinical {
    pub(crate) case: CaseRow,
    pub(crate) clinical: Option<ClinicalRow>,
}

impl Clinical {
    /// A feature by name; `None` where it is not known.
    pub(crate) fn feature(&self, name: &str) -> Option<f64> {
        clinical_feature(name, &self.case, self.clinical.as_ref())
    }
}

/// A case that trains.
pub(crate) struct TrainCase {
    pub(crate) case_id: String,
    pub(crate) growth: bool,
    /// Domain-shift weight, 1 without any.
    pub(crate) weight: f64,
    /// Index of its site among those of the training cases.
    pub(crate) site: usize,
    pub(crate) clinical: Clinical,
    /// Of the signs that the network tells.
    pub(crate) signs: Readings,
    pub(crate) image: Image,
    /// Lesion labels, [`BRAIN`] set within the brain, and [`FOLLOWUP`] where the hematoma lies at follow-up, if that is
    /// known.
    pub(crate) labels: LabelMap,
    /// Whether it is, and the network tells it.
    pub(crate) is_followed: bool,
    /// Where windows lie.
    pub(crate) extent: Extent,
    /// Voxels of the hematoma and of the brain (a list each slice), within the slices that train.
    pub(crate) lesion: Vec<u32>,
    pub(crate) brain: Vec<Vec<u32>>,
    /// Where hematomas are planted: what it takes for that.
    pub(crate) ground: Option<Ground>,
}

/// A training case as one that takes hematomas of others and gives its own.
pub(crate) struct Ground {
    pub(crate) patient_id: String,
    /// At baseline and at follow-up.
    pub(crate) volumes_ml: [Option<f64>; 2],
    pub(crate) lesion: LabelMap,
    pub(crate) brain: LabelMap,
    pub(crate) open: OpenVoxels,
}

impl Ground {
    pub(crate) fn view<'a>(&'a self, case_id: &'a str, image: &'a Image) -> CaseView<'a> {
        CaseView {
            case_id,
            patient_id: &self.patient_id,
            image,
            labels: &self.lesion,
            brain: &self.brain,
            volumes_ml: self.volumes_ml,
        }
    }
}

impl TrainCase {
    /// What the sampler needs of it.
    pub(crate) fn drawn(&self) -> DrawnCase<'_> {
        DrawnCase { growth: self.growth, weight: self.weight, site: &self.clinical.case.site }
    }

    /// Its hematoma, where hematomas are planted and it can be cut.
    fn donor(&self) -> Result<Option<Donor>, TrainError> {
        let Some(ground) = &self.ground else {
            return Ok(None);
        };
        Donor::cut(&ground.view(&self.case_id, &self.image))
            .map_err(|source| TrainError::Augment { case_id: self.case_id.clone(), source })
    }
}

/// A case that chooses the checkpoint.
pub(crate) struct ValCase {
    pub(crate) case_id: String,
    pub(crate) growth: bool,
    pub(crate) clinical: Clinical,
    /// HU, every slice.
    pub(crate) image: Image,
    pub(crate) input: CaseInput,
    /// The hematoma on the input's grid.
    pub(crate) mask: LabelMap,
}

/// What is asked of a fold.
pub(crate) struct Fold<'a> {
    pub(crate) regime: Regime,
    pub(crate) fold: usize,
    pub(crate) spec: &'a NetworkSpec,
    pub(crate) shift_weights: bool,
    /// Whether calibration cases count by those weights.
    pub(crate) weighs_calibration: bool,
    /// Whether target cases are read.
    pub(crate) targets: bool,
    pub(crate) transplant: &'a TransplantPolicy,
}

impl Cohort {
    /// Reads every training and validation case of the fold into memory, and the target cases if they are asked for.
    pub(crate) fn read(request: &Request, fold: &Fold<'_>) -> anyhow::Result<Self> {
        let cases = Cases::open(request.input("cases")?)?;
        let labels_folder = request.input("labels")?;
        let labels = by_case(table::read_rows(&labels_folder.join("labels.csv"))?);
        let splits = table::read_rows::<SplitRow>(&request.input("splits")?.join("splits.csv"))?;
        let clinical = cases.clinical()?;
        let signs = match fold.spec.signs() {
            [] => BTreeMap::new(),
            _ => cases.signs()?,
        };
        let reader = Reader {
            cases: &cases,
            clinical: &clinical,
            signs: &signs,
            labels_folder,
            labels: &labels,
            fold,
        };
        let units = |role| units(&splits, fold, role);
        let (train, val) = (units(Role::Train), units(Role::Val));
        let calibration = CalibrationWeights::read(request, fold, units(Role::Calibration))?;
        let (regime, of_fold) = (fold.regime.name(), fold.fold);
        if train.is_empty() {
            return Err(TrainError::EmptyFold { regime, fold: of_fold }.into());
        }
        if val.is_empty() {
            return Err(TrainError::NoValidation { regime, fold: of_fold }.into());
        }
        let weights = weights_of_training(request, fold, &train)?;
        let slices_only = train.values().chain(val.values()).any(|slices| !slices.is_empty());
        if slices_only && fold.spec.dims() == Dims::Volumes {
            return Err(TrainError::SlicesForVolumes.into());
        }
        if slices_only && fold.transplant.is_on() {
            return Err(TrainError::SlicesForTransplants.into());
        }
        let train: Vec<_> = train.into_iter().collect();
        let val: Vec<_> = val.into_iter().collect();
        let train = train.par_iter().map(|(id, slices)| {
            let weight = weights.get(id).copied().unwrap_or(1.0);
            reader.train_case(id, slices, weight)
        });
        let mut train = train.collect::<Result<Vec<TrainCase>, TrainError>>()?;
        check_read(&train, fold.spec.signs())?;
        check_followed(&train, fold.spec)?;
        let n_sites = number_sites(&mut train);
        let donors = train.par_iter().filter_map(|case| case.donor().transpose());
        let donors = donors.collect::<Result<_, TrainError>>()?;
        let val = val.par_iter().map(|(id, slices)| reader.val_case(id, slices));
        let val = val.collect::<Result<_, TrainError>>()?;
        let calibration = calibration.cases(|id| reader.val_case(id, &BTreeSet::new()))?;
        let target = match fold.targets {
            true => reader.targets(units(Role::Target))?,
            false => Vec::new(),
        };
        let preparation = cases.preparation.clone();
        Ok(Self { preparation, train, n_sites, donors, val, calibration, target })
    }
}

/// Gives each case the index of its site, in the order of their names; says how many there are.
fn number_sites(cases: &mut [TrainCase]) -> usize {
    let names: BTreeSet<String> =
        cases.iter().map(|case| case.clinical.case.site.clone()).collect();
    for case in cases.iter_mut() {
        let place = names.iter().position(|name| *name == case.clinical.case.site);
        case.site = place.unwrap_or_default();
    }
    names.len()
}

fn by_case(rows: Vec<LabelRow>) -> BTreeMap<String, LabelRow> {
    rows.into_iter().map(|row| (row.case_id.clone(), row)).collect()
}

/// Cases of a role with their slices; no slice named means the whole case.
fn units(splits: &[SplitRow], fold: &Fold<'_>, role: Role) -> BTreeMap<String, BTreeSet<usize>> {
    let mut units: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for row in splits {
        if (row.regime, row.fold, row.role) == (fold.regime, fold.fold, role) {
            units.entry(row.case_id.clone()).or_default().extend(row.slice_idx);
        }
    }
    units
}

struct Reader<'a> {
    cases: &'a Cases,
    clinical: &'a BTreeMap<String, ClinicalRow>,
    signs: &'a BTreeMap<String, SignRow>,
    labels_folder: &'a Path,
    labels: &'a BTreeMap<String, LabelRow>,
    fold: &'a Fold<'a>,
}

impl Reader<'_> {
    fn train_case(
        &self,
        case_id: &str,
        slices: &BTreeSet<usize>,
        weight: f64,
    ) -> Result<TrainCase, TrainError> {
        let (growth, image, mut labels) = self.read(case_id)?;
        let brain = self.cases.brain(case_id)?;
        let extent = self.fold.spec.input().extent(&brain);
        for (label, brain) in labels.voxels_mut().iter_mut().zip(brain.voxels()) {
            *label |= if *brain > 0 { BRAIN } else { 0 };
        }
        let is_followed = self.mark_followup(case_id, &mut labels)?;
        let [_, h, w] = labels.geometry().shape();
        let trains = |at: usize| slices.is_empty() || slices.contains(&(at / (h * w)));
        let lesion = labels.voxels().iter().enumerate();
        let lesion = lesion.filter(|(at, label)| is_lesion(**label) && trains(*at));
        let lesion = lesion.map(|(at, _)| at as u32).collect();
        let brain = brain_by_slice(case_id, &labels, slices)?;
        let ground = match self.fold.transplant.is_on() {
            true => Some(self.ground(case_id, &image, &labels)?),
            false => None,
        };
        let clinical = self.clinical(case_id)?;
        let signs = readings(self.signs.get(case_id), self.fold.spec.signs());
        let case_id = case_id.to_owned();
        Ok(TrainCase {
            case_id,
            growth,
            weight,
            // Known once all cases are.
            site: 0,
            clinical,
            signs,
            image,
            labels,
            is_followed,
            extent,
            lesion,
            brain,
            ground,
        })
    }

    /// What planting into a case takes.
    fn ground(
        &self,
        case_id: &str,
        image: &Image,
        labels: &LabelMap,
    ) -> Result<Ground, TrainError> {
        let problem = |problem: &str| TrainError::Case {
            case_id: case_id.to_owned(),
            problem: problem.to_owned(),
        };
        let row = self.cases.rows.iter().find(|row| row.case_id == case_id);
        let row = row.ok_or_else(|| problem("it has no row in cases.csv"))?;
        let label = self.labels.get(case_id);
        let label = label.ok_or_else(|| problem("it has no row in labels.csv"))?;
        let (mut lesion, mut brain) = (labels.clone(), labels.clone());
        lesion.voxels_mut().iter_mut().for_each(|label| *label &= LESION);
        brain.voxels_mut().iter_mut().for_each(|label| *label &= BRAIN);
        let view = CaseView {
            case_id,
            patient_id: &row.patient_id,
            image,
            labels: &lesion,
            brain: &brain,
            volumes_ml: [label.baseline_volume_ml, label.followup_volume_ml],
        };
        let (patient_id, volumes_ml) = (row.patient_id.clone(), view.volumes_ml);
        let open = self.fold.transplant.open_voxels(&view);
        let open =
            open.map_err(|source| TrainError::Augment { case_id: case_id.to_owned(), source })?;
        Ok(Ground { patient_id, volumes_ml, lesion, brain, open })
    }

    fn val_case(&self, case_id: &str, slices: &BTreeSet<usize>) -> Result<ValCase, TrainError> {
        let (growth, image, labels) = self.read(case_id)?;
        let brain = self.cases.brain(case_id)?;
        let mut input = CaseInput::new(&image, &brain, self.fold.spec.input());
        let [_, h, w] = labels.geometry().shape();
        let mut mask: Vec<u8> = labels.voxels().iter().map(|v| u8::from(is_lesion(*v))).collect();
        if !slices.is_empty() {
            let slices: Vec<usize> = slices.iter().copied().collect();
            input = input.keep_slices(&slices);
            mask = slices
                .iter()
                .flat_map(|d| mask[d * h * w..(d + 1) * h * w].iter().copied())
                .collect();
        }
        let mask = LabelMap::new(*input.geometry(), mask).map_err(|e| TrainError::Case {
            case_id: case_id.to_owned(),
            problem: format!("its slices and its mask differ: {e}"),
        })?;
        let clinical = self.clinical(case_id)?;
        Ok(ValCase { case_id: case_id.to_owned(), growth, clinical, image, input, mask })
    }

    fn clinical(&self, case_id: &str) -> Result<Clinical, TrainError> {
        let case = self.cases.rows.iter().find(|row| row.case_id == case_id);
        let case = case.cloned().ok_or_else(|| TrainError::Case {
            case_id: case_id.to_owned(),
            problem: "it has no row in cases.csv".to_owned(),
        })?;
        Ok(Clinical { case, clinical: self.clinical.get(case_id).cloned() })
    }

    /// Growth, image and lesion labels.
    fn read(&self, case_id: &str) -> Result<(bool, Image, LabelMap), TrainError> {
        let problem = |problem: &str| TrainError::Case {
            case_id: case_id.to_owned(),
            problem: problem.to_owned(),
        };
        let row = self.labels.get(case_id).ok_or_else(|| problem("it has no row in labels.csv"))?;
        let growth = row.growth.ok_or_else(|| problem("its growth label is undefined"))?;
        let mask = row.mask.as_ref().ok_or_else(|| problem("it has no reference mask"))?;
        let image = self.cases.image(case_id)?;
        let labels = nifti::read_label_map(&self.labels_folder.join(mask))?;
        if !labels.geometry().is_same_grid(image.geometry()) {
            return Err(problem("its mask and its image are on different grids"));
        }
        Ok((growth, image, labels))
    }
}

/// Whether a label, whatever else is set in it, is the hematoma that is segmented.
pub(crate) fn is_lesion(label: u8) -> bool {
    label & LESION == Lesion::Intraparenchymal as u8
}

/// Whether the hematoma lies there at follow-up.
pub(crate) fn is_lesion_at_followup(label: u8) -> bool {
    label & FOLLOWUP > 0
}

#[cfg(test)]
pub(crate) mod tests;
