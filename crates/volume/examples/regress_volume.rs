//! Golden figures of the voxel operations on a made head; `cargo xtask regress -p volume`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use hemex_volume::{
    Affine, BrainDescriptors, Connectivity, ConvolutionKernel, Deformation, DisplacementField,
    Geometry, Image, LabelMap, LesionDescriptors, correlated_noise, dilate_mm, distance_mm,
    erode_mm, surface_area_mm2,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Mean with weights from 0 to 2 that differ from voxel to voxel, so that a shift shows.
fn weighted_mean(voxels: &[f32]) -> f64 {
    let weight = |i: usize| (i * 7919 % 101) as f64 / 50.0;
    let sum: f64 = voxels.iter().enumerate().map(|(i, v)| weight(i) * f64::from(*v)).sum();
    sum / voxels.len() as f64
}

/// A head of fine texture with a lesion in two parts, one touching the other by a corner.
fn head() -> (Image, LabelMap) {
    let affine = Affine::from_spacing([5.0, 1.3, 1.4], [-25.0, 3.0, 70.0]).unwrap();
    let geometry = Geometry::new([12, 40, 36], affine).unwrap();
    let [_, n_h, n_w] = geometry.shape();
    let (mut voxels, mut labels) = (Vec::new(), Vec::new());
    for i in 0..geometry.n_voxels() {
        let [d, h, w] = [i / (n_h * n_w), i / n_w % n_h, i % n_w];
        let first = (3..7).contains(&d) && h.abs_diff(16).pow(2) + w.abs_diff(15).pow(2) < 50;
        let second = d == 7 && (22..26).contains(&h) && (19..25).contains(&w);
        labels.push(u8::from(first) + 2 * u8::from(second));
        let texture = ((d * 31 + h * 17 + w * 7) % 23) as f32;
        voxels.push(25.0 + texture + if first || second { 40.0 } else { 0.0 });
    }
    (Image::new(geometry, voxels).unwrap(), LabelMap::new(geometry, labels).unwrap())
}

/// 1.8 mm, turned by 20° about `D`: 1.30 of the head's rows and 1.21 of its columns, on both sides of
/// the step beyond which an oblique image is averaged first.
fn oblique(geometry: &Geometry) -> Geometry {
    let (cos, sin) = (1.8 * 0.939_692_620_785_908_4, 1.8 * 0.342_020_143_325_668_7);
    let [x, y, z] = geometry.point_mm([1.0, 2.0, 8.0]);
    let rows = [[cos, -sin, 0.0, x], [sin, cos, 0.0, y], [0.0, 0.0, 4.0, z]];
    Geometry::new([10, 24, 20], Affine::new(rows).unwrap()).unwrap()
}

fn bending() -> Deformation {
    let control = |i: usize| [0.2, 0.9 * (i % 5) as f64 - 2.0, 0.7 * (i % 7) as f64 - 1.5];
    let field = DisplacementField::new([3, 5, 4], (0..60).map(control).collect()).unwrap();
    let linear = [[1.0, 0.0, 0.0], [0.0, 0.95, -0.2], [0.0, 0.2, 0.95]];
    Deformation { linear, translation_mm: [1.0, -2.0, 3.0], elastic: Some(field), flow: None }
}

fn main() {
    let (image, labels) = head();
    let geometry = *image.geometry();
    let figure = |name: &str, value: f64| println!("{name} {value}");
    let hu = |name: &str, image: &Image| println!("{name} {}", weighted_mean(image.voxels()));

    let canonical = geometry.with_spacing([4.0, 2.0, 1.0]).unwrap();
    hu("resampled_hu", &image.resample(&canonical, -100.0));
    hu("resampled_oblique_hu", &image.resample(&oblique(&geometry), -100.0));
    figure("resampled_oblique_lesion_ml", labels.resample(&oblique(&geometry)).volume_ml(&[1, 2]));

    let mask = labels.mask(&[1, 2]);
    let volume_ml =
        |mask: &[bool]| geometry.voxel_ml() * mask.iter().filter(|inside| **inside).count() as f64;
    figure("distance_mm", weighted_mean(&distance_mm(&mask, &geometry).unwrap()));
    figure("dilated_ml", volume_ml(&dilate_mm(&mask, &geometry, 5.2).unwrap()));
    figure("eroded_ml", volume_ml(&erode_mm(&mask, &geometry, 2.6).unwrap()));
    for (name, connectivity) in [("6", Connectivity::Six), ("26", Connectivity::TwentySix)] {
        let parts = labels.components(&[1, 2], connectivity);
        figure(&format!("largest_component_{name}_ml"), parts.volumes_ml()[0]);
    }

    figure("surface_mm2", surface_area_mm2(&mask, &geometry).unwrap());
    let lesion = LesionDescriptors::of(&labels, &[1, 2], &image).unwrap().unwrap();
    figure("abc2_ml", lesion.abc2_ml);
    figure("sphericity", lesion.sphericity);
    figure("lesion_sd_hu", lesion.sd_hu);
    figure("lesion_centroid_mm", lesion.centroid_mm.iter().sum());
    let brain = BrainDescriptors::of(&image, &labels).unwrap().unwrap();
    figure("percentiles_hu", brain.percentiles_hu.iter().sum());
    figure("hyperdense_ml", brain.hyperdense_ml);

    let deformation = bending();
    hu("warped_hu", &image.warp(&deformation, -100.0));
    figure("warped_lesion_ml", labels.warp(&deformation).volume_ml(&[1, 2]));
    let extremes = deformation.elastic.as_ref().unwrap().extremes(&geometry);
    figure("displacement_mm", extremes.max_displacement_mm);
    figure("min_jacobian", extremes.min_jacobian);

    hu("averaged_slices_hu", &image.average_slices(8.0, 10.0).unwrap());
    hu("blurred_hu", &image.blur_mm([3.0, 1.313, 1.736]));
    for (name, kernel) in [
        ("smooth", ConvolutionKernel::SMOOTH),
        ("standard", ConvolutionKernel::STANDARD),
        ("sharp", ConvolutionKernel::SHARP),
    ] {
        figure(&format!("noise_correlation_{name}"), kernel.noise_correlation(0.5, 2));
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let noise = correlated_noise(&geometry, 4.0, &kernel, rng);
        figure(&format!("noise_{name}_hu"), weighted_mean(&noise));
    }
}
