//! A baseline and a follow-up deform together, and what grew has grown still.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use hemex_augment::{DrawnPair, GrowthRule, Policy, RawElastic, RawLesion, RawPolicy};
use hemex_stage::DrawKey;
use hemex_volume::{Affine, Geometry, Image, LabelMap};

const RULE: GrowthRule = GrowthRule { relative: 0.33, absolute_ml: 6.0 };
const WINDOW_HU: [f32; 2] = [0.0, 200.0];
const VOLUME_CHANGE: f64 = 0.2;
const N_PAIRS: usize = 400;

fn policy() -> Policy {
    Policy::try_from(RawPolicy {
        flip_probability: 0.5,
        rotation_deg: [15.0, 3.0, 3.0],
        scale: 0.08,
        translation_mm: [2.0, 5.0, 5.0],
        elastic: RawElastic {
            probability: 0.6,
            control_points: [3, 6, 6],
            max_displacement_mm: [1.5, 5.0, 5.0],
        },
        lesion: RawLesion {
            probability: 0.9,
            volume_change: VOLUME_CHANGE,
            stretch: 0.2,
            lobe: 0.3,
            reach_mm: 25.0,
        },
        ..RawPolicy::NOTHING
    })
    .unwrap()
}

fn grid() -> Geometry {
    let affine = Affine::from_spacing([3.0, 1.5, 1.5], [-60.0, -60.0, 0.0]).unwrap();
    Geometry::new([30, 60, 60], affine).unwrap()
}

/// A ball with a bulge, about `volume_ml` large.
fn ball(geometry: &Geometry, volume_ml: f64, toward: [f64; 3]) -> Vec<usize> {
    let radius_mm = (volume_ml * 1000.0 * 0.75 / std::f64::consts::PI).cbrt();
    let [_, n_h, n_w] = geometry.shape();
    let centre = [14.0, 32.0, 27.0];
    let places = 0..geometry.n_voxels();
    places
        .filter(|place| {
            let index = [place / (n_h * n_w), place / n_w % n_h, place % n_w];
            let mm: [f64; 3] =
                std::array::from_fn(|a| (index[a] as f64 - centre[a]) * geometry.spacing_mm()[a]);
            let r = mm.iter().map(|v| v * v).sum::<f64>().sqrt();
            let cosine = (0..3).map(|a| mm[a] * toward[a]).sum::<f64>() / r.max(1e-9);
            r < radius_mm * (1.0 + 0.12 * cosine)
        })
        .collect()
}

/// Random volumes; every other pair lies near a limit of the rule.
fn volumes_ml(n: usize) -> [f64; 2] {
    let u = |k: usize| ((n * 7919 + k * 104_729) % 1000) as f64 / 1000.0;
    let before = 3.0 + 40.0 * u(1) * u(1);
    let limit = (0.33 * before).min(6.0);
    let gained =
        if n.is_multiple_of(2) { limit * (0.9 + 0.2 * u(2)) } else { limit * (3.0 * u(3) - 0.5) };
    [before, (before + gained).max(0.5)]
}

fn smooth(geometry: Geometry, places: &[usize]) -> Image {
    let mut image = Image::filled(geometry, 0.0);
    places.iter().for_each(|place| image.voxels_mut()[*place] = 100.0);
    image.blur_mm([3.0, 1.5, 1.5])
}

fn blood_ml(image: &Image) -> f64 {
    image.voxels().iter().map(|v| f64::from(*v) / 100.0).sum::<f64>() * image.geometry().voxel_ml()
}

fn draw(policy: &Policy, n: usize, masks: [&[usize]; 2]) -> DrawnPair {
    policy.draw_pair(&DrawKey::new(6, "test.pair").repeat(n), &grid(), masks, &RULE)
}

#[test]
fn what_grew_has_grown_and_what_was_stable_is_stable() {
    let (policy, geometry) = (policy(), grid());
    let [mut n_grown, mut n_near, mut n_weakened, mut n_without, mut n_flows] = [0; 5];
    for n in 0..N_PAIRS {
        let [before, after] = volumes_ml(n).map(|ml| ball(&geometry, ml, [0.0, 0.6, 0.8]));
        let own_ml = [&before, &after].map(|mask| mask.len() as f64 * geometry.voxel_ml());
        let pair = draw(&policy, n, [&before, &after]);
        assert_eq!(pair.grew, RULE.grew(own_ml));
        assert_eq!(RULE.grew(pair.volumes_ml), pair.grew, "{n}: {own_ml:?} {pair:?}");
        let lesion = pair.drawn.lesion.as_ref();
        n_flows += usize::from(lesion.is_some());
        n_weakened += usize::from(lesion.is_some_and(|lesion| lesion.strength < 1.0));
        n_without += usize::from(lesion.is_none());
        let own = RULE.index(own_ml).unwrap();
        n_near += usize::from((own - 1.0).abs() < 0.1);
        n_grown += usize::from(own > 1.0);
        // The flow of each mask by itself keeps to its bound.
        if let Some(lesion) = lesion {
            assert!((lesion.volume_factor - 1.0).abs() <= VOLUME_CHANGE + 0.02, "{n}");
        }
        if n % 5 > 0 {
            continue;
        }
        // Measured on smooth densities.
        let measured = [&before, &after].map(|mask| {
            let image = smooth(geometry, mask);
            let moved = pair.drawn.apply_to_image(&image, WINDOW_HU).unwrap();
            blood_ml(&moved) / blood_ml(&image)
        });
        for k in 0..2 {
            let predicted = pair.volumes_ml[k] / own_ml[k];
            assert!((measured[k] / predicted - 1.0).abs() < 0.03, "{n}: {measured:?} {pair:?}");
        }
        let measured_ml = [own_ml[0] * measured[0], own_ml[1] * measured[1]];
        let index = RULE.index(pair.volumes_ml).unwrap();
        // Where it lies a tenth from the limit, in the measured volumes too.
        if (index - 1.0).abs() > 0.1 {
            assert_eq!(RULE.grew(measured_ml), pair.grew, "{n}: {measured_ml:?} {pair:?}");
        }
    }
    assert!((N_PAIRS / 4..3 * N_PAIRS / 4).contains(&n_grown), "{n_grown}");
    assert!(n_near > N_PAIRS / 3 && n_weakened > N_PAIRS / 20, "{n_near} {n_weakened}");
    assert!(n_flows > N_PAIRS / 2 && n_without > 0, "{n_flows} {n_without}");
}

#[test]
fn masks_of_whole_voxels_keep_the_outcome() {
    let (policy, geometry) = (policy(), grid());
    let mut n_clear = 0;
    for n in 0..60 {
        let masks = volumes_ml(n).map(|ml| ball(&geometry, ml, [0.0, 0.6, 0.8]));
        let pair = draw(&policy, n, [&masks[0], &masks[1]]);
        let moved = masks.each_ref().map(|places| {
            let mut labels = LabelMap::empty(geometry);
            places.iter().for_each(|place| labels.voxels_mut()[*place] = 1);
            pair.drawn.apply_to_labels(&labels).unwrap().volume_ml(&[1])
        });
        let index = RULE.index(pair.volumes_ml).unwrap();
        if (index - 1.0).abs() > 0.25 {
            n_clear += 1;
            assert_eq!(RULE.grew(moved), pair.grew, "{n}: {moved:?} {pair:?}");
        }
    }
    assert!(n_clear > 15, "{n_clear}");
}

#[test]
fn without_an_outcome_to_keep_a_pair_is_drawn_as_any_image() {
    let (policy, geometry) = (policy(), grid());
    let after = ball(&geometry, 10.0, [0.0, 0.0, 1.0]);
    let key = DrawKey::new(6, "test.pair").repeat(1);
    let pair = policy.draw_pair(&key, &geometry, [&[], &after], &RULE);
    assert_eq!(pair.grew, None);
    assert_eq!(pair.drawn, policy.draw_around(&key, &geometry, &after));
    let none = policy.draw_pair(&key, &geometry, [&[], &[]], &RULE);
    assert_eq!(none.drawn, policy.draw(&key, &geometry));
    assert_eq!(none.volumes_ml, [0.0, 0.0]);
}
