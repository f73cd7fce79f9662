//! The cohort as files.

pub(crate) mod bids;
mod dicom;
pub(crate) mod truth;

use std::path::Path;

use hemex_artifacts::{json, nifti};
use serde_json::json;

use crate::PhantomError;
use crate::cohort::{Patient, Scans};
use crate::scanner::{Format, Scan, Site};

/// Writes the scans and masks of a patient.
pub(crate) fn patient(
    folder: &Path,
    seed: u64,
    patient: &Patient,
    scans: &Scans,
) -> Result<(), PhantomError> {
    session(folder, seed, patient, "baseline", &scans.baseline)?;
    for (name, scan) in [("followup", &scans.followup), ("twin", &scans.twin)] {
        if let Some(scan) = scan {
            session(folder, seed, patient, name, scan)?;
        }
    }
    Ok(())
}

fn session(
    folder: &Path,
    seed: u64,
    patient: &Patient,
    session: &'static str,
    scan: &Scan,
) -> Result<(), PhantomError> {
    let id = &patient.id;
    let folder = folder.join(id).join(format!("ses-{session}")).join("ct");
    std::fs::create_dir_all(&folder).map_err(PhantomError::io(&folder))?;
    let stem = format!("{id}_ses-{session}");
    nifti::write_label_map(&folder.join(format!("{stem}_dseg.nii.gz")), &scan.labels)?;
    let Some(image) = &scan.image else {
        return Ok(());
    };
    match patient.site.format {
        Format::Nifti => {
            nifti::write_image_i16(&folder.join(format!("{stem}_ct.nii.gz")), image)?;
            json::write(&folder.join(format!("{stem}_ct.json")), &sidecar(patient.site))?;
        }
        Format::Dicom => {
            let series = dicom::Series { seed, patient, session };
            series.write(&folder.join(format!("{stem}_ct")), image)?;
        }
    }
    Ok(())
}

/// What NIfTI cannot say of a scan.
fn sidecar(site: &Site) -> serde_json::Value {
    json!({
        "Modality": "CT",
        "Manufacturer": "hemex phantom",
        "ConvolutionKernel": site.kernel,
        "SliceThickness": site.slice_mm,
    })
}
