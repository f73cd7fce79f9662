//! Small hematomas beside the main one.

use std::f64::consts::PI;

use super::hematoma::{ASUNDER_MM, Hematoma};
use crate::{Components, Connectivity, VolumeError, dilate_mm, distance_mm, erode_mm};

/// Smaller ones are taken for voxels at a jagged margin, mL: a ball of 3.4 mm has 0.02.
const LEAST_ML: f64 = 0.02;
/// Diameter that a satellite stays below, and how far it lies apart, mm.
const SATELLITE_MM: f64 = 10.0;
const APART_MM: std::ops::RangeInclusive<f64> = 1.0..=20.0;
/// Slack of a distance, mm.
const ROUNDING_MM: f64 = 1e-3;
/// A main hematoma is what a disc of this share of its radius passes over within slices; what is left are
/// buds.
const MAIN_SHARE: f64 = 0.5;
/// Least length of a bud, share of the main one's radius.
const BUD_SHARE: f64 = 0.3;
/// Least length of a bud over the width of its base: that of half a disc. What is broader is a lobe.
const BUD_LENGTH: f64 = 0.5;

/// How many small hematomas there are.
pub(super) struct Foci {
    /// Small enough and near enough to be satellites.
    pub(super) n_satellites: usize,
    /// Apart from the main one.
    pub(super) n_apart: usize,
    /// That hang on it.
    pub(super) n_buds: usize,
    /// The voxels of the main one.
    pub(super) main: Vec<bool>,
}

impl Foci {
    pub(super) fn of(hematoma: &Hematoma) -> Result<Self, VolumeError> {
        let map = hematoma.map(|place| hematoma.inside[place]);
        let parts = map.components(&[1], Connectivity::TwentySix);
        let main = parts.largest();
        let from_main_mm = distance_mm(&main, &hematoma.geometry)?;
        let volumes_ml = parts.volumes_ml();
        let n_apart = volumes_ml.iter().skip(1).filter(|ml| **ml >= LEAST_ML).count();
        let foci = places_of(&parts);
        let is_satellite = |places: &&Vec<usize>| {
            let mm = places.iter().map(|place| from_main_mm[*place]).fold(f32::MAX, f32::min);
            // From margin to margin, half a pixel on either side less than between centres.
            APART_MM.contains(&(f64::from(mm) - hematoma.pixel_mm() + ROUNDING_MM))
                && diameter_mm(hematoma, places) < SATELLITE_MM
        };
        let n_satellites = foci[1..=n_apart].iter().filter(is_satellite).count();
        let radius_mm = (750.0 * volumes_ml[0] / PI).cbrt();
        let n_buds = n_buds(hematoma, &main, radius_mm)?;
        Ok(Self { n_satellites, n_apart, n_buds, main })
    }
}

/// The voxels of each component, largest first, in order.
pub(super) fn places_of(parts: &Components) -> Vec<Vec<usize>> {
    let mut places = vec![Vec::new(); parts.n_components()];
    for (place, part) in parts.voxels().iter().enumerate().filter(|(_, part)| **part > 0) {
        places[*part as usize - 1].push(place);
    }
    places
}

/// The longest extent within a slice, mm; what is as large as a disc of [`SATELLITE_MM`] is that wide.
fn diameter_mm(hematoma: &Hematoma, places: &[usize]) -> f64 {
    let ([_, h_mm, w_mm], n_w) = (hematoma.geometry.spacing_mm(), hematoma.geometry.shape()[2]);
    let mut longest_mm = 0f64;
    for slice in places.chunk_by(|a, b| hematoma.slice_of(*a) == hematoma.slice_of(*b)) {
        if slice.len() as f64 * hematoma.pixel_mm2() >= PI / 4.0 * SATELLITE_MM.powi(2) {
            return SATELLITE_MM;
        }
        for (n, a) in slice.iter().enumerate() {
            for b in &slice[n..] {
                let along_h = (b / n_w - a / n_w) as f64 * h_mm;
                let along_w = (b % n_w).abs_diff(a % n_w) as f64 * w_mm;
                longest_mm = longest_mm.max(along_h.hypot(along_w));
            }
        }
    }
    // The margins lie up to half a pixel beyond the outermost centres, a quarter on average.
    longest_mm + hematoma.pixel_mm() / 2.0
}

/// Small hematomas that hang on the main one: what an opening of its slices leaves over.
fn n_buds(hematoma: &Hematoma, main: &[bool], radius_mm: f64) -> Result<usize, VolumeError> {
    let flat = &hematoma.flat;
    let disc_mm = MAIN_SHARE * radius_mm;
    let opened = dilate_mm(&erode_mm(main, flat, disc_mm)?, flat, disc_mm)?;
    let from_opened_mm = distance_mm(&opened, flat)?;
    // A slice without a main part has no buds.
    let is_left = |place: usize| {
        main[place] && !opened[place] && f64::from(from_opened_mm[place]) < ASUNDER_MM / 2.0
    };
    let left = places_of(&hematoma.map(is_left).components(&[1], Connectivity::Six));
    let is_bud = |places: &&Vec<usize>| {
        let volume_ml = places.len() as f64 * hematoma.geometry.voxel_ml();
        let length_mm = places.iter().map(|place| from_opened_mm[*place]).fold(0.0, f32::max);
        let length_mm = f64::from(length_mm);
        volume_ml >= LEAST_ML
            && length_mm >= BUD_SHARE * radius_mm
            && is_bubble(hematoma, places, length_mm, &opened)
    };
    Ok(left.iter().filter(is_bud).count())
}

/// Whether a bud is long for its base and fuller than a wedge, in the slice that holds most of it.
fn is_bubble(hematoma: &Hematoma, places: &[usize], length_mm: f64, opened: &[bool]) -> bool {
    let n_w = hematoma.geometry.shape()[2];
    let largest = hematoma.largest_slice(places);
    let is_base = |place: &&usize| {
        let beside = [place.wrapping_sub(1), **place + 1, place.wrapping_sub(n_w), **place + n_w];
        beside.iter().any(|other| opened.get(*other).is_some_and(|opened| *opened))
    };
    let base_mm = largest.iter().filter(is_base).count() as f64 * hematoma.pixel_mm();
    let area_mm2 = largest.len() as f64 * hematoma.pixel_mm2();
    length_mm >= BUD_LENGTH * base_mm && area_mm2 >= length_mm * base_mm / 2.0
}
