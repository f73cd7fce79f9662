//! Windows of both domains that are compared while the network learns: beside those that it learns from.

use burn::tensor::{Device, Tensor, TensorData};
use hemex_stage::DrawKey;
use rand::{Rng, RngExt};

use super::{Sample, WindowSource, cut};
use crate::TrainError;
use crate::cohort::{BRAIN, Cohort, Unlabelled};

/// A window of a source case and one of a target case, as the network sees them.
pub(super) struct Beside {
    source: Vec<f32>,
    target: Vec<f32>,
}

/// Those of a batch's samples, windows of source cases first; `[C, D, H, W]` each. `None` where there are none.
pub(super) fn batch_of_both(
    samples: &[Sample],
    [c, d, h, w]: [usize; 4],
    device: &Device,
) -> Option<Tensor<5>> {
    let pairs: Vec<&Beside> = samples.iter().filter_map(|s| s.beside.as_ref()).collect();
    let source = pairs.iter().flat_map(|pair| &pair.source);
    let both = source.chain(pairs.iter().flat_map(|pair| &pair.target));
    let both = TensorData::new(both.copied().collect(), [2 * pairs.len(), c, d, h, w]);
    (!pairs.is_empty()).then(|| Tensor::from_data(both, device))
}

impl WindowSource<'_> {
    /// The `index`-th pair of the epoch; `None` without target cases.
    ///
    /// Both windows are drawn in one way, which knows of no label: every case of the domain as often, every slice of
    /// its brain as often. Windows around a lesion are known of source cases alone, and cases by growth too: features
    /// of such would differ from those of target windows by what they show.
    pub(super) fn beside(&self, epoch: usize, index: usize) -> Result<Option<Beside>, TrainError> {
        let Cohort { train, target, .. } = self.cohort;
        if target.is_empty() {
            return Ok(None);
        }
        let key = |purpose| DrawKey::new(self.seed, purpose).epoch(epoch).repeat(index);
        let drawn = |purpose, n| key(purpose).rng().random_range(0..n);
        let source = train[drawn("train.source_case", train.len())].unlabelled();
        let target = target[drawn("train.target_case", target.len())].unlabelled();
        Ok(Some(Beside {
            source: self.blind(
                source,
                &key("train.source_window"),
                &key("train.source_augment"),
            )?,
            target: self.blind(
                target,
                &key("train.target_window"),
                &key("train.target_augment"),
            )?,
        }))
    }

    /// A window in the brain of a case, transformed as if no lesion were known.
    fn blind(
        &self,
        case: Unlabelled<'_>,
        window: &DrawKey,
        augment: &DrawKey,
    ) -> Result<Vec<f32>, TrainError> {
        let of_case = |key: &DrawKey| key.clone().case(case.case_id);
        let rng = &mut of_case(window).rng();
        let voxels = in_brain(case.brain, rng);
        let start = self.place_in(voxels, case.image.geometry().shape(), case.extent, rng);
        let (start, size) = self.slab(start);
        let background = self.cohort.preparation.window_hu[0];
        let (image, mut labels) = cut(case.image, case.labels, start, size, background)
            .map_err(|problem| TrainError::Case { case_id: case.case_id.to_owned(), problem })?;
        labels.voxels_mut().iter_mut().for_each(|label| *label &= BRAIN);
        let (input, _) = self.transformed(case.case_id, &image, &labels, &of_case(augment))?;
        Ok(input)
    }
}

/// The brain in one of its slices, each as often as another.
pub(super) fn in_brain<'a>(brain: &'a [Vec<u32>], rng: &mut impl Rng) -> &'a [u32] {
    &brain[rng.random_range(0..brain.len())]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_augment::{GrowthRule, Policy};
    use hemex_volume::LabelMap;

    use super::*;
    use crate::cohort::tests::{fold, request, spec, transplant, write_cohort};
    use crate::cohort::{Fold, TrainCase};
    use crate::{Balancing, RawConfig, Sampler, SamplerKind};

    /// The policy of the tiny trainings, which deforms lesions.
    fn policy() -> Policy {
        let text = include_str!("../../../../tests/fixtures/train-tiny.toml");
        let raw: RawConfig = toml::from_str(text).unwrap();
        assert!(raw.augment.lesion.probability > 0.0);
        Policy::try_from(raw.augment).unwrap()
    }

    /// The first 20 pairs.
    fn pairs(cohort: &Cohort) -> Vec<Beside> {
        let drawn: Vec<_> = cohort.train.iter().map(TrainCase::drawn).collect();
        let sampler = Sampler::new(SamplerKind::ClassBalanced, 0.0, &drawn).unwrap();
        let source = WindowSource {
            cohort,
            sampler: &sampler.by(Balancing::Resampling),
            policy: &policy(),
            transplant: &transplant(0.0),
            growth: &GrowthRule { relative: 0.33, absolute_ml: 6.0 },
            spec: &spec(),
            lesion_window_share: 0.5,
            seed: 5,
            batch_size: 4,
        };
        (0..20).map(|index| source.beside(0, index).unwrap().unwrap()).collect()
    }

    #[test]
    fn source_windows_know_as_little_of_lesions_as_target_windows() {
        let folder = tempfile::tempdir().unwrap();
        write_cohort(folder.path());
        let (spec, transplant) = (spec(), transplant(0.0));
        let asked = Fold { targets: true, ..fold(&spec, &transplant) };
        let mut cohort = Cohort::read(&request(folder.path()), &asked).unwrap();
        let before = pairs(&cohort);
        for case in &mut cohort.train {
            let unlabelled = case.labels.voxels().iter().map(|label| label & BRAIN).collect();
            case.labels = LabelMap::new(*case.labels.geometry(), unlabelled).unwrap();
            (case.lesion, case.growth) = (Vec::new(), !case.growth);
        }
        let after = pairs(&cohort);
        for (before, after) in before.iter().zip(&after) {
            assert!(before.source == after.source && before.target == after.target);
        }
        let is_new =
            |(i, pair): (usize, &Beside)| before[..i].iter().all(|p| p.source != pair.source);
        assert!(before.iter().enumerate().all(is_new), "a pair is drawn twice");
    }
}
