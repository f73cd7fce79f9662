use burn::tensor::{Device, Tensor, TensorData};
use hemex_augment::{GrowthRule, Policy, TransplantDraw, TransplantPolicy, TransplantProvenance};
use hemex_model::{Extent, InputSpec, NetworkSpec};
use hemex_stage::DrawKey;
use hemex_volume::{Image, LabelMap};
use rand::{Rng, RngExt};

use crate::TrainError;
use crate::across::Members;
use crate::cohort::{BRAIN, Cohort, TrainCase, is_lesion, is_lesion_at_followup};
use crate::followup::FollowupTargets;
use crate::sampler::Sampler;
use crate::signs::{Readings, SignTargets};

mod beside;
mod of_cases;

use beside::{Beside, batch_of_both, in_brain};

/// Windows of a step, on the device.
pub(crate) struct Batch {
    /// `[B, C, D, H, W]`, −1 to 1.
    pub(crate) input: Tensor<5>,
    /// 1 in the hematoma, `[B, 1, D, H, W]`.
    pub(crate) mask: Tensor<5>,
    /// 1 where the case grew, `[cases]`: windows that follow one another are of one case, as many as the network learns a
    /// label from.
    pub(crate) growth: Tensor<1>,
    /// What each case counts in the loss of growth, `[cases]`.
    pub(crate) growth_weights: Tensor<1>,
    /// Voxels of the hematoma that each window shows, `[B]`.
    pub(crate) seen: Vec<f32>,
    /// 1 where the window shows the hematoma, `[B]`.
    pub(crate) shows_lesion: Tensor<1>,
    /// Signs that a reader saw of the hematomas shown; none where nobody looked for one that is learnt.
    pub(crate) signs: Option<SignTargets>,
    /// Where the hematomas lie at follow-up; none where it is known of no window, or not told.
    pub(crate) followup: Option<FollowupTargets>,
    /// Of each case its site, whether it grew and whether any of its windows shows the hematoma.
    sites: Vec<usize>,
    grows: Vec<bool>,
    shows: Vec<bool>,
    /// Of the windows, for messages.
    pub(crate) case_ids: Vec<String>,
    /// Where domains are aligned, windows of source cases and as many of target cases behind them, `[2 B, C, D, H, W]`.
    pub(crate) beside: Option<Tensor<5>>,
}

impl Batch {
    /// Windows of one site that all show the hematoma, each counting alike.
    #[cfg(test)]
    pub(crate) fn of(input: Tensor<5>, mask: Tensor<5>, grows: Vec<bool>) -> Self {
        let (n, device) = (grows.len(), input.device());
        let growth: Vec<f32> = grows.iter().map(|grows| f32::from(u8::from(*grows))).collect();
        Self {
            input,
            mask,
            growth: Tensor::from_data(TensorData::new(growth, [n]), &device),
            growth_weights: Tensor::ones([n], &device),
            seen: vec![1.0; n],
            shows_lesion: Tensor::ones([n], &device),
            signs: None,
            followup: None,
            sites: vec![0; n],
            grows,
            shows: vec![true; n],
            case_ids: vec![String::new(); n],
            beside: None,
        }
    }

    /// Whose cases its windows show.
    pub(crate) fn members(&self) -> Members<'_> {
        Members { sites: &self.sites, grows: &self.grows, shows: &self.shows }
    }
}

/// Draws the windows of a training.
pub(crate) struct WindowSource<'a> {
    pub(crate) cohort: &'a Cohort,
    pub(crate) sampler: &'a Sampler,
    pub(crate) policy: &'a Policy,
    pub(crate) transplant: &'a TransplantPolicy,
    pub(crate) growth: &'a GrowthRule,
    pub(crate) spec: &'a NetworkSpec,
    pub(crate) lesion_window_share: f64,
    pub(crate) seed: u64,
    pub(crate) batch_size: usize,
}

/// One window, augmented.
pub(crate) struct Sample {
    input: Vec<f32>,
    mask: Vec<f32>,
    /// 1 where the hematoma lies at follow-up; `None` where that is not known, or not told.
    followup: Option<Vec<f32>>,
    growth: bool,
    growth_weight: f64,
    signs: Readings,
    /// Index among the cohort's sites.
    site: usize,
    case_id: String,
    /// A window of a source and of a target case, where domains are aligned.
    beside: Option<Beside>,
    /// Of the planted hematoma.
    pub(crate) transplant: Option<TransplantProvenance>,
}

/// A case with a planted hematoma.
struct Planted {
    image: Image,
    labels: LabelMap,
    provenance: TransplantProvenance,
}

impl WindowSource<'_> {
    /// The windows of a step on the device.
    pub(crate) fn batch(&self, samples: &[Sample], device: &Device) -> Batch {
        let [d, h, w] = self.spec.window();
        let shape = [self.spec.input().n_channels(), d, h, w];
        let n = samples.len();
        let volume = |n_channels: usize, voxels: &dyn Fn(&Sample) -> &Vec<f32>| {
            let data = samples.iter().flat_map(|s| voxels(s).iter().copied()).collect();
            Tensor::from_data(TensorData::new(data, [n, n_channels, d, h, w]), device)
        };
        let vector = |values: Vec<f32>| Tensor::<1>::from_floats(values.as_slice(), device);
        let readings: Vec<&[Option<bool>]> = samples.iter().map(|s| s.signs.as_slice()).collect();
        let seen: Vec<f32> = samples.iter().map(|s| s.mask.iter().sum()).collect();
        let shows: Vec<bool> = seen.iter().map(|seen| *seen > 0.0).collect();
        let followups: Vec<Option<&[f32]>> =
            samples.iter().map(|s| s.followup.as_deref()).collect();
        // The first window of each case stands for what the case is.
        let n_windows = self.spec.n_windows_of_case();
        let cases = || samples.iter().step_by(n_windows);
        Batch {
            input: volume(shape[0], &|s| &s.input),
            mask: volume(1, &|s| &s.mask),
            growth: vector(cases().map(|s| f32::from(u8::from(s.growth))).collect()),
            growth_weights: vector(cases().map(|s| s.growth_weight as f32).collect()),
            shows_lesion: vector(shows.iter().map(|shows| f32::from(u8::from(*shows))).collect()),
            signs: SignTargets::new(&readings, &shows, device),
            followup: FollowupTargets::new(&followups, self.spec.window(), device),
            sites: cases().map(|s| s.site).collect(),
            grows: cases().map(|s| s.growth).collect(),
            shows: shows.chunks(n_windows).map(|of_case| of_case.contains(&true)).collect(),
            seen,
            case_ids: samples.iter().map(|s| s.case_id.clone()).collect(),
            beside: batch_of_both(samples, shape, device),
        }
    }

    /// The `index`-th window of the epoch: a case, a place in it, a transform; the same for the same
    /// seed. Windows of one case, as many as a label is learnt from, follow one another.
    pub(crate) fn sample(&self, epoch: usize, index: usize) -> Result<Sample, TrainError> {
        let key = |purpose| DrawKey::new(self.seed, purpose).epoch(epoch).repeat(index);
        let of_case = |purpose| {
            let nth = index / self.spec.n_windows_of_case();
            DrawKey::new(self.seed, purpose).epoch(epoch).repeat(nth)
        };
        let case_idx = self.sampler.draw(&of_case("train.case"));
        let case = &self.cohort.train[case_idx];
        let start = self.place(case, &key("train.window").case(&case.case_id));
        let window_hu = self.cohort.preparation.window_hu;
        let planted = self.planted(case, &of_case("train.transplant").case(&case.case_id))?;
        let (image, labels) =
            planted.as_ref().map_or((&case.image, &case.labels), |p| (&p.image, &p.labels));
        let (start, size) = self.slab(start);
        let (image, labels) = cut(image, labels, start, size, window_hu[0])
            .map_err(|problem| TrainError::Case { case_id: case.case_id.clone(), problem })?;
        let key = key("train.augment").case(&case.case_id);
        let (input, labels) = self.transformed(&case.case_id, &image, &labels, &key)?;
        let mask = marked(&labels, is_lesion);
        // How two hematomas in one head would grow is not known.
        let is_followed = case.is_followed && planted.is_none();
        Ok(Sample {
            input,
            mask,
            followup: is_followed.then(|| marked(&labels, is_lesion_at_followup)),
            growth: case.growth,
            growth_weight: self.sampler.weight(case_idx),
            signs: match &planted {
                // Nobody looked at the hematoma that is planted beside the case's own.
                Some(_) => vec![None; case.signs.len()],
                None => case.signs.clone(),
            },
            site: case.site,
            case_id: case.case_id.clone(),
            beside: self.beside(epoch, index)?,
            transplant: planted.map(|planted| planted.provenance),
        })
    }

    /// What the network sees of a window under the transform of this key, and the labels in it.
    fn transformed(
        &self,
        case_id: &str,
        image: &Image,
        labels: &LabelMap,
        key: &DrawKey,
    ) -> Result<(Vec<f32>, Vec<u8>), TrainError> {
        let lesion: Vec<usize> =
            (0..labels.voxels().len()).filter(|place| is_lesion(labels.voxels()[*place])).collect();
        let drawn = self.policy.draw_around(key, image.geometry(), &lesion);
        let (image, labels) = drawn
            .apply(image, labels, self.cohort.preparation.window_hu)
            .map_err(|source| TrainError::Augment { case_id: case_id.to_owned(), source })?;
        let n_voxels: usize = self.spec.window().iter().product();
        Ok(network_input(&image, &labels, self.spec.input(), n_voxels))
    }

    /// Start and size of what is cut for a window: its neighbouring slices too.
    fn slab(&self, start: [i64; 3]) -> ([i64; 3], [usize; 3]) {
        let ([d, h, w], input) = (self.spec.window(), self.spec.input());
        match input.n_neighbours {
            0 => (start, [d, h, w]),
            n => ([start[0] - n as i64, start[1], start[2]], [input.n_slices(), h, w]),
        }
    }

    /// The case with the hematoma of another training case, if one is drawn, finds a place and leaves the outcome
    /// known and as it was: classes are balanced by the cases' own outcomes, which must not drift.
    fn planted(&self, case: &TrainCase, key: &DrawKey) -> Result<Option<Planted>, TrainError> {
        let Some(ground) = &case.ground else {
            return Ok(None);
        };
        let view = ground.view(&case.case_id, &case.image);
        let drawn = self.transplant.draw(key, &view, &ground.open, &self.cohort.donors);
        let TransplantDraw::Placed { drawn, donor } = drawn else {
            return Ok(None);
        };
        let planted = drawn
            .apply(donor, &view, self.cohort.preparation.window_hu)
            .map_err(|source| TrainError::Augment { case_id: case.case_id.clone(), source })?;
        if planted.grew(self.growth) != Some(case.growth) {
            return Ok(None);
        }
        let (image, mut labels, provenance) = (planted.image, planted.labels, planted.provenance);
        for (label, brain) in labels.voxels_mut().iter_mut().zip(ground.brain.voxels()) {
            *label |= brain;
        }
        Ok(Some(Planted { image, labels, provenance }))
    }

    /// Where the window starts: around a voxel of the lesion, or of the brain.
    ///
    /// In the brain each slice is drawn as often as another: small ones, at vertex and base, are those
    /// in which bone shining through looks most like blood.
    fn place(&self, case: &TrainCase, key: &DrawKey) -> [i64; 3] {
        let rng = &mut key.rng();
        let around_lesion = rng.random_bool(self.lesion_window_share) && !case.lesion.is_empty();
        let voxels = match around_lesion {
            true => case.lesion.as_slice(),
            false => in_brain(&case.brain, rng),
        };
        self.place_in(voxels, case.image.geometry().shape(), &case.extent, rng)
    }

    /// Where a window that holds one of these voxels of a case starts.
    fn place_in(
        &self,
        voxels: &[u32],
        [_, h, w]: [usize; 3],
        extent: &Extent,
        rng: &mut impl Rng,
    ) -> [i64; 3] {
        let at = voxels[rng.random_range(0..voxels.len())] as usize;
        let centre = [at / (h * w), at / w % h, at % w];
        let size = self.spec.window();
        std::array::from_fn(|axis| {
            let [first, last] = extent.starts_around(axis, size[axis], centre[axis]);
            rng.random_range(first..=last)
        })
    }
}

/// What the network sees of a window and its neighbouring slices, as [`CaseInput`](hemex_model::CaseInput) has it, and
/// the labels of the window alone.
fn network_input(
    image: &Image,
    labels: &LabelMap,
    input: &InputSpec,
    n_voxels: usize,
) -> (Vec<f32>, Vec<u8>) {
    let own = labels.voxels()[input.n_neighbours * n_voxels..][..n_voxels].to_vec();
    let slices = image.voxels().chunks_exact(n_voxels).zip(labels.voxels().chunks_exact(n_voxels));
    let normalised = slices.flat_map(|(hu, labels)| {
        let pairs = hu.iter().zip(labels);
        input.normalise(pairs.map(|(hu, label)| (*hu, label & BRAIN > 0)))
    });
    (normalised.collect(), own)
}

/// 1 where a label is one of these, 0 elsewhere.
fn marked(labels: &[u8], is_one: fn(u8) -> bool) -> Vec<f32> {
    labels.iter().map(|label| f32::from(u8::from(is_one(*label)))).collect()
}

/// Image and labels of a window; beyond the volume, background.
fn cut(
    source: &Image,
    source_labels: &LabelMap,
    start: [i64; 3],
    size: [usize; 3],
    background: f32,
) -> Result<(Image, LabelMap), String> {
    let error =
        |e: hemex_volume::VolumeError| format!("no window of {size:?} voxels can be cut: {e}");
    let geometry = source.geometry().window(start, size).map_err(error)?;
    let mut image = Image::filled(geometry, background);
    let mut labels = LabelMap::empty(geometry);
    let shape = source.geometry().shape();
    let [d, h, w]: [std::ops::Range<i64>; 3] = std::array::from_fn(|axis| {
        (-start[axis]).max(0)..(shape[axis] as i64 - start[axis]).min(size[axis] as i64)
    });
    let row = (w.end - w.start).max(0) as usize;
    for i in d {
        for j in h.clone() {
            let from = source.geometry().offset([
                (start[0] + i) as usize,
                (start[1] + j) as usize,
                (start[2] + w.start) as usize,
            ]);
            let to = geometry.offset([i as usize, j as usize, w.start as usize]);
            image.voxels_mut()[to..to + row].copy_from_slice(&source.voxels()[from..from + row]);
            labels.voxels_mut()[to..to + row]
                .copy_from_slice(&source_labels.voxels()[from..from + row]);
        }
    }
    Ok((image, labels))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_model::CaseInput;
    use hemex_volume::{Affine, Geometry};

    use super::*;
    use crate::cohort::FOLLOWUP;

    #[test]
    fn a_window_holds_the_right_voxels_and_background_beyond() {
        let geometry =
            Geometry::new([2, 3, 4], Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap())
                .unwrap();
        let source = Image::new(geometry, (0..24).map(|v| v as f32).collect()).unwrap();
        let source_labels = LabelMap::new(geometry, (0..24).collect()).unwrap();
        let (image, labels) = cut(&source, &source_labels, [1, -1, 2], [1, 3, 4], -7.0).unwrap();
        let b = -7.0;
        assert_eq!(image.voxels(), [b, b, b, b, 14.0, 15.0, b, b, 18.0, 19.0, b, b]);
        assert_eq!(labels.voxels(), [0, 0, 0, 0, 14, 15, 0, 0, 18, 19, 0, 0]);
        // The window lies where its voxels lay.
        assert_eq!(image.geometry().point_mm([0.0; 3]), geometry.point_mm([1.0, -1.0, 2.0]));
    }

    #[test]
    fn a_window_is_trained_on_as_it_is_predicted() {
        let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap();
        let geometry = Geometry::new([4, 2, 3], affine).unwrap();
        let image = Image::new(geometry, (0..24).map(|v| (v * 7 % 24) as f32 * 5.0).collect());
        let is_brain = |at: u8| !at.is_multiple_of(5);
        let label = |at: u8| {
            let followup = FOLLOWUP * u8::from(at % 7 < 3);
            BRAIN * u8::from(is_brain(at)) + followup + u8::from(at % 7 == 1)
        };
        let labels = LabelMap::new(geometry, (0..24).map(label).collect()).unwrap();
        let brain = LabelMap::new(geometry, (0..24).map(|at| u8::from(is_brain(at))).collect());
        let (image, brain) = (image.unwrap(), brain.unwrap());
        for n_neighbours in [0, 1, 2] {
            let windows_hu = vec![[0.0, 100.0], [20.0, 70.0]];
            let input = InputSpec { windows_hu, brain_only: true, n_neighbours };
            let case = CaseInput::new(&image, &brain, &input);
            for d in 0..4 {
                let start = [d as i64 - n_neighbours as i64, 0, 0];
                let slab = cut(&image, &labels, start, [input.n_slices(), 2, 3], -100.0).unwrap();
                let (found, own) = network_input(&slab.0, &slab.1, &input, 6);
                let predicted: Vec<f32> = case
                    .channels()
                    .flat_map(|channel| channel[6 * d..6 * (d + 1)].to_vec())
                    .collect();
                assert_eq!(found, predicted, "slice {d} with {n_neighbours} neighbours");
                let where_it_is = |is_one: fn(usize) -> bool| -> Vec<f32> {
                    (6 * d..6 * (d + 1)).map(|at| f32::from(u8::from(is_one(at)))).collect()
                };
                assert_eq!(marked(&own, is_lesion), where_it_is(|at| at % 7 == 1));
                assert_eq!(marked(&own, is_lesion_at_followup), where_it_is(|at| at % 7 < 3));
            }
        }
    }
}
