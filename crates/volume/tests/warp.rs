//! Warping against its definition: copies, shifts, flips, and the field at each voxel.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use hemex_volume::{Affine, Deformation, DisplacementField, Geometry, Image, LabelMap};

fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Geometry {
    Geometry::new(shape, Affine::from_spacing(spacing, [0.0; 3]).unwrap()).unwrap()
}

fn numbered(geometry: Geometry) -> Image {
    let voxels = (0..geometry.n_voxels()).map(|i| (i * 7 % 101) as f32).collect();
    Image::new(geometry, voxels).unwrap()
}

/// Two control points in 2-D and 3-D that differ, so that nothing is symmetric.
fn field() -> DisplacementField {
    let u = (0..4 * 3 * 5).map(|i| {
        let i = f64::from(i);
        [(i * 1.7).sin(), (i * 2.3).cos(), (i * 0.9).sin() * 2.0]
    });
    DisplacementField::new([4, 3, 5], u.collect()).unwrap()
}

#[test]
fn identity_returns_the_input() {
    for shape in [[5, 6, 7], [1, 9, 8], [4, 1, 1], [1, 1, 1]] {
        let image = numbered(grid(shape, [5.0, 0.45, 0.7]));
        assert_eq!(image.warp(&Deformation::identity(), -1.0), image);
        let still = DisplacementField::new([2, 2, 2], vec![[0.0; 3]; 8]).unwrap();
        let elastic = Deformation { elastic: Some(still), ..Deformation::identity() };
        assert_eq!(image.warp(&elastic, -1.0), image);
        let labels =
            LabelMap::new(*image.geometry(), image.voxels().iter().map(|v| *v as u8).collect())
                .unwrap();
        assert_eq!(labels.warp(&elastic), labels);
    }
}

#[test]
fn translation_by_whole_voxels_moves_voxels() {
    let image = numbered(grid([3, 6, 7], [5.0, 0.5, 2.0]));
    let shift = Deformation { translation_mm: [5.0, -1.0, 4.0], ..Deformation::identity() };
    let out = image.warp(&shift, -1.0);
    let geometry = image.geometry();
    for d in 0..3 {
        for h in 0..6 {
            for w in 0..7 {
                let inside = d + 1 < 3 && h >= 2 && w + 2 < 7;
                let expected = if inside {
                    image.voxels()[geometry.offset([d + 1, h - 2, w + 2])]
                } else {
                    -1.0
                };
                assert_eq!(out.voxels()[geometry.offset([d, h, w])], expected);
            }
        }
    }
}

#[test]
fn a_flip_about_the_centre_mirrors() {
    let image = numbered(grid([2, 3, 6], [5.0, 1.0, 1.0]));
    let mut flip = Deformation::identity();
    flip.linear[2][2] = -1.0;
    let out = image.warp(&flip, -1.0);
    for (row, mirrored) in image.voxels().chunks(6).zip(out.voxels().chunks(6)) {
        assert!(row.iter().rev().eq(mirrored));
    }
    assert_eq!(flip.volume_factor([2, 3, 6]), 1.0);
}

/// The separable evaluation against the field at each voxel and the formula of the type's doc.
#[test]
fn rows_agree_with_the_definition() {
    for shape in [[6, 12, 14], [1, 12, 14]] {
        let geometry = grid(shape, [4.0, 1.5, 0.8]);
        let [_, n_h, n_w] = shape;
        // A ramp a voxel: the value read is the source index itself.
        for axis in 0..3 {
            let mut ramp = Image::filled(geometry, 0.0);
            for i in 0..geometry.n_voxels() {
                let idx = [i / (n_h * n_w), i / n_w % n_h, i % n_w];
                ramp.voxels_mut()[i] = idx[axis] as f32;
            }
            let deformation = Deformation {
                linear: [[1.02, 0.01, -0.03], [0.02, 0.93, 0.11], [0.0, -0.12, 0.95]],
                translation_mm: [0.3, -0.4, 0.2],
                elastic: Some(field()),
                flow: None,
            };
            let out = ramp.warp(&deformation, f32::NAN);
            let mut n_inside = 0;
            for (i, value) in out.voxels().iter().enumerate() {
                let idx = [i / (n_h * n_w), i / n_w % n_h, i % n_w].map(|v| v as f64);
                let source = defined(&deformation, &geometry, idx);
                let last = shape.map(|n| (n - 1) as f64);
                if (0..3).all(|a| (0.0..=last[a]).contains(&source[a])) {
                    n_inside += 1;
                    assert!((f64::from(*value) - source[axis]).abs() < 1e-4);
                }
            }
            assert!(n_inside > geometry.n_voxels() / 3);
        }
    }
}

fn defined(deformation: &Deformation, geometry: &Geometry, idx: [f64; 3]) -> [f64; 3] {
    let (shape, spacing) = (geometry.shape(), geometry.spacing_mm());
    let centre = shape.map(|n| (n - 1) as f64 / 2.0);
    let u = deformation.elastic.as_ref().unwrap().at(geometry, idx);
    let moved: [f64; 3] = std::array::from_fn(|a| (idx[a] - centre[a]) * spacing[a] + u[a]);
    std::array::from_fn(|a| {
        if shape[a] == 1 {
            return 0.0;
        }
        let row = deformation.linear[a];
        let source: f64 = (0..3).map(|b| row[b] * moved[b]).sum();
        centre[a] + (source + deformation.translation_mm[a]) / spacing[a]
    })
}

#[test]
fn scaling_changes_volume_by_the_determinant() {
    let geometry = grid([20, 40, 40], [2.0, 1.0, 1.0]);
    let mut labels = LabelMap::empty(geometry);
    for i in 0..geometry.n_voxels() {
        let (d, h, w) = (i / 1600, i / 40 % 40, i % 40);
        let r2 = (2.0 * (d as f64 - 9.5)).powi(2)
            + (h as f64 - 19.5).powi(2)
            + (w as f64 - 19.5).powi(2);
        labels.voxels_mut()[i] = u8::from(r2 < 256.0);
    }
    let mut shrink = Deformation::identity();
    for a in 0..3 {
        shrink.linear[a][a] = 1.2;
    }
    let expected = shrink.volume_factor(geometry.shape());
    assert!((expected - 1.2f64.powi(-3)).abs() < 1e-12);
    assert!((shrink.volume_factor([1, 40, 40]) - 1.2f64.powi(-2)).abs() < 1e-12);
    let ratio = labels.warp(&shrink).volume_ml(&[1]) / labels.volume_ml(&[1]);
    assert!((ratio / expected - 1.0).abs() < 0.03, "{ratio} {expected}");
}

#[test]
fn labels_follow_the_image() {
    let geometry = grid([8, 30, 30], [3.0, 1.0, 1.0]);
    let mut image = Image::filled(geometry, 0.0);
    let mut labels = LabelMap::empty(geometry);
    for d in 2..6 {
        for h in 9..21 {
            for w in 11..18 {
                image.voxels_mut()[geometry.offset([d, h, w])] = 80.0;
                labels.voxels_mut()[geometry.offset([d, h, w])] = 2;
            }
        }
    }
    let deformation = Deformation { elastic: Some(field()), ..Deformation::identity() };
    let (image, labels) = (image.warp(&deformation, 0.0), labels.warp(&deformation));
    // Away from the rounded corners of a box the 40 HU surface is the label's.
    let wrong = image
        .voxels()
        .iter()
        .zip(labels.voxels())
        .filter(|(v, l)| (**v > 40.0) != (**l == 2))
        .count();
    assert!(labels.count(&[2]) > 250 && wrong * 20 < labels.count(&[2]), "{wrong}");
}
