use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};

use crate::{CaseInput, Extent, ModelError, Network, NetworkSpec};

/// Left and right lie along it: canonical grids are axial.
const W_AXIS: usize = 4;

/// Of the weights within a window, as a share of its extent.
const WINDOW_SIGMA: f32 = 0.125;

/// Where a window starts, `[D, H, W]` voxels; below 0 or past the end the input is padded.
pub type Window = [i64; 3];

/// What the network says of one window.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowOutput {
    /// Where the window starts.
    pub start: Window,
    /// Growth of the hematoma that it shows; networks that classify.
    pub growth_logit: Option<f64>,
    /// Whether it shows a hematoma; networks without a segmentation head.
    pub presence_logit: Option<f64>,
    /// Logarithm of how much it counts among the windows of its case; networks with attention over slices.
    pub attention: Option<f64>,
}

/// What the network says of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseOutput {
    /// Every window, in the order of [`plan_windows`].
    pub windows: Vec<WindowOutput>,
    /// Probability of lesion a voxel, `[D, H, W]`; networks with a segmentation head.
    pub lesion_probability: Option<Vec<f32>>,
    /// The same at follow-up; networks that tell it.
    pub followup_probability: Option<Vec<f32>>,
}

/// Windows that cover an extent: along an axis that fits, one around its middle; else windows that overlap by half or
/// more, evenly spread.
pub fn plan_windows(extent: Extent, window: [usize; 3]) -> Vec<Window> {
    let [d, h, w]: [Vec<i64>; 3] = std::array::from_fn(|axis| extent.starts(axis, window[axis]));
    let mut windows = Vec::with_capacity(d.len() * h.len() * w.len());
    for &d in &d {
        for &h in &h {
            windows.extend(w.iter().map(|&w| [d, h, w]));
        }
    }
    windows
}

/// How windows go through the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passes {
    /// Windows at a time.
    pub batch_size: usize,
    /// Whether each goes through once more with left and right exchanged; probabilities of lesion and logits are the
    /// means of both.
    pub mirrored: bool,
}

/// Applies the network to every window of a case's extent; beyond, the probability of lesion is 0.
///
/// Padding is −1. Where windows overlap, lesion probabilities are averaged with Gaussian weights around the middle of
/// each, of a standard deviation of an eighth of its extent (as nnU-Net has them; Isensee et al., Nature Methods 2021).
///
/// # Errors
/// [`ModelError::Output`] if the device's values cannot be read.
pub fn predict_case(
    network: &Network,
    spec: &NetworkSpec,
    case: &CaseInput,
    passes: Passes,
    device: &Device,
) -> Result<CaseOutput, ModelError> {
    let (shape, size) = (case.geometry().shape(), spec.window());
    let n_channels = spec.input().n_channels();
    let plan = plan_windows(case.extent(), size);
    let mut windows = Vec::with_capacity(plan.len());
    let mut blends = [(); 2].map(|()| Blend::new(shape, size));
    for batch in plan.chunks(passes.batch_size.max(1)) {
        let window = |start: &Window| {
            let start = *start;
            case.channels().flat_map(move |channel| cut(channel, shape, start, size))
        };
        let voxels = batch.iter().flat_map(window).collect();
        let dims = [batch.len(), n_channels, size[0], size[1], size[2]];
        let x = Tensor::<5>::from_data(TensorData::new(voxels, dims), device);
        let said = pass(network, x, passes.mirrored);
        let [growth, presence, attention] =
            [said.growth, said.presence, said.attention].map(|told| told.map(values).transpose());
        let (growth, presence, attention) = (growth?, presence?, attention?);
        for (blend, probabilities) in blends.iter_mut().zip([said.lesion, said.followup]) {
            let Some(probabilities) = probabilities.map(values).transpose()? else { continue };
            let n = size.iter().product();
            for (start, window) in batch.iter().zip(probabilities.chunks_exact(n)) {
                blend.add(*start, window);
            }
        }
        windows.extend(batch.iter().enumerate().map(|(i, start)| WindowOutput {
            start: *start,
            growth_logit: growth.as_ref().map(|g| f64::from(g[i])),
            presence_logit: presence.as_ref().map(|p| f64::from(p[i])),
            attention: attention.as_ref().map(|a| f64::from(a[i])),
        }));
    }
    let [lesion_probability, followup_probability] = blends.map(Blend::finish);
    Ok(CaseOutput { windows, lesion_probability, followup_probability })
}

/// What the network says of some windows.
pub(crate) struct BatchOutput {
    pub(crate) growth: Option<Tensor<1>>,
    presence: Option<Tensor<1>>,
    attention: Option<Tensor<1>>,
    /// Probability of lesion.
    lesion: Option<Tensor<5>>,
    /// The same at follow-up.
    followup: Option<Tensor<5>>,
}

pub(crate) fn pass(network: &Network, x: Tensor<5>, mirrored: bool) -> BatchOutput {
    let said = |x| {
        let output = network.forward(x);
        BatchOutput {
            growth: output.growth_logit,
            presence: output.presence_logit,
            attention: output.attention,
            lesion: output.mask_logits.map(sigmoid),
            followup: output.followup_logits.map(sigmoid),
        }
    };
    let first = said(x.clone());
    if !mirrored {
        return first;
    }
    let second = said(x.flip([W_AXIS]));
    let mirrored = |voxels: Option<Tensor<5>>| voxels.map(|p| p.flip([W_AXIS]));
    BatchOutput {
        growth: mean(first.growth, second.growth),
        presence: mean(first.presence, second.presence),
        attention: mean(first.attention, second.attention),
        lesion: mean(first.lesion, mirrored(second.lesion)),
        followup: mean(first.followup, mirrored(second.followup)),
    }
}

fn mean<const D: usize>(a: Option<Tensor<D>>, b: Option<Tensor<D>>) -> Option<Tensor<D>> {
    Some((a? + b?).div_scalar(2.0))
}

/// The voxels of a window, padded with −1 where it leaves the volume.
pub(crate) fn cut(input: &[f32], shape: [usize; 3], start: Window, size: [usize; 3]) -> Vec<f32> {
    let mut voxels = vec![-1.0; size.iter().product()];
    for_each_row(shape, start, size, |volume, window, n| {
        voxels[window..window + n].copy_from_slice(&input[volume..volume + n]);
    });
    voxels
}

/// Calls `row(offset in the volume, offset in the window, length)` for every row that both have.
pub(crate) fn for_each_row(
    shape: [usize; 3],
    start: Window,
    size: [usize; 3],
    mut row: impl FnMut(usize, usize, usize),
) {
    // First voxel of the window within the volume, and how many follow.
    let [d, h, w]: [(usize, usize, usize); 3] = std::array::from_fn(|a| {
        let first = start[a].max(0);
        let end = (start[a] + size[a] as i64).min(shape[a] as i64);
        (first as usize, (first - start[a]) as usize, (end - first).max(0) as usize)
    });
    for i in 0..d.2 {
        for j in 0..h.2 {
            let volume = ((d.0 + i) * shape[1] + h.0 + j) * shape[2] + w.0;
            let window = ((d.1 + i) * size[1] + h.1 + j) * size[2] + w.1;
            row(volume, window, w.2);
        }
    }
}

/// Weighted mean of overlapping windows.
struct Blend {
    shape: [usize; 3],
    size: [usize; 3],
    weight: Vec<f32>,
    sum: Vec<f32>,
    total: Vec<f32>,
}

impl Blend {
    fn new(shape: [usize; 3], size: [usize; 3]) -> Self {
        // At the middle of a face still e^(−8).
        let axis = |n: usize| {
            (0..n).map(move |i| {
                let off = (i as f32 + 0.5) / n as f32 - 0.5;
                (-0.5 * (off / WINDOW_SIGMA).powi(2)).exp()
            })
        };
        let mut weight = Vec::with_capacity(size.iter().product());
        for d in axis(size[0]) {
            for h in axis(size[1]) {
                weight.extend(axis(size[2]).map(|w| d * h * w));
            }
        }
        Self { shape, size, weight, sum: Vec::new(), total: Vec::new() }
    }

    fn add(&mut self, start: Window, window: &[f32]) {
        let n = self.shape.iter().product();
        self.sum.resize(n, 0.0);
        self.total.resize(n, 0.0);
        let (weight, sum, total) = (&self.weight, &mut self.sum, &mut self.total);
        for_each_row(self.shape, start, self.size, |at, from, n| {
            for i in 0..n {
                sum[at + i] += weight[from + i] * window[from + i];
                total[at + i] += weight[from + i];
            }
        });
    }

    fn finish(self) -> Option<Vec<f32>> {
        // Where no window lay, nothing was found.
        let mean = self.sum.iter().zip(&self.total);
        let mean = mean.map(|(sum, total)| if *total > 0.0 { sum / total } else { 0.0 });
        (!self.sum.is_empty()).then(|| mean.collect())
    }
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ModelError> {
    let data = tensor.into_data();
    data.try_into_vec::<f32>().map_err(|e| ModelError::Output { problem: format!("{e:?}") })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry, Image, LabelMap};

    use super::*;
    use crate::spec::tests::raw;
    use crate::{Dims, NetworkKind};

    #[test]
    fn windows_cover_every_voxel() {
        for shape in [[1, 16, 24], [5, 10, 30], [9, 40, 25], [4, 16, 8]] {
            for window in [[1, 16, 24], [4, 16, 8]] {
                let mut seen = vec![0; shape.iter().product()];
                for start in plan_windows(Extent::whole(shape), window) {
                    for_each_row(shape, start, window, |at, _, n| {
                        seen[at..at + n].iter_mut().for_each(|s| *s += 1);
                    });
                }
                assert!(seen.iter().all(|s| *s > 0), "{shape:?} by {window:?}");
            }
        }
        assert_eq!(
            plan_windows(Extent::whole([3, 10, 24]), [1, 16, 24]),
            [[0, -3, 0], [1, -3, 0], [2, -3, 0]]
        );
        assert_eq!(plan_windows(Extent::whole([6, 16, 8]), [4, 16, 8]), [[0, 0, 0], [2, 0, 0]]);
    }

    #[test]
    fn a_window_is_cut_with_padding() {
        let input: Vec<f32> = (0..6).map(|v| v as f32).collect();
        let voxels = cut(&input, [1, 2, 3], [0, -1, 1], [1, 4, 4]);
        let expected = [[-1.0; 4], [1.0, 2.0, -1.0, -1.0], [4.0, 5.0, -1.0, -1.0], [-1.0; 4]];
        assert_eq!(voxels, expected.concat());
    }

    #[test]
    fn overlapping_windows_of_one_value_blend_to_it() {
        let (shape, size) = ([6, 20, 9], [4, 16, 8]);
        let mut blend = Blend::new(shape, size);
        for start in plan_windows(Extent::whole(shape), size) {
            blend.add(start, &vec![0.25; size.iter().product()]);
        }
        assert!(blend.finish().unwrap().iter().all(|p| (p - 0.25).abs() < 1e-6));
    }

    /// Two windows of four voxels that share two: there each has the weight of its own distance from its middle.
    #[test]
    fn where_windows_overlap_the_nearer_middle_counts_more() {
        let mut blend = Blend::new([1, 1, 6], [1, 1, 4]);
        blend.add([0, 0, 0], &[0.2; 4]);
        blend.add([0, 0, 2], &[0.8; 4]);
        let found = blend.finish().unwrap();
        // Half a voxel and one and a half from the middles, in halves of a voxel.
        let (near, far) = ((-0.5f32).exp(), (-4.5f32).exp());
        let left = (near * 0.2 + far * 0.8) / (near + far);
        let expected = [0.2, 0.2, left, 1.0 - left, 0.8, 0.8];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }

    fn plain(batch_size: usize) -> Passes {
        Passes { batch_size, mirrored: false }
    }

    #[test]
    fn a_case_and_its_mirror_image_are_told_the_same_by_both_passes() {
        let device = Device::flex();
        let mut raw = raw(NetworkKind::JointUnet, Dims::Slices);
        raw.followup = true;
        let spec = NetworkSpec::try_from(raw).unwrap();
        let network = Network::new(&spec, 3, &device);
        let shape = [2, 16, 24];
        let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
        let geometry = Geometry::new(shape, affine).unwrap();
        let hu: Vec<f32> = (0..2 * 16 * 24).map(|i| 50.0 * (i as f32 * 0.37).sin()).collect();
        let brain = LabelMap::new(geometry, vec![1; hu.len()]).unwrap();
        let mirror = |values: &[f32]| -> Vec<f32> {
            values.chunks(24).flat_map(|row| row.iter().rev().copied()).collect()
        };
        let told = |hu: Vec<f32>, mirrored| {
            let image = Image::new(geometry, hu).unwrap();
            let case = CaseInput::new(&image, &brain, spec.input());
            let passes = Passes { batch_size: 2, mirrored };
            predict_case(&network, &spec, &case, passes, &device).unwrap()
        };
        let (both, of_mirror) = (told(hu.clone(), true), told(mirror(&hu), true));
        let (one, other) = (told(hu.clone(), false), told(mirror(&hu), false));
        let close = |a: f64, b: f64| (a - b).abs() < 1e-5;
        for i in 0..2 {
            let logit = |output: &CaseOutput| output.windows[i].growth_logit.unwrap();
            assert!(close(logit(&both), (logit(&one) + logit(&other)) / 2.0));
            assert!(close(logit(&both), logit(&of_mirror)) && !close(logit(&one), logit(&other)));
        }
        let maps = |output: &CaseOutput| {
            let maps = [&output.lesion_probability, &output.followup_probability];
            maps.map(|map| map.clone().unwrap())
        };
        let alike = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        for ((both, of_mirror), one) in
            maps(&both).iter().zip(maps(&of_mirror)).zip(maps(&one).iter())
        {
            assert!(alike(both, &mirror(&of_mirror)) && !alike(both, one));
        }
        assert_ne!(both.lesion_probability, both.followup_probability);
    }

    #[test]
    fn the_batch_size_changes_nothing() {
        let device = Device::flex();
        let spec = NetworkSpec::try_from(raw(NetworkKind::JointUnet, Dims::Slices)).unwrap();
        let network = Network::new(&spec, 3, &device);
        let shape = [5, 18, 20];
        let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
        let geometry = Geometry::new(shape, affine).unwrap();
        let hu = (0..5 * 18 * 20).map(|i| 50.0 * (i as f32 * 0.37).sin()).collect();
        let image = Image::new(geometry, hu).unwrap();
        let brain = LabelMap::new(geometry, vec![1; 5 * 18 * 20]).unwrap();
        let case = CaseInput::new(&image, &brain, spec.input());
        let [one, three] =
            [1, 3].map(|n| predict_case(&network, &spec, &case, plain(n), &device).unwrap());
        for (a, b) in one.windows.iter().zip(&three.windows) {
            assert_eq!(a.start, b.start);
            assert!((a.growth_logit.unwrap() - b.growth_logit.unwrap()).abs() < 1e-5);
        }
        let (a, b) = (one.lesion_probability.unwrap(), three.lesion_probability.unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}
