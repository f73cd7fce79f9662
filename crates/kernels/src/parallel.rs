//! Work divided by shape, never by the number of threads, and sums in a fixed order.

use std::ops::Range;

use rayon::prelude::*;

use crate::memory::Buffer;

/// Makes the calling thread one of rayon's workers, so that an operation need not wake another thread
/// and wait for it. To be called first in `main`; where the pool exists already, nothing changes.
pub fn work_on_this_thread() {
    // The only error is that the pool exists: operations then take longer, but give the same.
    let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
}

/// `n` tasks in at most `n_parts` even parts.
pub(crate) fn parts(n: usize, n_parts: usize) -> Vec<Range<usize>> {
    let n_parts = n_parts.min(n);
    (0..n_parts).map(|part| part * n / n_parts..(part + 1) * n / n_parts).collect()
}

/// The sum of the parts, `len` numbers each, in their order.
pub(crate) fn sum_parts(parts: &[f32], len: usize) -> Buffer {
    let mut sum = Buffer::zeroed(len);
    sum.par_chunks_mut(4096).enumerate().for_each(|(chunk, sum)| {
        for part in parts.chunks_exact(len) {
            let part = &part[chunk * 4096..][..sum.len()];
            for (sum, x) in sum.iter_mut().zip(part) {
                *sum += x;
            }
        }
    });
    sum
}
