use crate::pool::n_features;
use crate::swin::EXPANSION;
use crate::{AttentionSpec, NetworkKind, NetworkSpec};

const BYTES: usize = std::mem::size_of::<f32>();

/// What a network takes, counted from its spec without building it, with the heads that training alone asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkCost {
    /// Weights, biases, scales and shifts.
    pub n_parameters: usize,
    /// Multiplications with an addition of the forward pass of a window: convolutions (zeros around count as voxels),
    /// linear layers and attention. The backward pass takes twice as many.
    pub n_multiply_adds: usize,
    /// Numbers that the layers write for a window in the forward pass, most of which a training step keeps for its
    /// backward pass.
    ///
    /// A normalisation that goes on into a convolution is never written. What Burn copies to reorder a tensor for
    /// attention is not counted.
    pub n_activations: usize,
}

impl NetworkCost {
    /// Counts for the spec's window.
    pub fn of(spec: &NetworkSpec) -> Self {
        let mut tally = Tally { spec, cost: Self::NOTHING };
        tally.cost.n_activations = tally.n_voxels(0) * spec.input().n_channels();
        match spec.kind() {
            NetworkKind::JointUnet | NetworkKind::SwinUnet | NetworkKind::Unet => tally.unet(),
            NetworkKind::Vgg => tally.vgg(),
            NetworkKind::Resnet => tally.resnet(),
        }
        tally.cost
    }

    const NOTHING: Self = Self { n_parameters: 0, n_multiply_adds: 0, n_activations: 0 };

    /// Bytes of the weights.
    pub fn weight_bytes(&self) -> usize {
        BYTES * self.n_parameters
    }

    /// Bytes of a window's activations.
    pub fn activation_bytes(&self) -> usize {
        BYTES * self.n_activations
    }

    /// Bytes that a training step holds at least: activations, and of every weight also the gradient and both moments
    /// of AdamW.
    ///
    /// On a CPU a further window took 1.2 times its activations with the joint U-Net of the workload w1, and 1.4 times
    /// with a `swin_unet` of that size: gradients on their way, and copies.
    pub fn step_bytes(&self, n_windows: usize) -> usize {
        4 * self.weight_bytes() + self.activation_bytes() * n_windows
    }
}

struct Tally<'a> {
    spec: &'a NetworkSpec,
    cost: NetworkCost,
}

impl Tally<'_> {
    fn unet(&mut self) {
        let (spec, channels) = (self.spec, self.spec.channels());
        self.encoder();
        self.decoder(2);
        self.pointwise(0, channels[0], 1);
        for level in spec.coarse_mask_levels() {
            self.pointwise(level, channels[level], 1);
        }
        if spec.followup() {
            self.pointwise(0, channels[0], 1);
        }
        if spec.reconstructs() {
            self.decoder(1);
            self.pointwise(0, channels[0], spec.input().n_channels());
        }
        if spec.kind().classifies() {
            self.linear(1, n_features(spec), 1);
        }
        self.linear(1, n_features(spec), spec.signs().len());
        self.slice_attention(n_features(spec));
    }

    fn vgg(&mut self) {
        let n_hidden = self.spec.channels().last().copied().unwrap_or_default();
        self.encoder();
        self.linear(1, n_features(self.spec), n_hidden);
        self.linear(1, n_hidden, 2);
        self.linear(1, n_hidden, self.spec.signs().len());
        self.slice_attention(n_hidden);
    }

    fn resnet(&mut self) {
        for (level, &n_out) in self.spec.channels().iter().enumerate() {
            let n_in = self.n_inputs(level);
            if level > 0 {
                self.written(level, n_in);
            }
            for n_in in [n_in, n_out] {
                self.block(level, n_in);
                if n_in != n_out {
                    self.pointwise(level, n_in, n_out);
                }
                // With the shortcut added.
                self.written(level, n_out);
            }
        }
        self.linear(1, n_features(self.spec), 2);
        self.linear(1, n_features(self.spec), self.spec.signs().len());
        self.slice_attention(n_features(self.spec));
    }

    /// Two layers, squashed and multiplied, and a third without a bias.
    fn slice_attention(&mut self, n_features: usize) {
        let Some(attention) = self.spec.slice_attention() else { return };
        let n_hidden = attention.n_hidden;
        self.linear(1, n_features, n_hidden);
        self.linear(1, n_features, n_hidden);
        self.cost.n_parameters += n_hidden;
        self.cost.n_multiply_adds += n_hidden;
        self.cost.n_activations += 3 * n_hidden + 1;
    }

    fn encoder(&mut self) {
        for (level, &n_channels) in self.spec.channels().iter().enumerate() {
            let n_in = self.n_inputs(level);
            match self.spec.attention() {
                Some(attention) if level > 0 => self.stage(level, [n_in, n_channels], attention),
                _ => {
                    if level > 0 {
                        self.written(level, n_in);
                    }
                    self.block(level, n_in);
                }
            }
        }
    }

    /// Up to the finest level; each block is given `n_inputs` times its channels.
    fn decoder(&mut self, n_inputs: usize) {
        let channels = self.spec.channels();
        for level in (0..channels.len() - 1).rev() {
            let [n_in, n_out] = [channels[level + 1], channels[level]];
            let n_taps: usize = self.spec.stride(level).iter().product();
            self.cost.n_parameters += n_taps * n_in * n_out + n_out;
            self.cost.n_multiply_adds += self.n_voxels(level) * n_in * n_out;
            self.written(level, n_out);
            self.block(level, n_inputs * n_out);
        }
    }

    /// Two convolutions, each with a normalisation, the first of which is not written.
    fn block(&mut self, level: usize, n_in: usize) {
        let n_out = self.spec.channels()[level];
        let n_taps: usize = self.spec.kernel(level).iter().product();
        for n_in in [n_in, n_out] {
            let n_weights = n_taps * n_in * n_out;
            self.cost.n_parameters += n_weights + 2 * n_out;
            self.cost.n_multiply_adds += self.n_voxels(level) * n_weights;
            self.written(level, n_out);
        }
        self.written(level, n_out);
    }

    fn stage(&mut self, level: usize, [n_in, n_out]: [usize; 2], attention: AttentionSpec) {
        let n_voxels = self.n_voxels(level);
        self.layer_norm(level, 4 * n_in);
        self.linear(n_voxels, 4 * n_in, n_out);
        // Merging has no bias.
        self.cost.n_parameters -= n_out;
        for _ in 0..2 {
            self.layer_norm(level, n_out);
            self.attention(level, attention);
            self.written(level, n_out);
            self.layer_norm(level, n_out);
            self.linear(n_voxels, n_out, EXPANSION * n_out);
            // The activation.
            self.written(level, EXPANSION * n_out);
            self.linear(n_voxels, EXPANSION * n_out, n_out);
            self.written(level, n_out);
        }
        self.layer_norm(level, n_out);
    }

    /// Queries, keys and values, scores and shares of every pair of a window, what they mix, and its projection.
    fn attention(&mut self, level: usize, attention: AttentionSpec) {
        let (n_channels, n_voxels) = (self.spec.channels()[level], self.n_voxels(level));
        let [h, w] = attention.window;
        let n_heads = n_channels / attention.head_channels;
        self.linear(n_voxels, n_channels, 3 * n_channels);
        self.cost.n_parameters += (2 * h - 1) * (2 * w - 1) * n_heads;
        self.cost.n_multiply_adds += 2 * n_voxels * h * w * n_channels;
        self.written(level, 2 * h * w * n_heads);
        self.written(level, n_channels);
        self.linear(n_voxels, n_channels, n_channels);
    }

    fn layer_norm(&mut self, level: usize, n_channels: usize) {
        self.cost.n_parameters += 2 * n_channels;
        self.written(level, n_channels);
    }

    fn pointwise(&mut self, level: usize, n_in: usize, n_out: usize) {
        self.linear(self.n_voxels(level), n_in, n_out);
    }

    /// With a bias, of so many rows.
    fn linear(&mut self, n_rows: usize, n_in: usize, n_out: usize) {
        self.cost.n_parameters += n_in * n_out + n_out;
        self.cost.n_multiply_adds += n_rows * n_in * n_out;
        self.cost.n_activations += n_rows * n_out;
    }

    /// So many numbers of every voxel of a level.
    fn written(&mut self, level: usize, n_channels: usize) {
        self.cost.n_activations += self.n_voxels(level) * n_channels;
    }

    fn n_voxels(&self, level: usize) -> usize {
        self.spec.extent(level).iter().product()
    }

    /// Channels of what a level is given.
    fn n_inputs(&self, level: usize) -> usize {
        match level {
            0 => self.spec.input().n_channels(),
            _ => self.spec.channels()[level - 1],
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use burn::module::Module;
    use burn::tensor::Device;

    use super::*;
    use crate::spec::tests::{all, raw};
    use crate::{Dims, Network, Pooling};

    /// Two levels of 4 and 8 channels over 4 × 4 voxels.
    fn tiny(kind: NetworkKind, pooling: Pooling) -> NetworkCost {
        let mut raw = raw(kind, Dims::Slices);
        (raw.channels, raw.window, raw.pooling) = (vec![4, 8], [1, 4, 4], pooling);
        raw.attention = raw.attention.map(|_| AttentionSpec { window: [2, 2], head_channels: 4 });
        NetworkCost::of(&NetworkSpec::try_from(raw).unwrap())
    }

    #[test]
    fn the_costs_of_tiny_networks_are_those_counted_by_hand() {
        // Weights of the two blocks and the two linear layers, times 16, 4 and 1 voxels.
        let blocks = [36 + 144, 288 + 576];
        let encoder = blocks[0] + 2 * 8 + blocks[1] + 2 * 16;
        // The input; two convolutions and a normalisation at 16 voxels; pooled, and again at 4.
        let written = 16 + 16 * 12 + 4 * 4 + 4 * 24;
        let vgg = NetworkCost {
            n_parameters: encoder + (64 + 8) + (16 + 2),
            n_multiply_adds: 16 * blocks[0] + 4 * blocks[1] + 64 + 16,
            n_activations: written + 8 + 2,
        };
        assert_eq!(tiny(NetworkKind::Vgg, Pooling::Mean), vgg);
        assert_eq!(vgg.step_bytes(3), 16 * vgg.n_parameters + 12 * vgg.n_activations);
        // Up from 8 to 4 channels by 2 × 2, convolved with the skip, and one logit.
        let unet = NetworkCost {
            n_parameters: encoder + (128 + 4) + (288 + 8 + 144 + 8) + (4 + 1),
            n_multiply_adds: 16 * blocks[0] + 4 * blocks[1] + 4 * 128 + 16 * (288 + 144 + 4),
            n_activations: written + 16 * (4 + 12 + 1),
        };
        assert_eq!(tiny(NetworkKind::Unet, Pooling::Mean), unet);
        // First blocks bring 1 to 4 and 4 to 8 channels, by a shortcut of their own; second ones keep them.
        let kept = [2 * 144, 2 * 576];
        let resnet = NetworkCost {
            n_parameters: encoder + kept[0] + 2 * 8 + kept[1] + 2 * 16 + (4 + 4) + (32 + 8) + 18,
            n_multiply_adds: 16 * (blocks[0] + kept[0] + 4) + 4 * (blocks[1] + kept[1] + 32) + 16,
            n_activations: 16 + 16 * (2 * 16 + 4) + 4 * 4 + 4 * (2 * 32 + 8) + 2,
        };
        assert_eq!(tiny(NetworkKind::Resnet, Pooling::Mean), resnet);
    }

    #[test]
    fn the_cost_of_a_tiny_swin_unet_is_that_counted_by_hand() {
        // One window of 2 × 2 voxels with 8 channels in two heads; nine offsets.
        let weights = 8 * 24 + 8 * 8 + 8 * 32 + 32 * 8;
        let block = weights + (24 + 8 + 32 + 8) + 2 * 16 + 9 * 2;
        let merge = 32 + 16 * 8;
        let decoder = (128 + 4) + (288 + 8 + 144 + 8) + (4 + 1) + (16 + 1);
        let swin = NetworkCost {
            n_parameters: 36 + 144 + 16 + merge + 2 * block + 16 + decoder,
            n_multiply_adds: 16 * 180
                + 4 * 128
                + 2 * (4 * weights + 2 * 4 * 4 * 8)
                + 4 * 128
                + 16 * (288 + 144 + 4)
                + 16,
            n_activations: 16
                + 16 * 12
                // Normalised and merged patches; a block: normalised twice, queries to values, scores and shares of
                // four keys in two heads, mixed, projected, added twice, within the perceptron twice, and out of it.
                + 4 * (16 + 8 + 2 * (8 + 24 + 16 + 8 + 8 + 8 + 8 + 32 + 32 + 8 + 8) + 8)
                + 16 * (4 + 12 + 1)
                + 1,
        };
        assert_eq!(tiny(NetworkKind::SwinUnet, Pooling::MeanMax), swin);
    }

    #[test]
    fn every_network_has_as_many_parameters_as_are_counted() {
        for spec in all() {
            let network = Network::new(&spec, 1, &Device::flex());
            assert_eq!(NetworkCost::of(&spec).n_parameters, network.num_params(), "{spec:?}");
        }
    }

    /// One logit of 8 channels at each of 2 × 4 voxels, half as many a side.
    #[test]
    fn a_coarse_mask_costs_one_logit_a_voxel_of_its_level() {
        let of = |deep_supervision| {
            let mut raw = raw(NetworkKind::Unet, Dims::Slices);
            (raw.window, raw.deep_supervision) = ([1, 4, 8], deep_supervision);
            NetworkCost::of(&NetworkSpec::try_from(raw).unwrap())
        };
        let (without, with) = (of(false), of(true));
        assert_eq!(with.n_parameters, without.n_parameters + 8 + 1);
        assert_eq!(with.n_multiply_adds, without.n_multiply_adds + 8 * 8);
        assert_eq!(with.n_activations, without.n_activations + 8);
    }

    /// One logit of 4 channels at each of 4 × 8 voxels.
    #[test]
    fn a_mask_at_follow_up_costs_one_logit_a_voxel() {
        let of = |followup| {
            let mut raw = raw(NetworkKind::Unet, Dims::Slices);
            (raw.window, raw.followup) = ([1, 4, 8], followup);
            NetworkCost::of(&NetworkSpec::try_from(raw).unwrap())
        };
        let (without, with) = (of(false), of(true));
        assert_eq!(with.n_parameters, without.n_parameters + 4 + 1);
        assert_eq!(with.n_multiply_adds, without.n_multiply_adds + 32 * 4);
        assert_eq!(with.n_activations, without.n_activations + 32);
    }

    /// Depth is halved below the planar level alone: 4 × 16 × 8 voxels, 4 × 8 × 4 and 2 × 4 × 2.
    #[test]
    fn volumes_count_their_depth() {
        let raw = raw(NetworkKind::Vgg, Dims::Volumes);
        let cost = NetworkCost::of(&NetworkSpec::try_from(raw).unwrap());
        let levels = [512 * 9 * (4 + 16), 128 * 27 * (32 + 64), 16 * 27 * (64 + 64)];
        assert_eq!(cost.n_multiply_adds, levels.iter().sum::<usize>() + 16 * 8 + 8 * 2);
    }
}
