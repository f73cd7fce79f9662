//! Contact sheets of every transform, before and after, with outlines:
//!
//! `cargo run --release -p hemex-augment --example augment_gallery -- OUT IMAGE DSEG [DONOR_IMAGE DONOR_DSEG]`
//!
//! reads a CT and its lesion labels (NIfTI) and writes `spatial.png`, `values.png` and `pair.png` into the folder
//! OUT; with a second case also `transplant.png`.
#![expect(clippy::unwrap_used, reason = "a failed picture may panic")]

use std::path::Path;

use hemex_artifacts::nifti;
use hemex_artifacts::picture::{BRAIN_WINDOW_HU, Picture, middle_labelled_slice};
use hemex_augment::{
    CaseView, Config, Donor, Drawn, DrawnScanner, DrawnStreaks, GrowthRule, Policy, RawConfig,
    RawElastic, RawLesion, RawPolicy, RawTransplant, TransplantDraw, TransplantPolicy,
};
use hemex_stage::DrawKey;
use hemex_volume::{
    Connectivity, ConvolutionKernel, Geometry, Image, LabelMap, dilate_mm, erode_mm,
};

const SHIPPED: &str = include_str!("../../../configs/augment.toml");
const WINDOW_HU: [f32; 2] = [-100.0, 200.0];
const PIXEL_MM: f64 = 0.5;
const N_COLUMNS: usize = 4;

/// Slices, rows and columns of the grid that is shown, mm.
const SPACING_MM: [f64; 3] = [5.0, 1.0, 1.0];

/// A case on a prepared grid.
struct Case {
    image: Image,
    labels: LabelMap,
    brain: LabelMap,
}

impl Case {
    fn read(image: &str, labels: &str) -> Self {
        let image = nifti::read_image(Path::new(image)).unwrap().clip(WINDOW_HU[0], WINDOW_HU[1]);
        let labels = nifti::read_label_map(Path::new(labels)).unwrap();
        let target = image.geometry().to_ras().with_spacing(SPACING_MM).unwrap();
        let (image, labels) = (image.resample(&target, WINDOW_HU[0]), labels.resample(&target));
        let brain = brain(&image);
        Self { image, labels, brain }
    }

    fn geometry(&self) -> &Geometry {
        self.image.geometry()
    }

    fn lesion(&self) -> Vec<usize> {
        (0..self.labels.voxels().len()).filter(|i| self.labels.voxels()[*i] == 1).collect()
    }

    fn view<'a>(&'a self, name: &'a str) -> CaseView<'a> {
        let Self { image, labels, brain } = self;
        CaseView { case_id: name, patient_id: name, image, labels, brain, volumes_ml: [None; 2] }
    }

    fn panel(&self, drawn: &Drawn, caption: &str) -> Picture {
        let (image, labels) = drawn.apply(&self.image, &self.labels, WINDOW_HU).unwrap();
        panel(&image, &labels, middle_labelled_slice(&self.labels), caption)
    }
}

/// The largest part of what is neither air nor bone, once thin bridges through the skull are cut: enough for a
/// picture.
fn brain(image: &Image) -> LabelMap {
    let geometry = *image.geometry();
    let soft: Vec<bool> = image.voxels().iter().map(|hu| (-5.0..95.0).contains(hu)).collect();
    let cut = erode_mm(&soft, &geometry, 4.0).unwrap();
    let cut = LabelMap::new(geometry, cut.iter().map(|v| u8::from(*v)).collect()).unwrap();
    let parts = cut.components(&[1], Connectivity::Six);
    let largest: Vec<bool> = parts.voxels().iter().map(|part| *part == 1).collect();
    let grown = dilate_mm(&largest, &geometry, 4.0).unwrap();
    let brain = grown.iter().zip(&soft).map(|(a, b)| u8::from(*a && *b)).collect();
    LabelMap::new(geometry, brain).unwrap()
}

fn panel(image: &Image, labels: &LabelMap, d: usize, caption: &str) -> Picture {
    Picture::slice(image, Some(labels), d, BRAIN_WINDOW_HU, PIXEL_MM).captioned(caption)
}

fn policy(raw: RawPolicy) -> Policy {
    Policy::try_from(raw).unwrap()
}

/// A strong elastic part and a strong flow of the lesion, each alone.
fn deformed(case: &Case, n: usize) -> [Drawn; 2] {
    let elastic = RawElastic {
        probability: 1.0,
        control_points: [3, 6, 6],
        max_displacement_mm: [2.0, 10.0, 10.0],
    };
    let lesion = RawLesion {
        probability: 1.0,
        volume_change: 0.4,
        stretch: 0.3,
        lobe: 0.45,
        reach_mm: 25.0,
    };
    let key = DrawKey::new(7, "gallery").repeat(n);
    let elastic = policy(RawPolicy { elastic, ..RawPolicy::NOTHING });
    let lesion = policy(RawPolicy { lesion, ..RawPolicy::NOTHING });
    [elastic, lesion].map(|policy| policy.draw_around(&key, case.geometry(), &case.lesion()))
}

fn spatial(case: &Case) -> Picture {
    let still = Drawn::identity(case.geometry());
    let rotation_deg = [15.0, 0.0, 0.0];
    let translation_mm = [0.0, -10.0, 12.0];
    let mut panels = vec![
        case.panel(&still, "original"),
        case.panel(&Drawn { flip: true, ..still.clone() }, "mirrored"),
        case.panel(&Drawn { rotation_deg, ..still.clone() }, "turned 15 deg"),
        case.panel(&Drawn { magnification: 1.1, ..still.clone() }, "scaled 1.10"),
        case.panel(&Drawn { translation_mm, ..still }, "shifted 10, 12 mm"),
    ];
    for n in 0..3 {
        let [elastic, lesion] = deformed(case, n);
        let jacobian = elastic.elastic.as_ref().unwrap().extremes.min_jacobian;
        panels.push(case.panel(&elastic, &format!("elastic, J > {jacobian:.2}")));
        let factor = lesion.lesion.as_ref().unwrap().volume_factor;
        panels.push(case.panel(&lesion, &format!("lesion x {factor:.2}")));
    }
    let all = Config::try_from(toml::from_str::<RawConfig>(SHIPPED).unwrap()).unwrap().policy;
    let drawn = all.draw_around(&DrawKey::new(7, "gallery.all"), case.geometry(), &case.lesion());
    panels.push(case.panel(&drawn, "shipped config"));
    Picture::sheet(&panels, N_COLUMNS)
}

fn values(case: &Case) -> Picture {
    let still = Drawn::identity(case.geometry());
    let none = DrawnScanner::unchanged();
    let with = |scanner: DrawnScanner| Drawn { scanner, ..still.clone() };
    let through = |kernel| with(DrawnScanner { seen_through: Some(kernel), ..none.clone() });
    let noise = |noise_kernel| Drawn {
        noise_hu: 6.0,
        noise_seed: 1,
        ..with(DrawnScanner { noise_kernel, ..none.clone() })
    };
    let streaks = DrawnStreaks {
        centre_mm: [0.0, -35.0, 20.0],
        amplitude_hu: 40.0,
        width_mm: 2.0,
        reach_mm: 50.0,
        seed: 3,
    };
    let thick = |mm| with(DrawnScanner { slice_thickness_mm: Some(mm), ..none.clone() });
    let mut panels = vec![
        case.panel(&still, "original"),
        case.panel(&thick(10.0), "slices of 10 mm"),
        case.panel(&with(DrawnScanner { pixel_mm: Some(4.0), ..none.clone() }), "pixels of 4 mm"),
        case.panel(&Drawn { blur_mm: 1.5, ..still.clone() }, "blurred 1.5 mm"),
        case.panel(&through(ConvolutionKernel::SMOOTH), "smooth kernel"),
        case.panel(&through(ConvolutionKernel::SHARP), "sharp kernel"),
        case.panel(&with(DrawnScanner { gamma: 0.9, ..none.clone() }), "gamma 0.9"),
        case.panel(&Drawn { gain: 1.1, offset_hu: 5.0, ..still.clone() }, "gain 1.1, +5 HU"),
        case.panel(&with(DrawnScanner { streaks: Some(streaks), ..none.clone() }), "streaks 40 HU"),
        case.panel(&noise(ConvolutionKernel::SMOOTH), "6 HU, smooth kernel"),
        case.panel(&noise(ConvolutionKernel::SHARP), "6 HU, sharp kernel"),
    ];
    let raw = toml::from_str::<RawConfig>(SHIPPED).unwrap().policy;
    for (name, look) in raw.site {
        let site = [(name.clone(), look)].into();
        let policy = policy(RawPolicy { site_probability: 1.0, site, ..RawPolicy::NOTHING });
        let drawn = policy.draw(&DrawKey::new(7, "gallery.site"), case.geometry());
        panels.push(case.panel(&drawn, &format!("look of site {name}")));
    }
    Picture::sheet(&panels, N_COLUMNS)
}

/// Baseline and a follow-up (the lesion with what lies within 2 mm), under one field.
fn pair(case: &Case) -> Picture {
    let grown = dilate_mm(&case.labels.mask(&[1]), case.geometry(), 2.0).unwrap();
    let mut after = case.labels.clone();
    after.voxels_mut().iter_mut().zip(&grown).for_each(|(label, grown)| {
        *label = if *grown { 1 } else { *label };
    });
    let places = |labels: &LabelMap| -> Vec<usize> {
        (0..labels.voxels().len()).filter(|i| labels.voxels()[*i] == 1).collect()
    };
    let rule = GrowthRule { relative: 0.33, absolute_ml: 6.0 };
    let lesion = RawLesion {
        probability: 1.0,
        volume_change: 0.3,
        stretch: 0.3,
        lobe: 0.45,
        reach_mm: 25.0,
    };
    let policy = policy(RawPolicy { lesion, ..RawPolicy::NOTHING });
    let (first, second) = (places(&case.labels), places(&after));
    let key = DrawKey::new(7, "gallery.pair");
    let pair = policy.draw_pair(&key, case.geometry(), [&first, &second], &rule);
    let d = middle_labelled_slice(&case.labels);
    let mut panels = Vec::new();
    for (labels, name) in [(&case.labels, "baseline"), (&after, "follow-up")] {
        let own_ml = labels.volume_ml(&[1]);
        panels.push(panel(&case.image, labels, d, &format!("{name} {own_ml:.1} mL")));
    }
    for (k, (labels, name)) in
        [(&case.labels, "baseline"), (&after, "follow-up")].iter().enumerate()
    {
        let (image, moved) = pair.drawn.apply(&case.image, labels, WINDOW_HU).unwrap();
        let ml = pair.volumes_ml[k];
        panels.push(panel(&image, &moved, d, &format!("{name} to {ml:.1} mL")));
    }
    Picture::sheet(&panels, N_COLUMNS)
}

fn transplant(case: &Case, donor_case: &Case) -> Picture {
    let raw = RawTransplant { probability: 1.0, n_tries: 5000, ..RawTransplant::NOTHING };
    let policy = TransplantPolicy::try_from(raw).unwrap();
    let d = middle_labelled_slice(&donor_case.labels);
    let mut panels = vec![
        panel(&donor_case.image, &donor_case.labels, d, "donor"),
        panel(&case.image, &case.labels, middle_labelled_slice(&case.labels), "recipient"),
    ];
    let donors = [Donor::cut(&donor_case.view("donor")).unwrap().expect("a lesion to be cut")];
    let view = case.view("recipient");
    let open = policy.open_voxels(&view).unwrap();
    for n in 0..6 {
        let key = DrawKey::new(7, "gallery.transplant").repeat(n);
        match policy.draw(&key, &view, &open, &donors) {
            TransplantDraw::Placed { drawn, donor } => {
                let out = drawn.apply(donor, &view, WINDOW_HU).unwrap();
                let side = if drawn.flip { "mirrored" } else { "as it was" };
                let caption = format!("slice {}, {side}", drawn.to[0]);
                panels.push(panel(&out.image, &out.labels, drawn.to[0], &caption));
                let none = LabelMap::empty(*case.geometry());
                panels.push(panel(&out.image, &none, drawn.to[0], "without outlines"));
            }
            other => hemex_stage::log(format_args!("{other:?}")),
        }
    }
    Picture::sheet(&panels, N_COLUMNS)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, image, labels, donor @ ..] = arguments.as_slice() else {
        hemex_stage::log(format_args!("gallery OUT IMAGE DSEG [DONOR_IMAGE DONOR_DSEG]"));
        std::process::exit(2);
    };
    let out = Path::new(out);
    std::fs::create_dir_all(out).unwrap();
    let case = Case::read(image, labels);
    spatial(&case).write(&out.join("spatial.png")).unwrap();
    values(&case).write(&out.join("values.png")).unwrap();
    pair(&case).write(&out.join("pair.png")).unwrap();
    if let [image, labels] = donor {
        let donor = Case::read(image, labels);
        transplant(&case, &donor).write(&out.join("transplant.png")).unwrap();
    }
}
