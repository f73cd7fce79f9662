//! Signs of simple shapes.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{Affine, ConvolutionKernel, Geometry, correlated_noise};

const BRAIN_HU: f32 = 33.0;
const CLOT_HU: f32 = 62.0;
const RADIUS_MM: f64 = 18.0;

/// A scan of noise in which balls lie at points `[x, y, z]` from its middle, mm.
struct Scan {
    image: Image,
    mask: LabelMap,
}

impl Scan {
    fn of_brain(slice_mm: f64, noise_hu: f64) -> Self {
        let spacing = [slice_mm, 1.0, 1.0];
        let shape = [(80.0 / slice_mm) as usize, 91, 91];
        let corner = std::array::from_fn(|i| -spacing[2 - i] * (shape[2 - i] - 1) as f64 / 2.0);
        let affine = Affine::from_spacing(spacing, corner).unwrap();
        let geometry = Geometry::new(shape, affine).unwrap();
        let rng = &mut ChaCha8Rng::seed_from_u64(4);
        let white = ConvolutionKernel { fwhm_mm: 0.0, edge_enhancement: 0.0 };
        let noise = correlated_noise(&geometry, noise_hu, &white, rng);
        let hu = noise.into_iter().map(|noise| noise + BRAIN_HU).collect();
        Self { image: Image::new(geometry, hu).unwrap(), mask: LabelMap::empty(geometry) }
    }

    /// Adds `hu` wherever `is_in` says so.
    fn add(&mut self, hu: f32, is_in: impl Fn([f64; 3]) -> bool) {
        let geometry = *self.image.geometry();
        let [_, n_h, n_w] = geometry.shape();
        for place in 0..geometry.n_voxels() {
            let index = [place / (n_h * n_w), place / n_w % n_h, place % n_w].map(|i| i as f64);
            if is_in(geometry.point_mm(index)) {
                self.image.voxels_mut()[place] += hu;
            }
        }
    }

    /// Adds a ball of clot.
    fn clot(&mut self, centre: [f64; 3], radius_mm: f64) {
        let before = self.image.clone();
        self.add(CLOT_HU - BRAIN_HU, |point| is_within(point, centre, radius_mm));
        let pairs = before.voxels().iter().zip(self.image.voxels());
        for (label, (before, after)) in self.mask.voxels_mut().iter_mut().zip(pairs) {
            *label |= u8::from(after > before);
        }
    }

    fn signs(&self) -> NcctSigns {
        NcctSigns::of(&self.image, &self.mask, &[1]).unwrap().unwrap()
    }
}

fn is_within(point: [f64; 3], centre: [f64; 3], radius_mm: f64) -> bool {
    (0..3).map(|i| (point[i] - centre[i]).powi(2)).sum::<f64>() <= radius_mm * radius_mm
}

/// A ball of clot in thick slices, with noise of 5 HU.
fn ball() -> Scan {
    let mut scan = Scan::of_brain(5.0, 5.0);
    scan.clot([0.0; 3], RADIUS_MM);
    scan
}

/// The names of the signs that are there.
fn found(signs: &NcctSigns) -> Vec<&'static str> {
    let all = [
        ("black hole", signs.black_hole),
        ("hypodensity", signs.hypodensity),
        ("blend", signs.blend),
        ("fluid level", signs.fluid_level),
        ("swirl", signs.swirl),
        ("satellite", signs.satellite),
        ("island", signs.island),
        ("irregular", signs.irregular),
    ];
    all.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
}

#[test]
fn a_plain_ball_has_no_sign() {
    for slice_mm in [1.0, 2.5, 5.0] {
        let mut scan = Scan::of_brain(slice_mm, 5.0);
        scan.clot([0.0; 3], RADIUS_MM);
        let signs = scan.signs();
        assert!(found(&signs).is_empty(), "{slice_mm} mm: {signs:?}");
        assert!(signs.solidity > 0.93, "{signs:?}");
    }
}

#[test]
fn an_enclosed_hole_is_black_from_28_hu_on() {
    let with = |drop_hu: f32| {
        let mut scan = ball();
        scan.add(-drop_hu, |point| is_within(point, [3.0, -2.0, 0.0], 6.0));
        scan.signs()
    };
    let deep = with(30.0);
    assert_eq!(found(&deep), ["black hole", "hypodensity"], "{deep:?}");
    let shallow = with(20.0);
    assert_eq!(found(&shallow), ["hypodensity"], "{shallow:?}");
    assert!(deep.black_hole_difference_hu - shallow.black_hole_difference_hu > 7.0);
}

#[test]
fn a_hole_that_the_mask_leaves_out_is_seen() {
    let mut scan = ball();
    let is_hole = |point| is_within(point, [3.0, -2.0, 0.0], 6.0);
    scan.add(-30.0, is_hole);
    let whole = scan.signs();
    for (label, hu) in scan.mask.voxels_mut().iter_mut().zip(scan.image.voxels()) {
        if *hu < 45.0 && *label == 1 {
            *label = 0;
        }
    }
    let holed = scan.signs();
    assert!(holed.black_hole, "{holed:?}");
    assert!((holed.black_hole_difference_hu - whole.black_hole_difference_hu).abs() < 2.0);
}

#[test]
fn a_hole_at_the_margin_is_not_enclosed() {
    let mut scan = ball();
    scan.add(-30.0, |point| is_within(point, [RADIUS_MM, 0.0, 0.0], 7.0));
    let signs = scan.signs();
    assert!(!signs.black_hole && !signs.hypodensity, "{signs:?}");
}

#[test]
fn two_halves_are_a_blend_and_layers_a_fluid_level() {
    // Faint towards the right, the back and the front: the patient lies on the back.
    for (name, normal) in
        [("blend", [1.0, 0.0, 0.0]), ("blend", [0.0, -1.0, 0.0]), ("fluid level", [0.0, 1.0, 0.0])]
    {
        let halved = |drop_hu: f32| {
            let mut scan = ball();
            scan.add(-drop_hu, |point| {
                let along: f64 = (0..3).map(|i| normal[i] * point[i]).sum();
                along > 0.0 && is_within(point, [0.0; 3], RADIUS_MM)
            });
            scan.signs()
        };
        let signs = halved(22.0);
        assert_eq!(found(&signs), [name], "{signs:?}");
        assert!((signs.part_difference_hu - 22.0).abs() < 6.0, "{signs:?}");
        assert_eq!(found(&halved(10.0)), [""; 0], "{normal:?}");
    }
}

#[test]
fn streaks_as_dense_as_brain_are_a_swirl() {
    let mut scan = ball();
    scan.add(BRAIN_HU - CLOT_HU, |point| {
        let from_wave = point[0] - 3.0 * (point[1] / 4.0).sin();
        from_wave.abs() < 1.5 && is_within(point, [0.0; 3], 0.8 * RADIUS_MM)
    });
    let signs = scan.signs();
    assert!(signs.swirl && signs.hypodensity && !signs.blend, "{signs:?}");
}

#[test]
fn small_hematomas_apart_are_satellites_and_islands() {
    let with = |n: usize, gap_mm: f64, diameter_mm: f64| {
        let mut scan = ball();
        let from_centre = RADIUS_MM + gap_mm + diameter_mm / 2.0;
        for k in 0..n {
            let angle = 1.3 * k as f64;
            let centre = [from_centre * angle.cos(), from_centre * angle.sin(), 0.0];
            scan.clot(centre, diameter_mm / 2.0);
        }
        scan.signs()
    };
    let one = with(1, 5.0, 6.0);
    assert_eq!((found(&one), one.n_satellites, one.n_islands_apart), (vec!["satellite"], 1, 1));
    assert_eq!(found(&with(1, 5.0, 12.0)), [""; 0], "a large one is no satellite");
    let three = with(3, 5.0, 6.0);
    assert_eq!(found(&three), ["satellite", "island"], "{three:?}");
    assert_eq!((three.n_satellites, three.n_islands_apart), (3, 3));
    // Two thirds of a ball stand out.
    let budding = with(5, -4.0, 12.0);
    assert!(budding.island && !budding.satellite, "{budding:?}");
    assert_eq!((budding.n_buds, budding.n_islands_apart), (5, 0), "{budding:?}");
}

#[test]
fn a_bay_makes_an_outline_irregular() {
    let mut scan = Scan::of_brain(5.0, 5.0);
    scan.clot([-13.0, 0.0, 0.0], 14.0);
    scan.clot([13.0, 0.0, 0.0], 14.0);
    scan.clot([0.0, 20.0, 0.0], 12.0);
    let signs = scan.signs();
    assert!(signs.irregular, "{signs:?}");
}

#[test]
fn other_labels_do_not_count_and_nothing_has_no_signs() {
    let scan = ball();
    assert_eq!(NcctSigns::of(&scan.image, &scan.mask, &[2]), Ok(None));
    let empty = LabelMap::empty(*scan.image.geometry());
    assert_eq!(NcctSigns::of(&scan.image, &empty, &[1]), Ok(None));
    let other = Scan::of_brain(2.5, 0.0).mask;
    assert!(NcctSigns::of(&scan.image, &other, &[1]).is_err());
}

#[test]
fn a_few_voxels_at_the_border_of_the_grid_have_no_signs() {
    let affine = Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3]).unwrap();
    let geometry = Geometry::new([1, 3, 3], affine).unwrap();
    let image = Image::filled(geometry, CLOT_HU);
    let mut mask = LabelMap::empty(geometry);
    mask.voxels_mut()[0] = 1;
    let signs = NcctSigns::of(&image, &mask, &[1]).unwrap().unwrap();
    assert_eq!((found(&signs), signs.solidity), (vec![], 1.0));
    let whole = LabelMap::new(geometry, vec![1; 9]).unwrap();
    let signs = NcctSigns::of(&image, &whole, &[1]).unwrap().unwrap();
    assert_eq!((found(&signs), signs.solidity), (vec![], 1.0));
}
