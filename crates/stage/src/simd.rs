/// The vector instructions of this processor, as far as they change the bits of a result.
///
/// Part of every cache key and of every model: results are the same bits on one machine, and between
/// machines of one level.
pub fn simd_level() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected;
        if is_x86_feature_detected!("avx512f") {
            return "x86_64-avx512";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return "x86_64-avx2-fma";
        }
    }
    std::env::consts::ARCH
}
