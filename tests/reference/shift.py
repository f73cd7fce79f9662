"""Reference values for the tests of the crate `shift`.

    python3 -m venv /tmp/shift-venv
    /tmp/shift-venv/bin/pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 densratio==0.4.0 cvxopt==1.3.3
    /tmp/shift-venv/bin/python tests/reference/shift.py

prints every constant that stands in a unit test: ratios of uLSIF and RuLSIF from densratio, kernel mean matching as the
quadratic program that cvxopt solves, KLIEP as the concave program that scipy solves, the maximum mean discrepancy from
its definition. The inputs stand here and in the tests; nothing is drawn.
"""

import cvxopt
import numpy as np
from densratio.RuLSIF import RuLSIF
from scipy import optimize
from sklearn.metrics.pairwise import rbf_kernel

TRAIN = np.array([
    [-1.2, 0.3], [-0.7, -0.9], [-0.4, 0.8], [-0.1, -0.2], [0.2, 0.5],
    [0.4, -1.1], [0.8, 0.1], [1.1, 0.9], [1.5, -0.4], [2.1, 0.6],
])
TARGET = np.array([[0.5, 0.2], [0.9, 0.7], [1.3, -0.3], [1.6, 0.4], [1.9, 0.9], [2.4, -0.1]])
WIDTH = 0.8


def show(name, values):
    print(f"{name:20}", ", ".join(repr(float(value)) for value in np.atleast_1d(values)))


def gaussians(rows, centres, width=WIDTH):
    return rbf_kernel(rows, centres, gamma=0.5 / width**2)


def least_squares(alpha, penalty):
    fit = RuLSIF(TARGET, TRAIN, alpha, [WIDTH], [penalty], kernel_num=len(TARGET), verbose=False)
    return fit.compute_density_ratio(TRAIN)


def kliep():
    train, target = gaussians(TRAIN, TARGET), gaussians(TARGET, TARGET)
    means = train.mean(0)
    found = optimize.minimize(
        lambda a: -np.log(target @ a).mean(),
        np.full(len(TARGET), 1 / means.sum()),
        jac=lambda a: -(target / (target @ a)[:, None]).mean(0),
        bounds=[(0, None)] * len(TARGET),
        constraints={"type": "eq", "fun": lambda a: means @ a - 1, "jac": lambda a: means},
        method="SLSQP", options={"ftol": 1e-15, "maxiter": 10000},
    )
    return train @ found.x


def mean_matching(max_ratio):
    n = len(TRAIN)
    kernels = gaussians(TRAIN, TRAIN)
    pull = n / len(TARGET) * gaussians(TRAIN, TARGET).sum(1)
    slack = 1 - 1 / np.sqrt(n)
    eye = np.eye(n)
    sides = np.vstack([np.ones(n), -np.ones(n), eye, -eye])
    bounds = np.r_[n * (1 + slack), -n * (1 - slack), np.full(n, max_ratio), np.zeros(n)]
    cvxopt.solvers.options.update(show_progress=False, abstol=1e-13, reltol=1e-13, feastol=1e-13)
    found = cvxopt.solvers.qp(*map(cvxopt.matrix, (kernels, -pull, sides, bounds)))
    return np.array(found["x"]).ravel()


def mean_discrepancy():
    rows = np.vstack([TRAIN, TARGET])
    distances = np.sort([np.sum((rows[i] - rows[j]) ** 2) for i in range(len(rows)) for j in range(i)])
    kernels = gaussians(rows, rows, np.sqrt(distances[len(distances) // 2]))
    n = len(TRAIN)
    within = lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
    return within(kernels[:n, :n]) + within(kernels[n:, n:]) - 2 * kernels[:n, n:].mean()


show("ulsif", least_squares(0.0, 0.1))
show("rulsif", least_squares(0.3, 0.05))
show("kliep", kliep())
show("mean matching", mean_matching(1000.0))
show("bounded", mean_matching(2.0))
show("mean discrepancy", mean_discrepancy())
