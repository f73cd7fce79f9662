use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::AttentionSpec;
use crate::conv::parameter;

/// What is added to the score of a pair that must not attend: its weight is 0 in 32 bits.
const APART: f32 = -1e4;

/// Self-attention within windows, with a bias by relative position (Liu et al., ICCV 2021, eq. 4).
///
/// Windows that are shifted by half of one carry over what plain ones part. A shifted grid wraps around; what it brings
/// together from opposite edges does not attend to one another.
#[derive(Module, Debug)]
pub(crate) struct WindowAttention {
    qkv: Linear,
    project: Linear,
    /// `[(2 H − 1)(2 W − 1), heads]` of a window of H × W: a row an offset.
    relative_bias: Param<Tensor<2>>,
    #[module(skip)]
    spec: AttentionSpec,
    #[module(skip)]
    is_shifted: bool,
}

impl WindowAttention {
    pub(crate) fn new(
        spec: AttentionSpec,
        n_channels: usize,
        is_shifted: bool,
        device: &Device,
    ) -> Self {
        let n_heads = n_channels / spec.head_channels;
        let n_offsets = (2 * spec.window[0] - 1) * (2 * spec.window[1] - 1);
        Self {
            qkv: LinearConfig::new(n_channels, 3 * n_channels).init(device),
            project: LinearConfig::new(n_channels, n_channels).init(device),
            relative_bias: parameter([n_offsets, n_heads], 0.0, device),
            spec,
            is_shifted,
        }
    }

    /// `[B, H, W, C]`; H and W are multiples of the window's.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let extent = [x.dims()[1], x.dims()[2]];
        let shift = self.shift(extent);
        let [down, right] = shift.map(|s| s as i64);
        let windows = self.split(x.roll(&[-down, -right], &[1, 2]));
        let [n, n_tokens, c] = windows.dims();
        let per_head = self.spec.head_channels;
        let n_heads = c / per_head;
        let qkv = self.qkv.forward(windows).reshape([n, n_tokens, 3, n_heads, per_head]);
        let qkv = qkv.permute([2, 0, 3, 1, 4]);
        let [q, k, v] = [0, 1, 2]
            .map(|part| qkv.clone().narrow(0, part, 1).reshape([n, n_heads, n_tokens, per_head]));
        let scale = 1.0 / (per_head as f64).sqrt();
        let mut scores = q.mul_scalar(scale).matmul(k.swap_dims(2, 3)) + self.bias(n_heads);
        if shift != [0, 0] {
            let n_windows = extent[0] / self.spec.window[0] * (extent[1] / self.spec.window[1]);
            let mask = TensorData::new(self.mask(extent), [1, n_windows, 1, n_tokens, n_tokens]);
            let mask = Tensor::<5>::from_data(mask, &scores.device());
            let images = [n / n_windows, n_windows, n_heads, n_tokens, n_tokens];
            scores = (scores.reshape(images) + mask).reshape([n, n_heads, n_tokens, n_tokens]);
        }
        let mixed = softmax(scores, 3).matmul(v).swap_dims(1, 2).reshape([n, n_tokens, c]);
        self.join(self.project.forward(mixed), extent).roll(&[down, right], &[1, 2])
    }

    /// Voxels by which windows lie shifted over an extent; an axis of one window has nothing to carry over.
    fn shift(&self, extent: [usize; 2]) -> [usize; 2] {
        let window = self.spec.window;
        [0, 1].map(|a| if self.is_shifted && extent[a] > window[a] { window[a] / 2 } else { 0 })
    }

    /// `[B, H, W, C]` to `[B · windows, voxels of a window, C]`.
    fn split(&self, x: Tensor<4>) -> Tensor<3> {
        let [b, h, w, c] = x.dims();
        let [wh, ww] = self.spec.window;
        let (rows, columns) = (h / wh, w / ww);
        x.reshape([b, rows, wh, columns, ww, c]).permute([0, 1, 3, 2, 4, 5]).reshape([
            b * rows * columns,
            wh * ww,
            c,
        ])
    }

    /// Undoes [`split`](Self::split).
    fn join(&self, windows: Tensor<3>, [h, w]: [usize; 2]) -> Tensor<4> {
        let [n, _, c] = windows.dims();
        let [wh, ww] = self.spec.window;
        let (rows, columns) = (h / wh, w / ww);
        let b = n / (rows * columns);
        windows
            .reshape([b, rows, columns, wh, ww, c])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([b, h, w, c])
    }

    /// The bias of every pair of a window, `[1, heads, query, key]`.
    fn bias(&self, n_heads: usize) -> Tensor<4> {
        let [h, w] = self.spec.window;
        let n = h * w;
        let rows = (0..n * n).map(|pair| {
            let (query, key) = (pair / n, pair % n);
            // Offsets of the query from the key, the least of them 0.
            let down = query / w + h - 1 - key / w;
            let right = query % w + w - 1 - key % w;
            (down * (2 * w - 1) + right) as i64
        });
        let table = self.relative_bias.val();
        let rows = TensorData::new(rows.collect::<Vec<i64>>(), [n * n]);
        let rows = Tensor::<1, Int>::from_data(rows, &table.device());
        table.select(0, rows).reshape([1, n, n, n_heads]).permute([0, 3, 1, 2])
    }

    /// [`APART`] for every pair of a shifted window that the wrap around has brought together, else 0:
    /// `[windows, query, key]`.
    fn mask(&self, extent: [usize; 2]) -> Vec<f32> {
        let ([h, w], shift) = (self.spec.window, self.shift(extent));
        let (n, columns) = (h * w, extent[1] / w);
        let n_windows = extent[0] / h * columns;
        let has_wrapped = |window: usize, token: usize| {
            let row = window / columns * h + token / w;
            let column = window % columns * w + token % w;
            [row >= extent[0] - shift[0], column >= extent[1] - shift[1]]
        };
        let mut mask = Vec::with_capacity(n_windows * n * n);
        for window in 0..n_windows {
            let wrapped: Vec<[bool; 2]> = (0..n).map(|token| has_wrapped(window, token)).collect();
            for query in &wrapped {
                mask.extend(wrapped.iter().map(|key| if key == query { 0.0 } else { APART }));
            }
        }
        mask
    }
}
