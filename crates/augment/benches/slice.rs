//! Speed of what training does for every slice: draw, move, change values.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hemex_augment::{Config, RawConfig};
use hemex_stage::DrawKey;
use hemex_volume::{Affine, Geometry, Image, LabelMap};

fn slice(c: &mut Criterion) {
    let raw: RawConfig =
        toml::from_str(include_str!("../../../configs/augment.toml")).expect("the shipped config");
    let policy = Config::try_from(raw).expect("the shipped config").policy;
    let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).expect("a valid spacing");
    let geometry = Geometry::new([1, 112, 96], affine).expect("a valid grid");
    let voxels = (0..geometry.n_voxels()).map(|i| (i * 7919 % 97) as f32).collect();
    let image = Image::new(geometry, voxels).expect("as many voxels as the grid has");
    let labels = LabelMap::empty(geometry);
    let key = DrawKey::new(1, "bench.slice");
    c.bench_function("draw for a slice of 112x96", |b| {
        let mut repeat = 0;
        b.iter(|| {
            repeat += 1;
            policy.draw(&key.clone().repeat(repeat), black_box(&geometry))
        });
    });
    let drawn = policy.draw(&key, &geometry);
    c.bench_function("apply to a slice of 112x96", |b| {
        b.iter(|| drawn.apply(black_box(&image), &labels, [-100.0, 200.0]));
    });
}

criterion_group!(benches, slice);
criterion_main!(benches);
