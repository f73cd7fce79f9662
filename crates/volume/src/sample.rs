//! Values between voxels.

/// Reads an image's voxels at fractional indices.
#[derive(Clone, Copy)]
pub(crate) struct Sampler<'a> {
    voxels: &'a [f32],
    shape: [usize; 3],
}

impl<'a> Sampler<'a> {
    /// Over `voxels` of `shape` (`[D, H, W]`).
    pub(crate) fn new(voxels: &'a [f32], shape: [usize; 3]) -> Self {
        Self { voxels, shape }
    }

    /// Trilinear interpolation at `[d, h, w]`; outside the outermost centres the edge is repeated.
    #[inline]
    pub(crate) fn linear(&self, position: [f32; 3]) -> f32 {
        let [_, n_h, n_w] = self.shape;
        let (d, next_d, f_d) = split(position[0], self.shape[0]);
        let (h, next_h, f_h) = split(position[1], n_h);
        let (w, next_w, f_w) = split(position[2], n_w);
        let in_row = |d: usize, h: usize| {
            let row = &self.voxels[(d * n_h + h) * n_w..][..n_w];
            row[w] + f_w * (row[next_w] - row[w])
        };
        let in_slice = |d: usize| {
            let value = in_row(d, h);
            value + f_h * (in_row(d, next_h) - value)
        };
        let value = in_slice(d);
        // Within a slice (all of 2-D, and whole-slice moves) half the reads are saved.
        if f_d == 0.0 { value } else { value + f_d * (in_slice(next_d) - value) }
    }
}

/// The voxels on both sides of a position along an axis and the fraction between them.
#[inline]
fn split(position: f32, n: usize) -> (usize, usize, f32) {
    let last = n - 1;
    let position = position.clamp(0.0, last as f32);
    let idx = (position as usize).min(last);
    (idx, (idx + 1).min(last), position - idx as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trilinear_reproduces_a_trilinear_function() {
        let f = |d: f32, h: f32, w: f32| 1.0 + 2.0 * d - h + 3.0 * w + d * h * w;
        let mut voxels = Vec::new();
        for i in 0..3 * 4 * 5 {
            voxels.push(f((i / 20) as f32, (i / 5 % 4) as f32, (i % 5) as f32));
        }
        let sampler = Sampler::new(&voxels, [3, 4, 5]);
        // Within one cell the function is trilinear.
        for [d, h, w] in [[0.25, 1.5, 3.75], [1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [1.5, 0.0, 0.5]] {
            let corner = |x: f32, n: f32| x.floor().min(n - 2.0);
            let (d0, h0, w0) = (corner(d, 3.0), corner(h, 4.0), corner(w, 5.0));
            let mut expected = 0.0;
            for k in 0..8 {
                let (a, b, c) = ((k & 1) as f32, (k >> 1 & 1) as f32, (k >> 2) as f32);
                let weight = (1.0 - (d - d0 - a).abs())
                    * (1.0 - (h - h0 - b).abs())
                    * (1.0 - (w - w0 - c).abs());
                expected += weight * f(d0 + a, h0 + b, w0 + c);
            }
            assert!((sampler.linear([d, h, w]) - expected).abs() < 1e-4);
        }
    }

    #[test]
    fn outside_repeats_the_edge() {
        let sampler = Sampler::new(&[1.0, 2.0], [1, 1, 2]);
        assert_eq!(sampler.linear([3.0, -2.0, -0.4]), 1.0);
        assert_eq!(sampler.linear([0.0, 0.0, 9.0]), 2.0);
    }
}
