//! Speed of the paths every case and every training slice goes through.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hemex_volume::{
    Affine, ConvolutionKernel, Deformation, DisplacementField, Geometry, Image, LabelMap,
    correlated_noise, distance_mm,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Geometry {
    let affine = Affine::from_spacing(spacing, [0.0; 3]);
    affine.and_then(|a| Geometry::new(shape, a)).expect("a valid grid")
}

fn textured(geometry: Geometry) -> Image {
    let voxels = (0..geometry.n_voxels()).map(|i| (i * 7919 % 997) as f32 * 0.1).collect();
    Image::new(geometry, voxels).expect("as many voxels as the grid has")
}

fn deformation() -> Deformation {
    let u = (0..3 * 7 * 7).map(|i| [0.5, f64::from(i).sin() * 4.0, f64::from(i).cos() * 4.0]);
    let elastic = DisplacementField::new([3, 7, 7], u.collect()).expect("a full lattice");
    Deformation {
        linear: [[1.0, 0.0, 0.0], [0.0, 0.98, 0.17], [0.0, -0.17, 0.98]],
        translation_mm: [0.0, 3.0, -2.0],
        elastic: Some(elastic),
        flow: None,
    }
}

fn resample(c: &mut Criterion) {
    let head = textured(grid([32, 512, 512], [5.0, 0.45, 0.45]));
    let coarse = head.geometry().with_spacing([5.0, 1.0, 1.0]).expect("a valid spacing");
    c.bench_function("resample 512x512x32 to 230x230x32", |b| {
        b.iter(|| black_box(&head).resample(&coarse, -1000.0));
    });
    let (cos, sin) = (0.2f64.cos(), 0.2f64.sin());
    let tilted = [[1.0, 0.0, 0.0, 0.0], [0.0, cos, -5.0 * sin, 20.0], [0.0, sin, 5.0 * cos, 0.0]];
    let tilted = Affine::new(tilted).and_then(|a| Geometry::new([32, 230, 230], a));
    let tilted = tilted.expect("a valid grid");
    c.bench_function("resample 512x512x32 to oblique 230x230x32", |b| {
        b.iter(|| black_box(&head).resample(&tilted, -1000.0));
    });
}

fn warp(c: &mut Criterion) {
    for (name, shape) in [("192x192x32", [32, 192, 192]), ("one slice of 112x96", [1, 112, 96])] {
        let image = textured(grid(shape, [5.0, 1.0, 1.0]));
        let labels = LabelMap::empty(*image.geometry());
        let deformation = deformation();
        c.bench_function(&format!("warp {name} with labels"), |b| {
            b.iter(|| (image.warp(&deformation, 0.0), labels.warp(&deformation)));
        });
        let elastic = deformation.elastic.as_ref().expect("set above");
        c.bench_function(&format!("extremes of a field over {name}"), |b| {
            b.iter(|| elastic.extremes(black_box(image.geometry())));
        });
    }
}

fn distance(c: &mut Criterion) {
    let geometry = grid([32, 192, 192], [5.0, 1.0, 1.0]);
    let mask: Vec<bool> = (0..geometry.n_voxels()).map(|i| i % 4001 == 0).collect();
    c.bench_function("distance 192x192x32", |b| {
        b.iter(|| distance_mm(black_box(&mask), &geometry));
    });
}

fn noise(c: &mut Criterion) {
    let geometry = grid([32, 192, 192], [5.0, 1.0, 1.0]);
    c.bench_function("noise 192x192x32", |b| {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        b.iter(|| correlated_noise(&geometry, 5.0, &ConvolutionKernel::STANDARD, &mut rng));
    });
}

criterion_group!(benches, resample, warp, distance, noise);
criterion_main!(benches);
