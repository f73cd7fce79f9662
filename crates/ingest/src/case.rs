//! One case: read, prepared, labelled, written.

use std::path::PathBuf;

use hemex_artifacts::{
    CaseRow, ClinicalRow, DescriptorRow, GeometryRecord, LabelRow, LesionRow, SignRow, nifti,
};
use hemex_stage::digest;
use hemex_volume::{BrainDescriptors, Image, LabelMap, LesionDescriptors, VolumeError};

use crate::acquisition::Acquisition;
use crate::dicom::worker::Workers;
use crate::followup::{self, Left};
use crate::guard::guarded;
use crate::labels::{self, Volumes};
use crate::layout::{ImageFiles, Scan};
use crate::masks::{self, Masks};
use crate::prepare::{Prepared, prepare, resampled};
use crate::pseudonym::NamedSource;
use crate::truth::Truth;
use crate::unusable::TWIN;
use crate::{Config, IngestError, Unusable, date, dicom};

/// Gantry tilts up to it are rounding of positions, degrees.
const NOTED_TILT_DEGREES: f64 = 0.05;

/// Where the volumes of a case go.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub(crate) images: PathBuf,
    pub(crate) brain: PathBuf,
    /// There only if a case has one.
    pub(crate) twins: PathBuf,
    /// `None` where no labels are wanted.
    pub(crate) masks: Option<PathBuf>,
    /// `None` where no follow-up masks are wanted either.
    pub(crate) followup_masks: Option<PathBuf>,
}

/// What the tables hold of a case.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) row: CaseRow,
    /// What the prepared image shows; `None` if nothing in it is as dense as tissue.
    pub(crate) descriptors: Option<DescriptorRow>,
    /// What clinical scores ask for beside `row`, if anything of it is known.
    pub(crate) clinical: Option<ClinicalRow>,
    /// Signs that a person saw, if anyone looked.
    pub(crate) signs: Option<SignRow>,
    /// `None` without a mask or a lesion in it.
    pub(crate) lesion: Option<LesionRow>,
    pub(crate) native: GeometryRecord,
    /// `None` where neither labels nor splits are wanted.
    pub(crate) label: Option<LabelRow>,
    /// Why its follow-up mask is not there, where it is wanted and could not be carried over.
    pub(crate) followup_left: Option<Left>,
    pub(crate) n_slices: usize,
    /// When it was scanned, as digits from the year on; tells nothing but an order and stays here.
    pub(crate) scanned: Option<String>,
    /// The dataset's name of the case, for its own split; stays here.
    pub(crate) source_id: String,
    /// Of the prepared image: one scan under two ids has one.
    pub(crate) image_digest: String,
}

/// What came of a case, whether it can be used or not.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) result: Result<Done, Unusable>,
    pub(crate) found: Found,
}

/// What was found on the way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Of a DICOM series, for the private artifact alone.
    pub(crate) series: Option<Series>,
    /// Lines for the log.
    pub(crate) notes: Vec<String>,
}

/// What is kept of a DICOM series beside its voxels.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) facts: dicom::Facts,
    /// Distance of each slice from the first along the normal, mm.
    pub(crate) depths_mm: Vec<f64>,
}

/// What every case is read with.
pub(crate) struct Tools<'a> {
    pub(crate) config: &'a Config,
    pub(crate) truth: &'a Truth,
    pub(crate) workers: &'a Workers,
    pub(crate) folders: &'a Folders,
    pub(crate) with_labels: bool,
}

/// A case in memory.
struct Ready {
    prepared: Prepared,
    /// The head without its hematoma, on the grid of the prepared image.
    twin: Option<Image>,
    masks: Masks,
    /// On the grid of the prepared image, if it is wanted and could be carried over.
    followup: Option<LabelMap>,
    done: Done,
}

/// Reads and prepares a case and writes its volumes. What is wrong with the case costs the case; the
/// error costs the stage.
pub(crate) fn ingest(named: &NamedSource, tools: &Tools<'_>) -> Result<Outcome, IngestError> {
    let mut found = Found::default();
    let scan = named.source.scan.as_ref().map_err(Clone::clone);
    let ready = scan.and_then(|scan| guarded(|| ready(named, scan, tools, &mut found)));
    let result = match ready {
        Ok(ready) => Ok(write(named, ready, tools.folders)?),
        Err(reason) => Err(reason),
    };
    Ok(Outcome { result, found })
}

fn write(named: &NamedSource, ready: Ready, folders: &Folders) -> Result<Done, IngestError> {
    let Ready { prepared, twin, masks, followup, mut done } = ready;
    let file = format!("{}.nii", named.case_id);
    nifti::write_image(&folders.images.join(&file), &prepared.image)?;
    nifti::write_label_map(&folders.brain.join(&file), &prepared.brain)?;
    if let Some(twin) = &twin {
        nifti::write_image(&folders.twins.join(&file), twin)?;
    }
    if let (Some(folder), Some(mask), Some(label)) =
        (&folders.masks, &masks.baseline, &mut done.label)
    {
        let mask = mask.resample(prepared.image.geometry());
        nifti::write_label_map(&folder.join(&file), &mask)?;
        label.mask = Some(format!("masks/{file}"));
    }
    if let (Some(folder), Some(mask), Some(label)) =
        (&folders.followup_masks, &followup, &mut done.label)
    {
        nifti::write_label_map(&folder.join(&file), mask)?;
        label.followup_mask = Some(format!("followup_masks/{file}"));
    }
    Ok(done)
}

fn ready(
    named: &NamedSource,
    scan: &Scan,
    tools: &Tools<'_>,
    found: &mut Found,
) -> Result<Ready, Unusable> {
    let (config, with_labels) = (tools.config, tools.with_labels);
    let native = Native::read(&scan.image, tools, found)?;
    let geometry = *native.image.geometry();
    let masks = match with_labels {
        true => masks::read(scan, &geometry, &config.labels)?,
        false => Masks::default(),
    };
    found.notes.extend(masks.warnings.iter().cloned());
    let lesion = lesion(&native.image, &masks, config)?;
    let acquisition = native.acquisition;
    let prepared = prepare(native.image, &config.preparation)?;
    let (followup, followup_left) = followup_mask(scan, &masks, &prepared, tools, found);
    let [spacing_d, spacing_h, spacing_w] = native.spacing_mm;
    let clinical = &scan.clinical;
    let row = CaseRow {
        case_id: named.case_id.clone(),
        patient_id: named.patient_id.clone(),
        site: clinical.site.clone().unwrap_or_else(|| "unknown".to_owned()),
        age_years: clinical.age_years,
        sex: clinical.sex,
        onset_to_ct_h: clinical.onset_to_ct_h,
        anticoagulation: clinical.anticoagulation,
        gcs: clinical.gcs,
        ivh: clinical.ivh,
        source_format: native.format.to_owned(),
        native_spacing_d_mm: spacing_d,
        native_spacing_h_mm: spacing_h,
        native_spacing_w_mm: spacing_w,
        slice_thickness_mm: acquisition.slice_thickness_mm,
        convolution_kernel: acquisition.convolution_kernel,
        tube_voltage_kvp: acquisition.tube_voltage_kvp,
        manufacturer: acquisition.manufacturer,
        noise_hu: prepared.noise_hu,
    };
    let brain = BrainDescriptors::of(&prepared.image, &prepared.brain).map_err(unsound)?;
    let brain_mm = prepared.brain.centroid_mm(&[1]);
    let done = Done {
        row,
        clinical: clinical.row(&named.case_id),
        signs: clinical.sign_row(&named.case_id),
        descriptors: brain.map(|brain| DescriptorRow::new(&named.case_id, &brain)),
        lesion: lesion
            .zip(brain_mm)
            .map(|(lesion, at)| LesionRow::new(&named.case_id, &lesion, at)),
        native: GeometryRecord::from(&geometry),
        label: with_labels.then(|| label(named, scan, config, tools.truth, &masks)),
        followup_left,
        n_slices: prepared.image.geometry().shape()[0],
        image_digest: image_digest(&prepared.image),
        scanned: scanned(scan, found),
        source_id: named.source.id.clone(),
    };
    let twin = scan.twin.as_ref().map(|files| twin(files, &prepared.image, tools, found));
    let twin = twin.transpose()?;
    Ok(Ready { prepared, twin, masks, followup, done })
}

/// The follow-up mask on the grid of the prepared image, or why it cannot be there; neither where there is none or
/// none is wanted.
fn followup_mask(
    scan: &Scan,
    masks: &Masks,
    prepared: &Prepared,
    tools: &Tools<'_>,
    found: &mut Found,
) -> (Option<LabelMap>, Option<Left>) {
    let mask = masks.followup.as_ref();
    match mask.and_then(|mask| followup::carried(mask, scan, prepared, tools, found)) {
        None => (None, None),
        Some(Ok(mask)) => (Some(mask), None),
        Some(Err(reason)) => {
            found.notes.push(format!("no follow-up mask: {reason}"));
            (None, Some(reason))
        }
    }
}

/// The lesion-free head, prepared as the case is.
fn twin(
    files: &ImageFiles,
    image: &Image,
    tools: &Tools<'_>,
    found: &mut Found,
) -> Result<Image, Unusable> {
    // What it is a series of is the case's affair; what is odd about it is not.
    let mut own = Found::default();
    let native = Native::read(files, tools, &mut own).map_err(|reason| reason.of(TWIN))?;
    found.notes.extend(own.notes.iter().map(|note| format!("{TWIN}: {note}")));
    Ok(resampled(native.image, image.geometry(), &tools.config.preparation))
}

/// The lesion of the baseline mask on the native image.
fn lesion(
    native: &Image,
    masks: &Masks,
    config: &Config,
) -> Result<Option<LesionDescriptors>, Unusable> {
    let Some(mask) = &masks.baseline else { return Ok(None) };
    let labels = config.labels.counted();
    // One grid, though its axes may run otherwise in the mask's file, and corners be rounded.
    let found = match mask.geometry().is_same_grid(native.geometry()) {
        true => LesionDescriptors::of(mask, labels, native),
        false => LesionDescriptors::of(&mask.resample(native.geometry()), labels, native),
    };
    found.map_err(unsound)
}

fn unsound(error: VolumeError) -> Unusable {
    Unusable::Volume { what: "baseline CT", problem: error.to_string() }
}

/// The date of the table, else that of the files, as digits.
fn scanned(scan: &Scan, found: &Found) -> Option<String> {
    let of_files = || found.series.as_ref()?.facts.acquired.as_deref();
    date::digits(scan.clinical.baseline_datetime.as_deref().or_else(of_files)?)
}

fn image_digest(image: &Image) -> String {
    let bytes: Vec<u8> = image.voxels().iter().flat_map(|hu| hu.to_le_bytes()).collect();
    digest::bytes(&bytes)
}

fn label(
    named: &NamedSource,
    scan: &Scan,
    config: &Config,
    truth: &Truth,
    masks: &Masks,
) -> LabelRow {
    let volumes = Volumes {
        baseline_ml: masks.baseline_ml,
        followup_ml: masks.followup_ml,
        baseline_ivh_ml: masks.baseline_ivh_ml,
        followup_ivh_ml: masks.followup_ivh_ml,
    };
    let growth = labels::growth(&config.labels, volumes, &scan.clinical);
    let truth = truth.cases.get(&named.source.id);
    LabelRow {
        case_id: named.case_id.clone(),
        growth: growth.ok(),
        growth_undefined_reason: growth.err().map(|reason| reason.to_string()),
        baseline_volume_ml: masks.baseline_ml,
        followup_volume_ml: masks.followup_ml,
        followup_interval_h: scan.clinical.followup_interval_h,
        mask: None,
        true_probability: truth.map(|t| t.probability),
        true_probability_image_signs: truth.map(|t| t.probability_image_signs),
        followup_mask: None,
    }
}

/// The image as it came.
pub(crate) struct Native {
    pub(crate) image: Image,
    format: &'static str,
    acquisition: Acquisition,
    /// Distance of slices, rows, columns as they were acquired.
    spacing_mm: [f64; 3],
}

impl Native {
    pub(crate) fn read(
        files: &ImageFiles,
        tools: &Tools<'_>,
        found: &mut Found,
    ) -> Result<Self, Unusable> {
        match files {
            ImageFiles::Nifti(path) => {
                let read = nifti::read_foreign_image(path)
                    .map_err(|error| Unusable::volume("baseline CT", &error))?;
                found.notes.extend(read.warning);
                Ok(Self {
                    spacing_mm: read.volume.geometry().spacing_mm(),
                    image: read.volume,
                    format: "nifti",
                    acquisition: Acquisition::of_sidecar(path),
                })
            }
            ImageFiles::Dicom(files) => Self::of_dicom(files, tools, found),
        }
    }

    fn of_dicom(files: &[PathBuf], tools: &Tools<'_>, found: &mut Found) -> Result<Self, Unusable> {
        let settings = &tools.config.dicom;
        let dicom::Series { stack, voxels, facts } = tools.workers.read_series(files, settings)?;
        found.notes.extend(notes(&facts, &stack));
        let acquisition = Acquisition::from(&facts);
        found.series = Some(Series { facts, depths_mm: stack.depths_mm.clone() });
        let [rows_mm, columns_mm] = stack.pixel_spacing_mm;
        let spacing_mm = [stack.step_mm(), rows_mm, columns_mm];
        let image = stack.into_image(voxels, settings)?;
        Ok(Self { image, format: "dicom", acquisition, spacing_mm })
    }
}

/// What the log says of a series.
fn notes(facts: &dicom::Facts, stack: &dicom::Stack) -> Vec<String> {
    let mut notes: Vec<String> = facts.candidates.iter().map(candidate_note).collect();
    if facts.n_duplicates > 0 {
        notes.push(format!("{} slices twice, one of each kept", facts.n_duplicates));
    }
    let tilt_degrees = stack.tilt_degrees();
    if tilt_degrees > NOTED_TILT_DEGREES {
        notes.push(format!("gantry tilt of {tilt_degrees:.1}°, corrected"));
    }
    if let Some(what) = stack.unevenness() {
        notes.push(format!("{what}, interpolated at their true positions"));
    }
    notes
}

/// A line about a series that was looked at.
fn candidate_note(candidate: &dicom::Candidate) -> String {
    let number = candidate.series_number.map_or("without number".to_owned(), |n| n.to_string());
    let (n, reason) = (candidate.n_objects, &candidate.reason);
    // Slices are counted in the reason.
    if reason.contains("axial slices") {
        format!("series {number}: {reason}")
    } else {
        format!("series {number}: {n} {reason}: out")
    }
}
