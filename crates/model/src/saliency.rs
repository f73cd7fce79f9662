use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::window::{cut, for_each_row, pass, values};
use crate::{CaseInput, ModelError, Network, NetworkSpec, Passes, Window, plan_windows};

/// What each voxel has to do with a case's logit of growth, `[D, H, W]`: its value times the logit's gradient (Simonyan,
/// Vedaldi & Zisserman, ICLR workshop 2014, for the gradient; Shrikumar et al., arXiv 1605.01713, 2016, for the product).
///
/// The logit is the mean over windows with the given `weights`, one each in the order of [`plan_windows`]; they are
/// taken as given, although they follow from the input too, by its mask and by attention over slices. A value is counted from −1, the lower end of its window of
/// HU and the value of all that is not shown: such a voxel has 0. What channels say of one voxel, by another window of
/// HU or as a neighbouring slice, is added; the sign is kept. Passes with left and right exchanged are differentiated
/// too if they count. `None` for a network that does not classify, or without any weight.
///
/// The slices of the case must be neighbours: not for [`CaseInput::keep_slices`].
///
/// # Errors
/// [`ModelError::Output`] if the device's values cannot be read, or gives no gradient.
pub fn growth_saliency(
    network: &Network,
    spec: &NetworkSpec,
    case: &CaseInput,
    weights: &[f64],
    passes: Passes,
    device: &Device,
) -> Result<Option<Vec<f32>>, ModelError> {
    let total: f64 = weights.iter().sum();
    if !(total > 0.0 && spec.kind().classifies()) {
        return Ok(None);
    }
    // Its parameters are constants here: only the input's gradient is worked out.
    let network = network.clone().no_grad().train();
    let plan = plan_windows(case.extent(), spec.window());
    let counted: Vec<(Window, f64)> = plan
        .into_iter()
        .zip(weights)
        .filter(|(_, weight)| **weight > 0.0)
        .map(|(window, weight)| (window, weight / total))
        .collect();
    let mut map = Map { case, spec, voxels: vec![0.0; case.geometry().n_voxels()] };
    for batch in counted.chunks(passes.batch_size.max(1)) {
        let x: Vec<f32> = batch.iter().flat_map(|(start, _)| map.cut(*start)).collect();
        let [d, h, w] = spec.window();
        let dims = [batch.len(), spec.input().n_channels(), d, h, w];
        let input =
            Tensor::<5>::from_data(TensorData::new(x.clone(), dims), &device.clone().autodiff())
                .require_grad();
        let Some(growth) = pass(&network, input.clone(), passes.mirrored).growth else {
            return Ok(None);
        };
        let weights: Vec<f32> = batch.iter().map(|(_, weight)| *weight as f32).collect();
        let weights = TensorData::new(weights, [batch.len()]);
        let weights = Tensor::<1>::from_data(weights, &device.clone().autodiff());
        let gradients = (growth * weights).sum().backward();
        let gradient = input.grad(&gradients).ok_or_else(|| ModelError::Output {
            problem: "the device gives no gradient of the input".to_owned(),
        })?;
        map.add(batch, &x, &values(gradient)?);
    }
    Ok(Some(map.voxels))
}

/// The map as it comes about.
struct Map<'a> {
    case: &'a CaseInput,
    spec: &'a NetworkSpec,
    voxels: Vec<f32>,
}

impl Map<'_> {
    fn cut(&self, start: Window) -> Vec<f32> {
        let (shape, size) = (self.case.geometry().shape(), self.spec.window());
        self.case.channels().flat_map(|channel| cut(channel, shape, start, size)).collect()
    }

    /// Adds value times gradient of some windows, `[B, C, D, H, W]`, each to the voxel that it shows.
    fn add(&mut self, batch: &[(Window, f64)], x: &[f32], gradient: &[f32]) {
        let (shape, size, input) =
            (self.case.geometry().shape(), self.spec.window(), self.spec.input());
        let (n, in_slice) = (size.iter().product::<usize>(), shape[1] * shape[2]);
        let channels = x.chunks_exact(n).zip(gradient.chunks_exact(n));
        for (i, (x, gradient)) in channels.enumerate() {
            let (start, channel) = (batch[i / input.n_channels()].0, i % input.n_channels());
            // How far above the slice itself lies the one that the channel shows.
            let above = (channel / input.windows_hu.len()) as i64 - input.n_neighbours as i64;
            for_each_row(shape, start, size, |at, from, length| {
                let slice = (at / in_slice) as i64 + above;
                // Beyond the volume nothing is shown.
                if !(0..shape[0] as i64).contains(&slice) {
                    return;
                }
                let at = slice as usize * in_slice + at % in_slice;
                for i in 0..length {
                    self.voxels[at + i] += (x[from + i] + 1.0) * gradient[from + i];
                }
            });
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry, Image, LabelMap};

    use super::*;
    use crate::spec::tests::raw;
    use crate::{Dims, InputSpec, NetworkKind, Pooling, predict_case};

    const SHAPE: [usize; 3] = [4, 18, 26];

    fn geometry() -> Geometry {
        Geometry::new(SHAPE, Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3]).unwrap()).unwrap()
    }

    /// Grey values from 20 to 60 HU; the first columns are no brain.
    fn case(hu: &[f32], spec: &NetworkSpec) -> CaseInput {
        let brain = (0..hu.len()).map(|i| u8::from(i % SHAPE[2] > 2)).collect();
        let brain = LabelMap::new(geometry(), brain).unwrap();
        CaseInput::new(&Image::new(geometry(), hu.to_vec()).unwrap(), &brain, spec.input())
    }

    fn grey() -> Vec<f32> {
        (0..geometry().n_voxels()).map(|i| 40.0 + 20.0 * (i as f32 * 0.37).sin()).collect()
    }

    /// The derivative by differences of the weighted logit with respect to HU, times the distance from the window's
    /// lower end, is the same whatever the scale of the input. Pooled by the mean alone and over small steps, since a
    /// maximum has a kink wherever it changes place.
    #[test]
    fn each_voxel_agrees_with_finite_differences() {
        let device = Device::flex();
        for (kind, dims, n_neighbours, mirrored) in [
            (NetworkKind::JointUnet, Dims::Slices, 1, false),
            (NetworkKind::JointUnet, Dims::Volumes, 0, true),
            (NetworkKind::Vgg, Dims::Slices, 1, true),
            (NetworkKind::Resnet, Dims::Slices, 0, false),
        ] {
            let mut raw = raw(kind, dims);
            raw.pooling = Pooling::Mean;
            raw.input =
                InputSpec { windows_hu: vec![[0.0, 100.0]], brain_only: true, n_neighbours };
            let spec = NetworkSpec::try_from(raw).unwrap();
            let network = Network::new(&spec, 3, &device);
            let passes = Passes { batch_size: 3, mirrored };
            let n_windows = plan_windows(case(&grey(), &spec).extent(), spec.window()).len();
            let weights: Vec<f64> = (0..n_windows).map(|i| [2.0, 0.0, 1.0, 5.0][i % 4]).collect();
            let logit = |hu: &[f32]| {
                let output = predict_case(&network, &spec, &case(hu, &spec), passes, &device);
                let windows = output.unwrap().windows;
                let of = windows
                    .iter()
                    .zip(&weights)
                    .map(|(w, weight)| w.growth_logit.unwrap() * weight);
                of.sum::<f64>() / weights.iter().sum::<f64>()
            };
            let map =
                growth_saliency(&network, &spec, &case(&grey(), &spec), &weights, passes, &device);
            let map = map.unwrap().unwrap();
            let largest = map.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
            assert!(largest > 1e-3, "{kind:?}: {largest}");
            for place in (0..map.len()).step_by(101) {
                let moved = |by: f32| {
                    let mut hu = grey();
                    hu[place] += by;
                    logit(&hu)
                };
                let slope = 25.0 * (moved(0.02) - moved(-0.02)) * f64::from(grey()[place]);
                let found = f64::from(map[place]);
                let is_near = (found - slope).abs() < 0.03 * f64::from(largest);
                assert!(is_near, "{kind:?} {place}: {found} {slope}, largest {largest}");
            }
            // What is not shown says nothing.
            assert!((0..map.len()).filter(|i| i % SHAPE[2] <= 2).all(|i| map[i] == 0.0));
        }
    }

    #[test]
    fn without_weight_or_classifier_there_is_no_map() {
        let device = Device::flex();
        let passes = Passes { batch_size: 2, mirrored: false };
        for (kind, weight) in [(NetworkKind::JointUnet, 0.0), (NetworkKind::Unet, 1.0)] {
            let spec = NetworkSpec::try_from(raw(kind, Dims::Slices)).unwrap();
            let network = Network::new(&spec, 3, &device);
            let input = case(&grey(), &spec);
            let weights = vec![weight; plan_windows(input.extent(), spec.window()).len()];
            let map = growth_saliency(&network, &spec, &input, &weights, passes, &device);
            assert_eq!(map.unwrap(), None);
        }
    }
}
