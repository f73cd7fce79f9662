use std::ops::Range;

use rayon::prelude::*;

use super::Segments;
use crate::gemm::packed_index;
use crate::memory::{Buffer, Shared};
use crate::simd::{self, Kernel, Level, Simd};
use crate::winograd::{IN, POINTS, filter};

/// Numbers between the starts of two points, so that they do not all fall into one set of the cache.
pub(crate) const SKEW: usize = 16;

/// Weights of a convolution as they are read: which output, which input, which tap.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    /// `[C_out, C_in, kD, 3, 3]`, or `[C_in, C_out, kD, 3, 3]` when reversed.
    data: &'a [f32],
    pub n_out: usize,
    pub n_in: usize,
    /// `kD`, 1 or 3.
    pub depth: usize,
    is_reversed: bool,
    /// Outputs of `data`, of which these are `n_out` from `first_out` on.
    first_out: usize,
    all_outs: usize,
}

impl<'a> Weights<'a> {
    /// `data` is `[n_out, n_in, depth, 3, 3]`.
    pub(crate) fn new(data: &'a [f32], n_out: usize, n_in: usize, depth: usize) -> Self {
        assert_eq!(data.len(), n_out * n_in * depth * 9, "size of the weights");
        assert!(depth == 1 || depth == 3, "a kernel of depth {depth}");
        Self { data, n_out, n_in, depth, is_reversed: false, first_out: 0, all_outs: n_out }
    }

    /// The weights of the gradient to the input: outputs are inputs, and every tap its opposite.
    pub(crate) fn reversed(self) -> Self {
        let (n_out, n_in) = (self.n_in, self.n_out);
        Self { n_out, n_in, all_outs: n_out, is_reversed: !self.is_reversed, ..self }
    }

    /// The weights to some of the outputs.
    pub(crate) fn outputs(self, outs: Range<usize>) -> Self {
        Self { n_out: outs.len(), first_out: self.first_out + outs.start, ..self }
    }

    fn n_taps(&self) -> usize {
        self.depth * 9
    }

    #[inline(always)]
    fn at(&self, out: usize, input: usize, tap: usize) -> f32 {
        let n_taps = self.n_taps();
        let out = self.first_out + out;
        if self.is_reversed {
            self.data[(input * self.all_outs + out) * n_taps + n_taps - 1 - tap]
        } else {
            self.data[(out * self.n_in + input) * n_taps + tap]
        }
    }

    /// `taps` taps of one input from `first` on, for the channels of a vector of outputs.
    #[inline(always)]
    unsafe fn vector<S: Simd, const TAPS: usize>(
        &self,
        s: S,
        outs: (usize, usize),
        input: usize,
        first: usize,
    ) -> [S::V; TAPS] {
        let mut numbers = [[0.0f32; 16]; TAPS];
        for lane in 0..outs.1 {
            for (tap, numbers) in numbers.iter_mut().enumerate() {
                numbers[lane] = self.at(outs.0 + lane, input, first + tap);
            }
        }
        let mut vectors = [s.zero(); TAPS];
        for (vector, numbers) in vectors.iter_mut().zip(&numbers) {
            // SAFETY: a vector has at most 16 lanes.
            *vector = unsafe { s.load(numbers.as_ptr()) };
        }
        vectors
    }

    /// Every tap as rows of a product, `[tap][input]` by the columns of `outs`.
    pub(crate) fn packed(&self, level: Level, outs: &Segments) -> Buffer {
        self.pack(level, outs, Form::Taps)
    }

    /// `G g Gᵀ` of every plane, point by point, `[point][kd][input]` by the columns of `outs`; points
    /// are [`point_stride`](Self::point_stride) apart.
    pub(crate) fn transformed(&self, level: Level, outs: &Segments) -> Buffer {
        self.pack(level, outs, Form::Points)
    }

    /// Numbers from one point of [`transformed`](Self::transformed) to the next.
    pub(crate) fn point_stride(&self, outs: &Segments) -> usize {
        self.depth * self.n_in * outs.n_padded + SKEW
    }

    fn pack(&self, level: Level, outs: &Segments, form: Form) -> Buffer {
        let len = match form {
            Form::Taps => self.n_taps() * self.n_in * outs.n_padded,
            Form::Points => POINTS * self.point_stride(outs),
        };
        let mut packed = Buffer::new(len);
        let shared = Shared::new(&mut packed);
        let n_tasks = outs.n_vectors() * self.n_in;
        (0..n_tasks).into_par_iter().with_min_len(64).for_each(|task| {
            let (vector, input) = (task / self.n_in, task % self.n_in);
            simd::run(level, Pack { weights: self, outs, form, vector, input, packed: shared });
        });
        packed
    }
}

#[derive(Clone, Copy)]
enum Form {
    Taps,
    Points,
}

/// Packs one input's weights to one vector of outputs.
struct Pack<'a> {
    weights: &'a Weights<'a>,
    outs: &'a Segments,
    form: Form,
    vector: usize,
    input: usize,
    packed: Shared<'a>,
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.form {
            Form::Taps => self.taps(s),
            Form::Points => self.points(s),
        }
    }
}

impl Pack<'_> {
    #[inline(always)]
    fn taps<S: Simd>(&self, s: S) {
        let w = self.weights;
        let outs = self.outs.vector(self.vector);
        let total_k = w.n_taps() * w.n_in;
        for tap in 0..w.n_taps() {
            let k = tap * w.n_in + self.input;
            let to = packed_index(S::LANES, self.outs.n_vectors(), total_k, k, self.vector);
            // SAFETY: this task's vector of this row is written by no other.
            unsafe {
                let [weights] = w.vector::<S, 1>(s, outs, self.input, tap);
                s.store(self.packed.place(to, S::LANES), weights);
            }
        }
    }

    #[inline(always)]
    fn points<S: Simd>(&self, s: S) {
        let w = self.weights;
        let outs = self.outs.vector(self.vector);
        let stride = w.point_stride(self.outs);
        let total_k = w.depth * w.n_in;
        for kd in 0..w.depth {
            let k = kd * w.n_in + self.input;
            let to = packed_index(S::LANES, self.outs.n_vectors(), total_k, k, self.vector);
            // SAFETY: this task's vector of this row, at every point, is written by no other.
            unsafe {
                let g = w.vector::<S, 9>(s, outs, self.input, kd * 9);
                let span = (POINTS - 1) * stride + S::LANES;
                let to = self.packed.place(to, span);
                let columns = [
                    filter(s, [g[0], g[3], g[6]]),
                    filter(s, [g[1], g[4], g[7]]),
                    filter(s, [g[2], g[5], g[8]]),
                ];
                for i in 0..IN {
                    let row = filter(s, [columns[0][i], columns[1][i], columns[2][i]]);
                    for (j, u) in row.iter().enumerate() {
                        s.store(to.add((i * IN + j) * stride), *u);
                    }
                }
            }
        }
    }
}
