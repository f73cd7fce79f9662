use hemex_volume::{Image, LabelMap, Lesion, LesionDescriptors, NcctSigns, VolumeError};
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// The names of [`sign_features`], in order.
pub const SIGN_FEATURES: [&str; 14] = [
    "ln_volume_ml",
    "solidity",
    "black_hole",
    "black_hole_difference_hu",
    "hypodensity_depth_hu",
    "blend",
    "part_difference_hu",
    "swirl",
    "swirl_share",
    "satellite",
    "n_satellites",
    "island",
    "n_islands_apart",
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

/// Growth told from the signs of the hematoma that a network found: a logistic regression on [`sign_features`].
///
/// Its logit speaks of the prior of the cases it was fitted on: nothing is added to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignsGrowth {
    /// The log-odds where every feature is at its mean.
    pub intercept: f64,
    /// The features, in the order of [`SIGN_FEATURES`].
    pub features: Vec<SignCoefficient>,
}

/// How a feature enters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignCoefficient {
    /// Its name.
    pub name: String,
    /// Mean over the cases of the fit.
    pub mean: f64,
    /// Standard deviation over the same cases; 1 for a feature that does not vary.
    pub sd: f64,
    /// Log-odds a standard deviation.
    pub coefficient: f64,
}

impl SignsGrowth {
    /// Passes a regression over the features that this version computes.
    ///
    /// # Errors
    /// [`ModelError::Spec`] if it is over others, or a number of it is not finite.
    pub fn check(self) -> Result<Self, ModelError> {
        let found: Vec<&str> = self.features.iter().map(|feature| feature.name.as_str()).collect();
        if found != SIGN_FEATURES {
            let (expected, found) = (format!("{SIGN_FEATURES:?}"), format!("{found:?}"));
            return Err(ModelError::Spec { key: "growth_from_signs.features", expected, found });
        }
        let numbers = self.features.iter().flat_map(|f| [f.mean, f.coefficient, 1.0 / f.sd]);
        if !numbers.chain([self.intercept]).all(f64::is_finite) {
            let (expected, found) = ("finite numbers".to_owned(), format!("{self:?}"));
            return Err(ModelError::Spec { key: "growth_from_signs", expected, found });
        }
        Ok(self)
    }

    /// The logit of growth.
    pub fn logit(&self, features: &[f64; SIGN_FEATURES.len()]) -> f64 {
        let terms = self.features.iter().zip(features);
        let terms = terms.map(|(f, value)| f.coefficient * (value - f.mean) / f.sd);
        self.intercept + terms.sum::<f64>()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry};

    use super::*;

    fn growth(coefficient: f64) -> SignsGrowth {
        let feature = |name: &&str| SignCoefficient {
            name: (*name).to_owned(),
            mean: 1.0,
            sd: 2.0,
            coefficient: if *name == "ln_volume_ml" { coefficient } else { 0.0 },
        };
        SignsGrowth { intercept: -1.0, features: SIGN_FEATURES.iter().map(feature).collect() }
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
        assert!((growth(3.0).logit(&features) - (-1.0 + 1.5 * (8.0_f64.ln() - 1.0))).abs() < 1e-12);
        assert_eq!(sign_features(&image, &LabelMap::empty(geometry)).unwrap(), None);
    }

    #[test]
    fn a_regression_over_other_features_is_refused() {
        assert!(growth(1.0).check().is_ok());
        let mut other = growth(1.0);
        other.features.swap(0, 1);
        assert!(other.check().is_err());
        let mut flat = growth(1.0);
        flat.features[3].sd = 0.0;
        assert!(flat.check().is_err());
        assert!(growth(f64::NAN).check().is_err());
    }
}
