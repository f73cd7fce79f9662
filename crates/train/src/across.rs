//! One loss of growth out of those of several sites, or of each class of each site.

use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;

/// What is minimised over sites that may disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Across {
    /// The mean over the windows that show the hematoma.
    Mean,
    /// The worst: each class of each site has a weight that grows with its loss (group distributionally robust
    /// optimisation; Sagawa et al., ICLR 2020, algorithm 1).
    GroupDro,
    /// The mean over sites, and by how much they vary (variance risk extrapolation; Krueger et al., ICML 2021, eq. 8).
    VRex,
}

/// Whose a window is, as far as it shows the hematoma; a value a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Members<'a> {
    /// Index of the site.
    pub(crate) sites: &'a [usize],
    pub(crate) grows: &'a [bool],
    pub(crate) shows: &'a [bool],
}

impl Members<'_> {
    /// Those of a group that show the hematoma, each with one over their number; `None` if there are none.
    fn shares(&self, is_in: impl Fn(usize) -> bool) -> Option<Vec<f32>> {
        let counted: Vec<bool> = (0..self.shows.len()).map(|i| self.shows[i] && is_in(i)).collect();
        let n = counted.iter().filter(|counted| **counted).count();
        let share = 1.0 / n as f32;
        (n > 0).then(|| counted.into_iter().map(|c| if c { share } else { 0.0 }).collect())
    }
}

/// The weights of group DRO, one each class of each site; they outlast an interruption.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupWeights(pub(crate) Vec<f64>);

impl GroupWeights {
    /// All alike.
    pub(crate) fn new(n_sites: usize) -> Self {
        Self(vec![1.0 / (2 * n_sites) as f64; 2 * n_sites])
    }

    /// Groups with a loss gain by `exp(η loss)`; a group that is not seen has none.
    fn update(&mut self, losses: &[Option<f64>], eta: f64) {
        for (weight, loss) in self.0.iter_mut().zip(losses) {
            *weight *= (eta * loss.unwrap_or(0.0)).exp();
        }
        let sum: f64 = self.0.iter().sum();
        self.0.iter_mut().for_each(|weight| *weight /= sum);
    }
}

/// The loss of growth of a batch out of those of its windows, `[B]`.
pub(crate) fn across(
    losses: Tensor<1>,
    members: Members<'_>,
    (kind, strength): (Across, f64),
    weights: &mut GroupWeights,
) -> Tensor<1> {
    match kind {
        Across::Mean => weighted(losses, &members.shares(|_| true)),
        Across::GroupDro => {
            let of_group = |g: usize| {
                members
                    .shares(|i| (members.sites[i], usize::from(members.grows[i])) == (g / 2, g % 2))
            };
            let shares: Vec<Option<Vec<f32>>> = (0..weights.0.len()).map(of_group).collect();
            let values = losses.to_data().iter::<f64>().collect::<Vec<_>>();
            let mean = |shares: &Option<Vec<f32>>| {
                let shares = shares.as_ref()?;
                Some(shares.iter().zip(&values).map(|(s, v)| f64::from(*s) * v).sum())
            };
            let means: Vec<Option<f64>> = shares.iter().map(mean).collect();
            weights.update(&means, strength);
            let mut of_window = vec![0.0; members.shows.len()];
            for (shares, weight) in shares.iter().zip(&weights.0) {
                for (own, share) in of_window.iter_mut().zip(shares.iter().flatten()) {
                    *own += share * *weight as f32;
                }
            }
            weighted(losses, &Some(of_window))
        }
        Across::VRex => {
            let n_sites = weights.0.len() / 2;
            let risks = (0..n_sites).filter_map(|site| {
                let shares = members.shares(|i| members.sites[i] == site)?;
                Some(weighted(losses.clone(), &Some(shares)))
            });
            let risks: Vec<Tensor<1>> = risks.collect();
            if risks.is_empty() {
                return weighted(losses, &None);
            }
            let risks = Tensor::cat(risks, 0);
            let mean = risks.clone().mean();
            let variance = (risks - mean.clone()).powi_scalar(2).mean();
            mean + variance.mul_scalar(strength)
        }
    }
}

/// The sum of the losses with these weights; 0 without any.
fn weighted(losses: Tensor<1>, weights: &Option<Vec<f32>>) -> Tensor<1> {
    match weights {
        Some(weights) => {
            let data = TensorData::new(weights.clone(), [weights.len()]);
            let weights = Tensor::from_data(data, &losses.device());
            (losses * weights).sum()
        }
        None => losses.mul_scalar(0.0).sum(),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    const LOSSES: [f32; 5] = [1.0, 2.0, 4.0, 0.5, 9.0];
    /// The last window shows nothing.
    const MEMBERS: Members<'_> = Members {
        sites: &[0, 0, 1, 1, 1],
        grows: &[false, true, false, false, true],
        shows: &[true, true, true, true, false],
    };

    fn of(kind: Across, strength: f64, weights: &mut GroupWeights) -> f64 {
        let losses = Tensor::<1>::from_data(LOSSES, &Device::flex());
        f64::from(across(losses, MEMBERS, (kind, strength), weights).into_scalar::<f32>())
    }

    #[test]
    fn the_mean_is_over_what_is_shown() {
        let found = of(Across::Mean, 0.0, &mut GroupWeights::new(2));
        assert!((found - 7.5 / 4.0).abs() < 1e-6, "{found}");
    }

    #[test]
    fn groups_gain_by_their_loss() {
        let mut weights = GroupWeights::new(2);
        let found = of(Across::GroupDro, 0.1, &mut weights);
        // Stable and growing of the first site, stable of the second; the last group is not seen.
        let means = [1.0, 2.0, 2.25, 0.0];
        let gains = means.map(|mean: f64| (0.1 * mean).exp());
        let expected = gains.map(|gain| gain / gains.iter().sum::<f64>());
        for (found, expected) in weights.0.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
        let loss: f64 = expected.iter().zip(means).map(|(weight, mean)| weight * mean).sum();
        assert!((found - loss).abs() < 1e-6, "{found} for {loss}");
    }

    #[test]
    fn sites_that_vary_cost() {
        // Means 1.5 and 2.25: their mean 1.875, their variance 0.140625.
        let found = of(Across::VRex, 10.0, &mut GroupWeights::new(2));
        assert!((found - (1.875 + 1.40625)).abs() < 1e-5, "{found}");
    }

    #[test]
    fn a_batch_that_shows_nothing_costs_nothing() {
        for kind in [Across::Mean, Across::GroupDro, Across::VRex] {
            let losses = Tensor::<1>::from_data([3.0f32, 4.0], &Device::flex());
            let members = Members { sites: &[0, 0], grows: &[true, false], shows: &[false, false] };
            let mut weights = GroupWeights::new(1);
            let found = across(losses, members, (kind, 1.0), &mut weights).into_scalar::<f32>();
            assert_eq!((found, weights), (0.0, GroupWeights::new(1)), "{kind:?}");
        }
    }
}
