//! Planes cut into tiles of 4×4 outputs, and their way into Winograd's domain and back.

use std::ops::Range;

use super::{Grid, Source, Target};
use crate::memory::Shared;
use crate::simd::Simd;
use crate::winograd::{IN, OUT, POINTS, input, output, output_gradient};

/// Numbers of a worker's two tables together that stay in its second cache.
const TABLE_NUMBERS: usize = 100_000;
/// Tiles below which reading the weights costs more than the products.
const MIN_TILES: usize = 24;
/// Blocks that a convolution should have for its threads to end together.
const N_BLOCKS: usize = 8;

/// Some planes, and of each some rows of tiles: what a worker does at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub planes: Range<usize>,
    pub rows: Range<usize>,
}

/// Tiles of a grid.
#[derive(Clone, Copy)]
pub(crate) struct Tiling {
    pub grid: Grid,
    /// Whether planes of an image depend on each other: then a block holds one image.
    is_volume: bool,
    /// Rows of tiles in a plane.
    pub n_rows: usize,
    /// Tiles in a row.
    pub n_cols: usize,
}

impl Tiling {
    /// Tiles for a kernel of this depth.
    pub(crate) fn new(grid: Grid, depth: usize) -> Self {
        let (n_rows, n_cols) = (grid.h.div_ceil(OUT), grid.w.div_ceil(OUT));
        Self { grid, is_volume: depth > 1, n_rows, n_cols }
    }

    /// That a row of tiles lies in the grid, and the grid in the source: whatever is read of it within
    /// the plane then lies in memory.
    fn check(&self, plane: usize, row: usize, source: &Source<'_>) {
        let Grid { b, d, h, w } = self.grid;
        assert!(
            plane < b * d && row < self.n_rows,
            "row {row} of plane {plane} of {:?}",
            self.grid
        );
        assert!(source.data.len() >= b * d * h * w * source.channels, "size of an input");
    }

    /// Tiles of a block's planes, one after the other.
    pub(crate) fn n_tiles(&self, block: &Block) -> usize {
        block.planes.len() * self.n_tiles_of_plane(block)
    }

    pub(crate) fn n_tiles_of_plane(&self, block: &Block) -> usize {
        block.rows.len() * self.n_cols
    }

    /// How many tiles of `n_channels` padded channels, inputs and outputs together, a worker holds.
    pub(crate) fn n_tiles_at_once(&self, n_channels: usize) -> usize {
        let planes = self.grid.b * self.grid.d;
        let fair = planes * self.n_rows * self.n_cols / N_BLOCKS;
        (TABLE_NUMBERS / (POINTS * n_channels)).min(fair).max(MIN_TILES)
    }

    /// Blocks of about `n_tiles`: whole images, or rows of one image in its full depth.
    pub(crate) fn blocks(&self, n_tiles: usize) -> Vec<Block> {
        // Planes that are independent are images to a block.
        let Grid { b, d, .. } = self.grid;
        let (b, d) = if self.is_volume { (b, d) } else { (b * d, 1) };
        let per_row = d * self.n_cols;
        let images =
            if self.is_volume { 1 } else { (n_tiles / (per_row * self.n_rows)).clamp(1, b) };
        let rows = if images > 1 { self.n_rows } else { (n_tiles / per_row).clamp(1, self.n_rows) };
        // As even as they come.
        let images = b.div_ceil(b.div_ceil(images));
        let rows = self.n_rows.div_ceil(self.n_rows.div_ceil(rows));
        let mut blocks = Vec::new();
        for first in (0..b).step_by(images) {
            for row in (0..self.n_rows).step_by(rows) {
                blocks.push(Block {
                    planes: first * d..(first + images).min(b) * d,
                    rows: row..(row + rows).min(self.n_rows),
                });
            }
        }
        blocks
    }
}

/// Tables of numbers `[point][tile][channel]`, and where in them a row of tiles lies.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub table: Shared<'a>,
    /// Numbers from a point to the next.
    pub point_stride: usize,
    /// Numbers from a tile to the next.
    pub tile_stride: usize,
    /// The row's first tile.
    pub first_tile: usize,
    /// The first channel.
    pub channel: usize,
}

impl Place<'_> {
    /// The row's numbers of `n_tiles` tiles, of `lanes` channels from `channel` on, point 0.
    ///
    /// # Safety
    /// No other task touches these tiles and channels.
    #[inline(always)]
    unsafe fn pointer(&self, n_tiles: usize, channel: usize, lanes: usize) -> *mut f32 {
        let first = self.first_tile * self.tile_stride + self.channel + channel;
        let span = (POINTS - 1) * self.point_stride + (n_tiles - 1) * self.tile_stride + lanes;
        // SAFETY: the caller's word.
        unsafe { self.table.place(first, span) }
    }
}

/// `Bᵀ x B` of a row of tiles.
///
/// # Safety
/// No other task touches the place.
#[inline(always)]
pub(crate) unsafe fn transform_input<S: Simd>(
    s: S,
    source: &Source<'_>,
    tiling: &Tiling,
    plane: usize,
    row: usize,
    to: &Place<'_>,
) {
    let grid = tiling.grid;
    let image = plane / grid.d;
    let n = source.channels;
    tiling.check(plane, row, source);
    for channel in (0..n).step_by(S::LANES) {
        let lanes = (n - channel).min(S::LANES);
        // SAFETY: the activation holds `[B, C]`, checked here; the place is the caller's.
        unsafe {
            let mut activation = [s.zero(); 3];
            if let Some(a) = source.activation {
                let first = image * n + channel;
                assert!(a.scale.len() >= first + lanes && a.shift.len() >= first + lanes);
                let scale = s.load_first(a.scale.as_ptr().add(first), lanes);
                let shift = s.load_first(a.shift.as_ptr().add(first), lanes);
                activation = [scale, shift, s.splat(a.slope)];
            }
            let to_pointer = to.pointer(tiling.n_cols, channel, S::LANES);
            let columns =
                Columns { data: source.data, n, grid, plane, row, channel, lanes, activation };
            let is_inner = row > 0 && (row + 1) * OUT < grid.h;
            let is_full = lanes == S::LANES;
            let args = (s, &columns, tiling, to, to_pointer);
            match (is_full, source.activation.is_some(), is_inner) {
                (true, false, true) => input_row::<S, true, false, true>(args),
                (true, false, false) => input_row::<S, true, false, false>(args),
                (true, true, true) => input_row::<S, true, true, true>(args),
                (true, true, false) => input_row::<S, true, true, false>(args),
                (false, false, _) => input_row::<S, false, false, false>(args),
                (false, true, _) => input_row::<S, false, true, false>(args),
            }
        }
    }
}

/// Columns of six voxels over a row of tiles, one vector of channels.
struct Columns<'a, V> {
    data: &'a [f32],
    /// Channels.
    n: usize,
    grid: Grid,
    plane: usize,
    /// Of tiles.
    row: usize,
    channel: usize,
    lanes: usize,
    /// Scale, shift and slope.
    activation: [V; 3],
}

/// One vector of channels: `FULL` if it has all its lanes, `ACTIVE` if there is an activation, `INNER` if
/// no voxel lies above or below the plane.
#[inline(always)]
unsafe fn input_row<S: Simd, const FULL: bool, const ACTIVE: bool, const INNER: bool>(
    (s, columns, tiling, to, mut pointer): (S, &Columns<'_, S::V>, &Tiling, &Place<'_>, *mut f32),
) {
    // The columns of a tile and the next, each at its own place modulo 8: two of a tile's six are the
    // last two of the tile before.
    let mut window = [[s.zero(); IN]; 2 * OUT];
    // SAFETY: `column` reads inside the source; the pointer spans the row's tiles at every point.
    unsafe {
        window[1] = column::<S, FULL, ACTIVE, INNER>(s, columns, 0);
        for tile in 0..tiling.n_cols {
            let at = |j: usize| (tile * OUT + j) % (2 * OUT);
            for j in 2..IN {
                let x = tile * OUT + j - 1;
                window[at(j)] = if x < columns.grid.w {
                    column::<S, FULL, ACTIVE, INNER>(s, columns, x)
                } else {
                    [s.zero(); IN]
                };
            }
            for i in 0..IN {
                let v = input(
                    s,
                    [
                        window[at(0)][i],
                        window[at(1)][i],
                        window[at(2)][i],
                        window[at(3)][i],
                        window[at(4)][i],
                        window[at(5)][i],
                    ],
                );
                for (j, v) in v.iter().enumerate() {
                    s.store(pointer.add((i * IN + j) * to.point_stride), *v);
                }
            }
            pointer = pointer.wrapping_add(to.tile_stride);
        }
    }
}

/// `Bᵀ` of the column at `x`, which lies in the plane; voxels above and below it are 0.
#[inline(always)]
unsafe fn column<S: Simd, const FULL: bool, const ACTIVE: bool, const INNER: bool>(
    s: S,
    c: &Columns<'_, S::V>,
    x: usize,
) -> [S::V; IN] {
    let mut d = [s.zero(); IN];
    let row_stride = c.grid.w * c.n;
    // The voxel in the tile's second row, which lies in the plane.
    let first = (c.plane * c.grid.h + c.row * OUT) * row_stride + x * c.n + c.channel;
    for (i, d) in d.iter_mut().enumerate() {
        if !INNER && (c.row * OUT + i < 1 || c.row * OUT + i > c.grid.h) {
            continue;
        }
        // SAFETY: the voxel lies in the plane, and `lanes` channels from `channel` on exist.
        *d = unsafe {
            let p = c.data.as_ptr().add(first).wrapping_add(i * row_stride);
            let p = p.wrapping_sub(row_stride);
            if FULL { s.load(p) } else { s.load_first(p, c.lanes) }
        };
        if ACTIVE {
            let [scale, shift, slope] = c.activation;
            let z = s.fma(*d, scale, shift);
            *d = s.select_positive(z, z, s.mul(z, slope));
        }
    }
    input(s, d)
}

/// `A ∂y Aᵀ` of a row of tiles.
///
/// # Safety
/// No other task touches the place.
#[inline(always)]
pub(crate) unsafe fn transform_gradient<S: Simd>(
    s: S,
    gradient: &Source<'_>,
    tiling: &Tiling,
    plane: usize,
    row: usize,
    to: &Place<'_>,
) {
    let grid = tiling.grid;
    let n = gradient.channels;
    tiling.check(plane, row, gradient);
    for channel in (0..n).step_by(S::LANES) {
        let lanes = (n - channel).min(S::LANES);
        // SAFETY: voxels are read inside the plane only; the place is the caller's.
        unsafe {
            let mut pointer = to.pointer(tiling.n_cols, channel, S::LANES);
            for tile in 0..tiling.n_cols {
                let first = (plane * grid.h + row * OUT) * grid.w + tile * OUT;
                let p = gradient.data.as_ptr().add(first * n + channel);
                let is_whole = (row + 1) * OUT <= grid.h && (tile + 1) * OUT <= grid.w;
                let columns = if is_whole && lanes == S::LANES {
                    gradient_columns::<S, true>(s, p, [OUT, OUT], [grid.w * n, n], lanes)
                } else {
                    let extent = [(grid.h - row * OUT).min(OUT), (grid.w - tile * OUT).min(OUT)];
                    gradient_columns::<S, false>(s, p, extent, [grid.w * n, n], lanes)
                };
                for i in 0..IN {
                    let v = output_gradient(
                        s,
                        [columns[0][i], columns[1][i], columns[2][i], columns[3][i]],
                    );
                    for (j, v) in v.iter().enumerate() {
                        s.store(pointer.add((i * IN + j) * to.point_stride), *v);
                    }
                }
                pointer = pointer.wrapping_add(to.tile_stride);
            }
        }
    }
}

/// `A` of the four columns of a tile from `p` on; voxels beyond `extent` are 0.
#[inline(always)]
unsafe fn gradient_columns<S: Simd, const WHOLE: bool>(
    s: S,
    p: *const f32,
    extent: [usize; 2],
    stride: [usize; 2],
    lanes: usize,
) -> [[S::V; IN]; OUT] {
    let mut columns = [[s.zero(); IN]; OUT];
    for (j, column) in columns.iter_mut().enumerate() {
        let mut y = [s.zero(); OUT];
        for (i, y) in y.iter_mut().enumerate() {
            if WHOLE {
                // SAFETY: a whole tile with all its lanes, as the caller found.
                *y = unsafe { s.load(p.add(i * stride[0] + j * stride[1])) };
            } else if i < extent[0] && j < extent[1] {
                // SAFETY: a voxel of the plane, and `lanes` of its channels.
                *y = unsafe { s.load_first(p.add(i * stride[0] + j * stride[1]), lanes) };
            }
        }
        *column = output_gradient(s, y);
    }
    columns
}

/// `Aᵀ m A` of a row of tiles, written to the target.
///
/// # Safety
/// No other task touches these rows of the target, or the place.
#[inline(always)]
pub(crate) unsafe fn transform_output<S: Simd>(
    s: S,
    target: &Target<'_>,
    tiling: &Tiling,
    plane: usize,
    row: usize,
    from: &Place<'_>,
) {
    let grid = tiling.grid;
    let n = target.channels;
    let n_rows = (grid.h - row * OUT).min(OUT);
    let first = (plane * grid.h + row * OUT) * grid.w * n;
    for channel in (0..n).step_by(S::LANES) {
        let lanes = (n - channel).min(S::LANES);
        // SAFETY: `n_rows` rows of the plane from `row` on are this task's; the place is the caller's.
        unsafe {
            let to = target.data.place(first, n_rows * grid.w * n).add(channel);
            let mut pointer = from.pointer(tiling.n_cols, channel, S::LANES);
            for tile in 0..tiling.n_cols {
                let mut rows = [[s.zero(); OUT]; IN];
                for (i, row) in rows.iter_mut().enumerate() {
                    let mut m = [s.zero(); IN];
                    for (j, m) in m.iter_mut().enumerate() {
                        *m = s.load(pointer.add((i * IN + j) * from.point_stride));
                    }
                    *row = output(s, m);
                }
                let n_cols = (grid.w - tile * OUT).min(OUT);
                let to = to.add(tile * OUT * n);
                if [n_rows, n_cols, lanes] == [OUT, OUT, S::LANES] {
                    output_tile::<S, true>(s, &rows, to, [OUT, OUT], [grid.w * n, n], lanes);
                } else {
                    let extent = [n_rows, n_cols];
                    output_tile::<S, false>(s, &rows, to, extent, [grid.w * n, n], lanes);
                }
                pointer = pointer.wrapping_add(from.tile_stride);
            }
        }
    }
}

/// Writes `Aᵀ` of the columns of `rows` from `to` on, but for voxels beyond `extent`.
#[inline(always)]
unsafe fn output_tile<S: Simd, const WHOLE: bool>(
    s: S,
    rows: &[[S::V; OUT]; IN],
    to: *mut f32,
    extent: [usize; 2],
    stride: [usize; 2],
    lanes: usize,
) {
    for j in 0..OUT {
        let column = [rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j]];
        for (i, y) in output(s, column).iter().enumerate() {
            if WHOLE {
                // SAFETY: a whole tile with all its lanes, as the caller found.
                unsafe { s.store(to.add(i * stride[0] + j * stride[1]), *y) };
            } else if i < extent[0] && j < extent[1] {
                // SAFETY: a voxel of the plane, and `lanes` of its channels.
                unsafe { s.store_first(to.add(i * stride[0] + j * stride[1]), *y, lanes) };
            }
        }
    }
}
