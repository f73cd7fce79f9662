//! Draws keep to their limits, and image and labels move together.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use hemex_augment::{AugmentError, Drawn, MIN_JACOBIAN, Policy, RawElastic, RawPolicy};
use hemex_stage::DrawKey;
use hemex_volume::{Affine, Geometry, Image, LabelMap};
use proptest::prelude::*;

const WINDOW_HU: [f32; 2] = [-100.0, 200.0];

fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Geometry {
    Geometry::new(shape, Affine::from_spacing(spacing, [-90.0, -110.0, 12.0]).unwrap()).unwrap()
}

fn raw() -> RawPolicy {
    RawPolicy {
        flip_probability: 0.5,
        rotation_deg: [20.0, 4.0, 4.0],
        scale: 0.15,
        translation_mm: [4.0, 6.0, 6.0],
        elastic: RawElastic {
            probability: 0.8,
            control_points: [3, 5, 5],
            max_displacement_mm: [2.0, 6.0, 6.0],
        },
        lesion: RawPolicy::NOTHING.lesion,
        noise_hu: 3.0,
        blur_mm: 1.0,
        gain: 0.1,
        offset_hu: 5.0,
        ..RawPolicy::NOTHING
    }
}

fn policy(raw: RawPolicy) -> Policy {
    Policy::try_from(raw).unwrap()
}

/// A brain of 30 HU with a bright bleed left of the middle, and the bleed's mask.
fn bleed(geometry: Geometry) -> (Image, LabelMap) {
    let [n_d, n_h, n_w] = geometry.shape();
    let spacing = geometry.spacing_mm();
    let mut image = Image::filled(geometry, 30.0);
    let mut labels = LabelMap::empty(geometry);
    for i in 0..geometry.n_voxels() {
        let at = [i / (n_h * n_w), i / n_w % n_h, i % n_w];
        let centre = [n_d as f64 / 2.0, n_h as f64 * 0.55, n_w as f64 * 0.4];
        let r2: f64 = (0..3).map(|a| ((at[a] as f64 - centre[a]) * spacing[a]).powi(2)).sum();
        if r2 < 22.0f64.powi(2) {
            image.voxels_mut()[i] = 70.0;
            labels.voxels_mut()[i] = 1;
        }
    }
    (image, labels)
}

fn key(repeat: usize) -> DrawKey {
    DrawKey::new(11, "test.draw").case("case-1").slice(3).repeat(repeat)
}

#[test]
fn the_same_key_gives_the_same_bits_and_another_key_others() {
    let (image, labels) = bleed(grid([12, 60, 50], [5.0, 2.0, 2.0]));
    let policy = policy(raw());
    let run = |repeat| {
        let drawn = policy.draw(&key(repeat), image.geometry());
        let out = drawn.apply(&image, &labels, WINDOW_HU).unwrap();
        (drawn, out)
    };
    let (first, again, other) = (run(0), run(0), run(1));
    assert_eq!(first, again);
    assert_ne!(first.0, other.0);
    assert_ne!(first.1.0, other.1.0);
    assert_ne!(first.1.1, other.1.1);
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one_thread.install(|| run(0)), first);
}

#[test]
fn a_policy_without_limits_and_the_identity_change_nothing() {
    // An elastic part of no strength is drawn, and is none.
    let elastic = RawElastic { probability: 1.0, ..RawPolicy::NOTHING.elastic };
    let nothing = RawPolicy { elastic, ..RawPolicy::NOTHING };
    for shape in [[12, 60, 50], [1, 60, 50]] {
        let (image, labels) = bleed(grid(shape, [5.0, 2.0, 2.0]));
        let still = policy(nothing.clone()).draw(&key(0), image.geometry());
        for drawn in [still, Drawn::identity(image.geometry())] {
            let out = drawn.apply(&image, &labels, WINDOW_HU).unwrap();
            assert_eq!(out, (image.clone(), labels.clone()));
            assert_eq!(drawn.volume_factor(), 1.0);
        }
    }
}

#[test]
fn a_bright_bleed_and_its_mask_deform_together() {
    for shape in [[14, 70, 60], [1, 70, 60]] {
        let (image, labels) = bleed(grid(shape, [5.0, 2.0, 2.0]));
        let values_alone_stay =
            RawPolicy { noise_hu: 0.0, blur_mm: 0.0, gain: 0.0, offset_hu: 0.0, ..raw() };
        let policy = policy(values_alone_stay);
        for repeat in 0..12 {
            let drawn = policy.draw(&key(repeat), image.geometry());
            let (image, moved) = drawn.apply(&image, &labels, WINDOW_HU).unwrap();
            let bright = image.voxels().iter().map(|v| *v > 50.0);
            let (mut both, mut sum) = (0, 0);
            for (bright, label) in bright.zip(moved.voxels()) {
                both += usize::from(bright && *label == 1);
                sum += usize::from(bright) + usize::from(*label == 1);
            }
            let dice = 2.0 * both as f64 / sum as f64;
            assert!(dice > 0.95, "{shape:?} {dice}: {drawn:?}");
            assert_ne!(moved, labels);
        }
    }
}

#[test]
fn content_turns_and_moves_as_the_record_says() {
    let geometry = grid([1, 21, 21], [5.0, 2.0, 2.0]);
    let mut labels = LabelMap::empty(geometry);
    // 6 voxels toward the front of the centre.
    labels.voxels_mut()[geometry.offset([0, 16, 10])] = 1;
    let found = |drawn: Drawn| {
        let out = drawn.apply_to_labels(&labels).unwrap();
        let place = out.voxels().iter().position(|v| *v == 1).unwrap();
        [place / 21, place % 21]
    };
    let still = Drawn::identity(&geometry);
    let quarter = Drawn { rotation_deg: [90.0, 0.0, 0.0], ..still.clone() };
    assert_eq!(found(quarter), [10, 16], "H turns toward W");
    let shifted = Drawn { translation_mm: [0.0, -4.0, 6.0], ..still.clone() };
    assert_eq!(found(shifted.clone()), [14, 13]);
    let flipped = Drawn { flip: true, ..shifted };
    assert_eq!(found(flipped), [14, 13], "mirrored first, on the midline, then shifted");
    let turned_then_shifted =
        Drawn { rotation_deg: [90.0, 0.0, 0.0], translation_mm: [0.0, 2.0, 0.0], ..still.clone() };
    assert_eq!(found(turned_then_shifted), [11, 16]);
    let mirrored_then_turned = Drawn { flip: true, rotation_deg: [90.0, 0.0, 0.0], ..still };
    assert_eq!(found(mirrored_then_turned), [10, 16]);
}

#[test]
fn magnification_changes_the_volume_by_the_stated_factor() {
    for shape in [[24, 70, 60], [1, 70, 60]] {
        let (_, labels) = bleed(grid(shape, [3.0, 1.5, 1.5]));
        for magnification in [0.85, 1.12] {
            let drawn = Drawn { magnification, ..Drawn::identity(labels.geometry()) };
            let power = if shape[0] > 1 { 3 } else { 2 };
            assert!((drawn.volume_factor() / magnification.powi(power) - 1.0).abs() < 1e-12);
            let moved = drawn.apply_to_labels(&labels).unwrap();
            let factor = moved.volume_ml(&[1]) / labels.volume_ml(&[1]);
            assert!((factor / drawn.volume_factor() - 1.0).abs() < 0.04, "{factor}");
        }
    }
}

#[test]
fn a_draw_for_another_grid_or_torn_inputs_are_refused() {
    let (image, labels) = bleed(grid([12, 60, 50], [5.0, 2.0, 2.0]));
    let drawn = policy(raw()).draw(&key(0), image.geometry());
    let (other, _) = bleed(grid([12, 60, 50], [5.0, 1.0, 1.0]));
    let error = drawn.apply_to_image(&other, WINDOW_HU).unwrap_err();
    assert!(matches!(error, AugmentError::OtherGrid { .. }));
    let shifted = LabelMap::empty(image.geometry().window([0, 1, 0], [12, 60, 50]).unwrap());
    let error = drawn.apply(&image, &shifted, WINDOW_HU).unwrap_err();
    assert!(matches!(error, AugmentError::GridMismatch { .. }));
    assert!(drawn.apply(&image, &labels, WINDOW_HU).is_ok());
}

/// Fields strong enough to fold are weakened, and say so.
#[test]
fn folding_draws_are_weakened() {
    let mut strong = raw();
    strong.elastic = RawElastic {
        probability: 1.0,
        control_points: [4, 9, 9],
        max_displacement_mm: [20.0, 40.0, 40.0],
    };
    let policy = policy(strong);
    for shape in [[12, 60, 50], [1, 60, 50]] {
        let geometry = grid(shape, [5.0, 2.0, 2.0]);
        for repeat in 0..5 {
            let elastic = policy.draw(&key(repeat), &geometry).elastic.unwrap();
            assert!(elastic.strength < 1.0);
            assert!(elastic.extremes.min_jacobian >= MIN_JACOBIAN);
            assert_eq!(elastic.extremes, elastic.field.extremes(&geometry));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn limits_are_kept(
        seed in any::<u64>(),
        rotation in prop::array::uniform3(0.0f64..180.0),
        scale in 0.0f64..0.5,
        translation in prop::array::uniform3(0.0f64..50.0),
        displacement in prop::array::uniform3(0.0f64..10.0),
        slices in 1usize..5,
        values in prop::array::uniform4(0.0f64..0.9),
    ) {
        let mut raw = raw();
        (raw.rotation_deg, raw.scale, raw.translation_mm) = (rotation, scale, translation);
        raw.elastic.max_displacement_mm = displacement;
        [raw.noise_hu, raw.blur_mm, raw.gain, raw.offset_hu] = values;
        let geometry = grid([slices, 20, 24], [5.0, 2.0, 2.0]);
        let policy = policy(raw);
        let drawn = policy.draw(&DrawKey::new(seed, "test.limits"), &geometry);
        for a in 0..3 {
            prop_assert!(drawn.rotation_deg[a].abs() <= rotation[a]);
            prop_assert!(drawn.translation_mm[a].abs() <= translation[a]);
        }
        if slices == 1 {
            prop_assert_eq!(drawn.rotation_deg[1..].to_vec(), vec![0.0, 0.0]);
            prop_assert_eq!(drawn.translation_mm[0], 0.0);
        }
        prop_assert!((drawn.magnification - 1.0).abs() <= scale + 1e-12);
        let [least, most] = policy.volume_factor_range();
        prop_assert!((least - 1e-9..=most + 1e-9).contains(&drawn.volume_factor()));
        prop_assert!((0.0..=values[0]).contains(&drawn.noise_hu));
        prop_assert!((0.0..=values[1]).contains(&drawn.blur_mm));
        prop_assert!((drawn.gain - 1.0).abs() <= values[2] + 1e-12);
        prop_assert!(drawn.offset_hu.abs() <= values[3]);
        if let Some(elastic) = &drawn.elastic {
            prop_assert!(elastic.extremes.min_jacobian >= MIN_JACOBIAN);
            for u in elastic.field.displacements_mm() {
                for a in 0..3 {
                    prop_assert!(u[a].abs() <= displacement[a]);
                }
            }
        }
        let (image, _) = bleed(geometry);
        let out = drawn.apply_to_image(&image, [20.0, 65.0]).unwrap();
        prop_assert!(out.voxels().iter().all(|v| (20.0..=65.0).contains(v)));
    }
}
