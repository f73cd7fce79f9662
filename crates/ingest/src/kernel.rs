//! The reconstruction kernel, as far as a file names it.

use std::path::Path;

use serde::Deserialize;

/// Letters of a kernel's name at most (DICOM's short string).
const MOST_LETTERS: usize = 16;

/// A sidecar is a few lines.
const MAX_BYTES: u64 = 1 << 20;

/// The name, if it is a short plain one: a free text might hold anything, a patient's name too.
pub(crate) fn plain(name: &str) -> Option<String> {
    let name = name.trim();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "+-_./ \\".contains(c);
    let sound = !name.is_empty() && name.len() <= MOST_LETTERS && name.chars().all(is_plain);
    sound.then(|| name.to_owned())
}

/// The name in the BIDS sidecar beside a NIfTI file (`NAME.json` for `NAME.nii.gz`), key
/// `ConvolutionKernel`.
pub(crate) fn of_sidecar(nifti: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Sidecar {
        #[serde(rename = "ConvolutionKernel")]
        convolution_kernel: String,
    }
    let path = nifti.to_str()?;
    let stem = path.strip_suffix(".nii.gz").or_else(|| path.strip_suffix(".nii"))?;
    let path = format!("{stem}.json");
    if std::fs::metadata(&path).ok()?.len() > MAX_BYTES {
        return None;
    }
    let sidecar: Sidecar = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    plain(&sidecar.convolution_kernel)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        assert_eq!(plain(" H31s "), Some("H31s".to_owned()));
        assert_eq!(plain("STD+"), Some("STD+".to_owned()));
        assert_eq!(plain("kernel of Mrs Miller"), None);
        assert_eq!(plain("<b>"), None);
        assert_eq!(plain(""), None);
    }

    #[test]
    fn a_sidecar_is_read_where_it_is_sound() {
        let folder = tempfile::tempdir().unwrap();
        let nifti = folder.path().join("a_ct.nii.gz");
        assert_eq!(of_sidecar(&nifti), None);
        let sidecar = folder.path().join("a_ct.json");
        std::fs::write(&sidecar, r#"{"Modality": "CT", "ConvolutionKernel": "H40"}"#).unwrap();
        assert_eq!(of_sidecar(&nifti), Some("H40".to_owned()));
        std::fs::write(&sidecar, "{").unwrap();
        assert_eq!(of_sidecar(&nifti), None);
    }
}
