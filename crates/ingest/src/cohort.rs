//! The stage: every case of a dataset, then the tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hemex_artifacts::{
    ArtifactError, CaseRow, ClinicalRow, DescriptorRow, ExclusionRow, FollowupSummary, LabelRow,
    LabelSummary, LesionRow, Preparation, SignRow, SplitRow, json, table,
};
use hemex_stage::{Progress, Request, log, warning};
use rayon::prelude::*;

use crate::case::{self, Done, Folders, Outcome, Tools};
use crate::dicom::worker::Workers;
use crate::followup::Left;
use crate::layout::{self, Given};
use crate::private::{MappingRow, SeriesRow, SliceRow};
use crate::pseudonym::{NamedSource, named};
use crate::splits::{Unit, split};
use crate::truth::{self, Truth};
use crate::{Config, FollowupMasks, IngestError};

/// Version of the preparation's algorithm: a model is applied only to cases of its own version.
const PREPARATION_VERSION: &str = "2";

/// Reasons named one by one in the log; the table has them all.
const MOST_LOGGED: usize = 20;

/// The folders of the declared outputs.
struct Outputs {
    cases: PathBuf,
    labels: Option<PathBuf>,
    splits: Option<PathBuf>,
    private: Option<PathBuf>,
}

/// Runs the stage.
///
/// # Errors
/// If the dataset cannot be listed, no case can be used, a fold has nothing to train on, or an output
/// cannot be written.
pub fn run(config: &Config, request: &Request) -> anyhow::Result<()> {
    run_with(config, request, &std::env::current_exe()?)
}

/// Runs the stage with another program, `hemex-ingest` too, to read DICOM in.
///
/// # Errors
/// As [`run`].
pub fn run_with(config: &Config, request: &Request, program: &Path) -> anyhow::Result<()> {
    let root = request.input("raw")?;
    let declared = |name: &str| request.outputs.get(name).map(|output| output.path.clone());
    let outputs = Outputs {
        cases: request.output("cases")?.to_owned(),
        labels: declared("labels"),
        splits: declared("splits"),
        private: declared("private"),
    };
    let (layout, sources) = layout::discover(root, config.layout)?;
    let truth = truth::read(root)?;
    let given = layout::given_splits(root, &sources)?;
    let sources = named(sources, request.seed)?;
    log(format_args!("layout `{layout}`, {} cases", sources.len()));

    let n_threads = rayon::current_num_threads();
    // Few cases: the threads that are left work within them.
    let workers = Workers::new(program, (n_threads / sources.len().max(1)).max(1));
    let has_twins =
        sources.iter().any(|s| s.source.scan.as_ref().is_ok_and(|scan| scan.twin.is_some()));
    let folders = folders(&outputs, has_twins, config)?;
    let with_labels = outputs.labels.is_some() || outputs.splits.is_some();
    let (workers, folders) = (&workers, &folders);
    let tools = Tools { config, truth: &truth, workers, folders, with_labels };
    let outcomes = ingest_all(&sources, &tools)?;
    write_private(&sources, &outcomes, &outputs)?;
    check_images_differ(&sources, &outcomes)?;
    let exclusions = exclusions(&sources, &outcomes);
    report(&sources, &outcomes, &exclusions);
    let cases: Vec<Done> = outcomes.into_iter().filter_map(|outcome| outcome.result.ok()).collect();
    if cases.is_empty() {
        let reasons = counted(&exclusions).join("\n");
        return Err(IngestError::NoCases { n: exclusions.len(), reasons }.into());
    }
    write_cases(&cases, &exclusions, config, &outputs.cases)?;
    write_labels(&cases, config, &truth, &outputs)?;
    write_splits(&cases, given, config, request.seed, &outputs)?;
    Ok(())
}

fn folders(outputs: &Outputs, has_twins: bool, config: &Config) -> Result<Folders, IngestError> {
    let twins = outputs.cases.join("twins");
    let below_labels =
        |name: &str| outputs.labels.as_ref().map(|labels| made(labels.join(name))).transpose();
    Ok(Folders {
        twins: if has_twins { made(twins)? } else { twins },
        images: made(outputs.cases.join("images"))?,
        brain: made(outputs.cases.join("brain"))?,
        masks: below_labels("masks")?,
        followup_masks: match config.followup_masks {
            FollowupMasks::None => None,
            FollowupMasks::Registered | FollowupMasks::AsScanned => below_labels("followup_masks")?,
        },
    })
}

fn ingest_all(sources: &[NamedSource], tools: &Tools<'_>) -> Result<Vec<Outcome>, IngestError> {
    let progress = Progress::new(sources.len(), "case");
    sources
        .par_iter()
        .map(|source| {
            let outcome = case::ingest(source, tools);
            progress.add(1);
            outcome
        })
        .collect()
}

fn made(folder: PathBuf) -> Result<PathBuf, IngestError> {
    match std::fs::create_dir_all(&folder) {
        Ok(()) => Ok(folder),
        Err(source) => Err(IngestError::Folder { path: folder, source }),
    }
}

/// That no image stands under two ids.
fn check_images_differ(sources: &[NamedSource], outcomes: &[Outcome]) -> Result<(), IngestError> {
    let mut first: BTreeMap<&str, &NamedSource> = BTreeMap::new();
    for (named, outcome) in sources.iter().zip(outcomes) {
        let Ok(done) = &outcome.result else { continue };
        if let Some(other) = first.insert(&done.image_digest, named) {
            // Neither their names may be told, nor their pseudonyms help whoever has the names.
            let place = |of: &NamedSource| {
                1 + sources.iter().filter(|named| named.source.id < of.source.id).count()
            };
            let mut places = [place(other), place(named)];
            places.sort_unstable();
            return Err(IngestError::SameImage { places });
        }
    }
    Ok(())
}

fn exclusions(sources: &[NamedSource], outcomes: &[Outcome]) -> Vec<ExclusionRow> {
    let pairs = sources.iter().zip(outcomes);
    pairs
        .filter_map(|(source, outcome)| {
            let reason = outcome.result.as_ref().err()?.to_string();
            Some(ExclusionRow { case_id: source.case_id.clone(), reason })
        })
        .collect()
}

fn report(sources: &[NamedSource], outcomes: &[Outcome], exclusions: &[ExclusionRow]) {
    for (source, outcome) in sources.iter().zip(outcomes) {
        for note in &outcome.found.notes {
            log(format_args!("{}: {note}", source.case_id));
        }
    }
    let (n, n_excluded) = (outcomes.len(), exclusions.len());
    log(format_args!("{} of {n} cases prepared, {n_excluded} excluded", n - n_excluded));
    for row in exclusions.iter().take(MOST_LOGGED) {
        log(format_args!("{} excluded: {}", row.case_id, row.reason));
    }
    if n_excluded > 0 {
        warning(format!("{n_excluded} of {n} cases are excluded; exclusions.csv says why"));
    }
}

/// Each reason with how many cases it costs, the commonest first.
fn counted(exclusions: &[ExclusionRow]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in exclusions {
        *counts.entry(&row.reason).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    counts.into_iter().take(MOST_LOGGED).map(|(reason, n)| format!("  {n} × {reason}")).collect()
}

fn write_private(
    sources: &[NamedSource],
    outcomes: &[Outcome],
    outputs: &Outputs,
) -> Result<(), ArtifactError> {
    let Some(folder) = &outputs.private else { return Ok(()) };
    let rows: Vec<MappingRow> = sources
        .iter()
        .zip(outcomes)
        .map(|(named, outcome)| {
            let clinical = named.source.scan.as_ref().ok().map(|scan| &scan.clinical);
            let series = outcome.found.series.as_ref();
            let acquired = series.and_then(|series| series.facts.acquired.clone());
            MappingRow {
                case_id: named.case_id.clone(),
                patient_id: named.patient_id.clone(),
                source_id: named.source.id.clone(),
                source_path: named.source.path.clone(),
                baseline_datetime: clinical.and_then(|c| c.baseline_datetime.clone()).or(acquired),
                followup_datetime: clinical.and_then(|c| c.followup_datetime.clone()),
                key: named.key.as_hex().to_owned(),
            }
        })
        .collect();
    table::write_rows(&folder.join("mapping.csv"), &MappingRow::COLUMNS, &rows)?;
    let (mut slices, mut series) = (Vec::new(), Vec::new());
    for (named, outcome) in sources.iter().zip(outcomes) {
        if let Some(found) = &outcome.found.series {
            slices.extend(SliceRow::of(&named.case_id, found));
            series.extend(SeriesRow::of(&named.case_id, found));
        }
    }
    table::write_rows(&folder.join("slices.csv"), &SliceRow::COLUMNS, &slices)?;
    table::write_rows(&folder.join("series.csv"), &SeriesRow::COLUMNS, &series)
}

fn write_cases(
    cases: &[Done],
    exclusions: &[ExclusionRow],
    config: &Config,
    folder: &Path,
) -> Result<(), ArtifactError> {
    let rows: Vec<&CaseRow> = cases.iter().map(|done| &done.row).collect();
    table::write_rows(&folder.join("cases.csv"), &CaseRow::COLUMNS, &rows)?;
    let descriptors: Vec<&DescriptorRow> =
        cases.iter().filter_map(|done| done.descriptors.as_ref()).collect();
    table::write_rows(&folder.join("descriptors.csv"), &DescriptorRow::COLUMNS, &descriptors)?;
    let clinical: Vec<&ClinicalRow> =
        cases.iter().filter_map(|done| done.clinical.as_ref()).collect();
    table::write_rows(&folder.join("clinical.csv"), &ClinicalRow::COLUMNS, &clinical)?;
    let signs: Vec<&SignRow> = cases.iter().filter_map(|done| done.signs.as_ref()).collect();
    table::write_rows(&folder.join("signs.csv"), &SignRow::COLUMNS, &signs)?;
    table::write_rows(&folder.join("exclusions.csv"), &ExclusionRow::COLUMNS, exclusions)?;
    let geometry: BTreeMap<&str, _> =
        cases.iter().map(|done| (done.row.case_id.as_str(), &done.native)).collect();
    json::write(&folder.join("geometry.json"), &geometry)?;
    let preparation = Preparation {
        version: PREPARATION_VERSION.to_owned(),
        spacing_mm: config.preparation.spacing_mm,
        window_hu: config.preparation.window_hu,
    };
    json::write(&folder.join("preparation.json"), &preparation)
}

fn write_labels(
    cases: &[Done],
    config: &Config,
    truth: &Truth,
    outputs: &Outputs,
) -> anyhow::Result<()> {
    let Some(folder) = &outputs.labels else { return Ok(()) };
    let rows: Vec<&LabelRow> = cases.iter().filter_map(|done| done.label.as_ref()).collect();
    let count = |growth: Option<bool>| rows.iter().filter(|row| row.growth == growth).count();
    let summary = LabelSummary {
        rule: serde_json::to_value(&config.labels)?,
        n_growth: count(Some(true)),
        n_stable: count(Some(false)),
        n_undefined: count(None),
        followup_masks: followup_summary(cases, config),
        oracle: truth.oracle,
    };
    table::write_rows(&folder.join("labels.csv"), &LabelRow::COLUMNS, &rows)?;
    let lesions: Vec<&LesionRow> = cases.iter().filter_map(|done| done.lesion.as_ref()).collect();
    table::write_rows(&folder.join("lesions.csv"), &LesionRow::COLUMNS, &lesions)?;
    json::write(&folder.join("labels.json"), &summary)?;
    log(format_args!(
        "labels: {} grown, {} stable, {} undefined",
        summary.n_growth, summary.n_stable, summary.n_undefined
    ));
    if let Some(FollowupSummary { n_carried, n_without_image, n_refused }) = summary.followup_masks
    {
        log(format_args!(
            "follow-up masks: {n_carried} on the grids of their cases, {n_without_image} without a follow-up CT, \
             {n_refused} refused"
        ));
    }
    Ok(())
}

/// `None` where no follow-up masks are wanted.
fn followup_summary(cases: &[Done], config: &Config) -> Option<FollowupSummary> {
    let is_carried =
        |done: &&Done| done.label.as_ref().is_some_and(|label| label.followup_mask.is_some());
    let left = || cases.iter().filter_map(|done| done.followup_left.as_ref());
    let n_without_image = left().filter(|reason| **reason == Left::NoImage).count();
    (config.followup_masks != FollowupMasks::None).then(|| FollowupSummary {
        n_carried: cases.iter().filter(is_carried).count(),
        n_without_image,
        n_refused: left().count() - n_without_image,
    })
}

fn write_splits(
    cases: &[Done],
    mut given: Given,
    config: &Config,
    seed: u64,
    outputs: &Outputs,
) -> Result<(), IngestError> {
    let Some(folder) = &outputs.splits else { return Ok(()) };
    let units: Vec<Unit> = cases
        .iter()
        .map(|done| Unit {
            case_id: done.row.case_id.clone(),
            patient_id: done.row.patient_id.clone(),
            site: done.row.site.clone(),
            growth: done.label.as_ref().and_then(|label| label.growth),
            // The mask itself is written with the labels alone, which need not be wanted.
            has_mask: done.label.as_ref().is_some_and(|label| label.baseline_volume_ml.is_some()),
            n_slices: done.n_slices,
            scanned: done.scanned.clone(),
            given: given.roles.remove(&done.source_id).unwrap_or_default(),
        })
        .collect();
    let splits = split(&units, &config.splits, seed)?;
    given.warnings.into_iter().chain(splits.warnings).for_each(warning);
    table::write_rows(&folder.join("splits.csv"), &SplitRow::COLUMNS, &splits.rows)?;
    Ok(())
}
