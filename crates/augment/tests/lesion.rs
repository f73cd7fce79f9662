//! Lesions deform within their bounds, without folds, the same whatever the threads.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use hemex_augment::{Drawn, Policy, RawElastic, RawLesion, RawPolicy};
use hemex_stage::DrawKey;
use hemex_volume::{Affine, Connectivity, Geometry, Image, LabelMap};

const VOLUME_CHANGE: f64 = 0.1;

/// The lesion's deformation of the shipped configs, an elastic one too where asked for.
fn policy(elastic_probability: f64) -> Policy {
    Policy::try_from(RawPolicy {
        elastic: RawElastic {
            probability: elastic_probability,
            control_points: [2, 6, 6],
            max_displacement_mm: [0.0, 5.0, 5.0],
        },
        lesion: RawLesion {
            probability: 1.0,
            volume_change: VOLUME_CHANGE,
            stretch: 0.1,
            lobe: 0.15,
            reach_mm: 25.0,
        },
        ..RawPolicy::NOTHING
    })
    .unwrap()
}

fn grid(shape: [usize; 3]) -> Geometry {
    let affine = Affine::from_spacing([5.0, 1.5, 1.5], [-60.0, -70.0, 12.0]).unwrap();
    Geometry::new(shape, affine).unwrap()
}

/// A clot of two lobes with a satellite; 30 HU around, 65 within.
fn clot(geometry: Geometry) -> (Image, LabelMap, Vec<usize>) {
    let [n_d, n_h, n_w] = geometry.shape();
    let (mut image, mut labels) = (Image::filled(geometry, 30.0), LabelMap::empty(geometry));
    let middle = geometry.point_mm([(n_d / 2) as f64, n_h as f64 * 0.45, n_w as f64 * 0.6]);
    for place in 0..geometry.n_voxels() {
        let index = [place / (n_h * n_w), place / n_w % n_h, place % n_w].map(|i| i as f64);
        let p = geometry.point_mm(index);
        let near = |dx: f64, dy: f64, r: f64| {
            let d = [p[0] - middle[0] - dx, p[1] - middle[1] - dy, p[2] - middle[2]];
            d.iter().map(|v| v * v).sum::<f64>() < r * r
        };
        if near(0.0, 0.0, 13.0) || near(10.0, 8.0, 9.0) || near(-20.0, 0.0, 4.0) {
            image.voxels_mut()[place] = 65.0;
            labels.voxels_mut()[place] = 1;
        }
    }
    let lesion = (0..geometry.n_voxels()).filter(|place| labels.voxels()[*place] == 1).collect();
    (image, labels, lesion)
}

fn drawn(policy: &Policy, geometry: &Geometry, lesion: &[usize], n: usize) -> Drawn {
    policy.draw_around(&DrawKey::new(3, "test.lesion").repeat(n), geometry, lesion)
}

#[test]
fn a_thousand_draws_keep_their_bounds() {
    let geometry = grid([14, 60, 64]);
    let (image, labels, lesion) = clot(geometry);
    let policy = policy(0.0);
    let before_ml = labels.volume_ml(&[1]);
    let blurred = image.blur_mm([3.0, 2.0, 2.0]);
    let blood_ml = |image: &Image| -> f64 {
        image.voxels().iter().map(|hu| f64::from(hu - 30.0)).sum::<f64>()
    };
    let (mut grown, mut shrunk, mut n_weakened) = (0, 0, 0);
    for n in 0..1000 {
        let drawn = drawn(&policy, &geometry, &lesion, n);
        let of_lesion = drawn.lesion.as_ref().unwrap();
        assert!((of_lesion.volume_factor - 1.0).abs() <= VOLUME_CHANGE + 1e-6, "{of_lesion:?}");
        n_weakened += usize::from(of_lesion.strength < 1.0);
        assert_eq!(drawn.volume_factor(), of_lesion.volume_factor);
        if n % 10 > 0 {
            continue;
        }
        // No fold: volumes change by a factor above 0 everywhere, also in the tissue pushed aside.
        for place in (0..geometry.n_voxels()).step_by(97) {
            let index = [place / (60 * 64), place / 64 % 60, place % 64];
            let point = std::array::from_fn(|a| {
                (index[a] as f64 - (geometry.shape()[a] - 1) as f64 / 2.0)
                    * geometry.spacing_mm()[a]
            });
            let (_, factor) = of_lesion.flow.forward(point);
            assert!((0.4..2.5).contains(&factor), "{factor} at {point:?} of {drawn:?}");
        }
        let (moved, labels) = drawn.apply(&image, &labels, [-100.0, 200.0]).unwrap();
        assert!(labels.voxels().iter().all(|label| *label <= 1), "no new label");
        // A mask of coarse voxels hardly moves with less than half of one; the blurred clot tells.
        let (soft, _) = drawn.apply(&blurred, &labels, [-100.0, 200.0]).unwrap();
        let factor = blood_ml(&soft) / blood_ml(&blurred);
        assert!((factor / of_lesion.volume_factor - 1.0).abs() < 0.03, "{factor} {of_lesion:?}");
        let of_mask = labels.volume_ml(&[1]) / before_ml;
        assert!((of_mask - 1.0).abs() < VOLUME_CHANGE + 0.03, "{of_mask} {of_lesion:?}");
        grown += usize::from(factor > 1.02);
        shrunk += usize::from(factor < 0.98);
        let parts = labels.components(&[1], Connectivity::TwentySix).n_components();
        assert!((1..=2).contains(&parts), "the clot stays in its parts, {parts}");
        // Image and label go together: blood is bright.
        let pairs = moved.voxels().iter().zip(labels.voxels());
        let n_astray = pairs.filter(|(hu, label)| (**hu > 47.5) != (**label == 1)).count();
        assert!(n_astray * 12 < lesion.len(), "{n_astray} of {}", lesion.len());
    }
    assert!(grown > 20 && shrunk > 20, "{grown} grown, {shrunk} shrunk of 100");
    assert!((50..900).contains(&n_weakened), "{n_weakened}");
}

#[test]
fn far_from_the_lesion_nothing_moves() {
    let geometry = grid([14, 60, 64]);
    let (_, labels, lesion) = clot(geometry);
    let mut ramp = Image::filled(geometry, 0.0);
    for (place, hu) in ramp.voxels_mut().iter_mut().enumerate() {
        *hu = (place * 31 % 97) as f32;
    }
    let drawn = drawn(&policy(0.0), &geometry, &lesion, 5);
    let (moved, _) = drawn.apply(&ramp, &labels, [-100.0, 200.0]).unwrap();
    assert_eq!(moved.slice(13)[..64 * 4], ramp.slice(13)[..64 * 4]);
    let n_moved = moved.voxels().iter().zip(ramp.voxels()).filter(|(a, b)| a != b).count();
    assert!(n_moved > 5000, "{n_moved}");
}

#[test]
fn a_draw_is_the_same_with_and_without_a_lesion_and_on_any_threads() {
    let geometry = grid([14, 60, 64]);
    let (image, labels, lesion) = clot(geometry);
    let policy = policy(1.0);
    let with = drawn(&policy, &geometry, &lesion, 1);
    let without = drawn(&policy, &geometry, &[], 1);
    assert_eq!(Drawn { lesion: None, ..with.clone() }, without);
    let on = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| with.apply(&image, &labels, [-100.0, 200.0]).unwrap())
    };
    assert_eq!(on(1), on(2));
    // In one pass or each alone.
    let (moved, mask) = on(2);
    assert_eq!(with.apply_to_image(&image, [-100.0, 200.0]).unwrap(), moved);
    assert_eq!(with.apply_to_labels(&labels).unwrap(), mask);
}

#[test]
fn a_slice_deforms_within_its_plane() {
    let geometry = grid([1, 60, 64]);
    let (image, labels, lesion) = clot(geometry);
    let before = lesion.len() as f64;
    for n in 0..50 {
        let drawn = drawn(&policy(0.0), &geometry, &lesion, n);
        let factor = drawn.lesion.as_ref().unwrap().volume_factor;
        assert!((factor - 1.0).abs() <= VOLUME_CHANGE + 1e-6);
        let (_, moved) = drawn.apply(&image, &labels, [-100.0, 200.0]).unwrap();
        assert!((moved.count(&[1]) as f64 / before / factor - 1.0).abs() < 0.06, "{n}");
    }
}
