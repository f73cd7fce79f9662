use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::heads::Heads;
use crate::{JointUnet, NetworkKind, NetworkSpec, Resnet, Vgg, initialise};

/// One of the networks, behind one forward pass.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a program holds one or two networks, whose weights lie elsewhere"
)]
pub enum Network {
    /// Segmentation, and classification if it has that head, on one encoder.
    Joint(JointUnet),
    /// Classification alone.
    Vgg(Vgg),
    /// Classification alone, with shortcuts.
    Resnet(Resnet),
}

/// What a network says of a batch of windows.
#[derive(Debug)]
pub struct Output {
    /// Growth of the hematoma that the window shows, `[B]`; networks that classify.
    pub growth_logit: Option<Tensor<1>>,
    /// Lesion or not a voxel, `[B, 1, D, H, W]`; networks with a segmentation head.
    pub mask_logits: Option<Tensor<5>>,
    /// The same at the coarser levels of the decoder, the finest of them first, `[B, 1, d, h, w]` each; networks with deep
    /// supervision, in training.
    pub coarse_masks: Vec<Tensor<5>>,
    /// Lesion at follow-up or not a voxel, `[B, 1, D, H, W]`; networks that tell it.
    pub followup_logits: Option<Tensor<5>>,
    /// Whether the window shows a hematoma, `[B]`; networks without a segmentation head.
    pub presence_logit: Option<Tensor<1>>,
    /// The input as it is told from what the network keeps of it, `[B, C, D, H, W]`; networks that reconstruct, in
    /// training.
    pub reconstruction: Option<Tensor<5>>,
    /// What the last layer of the classification head is given, `[B, features]`; networks that classify.
    pub features: Option<Tensor<2>>,
    /// Signs of growth that the hematoma shows, `[B, signs]` in the order of the spec; networks that tell signs, in
    /// training.
    pub sign_logits: Option<Tensor<2>>,
    /// Logarithm of how much the window counts among those of its case, `[B]`, up to what all of a case have in common;
    /// networks with attention over slices.
    pub attention: Option<Tensor<1>>,
}

impl Output {
    /// Of a classifier without masks: logits of growth and presence, `[B, 2]`, and the features that they come from.
    pub(crate) fn of_classifier(logits: Tensor<2>, features: Tensor<2>) -> Self {
        let n = logits.dims()[0];
        Self {
            growth_logit: Some(logits.clone().slice([0..n, 0..1]).reshape([n])),
            mask_logits: None,
            coarse_masks: Vec::new(),
            followup_logits: None,
            presence_logit: Some(logits.slice([0..n, 1..2]).reshape([n])),
            reconstruction: None,
            features: Some(features),
            sign_logits: None,
            attention: None,
        }
    }
}

impl Network {
    /// Builds the network on the device with weights drawn under `seed`.
    pub fn new(spec: &NetworkSpec, seed: u64, device: &Device) -> Self {
        let network = match spec.kind() {
            NetworkKind::JointUnet | NetworkKind::SwinUnet | NetworkKind::Unet => {
                Network::Joint(JointUnet::new(spec, device))
            }
            NetworkKind::Vgg => Network::Vgg(Vgg::new(spec, device)),
            NetworkKind::Resnet => Network::Resnet(Resnet::new(spec, device)),
        };
        initialise(network, seed)
    }

    /// `[B, C, D, H, W]`, a window or any multiple of the network's step; a channel a window of HU.
    ///
    /// Levels are worked out in the precision of the input, heads and normalisations in single precision, which is that of
    /// the weights and of all that is said.
    pub fn forward(&self, x: Tensor<5>) -> Output {
        self.ask(x, Heads::Main)
    }

    /// As [`forward`](Self::forward), with what the heads say that only teach the others.
    pub fn forward_training(&self, x: Tensor<5>) -> Output {
        self.ask(x, Heads::All)
    }

    fn ask(&self, x: Tensor<5>, heads: Heads) -> Output {
        let [b, c, d, h, w] = x.dims();
        // Inside, channels lie last; one channel lies first and last at once.
        let x = match c {
            1 => x.reshape([b, d, h, w, c]),
            _ => x.permute([0, 2, 3, 4, 1]),
        };
        match self {
            Network::Joint(network) => network.forward(x, heads),
            Network::Vgg(network) => network.forward(x, heads),
            Network::Resnet(network) => network.forward(x, heads),
        }
    }

    /// How many [`features`](Output::features) a window has; `None` for a network that does not classify.
    pub fn n_features(&self) -> Option<usize> {
        match self {
            Network::Joint(network) => network.n_features(),
            Network::Vgg(network) => Some(network.n_features()),
            Network::Resnet(network) => Some(network.n_features()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use burn::module::{ModuleVisitor, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::{Distribution, FloatDType, TensorData};

    use super::*;
    use crate::spec::tests::{all, raw};
    use crate::{Dims, InputSpec, NetworkCost, Pooling, RawNetworkSpec};

    #[test]
    fn outputs_have_the_shapes_promised() {
        for spec in all() {
            let [d, h, w] = spec.window();
            let n_channels = spec.input().n_channels();
            let x =
                Tensor::random([3, n_channels, d, h, w], Distribution::Default, &Device::flex());
            let network = Network::new(&spec, 1, &Device::flex());
            let output = network.forward_training(x.clone());
            let kind = spec.kind();
            assert_eq!(output.growth_logit.map(|g| g.dims()), kind.classifies().then_some([3]));
            let features = network.n_features().map(|n| [3, n]);
            assert_eq!(features.is_some(), kind.classifies());
            assert_eq!(output.features.map(|f| f.dims()), features);
            let mask = kind.segments().then_some([3, 1, d, h, w]);
            assert_eq!(output.mask_logits.as_ref().map(|m| m.dims()), mask);
            // Of three levels the middle one, at which slices are halved once and the depth of volumes not yet.
            let coarse = spec.coarse_mask_levels().map(|_| [3, 1, d, h / 2, w / 2]);
            let found = output.coarse_masks.iter().map(|m| m.dims());
            assert!(found.eq(coarse));
            let followup = spec.followup().then_some([3, 1, d, h, w]);
            assert_eq!(output.followup_logits.as_ref().map(|f| f.dims()), followup);
            let presence = (!kind.segments()).then_some([3]);
            assert_eq!(output.presence_logit.map(|p| p.dims()), presence);
            let input = spec.reconstructs().then_some([3, n_channels, d, h, w]);
            assert_eq!(output.reconstruction.map(|r| r.dims()), input);
            let n_signs = spec.signs().len();
            assert_eq!(output.sign_logits.map(|s| s.dims()), (n_signs > 0).then_some([3, n_signs]));
            let attention = spec.slice_attention().map(|_| [3]);
            assert_eq!(output.attention.map(|a| a.dims()), attention);
            let main = network.forward(x);
            assert_eq!(main.attention.map(|a| a.dims()), attention);
            assert!(main.coarse_masks.is_empty() && main.reconstruction.is_none());
            assert!(main.sign_logits.is_none());
            let bits = |mask: Option<Tensor<5>>| mask.map(Tensor::into_data);
            assert_eq!(bits(main.mask_logits), bits(output.mask_logits), "the same mask");
            assert_eq!(bits(main.followup_logits), bits(output.followup_logits), "told for good");
        }
    }

    /// Whose weights are drawn by their names, and whose word does not reach the other heads.
    #[test]
    fn a_head_of_the_follow_up_leaves_all_else_as_it_is_to_the_bit() {
        let told = |followup: bool| {
            let raw = RawNetworkSpec { followup, ..raw(NetworkKind::JointUnet, Dims::Slices) };
            let spec = NetworkSpec::try_from(raw).unwrap();
            let values = (0..16 * 24).map(|i| (i as f32 * 0.37).sin()).collect();
            let x = Tensor::from_data(TensorData::new(values, [1, 1, 1, 16, 24]), &Device::flex());
            let output = Network::new(&spec, 1, &Device::flex()).forward(x);
            let growth = output.growth_logit.map(Tensor::into_data);
            let followup = output.followup_logits.map(Tensor::into_data);
            (output.mask_logits.map(Tensor::into_data), growth, followup)
        };
        let ((mask, growth, nothing), (same_mask, same_growth, followup)) =
            (told(false), told(true));
        assert_eq!((&mask, growth, nothing), (&same_mask, same_growth, None));
        assert!(followup.is_some() && followup != mask, "weights of its own");
    }

    #[test]
    fn coarser_masks_come_with_the_finest_first() {
        let mut raw = raw(NetworkKind::JointUnet, Dims::Slices);
        (raw.channels, raw.deep_supervision) = (vec![4, 4, 8, 8], true);
        let spec = NetworkSpec::try_from(raw).unwrap();
        let x = Tensor::zeros([2, 1, 1, 16, 24], &Device::flex());
        let output = Network::new(&spec, 1, &Device::flex()).forward_training(x);
        let found = output.coarse_masks.iter().map(|mask| mask.dims());
        assert!(found.eq([[2, 1, 1, 8, 12], [2, 1, 1, 4, 6]]));
    }

    /// The parameters without a gradient that is not 0 throughout.
    struct Unreached {
        gradients: GradientsParams,
        path: Vec<String>,
        found: Vec<String>,
    }

    impl ModuleVisitor for Unreached {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.gradients.get::<D>(param.id);
            let largest = gradient.map(|g| g.abs().max().into_scalar::<f32>());
            if !largest.is_some_and(|g| g.is_finite() && g > 0.0) {
                self.found.push(format!("{} {largest:?}", self.path.join(".")));
            }
        }
    }

    #[test]
    fn every_parameter_is_trained() {
        let device = Device::flex().autodiff();
        for spec in all() {
            let [d, h, w] = spec.window();
            let n_channels = spec.input().n_channels();
            let n = 3 * n_channels * d * h * w;
            let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin()).collect();
            let x = TensorData::new(values, [3, n_channels, d, h, w]);
            let network = Network::new(&spec, 1, &device);
            let output = network.forward_training(Tensor::from_data(x, &device));
            let vectors = [output.growth_logit, output.presence_logit, output.attention];
            let vectors = vectors.into_iter().flatten();
            let volumes = [output.mask_logits, output.reconstruction].into_iter().flatten();
            let volumes = volumes.chain(output.coarse_masks).chain(output.followup_logits);
            let losses = vectors.map(|v| v.square().sum()).chain(volumes.map(|v| v.square().sum()));
            let losses = losses.chain(output.sign_logits.map(|s| s.square().sum()));
            let loss = losses.reduce(|a, b| a + b).unwrap();
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            let mut unreached = Unreached { gradients, path: Vec::new(), found: Vec::new() };
            network.visit(&mut unreached);
            assert!(unreached.found.is_empty(), "{spec:?}: {:?}", unreached.found);
        }
    }

    /// bfloat16 keeps eight bits of a number, so that logits and gradients are near those of single precision, and not they.
    #[test]
    fn networks_learn_in_bfloat16_what_they_do_in_single_precision() {
        let device = Device::flex().autodiff();
        let raw = |kind| RawNetworkSpec { channels: vec![8, 16, 16], ..raw(kind, Dims::Slices) };
        for kind in [NetworkKind::JointUnet, NetworkKind::SwinUnet, NetworkKind::Resnet] {
            let mut raw = raw(kind);
            (raw.reconstructs, raw.deep_supervision) = (kind.segments(), kind.segments());
            let spec = NetworkSpec::try_from(raw).unwrap();
            let network = Network::new(&spec, 1, &device);
            let [d, h, w] = spec.window();
            let values: Vec<f32> = (0..4 * d * h * w).map(|i| (i as f32 * 0.37).sin()).collect();
            let x = Tensor::<5>::from_data(TensorData::new(values, [4, 1, d, h, w]), &device);
            let told = |precision: FloatDType| {
                let output = network.forward_training(x.clone().cast(precision));
                let volumes = [output.mask_logits, output.reconstruction].into_iter().flatten();
                let volumes = volumes.chain(output.coarse_masks);
                let volumes = volumes.map(|volume| volume.flatten::<1>(0, 4));
                let all = Tensor::<1>::cat(volumes.chain(output.growth_logit).collect(), 0);
                assert_eq!(FloatDType::from(all.dtype()), FloatDType::F32);
                let gradients =
                    GradientsParams::from_grads(all.clone().square().mean().backward(), &network);
                let mut flat = Flat { gradients, values: Vec::new() };
                network.visit(&mut flat);
                (all.into_data().iter::<f64>().collect::<Vec<_>>(), flat.values)
            };
            let (exact, rounded) = (told(FloatDType::F32), told(FloatDType::BF16));
            // A voxel that the rounding takes across 0, or past its neighbour, leads a gradient elsewhere.
            for (what, exact, rounded, limit) in
                [("logits", &exact.0, &rounded.0, 0.05), ("gradients", &exact.1, &rounded.1, 0.25)]
            {
                let error = relative_error(exact, rounded);
                assert!(error > 0.0 && error < limit, "{kind:?}, {what}: {error}");
            }
        }
    }

    /// The gradients of all parameters in a row.
    struct Flat {
        gradients: GradientsParams,
        values: Vec<f64>,
    }

    impl ModuleVisitor for Flat {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.gradients.get::<D>(param.id).unwrap();
            assert_eq!(FloatDType::from(gradient.dtype()), FloatDType::F32);
            self.values.extend(gradient.into_data().iter::<f64>());
        }
    }

    /// Root of the mean square of the difference over that of what is exact.
    fn relative_error(exact: &[f64], found: &[f64]) -> f64 {
        assert_eq!(exact.len(), found.len());
        let of = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
        let difference = of(&mut exact.iter().zip(found).map(|(a, b)| a - b));
        (difference / of(&mut exact.iter().copied())).sqrt()
    }

    /// The reference workload w1 states its number of parameters.
    #[test]
    fn the_joint_network_of_w1_has_482578_parameters() {
        let raw = RawNetworkSpec {
            kind: NetworkKind::JointUnet,
            dims: Dims::Slices,
            channels: vec![16, 32, 64, 128],
            n_groups: 8,
            n_planar_levels: 0,
            pooling: Pooling::Mean,
            reconstructs: false,
            deep_supervision: false,
            followup: false,
            signs: Vec::new(),
            slice_attention: None,
            attention: None,
            window: [1, 128, 128],
            input: InputSpec { windows_hu: vec![[0.0, 100.0]], brain_only: false, n_neighbours: 0 },
        };
        let spec = NetworkSpec::try_from(raw).unwrap();
        assert_eq!(Network::new(&spec, 1, &Device::flex()).num_params(), 482_578);
        assert_eq!(NetworkCost::of(&spec).n_parameters, 482_578);
    }
}
