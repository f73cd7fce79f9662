//! Times the reference workload w4 and prints one line of JSON: one elastic deformation of an image (linear)
//! and its label map (nearest), 192 × 192 × 32 voxels of 1 × 1 × 5 mm, 7 control points an axis, displacements
//! up to 7.5 mm, drawing included. `cargo xtask bench w4` calls it.
#![expect(clippy::unwrap_used, reason = "a failed measurement may panic")]

use std::time::Instant;

use hemex_augment::{Policy, RawElastic, RawPolicy};
use hemex_stage::DrawKey;
use hemex_volume::{Affine, Geometry, Image, LabelMap};
use rand::RngExt;

const RUNS: usize = 25;

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().unwrap();
    let policy = Policy::try_from(RawPolicy {
        elastic: RawElastic {
            probability: 1.0,
            control_points: [7; 3],
            max_displacement_mm: [7.5; 3],
        },
        ..RawPolicy::NOTHING
    })
    .unwrap();
    let affine = Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3]).unwrap();
    let geometry = Geometry::new([32, 192, 192], affine).unwrap();
    let mut rng = DrawKey::new(0, "augment.bench").rng();
    let hu = (0..geometry.n_voxels()).map(|_| rng.random_range(0.0..100.0)).collect();
    let labels = (0..geometry.n_voxels()).map(|_| u8::from(rng.random_bool(0.05))).collect();
    let image = Image::new(geometry, hu).unwrap();
    let labels = LabelMap::new(geometry, labels).unwrap();
    let step = |run: usize| {
        let drawn = policy.draw(&DrawKey::new(1, "augment.bench").repeat(run), &geometry);
        assert!(drawn.elastic.is_some());
        drawn.apply(&image, &labels, [0.0, 100.0]).unwrap()
    };
    step(0);
    let mut times: Vec<f64> = (1..=RUNS)
        .map(|run| {
            let begin = Instant::now();
            std::hint::black_box(step(run));
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(r#"{{"workload": "w4", "peer": "hemex", "ms": {:.2}}}"#, times[RUNS / 2]);
}
