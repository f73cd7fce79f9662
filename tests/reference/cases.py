"""Every figure of drawn cases, by scikit-learn, SciPy and statsmodels, else by a published formula written out
in numpy; masks in volumes.py. Run through metrics.py.

The cases are drawn as in crates/metrics/tests/reference_cases (SplitMix64); `figures(seed)` gives a dict
of name to value, None where the figure is not defined.
"""

import math

import numpy as np
import statsmodels.api as sm
from scipy import optimize, stats
from sklearn import metrics as sk
from statsmodels.stats import contingency_tables, inter_rater, multitest

from volumes import volumes

Z = stats.norm.ppf(0.975)


class Draw:
    """SplitMix64."""

    MASK = (1 << 64) - 1

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & self.MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & self.MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & self.MASK
        return (z ^ (z >> 31)) % n

    def fractions(self, n, most, denominator):
        return np.array([self.below(most + 1) for _ in range(n)]) / denominator


def ratio(part, whole):
    return part / whole if whole > 0 else None


def figures(seed):
    return {**scores(Draw(3 * seed)), **tables(Draw(3 * seed + 1)), **volumes(Draw(3 * seed + 2))}


# --- scores --------------------------------------------------------------------------------------------


def scores(draw):
    n = 4 + draw.below(37)
    levels = [4, 12, 64, 4096][draw.below(4)]
    closed = draw.below(8) == 0
    part = lambda: draw.below(levels + 1) if closed else 1 + draw.below(levels - 1)
    p, q = (np.array([part() for _ in range(n)]) / levels for _ in range(2))
    share = draw.below(10)
    y = np.array([draw.below(10) < share for _ in range(n)]).astype(int)
    w = np.array([0 if draw.below(5) == 0 else 1 + draw.below(40) for _ in range(n)]) / 8
    drawn = np.array([draw.below(4) for _ in range(n)])
    return {**discrimination(p, q, y, drawn), **operating_points(p, y), **calibration(p, y),
            **comparison(p, q, y), **weighted(p, y, w)}


def both(y, w=None):
    w = np.ones(len(y)) if w is None else w
    return w[y == 1].sum() > 0 and w[y == 0].sum() > 0


def auroc(y, p, w=None):
    return sk.roc_auc_score(y, p, sample_weight=w) if both(y, w) else None


def average_precision(y, p, w=None):
    return sk.average_precision_score(y, p, sample_weight=w) if both(y, w) else None


def placements(p, y):
    wins = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])
    return wins.mean(1), wins.mean(0)


def discrimination(p, q, y, drawn):
    r = {"auroc": auroc(y, p), "average_precision": average_precision(y, p)}
    rows = np.repeat(np.arange(len(y)), drawn)
    r["drawn_auroc"] = auroc(y[rows], p[rows])
    r["drawn_average_precision"] = average_precision(y[rows], p[rows])
    names = ["delong_variance", "delong_low", "delong_high", "paired_delong_covariance", "paired_delong_p"]
    r.update(dict.fromkeys(names))
    if min(y.sum(), (1 - y).sum()) < 2:
        return r
    (a1, a0), (b1, b0) = placements(p, y), placements(q, y)
    cov = lambda u, v, s, t: np.cov(u, v)[0, 1] / len(u) + np.cov(s, t)[0, 1] / len(s)
    va, vb, c = cov(a1, a1, a0, a0), cov(b1, b1, b0, b0), cov(a1, b1, a0, b0)
    auc = a1.mean()
    r["delong_variance"], r["paired_delong_covariance"] = va, c
    if 0 < auc < 1:
        ends = math.log(auc / (1 - auc)) + np.array([-1, 1]) * Z * math.sqrt(va) / (auc * (1 - auc))
        r["delong_low"], r["delong_high"] = 1 / (1 + np.exp(-ends))
    error = math.sqrt(max(va + vb - 2 * c, 0))
    if error > 1e-9:
        r["paired_delong_p"] = 2 * stats.norm.sf(abs(auc - b1.mean()) / error)
    return r


def operating_points(p, y):
    names = ["sensitivity_at_specificity", "its_specificity", "specificity_at_sensitivity",
             "its_sensitivity", "positive_predictive_value", "negative_predictive_value"]
    if not both(y):
        return dict.fromkeys(names)
    fpr, tpr, _ = sk.roc_curve(y, p, drop_intermediate=False)
    points = list(zip(tpr, 1 - fpr))
    at_specificity = max(point for point in points if point[1] >= 0.8 - 1e-12)
    sp, se = max((s, t) for t, s in points if t >= 0.9 - 1e-12)
    ppv = ratio(se * 0.3, se * 0.3 + (1 - sp) * 0.7)
    npv = ratio(sp * 0.7, sp * 0.7 + (1 - se) * 0.3)
    return dict(zip(names, [*at_specificity, sp, se, ppv, npv]))


def brier_parts(groups, y):
    """Murphy's parts over (cases, mean outcome, probability)."""
    n, o, p = np.array(groups).T
    return (n * (p - o) ** 2).sum() / len(y), (n * (o - y.mean()) ** 2).sum() / len(y)


def mass_bins(p, n_bins):
    """Ends grow past the equal share until no probability straddles them."""
    ordered, start, bins = np.argsort(p, kind="stable"), 0, []
    s = p[ordered]
    for k in range(1, n_bins + 1):
        end = -(-k * len(p) // n_bins)
        if end <= start:
            continue
        end = int(np.searchsorted(s, s[end - 1], side="right"))
        bins.append(ordered[start:end])
        start = end
    return bins


def ece(p, y, bins):
    return sum(len(b) / len(p) * abs(p[b].mean() - y[b].mean()) for b in bins)


def recalibration(p, y, w=None):
    """Intercept and slope, and the intercept at slope 1, by statsmodels' GLM."""
    w = np.ones(len(p)) if w is None else w
    if not ((p > 0) & (p < 1)).all():
        return None, None, None
    logit, y, w = np.log(p / (1 - p))[w > 0], y[w > 0], w[w > 0]
    a, b = logit[y == 1], logit[y == 0]
    if not len(a) or not len(b) or a.max() <= b.min() or b.max() <= a.min():
        return None, None, None
    fit = sm.GLM(y, sm.add_constant(logit), family=sm.families.Binomial(), var_weights=w).fit(
        tol=1e-15, maxiter=200, tol_criterion="params")
    one = sm.GLM(y, np.ones(len(y)), family=sm.families.Binomial(), var_weights=w, offset=logit).fit(
        tol=1e-15, maxiter=200, tol_criterion="params")
    return fit.params[0], fit.params[1], one.params[0]


def loess(p, y, span, at):
    if not p.min() <= at <= p.max():
        return None
    distance = np.abs(p - at)
    radius = np.sort(distance)[math.ceil(span * len(p)) - 1]
    if (distance[distance <= radius] == radius).all():
        w = (distance == radius).astype(float)
    else:
        w = np.where(distance < radius, (1 - np.minimum(distance / radius, 1) ** 3) ** 3, 0)
    if len(set(p[w > 0])) == 1:
        return np.average(y, weights=w)
    x = p - np.average(p, weights=w)
    slope = (w * x * y).sum() / (w * x * x).sum()
    return np.average(y, weights=w) + slope * (at - np.average(p, weights=w))


def log_loss(p, y, w):
    with np.errstate(divide="ignore"):
        value = -np.log(np.where(y == 1, p, 1 - p))
    return np.average(value[w > 0], weights=w[w > 0]) if w.sum() > 0 else None


def calibration(p, y):
    groups = [((p == v).sum(), y[p == v].mean(), v) for v in np.unique(p)]
    place = np.minimum((p * 5).astype(int), 4)
    width = [np.flatnonzero(place == k) for k in range(5) if (place == k).any()]
    parts = brier_parts(groups, y)
    binned = brier_parts([(len(b), y[b].mean(), p[b].mean()) for b in width], y)
    intercept, slope, at_one = recalibration(p, y)
    return {
        "brier": ((p - y) ** 2).mean(), "log_loss": log_loss(p, y, np.ones(len(y))),
        "reliability": parts[0], "resolution": parts[1], "uncertainty": y.mean() * (1 - y.mean()),
        "binned_reliability": binned[0], "binned_resolution": binned[1],
        "ece_mass": ece(p, y, mass_bins(p, 5)), "ece_width": ece(p, y, width),
        "calibration_intercept": intercept, "calibration_slope": slope, "calibration_in_the_large": at_one,
        "loess_at_first_case": loess(p, y, 0.75, p[0]), "loess_at_0.4": loess(p, y, 0.75, 0.4),
        "loess_narrow_at_0.4": loess(p, y, 0.3, 0.4),
        "calibration_index": np.mean([abs(loess(p, y, 0.75, v) - v) for v in p]),
    }


def net_benefit(p, y, w, t):
    return (w[(p >= t) & (y == 1)].sum() - w[(p >= t) & (y == 0)].sum() * t / (1 - t)) / w.sum()


def nri(moves, y):
    up = {c: (moves[y == c] > 0).mean() for c in (0, 1)}
    down = {c: (moves[y == c] < 0).mean() for c in (0, 1)}
    variance = sum((up[c] + down[c] - (up[c] - down[c]) ** 2) / (y == c).sum() for c in (0, 1))
    return up[1] - down[1] + down[0] - up[0], math.sqrt(max(variance, 0))


def comparison(p, q, y):
    right = [(v >= 0.5) == (y == 1) for v in (p, q)]
    table = [[(right[0] & right[1]).sum(), (right[0] & ~right[1]).sum()],
             [(~right[0] & right[1]).sum(), (~right[0] & ~right[1]).sum()]]
    b, c = table[0][1], table[1][0]
    ones = np.ones(len(y))
    r = dict.fromkeys(["mcnemar_exact_p", "mcnemar_chi_squared", "mcnemar_p"])
    if b + c > 0:
        r["mcnemar_exact_p"] = contingency_tables.mcnemar(table, exact=True).pvalue
        # statsmodels gives 1 / n where b = c; the correction is never more than the difference.
        r["mcnemar_chi_squared"] = (contingency_tables.mcnemar(table, exact=False).statistic if b != c else 0)
        r["mcnemar_p"] = stats.chi2.sf(r["mcnemar_chi_squared"], 1)
    for t in (0.2, 0.5):
        r[f"net_benefit_{t}"] = net_benefit(p, y, ones, t)
    r["net_benefit_all_0.2"] = net_benefit(ones, y, ones, 0.2)
    r.update(dict.fromkeys(["nri_free", "nri_free_error", "nri", "nri_low", "idi", "idi_high", "idi_p"]))
    if both(y):
        r["nri_free"], r["nri_free_error"] = nri(np.sign(q - p), y)
        value, error = nri(np.sign(np.digitize(q, [0.25, 0.5]) - np.digitize(p, [0.25, 0.5])), y)
        r["nri"], r["nri_low"] = value, value - Z * error
    if min(y.sum(), (1 - y).sum()) >= 2:
        change = [(q - p)[y == c] for c in (0, 1)]
        idi, error = change[1].mean() - change[0].mean(), math.hypot(*(stats.sem(c) for c in change))
        r["idi"], r["idi_high"] = idi, idi + Z * error
        r["idi_p"] = 2 * stats.norm.sf(abs(idi) / error) if error > 1e-12 else None
    return r


def weighted_ece(p, y, w):
    place, error = np.minimum((p * 5).astype(int), 4), 0
    for k in range(5):
        b = (place == k) & (w > 0)
        if b.any():
            error += w[b].sum() / w.sum() * abs(np.average(p[b], weights=w[b]) - np.average(y[b], weights=w[b]))
    return error


def weighted(p, y, w):
    intercept, slope, at_one = recalibration(p, y, w)
    ess = lambda w: ratio(w.sum() ** 2, (w ** 2).sum())
    some = w.sum() > 0
    return {
        "weighted_auroc": auroc(y, p, w), "weighted_average_precision": average_precision(y, p, w),
        "weighted_brier": np.average((p - y) ** 2, weights=w) if some else None,
        "weighted_log_loss": log_loss(p, y, w),
        "weighted_ece_width": weighted_ece(p, y, w) if some else None,
        "weighted_calibration_intercept": intercept, "weighted_calibration_slope": slope,
        "weighted_calibration_in_the_large": at_one,
        "weighted_net_benefit_0.2": net_benefit(p, y, w, 0.2) if some else None,
        "weighted_net_benefit_all_0.2": net_benefit(np.ones(len(y)), y, w, 0.2) if some else None,
        "effective_sample_size": ess(w), "effective_sample_size_positive": ess(w[y == 1]),
    }


# --- tables --------------------------------------------------------------------------------------------


def tables(draw):
    return {**proportions(draw), **agreement(draw), **raters(draw), **resampling(draw), **multiplicity(draw)}


def proportions(draw):
    n = 1 + draw.below(200)
    k = draw.below(n + 1)
    wilson, exact = (stats.binomtest(k, n).proportion_ci(method=m) for m in ("wilson", "exact"))
    return {"wilson_low": wilson.low, "wilson_high": wilson.high,
            "clopper_pearson_low": exact.low, "clopper_pearson_high": exact.high}


def agreement(draw):
    n = 2 + draw.below(39)
    most = [1, 8, 1000][draw.below(3)]
    a, b = (draw.fractions(n, most, 8) for _ in range(2))
    d = a - b
    mean, sd, t = d.mean(), d.std(ddof=1), stats.t.ppf(0.975, n - 1)
    half = t * sd * math.sqrt(1 / n + 1.96**2 / (2 * (n - 1)))
    # Boost's quantile of the noncentral t stops at 1e-8; its distribution function does not.
    nct = lambda p: noncentral_t(p, n - 1, 1.96 * math.sqrt(n)) * sd / math.sqrt(n)
    scale = a.var() + b.var() + mean**2
    return {
        "mean_difference_low": mean - t * sd / math.sqrt(n),
        "lower_limit_low": mean - 1.96 * sd - half, "upper_limit_low": mean + 1.96 * sd - half,
        "exact_lower_limit_high": mean - nct(0.025), "exact_upper_limit_high": mean + nct(0.975),
        "pearson": stats.pearsonr(a, b).statistic if a.std() > 0 and b.std() > 0 else None,
        "concordance": 2 * np.cov(a, b, ddof=0)[0, 1] / scale if scale > 0 else None,
    }


def noncentral_t(p, df, nc):
    start = stats.nct.ppf(p, df, nc)
    room = 1e-3 * max(abs(start), 1)
    return optimize.brentq(lambda t: stats.nct.cdf(t, df, nc) - p, start - room, start + room, xtol=1e-14, rtol=1e-14)


def raters(draw):
    n, k = 2 + draw.below(9), 2 + draw.below(3)
    most = [1, 9, 500][draw.below(3)]
    x = draw.fractions(n * k, most, 4).reshape(n, k)
    r = intraclass(x)
    n = 1 + draw.below(30)
    n_categories = 1 + draw.below(4)
    a, b = ([draw.below(n_categories) for _ in range(n)] for _ in range(2))
    many = len({*a, *b}) > 1
    for name, weights in [("", None), ("_linear", "linear"), ("_quadratic", "quadratic")]:
        # All four numbers are named: scikit-learn's weights count places in the list.
        r["cohen_kappa" + name] = sk.cohen_kappa_score(a, b, weights=weights, labels=[0, 1, 2, 3]) if many else None
    n_raters = 2 + draw.below(4)
    table = np.zeros((n, 3), int)
    for subject in range(n):
        for _ in range(n_raters):
            table[subject, draw.below(min(n_categories, 3))] += 1
    r["fleiss_kappa"] = inter_rater.fleiss_kappa(table) if (table.sum(0) > 0).sum() > 1 else None
    return r


def intraclass(x):
    """Shrout & Fleiss (1979); McGraw & Wong (1996)."""
    names = ["icc_2_1", "icc_2_1_low", "icc_2_1_high", "icc_3_1", "icc_3_1_low", "icc_3_1_high"]
    r = dict.fromkeys(names)
    n, k = x.shape
    if x.std() == 0:
        return r
    grand, rows, columns = x.mean(), x.mean(1), x.mean(0)
    msr = k * ((rows - grand) ** 2).sum() / (n - 1)
    msc = n * ((columns - grand) ** 2).sum() / (k - 1)
    mse = ((x - rows[:, None] - columns + grand) ** 2).sum() / ((n - 1) * (k - 1))
    msr, msc, mse = (0 if v < 1e-20 else v for v in (msr, msc, mse))
    scale = msr + (k - 1) * mse + k * (msc - mse) / n
    f = lambda a, b: stats.f.ppf(0.975, a, b)
    if scale > 1e-12:
        icc = r["icc_2_1"] = (msr - mse) / scale
        if mse > 0 and icc < 1:
            a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
            v = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1)))
            if v >= 1 - 1e-9:
                low, high = f(n - 1, v), f(v, n - 1)
                noise = k * msc + (k * n - k - n) * mse
                r["icc_2_1_low"] = n * (msr - low * mse) / (low * noise + n * msr)
                r["icc_2_1_high"] = n * (high * msr - mse) / (noise + n * high * msr)
    if msr + (k - 1) * mse > 0:
        r["icc_3_1"] = (msr - mse) / (msr + (k - 1) * mse)
        if mse > 0:
            df = n - 1, (n - 1) * (k - 1)
            ends = msr / mse / f(*df), msr / mse * f(*df[::-1])
            r["icc_3_1_low"], r["icc_3_1_high"] = ((e - 1) / (e + k - 1) for e in ends)
    return r


def resampling(draw):
    n_draws = 1 + draw.below(60)
    most = [1, 20, 5000][draw.below(3)]
    draws = [(draw.below(8) > 0, draw.below(most + 1) / 64) for _ in range(n_draws)]
    draws = np.array([value for is_defined, value in draws if is_defined])
    observed = draw.below(most + 1) / 64
    left_out = draw.fractions(2 + draw.below(20), most, 64)
    r = dict.fromkeys(["percentile_low", "percentile_high", "bca_low", "bca_high"])
    if len(draws):
        r["percentile_low"], r["percentile_high"] = np.percentile(draws, [2.5, 97.5])
        share = ((draws < observed).mean() + (draws <= observed).mean()) / 2
        u = left_out.mean() - left_out
        if 0 < share < 1 and len(set(left_out)) > 1:
            # As scipy.stats.bootstrap has it.
            z0, a = stats.norm.ppf(share), (u**3).sum() / (6 * (u**2).sum() ** 1.5)
            ends = [stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))) for z in (-Z, Z)]
            r["bca_low"], r["bca_high"] = np.percentile(draws, np.array(ends) * 100)
    d = draw.fractions(1 + draw.below(8), 16, 8) - 1
    # With one pair scipy's samples are no permutations; both signs are as extreme.
    r["permutation_p"] = stats.permutation_test(
        (d, -d), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
        n_resamples=np.inf, vectorized=True).pvalue if len(d) > 1 else 1.0
    return r


def multiplicity(draw):
    n = 1 + draw.below(12)
    most = [10, 1000][draw.below(2)]
    p = draw.fractions(n, most, most)
    r = {}
    for name, method in [("holm", "holm"), ("benjamini_hochberg", "fdr_bh")]:
        adjusted = multitest.multipletests(p, method=method)[1]
        r[name + "_first"], r[name + "_digest"] = adjusted[0], (np.arange(1, n + 1) * adjusted).sum()
    return r
