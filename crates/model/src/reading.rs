use hemex_volume::{Connectivity, Geometry, LabelMap, Lesion};
use serde::{Deserialize, Serialize};

use crate::{CaseOutput, ModelError, NetworkSpec, WindowOutput};

/// How a network's output becomes a statement on a case; kept with the model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Probability above which a voxel counts as lesion.
    pub mask_threshold: f64,
    /// A mask none of whose connected parts reaches this volume, mL, is no hematoma.
    pub min_lesion_ml: f64,
    /// Connected parts of a hematoma below this volume, mL, are dropped: the least focus beside it that is believed.
    pub min_focus_ml: f64,
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
        if !(0.0..=self.min_lesion_ml).contains(&self.min_focus_ml) {
            return refuse("min_focus_ml", "a number from 0 to min_lesion_ml", self.min_focus_ml);
        }
        Ok(self)
    }
}

/// What a network says of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Logit of growth without any prior offset; `None` where no hematoma was found, and of a network that segments
    /// alone.
    pub growth_logit: Option<f64>,
    /// Standard deviation of the logit over the windows that show the hematoma.
    pub uncertainty: Option<f64>,
    /// The hematoma ([`Lesion::Intraparenchymal`]) on the case's grid; networks that segment.
    pub mask: Option<LabelMap>,
    /// The same at follow-up, thresholded and cleaned alike; networks that tell it, where a hematoma was found now.
    pub followup_mask: Option<LabelMap>,
    /// By how much each window counts for the logit, in their order.
    pub window_weights: Vec<f64>,
}

/// Reads a case from its windows: the mean of their growth logits, weighted by the hematoma each shows.
///
/// A window's weight is the number of lesion voxels in it, or, for a network without a segmentation
/// head, its probability of showing a hematoma where that reaches `min_presence`; with attention over slices, times the
/// exponential of that ([`logits_of_cases`](crate::logits_of_cases) in training). No weight at all means that no
/// hematoma was found.
pub fn read_case(
    output: &CaseOutput,
    spec: &NetworkSpec,
    decision: &Decision,
    geometry: &Geometry,
) -> Reading {
    let clean = |probability: &Vec<f32>| clean_mask(probability, decision, geometry);
    let mask = output.lesion_probability.as_ref().map(clean);
    // Of what is not there nothing can be foretold.
    let is_found = mask.as_ref().is_some_and(|mask| mask.voxels().iter().any(|v| *v > 0));
    let followup_mask = output.followup_probability.as_ref().filter(|_| is_found).map(clean);
    let seen = output.windows.iter().map(|window| match &mask {
        Some(mask) => lesion_voxels(mask, window, spec.window()) as f64,
        None => presence(window, decision),
    });
    let weights = attended(&output.windows, seen.collect());
    let told = output.windows.iter().zip(&weights);
    let told: Vec<(f64, f64)> =
        told.filter_map(|(window, weight)| Some((*weight, window.growth_logit?))).collect();
    let growth_logit = weighted_mean(&told);
    let uncertainty = growth_logit.and_then(|logit| {
        let squares: Vec<(f64, f64)> =
            told.iter().map(|(w, z)| (*w, (z - logit).powi(2))).collect();
        weighted_mean(&squares).map(f64::sqrt)
    });
    Reading { growth_logit, uncertainty, mask, followup_mask, window_weights: weights }
}

/// The mean of pairs of a weight and a value; `None` without any weight.
fn weighted_mean(pairs: &[(f64, f64)]) -> Option<f64> {
    let total: f64 = pairs.iter().map(|(weight, _)| weight).sum();
    (total > 0.0).then(|| pairs.iter().map(|(weight, value)| weight * value).sum::<f64>() / total)
}

/// What is seen of the hematoma in each window, times the exponential of the attention that it gets.
fn attended(windows: &[WindowOutput], mut seen: Vec<f64>) -> Vec<f64> {
    let of_seen = windows.iter().zip(&seen).filter(|(_, seen)| **seen > 0.0);
    // Taken from all, the highest of those that count changes nothing, and none overflows.
    let highest = of_seen.filter_map(|(window, _)| window.attention).reduce(f64::max);
    let Some(highest) = highest else { return seen };
    for (window, seen) in windows.iter().zip(&mut seen).filter(|(_, seen)| **seen > 0.0) {
        *seen *= window.attention.map_or(1.0, |attention| (attention - highest).exp());
    }
    seen
}

/// The logit of growth whether or not a hematoma is found: the mean over windows, weighted by the lesion probability
/// that each holds, or its probability of showing a hematoma. `None` only where these are 0 throughout.
pub fn logit_without_decision(
    output: &CaseOutput,
    spec: &NetworkSpec,
    shape: [usize; 3],
) -> Option<f64> {
    let weight = |window: &WindowOutput| match &output.lesion_probability {
        Some(probability) => {
            let mut sum = 0.0;
            crate::window::for_each_row(shape, window.start, spec.window(), |at, _, length| {
                sum += probability[at..at + length].iter().map(|p| f64::from(*p)).sum::<f64>();
            });
            sum
        }
        None => presence_probability(window),
    };
    let weights = attended(&output.windows, output.windows.iter().map(weight).collect());
    let told = output.windows.iter().zip(weights);
    let told = told.filter_map(|(window, weight)| Some((weight, window.growth_logit?)));
    weighted_mean(&told.collect::<Vec<_>>())
}

/// Voxels above the threshold in parts (26-connected) that are large enough, if one of them makes a hematoma.
fn clean_mask(probability: &[f32], decision: &Decision, geometry: &Geometry) -> LabelMap {
    let mut mask = LabelMap::empty(*geometry);
    for (voxel, p) in mask.voxels_mut().iter_mut().zip(probability) {
        *voxel = u8::from(f64::from(*p) > decision.mask_threshold);
    }
    let parts = mask.components(&[1], Connectivity::TwentySix);
    let volumes_ml = parts.volumes_ml();
    let is_hematoma = volumes_ml.iter().any(|ml| *ml >= decision.min_lesion_ml);
    for (voxel, part) in mask.voxels_mut().iter_mut().zip(parts.voxels()) {
        let kept =
            is_hematoma && *part > 0 && volumes_ml[*part as usize - 1] >= decision.min_focus_ml;
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

fn presence_probability(window: &WindowOutput) -> f64 {
    window.presence_logit.map_or(0.0, |logit| 1.0 / (1.0 + (-logit).exp()))
}

fn presence(window: &WindowOutput, decision: &Decision) -> f64 {
    let probability = presence_probability(window);
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
        Decision { mask_threshold: 0.5, min_lesion_ml: 0.1, min_focus_ml: 0.03, min_presence: 0.5 };

    fn spec(kind: NetworkKind) -> NetworkSpec {
        NetworkSpec::try_from(raw(kind, Dims::Slices)).unwrap()
    }

    /// Three slices of 16 × 24 voxels of 0.02 mL.
    fn geometry() -> Geometry {
        Geometry::new([3, 16, 24], Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap())
            .unwrap()
    }

    fn window(d: i64, growth_logit: f64, presence_logit: Option<f64>) -> WindowOutput {
        WindowOutput {
            start: [d, 0, 0],
            growth_logit: Some(growth_logit),
            presence_logit,
            attention: None,
        }
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
        // 0.02 mL far from the rest, and 0.04.
        probability[at(2, 12, 20)] = 0.9;
        probability[at(0, 10, 20)] = 0.9;
        probability[at(0, 10, 21)] = 0.9;
        let output = CaseOutput {
            windows: vec![window(0, 1.0, None), window(1, -3.0, None), window(2, 50.0, None)],
            lesion_probability: Some(probability),
            followup_probability: None,
        };
        let reading = read_case(&output, &spec(NetworkKind::JointUnet), &DECISION, &geometry());
        let mean = (8.0 - 2.0 * 3.0) / 10.0;
        assert_eq!(reading.growth_logit, Some(mean));
        let variance = (8.0 * (1.0 - mean).powi(2) + 2.0 * (-3.0 - mean).powi(2)) / 10.0;
        assert!((reading.uncertainty.unwrap() - variance.sqrt()).abs() < 1e-12);
        assert_eq!(reading.mask.unwrap().count(&[1]), 10);
    }

    #[test]
    fn without_a_lesion_there_is_no_probability() {
        let output = CaseOutput {
            windows: vec![window(0, 1.0, None)],
            lesion_probability: Some(vec![0.5; 3 * 16 * 24]),
            followup_probability: None,
        };
        let reading = read_case(&output, &spec(NetworkKind::JointUnet), &DECISION, &geometry());
        assert_eq!((reading.growth_logit, reading.uncertainty), (None, None));

        let absent = CaseOutput {
            windows: vec![window(0, 1.0, Some(-0.1))],
            lesion_probability: None,
            followup_probability: None,
        };
        let reading = read_case(&absent, &spec(NetworkKind::Vgg), &DECISION, &geometry());
        assert_eq!((reading.growth_logit, reading.mask), (None, None));
    }

    #[test]
    fn a_follow_up_is_told_of_a_hematoma_that_is_found() {
        let strip = |n: usize| -> Vec<f32> {
            (0..3 * 16 * 24).map(|i| if i < n { 0.9 } else { 0.1 }).collect()
        };
        let read = |n_now: usize, n_then: Option<usize>| {
            let output = CaseOutput {
                windows: vec![window(0, 1.0, None)],
                lesion_probability: Some(strip(n_now)),
                followup_probability: n_then.map(strip),
            };
            let reading = read_case(&output, &spec(NetworkKind::JointUnet), &DECISION, &geometry());
            reading.followup_mask.map(|mask| mask.count(&[1]))
        };
        assert_eq!(read(6, Some(9)), Some(9));
        // Of 0.08 mL: below the least hematoma, which is cleaned away as a mask is.
        assert_eq!(read(6, Some(4)), Some(0));
        assert_eq!(read(4, Some(9)), None, "no hematoma now");
        assert_eq!(read(6, None), None, "a network without that head");
    }

    #[test]
    fn a_logit_is_had_of_a_head_without_hematoma_too() {
        let mut probability = vec![0.0; 3 * 16 * 24];
        probability[0] = 0.3;
        probability[16 * 24 + 5] = 0.1;
        let output = CaseOutput {
            windows: vec![window(0, 1.0, None), window(1, -3.0, None), window(2, 50.0, None)],
            lesion_probability: Some(probability),
            followup_probability: None,
        };
        let (joint, vgg) = (spec(NetworkKind::JointUnet), spec(NetworkKind::Vgg));
        let logit = logit_without_decision(&output, &joint, geometry().shape()).unwrap();
        assert!((logit - (0.3 - 0.3) / 0.4).abs() < 1e-6, "{logit}");
        let output = CaseOutput {
            windows: vec![window(0, 2.0, Some(0.0)), window(1, -1.0, Some(0.0))],
            lesion_probability: None,
            followup_probability: None,
        };
        assert_eq!(logit_without_decision(&output, &vgg, geometry().shape()), Some(0.5));
        let nothing = CaseOutput { windows: Vec::new(), ..output };
        assert_eq!(logit_without_decision(&nothing, &vgg, geometry().shape()), None);
    }

    #[test]
    fn attention_multiplies_what_is_seen() {
        let attended = |d, logit, presence, attention| WindowOutput {
            attention: Some(attention),
            ..window(d, logit, Some(presence))
        };
        let e = std::f64::consts::E;
        let windows = vec![
            attended(0, 2.0, 0.0, 701.0),
            attended(1, -1.0, 0.0, 700.0),
            // Not seen: whatever it gets.
            attended(2, 50.0, -5.0, 9000.0),
        ];
        let output = CaseOutput { windows, lesion_probability: None, followup_probability: None };
        let (decision, spec) = (Decision { min_presence: 0.4, ..DECISION }, spec(NetworkKind::Vgg));
        let reading = read_case(&output, &spec, &decision, &geometry());
        let mean = (2.0 * e - 1.0) / (e + 1.0);
        assert!((reading.growth_logit.unwrap() - mean).abs() < 1e-12);
        assert_eq!(reading.window_weights, [0.5, 0.5 * (-1.0f64).exp(), 0.0]);
        // Alike, it changes nothing; and nor does none.
        let alike = |attention: Option<f64>| {
            let windows = output.windows.iter().map(|w| WindowOutput { attention, ..w.clone() });
            let output = CaseOutput { windows: windows.collect(), ..output.clone() };
            read_case(&output, &spec, &decision, &geometry())
        };
        assert_eq!(alike(Some(-3.0)), alike(None));
        // Found or not, the third window counts, and is attended beyond all measure.
        assert_eq!(logit_without_decision(&output, &spec, [3, 16, 24]), Some(50.0));
    }

    #[test]
    fn a_network_without_masks_weighs_by_presence() {
        let output = CaseOutput {
            windows: vec![window(0, 2.0, Some(0.0)), window(1, -9.0, Some(-5.0))],
            lesion_probability: None,
            followup_probability: None,
        };
        let reading = read_case(&output, &spec(NetworkKind::Vgg), &DECISION, &geometry());
        assert_eq!(reading.growth_logit, Some(2.0));
    }
}
