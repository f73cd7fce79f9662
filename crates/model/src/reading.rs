use hemex_volume::{Connectivity, Geometry, LabelMap, Lesion};
use serde::{Deserialize, Serialize};

use crate::{CaseOutput, ModelError, NetworkSpec, WindowOutput};

/// How a network's output becomes a statement on a case; kept with the model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Probability above which a voxel counts as lesion.
    pub mask_threshold: f64,
    /// Connected parts of the mask below this volume are dropped, mL.
    pub min_lesion_ml: f64,
    /// Probability above which a window shows a hematoma, for networks without a segmentation head.
    pub min_presence: f64,
}

impl Decision {
    /// Passes a decision whose values can be used.
    ///
    /// # Errors
    /// [`ModelError::Spec`] with the first key that cannot.
    pub fn check(self) -> Result<Self, ModelError> {
        let fraction = |value: f64| value > 0.0 && value < 1.0;
        let refuse = |key, expected: &str, found: f64| {
            Err(ModelError::Spec { key, expected: expected.to_owned(), found: found.to_string() })
        };
        if !fraction(self.mask_threshold) {
            return refuse("mask_threshold", "a number between 0 and 1", self.mask_threshold);
        }
        if !fraction(self.min_presence) {
            return refuse("min_presence", "a number between 0 and 1", self.min_presence);
        }
        if !(self.min_lesion_ml.is_finite() && self.min_lesion_ml >= 0.0) {
            return refuse("min_lesion_ml", "a number from 0", self.min_lesion_ml);
        }
        Ok(self)
    }
}

/// What a network says of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Logit of growth without any prior offset; `None` where no hematoma was found.
    pub growth_logit: Option<f64>,
    /// Standard deviation of the logit over the windows that show the hematoma.
    pub uncertainty: Option<f64>,
    /// The hematoma ([`Lesion::Intraparenchymal`]) on the case's grid; networks that segment.
    pub mask: Option<LabelMap>,
}

/// Reads a case from its windows: the mean of their growth logits, weighted by the hematoma each shows.
///
/// A window's weight is the number of lesion voxels in it, or, for a network without a segmentation
/// head, its probability of showing a hematoma where that reaches `min_presence`. No weight at all
/// means that no hematoma was found.
pub fn read_case(
    output: &CaseOutput,
    spec: &NetworkSpec,
    decision: &Decision,
    geometry: &Geometry,
) -> Reading {
    let mask = output
        .lesion_probability
        .as_ref()
        .map(|probability| clean_mask(probability, decision, geometry));
    let weights: Vec<f64> = output
        .windows
        .iter()
        .map(|window| match &mask {
            Some(mask) => lesion_voxels(mask, window, spec.window()) as f64,
            None => presence(window, decision),
        })
        .collect();
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return Reading { growth_logit: None, uncertainty: None, mask };
    }
    let mean = |value: &dyn Fn(&WindowOutput) -> f64| {
        let terms = output.windows.iter().zip(&weights).map(|(window, w)| w * value(window));
        terms.sum::<f64>() / total
    };
    let logit = mean(&|window| window.growth_logit);
    let variance = mean(&|window| (window.growth_logit - logit).powi(2));
    Reading { growth_logit: Some(logit), uncertainty: Some(variance.sqrt()), mask }
}

/// Voxels above the threshold in parts (26-connected) that are large enough.
fn clean_mask(probability: &[f32], decision: &Decision, geometry: &Geometry) -> LabelMap {
    let mut mask = LabelMap::empty(*geometry);
    for (voxel, p) in mask.voxels_mut().iter_mut().zip(probability) {
        *voxel = u8::from(f64::from(*p) > decision.mask_threshold);
    }
    let parts = mask.components(&[1], Connectivity::TwentySix);
    let volumes_ml = parts.volumes_ml();
    for (voxel, part) in mask.voxels_mut().iter_mut().zip(parts.voxels()) {
        let kept = *part > 0 && volumes_ml[*part as usize - 1] >= decision.min_lesion_ml;
        *voxel = if kept { Lesion::Intraparenchymal as u8 } else { 0 };
    }
    mask
}

fn lesion_voxels(mask: &LabelMap, window: &WindowOutput, size: [usize; 3]) -> usize {
    let shape = mask.geometry().shape();
    let mut n = 0;
    crate::window::for_each_row(shape, window.start, size, |at, _, length| {
        n += mask.voxels()[at..at + length].iter().filter(|v| **v > 0).count();
    });
    n
}

fn presence(window: &WindowOutput, decision: &Decision) -> f64 {
    let probability = window.presence_logit.map_or(0.0, |logit| 1.0 / (1.0 + (-logit).exp()));
    if probability >= decision.min_presence { probability } else { 0.0 }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::Affine;

    use super::*;
    use crate::spec::tests::raw;
    use crate::{Dims, NetworkKind};

    const DECISION: Decision =
        Decision { mask_threshold: 0.5, min_lesion_ml: 0.1, min_presence: 0.5 };

    fn spec(kind: NetworkKind) -> NetworkSpec {
        NetworkSpec::try_from(raw(kind, Dims::Slices)).unwrap()
    }

    /// Three slices of 16 × 24 voxels of 0.02 mL.
    fn geometry() -> Geometry {
        Geometry::new([3, 16, 24], Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap())
            .unwrap()
    }

    fn window(d: i64, growth_logit: f64, presence_logit: Option<f64>) -> WindowOutput {
        WindowOutput { start: [d, 0, 0], growth_logit, presence_logit }
    }

    #[test]
    fn windows_weigh_by_the_lesion_they_show_and_specks_are_dropped() {
        let mut probability = vec![0.1; 3 * 16 * 24];
        let at = |d: usize, h: usize, w: usize| (d * 16 + h) * 24 + w;
        for w in 0..6 {
            probability[at(0, 3, w)] = 0.9;
        }
        for w in 0..2 {
            probability[at(1, 3, w)] = 0.9;
        }
        // 0.02 mL far from the rest.
        probability[at(2, 12, 20)] = 0.9;
        let output = CaseOutput {
            windows: vec![window(0, 1.0, None), window(1, -3.0, None), window(2, 50.0, None)],
            lesion_probability: Some(probability),
        };
        let reading = read_case(&output, &spec(NetworkKind::JointUnet), &DECISION, &geometry());
        assert_eq!(reading.growth_logit, Some((6.0 - 2.0 * 3.0) / 8.0));
        let variance: f64 = (6.0 * 1.0 + 2.0 * 9.0) / 8.0;
        assert!((reading.uncertainty.unwrap() - variance.sqrt()).abs() < 1e-12);
        assert_eq!(reading.mask.unwrap().count(&[1]), 8);
    }

    #[test]
    fn without_a_lesion_there_is_no_probability() {
        let output = CaseOutput {
            windows: vec![window(0, 1.0, None)],
            lesion_probability: Some(vec![0.5; 3 * 16 * 24]),
        };
        let reading = read_case(&output, &spec(NetworkKind::JointUnet), &DECISION, &geometry());
        assert_eq!((reading.growth_logit, reading.uncertainty), (None, None));

        let absent =
            CaseOutput { windows: vec![window(0, 1.0, Some(-0.1))], lesion_probability: None };
        let reading = read_case(&absent, &spec(NetworkKind::Vgg), &DECISION, &geometry());
        assert_eq!((reading.growth_logit, reading.mask), (None, None));
    }

    #[test]
    fn a_network_without_masks_weighs_by_presence() {
        let output = CaseOutput {
            windows: vec![window(0, 2.0, Some(0.0)), window(1, -9.0, Some(-5.0))],
            lesion_probability: None,
        };
        let reading = read_case(&output, &spec(NetworkKind::Vgg), &DECISION, &geometry());
        assert_eq!(reading.growth_logit, Some(2.0));
    }
}
