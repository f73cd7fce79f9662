/// `P(Z > z)` of the standard normal distribution.
pub(crate) fn upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z / std::f64::consts::SQRT_2)
}

/// The `z` with `P(Z ≤ z) = p`, for `0 < p < 1`.
///
/// Bisection on the tail: a handful of calls a report, and no table of coefficients to mistrust.
pub(crate) fn quantile(p: f64) -> f64 {
    // The smaller tail keeps its relative precision.
    if p < 0.5 {
        return -quantile_of_tail(p);
    }
    quantile_of_tail(1.0 - p)
}

fn quantile_of_tail(tail: f64) -> f64 {
    bisect(0.0, 40.0, |z| upper_tail(z) > tail)
}

/// The place in `[low, high]` where `is_below` turns false, as near as numbers lie.
pub(crate) fn bisect(mut low: f64, mut high: f64, is_below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..1100 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests/reference/metrics.py, "normal quantiles" and "normal upper tails".
    #[test]
    fn agrees_with_scipy() {
        let expected = [
            (0.975, 1.959963984540054),
            (0.95, 1.6448536269514722),
            (0.3, -0.5244005127080409),
            (1e-10, -6.361340902404056),
        ];
        for (p, z) in expected {
            assert!((quantile(p) - z).abs() < 1e-13, "{p}: {}", quantile(p));
        }
        let tails =
            [(0.5, 0.3085375387259869), (1.96, 0.024997895148220435), (6.0, 9.865876450376946e-10)];
        for (z, tail) in tails {
            assert!((upper_tail(z) / tail - 1.0).abs() < 1e-12, "{z}: {}", upper_tail(z));
        }
    }
}
