//! How much surface lies between eight voxels.

/// The triangles that a cell of 2 × 2 × 2 voxels contributes to a surface, for each set of voxels
/// inside: the sizes of a triangle's normal along D, H and W in eighths of a voxel face.
///
/// The marching-cubes table of DeepMind's surface-distance 0.1 (Apache-2.0), normals without their
/// sign. Bit 7 is the voxel `[0, 0, 0]` of the cell, bit 6 `[0, 0, 1]`, bit 0 `[1, 1, 1]`. A set and
/// its complement share a surface, so half of the 256 stand here.
#[rustfmt::skip]
const TRIANGLES: [&str; 128] = [
    "", "111", "111", "220 220", "111", "202 202", "111 111", "400 222 111", "111", "111 111",
    "202 202", "400 222 111", "220 220", "400 222 111", "400 222 111", "400 400", "111", "022 022",
    "111 111", "040 222 111", "111 111", "004 222 111", "111 111 111", "111 222 222 111", "111 111",
    "022 022 111", "202 202 111", "111 333 022 202", "111 220 220", "333 022 111 220",
    "400 111 222 111", "400 111 222", "111", "111 111", "022 022", "040 111 222", "111 111",
    "111 202 202", "022 022 111", "333 022 111 202", "111 111", "111 111 111", "004 222 111",
    "222 222 111 111", "111 220 220", "400 222 111 111", "022 333 111 220", "400 222 111",
    "220 220", "040 222 111", "040 111 222", "040 040", "220 220 111", "333 202 111 220",
    "111 040 222 111", "040 222 111", "111 220 220", "040 222 111 111", "333 220 111 202",
    "040 222 111", "220 220 220 220", "220 220 111", "111 220 220", "220 220", "111", "111 111",
    "111 111", "111 220 220", "022 022", "004 222 111", "022 022 111", "333 022 111 220", "111 111",
    "111 111 111", "111 202 202", "400 222 111 111", "040 222 111", "222 222 111 111",
    "202 333 022 111", "400 222 111", "202 202", "004 222 111", "111 202 202", "202 333 220 111",
    "004 222 111", "004 004", "111 111 222 004", "111 222 004", "202 202 111", "004 222 111 111",
    "202 202 202 202", "111 202 202", "202 333 220 111", "004 222 111", "111 202 202", "202 202",
    "111 111", "111 111 111", "111 022 022", "040 111 222 111", "022 022 111", "004 222 111 111",
    "022 022 022 022", "022 022 111", "111 111 111", "111 111 111 111", "004 222 111 111",
    "111 111 111", "040 222 111 111", "111 111 111", "022 022 111", "111 111", "400 222 111",
    "222 111 222 111", "333 022 111 202", "040 222 111", "333 220 022 111", "111 222 004",
    "111 022 022", "022 022", "400 222 111 111", "111 111 111", "202 202 111", "111 111",
    "220 220 111", "111 111", "111 111", "111",
];

/// The area in mm² of the surface in a cell for each of the 256 sets of voxels inside.
///
/// The areas of Nikolov et al. (JMIR 2021, 23(7):e26151) as their program computes them. Triangles of
/// one set need not close with those of a neighbour: it is a weight of surface elements, not an area
/// to be reported (for that see `hemex_volume::surface_area_mm2`).
pub(crate) fn cell_areas_mm2([d, h, w]: [f64; 3]) -> [f64; 256] {
    let faces_mm2 = [h * w, d * w, d * h];
    std::array::from_fn(|code| {
        let triangles = TRIANGLES[code.min(255 - code)];
        triangles.split_ascii_whitespace().map(|t| area_mm2(t, faces_mm2)).sum()
    })
}

fn area_mm2(eighths: &str, faces_mm2: [f64; 3]) -> f64 {
    let squares = eighths
        .bytes()
        .zip(faces_mm2)
        .map(|(digit, face)| (f64::from(digit - b'0') / 8.0 * face).powi(2));
    squares.sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests/reference/metrics.py, part `cell_areas`: the sum and single entries of DeepMind's table.
    #[test]
    fn agrees_with_surface_distance() {
        let areas = cell_areas_mm2([5.0, 1.0, 1.5]);
        assert_eq!((areas[0], areas[255]), (0.0, 0.0));
        for (code, area) in
            [(1, 1.1422291801560667), (15, 1.5), (27, 8.127424581403078), (107, 3.4266875404682002)]
        {
            assert!((areas[code] - area).abs() < 1e-12, "{code}: {}", areas[code]);
            assert!((areas[255 - code] - area).abs() < 1e-12, "{code}");
        }
        let sum: f64 = areas.iter().enumerate().map(|(code, area)| code as f64 * area).sum();
        assert!((sum - 157930.714064395).abs() < 1e-8, "{sum}");
    }
}
