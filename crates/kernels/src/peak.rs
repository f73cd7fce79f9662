use std::time::Instant;

use rayon::prelude::*;

use crate::gemm::{Product, Term, product};
use crate::simd::{self, Kernel, Level, Simd, padded};

/// What the machine can do: the rate of a matrix product that never leaves the first cache, on all
/// threads, in GFLOP/s (a multiply-add is two operations). The best of some runs, since noise only slows.
pub fn matrix_product_peak(level: Level) -> f64 {
    let n_threads = rayon::current_num_threads();
    let run = || {
        let begin = Instant::now();
        let flops: f64 = (0..n_threads).into_par_iter().map(|_| simd::run(level, Peak)).sum();
        flops / begin.elapsed().as_secs_f64() / 1e9
    };
    (0..10).map(|_| run()).fold(0.0, f64::max)
}

struct Peak;

impl Kernel for Peak {
    /// Operations done.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        const REPEATS: usize = 20_000;
        let (n_rows, n_k, n_cols) = (S::TILE_ROWS * 2, 64, padded(2 * S::LANES, S::LANES));
        let a = vec![1.0f32; n_rows * n_k];
        let b = vec![1.0f32; n_k * n_cols];
        let mut c = vec![0.0f32; n_rows * n_cols];
        let terms = [Term { a: &a, first_k: 0, n_k }];
        let p = Product {
            n_rows,
            stride_a: n_k,
            terms: &terms,
            b: &b,
            total_k: n_k,
            n_cols,
            bias: None,
        };
        for _ in 0..REPEATS {
            product(s, std::hint::black_box(&p), &mut c, n_cols);
        }
        std::hint::black_box(&c);
        (2 * n_rows * n_k * n_cols * REPEATS) as f64
    }
}
