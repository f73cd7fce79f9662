"""Reference values for the test of `harmonic.rs` in the crate `volume`.

    python3 -m venv /tmp/inpaint-venv
    /tmp/inpaint-venv/bin/pip install numpy==2.4.6 scipy==1.17.1
    /tmp/inpaint-venv/bin/python tests/reference/inpaint.py

Laplace's equation in a hole, a row a voxel, solved directly by SciPy. The image is a wave, made alike here and in the
test; nothing flows into voxels that are neither hole nor known.
"""

import itertools

import numpy as np
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

SHAPE, SPACING_MM = (5, 12, 11), (5.0, 0.8, 1.5)

image = (30 + 10 * np.sin(0.9 * np.arange(np.prod(SHAPE)))).astype(np.float32).astype(float).reshape(SHAPE)
known, hole = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
known[1:, :, :8] = True
hole[:3, 3:8, 4:8] = True
known &= ~hole

rows = {tuple(index): row for row, index in enumerate(np.argwhere(hole))}
matrix, right = lil_matrix((len(rows), len(rows))), np.zeros(len(rows))
for index, row in rows.items():
    for axis, step in itertools.product(range(3), (-1, 1)):
        beside = list(index)
        beside[axis] += step
        beside = tuple(beside)
        if not 0 <= beside[axis] < SHAPE[axis] or not (hole[beside] or known[beside]):
            continue
        weight = SPACING_MM[axis] ** -2
        matrix[row, row] += weight
        if hole[beside]:
            matrix[row, rows[beside]] -= weight
        else:
            right[row] += weight * image[beside]
filled = spsolve(matrix.tocsr(), right)
print("SUM", filled.sum())
for name, index in [("FIRST", (0, 5, 7)), ("SECOND", (1, 3, 4)), ("THIRD", (2, 7, 6))]:
    print(name, filled[rows[index]])
