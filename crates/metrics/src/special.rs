//! Distribution functions that intervals need and the standard library lacks.

use crate::normal::{self, bisect};

/// The regularised incomplete beta function `I_x(a, b)` for `a, b > 0`, `x` in [0, 1].
///
/// Continued fraction of Didonato & Morris (ACM TOMS 18, 1992) in Lentz's form, on the side of the
/// mean where it converges fast.
pub(crate) fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    ln_beta_term(a, b, x).exp() / a * beta_fraction(a, b, x)
}

/// `ln(xᵃ (1 − x)ᵇ / B(a, b))`.
fn ln_beta_term(a: f64, b: f64, x: f64) -> f64 {
    a * x.ln() + b * (-x).ln_1p() + libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b)
}

fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    // Keeps a denominator from 0.
    const TINY: f64 = 1e-300;
    let guarded = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut d = 1.0 / guarded(1.0 - (a + b) * x / (a + 1.0));
    let (mut c, mut value) = (1.0, d);
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / guarded(1.0 + term * d);
            c = guarded(1.0 + term / c);
            change = c * d;
            value *= change;
        }
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

/// The `x` with `I_x(a, b) = p`.
pub(crate) fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    bisect(0.0, 1.0, |x| incomplete_beta(a, b, x) < p)
}

/// The `t` with `P(T ≤ t) = p` of Student's distribution.
pub(crate) fn t_quantile(p: f64, df: f64) -> f64 {
    let tail = p.min(1.0 - p);
    // P(T > t) = I_{df / (df + t²)}(df / 2, 1 / 2) / 2; the complement is bisected where t is small.
    let x = beta_quantile(2.0 * tail, 0.5 * df, 0.5);
    let y = beta_quantile(1.0 - 2.0 * tail, 0.5, 0.5 * df);
    let t = if x < 0.5 { (df * (1.0 - x) / x).sqrt() } else { (df * y / (1.0 - y)).sqrt() };
    if p < 0.5 { -t } else { t }
}

/// The `f` with `P(F ≤ f) = p` of the F distribution.
pub(crate) fn f_quantile(p: f64, df_1: f64, df_2: f64) -> f64 {
    let x = beta_quantile(p, 0.5 * df_1, 0.5 * df_2);
    // Near 1 its complement has the digits.
    let rest = if x < 0.5 { 1.0 - x } else { beta_quantile(1.0 - p, 0.5 * df_2, 0.5 * df_1) };
    let x = if x < 0.5 { x } else { 1.0 - rest };
    df_2 * x / (df_1 * rest)
}

/// `P(T ≤ t)` of the noncentral t distribution (Lenth, Applied Statistics 38, 1989, AS 243).
pub(crate) fn noncentral_t_cdf(t: f64, df: f64, noncentrality: f64) -> f64 {
    if t < 0.0 {
        return 1.0 - noncentral_t_cdf(-t, df, -noncentrality);
    }
    let half = 0.5 * noncentrality * noncentrality;
    let (x, b) = (t * t / (df + t * t), 0.5 * df);
    if x == 0.0 || half == 0.0 {
        let central = 0.5 + 0.5 * incomplete_beta(0.5, b, x);
        return if half == 0.0 { central } else { normal::upper_tail(noncentrality) };
    }
    // Poisson weights about their mode; what lies farther weighs less than 1e-16.
    let reach = 12.0 * half.sqrt() + 60.0;
    let (first, last) = ((half - reach).max(0.0).floor(), (half + reach).ceil());
    // I_x(a, b) from the highest a down, I_x(a, b) = I_x(a + 1, b) + xᵃ (1 − x)ᵇ / (a B(a, b)): only
    // sums of positive terms.
    let (mut odd, mut even) =
        (incomplete_beta(last + 0.5, b, x), incomplete_beta(last + 1.0, b, x));
    let (mut j, mut sum) = (last, 0.0);
    loop {
        let weight = -half + j * half.ln();
        let p = (weight - libm::lgamma(j + 1.0)).exp();
        let q = (weight - libm::lgamma(j + 1.5)).exp() * noncentrality / std::f64::consts::SQRT_2;
        sum += p * odd + q * even;
        if j <= first {
            break;
        }
        j -= 1.0;
        odd += ln_beta_term(j + 0.5, b, x).exp() / (j + 0.5);
        even += ln_beta_term(j + 1.0, b, x).exp() / (j + 1.0);
    }
    normal::upper_tail(noncentrality) + 0.5 * sum
}

/// The `t` with `P(T ≤ t) = p` of the noncentral t distribution.
pub(crate) fn noncentral_t_quantile(p: f64, df: f64, noncentrality: f64) -> f64 {
    let is_below = |t: f64| noncentral_t_cdf(t, df, noncentrality) < p;
    let (mut low, mut high) = (noncentrality - 1.0, noncentrality + 1.0);
    while is_below(high) && high < 1e300 {
        high += 2.0 * (high - low);
    }
    while !is_below(low) && low > -1e300 {
        low -= 2.0 * (high - low);
    }
    bisect(low, high, is_below)
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests/reference/metrics.py, part `distributions`.
    #[test]
    fn agrees_with_scipy() {
        let close = |value: f64, expected: f64| {
            assert!((value / expected - 1.0).abs() < 1e-10, "{value} {expected}");
        };
        close(incomplete_beta(0.5, 3.5, 0.2), 0.7725471819402367);
        close(incomplete_beta(10.0, 1.0, 0.9), 0.34867844010000004);
        close(incomplete_beta(250.0, 700.0, 0.28), 0.8799567839215396);
        close(beta_quantile(0.025, 3.0, 8.0), 0.06673951117773447);
        close(beta_quantile(0.975, 1.0, 40.0), 0.08809730287880237);
        close(t_quantile(0.975, 1.0), 12.706204736174694);
        close(t_quantile(0.6, 7.0), 0.2631668613520229);
        close(t_quantile(0.05, 59.0), -1.671093032103895);
        close(f_quantile(0.975, 9.0, 18.0), 2.929112493123264);
        close(f_quantile(0.025, 3.0, 200.0), 0.0717913951275676);
        close(f_quantile(0.975, 4.0, 0.1), 7.293329196894049e+30);
        close(noncentral_t_cdf(3.0, 4.0, 2.5), 0.5788055350924715);
        close(noncentral_t_cdf(-1.0, 9.0, 1.0), 0.02725048292834817);
        close(noncentral_t_cdf(70.0, 999.0, 62.0), 0.9999927765325494);
        close(noncentral_t_quantile(0.025, 1.0, 2.77), 0.7377945284506107);
        close(noncentral_t_quantile(0.975, 39.0, 12.4), 16.583575095328914);
        close(noncentral_t_quantile(0.9, 5.0, -3.0), -1.640212608585188);
    }
}
