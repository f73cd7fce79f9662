//! Resampling against closed forms: ramps, integrals, permutations, oblique grids.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use hemex_volume::{Affine, Geometry, Image, LabelMap};

fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Geometry {
    Geometry::new(shape, Affine::from_spacing(spacing, [-40.0, 12.5, 300.0]).unwrap()).unwrap()
}

/// HU that grow linearly in space.
fn ramp(geometry: Geometry) -> Image {
    sampled(geometry, |[x, y, z]| 0.7 * x - 0.4 * y + 0.2 * z)
}

fn sampled(geometry: Geometry, f: impl Fn([f64; 3]) -> f64) -> Image {
    let [n_d, n_h, n_w] = geometry.shape();
    let mut voxels = Vec::new();
    for d in 0..n_d {
        for h in 0..n_h {
            for w in 0..n_w {
                voxels.push(f(geometry.point_mm([d as f64, h as f64, w as f64])) as f32);
            }
        }
    }
    Image::new(geometry, voxels).unwrap()
}

fn oblique(shape: [usize; 3], spacing: [f64; 3], origin: [f64; 3]) -> Geometry {
    let (c, s) = (0.3f64.cos(), 0.3f64.sin());
    let [d, h, w] = spacing;
    let rows =
        [[w * c, -h * s, 0.0, origin[0]], [w * s, h * c, 0.0, origin[1]], [0.0, 0.0, d, origin[2]]];
    Geometry::new(shape, Affine::new(rows).unwrap()).unwrap()
}

fn max_error_inside(image: &Image, margin: usize, truth: &Image) -> f32 {
    let shape = image.geometry().shape();
    let mut worst = 0.0f32;
    for (place, value) in image.voxels().iter().enumerate() {
        let idx = [place / (shape[1] * shape[2]), place / shape[2] % shape[1], place % shape[2]];
        if (0..3).all(|a| idx[a] >= margin && idx[a] + margin < shape[a]) {
            worst = worst.max((value - truth.voxels()[place]).abs());
        }
    }
    worst
}

#[test]
fn a_ramp_stays_a_ramp_at_any_spacing() {
    let image = ramp(grid([12, 40, 44], [5.0, 0.8, 0.8]));
    for spacing in [[5.0, 2.0, 2.0], [2.5, 0.4, 0.5], [6.1, 1.13, 0.97], [5.0, 0.8, 1.6]] {
        let target = image.geometry().with_spacing(spacing).unwrap();
        let out = image.resample(&target, -1000.0);
        assert_eq!(out.geometry(), &target);
        // At the border the edge is repeated: two target voxels or three source voxels.
        let margin = if spacing[1] < 0.8 { 3 } else { 2 };
        let error = max_error_inside(&out, margin, &ramp(target));
        assert!(error < 2e-3, "{spacing:?}: {error}");
    }
}

#[test]
fn same_grid_is_a_copy_and_a_window_is_a_crop() {
    let image = ramp(grid([4, 5, 6], [5.0, 0.45, 0.45]));
    assert_eq!(image.resample(image.geometry(), 0.0), image);
    let window = image.geometry().window([1, -1, 2], [2, 3, 5]).unwrap();
    let crop = image.resample(&window, -7.0);
    assert_eq!(crop.voxels()[0], -7.0, "above the source");
    assert_eq!(crop.voxels()[5], image.voxels()[image.geometry().offset([1, 0, 2])]);
    assert_eq!(crop.voxels()[9], -7.0, "right of the source");
}

#[test]
fn detail_finer_than_the_target_is_averaged() {
    // A checkerboard has mean 50; interpolation without antialiasing would keep 0 or 100.
    let fine = grid([1, 40, 40], [5.0, 0.5, 0.5]);
    let mut image = Image::filled(fine, 0.0);
    for (place, value) in image.voxels_mut().iter_mut().enumerate() {
        *value = if (place / 40 + place % 40) % 2 == 0 { 0.0 } else { 100.0 };
    }
    let coarse = image.resample(&fine.with_spacing([5.0, 2.0, 2.0]).unwrap(), 0.0);
    assert_eq!(coarse.geometry().shape(), [1, 10, 10]);
    for value in &coarse.voxels()[33..37] {
        assert!((value - 50.0).abs() < 0.5, "{value}");
    }
}

#[test]
fn the_integral_is_kept() {
    let blob = |[x, y, z]: [f64; 3]| {
        let r2 = (x + 25.0f64).powi(2) + (y - 25.0).powi(2) + (z - 330.0).powi(2);
        100.0 * (-r2 / 18.0).exp()
    };
    let image = sampled(grid([30, 60, 60], [2.0, 0.5, 0.5]), blob);
    let integral =
        |i: &Image| i.voxels().iter().map(|v| f64::from(*v)).sum::<f64>() * i.geometry().voxel_ml();
    for (spacing, tolerance) in
        [([4.0, 2.0, 2.0], 1e-5), ([3.1, 1.7, 1.3], 5e-3), ([1.0, 0.25, 0.25], 1e-3)]
    {
        let out = image.resample(&image.geometry().with_spacing(spacing).unwrap(), 0.0);
        let ratio = integral(&out) / integral(&image);
        assert!((ratio - 1.0).abs() < tolerance, "{spacing:?}: {ratio}");
    }
}

#[test]
fn permutation_and_flip_move_voxels_exactly() {
    // Source W runs down (−z), H to the left (−x), D to the front (y).
    let rows = [[0.0, -2.0, 0.0, 10.0], [0.0, 0.0, 3.0, -5.0], [-4.0, 0.0, 0.0, 7.0]];
    let source = Geometry::new([3, 4, 5], Affine::new(rows).unwrap()).unwrap();
    let image = ramp(source);
    let ras = source.to_ras();
    assert_eq!(ras.shape(), [5, 3, 4]);
    let moved = image.resample(&ras, -1000.0);
    for (value, expected) in moved.voxels().iter().zip(ramp(ras).voxels()) {
        assert!((value - expected).abs() < 1e-4);
    }
    assert_eq!(moved.resample(&source, 0.0), image);

    let labels = LabelMap::new(source, (0..60).collect()).unwrap();
    let there = labels.resample(&ras);
    assert_ne!(there.voxels(), labels.voxels());
    assert_eq!(there.resample(&source), labels);
}

#[test]
fn oblique_grids_see_the_same_space() {
    let source = oblique([10, 60, 60], [4.0, 0.7, 0.7], [0.0, 0.0, 0.0]);
    let image = ramp(source);
    // Well inside the source: a finer grid and one so coarse that averaging comes first.
    for (spacing, shape) in [([2.0, 0.5, 0.5], [10, 20, 20]), ([4.0, 2.0, 2.0], [5, 6, 6])] {
        let affine = Affine::from_spacing(spacing, [5.0, 18.0, 10.0]).unwrap();
        let target = Geometry::new(shape, affine).unwrap();
        let out = image.resample(&target, -1000.0);
        let error = max_error_inside(&out, 0, &ramp(target));
        assert!(error < 2e-3, "{spacing:?}: {error}");
    }
}

#[test]
fn oblique_outside_is_background() {
    let source = oblique([3, 10, 10], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]);
    let target = grid([3, 30, 30], [1.0, 1.0, 1.0]);
    let affine = Affine::from_spacing([1.0; 3], [-10.0, -10.0, 0.0]).unwrap();
    let target = Geometry::new(target.shape(), affine).unwrap();
    let out = Image::filled(source, 5.0).resample(&target, -9.0);
    let inverse = source.affine().inverse();
    for (place, value) in out.voxels().iter().enumerate() {
        let idx = [place / 900, place / 30 % 30, place % 30].map(|i| i as f64);
        let at = inverse.index(target.point_mm(idx));
        let inside = (0..3).all(|a| at[a] >= -0.5 && at[a] <= source.shape()[a] as f64 - 0.5);
        assert_eq!(*value, if inside { 5.0 } else { -9.0 }, "{idx:?} {at:?}");
    }
}

#[test]
fn a_label_ball_keeps_its_volume_under_rotation() {
    let source = oblique([40, 40, 40], [1.0; 3], [0.0; 3]);
    let centre = source.point_mm([19.5; 3]);
    let mut labels = LabelMap::empty(source);
    let ball = sampled(source, |p| (0..3).map(|a| (p[a] - centre[a]).powi(2)).sum());
    for (label, r2) in labels.voxels_mut().iter_mut().zip(ball.voxels()) {
        *label = u8::from(*r2 < 144.0) * 3;
    }
    let corner = centre.map(|c| c - 14.5);
    let target = Geometry::new([30; 3], Affine::from_spacing([1.0; 3], corner).unwrap()).unwrap();
    let there = labels.resample(&target);
    let ratio = there.volume_ml(&[3]) / labels.volume_ml(&[3]);
    assert!((ratio - 1.0).abs() < 0.01, "{ratio}");
}

#[test]
fn one_voxel_axes_work() {
    let slice = ramp(grid([1, 8, 8], [5.0, 1.0, 1.0]));
    let out = slice.resample(&slice.geometry().with_spacing([5.0, 2.0, 2.0]).unwrap(), 0.0);
    assert_eq!(out.geometry().shape(), [1, 4, 4]);
    let thick = slice.geometry().window([-1, 0, 0], [3, 8, 8]).unwrap();
    let padded = slice.resample(&thick, -1.0);
    assert_eq!(padded.slice(1), slice.voxels());
    assert!(padded.slice(0).iter().chain(padded.slice(2)).all(|v| *v == -1.0));
}
