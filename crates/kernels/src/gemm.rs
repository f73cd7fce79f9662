//! The two matrix products that everything else is made of.
//!
//! Both keep a tile of the result in registers: rows are scalars that are broadcast, columns are
//! vectors. Channels are the columns, and since they lie last in memory no number is ever shuffled.

use crate::simd::{Simd, padded};

/// One term of [`Product`]: `n_k` columns of `a` times as many rows of `b`, from row `first_k` on.
pub(crate) struct Term<'a> {
    pub a: &'a [f32],
    pub first_k: usize,
    pub n_k: usize,
}

/// `C[r, c] = bias[c] + Σ_terms Σ_k a[r · stride_a + k] · b[first_k + k, c]`.
pub(crate) struct Product<'a> {
    pub n_rows: usize,
    /// From a row of each term's `a` to the next.
    pub stride_a: usize,
    pub terms: &'a [Term<'a>],
    /// Packed by [`packed_index`].
    pub b: &'a [f32],
    /// All rows of `b`.
    pub total_k: usize,
    /// Columns written; those of `b` and `bias` are padded to whole vectors.
    pub n_cols: usize,
    pub bias: Option<&'a [f32]>,
}

/// Where vector `vector` of row `k` lies in a packed `b`: pairs of vectors, each pair's rows in turn.
pub(crate) fn packed_index(
    lanes: usize,
    n_vectors: usize,
    total_k: usize,
    k: usize,
    vector: usize,
) -> usize {
    let pair = vector / 2;
    let width = (n_vectors - 2 * pair).min(2);
    lanes * (2 * pair * total_k + k * width + vector % 2)
}

/// Writes the product to `c`, whose rows are `stride_c` apart.
#[inline(always)]
pub(crate) fn product<S: Simd>(s: S, p: &Product<'_>, c: &mut [f32], stride_c: usize) {
    let n_padded = padded(p.n_cols, S::LANES);
    if p.n_rows == 0 || p.n_cols == 0 {
        return;
    }
    assert!(p.b.len() >= p.total_k * n_padded);
    assert!(c.len() >= (p.n_rows - 1) * stride_c + p.n_cols);
    assert!(p.bias.is_none_or(|bias| bias.len() >= n_padded));
    for term in p.terms {
        assert!(term.first_k + term.n_k <= p.total_k);
        assert!(term.a.len() >= (p.n_rows - 1) * p.stride_a + term.n_k);
    }
    let mut col = 0;
    while col < p.n_cols {
        // SAFETY: the assertions above hold every row and column inside its slice.
        unsafe {
            let c = c.as_mut_ptr().add(col);
            if n_padded - col > S::LANES {
                rows::<S, 2>(s, p, col, c, stride_c);
                col += 2 * S::LANES;
            } else {
                rows::<S, 1>(s, p, col, c, stride_c);
                col += S::LANES;
            }
        }
    }
}

/// Rows of the next tile when so many are left: a short last tile would keep the processor waiting for
/// its few sums, so the last two share what is left.
#[inline(always)]
fn tile_rows<S: Simd>(n_left: usize) -> usize {
    if n_left >= S::TILE_ROWS + 3 || n_left == S::TILE_ROWS {
        return S::TILE_ROWS;
    }
    match n_left {
        4.. => 4,
        n => n,
    }
}

#[inline(always)]
unsafe fn rows<S: Simd, const N: usize>(
    s: S,
    p: &Product<'_>,
    col: usize,
    c: *mut f32,
    stride_c: usize,
) {
    let mut row = 0;
    // SAFETY: each call stays within the rows of `p`; `product` checked them.
    unsafe {
        while row < p.n_rows {
            let left = p.n_rows - row;
            let c = c.add(row * stride_c);
            row += match tile_rows::<S>(left) {
                8 => tile::<S, 8, N>(s, p, row, col, c, stride_c),
                6 => tile::<S, 6, N>(s, p, row, col, c, stride_c),
                4 => tile::<S, 4, N>(s, p, row, col, c, stride_c),
                3 => tile::<S, 3, N>(s, p, row, col, c, stride_c),
                2 => tile::<S, 2, N>(s, p, row, col, c, stride_c),
                _ => tile::<S, 1, N>(s, p, row, col, c, stride_c),
            };
        }
    }
}

/// `R` rows by `N` vectors from `row` and `col` on; gives `R`.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const N: usize>(
    s: S,
    p: &Product<'_>,
    row: usize,
    col: usize,
    c: *mut f32,
    stride_c: usize,
) -> usize {
    let mut sums = [[s.zero(); N]; R];
    // SAFETY: as the caller checked: `row + R` rows, `col + N` vectors, `first_k + n_k` rows of `b`.
    unsafe {
        if let Some(bias) = p.bias {
            for n in 0..N {
                let bias = s.load(bias.as_ptr().add(col + n * S::LANES));
                for sums in &mut sums {
                    sums[n] = bias;
                }
            }
        }
        let panel = p.b.as_ptr().add(col * p.total_k);
        for term in p.terms {
            let mut b = panel.add(term.first_k * N * S::LANES);
            let mut a = [term.a.as_ptr(); R];
            for (r, a) in a.iter_mut().enumerate() {
                *a = a.add((row + r) * p.stride_a);
            }
            for k in 0..term.n_k {
                let mut vectors = [s.zero(); N];
                for (n, vector) in vectors.iter_mut().enumerate() {
                    *vector = s.load(b.add(n * S::LANES));
                }
                for r in 0..R {
                    let x = s.splat(*a[r].add(k));
                    for n in 0..N {
                        sums[r][n] = s.fma(x, vectors[n], sums[r][n]);
                    }
                }
                b = b.add(N * S::LANES);
            }
        }
        let last = (p.n_cols - col - (N - 1) * S::LANES).min(S::LANES);
        for (r, sums) in sums.iter().enumerate() {
            let c = c.add(r * stride_c);
            for n in 0..N - 1 {
                s.store(c.add(n * S::LANES), sums[n]);
            }
            if last == S::LANES {
                s.store(c.add((N - 1) * S::LANES), sums[N - 1]);
            } else {
                s.store_first(c.add((N - 1) * S::LANES), sums[N - 1], last);
            }
        }
    }
    R
}

/// `C[m, c] += Σ_r a[r · stride_a + m] · b[r · stride_b + c]`.
pub(crate) struct OuterSum<'a> {
    pub n_rows: usize,
    pub a: &'a [f32],
    pub stride_a: usize,
    pub n_m: usize,
    pub b: &'a [f32],
    pub stride_b: usize,
    /// Columns read; those of `c` are padded to whole vectors.
    pub n_cols: usize,
}

/// Adds the sum of outer products to `c`, whose rows are `stride_c` apart and hold whole vectors.
#[inline(always)]
pub(crate) fn add_outer<S: Simd>(s: S, p: &OuterSum<'_>, c: &mut [f32], stride_c: usize) {
    if p.n_rows == 0 || p.n_m == 0 || p.n_cols == 0 {
        return;
    }
    assert!(p.a.len() >= (p.n_rows - 1) * p.stride_a + p.n_m);
    assert!(p.b.len() >= (p.n_rows - 1) * p.stride_b + p.n_cols);
    assert!(c.len() >= (p.n_m - 1) * stride_c + padded(p.n_cols, S::LANES));
    let mut col = 0;
    while col < p.n_cols {
        let left = p.n_cols - col;
        // SAFETY: the assertions above hold every row and column inside its slice.
        unsafe {
            let c = c.as_mut_ptr().add(col);
            if left >= 2 * S::LANES {
                columns::<S, 2, true>(s, p, col, c, stride_c);
                col += 2 * S::LANES;
            } else if left >= S::LANES {
                columns::<S, 1, true>(s, p, col, c, stride_c);
                col += S::LANES;
            } else {
                columns::<S, 1, false>(s, p, col, c, stride_c);
                col = p.n_cols;
            }
        }
    }
}

#[inline(always)]
unsafe fn columns<S: Simd, const N: usize, const FULL: bool>(
    s: S,
    p: &OuterSum<'_>,
    col: usize,
    c: *mut f32,
    stride_c: usize,
) {
    let mut m = 0;
    // SAFETY: each call stays within `n_m`; `add_outer` checked it.
    unsafe {
        while m < p.n_m {
            let left = p.n_m - m;
            let c = c.add(m * stride_c);
            m += match tile_rows::<S>(left) {
                8 => outer_tile::<S, 8, N, FULL>(s, p, m, col, c, stride_c),
                6 => outer_tile::<S, 6, N, FULL>(s, p, m, col, c, stride_c),
                4 => outer_tile::<S, 4, N, FULL>(s, p, m, col, c, stride_c),
                3 => outer_tile::<S, 3, N, FULL>(s, p, m, col, c, stride_c),
                2 => outer_tile::<S, 2, N, FULL>(s, p, m, col, c, stride_c),
                _ => outer_tile::<S, 1, N, FULL>(s, p, m, col, c, stride_c),
            };
        }
    }
}

#[inline(always)]
unsafe fn outer_tile<S: Simd, const M: usize, const N: usize, const FULL: bool>(
    s: S,
    p: &OuterSum<'_>,
    m: usize,
    col: usize,
    c: *mut f32,
    stride_c: usize,
) -> usize {
    // SAFETY: as the caller checked: all rows, `m + M` columns of `a`, `col + N` vectors of `b`.
    unsafe {
        let mut sums = [[s.zero(); N]; M];
        let mut a = p.a.as_ptr().add(m);
        let mut b = p.b.as_ptr().add(col);
        for _ in 0..p.n_rows {
            let mut vectors = [s.zero(); N];
            for (n, vector) in vectors.iter_mut().enumerate() {
                *vector = if FULL {
                    s.load(b.add(n * S::LANES))
                } else {
                    s.load_first(b, p.n_cols - col)
                };
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = s.splat(*a.add(i));
                for n in 0..N {
                    sums[n] = s.fma(x, vectors[n], sums[n]);
                }
            }
            a = a.wrapping_add(p.stride_a);
            b = b.wrapping_add(p.stride_b);
        }
        for (i, sums) in sums.iter().enumerate() {
            for (n, sum) in sums.iter().enumerate() {
                let c = c.add(i * stride_c + n * S::LANES);
                s.store(c, s.add(s.load(c), *sum));
            }
        }
    }
    M
}
