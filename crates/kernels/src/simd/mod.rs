//! Vectors of `f32` behind one trait: AVX-512, AVX2 with FMA, and portable code.
//!
//! A kernel is written once, generic over [`Simd`], and compiled once a level: [`run`] enters the
//! function that has the level's instructions enabled, and everything below is inlined into it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod level;
mod portable;

pub use level::Level;
pub(crate) use portable::Portable;

/// Vectors of [`LANES`](Simd::LANES) numbers. A value of the type is the proof that this processor has
/// the instructions.
///
/// # Safety
/// [`load`](Simd::load) and its like read and write plain memory; the caller answers for the range.
pub(crate) trait Simd: Copy {
    /// Numbers in a vector.
    const LANES: usize;
    /// Rows of the tile of a matrix product that fits the registers, beside two vectors of columns.
    const TILE_ROWS: usize;
    /// A vector.
    type V: Copy;

    fn splat(self, x: f32) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a` where `x` is above 0, else `b`.
    fn select_positive(self, x: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// The larger of `x` and `kept` and with it `index` or `kept_index`; the first of equals, and one that
    /// is not a number for good.
    fn keep_larger(
        self,
        x: Self::V,
        index: Self::V,
        kept: Self::V,
        kept_index: Self::V,
    ) -> [Self::V; 2];
    /// # Safety
    /// `LANES` numbers from `p` on can be read.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// # Safety
    /// `LANES` numbers from `p` on can be written.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// The first `n` lanes from memory, the others 0.
    ///
    /// # Safety
    /// `n` is at most `LANES`, and `n` numbers from `p` on can be read.
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V;
    /// Writes the first `n` lanes.
    ///
    /// # Safety
    /// `n` is at most `LANES`, and `n` numbers from `p` on can be written.
    unsafe fn store_first(self, p: *mut f32, v: Self::V, n: usize);

    #[inline(always)]
    fn zero(self) -> Self::V {
        self.splat(0.0)
    }
}

/// Work that is compiled once a level.
pub(crate) trait Kernel {
    type Output;
    /// Must be `#[inline(always)]`, and so must all that it calls with `s`.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// Runs the kernel with the level's instructions.
pub(crate) fn run<K: Kernel>(level: Level, kernel: K) -> K::Output {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a `Level` is only ever made after its instructions were detected.
        Level::Avx512 => unsafe { avx512::run(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe { avx2::run(kernel) },
        Level::Wide => kernel.run(Portable::<16>),
        _ => kernel.run(Portable::<4>),
    }
}

/// Rounds a number of channels up to whole vectors.
pub(crate) const fn padded(n: usize, lanes: usize) -> usize {
    n.div_ceil(lanes) * lanes
}

/// [`load_first`](Simd::load_first), the whole vector in one.
///
/// # Safety
/// As there.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd>(s: S, p: *const f32, n: usize) -> S::V {
    // SAFETY: the caller's.
    unsafe { if n == S::LANES { s.load(p) } else { s.load_first(p, n) } }
}

/// [`store_first`](Simd::store_first), the whole vector in one.
///
/// # Safety
/// As there.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd>(s: S, p: *mut f32, v: S::V, n: usize) {
    // SAFETY: the caller's.
    unsafe { if n == S::LANES { s.store(p, v) } else { s.store_first(p, v, n) } }
}
