"""Reference values for the test of `swin.rs` in the crate `model`.

    python3 -m venv /tmp/swin-venv
    /tmp/swin-venv/bin/pip install numpy==2.4.6 scipy==1.17.1
    /tmp/swin-venv/bin/python tests/reference/swin.py

A stage of a Swin transformer (Liu et al., ICCV 2021) in 64 bits, from its definition: every voxel looks for those
that lie in its window, shifted or not, one by one. Nothing is rolled, reshaped or masked. Input and parameters
are waves, made alike here and in the test.
"""

import numpy as np
from scipy.special import erf

WINDOW, HEAD_CHANNELS, CHANNELS = (2, 3), 2, (2, 4)
FINE = (8, 12)
EPSILON = 1e-5


def wave(shape, k, amplitude):
    values = amplitude * np.sin(0.9 * np.arange(np.prod(shape)) + k)
    return values.astype(np.float32).astype(float).reshape(shape)


class Parameters:
    """Each next tensor; numbered from 1."""

    def __init__(self):
        self.k = 0

    def next(self, *shape):
        self.k += 1
        return wave(shape, self.k, 0.5)


def normalised(x, gamma, beta):
    mean = x.mean()
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean() + EPSILON) * gamma + beta


def each(function, x):
    """Of every voxel of [H, W, C] alone."""
    return np.array([[function(voxel) for voxel in row] for row in x])


def merged(x, parameters):
    n_in, n_out = CHANNELS
    gamma, beta = parameters.next(4 * n_in), parameters.next(4 * n_in)
    reduce = parameters.next(4 * n_in, n_out)
    h, w, _ = x.shape
    result = np.zeros((h // 2, w // 2, n_out))
    for i in range(h // 2):
        for j in range(w // 2):
            four = [x[2 * i, 2 * j], x[2 * i + 1, 2 * j], x[2 * i, 2 * j + 1], x[2 * i + 1, 2 * j + 1]]
            result[i, j] = normalised(np.concatenate(four), gamma, beta) @ reduce
    return result


def same_window(a, b, shift):
    """Windows tile the plane from -(window - shift) on; beyond the image there is nothing."""
    return all((a[k] - shift[k]) // WINDOW[k] == (b[k] - shift[k]) // WINDOW[k] for k in range(2))


def attended(x, parameters, is_shifted):
    n = x.shape[2]
    qkv_weight, qkv_bias = parameters.next(n, 3 * n), parameters.next(3 * n)
    weight, bias = parameters.next(n, n), parameters.next(n)
    n_heads = n // HEAD_CHANNELS
    rows, columns = 2 * WINDOW[0] - 1, 2 * WINDOW[1] - 1
    table = parameters.next(rows * columns, n_heads).reshape(rows, columns, n_heads)
    shift = [WINDOW[k] // 2 if is_shifted and x.shape[k] > WINDOW[k] else 0 for k in range(2)]
    voxels = [(i, j) for i in range(x.shape[0]) for j in range(x.shape[1])]
    q, k, v = (each(lambda c: c @ qkv_weight + qkv_bias, x)[..., p * n:(p + 1) * n] for p in range(3))
    result = np.zeros_like(x)
    for a in voxels:
        others = [b for b in voxels if same_window(a, b, shift)]
        for head in range(n_heads):
            own = slice(head * HEAD_CHANNELS, (head + 1) * HEAD_CHANNELS)
            offset = lambda b: table[a[0] - b[0] + WINDOW[0] - 1, a[1] - b[1] + WINDOW[1] - 1, head]
            scores = np.array([q[a][own] @ k[b][own] / np.sqrt(HEAD_CHANNELS) + offset(b) for b in others])
            shares = np.exp(scores) / np.exp(scores).sum()
            result[a][own] = sum(share * v[b][own] for share, b in zip(shares, others))
    return each(lambda c: c @ weight + bias, result)


def block(x, parameters, is_shifted):
    n = x.shape[2]
    gamma, beta = parameters.next(n), parameters.next(n)
    x = x + attended(each(lambda c: normalised(c, gamma, beta), x), parameters, is_shifted)
    gamma, beta = parameters.next(n), parameters.next(n)
    expand, expand_bias = parameters.next(n, 4 * n), parameters.next(4 * n)
    reduce, reduce_bias = parameters.next(4 * n, n), parameters.next(n)

    def perceptron(c):
        hidden = normalised(c, gamma, beta) @ expand + expand_bias
        return hidden * (1 + erf(hidden / np.sqrt(2))) / 2 @ reduce + reduce_bias

    return x + each(perceptron, x)


def stage(x):
    parameters = Parameters()
    x = merged(x, parameters)
    x = block(x, parameters, False)
    x = block(x, parameters, True)
    gamma, beta = parameters.next(x.shape[2]), parameters.next(x.shape[2])
    return each(lambda c: normalised(c, gamma, beta), x)


if __name__ == "__main__":
    values = stage(wave((*FINE, CHANNELS[0]), 0, 1.0))[..., -1].ravel()
    print("STAGE", ", ".join(f"{value:.6f}" for value in values))
