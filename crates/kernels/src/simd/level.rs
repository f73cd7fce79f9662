use std::sync::OnceLock;

/// The vector instructions that the kernels use.
///
/// Results have the same bits on every machine of one level, and differ in the last digits between
/// levels: a level belongs to the provenance of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// 16 numbers a vector, x86-64 with AVX-512F.
    #[non_exhaustive]
    Avx512,
    /// 8 numbers a vector, x86-64 with AVX2 and FMA.
    #[non_exhaustive]
    Avx2,
    /// 4 numbers a vector, whatever the compiler makes of it: SSE2 on x86-64, NEON on AArch64.
    #[non_exhaustive]
    Portable,
    /// 16 numbers a vector of portable code: for tests of the tails and tiles that AVX-512 has, on a
    /// processor without it.
    #[doc(hidden)]
    Wide,
}

impl Level {
    /// Every level that this processor has, the fastest first.
    pub fn available() -> Vec<Level> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected;
            if is_x86_feature_detected!("avx512f") {
                levels.push(Level::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Level::Avx2);
            }
        }
        levels.push(Level::Portable);
        levels
    }

    /// The fastest level of this processor, or the one that the variable `HEMEX_SIMD` names
    /// (`avx512`, `avx2`, `portable`).
    ///
    /// # Panics
    /// If `HEMEX_SIMD` names a level that this processor does not have: going on with another one
    /// would give other bits than were asked for.
    pub fn current() -> Level {
        static CURRENT: OnceLock<Level> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let available = Level::available();
            match std::env::var("HEMEX_SIMD") {
                Err(_) => available[0],
                Ok(name) => {
                    *available.iter().find(|level| level.name() == name).unwrap_or_else(|| {
                        let known: Vec<_> = available.iter().map(|level| level.name()).collect();
                        panic!("HEMEX_SIMD is `{name}`; this processor has {}", known.join(", "))
                    })
                }
            }
        })
    }

    /// As `HEMEX_SIMD` names it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Avx512 => "avx512",
            Level::Avx2 => "avx2",
            Level::Portable => "portable",
            Level::Wide => "wide",
        }
    }

    /// The level for rows of `n` numbers: half a vector of AVX-512 would be wasted on 8 channels.
    pub(crate) fn for_channels(self, n: usize) -> Level {
        if self == Level::Avx512 && n <= 8 && Level::available().contains(&Level::Avx2) {
            return Level::Avx2;
        }
        self
    }

    /// Numbers in a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Level::Avx512 | Level::Wide => 16,
            Level::Avx2 => 8,
            Level::Portable => 4,
        }
    }
}
