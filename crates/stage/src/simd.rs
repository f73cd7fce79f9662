/// The vector instructions that results are computed with, as far as they change their bits: those of
/// this processor, or fewer where the variable `HEMEX_SIMD` says `avx2` or `portable`.
///
/// Part of every cache key and of every model: results are the same bits on one machine, and between
/// machines of one level.
pub fn simd_level() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected;
        let forced = std::env::var("HEMEX_SIMD").ok();
        let may = |level: &str| forced.as_deref().is_none_or(|forced| forced == level);
        if is_x86_feature_detected!("avx512f") && may("avx512") {
            return "x86_64-avx512";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && may("avx2") {
            return "x86_64-avx2-fma";
        }
    }
    std::env::consts::ARCH
}
