//! One case: read, prepared, labelled, written.

use std::path::PathBuf;

use hemex_artifacts::{CaseRow, GeometryRecord, LabelRow, nifti};
use hemex_volume::Image;

use crate::guard::guarded;
use crate::labels::{self, Volumes};
use crate::layout::{ImageFiles, Scan};
use crate::masks::{self, Masks};
use crate::prepare::{Prepared, prepare};
use crate::pseudonym::NamedSource;
use crate::truth::Truth;
use crate::{Config, IngestError, Unusable, dicom, kernel};

/// Where the volumes of a case go.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub(crate) images: PathBuf,
    pub(crate) brain: PathBuf,
    /// `None` where no labels are wanted.
    pub(crate) masks: Option<PathBuf>,
}

/// What the tables hold of a case.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) row: CaseRow,
    pub(crate) native: GeometryRecord,
    /// `None` where neither labels nor splits are wanted.
    pub(crate) label: Option<LabelRow>,
    pub(crate) n_slices: usize,
    /// Date and time from the DICOM files, for the private artifact alone.
    pub(crate) acquired: Option<String>,
    /// A line for the log.
    pub(crate) note: Option<String>,
}

/// A case in memory.
struct Ready {
    prepared: Prepared,
    masks: Masks,
    done: Done,
}

/// Reads and prepares a case and writes its volumes. The inner error costs the case, the outer one
/// the stage.
pub(crate) fn ingest(
    named: &NamedSource,
    config: &Config,
    truth: &Truth,
    folders: &Folders,
    with_labels: bool,
) -> Result<Result<Done, Unusable>, IngestError> {
    let ready = named
        .source
        .scan
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|scan| guarded(|| ready(named, scan, config, truth, with_labels)));
    let Ready { prepared, masks, mut done } = match ready {
        Ok(ready) => ready,
        Err(reason) => return Ok(Err(reason)),
    };
    let file = format!("{}.nii", named.case_id);
    nifti::write_image(&folders.images.join(&file), &prepared.image)?;
    nifti::write_label_map(&folders.brain.join(&file), &prepared.brain)?;
    if let (Some(folder), Some(mask), Some(label)) =
        (&folders.masks, &masks.baseline, &mut done.label)
    {
        let mask = mask.resample(prepared.image.geometry());
        nifti::write_label_map(&folder.join(&file), &mask)?;
        label.mask = Some(format!("masks/{file}"));
    }
    Ok(Ok(done))
}

fn ready(
    named: &NamedSource,
    scan: &Scan,
    config: &Config,
    truth: &Truth,
    with_labels: bool,
) -> Result<Ready, Unusable> {
    let native = Native::read(&scan.image)?;
    let geometry = *native.image.geometry();
    let masks = match with_labels {
        true => masks::read(scan, &geometry, &config.labels)?,
        false => Masks::default(),
    };
    let prepared = prepare(native.image, &config.preparation)?;
    let [spacing_d, spacing_h, spacing_w] = geometry.spacing_mm();
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
        convolution_kernel: native.convolution_kernel,
        noise_hu: prepared.noise_hu,
    };
    let done = Done {
        row,
        native: GeometryRecord::from(&geometry),
        label: with_labels.then(|| label(named, scan, config, truth, &masks)),
        n_slices: prepared.image.geometry().shape()[0],
        acquired: native.acquired,
        note: native.note,
    };
    Ok(Ready { prepared, masks, done })
}

fn label(
    named: &NamedSource,
    scan: &Scan,
    config: &Config,
    truth: &Truth,
    masks: &Masks,
) -> LabelRow {
    let volumes = Volumes { baseline_ml: masks.baseline_ml, followup_ml: masks.followup_ml };
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
    }
}

/// The image as it came.
struct Native {
    image: Image,
    format: &'static str,
    convolution_kernel: Option<String>,
    acquired: Option<String>,
    note: Option<String>,
}

impl Native {
    fn read(files: &ImageFiles) -> Result<Self, Unusable> {
        match files {
            ImageFiles::Nifti(path) => Ok(Self {
                image: nifti::read_image(path)
                    .map_err(|error| Unusable::volume("baseline CT", &error))?,
                format: "nifti",
                convolution_kernel: kernel::of_sidecar(path),
                acquired: None,
                note: None,
            }),
            ImageFiles::Dicom(files) => {
                let series = dicom::read_series(files)?;
                let n_slices = series.image.geometry().shape()[0];
                let note = (series.n_other_series > 0).then(|| {
                    let n = series.n_other_series + 1;
                    format!("{n} axial CT series, the one with most slices ({n_slices}) is taken")
                });
                Ok(Self {
                    image: series.image,
                    format: "dicom",
                    convolution_kernel: series.convolution_kernel,
                    acquired: series.acquired,
                    note,
                })
            }
        }
    }
}
