"""Reference values for the tests of the crate `metrics`.

    python3 -m venv /tmp/metrics-venv
    /tmp/metrics-venv/bin/pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 \\
        statsmodels==0.15.0 surface-distance==0.1
    /tmp/metrics-venv/bin/python tests/reference/metrics.py

prints every constant that stands in a unit test, from scikit-learn and scipy where they have the
figure, else from a definition written out below without shared tricks (DeLong from placement values,
agreement from its moments). The inputs stand here and in the tests; nothing is drawn.

    … metrics.py --write    writes crates/metrics/tests/reference.csv: every figure of a few drawn cases
    … metrics.py --full     holds 2,000 drawn cases against the Rust side, which must be built before:
                            cargo build --release -p hemex-metrics --example reference_figures

The drawn cases and their figures are in cases.py and volumes.py. `--full` prints the largest deviation
of each figure and fails above 1e-9 (1e-6 for distances in mm), relative to values above 1.
"""

import collections
import pathlib
import subprocess
import sys

import numpy as np
import scipy.special
from scipy import ndimage, optimize, spatial, stats
from sklearn import isotonic, linear_model, metrics

LABELS = np.array([0, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0])
FIRST = np.array(
    [0.10, 0.35, 0.40, 0.20, 0.80, 0.35, 0.05, 0.65, 0.35, 0.50,
     0.15, 0.90, 0.40, 0.70, 0.25, 0.30, 0.60, 0.55, 0.45, 0.12])
SECOND = np.array(
    [0.30, 0.20, 0.60, 0.50, 0.70, 0.10, 0.25, 0.30, 0.55, 0.45,
     0.35, 0.60, 0.65, 0.40, 0.15, 0.22, 0.75, 0.80, 0.05, 0.33])
MEASURED = np.array([12.1, 30.4, 5.2, 44.8, 18.3, 60.9, 25.0])
REFERENCE = np.array([11.0, 33.0, 4.8, 40.1, 20.2, 66.5, 24.1])


def show(name, *values):
    print(f"{name:32}", ", ".join(repr(float(value)) for value in values))


def placements(scores):
    positives, negatives = scores[LABELS == 1], scores[LABELS == 0]
    wins = (positives[:, None] > negatives).astype(float) + 0.5 * (positives[:, None] == negatives)
    return wins.mean(1), wins.mean(0)


def delong_covariance(first, second):
    (v10, v01), (w10, w01) = placements(first), placements(second)
    return np.cov(v10, w10)[0, 1] / len(v10) + np.cov(v01, w01)[0, 1] / len(v01)


def discrimination():
    show("auroc", metrics.roc_auc_score(LABELS, FIRST), metrics.roc_auc_score(LABELS, SECOND))
    fpr, tpr, thresholds = metrics.roc_curve(LABELS, FIRST, drop_intermediate=False)
    for point in list(zip(thresholds, fpr, tpr))[:9]:
        show("roc threshold, fpr, tpr", *point)
    show("average precision", metrics.average_precision_score(LABELS, FIRST),
         metrics.average_precision_score(LABELS, SECOND))
    first, second = delong_covariance(FIRST, FIRST), delong_covariance(SECOND, SECOND)
    both = delong_covariance(FIRST, SECOND)
    show("delong variances, covariance", first, second, both)
    auroc, z = metrics.roc_auc_score(LABELS, FIRST), stats.norm.ppf(0.975)
    half = z * np.sqrt(first) / (auroc * (1 - auroc))
    logit = np.log(auroc / (1 - auroc))
    show("delong interval", *(1 / (1 + np.exp(-np.array([logit - half, logit + half])))))
    difference = auroc - metrics.roc_auc_score(LABELS, SECOND)
    error = np.sqrt(first + second - 2 * both)
    show("paired difference, error, p", difference, error, 2 * stats.norm.sf(difference / error))


def calibration():
    show("brier", metrics.brier_score_loss(LABELS, FIRST))
    show("log loss", metrics.log_loss(LABELS, FIRST))
    logit = np.log(FIRST / (1 - FIRST))

    def loss(linear):
        return np.sum(np.logaddexp(0, linear) - LABELS * linear)

    both = optimize.minimize(lambda b: loss(b[0] + b[1] * logit), [0, 1], tol=1e-14, method="Nelder-Mead",
                             options={"xatol": 1e-12, "fatol": 1e-15, "maxiter": 5000})
    one = optimize.brentq(lambda a: np.sum(1 / (1 + np.exp(-a - logit)) - LABELS), -5, 5, xtol=1e-15)
    show("intercept, slope", *both.x)
    show("intercept at slope 1", one)
    order = np.argsort(FIRST, kind="stable")
    # Four bins of five; the cases at 0.35 (three) straddle no edge.
    error = 0
    for part in np.split(order, 4):
        p, k = FIRST[part], int(LABELS[part].sum())
        interval = stats.binomtest(k, len(p)).proportion_ci(method="wilson")
        show("bin mean, observed, low, high", p.mean(), k / len(p), interval.low, interval.high)
        error += len(p) / len(FIRST) * abs(p.mean() - k / len(p))
    print("bins as lists", [FIRST[part].tolist() for part in np.split(order, 4)])
    show("ece", error)


def intervals():
    for k, n in [(0, 10), (3, 10), (10, 10), (57, 212)]:
        interval = stats.binomtest(k, n).proportion_ci(method="wilson")
        show(f"wilson {k}/{n}", interval.low, interval.high)
    for k, n in [(0, 10), (3, 10), (57, 212)]:
        interval = stats.binomtest(k, n).proportion_ci(method="exact")
        show(f"clopper-pearson {k}/{n}", interval.low, interval.high)
    interval = stats.binomtest(3, 10).proportion_ci(0.9, method="wilson")
    show("wilson 3/10 at 90 %", interval.low, interval.high)
    show("normal quantiles", *stats.norm.ppf([0.975, 0.95, 0.3, 1e-10]))
    show("normal upper tails", *stats.norm.sf([0.5, 1.96, 6.0]))


def agreement():
    difference = MEASURED - REFERENCE
    sd = difference.std(ddof=1)
    show("bland-altman", difference.mean(), sd, difference.mean() - 1.96 * sd, difference.mean() + 1.96 * sd)
    show("pearson", stats.pearsonr(MEASURED, REFERENCE).statistic)
    covariance = np.mean((MEASURED - MEASURED.mean()) * (REFERENCE - REFERENCE.mean()))
    show("concordance", 2 * covariance / (MEASURED.var() + REFERENCE.var() + (MEASURED.mean() - REFERENCE.mean()) ** 2))


def surface():
    d, h, w = np.mgrid[0:8, 0:24, 0:20]
    spacing = np.array([5.0, 1.0, 1.5])
    ball = lambda centre, radius: sum(((axis - c) * s) ** 2 for axis, c, s in zip((d, h, w), centre, spacing)) <= radius**2
    masks = [ball((3.5, 11, 9), 9.0), ball((4.0, 13, 8), 8.0) | ball((4.0, 20, 3), 3.0)]
    surfaces = [np.argwhere(m & ~ndimage.binary_erosion(m)) * spacing for m in masks]
    distances = [spatial.cKDTree(surfaces[1 - i]).query(surfaces[i])[0] for i in (0, 1)]
    show("surface voxels", *(len(s) for s in surfaces))
    show("hd95, hd100", max(np.percentile(d, 95) for d in distances), max(d.max() for d in distances))
    show("directed 95th percentiles", *(np.percentile(d, 95) for d in distances))
    show("mean surface distance", np.concatenate(distances).mean())


def limits_of_agreement():
    d, z = MEASURED - REFERENCE, 1.96
    n, mean, sd, t = len(d), d.mean(), d.std(ddof=1), stats.t.ppf(0.975, len(d) - 1)
    half = t * sd * np.sqrt(1 / n + z**2 / (2 * (n - 1)))
    near, far = (sd * stats.nct.ppf(p, n - 1, z * np.sqrt(n)) / np.sqrt(n) for p in (0.025, 0.975))
    show("mean difference", mean - t * sd / np.sqrt(n), mean + t * sd / np.sqrt(n))
    show("lower limit, upper limit", *(mean + side * z * sd + e for side in (-1, 1) for e in (-half, half)))
    show("exact lower, upper limit", mean - far, mean - near, mean + near, mean + far)


def distributions():
    for a, b, x in [(0.5, 3.5, 0.2), (10, 1, 0.9), (250, 700, 0.28)]:
        show(f"incomplete beta {a} {b} {x}", scipy.special.betainc(a, b, x))
    for p, a, b in [(0.025, 3, 8), (0.975, 1, 40)]:
        show(f"beta quantile {p} {a} {b}", scipy.special.betaincinv(a, b, p))
    for p, df in [(0.975, 1), (0.6, 7), (0.05, 59)]:
        show(f"t quantile {p} {df}", stats.t.ppf(p, df))
    for p, a, b in [(0.975, 9, 18), (0.025, 3, 200), (0.975, 4, 0.1)]:
        show(f"F quantile {p} {a} {b}", stats.f.ppf(p, a, b))
    for t, df, nc in [(3, 4, 2.5), (-1, 9, 1), (70, 999, 62)]:
        show(f"noncentral t {t} {df} {nc}", stats.nct.cdf(t, df, nc))
    for p, df, nc in [(0.025, 1, 2.77), (0.975, 39, 12.4), (0.9, 5, -3)]:
        show(f"noncentral t quantile {p} {df} {nc}", stats.nct.ppf(p, df, nc))


def cell_areas():
    from surface_distance import lookup_tables

    areas = lookup_tables.create_table_neighbour_code_to_surface_area([5.0, 1.0, 1.5])
    show("areas 1, 15, 27, 107", *areas[[1, 15, 27, 107]])
    show("areas by their number", sum(code * area for code, area in enumerate(areas)))


def logistic_regression():
    """Ridge: scikit-learn's C is 1 over our penalty times the sum of weights."""
    rows = [[0.0, 1.0], [0.5, -0.3], [1.2, 0.8], [2.0, -1.1], [-0.7, 0.4], [0.9, 2.0], [-1.5, -0.6], [1.1, 0.1]]
    weights = np.array([1, 2, 1, 0.5, 1, 1.5, 1, 2])
    fit = linear_model.LogisticRegression(C=1 / (0.1 * weights.sum()), tol=1e-12, max_iter=10_000)
    fit.fit(rows, [0, 1, 1, 1, 0, 0, 0, 1], sample_weight=weights)
    show("logistic regression", *fit.coef_[0], fit.intercept_[0])


def temperature():
    """Guo et al. 2017: the scale of the logits with the least cross-entropy, about a prior."""
    z = np.array([2.1, -0.3, 3.4, -1.8, 0.4, -2.6, 1.2, -0.9])
    y = np.array([1, 1, 1, 0, 0, 0, 0, 1])
    for prior in (0, -1.2):
        entropy = lambda t: np.logaddexp(0, np.where(y == 1, -1, 1) * (prior + (z - prior) / t)).sum()
        fit = optimize.minimize_scalar(entropy, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-12})
        show(f"temperature about {prior}", fit.x)


def isotonic_regression():
    fit = isotonic.IsotonicRegression().fit(FIRST, LABELS)
    for knot in zip(fit.X_thresholds_, fit.y_thresholds_):
        show("isotonic", *knot)


def constants():
    for part in (discrimination, calibration, intervals, agreement, limits_of_agreement, distributions,
                 cell_areas, surface, logistic_regression, temperature, isotonic_regression):
        part()


ROOT = pathlib.Path(__file__).parents[2]
# The first cases, and some at the edge: flat likelihood, raters that differ by an offset, 95 % of a
# surface exactly.
WRITTEN, N_FULL = [*range(5), 287, 1064, 1671], 2000


def text(value):
    return "undefined" if value is None or np.isnan(value) else repr(float(value))


def write():
    import cases

    rows = [f"{seed},{name},{text(value)}" for seed in WRITTEN
            for name, value in cases.figures(seed).items()]
    path = ROOT / "crates/metrics/tests/reference.csv"
    path.write_text("\n".join(["seed,figure,value", *rows, ""]))


def full():
    import cases

    program = ROOT / "target/release/examples/reference_figures"
    output = subprocess.run([program, "0", str(N_FULL)], check=True, capture_output=True, text=True).stdout
    found = collections.defaultdict(dict)
    for line in output.splitlines():
        seed, name, value = line.split(",")
        found[int(seed)][name] = value
    worst, n_defined, wrong = collections.defaultdict(float), collections.Counter(), 0
    for seed in range(N_FULL):
        expected = cases.figures(seed)
        assert list(expected) == list(found[seed]), (seed, set(expected) ^ set(found[seed]))
        for name, value in expected.items():
            a, b = found[seed][name], text(value)
            if "undefined" in (a, b):
                deviation = 0.0 if a == b else np.inf
            else:
                n_defined[name] += 1
                a, b = float(a), float(b)
                deviation = 0.0 if a == b else abs(a - b) / max(1, abs(b))
            worst[name] = max(worst[name], deviation)
            if deviation > (1e-6 if name.endswith("_mm") else 1e-9):
                wrong += 1
                print(f"case {seed}, {name}: {found[seed][name]} for {text(value)}")
    for name, deviation in worst.items():
        print(f"{name:40} defined in {n_defined[name]:4}  largest deviation {deviation:.1e}")
    print(f"{wrong} of {N_FULL * len(worst)} figures disagree; largest deviation {max(worst.values()):.1e}")
    sys.exit(wrong > 0)


{"--write": write, "--full": full}.get(" ".join(sys.argv[1:]), constants)()
