use hemex_stage::{ConfigError, check_positive, check_range};
use hemex_volume::Lesion;
use serde::{Deserialize, Serialize};

use crate::kernel::Sharpness;

/// The stage's config as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// How the dataset is laid out; `auto` recognises it.
    pub layout: LayoutChoice,
    /// Spacing of the canonical grid `[D, H, W]`, mm.
    pub spacing_mm: [f64; 3],
    /// HU are limited to this range before resampling.
    pub window_hu: [f32; 2],
    /// What is kept around the head on every side, mm.
    pub margin_mm: f64,
    /// Volume between which a brain mask is believed, mL.
    pub brain_ml: [f64; 2],
    /// Which DICOM series is read, and how.
    pub dicom: RawDicom,
    /// The growth label.
    pub labels: RawLabels,
    /// Training, validation, test.
    pub splits: RawSplits,
}

/// The table `dicom` of the config.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawDicom {
    /// The slices that are wanted where there are both.
    pub slices: SliceThickness,
    /// The kernel that is wanted where there are both.
    pub kernel: Sharpness,
    /// What becomes of slices at uneven distances.
    pub uneven_slices: UnevenSlices,
    /// The widest distance of neighbouring slices that is interpolated over, mm.
    pub max_gap_mm: f64,
}

/// How thick slices are, by their distance: thin below 2.5 mm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SliceThickness {
    /// Under 2.5 mm.
    Thin,
    /// 2.5 mm or more.
    Thick,
}

/// What becomes of slices at uneven distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnevenSlices {
    /// Interpolated at their true positions.
    Resample,
    /// The case is refused.
    Refuse,
}

/// Which DICOM series is read, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DicomSettings {
    /// The slices that are wanted where there are both.
    pub slices: SliceThickness,
    /// The kernel that is wanted where there are both.
    pub kernel: Sharpness,
    /// What becomes of slices at uneven distances.
    pub uneven_slices: UnevenSlices,
    /// The widest distance of neighbouring slices that is interpolated over, mm.
    pub max_gap_mm: f64,
}

impl TryFrom<RawDicom> for DicomSettings {
    type Error = ConfigError;

    fn try_from(raw: RawDicom) -> Result<Self, ConfigError> {
        Ok(Self {
            slices: raw.slices,
            kernel: raw.kernel,
            uneven_slices: raw.uneven_slices,
            max_gap_mm: check_range("max_gap_mm", raw.max_gap_mm, 1.0..=50.0)?,
        })
    }
}

#[cfg(test)]
impl DicomSettings {
    /// The demo's.
    pub(crate) fn for_tests() -> Self {
        Self {
            slices: SliceThickness::Thick,
            kernel: Sharpness::Soft,
            uneven_slices: UnevenSlices::Resample,
            max_gap_mm: 15.0,
        }
    }
}

/// The table `labels` of the config.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLabels {
    /// Where the label comes from.
    pub source: LabelSource,
    /// Which growth counts.
    pub rule: GrowthRule,
    /// Growth over this fraction of the baseline volume is relative growth.
    pub relative_growth: f64,
    /// Growth over this volume is absolute growth, mL.
    pub absolute_growth_ml: f64,
    /// By the revised rule, this growth of intraventricular blood is growth, mL.
    pub ivh_growth_ml: f64,
    /// Whether intraventricular blood counts for the volume.
    pub count_intraventricular: bool,
    /// Follow-up scans within this window count, hours after the baseline scan.
    pub followup_window_h: [f64; 2],
    /// Whether follow-up masks are carried over to the cases, and how.
    pub followup_masks: FollowupMasks,
}

/// The table `splits` of the config.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSplits {
    /// Folds of the regimes `patient` and `same_patient`.
    pub n_folds: usize,
    /// How often patients are dealt anew in the regime `patient`; each time has folds of its own.
    pub n_repeats: usize,
    /// Into how many parts what is not tested is dealt, each of which validates once; with 1 a part
    /// `val_fraction` is drawn in their place.
    pub n_inner_folds: usize,
    /// Part of the patients, those scanned last, that the regime `time` tests.
    pub time_test_fraction: f64,
    /// Part of what is not tested that validates.
    pub val_fraction: f64,
    /// Part of what is not tested that neither trains nor validates, but calibrates sets of labels; 0 for none. Not in
    /// the regime `same_patient`.
    pub calibration_fraction: f64,
    /// Part of a held-out site's patients that serves as the unlabelled target.
    pub target_fraction: f64,
}

/// How a dataset is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayoutChoice {
    /// Recognised: `cases.csv` or `cases.tsv` makes a table, the folders of a public dataset that
    /// dataset, `participants.tsv` or `sub-*` BIDS, anything else a flat folder.
    Auto,
    /// `participants.tsv`, `sub-X/ses-baseline/ct/…`.
    Bids,
    /// `cases.csv` or `cases.tsv` with a column of paths.
    Table,
    /// NIfTI files and folders of DICOM files side by side.
    Flat,
    /// A tree of DICOM files, a case a study.
    Dicom,
    /// nnU-Net raw: `dataset.json`, `imagesTr`, `labelsTr`, images ending in `_0000`.
    Nnunet,
    /// Medical Segmentation Decathlon: as nnU-Net, images without an ending.
    Msd,
    /// PhysioNet CT-ICH: `ct_scans`, `masks`.
    CtIch,
    /// INSTANCE 2022: `data`, `label`.
    Instance,
    /// BHSD: `images`, `ground truths`.
    Bhsd,
}

/// Which growth of volumes counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrowthRule {
    /// Relative growth alone.
    Relative,
    /// Absolute growth alone.
    Absolute,
    /// Either of the two.
    Either,
    /// Either of the two, or intraventricular blood that is new or grows (Yogendrakumar et al., Stroke
    /// 51, 2020, 1120–1127).
    Revised,
}

/// Where the growth label comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelSource {
    /// The column `growth` where it holds a value, else the volumes.
    Auto,
    /// The column `growth` alone.
    Column,
    /// Baseline and follow-up volumes alone.
    Volumes,
}

/// How follow-up masks come onto the grids of the cases, which show the baseline scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowupMasks {
    /// They do not: they are read for their volumes alone.
    None,
    /// By a rigid registration of the follow-up CT onto the baseline CT.
    Registered,
    /// As they lie: both scans are in one frame already.
    AsScanned,
}

/// The checked config.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) layout: LayoutChoice,
    pub(crate) preparation: PreparationSettings,
    pub(crate) dicom: DicomSettings,
    pub(crate) labels: LabelRule,
    pub(crate) followup_masks: FollowupMasks,
    pub(crate) splits: SplitSettings,
}

/// How an image becomes a case.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparationSettings {
    /// Spacing of the canonical grid `[D, H, W]`, mm.
    pub spacing_mm: [f64; 3],
    /// HU are limited to this range before resampling.
    pub window_hu: [f32; 2],
    /// What is kept around the head on every side, mm.
    pub margin_mm: f64,
    /// Volume between which a brain mask is believed, mL.
    pub brain_ml: [f64; 2],
}

/// When a hematoma counts as grown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelRule {
    /// Where the label comes from.
    pub source: LabelSource,
    /// Which growth counts.
    pub rule: GrowthRule,
    /// Growth over this fraction of the baseline volume is relative growth.
    pub relative_growth: f64,
    /// Growth over this volume is absolute growth, mL.
    pub absolute_growth_ml: f64,
    /// By the revised rule, this growth of intraventricular blood is growth, mL.
    pub ivh_growth_ml: f64,
    /// Whether intraventricular blood counts for the volume.
    pub count_intraventricular: bool,
    /// Follow-up scans within this window count, hours after the baseline scan.
    pub followup_window_h: [f64; 2],
}

impl LabelRule {
    /// The labels of a mask whose volume decides growth.
    pub(crate) fn counted(&self) -> &'static [u8] {
        const BOTH: [u8; 2] = [Lesion::Intraparenchymal as u8, Lesion::Intraventricular as u8];
        if self.count_intraventricular { &BOTH } else { &BOTH[..1] }
    }
}

/// How a cohort is split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitSettings {
    /// Folds of the regimes `patient` and `same_patient`, at least 2.
    pub n_folds: usize,
    /// How often patients are dealt anew in the regime `patient`; each time has folds of its own.
    pub n_repeats: usize,
    /// Into how many parts what is not tested is dealt, each of which validates once; with 1 a part
    /// `val_fraction` is drawn in their place.
    pub n_inner_folds: usize,
    /// Part of the patients, those scanned last, that the regime `time` tests.
    pub time_test_fraction: f64,
    /// Part of what is not tested that validates.
    pub val_fraction: f64,
    /// Part of what is not tested that calibrates; what validates is drawn from the rest.
    pub calibration_fraction: f64,
    /// Part of a held-out site's patients that serves as the unlabelled target.
    pub target_fraction: f64,
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            preparation: preparation(&raw)?,
            dicom: raw.dicom.try_into().map_err(|e: ConfigError| e.within("dicom"))?,
            followup_masks: raw.labels.followup_masks,
            labels: raw.labels.try_into().map_err(|e: ConfigError| e.within("labels"))?,
            splits: raw.splits.try_into().map_err(|e: ConfigError| e.within("splits"))?,
            layout: raw.layout,
        })
    }
}

fn preparation(raw: &RawConfig) -> Result<PreparationSettings, ConfigError> {
    for spacing in raw.spacing_mm {
        check_range("spacing_mm", spacing, 0.2..=20.0)?;
    }
    let [low, high] = raw.window_hu;
    if !(low.is_finite() && high.is_finite() && low < high) {
        let found = format_args!("[{low}, {high}]");
        return Err(ConfigError::new("window_hu", "[low, high] with low < high", found));
    }
    check_range("margin_mm", raw.margin_mm, 0.0..=100.0)?;
    ascending("brain_ml", raw.brain_ml)?;
    Ok(PreparationSettings {
        spacing_mm: raw.spacing_mm,
        window_hu: raw.window_hu,
        margin_mm: raw.margin_mm,
        brain_ml: raw.brain_ml,
    })
}

/// `[low, high]` with 0 ≤ low < high.
fn ascending(key: &str, [low, high]: [f64; 2]) -> Result<(), ConfigError> {
    if low >= 0.0 && low < high && high.is_finite() {
        return Ok(());
    }
    Err(ConfigError::new(key, "[low, high] with 0 ≤ low < high", format_args!("[{low}, {high}]")))
}

impl TryFrom<RawLabels> for LabelRule {
    type Error = ConfigError;

    fn try_from(raw: RawLabels) -> Result<Self, ConfigError> {
        ascending("followup_window_h", raw.followup_window_h)?;
        if raw.rule == GrowthRule::Revised && raw.count_intraventricular {
            let expected = "false with the rule `revised`, which counts that blood by itself";
            return Err(ConfigError::new("count_intraventricular", expected, true));
        }
        Ok(Self {
            source: raw.source,
            rule: raw.rule,
            ivh_growth_ml: check_positive("ivh_growth_ml", raw.ivh_growth_ml)?,
            relative_growth: check_positive("relative_growth", raw.relative_growth)?,
            absolute_growth_ml: check_positive("absolute_growth_ml", raw.absolute_growth_ml)?,
            count_intraventricular: raw.count_intraventricular,
            followup_window_h: raw.followup_window_h,
        })
    }
}

impl TryFrom<RawSplits> for SplitSettings {
    type Error = ConfigError;

    fn try_from(raw: RawSplits) -> Result<Self, ConfigError> {
        if !(2..=100).contains(&raw.n_folds) {
            return Err(ConfigError::new("n_folds", "2 to 100 folds", raw.n_folds));
        }
        let count = |key: &str, n: usize| match n {
            1..=100 => Ok(n),
            _ => Err(ConfigError::new(key, "1 to 100", n)),
        };
        let time_test_fraction = raw.time_test_fraction;
        Ok(Self {
            n_folds: raw.n_folds,
            n_repeats: count("n_repeats", raw.n_repeats)?,
            n_inner_folds: count("n_inner_folds", raw.n_inner_folds)?,
            time_test_fraction: check_range("time_test_fraction", time_test_fraction, 0.05..=0.9)?,
            val_fraction: check_range("val_fraction", raw.val_fraction, 0.01..=0.9)?,
            calibration_fraction: check_range(
                "calibration_fraction",
                raw.calibration_fraction,
                0.0..=0.9,
            )?,
            target_fraction: check_range("target_fraction", raw.target_fraction, 0.0..=0.9)?,
        })
    }
}

#[cfg(test)]
mod tests;
