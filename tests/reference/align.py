"""Reference values for the tests of domain alignment in the crate `train`.

    python3 -m venv /tmp/align-venv
    /tmp/align-venv/bin/pip install numpy==2.4.6
    /tmp/align-venv/bin/python tests/reference/align.py

prints every constant that stands in a unit test: deep CORAL's distance of two sets of features by numpy's own covariance,
and its gradient by the formula of Sun and Saenko (ECCV workshops 2016, eq. 4 and 5), which central differences confirm.
The features stand here and in the test; nothing is drawn.
"""

import numpy as np

SOURCE = np.array([[0.5, -1.0, 2.0], [1.5, 0.0, -0.5], [-0.7, 0.8, 1.1], [0.2, -0.4, 0.6]])
TARGET = np.array([[1.0, 0.3, -0.2], [2.5, -1.2, 0.4], [0.1, 0.9, 1.3], [-0.8, 2.0, 0.7]])


def coral(source, target):
    d = source.shape[1]
    difference = np.cov(source, rowvar=False) - np.cov(target, rowvar=False)
    return np.linalg.norm(difference, "fro") ** 2 / (4 * d**2)


def gradient(source, target):
    """Of the distance by the source's features."""
    n, d = source.shape
    difference = np.cov(source, rowvar=False) - np.cov(target, rowvar=False)
    centred = source - source.mean(axis=0)
    return centred @ difference / (d**2 * (n - 1))


def by_differences(source, target, step=1e-5):
    found = np.zeros_like(source)
    for at in np.ndindex(*source.shape):
        up, down = source.copy(), source.copy()
        up[at] += step
        down[at] -= step
        found[at] = (coral(up, target) - coral(down, target)) / (2 * step)
    return found


assert np.allclose(gradient(SOURCE, TARGET), by_differences(SOURCE, TARGET), atol=1e-9)
print("CORAL", repr(float(coral(SOURCE, TARGET))))
print("BY_SOURCE", gradient(SOURCE, TARGET).ravel().tolist())
