//! Golden figures of one draw and of what it makes of a made head; `cargo xtask regress -p augment`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use hemex_augment::{MIN_JACOBIAN, Policy, RawElastic, RawLesion, RawPolicy};
use hemex_stage::DrawKey;
use hemex_volume::{Affine, Geometry, Image, LabelMap};

/// Strong enough that the elastic part has to be weakened; the draw of [`main`] barely escapes a second
/// time, so that a stricter limit shows.
fn policy() -> Policy {
    let elastic = RawElastic {
        probability: 1.0,
        control_points: [3, 6, 6],
        max_displacement_mm: [3.0, 14.0, 14.0],
    };
    let raw = RawPolicy {
        flip_probability: 0.5,
        rotation_deg: [15.0, 3.0, 2.0],
        scale: 0.1,
        translation_mm: [3.0, 6.0, 6.0],
        elastic,
        lesion: RawLesion {
            probability: 1.0,
            volume_change: 0.1,
            stretch: 0.2,
            lobe: 0.3,
            reach_mm: 25.0,
        },
        noise_hu: 6.0,
        blur_mm: 1.5,
        gain: 0.1,
        offset_hu: 8.0,
        ..RawPolicy::NOTHING
    };
    Policy::try_from(raw).unwrap()
}

/// A disc of blood through four slices of a head of fine texture.
fn head() -> (Image, LabelMap) {
    let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap();
    let geometry = Geometry::new([10, 44, 40], affine).unwrap();
    let (mut voxels, mut labels) = (Vec::new(), Vec::new());
    for i in 0..geometry.n_voxels() {
        let [d, h, w] = [i / 1760, i / 40 % 44, i % 40];
        let lesion = (3..7).contains(&d) && h.abs_diff(20).pow(2) + w.abs_diff(16).pow(2) < 60;
        labels.push(u8::from(lesion));
        let texture = ((d * 31 + h * 17 + w * 7) % 23) as f32;
        voxels.push(if lesion { 65.0 } else { 20.0 } + texture);
    }
    (Image::new(geometry, voxels).unwrap(), LabelMap::new(geometry, labels).unwrap())
}

fn main() {
    let figure = |name: &str, value: f64| println!("{name} {value}");
    let (image, labels) = head();
    let key = DrawKey::new(5, "augment.regress").epoch(2).case("case-a").slice(3).repeat(29);
    let drawn = policy().draw(&key, image.geometry());
    figure("flip", f64::from(u8::from(drawn.flip)));
    figure("rotation_d_deg", drawn.rotation_deg[0]);
    figure("magnification", drawn.magnification);
    figure("volume_factor", drawn.volume_factor());
    figure("translation_h_mm", drawn.translation_mm[1]);
    figure("blur_mm", drawn.blur_mm);
    figure("gain", drawn.gain);
    figure("offset_hu", drawn.offset_hu);
    figure("noise_hu", drawn.noise_hu);
    let elastic = drawn.elastic.as_ref().unwrap();
    figure("min_jacobian_allowed", MIN_JACOBIAN);
    figure("elastic_strength", elastic.strength);
    figure("elastic_min_jacobian", elastic.extremes.min_jacobian);

    // Weights from 0 to 2 that differ from voxel to voxel show a shift, too.
    let weighted_mean = |image: &Image| {
        let terms = image.voxels().iter().enumerate();
        let sum: f64 = terms.map(|(i, v)| (i * 7919 % 101) as f64 / 50.0 * f64::from(*v)).sum();
        sum / image.voxels().len() as f64
    };
    let (augmented, moved) = drawn.apply(&image, &labels, [-50.0, 90.0]).unwrap();
    figure("augmented_hu", weighted_mean(&augmented));
    figure("augmented_lesion_ml", moved.volume_ml(&[1]));

    let places = (0..labels.voxels().len()).filter(|place| labels.voxels()[*place] > 0);
    let drawn = policy().draw_around(&key, image.geometry(), &places.collect::<Vec<_>>());
    let lesion = drawn.lesion.as_ref().unwrap();
    figure("lesion_strength", lesion.strength);
    figure("lesion_volume_factor", lesion.volume_factor);
    let (augmented, _) = drawn.apply(&image, &labels, [-50.0, 90.0]).unwrap();
    figure("lesion_hu", weighted_mean(&augmented));
}
