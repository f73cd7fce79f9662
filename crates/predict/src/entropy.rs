/// How far a case is from being told, by one model or several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doubt {
    /// Shannon entropy of the mean of the models' probabilities, nats, 0 to ln 2.
    pub entropy_nats: f64,
    /// That entropy minus the mean of the models' own, nats, from 0: what they would agree on if they knew more (Houlsby
    /// et al., arXiv 1112.5745, 2011, eq. 2; Depeweg et al., ICML 2018, eq. 3). The rest each model has by itself: the
    /// case is no clearer to any of them. `None` of a single model.
    pub mutual_information_nats: Option<f64>,
}

impl Doubt {
    /// That of models with these logits; `None` without any.
    pub fn of(logits: impl IntoIterator<Item = f64>) -> Option<Self> {
        let probabilities: Vec<f64> =
            logits.into_iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
        let n = probabilities.len() as f64;
        if probabilities.is_empty() {
            return None;
        }
        let entropy_nats = binary_entropy_nats(probabilities.iter().sum::<f64>() / n);
        let own = probabilities.iter().map(|p| binary_entropy_nats(*p)).sum::<f64>() / n;
        // Never below 0 (Jensen), but for rounding.
        let between = (entropy_nats - own).max(0.0);
        let mutual_information_nats = (probabilities.len() > 1).then_some(between);
        Some(Self { entropy_nats, mutual_information_nats })
    }
}

/// Shannon entropy of yes with probability `p`, nats: 0 where it is certain, ln 2 at one half.
fn binary_entropy_nats(p: f64) -> f64 {
    let term = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    term(p) + term(1.0 - p)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const LN_2: f64 = std::f64::consts::LN_2;

    fn logit(p: f64) -> f64 {
        (p / (1.0 - p)).ln()
    }

    #[test]
    fn one_model_has_the_entropy_of_its_probability() {
        assert_eq!(Doubt::of([]), None);
        let doubt = Doubt::of([0.0]).unwrap();
        assert!((doubt.entropy_nats - LN_2).abs() < 1e-15);
        assert_eq!(doubt.mutual_information_nats, None);
        // scipy.stats.entropy([0.9, 0.1])
        let doubt = Doubt::of([logit(0.9)]).unwrap();
        assert!((doubt.entropy_nats - 0.325_082_973_391_448_2).abs() < 1e-12, "{doubt:?}");
        for certain in [-800.0, 800.0] {
            assert_eq!(Doubt::of([certain]).unwrap().entropy_nats, 0.0);
        }
    }

    #[test]
    fn models_that_contradict_each_other_share_information_and_those_that_agree_none() {
        // Sure of opposite things: the mean knows nothing, and all of it is disagreement.
        let opposite = Doubt::of([-800.0, 800.0]).unwrap();
        assert!((opposite.entropy_nats - LN_2).abs() < 1e-15);
        assert!((opposite.mutual_information_nats.unwrap() - LN_2).abs() < 1e-15);
        // All alike unsure: none of it is.
        let alike = Doubt::of([0.3; 3]).unwrap();
        assert!(alike.mutual_information_nats.unwrap() < 1e-15, "{alike:?}");
        // scipy: entropy([0.5, 0.5]) and minus the mean of entropy([0.8, 0.2]) and entropy([0.2, 0.8])
        let two = Doubt::of([logit(0.8), logit(0.2)]).unwrap();
        assert!((two.entropy_nats - LN_2).abs() < 1e-12);
        let expected = LN_2 - 0.500_402_423_538_187_9;
        assert!((two.mutual_information_nats.unwrap() - expected).abs() < 1e-12, "{two:?}");
    }
}
