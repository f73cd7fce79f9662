//! Reference masks of a case: read on their native grids, where volumes are measured.

use std::path::Path;

use hemex_artifacts::nifti;
use hemex_volume::{Geometry, LabelMap, Lesion};

use crate::layout::{LabelScheme, Scan};
use crate::{LabelRule, Unusable};

/// How far, in voxels, a mask's corners may lie off its image's: positions in DICOM are rounded texts.
const SAME_GRID_VOXELS: f64 = 0.1;

/// What the masks of a case say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Masks {
    /// The baseline mask on its native grid.
    pub(crate) baseline: Option<LabelMap>,
    /// The follow-up mask on its native grid.
    pub(crate) followup: Option<LabelMap>,
    /// Hematoma volume of the baseline scan, mL.
    pub(crate) baseline_ml: Option<f64>,
    /// Hematoma volume of the follow-up scan, mL.
    pub(crate) followup_ml: Option<f64>,
    /// Intraventricular blood of the baseline scan, mL.
    pub(crate) baseline_ivh_ml: Option<f64>,
    /// Intraventricular blood of the follow-up scan, mL.
    pub(crate) followup_ivh_ml: Option<f64>,
    /// What is odd about their files.
    pub(crate) warnings: Vec<String>,
}

/// Reads the masks there are; the baseline mask must lie on the grid of its image (`native`).
pub(crate) fn read(scan: &Scan, native: &Geometry, rule: &LabelRule) -> Result<Masks, Unusable> {
    let volume_ml = |mask: &LabelMap| mask.volume_ml(rule.counted());
    let ivh_ml = |mask: &LabelMap| mask.volume_ml(&[Lesion::Intraventricular as u8]);
    let mut masks = Masks::default();
    if let Some(path) = &scan.baseline_mask {
        let what = "baseline mask";
        let mask = read_one(path, what, &scan.labels, &mut masks.warnings)?;
        if !is_same_grid(&mask.geometry().to_ras(), &native.to_ras()) {
            let problem = format!(
                "its grid of {:?} voxels (D, H, W) is not that of its image, {:?}",
                mask.geometry().shape(),
                native.shape()
            );
            return Err(Unusable::Volume { what, problem });
        }
        masks.baseline_ml = Some(volume_ml(&mask));
        masks.baseline_ivh_ml = Some(ivh_ml(&mask));
        masks.baseline = Some(mask);
    }
    if let Some(path) = &scan.followup_mask {
        let mask = read_one(path, "follow-up mask", &scan.labels, &mut masks.warnings)?;
        masks.followup_ml = Some(volume_ml(&mask));
        masks.followup_ivh_ml = Some(ivh_ml(&mask));
        masks.followup = Some(mask);
    }
    Ok(masks)
}

fn read_one(
    path: &Path,
    what: &'static str,
    labels: &LabelScheme,
    warnings: &mut Vec<String>,
) -> Result<LabelMap, Unusable> {
    let read =
        nifti::read_foreign_label_map(path).map_err(|error| Unusable::volume(what, &error))?;
    warnings.extend(read.warning.map(|warning| format!("{what}: {warning}")));
    let mut mask = read.volume;
    let meaning = meaning(labels);
    if let Some(label) = mask.voxels().iter().find(|label| meaning[usize::from(**label)].is_none())
    {
        let known: Vec<String> = (0..=u8::MAX)
            .filter(|n| meaning[usize::from(*n)].is_some())
            .map(|n| n.to_string())
            .collect();
        let problem = format!("it holds the label {label}, expected one of {}", known.join(", "));
        return Err(Unusable::Volume { what, problem });
    }
    if *labels == LabelScheme::Binary && mask.voxels().iter().any(|label| *label > 0) {
        warnings
            .push(format!("{what}: its kind of bleeding is not told, taken for intraparenchymal"));
    }
    for label in mask.voxels_mut() {
        *label = meaning[usize::from(*label)].unwrap_or_default();
    }
    Ok(mask)
}

/// What each stored label is here; `None` for one that is not known.
fn meaning(labels: &LabelScheme) -> [Option<u8>; 256] {
    let mut meaning = [None; 256];
    meaning[0] = Some(0);
    match labels {
        LabelScheme::Own => {
            for label in 1..=Lesion::ExtraAxial as u8 {
                meaning[usize::from(label)] = Some(label);
            }
        }
        LabelScheme::Binary => meaning[1..].fill(Some(Lesion::Intraparenchymal as u8)),
        LabelScheme::Map(pairs) => {
            for (label, lesion) in pairs {
                meaning[usize::from(*label)] = Some(*lesion as u8);
            }
        }
    }
    meaning
}

/// Whether two grids, their axes ordered alike, are one up to the rounding of positions in headers.
pub(crate) fn is_same_grid(a: &Geometry, b: &Geometry) -> bool {
    let inverse = a.affine().inverse();
    let last = a.shape().map(|n| (n - 1) as f64);
    a.shape() == b.shape()
        && (0..8).all(|corner| {
            let index: [f64; 3] =
                std::array::from_fn(|i| if corner >> i & 1 == 1 { last[i] } else { 0.0 });
            let found = inverse.index(b.point_mm(index));
            (0..3).all(|i| (found[i] - index[i]).abs() <= SAME_GRID_VOXELS)
        })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::Affine;

    use super::*;
    use crate::layout::{Clinical, ImageFiles};
    use crate::{GrowthRule, LabelSource};

    fn grid(spacing_mm: [f64; 3]) -> Geometry {
        Geometry::new([4, 5, 6], Affine::from_spacing(spacing_mm, [0.0; 3]).unwrap()).unwrap()
    }

    fn rule(count_intraventricular: bool) -> LabelRule {
        LabelRule {
            source: LabelSource::Auto,
            rule: GrowthRule::Either,
            relative_growth: 0.33,
            absolute_growth_ml: 6.0,
            ivh_growth_ml: 1.0,
            count_intraventricular,
            followup_window_h: [6.0, 72.0],
        }
    }

    fn masks(labels: &[u8], native: &Geometry, ivh: bool) -> Result<Masks, Unusable> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.nii.gz");
        let mut mask = LabelMap::empty(grid([5.0, 1.0, 1.0]));
        mask.voxels_mut()[..labels.len()].copy_from_slice(labels);
        nifti::write_label_map(&path, &mask).unwrap();
        let scan = Scan {
            image: ImageFiles::Nifti("none".into()),
            baseline_mask: Some(path.clone()),
            followup_mask: Some(path),
            followup_image: Ok(None),
            twin: None,
            labels: LabelScheme::Own,
            clinical: Clinical::default(),
        };
        read(&scan, native, &rule(ivh))
    }

    #[test]
    fn volumes_count_the_configured_labels_on_the_native_grid() {
        let native = grid([5.0, 1.0, 1.0]);
        let labels = [1, 1, 2, 3, 4, 1];
        assert_eq!(masks(&labels, &native, false).unwrap().baseline_ml, Some(3.0 * 0.005));
        assert_eq!(masks(&labels, &native, true).unwrap().followup_ml, Some(4.0 * 0.005));
    }

    #[test]
    fn foreign_grids_and_labels_are_refused() {
        let other = masks(&[1], &grid([5.0, 1.1, 1.0]), false).unwrap_err().to_string();
        assert!(other.contains("is not that of its image"), "{other}");
        let label = masks(&[1, 255], &grid([5.0, 1.0, 1.0]), false).unwrap_err().to_string();
        assert_eq!(label, "baseline mask: it holds the label 255, expected one of 0, 1, 2, 3, 4");
    }
}
