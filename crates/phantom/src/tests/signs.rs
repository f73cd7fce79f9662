//! Signs come as often as stated, and as they are defined.

use hemex_volume::{Connectivity, Image, LabelMap, distance_mm};

use super::{config, without_followup};
use crate::cohort::{draw_patients, scan_patient};
use crate::config::SignShares;
use crate::outcome::OutcomeModel;
use crate::signs::ImageSigns;
use crate::texture::Texture;
use crate::{Config, RawConfig};
use hemex_stage::DrawKey;

const SEED: u64 = 8;
const NONE: SignShares = SignShares {
    black_hole: 0.0,
    blend: 0.0,
    island: 0.0,
    satellite: 0.0,
    swirl: 0.0,
    fluid_level: 0.0,
    ivh: 0.0,
    subarachnoid: 0.0,
};

#[test]
fn signs_come_at_the_stated_rates() {
    let config = config("phantom.toml", |_| ());
    let site = &config.site["A"];
    let mut rng = DrawKey::new(SEED, "test").rng();
    let drawn: Vec<ImageSigns> =
        (0..40_000).map(|_| ImageSigns::draw(&mut rng, &config, site)).collect();
    let share = |of: &[&ImageSigns], has: fn(&ImageSigns) -> bool| {
        of.iter().filter(|signs| has(signs)).count() as f64 / of.len() as f64
    };
    let all: Vec<&ImageSigns> = drawn.iter().collect();
    let (central, others): (Vec<&ImageSigns>, Vec<&ImageSigns>) =
        all.iter().partition(|signs| ["deep", "thalamic"].contains(&signs.location.name()));
    let stated = &config.signs;
    for (found, expected) in [
        (share(&all, |s| s.black_hole), stated.black_hole),
        (share(&all, |s| s.blend), stated.blend),
        (share(&all, |s| s.island), stated.island),
        (share(&all, |s| s.satellite), stated.satellite),
        (share(&all, |s| s.swirl), stated.swirl),
        (share(&all, |s| s.fluid_level), stated.fluid_level),
        (share(&central, |s| s.ivh), stated.ivh),
        (share(&others, |s| s.subarachnoid), stated.subarachnoid),
        (share(&all, |s| s.location.name() == "deep"), config.lesion.deep_share),
        (share(&all, |s| s.location.name() == "thalamic"), config.lesion.thalamic_share),
    ] {
        // Three standard errors of the smallest group.
        assert!((found - expected).abs() < 0.012, "{found}, stated {expected}");
    }
    let cerebellar = share(&all, |s| s.location.name() == "cerebellar");
    assert!(cerebellar > 0.4 * config.lesion.cerebellar_share, "{cerebellar}");
    assert!(drawn.iter().all(|s| s.location.name() != "cerebellar" || s.volume_ml < 15.0));
}

/// Scans without noise, fine and sharp, of large lobar hematomas.
fn scans(signs: SignShares, change: impl FnOnce(&mut RawConfig)) -> Vec<(Image, LabelMap)> {
    let config: Config = config("phantom.toml", |raw| {
        without_followup(raw);
        (raw.n_patients, raw.n_population, raw.signs) = (3, 2000, signs);
        (raw.lesion.volume_range_ml, raw.lesion.volume_median_ml) = ([20.0, 40.0], 30.0);
        (raw.lesion.deep_share, raw.lesion.thalamic_share, raw.lesion.cerebellar_share) =
            (0.0, 0.0, 0.0);
        raw.lesion.irregularity_range = [0.02, 0.1];
        let mut site = raw.site["A"].clone();
        (site.matrix, site.in_plane_mm, site.slice_mm) = (200, 1.0, 2.0);
        (site.slice_blur_mm, site.noise_hu, site.kernel_fwhm_mm) = (0.0, 0.0, 0.1);
        (site.bone_halo_hu, raw.scan.n_sub_slices) = (0.0, 1);
        raw.site = [("A".to_owned(), site)].into();
        change(raw);
    });
    let (model, _) = OutcomeModel::solve(&config, SEED);
    let texture = Texture::draw(&mut DrawKey::new(SEED, "phantom.texture").rng());
    let patients = draw_patients(&config, &model, SEED);
    let scans = patients.iter().map(|patient| {
        let scan = scan_patient(&config, SEED, patient, &texture).unwrap().baseline;
        (scan.image.unwrap(), scan.labels)
    });
    scans.collect()
}

/// A hematoma with a sign, and how much each voxel of its clot is fainter (negative) than without.
struct Signed {
    labels: LabelMap,
    change_hu: Vec<f32>,
}

fn changes(signs: SignShares) -> Vec<Signed> {
    let plain = scans(NONE, |_| ());
    let pairs = plain.into_iter().zip(scans(signs, |_| ()));
    let signed = pairs.map(|((plain, plain_labels), (image, labels))| {
        assert!(plain_labels == labels, "a sign of density moves no label");
        let change_hu = plain.voxels().iter().zip(image.voxels()).map(|(a, b)| b - a).collect();
        Signed { labels, change_hu }
    });
    signed.collect()
}

impl Signed {
    /// Voxels of the clot that are much fainter.
    fn faint(&self, drop_hu: f32) -> Vec<usize> {
        let clot = self.labels.voxels().iter().zip(&self.change_hu).enumerate();
        clot.filter(|(_, (label, change))| **label == 1 && **change < -drop_hu)
            .map(|(place, _)| place)
            .collect()
    }

    /// How many of the voxels lie at the clot's margin within their slice.
    fn n_at_margin(&self, places: &[usize]) -> usize {
        let n_w = self.labels.geometry().shape()[2];
        let labels = self.labels.voxels();
        let outside = |place: &&usize| {
            [**place - 1, **place + 1, **place - n_w, **place + n_w].iter().any(|p| labels[*p] != 1)
        };
        places.iter().filter(outside).count()
    }

    fn n_clot(&self) -> f64 {
        self.labels.count(&[1]) as f64
    }
}

#[test]
fn a_black_hole_is_enclosed_and_at_least_28_hu_below() {
    for signed in changes(SignShares { black_hole: 1.0, ..NONE }) {
        let hole = signed.faint(14.0);
        let share = hole.len() as f64 / signed.n_clot();
        assert!((0.01..0.12).contains(&share), "{share}");
        assert_eq!(signed.n_at_margin(&hole), 0, "it is encapsulated");
        let mean =
            hole.iter().map(|place| signed.change_hu[*place]).sum::<f32>() / hole.len() as f32;
        assert!(mean < -27.0, "{mean}");
    }
}

#[test]
fn a_blend_has_two_parts_18_hu_apart_of_which_neither_is_enclosed() {
    for signed in changes(SignShares { blend: 1.0, ..NONE }) {
        let faint = signed.faint(9.0);
        let share = faint.len() as f64 / signed.n_clot();
        assert!((0.25..0.65).contains(&share), "{share}");
        let sharp = faint.iter().filter(|place| signed.change_hu[**place] <= -18.0).count();
        assert!(sharp as f64 > 0.9 * faint.len() as f64, "a border, not a slope");
        assert!(signed.n_at_margin(&faint) > 100, "it reaches the margin");
    }
}

#[test]
fn a_fluid_level_is_level() {
    for signed in changes(SignShares { fluid_level: 1.0, ..NONE }) {
        let (geometry, faint) = (signed.labels.geometry(), signed.faint(12.0));
        let n_w = geometry.shape()[2];
        let height = |place: usize| place / n_w % geometry.shape()[1];
        let slice = |place: usize| place / (n_w * geometry.shape()[1]);
        let middle = slice(faint[faint.len() / 2]);
        let of_slice = |place: &usize| slice(*place) == middle;
        let lowest_faint = faint.iter().copied().filter(of_slice).map(height).min().unwrap();
        let dense = (0..signed.change_hu.len()).filter(of_slice).filter(|place| {
            signed.labels.voxels()[*place] == 1 && signed.change_hu[*place] > -12.0
        });
        // The front is up; the head is turned by a few degrees about each axis.
        let highest_dense = dense.map(height).max().unwrap();
        assert!(highest_dense < lowest_faint + 8, "{highest_dense} {lowest_faint}");
    }
}

#[test]
fn a_swirl_is_as_dense_as_brain_and_in_streaks() {
    for signed in changes(SignShares { swirl: 1.0, ..NONE }) {
        let faint = signed.faint(10.0);
        let share = faint.len() as f64 / signed.n_clot();
        assert!((0.08..0.6).contains(&share), "{share}");
        let deepest = faint.iter().map(|place| signed.change_hu[*place]).fold(0.0, f32::min);
        assert!(deepest > -60.0, "not below brain: {deepest}");
        let parts = {
            let mut mask = LabelMap::empty(*signed.labels.geometry());
            faint.iter().for_each(|place| mask.voxels_mut()[*place] = 1);
            mask.components(&[1], Connectivity::Six).n_components()
        };
        assert!(parts >= 1 && signed.n_at_margin(&faint) * 5 < faint.len(), "{parts}");
    }
}

#[test]
fn islands_bud_and_satellites_lie_apart() {
    for (_, labels) in scans(SignShares { island: 1.0, ..NONE }, |_| ()) {
        let parts = labels.components(&[1], Connectivity::TwentySix);
        let large = parts.volumes_ml().iter().filter(|ml| **ml > 0.05).count();
        assert_eq!(large, 1, "islands hang on the main hematoma");
    }
    let smooth: f64 = scans(NONE, |_| ()).iter().map(|(_, labels)| perimeter(labels)).sum();
    let budding = scans(SignShares { island: 1.0, ..NONE }, |_| ());
    let budding: f64 = budding.iter().map(|(_, labels)| perimeter(labels)).sum();
    assert!(budding > 1.1 * smooth, "{budding} {smooth}");

    for (_, labels) in scans(SignShares { satellite: 1.0, ..NONE }, |_| ()) {
        let geometry = *labels.geometry();
        let parts = labels.components(&[1], Connectivity::TwentySix);
        let main = parts.largest();
        let from_main = distance_mm(&main, &geometry).unwrap();
        let [n_d, n_h, n_w] = geometry.shape();
        let n_foci = parts.volumes_ml().iter().filter(|ml| **ml > 0.03).count() - 1;
        assert!((1..=2).contains(&n_foci), "{n_foci}");
        let (mut nearest, mut farthest) = (f32::MAX, 0f32);
        for place in 0..n_d * n_h * n_w {
            if labels.voxels()[place] == 1 && !main[place] {
                nearest = nearest.min(from_main[place]);
                farthest = farthest.max(from_main[place]);
            }
        }
        // Distances of voxels' middles are up to a voxel larger than those of outlines.
        assert!(nearest > 1.0 && nearest < 20.0, "{nearest} mm");
        assert!(farthest - nearest < 10.0 + 12.0, "{nearest} to {farthest}");
        let of_foci = parts.volumes_ml().iter().copied().filter(|ml| *ml < 1.0).fold(0.0, f64::max);
        // A ball of 10 mm.
        assert!(of_foci < 0.524, "{of_foci} mL");
    }
}

/// Edges of the clot within slices, in voxels, over the root of its area.
fn perimeter(labels: &LabelMap) -> f64 {
    let d = hemex_artifacts::picture::middle_labelled_slice(labels);
    let n_w = labels.geometry().shape()[2];
    let slice = labels.slice(d);
    let edge = |i: usize, j: usize| (slice[i] == 1) != (slice[j] == 1);
    let n = slice.len() - n_w - 1;
    let edges = (0..n).map(|i| usize::from(edge(i, i + 1)) + usize::from(edge(i, i + n_w)));
    let area = slice.iter().filter(|label| **label == 1).count() as f64;
    edges.sum::<usize>() as f64 / area.sqrt()
}

#[test]
fn blood_reaches_the_ventricles_and_the_subarachnoid_space() {
    let deep = |raw: &mut RawConfig| raw.lesion.deep_share = 1.0;
    for (image, labels) in scans(SignShares { ivh: 1.0, ..NONE }, deep) {
        assert!(labels.count(&[2]) > 50 && mean_hu(&image, &labels, 2) > 45.0);
    }
    for (image, labels) in scans(SignShares { subarachnoid: 1.0, ..NONE }, |_| ()) {
        assert!(labels.count(&[4]) > 50, "{}", labels.count(&[4]));
        assert!(mean_hu(&image, &labels, 4) > 45.0);
        assert_eq!(labels.count(&[2]), 0);
    }
}

fn mean_hu(image: &Image, labels: &LabelMap, label: u8) -> f32 {
    let voxels = image.voxels().iter().zip(labels.voxels());
    let hu: Vec<f32> = voxels.filter(|(_, l)| **l == label).map(|(hu, _)| *hu).collect();
    hu.iter().sum::<f32>() / hu.len() as f32
}
