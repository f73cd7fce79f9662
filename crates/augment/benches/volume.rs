//! Speed of every transform on a volume of 192 × 192 × 32 voxels of 1 × 1 × 5 mm, each alone, and of five
//! spatial ones composed and resampled once.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hemex_augment::{
    CaseView, Config, Donor, Drawn, DrawnScanner, DrawnStreaks, GrowthRule, Policy, RawConfig,
    RawLesion, RawPolicy, RawTransplant, TransplantDraw, TransplantPolicy,
};
use hemex_stage::DrawKey;
use hemex_volume::{Affine, ConvolutionKernel, Geometry, Image, LabelMap};

const WINDOW_HU: [f32; 2] = [-100.0, 200.0];

/// A brain of 30 HU in air with a bleed of `radius_mm`.
struct Head {
    image: Image,
    labels: LabelMap,
    brain: LabelMap,
}

impl Head {
    fn new(centre_mm: [f64; 3], radius_mm: f64) -> Self {
        let affine = Affine::from_spacing([5.0, 1.0, 1.0], [-96.0, -96.0, 0.0]).expect("a spacing");
        let geometry = Geometry::new([32, 192, 192], affine).expect("a valid grid");
        let mut image = Image::filled(geometry, -100.0);
        let (mut labels, mut brain) = (LabelMap::empty(geometry), LabelMap::empty(geometry));
        for i in 0..geometry.n_voxels() {
            let at = [i / (192 * 192), i / 192 % 192, i % 192].map(|v| v as f64);
            let p = geometry.point_mm(at);
            let within = |c: [f64; 3], r: [f64; 3]| {
                (0..3).map(|a| ((p[a] - c[a]) / r[a]).powi(2)).sum::<f64>() < 1.0
            };
            let bleed = within(centre_mm, [radius_mm; 3]);
            if within([0.0, 0.0, 80.0], [70.0, 85.0, 70.0]) {
                let texture = (i * 7919 % 11) as f32 - 5.0;
                image.voxels_mut()[i] = texture + if bleed { 65.0 } else { 30.0 };
                brain.voxels_mut()[i] = 1;
                labels.voxels_mut()[i] = u8::from(bleed);
            }
        }
        Self { image, labels, brain }
    }

    fn view<'a>(&'a self, name: &'a str) -> CaseView<'a> {
        let Self { image, labels, brain } = self;
        let volumes_ml = [Some(20.0), Some(25.0)];
        CaseView { case_id: name, patient_id: name, image, labels, brain, volumes_ml }
    }

    fn lesion(&self) -> Vec<usize> {
        (0..self.labels.voxels().len()).filter(|i| self.labels.voxels()[*i] > 0).collect()
    }
}

fn shipped() -> RawPolicy {
    let raw: RawConfig =
        toml::from_str(include_str!("../../../configs/augment.toml")).expect("the shipped config");
    raw.policy
}

/// The five spatial transforms one after the other and in one; the deformation of a lesion.
fn spatial(c: &mut Criterion) {
    let head = Head::new([30.0, 0.0, 80.0], 18.0);
    let still = Drawn::identity(head.image.geometry());
    let mut raw = RawPolicy { elastic: shipped().elastic, ..RawPolicy::NOTHING };
    raw.elastic.probability = 1.0;
    let policy = Policy::try_from(raw).expect("a valid policy");
    let elastic = policy.draw(&DrawKey::new(1, "bench.elastic"), head.image.geometry()).elastic;
    let (rotation_deg, translation_mm) = ([9.0, 1.5, -1.0], [1.5, 5.0, -6.0]);
    let raw = RawPolicy {
        lesion: RawLesion { probability: 1.0, ..shipped().lesion },
        ..RawPolicy::NOTHING
    };
    let of_lesion = Policy::try_from(raw).expect("a valid policy");
    let key = DrawKey::new(1, "bench.lesion");
    let flow = of_lesion.draw_around(&key, head.image.geometry(), &head.lesion());
    let alone = [
        ("flip", Drawn { flip: true, ..still.clone() }),
        ("rotation", Drawn { rotation_deg, ..still.clone() }),
        ("scale", Drawn { magnification: 1.04, ..still.clone() }),
        ("translation", Drawn { translation_mm, ..still.clone() }),
        ("elastic", Drawn { elastic: elastic.clone(), ..still.clone() }),
        (
            "chain of the five",
            Drawn {
                flip: true,
                rotation_deg,
                magnification: 1.04,
                translation_mm,
                elastic,
                ..still
            },
        ),
        ("lesion flow", flow),
    ];
    let mut group = c.benchmark_group("spatial");
    for (name, drawn) in alone {
        group.bench_function(name, |b| {
            b.iter(|| drawn.apply(black_box(&head.image), &head.labels, WINDOW_HU));
        });
    }
    group.finish();
}

/// What changes values alone.
fn values(c: &mut Criterion) {
    let head = Head::new([30.0, 0.0, 80.0], 18.0);
    let still = Drawn::identity(head.image.geometry());
    let scanner = |scanner: DrawnScanner| Drawn { scanner, ..still.clone() };
    let none = DrawnScanner::unchanged();
    let streaks = DrawnStreaks {
        centre_mm: [0.0, 10.0, -20.0],
        amplitude_hu: 20.0,
        width_mm: 2.0,
        reach_mm: 40.0,
        seed: 1,
    };
    let seen_through = Some(ConvolutionKernel::SMOOTH);
    let mut group = c.benchmark_group("values");
    for (name, drawn) in [
        ("gain and offset", Drawn { gain: 1.05, offset_hu: 3.0, ..still.clone() }),
        ("blur", Drawn { blur_mm: 0.8, ..still.clone() }),
        ("noise", Drawn { noise_hu: 4.0, ..still.clone() }),
        ("gamma", scanner(DrawnScanner { gamma: 1.05, ..none.clone() })),
        ("thick slices", scanner(DrawnScanner { slice_thickness_mm: Some(8.0), ..none.clone() })),
        ("coarse pixels", scanner(DrawnScanner { pixel_mm: Some(2.3), ..none.clone() })),
        ("kernel", scanner(DrawnScanner { seen_through, ..none.clone() })),
        ("streaks", scanner(DrawnScanner { streaks: Some(streaks), ..none.clone() })),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| drawn.apply_to_image(black_box(&head.image), WINDOW_HU));
        });
    }
    group.finish();
}

/// Drawing of all the shipped config holds, of a pair, and planting.
fn draws(c: &mut Criterion) {
    let head = Head::new([30.0, 0.0, 80.0], 18.0);
    let geometry = *head.image.geometry();
    let raw: RawConfig =
        toml::from_str(include_str!("../../../configs/augment.toml")).expect("the shipped config");
    let policy = Config::try_from(raw).expect("the shipped config").policy;
    let (lesion, grown) = (head.lesion(), Head::new([30.0, 0.0, 80.0], 20.0).lesion());
    let mut group = c.benchmark_group("draw");
    let key = |repeat| DrawKey::new(1, "bench.draw").repeat(repeat);
    let mut repeat = 0;
    group.bench_function("around a lesion", |b| {
        b.iter(|| {
            repeat += 1;
            policy.draw_around(&key(repeat), black_box(&geometry), &lesion)
        });
    });
    let rule = GrowthRule { relative: 0.33, absolute_ml: 6.0 };
    group.bench_function("a pair", |b| {
        b.iter(|| {
            repeat += 1;
            policy.draw_pair(&key(repeat), black_box(&geometry), [&lesion, &grown], &rule)
        });
    });
    group.finish();
}

fn transplant(c: &mut Criterion) {
    let (head, other) = (Head::new([30.0, 0.0, 80.0], 18.0), Head::new([-30.0, 20.0, 90.0], 14.0));
    let raw = RawTransplant { probability: 1.0, ..RawTransplant::NOTHING };
    let policy = TransplantPolicy::try_from(raw).expect("a valid policy");
    let donor = Donor::cut(&other.view("donor")).expect("one grid").expect("a lesion");
    let donors = [donor];
    let case = head.view("recipient");
    let open = policy.open_voxels(&case).expect("one grid");
    let key = DrawKey::new(1, "bench.transplant");
    let mut group = c.benchmark_group("transplant");
    group.bench_function("cut", |b| b.iter(|| Donor::cut(black_box(&other.view("donor")))));
    group.bench_function("find open voxels", |b| b.iter(|| policy.open_voxels(black_box(&case))));
    group.bench_function("draw", |b| {
        let mut repeat = 0;
        b.iter(|| {
            repeat += 1;
            policy.draw(&key.clone().repeat(repeat), black_box(&case), &open, &donors)
        });
    });
    if let TransplantDraw::Placed { drawn, donor } = policy.draw(&key, &case, &open, &donors) {
        group.bench_function("apply", |b| {
            b.iter(|| drawn.apply(donor, black_box(&case), WINDOW_HU))
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = spatial, values, draws, transplant
}
criterion_main!(benches);
