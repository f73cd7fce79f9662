//! How a scan was taken, as far as its files say.

use std::path::Path;

use serde::Deserialize;

use crate::{dicom, kernel};

/// A sidecar is a few lines.
const MAX_BYTES: u64 = 1 << 20;

/// How a scan was taken. Names are words of closed lists: a free text might hold anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Acquisition {
    pub(crate) slice_thickness_mm: Option<f64>,
    pub(crate) convolution_kernel: Option<String>,
    pub(crate) tube_voltage_kvp: Option<f64>,
    pub(crate) manufacturer: Option<String>,
}

impl Acquisition {
    /// What the BIDS sidecar beside a NIfTI file (`NAME.json` for `NAME.nii.gz`) says; nothing where
    /// there is none or it cannot be read.
    pub(crate) fn of_sidecar(nifti: &Path) -> Self {
        sidecar(nifti).map(Self::from).unwrap_or_default()
    }
}

impl From<Sidecar> for Acquisition {
    fn from(sidecar: Sidecar) -> Self {
        let positive = |value: Option<f64>| value.filter(|v| v.is_finite() && *v > 0.0);
        Self {
            slice_thickness_mm: positive(sidecar.slice_thickness),
            convolution_kernel: sidecar.convolution_kernel.and_then(|name| kernel::known(&name)),
            tube_voltage_kvp: positive(sidecar.kvp),
            manufacturer: sidecar.manufacturer.and_then(|name| known_maker(&name)),
        }
    }
}

impl From<&dicom::Facts> for Acquisition {
    fn from(facts: &dicom::Facts) -> Self {
        Self {
            slice_thickness_mm: facts.slice_thickness_mm,
            convolution_kernel: facts.convolution_kernel.clone(),
            tube_voltage_kvp: facts.tube_voltage_kvp,
            manufacturer: facts.manufacturer.clone(),
        }
    }
}

/// The keys of a sidecar, named as DICOM's elements.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sidecar {
    slice_thickness: Option<f64>,
    convolution_kernel: Option<String>,
    #[serde(rename = "KVP")]
    kvp: Option<f64>,
    manufacturer: Option<String>,
}

fn sidecar(nifti: &Path) -> Option<Sidecar> {
    let path = nifti.to_str()?;
    let stem = path.strip_suffix(".nii.gz").or_else(|| path.strip_suffix(".nii"))?;
    let path = format!("{stem}.json");
    if std::fs::metadata(&path).ok()?.len() > MAX_BYTES {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// The maker's name as one word of a closed list: what files hold is a free text.
pub(crate) fn known_maker(name: &str) -> Option<String> {
    const KNOWN: [(&str, &str); 10] = [
        ("siemens", "Siemens"),
        ("ge med", "GE"),
        ("general electric", "GE"),
        ("philips", "Philips"),
        ("toshiba", "Toshiba"),
        ("canon", "Canon"),
        ("hitachi", "Hitachi"),
        ("neusoft", "Neusoft"),
        ("united imaging", "United Imaging"),
        ("uih", "United Imaging"),
    ];
    let name = name.to_lowercase();
    KNOWN.iter().find(|(word, _)| name.contains(word)).map(|(_, maker)| (*maker).to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_is_read_where_it_is_sound() {
        let folder = tempfile::tempdir().unwrap();
        let nifti = folder.path().join("a_ct.nii.gz");
        assert_eq!(Acquisition::of_sidecar(&nifti), Acquisition::default());
        let sidecar = folder.path().join("a_ct.json");
        let text = r#"{"Modality": "CT", "ConvolutionKernel": "H40", "KVP": 120,
            "Manufacturer": "SIEMENS Healthineers", "SliceThickness": 4.8}"#;
        std::fs::write(&sidecar, text).unwrap();
        let known = Acquisition {
            slice_thickness_mm: Some(4.8),
            convolution_kernel: Some("H40".to_owned()),
            tube_voltage_kvp: Some(120.0),
            manufacturer: Some("Siemens".to_owned()),
        };
        assert_eq!(Acquisition::of_sidecar(&nifti), known);
        let foreign =
            r#"{"ConvolutionKernel": "of Mrs Miller", "Manufacturer": "Miller", "KVP": -1}"#;
        std::fs::write(&sidecar, foreign).unwrap();
        assert_eq!(Acquisition::of_sidecar(&nifti), Acquisition::default());
        std::fs::write(&sidecar, "{").unwrap();
        assert_eq!(Acquisition::of_sidecar(&nifti), Acquisition::default());
    }
}
