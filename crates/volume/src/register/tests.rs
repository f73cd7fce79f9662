use proptest::prelude::*;

use super::*;
use crate::vector::norm;
use crate::{Affine, Geometry};

/// Slices are averaged over this many points.
const N_SUB: usize = 5;

/// Points of the head at which the error of a motion is looked at, mm.
fn corners() -> impl Iterator<Item = [f64; 3]> {
    (0..8_u32).map(|i| {
        let side = |axis: u32, mm: f64| if i >> axis & 1 == 1 { mm } else { -mm };
        [side(0, 50.0), side(1, 65.0), side(2, 45.0)]
    })
}

/// The largest distance between where two motions take a corner of the head, mm.
fn error_mm(found: &RigidMotion, truth: &RigidMotion) -> f64 {
    let apart = |p| {
        let (a, b) = (found.point_mm(p), truth.point_mm(p));
        norm(std::array::from_fn(|i| a[i] - b[i]))
    };
    corners().map(apart).fold(0.0, f64::max)
}

/// 1 within an ellipsoid, 0 outside, over about a mm.
fn within(p: [f64; 3], centre: [f64; 3], radii: [f64; 3]) -> f64 {
    let r = norm(std::array::from_fn(|i| (p[i] - centre[i]) / radii[i]));
    let depth_mm = (1.0 - r) * radii.into_iter().fold(f64::INFINITY, f64::min);
    (0.5 + depth_mm).clamp(0.0, 1.0)
}

/// A head of ellipsoids: skull and brain, orbits, petrous bones and a sinus at its base, ventricles that are not alike,
/// and a hematoma of this radius.
fn head(p: [f64; 3], hematoma_mm: f64) -> f64 {
    let parts = [
        ([0.0, 78.0, -45.0], [22.0, 20.0, 25.0], 60.0),
        ([0.0; 3], [72.0, 90.0, 76.0], 1000.0),
        ([0.0; 3], [66.0, 84.0, 70.0], 34.0),
        ([31.0, 66.0, -30.0], [17.0, 22.0, 15.0], -90.0),
        ([-31.0, 66.0, -30.0], [17.0, 22.0, 15.0], -90.0),
        ([38.0, -14.0, -36.0], [26.0, 9.0, 9.0], 900.0),
        ([-36.0, -18.0, -38.0], [26.0, 9.0, 9.0], 900.0),
        ([2.0, 30.0, -40.0], [10.0, 14.0, 10.0], -1000.0),
        ([12.0, 8.0, 6.0], [7.0, 32.0, 12.0], 6.0),
        ([-14.0, 2.0, 4.0], [9.0, 28.0, 14.0], 6.0),
        ([0.0, -52.0, -38.0], [9.0, 8.0, 7.0], 6.0),
        ([-30.0, 14.0, 8.0], [hematoma_mm; 3], 64.0),
    ];
    parts
        .iter()
        .fold(-1000.0, |hu, (centre, radii, own)| hu + within(p, *centre, *radii) * (own - hu))
}

/// A jaw and a neck below the head.
fn jaw(p: [f64; 3]) -> f64 {
    let neck = within(p, [0.0, -15.0, -95.0], [50.0, 50.0, 40.0]);
    let jaw = within(p, [0.0, 50.0, -80.0], [40.0, 30.0, 12.0]);
    (-1000.0 + 1050.0 * neck).max(-1000.0 + 1700.0 * jaw)
}

/// What a scanner with this grid shows: means over its slices, and a noise of some HU.
fn scan(geometry: Geometry, body: impl Fn([f64; 3]) -> f64) -> Image {
    let [n_d, n_h, n_w] = geometry.shape();
    let mut voxels = Vec::with_capacity(geometry.n_voxels());
    for i in 0..n_d * n_h * n_w {
        let [d, h, w] = [i / (n_h * n_w), i / n_w % n_h, i % n_w].map(|at| at as f64);
        let sub = (0..N_SUB).map(|k| d + (k as f64 + 0.5) / N_SUB as f64 - 0.5);
        let mean: f64 = sub.map(|d| body(geometry.point_mm([d, h, w]))).sum::<f64>() / N_SUB as f64;
        let noise = ((i as u32).wrapping_mul(2_654_435_761) >> 16) % 13;
        voxels.push((mean + f64::from(noise) - 6.0) as f32);
    }
    Image::new(geometry, voxels).unwrap()
}

/// Slices of 5 mm, RAS.
fn fixed_grid() -> Geometry {
    let affine = Affine::from_spacing([5.0, 2.5, 2.5], [-100.0, -112.0, -85.0]).unwrap();
    Geometry::new([35, 90, 80], affine).unwrap()
}

/// Slices of 6 mm that lean by 10°, LPS, in another place of the room.
fn moving_grid() -> Geometry {
    let (sin, cos) = 10f64.to_radians().sin_cos();
    let rows = [
        [-2.2, 0.0, 0.0, 105.0 + 30.0],
        [0.0, -2.2 * cos, 0.0, 118.0 - 20.0],
        [0.0, -2.2 * sin, 6.0 / cos, -85.0 + 18.0 + 400.0],
    ];
    Geometry::new([30, 108, 96], Affine::new(rows).unwrap()).unwrap()
}

/// A motion into the room of the moving scan, and what is left of it once that is where the fixed one is.
fn motion(turn_deg: [f64; 3], shift_mm: [f64; 3]) -> RigidMotion {
    let [x, y, z] = shift_mm;
    RigidMotion::about([3.0, -4.0, 5.0], turn_deg, [x + 30.0, y - 20.0, z + 400.0])
}

/// The head where `truth` takes it.
fn moved(geometry: Geometry, truth: &RigidMotion, hematoma_mm: f64) -> Image {
    let back = truth.inverse();
    scan(geometry, |p| head(back.point_mm(p), hematoma_mm))
}

/// A vector of at most this length.
fn vector(length: f64) -> impl Strategy<Value = [f64; 3]> {
    let direction =
        prop::array::uniform3(-1.0f64..1.0).prop_filter("a direction", |v| norm(*v) > 0.1);
    (direction, 0.0..length).prop_map(|(v, length)| v.map(|x| x / norm(v) * length))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Other slices, spacing, orientation, tilt and origin; the head turned, shifted and cut by the field of view.
    /// A third of a slice at most; half of the errors are below 0.4 mm.
    #[test]
    fn a_motion_is_found_back(turn in vector(15.0), shift in vector(20.0)) {
        let truth = motion(turn, shift);
        let fixed = scan(fixed_grid(), |p| head(p, 14.0));
        let found = register(&moved(moving_grid(), &truth, 14.0), &fixed, None).unwrap();
        let error_mm = error_mm(&found.motion, &truth);
        prop_assert!(error_mm < 2.0, "{error_mm} mm, {found:?}");
        prop_assert!(found.agreement > 0.95, "{found:?}");
    }
}

/// Turns with which the slices of both scans lean against each other the most.
#[test]
fn slices_that_lean_do_not_draw_the_head_along() {
    let fixed = scan(fixed_grid(), |p| head(p, 14.0));
    for turn in [[8.7, -8.7, 0.0], [6.6, -3.3, -4.9], [5.3, -3.2, 4.3]] {
        let truth = motion(turn, [0.0; 3]);
        let found = register(&moved(moving_grid(), &truth, 14.0), &fixed, None).unwrap();
        let error_mm = error_mm(&found.motion, &truth);
        assert!(error_mm < 1.0, "{turn:?}: {error_mm} mm");
    }
}

#[test]
fn a_scan_lies_on_itself() {
    let image = scan(fixed_grid(), |p| head(p, 14.0));
    let found = register(&image, &image, None).unwrap();
    assert!(error_mm(&found.motion, &RigidMotion::identity()) < 1e-9, "{found:?}");
    assert!((found.agreement - 1.0).abs() < 1e-12 && found.overlap > 0.99, "{found:?}");
}

/// From 4 to 48 mL.
#[test]
fn a_hematoma_that_grows_does_not_pull_the_head_along() {
    let truth = motion([4.0, -6.0, 8.0], [5.0, -6.0, 4.0]);
    let fixed = scan(fixed_grid(), |p| head(p, 10.0));
    let of = |hematoma_mm| {
        let found = register(&moved(moving_grid(), &truth, hematoma_mm), &fixed, None).unwrap();
        error_mm(&found.motion, &truth)
    };
    let (stable_mm, grown_mm) = (of(10.0), of(22.6));
    assert!(stable_mm < 0.5 && grown_mm < 0.6, "{stable_mm} and {grown_mm} mm");
}

#[test]
fn what_lies_outside_the_region_does_not_count() {
    let truth = motion([12.0, 0.0, 0.0], [2.0, 3.0, -4.0]);
    let stays = motion([0.0; 3], [0.0; 3]).inverse();
    let fixed = scan(fixed_grid(), |p| head(p, 14.0).max(jaw(p)));
    let back = truth.inverse();
    let moving = scan(moving_grid(), |p| head(back.point_mm(p), 14.0).max(jaw(stays.point_mm(p))));
    let [n_d, n_h, n_w] = fixed.geometry().shape();
    let mut region = LabelMap::empty(fixed_grid());
    for i in 0..n_d * n_h * n_w {
        let index = [i / (n_h * n_w), i / n_w % n_h, i % n_w].map(|at| at as f64);
        let inside = within(fixed.geometry().point_mm(index), [0.0; 3], [76.0, 94.0, 80.0]) > 0.0;
        region.voxels_mut()[i] = u8::from(inside && index[0] > 8.0);
    }
    let with = register(&moving, &fixed, Some(&region)).unwrap();
    let without = register(&moving, &fixed, None).unwrap();
    let [with_mm, without_mm] = [with, without].map(|found| error_mm(&found.motion, &truth));
    assert!(with_mm < 0.8 && without_mm > 4.0, "{with_mm} and {without_mm} mm");
    let other = LabelMap::empty(moving_grid());
    let error = register(&moving, &fixed, Some(&other)).unwrap_err();
    assert!(matches!(error, VolumeError::GridMismatch { .. }), "{error}");
}

#[test]
fn strangers_do_not_agree_and_nothing_is_refused() {
    let fixed = scan(fixed_grid(), |p| head(p, 14.0));
    // A box of water with rods of bone, as scanners are tested with.
    let rods = |p: [f64; 3]| {
        let inside = p[0].abs() < 60.0 && p[1].abs() < 60.0 && p[2].abs() < 70.0;
        let rod = (p[0] - 30.0).hypot(p[1]) < 8.0 || (p[0] + 25.0).hypot(p[1] - 20.0) < 6.0;
        if rod && inside {
            900.0
        } else if inside {
            0.0
        } else {
            -1000.0
        }
    };
    let found = register(&scan(fixed_grid(), rods), &fixed, None).unwrap();
    assert!(found.agreement < 0.7, "{found:?}");
    for nothing in [-1000.0, 40.0] {
        let flat = Image::filled(fixed_grid(), nothing);
        let error = register(&flat, &fixed, None).unwrap_err();
        assert!(matches!(error, VolumeError::NotRegistered { .. }), "{error}");
    }
    let slice = Image::filled(Geometry::new([1, 90, 80], fixed_grid().affine()).unwrap(), 40.0);
    assert!(register(&slice, &fixed, None).is_err());
    let empty = LabelMap::empty(fixed_grid());
    assert!(register(&fixed, &fixed, Some(&empty)).is_err(), "nothing is looked at");
}

#[test]
fn threads_change_no_bit() {
    let truth = motion([4.0, -6.0, 8.0], [5.0, -6.0, 4.0]);
    let fixed = scan(fixed_grid(), |p| head(p, 14.0));
    let moving = moved(moving_grid(), &truth, 18.0);
    let with_threads = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| register(&moving, &fixed, None)).unwrap()
    };
    assert_eq!(with_threads(1), with_threads(2));
}
