use super::Simd;

/// Four numbers in an array, which compilers turn into one vector register on every common processor.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

type V = [f32; 4];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

impl Simd for Portable {
    const LANES: usize = 4;
    const TILE_ROWS: usize = 4;
    type V = V;

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; 4]
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        // A fused multiply-add is an instruction of every AArch64; elsewhere it could be a call.
        #[cfg(target_arch = "aarch64")]
        return [0, 1, 2, 3].map(|i| a[i].mul_add(b[i], c[i]));
        #[cfg(not(target_arch = "aarch64"))]
        self.add(self.mul(a, b), c)
    }
    #[inline(always)]
    fn select_positive(self, x: V, a: V, b: V) -> V {
        [0, 1, 2, 3].map(|i| if x[i] > 0.0 { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn keep_larger(self, x: V, index: V, kept: V, kept_index: V) -> [V; 2] {
        let mut larger = [kept, kept_index];
        for i in 0..4 {
            let is_larger = x[i] > kept[i] || x[i].is_nan();
            if is_larger && !kept[i].is_nan() {
                larger[0][i] = x[i];
                larger[1][i] = index[i];
            }
        }
        larger
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        // SAFETY: the caller's.
        unsafe { p.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: V) {
        // SAFETY: the caller's.
        unsafe { p.cast::<V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> V {
        debug_assert!(n <= 4);
        let mut v = [0.0; 4];
        for (i, lane) in v.iter_mut().enumerate().take(n) {
            // SAFETY: `i < n`, which the caller vouches for.
            *lane = unsafe { *p.add(i) };
        }
        v
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: V, n: usize) {
        debug_assert!(n <= 4);
        for (i, lane) in v.iter().enumerate().take(n) {
            // SAFETY: `i < n`, which the caller vouches for.
            unsafe { *p.add(i) = *lane };
        }
    }
}
