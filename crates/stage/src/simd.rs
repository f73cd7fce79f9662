/// A value of `HEMEX_SIMD` that no processor of this kind has, or this one lacks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("HEMEX_SIMD is `{found}`; this processor has {known}")]
pub struct UnknownSimdLevel {
    found: String,
    known: String,
}

/// The vector instructions that results are computed with, as far as they change their bits: those of
/// this processor, or the fewer that the variable `HEMEX_SIMD` names (`avx512`, `avx2`, `portable`).
///
/// Part of every cache key and of every model: results are the same bits on one machine, and between
/// machines of one level.
///
/// # Errors
/// [`UnknownSimdLevel`] if `HEMEX_SIMD` names a level that this processor does not have.
pub fn simd_level() -> Result<&'static str, UnknownSimdLevel> {
    choose(&available(), std::env::var("HEMEX_SIMD").ok().as_deref())
}

/// Levels by the names of `HEMEX_SIMD` and of keys, the fastest first.
fn available() -> Vec<(&'static str, &'static str)> {
    let mut levels = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected;
        if is_x86_feature_detected!("avx512f") {
            levels.push(("avx512", "x86_64-avx512"));
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            levels.push(("avx2", "x86_64-avx2-fma"));
        }
    }
    levels.push(("portable", std::env::consts::ARCH));
    levels
}

fn choose(
    levels: &[(&'static str, &'static str)],
    forced: Option<&str>,
) -> Result<&'static str, UnknownSimdLevel> {
    let fits = |name: &str| forced.is_none_or(|forced| forced == name);
    let level = levels.iter().find(|(name, _)| fits(name));
    level.map(|(_, key)| *key).ok_or_else(|| UnknownSimdLevel {
        found: forced.unwrap_or_default().to_owned(),
        known: levels.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_level_is_taken_unless_another_is_named() {
        let levels = [("avx2", "x86_64-avx2-fma"), ("portable", "x86_64")];
        assert_eq!(choose(&levels, None), Ok("x86_64-avx2-fma"));
        assert_eq!(choose(&levels, Some("portable")), Ok("x86_64"));
        let error = choose(&levels, Some("avx512")).map_err(|e| e.to_string());
        let text = "HEMEX_SIMD is `avx512`; this processor has `avx2`, `portable`";
        assert_eq!(error, Err(text.to_owned()));
    }
}
