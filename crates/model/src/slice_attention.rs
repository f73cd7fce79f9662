use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{ModelError, NetworkSpec, RawNetworkSpec};

/// Attention over the slices of a case (over its windows, of a network over volumes), as it is written in a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceAttentionSpec {
    /// Windows of a case from which its label is learnt together; the batch is a multiple of it.
    pub n_windows: usize,
    /// Channels of the hidden layer.
    pub n_hidden: usize,
}

/// Windows are told apart by attention only where there are several, of features of growth.
pub(crate) fn check_slice_attention(raw: &RawNetworkSpec) -> Result<(), ModelError> {
    let Some(attention) = raw.slice_attention else { return Ok(()) };
    let refuse = |key, expected: &str, found: String| {
        Err(ModelError::Spec { key, expected: expected.to_owned(), found })
    };
    if !raw.kind.classifies() {
        let expected = "none: this network has no features of growth that could tell slices apart";
        return refuse("slice_attention", expected, format!("{attention:?}"));
    }
    if !(2..=4096).contains(&attention.n_windows) {
        let expected = "2 to 4096: of one window there is nothing to choose";
        return refuse("slice_attention.n_windows", expected, attention.n_windows.to_string());
    }
    if !(1..=65_536).contains(&attention.n_hidden) {
        let found = attention.n_hidden.to_string();
        return refuse("slice_attention.n_hidden", "1 to 65536", found);
    }
    Ok(())
}

/// How much each window of a case counts for its growth: gated attention `wᵀ (tanh(V h) ⊙ σ(U h))` on the features `h`
/// of a window (Ilse, Tomczak & Welling, ICML 2018, eq. 9), `V` and `U` with biases.
///
/// The last layer of a classification head is linear. What it says of the features' weighted mean, which the paper
/// pools, is therefore the weighted mean of what it says of each window, so that windows go through the network one by
/// one and in any batches.
#[derive(Module, Debug)]
pub(crate) struct SliceAttention {
    value: Linear,
    gate: Linear,
    score: Linear,
}

impl SliceAttention {
    /// `None` where the spec asks for none.
    pub(crate) fn new(spec: &NetworkSpec, n_features: usize, device: &Device) -> Option<Self> {
        let n_hidden = spec.slice_attention()?.n_hidden;
        let hidden = || LinearConfig::new(n_features, n_hidden).init(device);
        Some(Self {
            value: hidden(),
            gate: hidden(),
            // The same for all windows, a bias would change no share.
            score: LinearConfig::new(n_hidden, 1).with_bias(false).init(device),
        })
    }

    /// `[B, features]` to `[B]`: the logarithm of a window's weight, up to what all of a case have in common.
    pub(crate) fn forward(&self, features: &Tensor<2>) -> Tensor<1> {
        let [n, _] = features.dims();
        let value = self.value.forward(features.clone()).tanh();
        let gate = sigmoid(self.gate.forward(features.clone()));
        self.score.forward(value * gate).reshape([n])
    }
}

/// What is not seen at all, as a logarithm.
const NOTHING: f32 = -1e30;

/// The logits of cases, `[cases]`, from those of their windows and the attention that each gets, both `[windows]`, of
/// which so many in a row are of one case: the mean over its windows, each weighted by what of the hematoma it shows
/// (`seen`, 0 or more, as many as there are windows) times `exp(attention)`. Of a case of which nothing is seen the mean
/// is by attention alone.
pub fn logits_of_cases(
    logits: Tensor<1>,
    attention: Tensor<1>,
    seen: &[f32],
    n_windows: usize,
) -> Tensor<1> {
    let n_cases = seen.len() / n_windows;
    let seen: Vec<f32> =
        seen.iter().map(|seen| if *seen > 0.0 { seen.ln() } else { NOTHING }).collect();
    let seen = Tensor::<1>::from_floats(seen.as_slice(), &logits.device());
    let shares = softmax((attention + seen).reshape([n_cases, n_windows]), 1);
    (logits.reshape([n_cases, n_windows]) * shares).sum_dim(1).reshape([n_cases])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use burn::module::Param;
    use burn::tensor::TensorData;

    use super::*;

    const WEIGHTS: [[f32; 4]; 2] = [[0.3, -1.1, 0.7, 0.2], [-0.6, 0.4, 0.9, -0.8]];
    const BIASES: [[f32; 2]; 2] = [[0.1, -0.2], [0.5, 0.3]];
    const SCORE: [f32; 2] = [1.5, -0.7];
    const FEATURES: [f32; 6] = [0.2, -0.4, 1.3, 0.6, -0.9, 0.1];

    fn linear(weight: &[f32], bias: Option<&[f32]>, n_out: usize) -> Linear {
        let device = Device::flex();
        let weight = TensorData::new(weight.to_vec(), [2, n_out]);
        Linear {
            weight: Param::from_tensor(Tensor::from_data(weight, &device)),
            bias: bias.map(|bias| Param::from_tensor(Tensor::from_floats(bias, &device))),
        }
    }

    fn values(tensor: Tensor<1>) -> Vec<f64> {
        let data = tensor.into_data();
        data.as_slice::<f32>().unwrap().iter().map(|v| f64::from(*v)).collect()
    }

    fn assert_near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
    }

    /// Three windows of two features each, by the paper's formula.
    #[test]
    fn attention_is_that_of_ilse_et_al() {
        let attention = SliceAttention {
            value: linear(&WEIGHTS[0], Some(&BIASES[0]), 2),
            gate: linear(&WEIGHTS[1], Some(&BIASES[1]), 2),
            score: linear(&SCORE, None, 1),
        };
        let features = TensorData::new(FEATURES.to_vec(), [3, 2]);
        let found = attention.forward(&Tensor::from_data(features, &Device::flex()));
        let layer = |layer: usize, x: &[f32], out: usize| {
            let of_input = |i: usize| f64::from(x[i]) * f64::from(WEIGHTS[layer][2 * i + out]);
            of_input(0) + of_input(1) + f64::from(BIASES[layer][out])
        };
        let expected = FEATURES.chunks(2).map(|x| {
            let hidden = |out: usize| layer(0, x, out).tanh() / (1.0 + (-layer(1, x, out)).exp());
            f64::from(SCORE[0]) * hidden(0) + f64::from(SCORE[1]) * hidden(1)
        });
        assert_near(&values(found), &expected.collect::<Vec<_>>());
    }

    /// The head's word on the pooled features is the pooled word on each: what lets windows go one by one.
    #[test]
    fn a_case_has_the_mean_of_its_windows_by_what_each_shows_and_how_it_is_attended() {
        let device = Device::flex();
        let tensor = |values: &[f32]| Tensor::<1>::from_floats(values, &device);
        let (logits, attention) = ([1.0, -2.0, 0.5, 3.0], [0.0, 1.0, -0.5, 90.0]);
        let found = logits_of_cases(tensor(&logits), tensor(&attention), &[10.0, 5.0, 2.0, 0.0], 2);
        let e = std::f64::consts::E;
        // Of the second case one window shows the hematoma, and the other counts nothing, however it is attended.
        assert_near(&values(found), &[(10.0 - 2.0 * 5.0 * e) / (10.0 + 5.0 * e), 0.5]);
        let nothing = logits_of_cases(tensor(&logits), tensor(&attention), &[0.0; 4], 4);
        assert!(values(nothing)[0].is_finite());
    }
}
