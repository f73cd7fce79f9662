use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{JointUnet, NetworkKind, NetworkSpec, Vgg, initialise};

/// One of the networks, behind one forward pass.
#[derive(Module, Debug)]
pub enum Network {
    /// Segmentation and classification on one encoder.
    Joint(JointUnet),
    /// Classification alone.
    Vgg(Vgg),
}

/// What a network says of a batch of windows.
#[derive(Debug)]
pub struct Output {
    /// Growth of the hematoma that the window shows, `[B]`.
    pub growth_logit: Tensor<1>,
    /// Lesion or not a voxel, `[B, 1, D, H, W]`; networks with a segmentation head.
    pub mask_logits: Option<Tensor<5>>,
    /// Whether the window shows a hematoma, `[B]`; networks without a segmentation head.
    pub presence_logit: Option<Tensor<1>>,
}

impl Network {
    /// Builds the network on the device with weights drawn under `seed`.
    pub fn new(spec: &NetworkSpec, seed: u64, device: &Device) -> Self {
        let network = match spec.kind() {
            NetworkKind::JointUnet => Network::Joint(JointUnet::new(spec, device)),
            NetworkKind::Vgg => Network::Vgg(Vgg::new(spec, device)),
        };
        initialise(network, seed)
    }

    /// `[B, C, D, H, W]`, a window or any multiple of the network's step; a channel a window of HU.
    pub fn forward(&self, x: Tensor<5>) -> Output {
        let [b, c, d, h, w] = x.dims();
        // Inside, channels lie last; one channel lies first and last at once.
        let x = match c {
            1 => x.reshape([b, d, h, w, c]),
            _ => x.permute([0, 2, 3, 4, 1]),
        };
        match self {
            Network::Joint(network) => network.forward(x),
            Network::Vgg(network) => network.forward(x),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::spec::tests::raw;
    use crate::{Dims, InputSpec, Pooling, RawNetworkSpec};

    #[test]
    fn outputs_have_the_shapes_promised() {
        let device = Device::flex();
        let both = |dims| [(dims, 1), (dims, 3)];
        for (dims, n_channels) in [Dims::Slices, Dims::Volumes].into_iter().flat_map(both) {
            for kind in [NetworkKind::JointUnet, NetworkKind::Vgg] {
                let mut raw = raw(kind, dims);
                raw.input.windows_hu = vec![[0.0, 100.0]; n_channels];
                let spec = NetworkSpec::try_from(raw).unwrap();
                let [d, h, w] = spec.window();
                let x = Tensor::random([3, n_channels, d, h, w], Distribution::Default, &device);
                let output = Network::new(&spec, 1, &device).forward(x);
                assert_eq!(output.growth_logit.dims(), [3]);
                let joint = kind == NetworkKind::JointUnet;
                assert_eq!(output.mask_logits.map(|m| m.dims()), joint.then_some([3, 1, d, h, w]));
                assert_eq!(output.presence_logit.map(|p| p.dims()), (!joint).then_some([3]));
            }
        }
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
            window: [1, 128, 128],
            input: InputSpec { windows_hu: vec![[0.0, 100.0]], brain_only: false },
        };
        let network = Network::new(&NetworkSpec::try_from(raw).unwrap(), 1, &Device::flex());
        assert_eq!(network.num_params(), 482_578);
    }
}
