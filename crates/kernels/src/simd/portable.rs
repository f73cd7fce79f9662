use super::Simd;

/// `N` numbers in an array: four turn into one vector register on every common processor.
#[derive(Clone, Copy)]
pub(crate) struct Portable<const N: usize>;

#[inline(always)]
fn zip<const N: usize>(a: [f32; N], b: [f32; N], f: impl Fn(f32, f32) -> f32) -> [f32; N] {
    let mut c = a;
    for i in 0..N {
        c[i] = f(a[i], b[i]);
    }
    c
}

impl<const N: usize> Simd for Portable<N> {
    const LANES: usize = N;
    const TILE_ROWS: usize = if N > 4 { 8 } else { 4 };
    type V = [f32; N];

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; N] {
        [x; N]
    }
    #[inline(always)]
    fn add(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: [f32; N], b: [f32; N]) -> [f32; N] {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn fma(self, a: [f32; N], b: [f32; N], c: [f32; N]) -> [f32; N] {
        let mut d = c;
        for i in 0..N {
            // A fused multiply-add is an instruction of every AArch64; elsewhere it could be a call.
            d[i] = if cfg!(target_arch = "aarch64") {
                a[i].mul_add(b[i], c[i])
            } else {
                a[i] * b[i] + c[i]
            };
        }
        d
    }
    #[inline(always)]
    fn select_positive(self, x: [f32; N], a: [f32; N], b: [f32; N]) -> [f32; N] {
        let mut c = b;
        for i in 0..N {
            c[i] = if x[i] > 0.0 { a[i] } else { b[i] };
        }
        c
    }
    #[inline(always)]
    fn keep_larger(
        self,
        x: [f32; N],
        index: [f32; N],
        kept: [f32; N],
        kept_index: [f32; N],
    ) -> [[f32; N]; 2] {
        let mut larger = [kept, kept_index];
        for i in 0..N {
            let is_larger = x[i] > kept[i] || x[i].is_nan();
            if is_larger && !kept[i].is_nan() {
                larger[0][i] = x[i];
                larger[1][i] = index[i];
            }
        }
        larger
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> [f32; N] {
        // SAFETY: the caller's.
        unsafe { p.cast::<[f32; N]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: [f32; N]) {
        // SAFETY: the caller's.
        unsafe { p.cast::<[f32; N]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> [f32; N] {
        debug_assert!(n <= N);
        let mut v = [0.0; N];
        for (i, lane) in v.iter_mut().enumerate().take(n) {
            // SAFETY: `i < n`, which the caller vouches for.
            *lane = unsafe { *p.add(i) };
        }
        v
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: [f32; N], n: usize) {
        debug_assert!(n <= N);
        for (i, lane) in v.iter().enumerate().take(n) {
            // SAFETY: `i < n`, which the caller vouches for.
            unsafe { *p.add(i) = *lane };
        }
    }
}
