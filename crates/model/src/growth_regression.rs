use hemex_volume::{Image, LabelMap, Lesion, LesionDescriptors, NcctSigns, VolumeError};
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// The names of [`sign_features`], in order.
///
/// Where a sign is a number cut at a threshold, the number stands for it; a flag of its own told held-out cases nothing
/// more, but for blend and swirl, which are more than their number.
pub const SIGN_FEATURES: [&str; 10] = [
    "ln_volume_ml",
    "solidity",
    "black_hole_difference_hu",
    "hypodensity_depth_hu",
    "blend",
    "part_difference_hu",
    "swirl",
    "swirl_share",
    "n_satellites",
    "n_buds",
];

/// What the hematoma of a mask shows of its growth: volume, outline and the signs of [`NcctSigns`], flags as 0 or 1.
/// `None` for an empty mask. The image is in HU, on the grid of the mask.
///
/// Densities enter as differences within the hematoma alone, which no scanner's offset moves.
///
/// # Errors
/// [`VolumeError::GridMismatch`] if image and mask lie on different grids.
pub fn sign_features(
    image: &Image,
    mask: &LabelMap,
) -> Result<Option<[f64; SIGN_FEATURES.len()]>, VolumeError> {
    let labels = [Lesion::Intraparenchymal as u8];
    let signs = NcctSigns::of(image, mask, &labels)?;
    let shape = LesionDescriptors::of(mask, &labels, image)?;
    let (Some(signs), Some(shape)) = (signs, shape) else { return Ok(None) };
    let numbers = signs.numbers();
    Ok(Some(SIGN_FEATURES.map(|name| match NcctSigns::NAMES.iter().position(|n| *n == name) {
        Some(place) => numbers[place],
        // The one feature that is no sign.
        None => shape.volume_ml.ln(),
    })))
}

/// Growth told from what is known of a case once its hematoma is found: a logistic regression on features by name,
/// those of [`sign_features`] and clinical ones.
///
/// Its logit speaks of the prior of the cases it was fitted on: nothing is added to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrowthRegression {
    /// The log-odds where every feature is at its mean.
    pub intercept: f64,
    /// The features.
    pub features: Vec<GrowthFeature>,
}

/// How a feature enters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrowthFeature {
    /// Its name.
    pub name: String,
    /// Mean over the cases of the fit in which it is known.
    pub mean: f64,
    /// Standard deviation over the same cases; 1 for a feature that does not vary.
    pub sd: f64,
    /// Log-odds a standard deviation.
    pub coefficient: f64,
    /// Log-odds where it is not known, beside those of its mean; 0 for one that the cases of the fit all had.
    pub unknown: f64,
}

impl GrowthRegression {
    /// Passes a regression over features that are known by name.
    ///
    /// # Errors
    /// [`ModelError::Spec`] if it is over others, or a number of it is not finite.
    pub fn check(self, known: &[&str]) -> Result<Self, ModelError> {
        let is_known = |feature: &&GrowthFeature| known.contains(&feature.name.as_str());
        if let Some(other) = self.features.iter().find(|feature| !is_known(feature)) {
            let (expected, found) = (format!("names of {known:?}"), other.name.clone());
            return Err(ModelError::Spec { key: "growth_regression.features", expected, found });
        }
        let numbers =
            self.features.iter().flat_map(|f| [f.mean, f.coefficient, 1.0 / f.sd, f.unknown]);
        if !numbers.chain([self.intercept]).all(f64::is_finite) {
            let (expected, found) = ("finite numbers".to_owned(), format!("{self:?}"));
            return Err(ModelError::Spec { key: "growth_regression", expected, found });
        }
        Ok(self)
    }

    /// The logit of growth of a case whose features are these; `None` for one that is not known.
    pub fn logit(&self, value: impl Fn(&str) -> Option<f64>) -> f64 {
        let term = |f: &GrowthFeature| match value(&f.name) {
            Some(value) => f.coefficient * (value - f.mean) / f.sd,
            None => f.unknown,
        };
        self.intercept + self.features.iter().map(term).sum::<f64>()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry};

    use super::*;

    fn growth(coefficient: f64) -> GrowthRegression {
        let feature = |name: &str, coefficient, unknown| GrowthFeature {
            name: name.to_owned(),
            mean: 1.0,
            sd: 2.0,
            coefficient,
            unknown,
        };
        let features = vec![feature("ln_volume_ml", coefficient, 0.0), feature("gcs", -0.5, 0.25)];
        GrowthRegression { intercept: -1.0, features }
    }

    #[test]
    fn features_are_those_of_the_mask() {
        let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap();
        let geometry = Geometry::new([6, 20, 20], affine).unwrap();
        let mut mask = LabelMap::empty(geometry);
        for d in 1..5 {
            for h in 5..15 {
                (5..15).for_each(|w| mask.voxels_mut()[geometry.offset([d, h, w])] = 1);
            }
        }
        let image = Image::filled(geometry, 60.0);
        let features = sign_features(&image, &mask).unwrap().unwrap();
        // 400 voxels of 0.02 mL; a block has no bay and no sign.
        assert!((features[0] - 8.0_f64.ln()).abs() < 1e-12, "{features:?}");
        let no_signs = SIGN_FEATURES.iter().filter(|name| !NcctSigns::NAMES.contains(name));
        assert_eq!(no_signs.collect::<Vec<_>>(), ["ln_volume_ml"].iter().collect::<Vec<_>>());
        assert!(features[1] > 0.9 && features[2..].iter().all(|f| *f == 0.0), "{features:?}");
        assert_eq!(sign_features(&image, &LabelMap::empty(geometry)).unwrap(), None);
    }

    #[test]
    fn a_logit_adds_what_is_known_and_says_what_is_not() {
        let value = |name: &str| match name {
            "ln_volume_ml" => Some(3.0),
            "gcs" => Some(13.0),
            _ => None,
        };
        assert!((growth(3.0).logit(value) - (-1.0 + 3.0 - 0.5 * 6.0)).abs() < 1e-12);
        let without_gcs = |name: &str| value(name).filter(|_| name != "gcs");
        assert!((growth(3.0).logit(without_gcs) - (-1.0 + 3.0 + 0.25)).abs() < 1e-12);
    }

    #[test]
    fn a_regression_over_unknown_features_is_refused() {
        let known = ["gcs", "ln_volume_ml"];
        assert!(growth(1.0).check(&known).is_ok());
        let error = growth(1.0).check(&SIGN_FEATURES).unwrap_err().to_string();
        assert!(error.contains("gcs"), "{error}");
        let mut flat = growth(1.0);
        flat.features[1].sd = 0.0;
        assert!(flat.check(&known).is_err());
        assert!(growth(f64::NAN).check(&known).is_err());
    }
}
