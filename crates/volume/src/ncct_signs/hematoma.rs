//! A hematoma cut out of its scan, smoothed and freed of its rim.

use super::basin::brim;
use crate::{Affine, Geometry, Image, LabelMap, VolumeError, distance_mm};

/// What is cut out around the hematoma, mm along `[D, H, W]`: brain to compare with.
const AROUND_MM: [f64; 3] = [5.0, 12.0, 12.0];
/// SD of the Gaussian that takes noise away, mm along `[D, H, W]`: thin slices become about as thick as those
/// that readers use (5 mm, SD of a box 1.4 mm), thick ones are left alone.
const SMOOTHING_MM: [f64; 3] = [1.5, 0.7, 0.7];
/// No blood is denser, HU: calcifications and skull within a mask do not count as dense clot.
const DENSEST_HU: f32 = 100.0;
/// Width of the margin in which voxels are partly brain, mm.
const RIM_MM: f64 = 2.0;
/// HU of brain tissue without fluid and blood.
const TISSUE_HU: std::ops::Range<f32> = 20.0..45.0;
/// Density of brain where none is seen, HU.
const USUAL_BRAIN_HU: f64 = 33.0;
/// Distance at which slices are laid apart, mm: farther than any head is wide.
pub(super) const ASUNDER_MM: f64 = 1e4;

/// The hematoma on the part of the grid around it, `[D, H, W]`.
pub(super) struct Hematoma {
    pub(super) geometry: Geometry,
    /// The same voxels with slices so far apart that distances stay within them.
    pub(super) flat: Geometry,
    /// The mask, holes within slices filled.
    pub(super) inside: Vec<bool>,
    /// Smoothed within the mask, HU; outside without meaning.
    pub(super) hu: Vec<f32>,
    /// Blood in the slices above and below.
    pub(super) is_covered: Vec<bool>,
    /// Covered and not in the rim.
    pub(super) core: Vec<bool>,
    /// Median of the brain around, HU.
    pub(super) brain_hu: f64,
}

impl Hematoma {
    /// `None` without a voxel of `labels`.
    pub(super) fn of(
        image: &Image,
        mask: &LabelMap,
        labels: &[u8],
    ) -> Result<Option<Self>, VolumeError> {
        let Some((geometry, places)) = cut_out(mask, labels)? else { return Ok(None) };
        let own: Vec<u8> = places.iter().map(|place| mask.voxels()[*place]).collect();
        let seen: Vec<f32> = places.iter().map(|place| image.voxels()[*place]).collect();
        let [n_d, n_h, n_w] = geometry.shape();
        let is_lesion: Vec<f32> =
            own.iter().map(|label| f32::from(u8::from(labels.contains(label)))).collect();
        let slices = is_lesion.chunks_exact(n_h * n_w);
        let everywhere = vec![true; n_h * n_w];
        let inside: Vec<bool> = slices
            .flat_map(|slice| brim(slice, &everywhere, n_w))
            .map(|level| level > 0.5)
            .collect();
        let [_, h_mm, w_mm] = geometry.spacing_mm();
        let apart = Affine::from_spacing([ASUNDER_MM, h_mm, w_mm], [0.0; 3])?;
        let flat = Geometry::new([n_d, n_h, n_w], apart)?;
        let is_covered = covered(&inside, &geometry);
        let outside: Vec<bool> = inside.iter().map(|inside| !inside).collect();
        let margin_mm = distance_mm(&outside, &flat)?;
        let core = is_covered.iter().zip(&margin_mm);
        Ok(Some(Self {
            hu: smoothed_within(&inside, &seen, geometry),
            core: core.map(|(covered, mm)| *covered && f64::from(*mm) > RIM_MM).collect(),
            brain_hu: brain_hu(&own, &seen),
            geometry,
            flat,
            inside,
            is_covered,
        }))
    }

    /// For each voxel how dense the faintest way out of the hematoma is within its slice, HU.
    pub(super) fn brim_hu(&self) -> Vec<f32> {
        let (n_pixels, n_w) = (self.n_pixels(), self.geometry.shape()[2]);
        let slices = self.hu.chunks_exact(n_pixels).zip(self.inside.chunks_exact(n_pixels));
        slices.flat_map(|(hu, inside)| brim(hu, inside, n_w)).collect()
    }

    /// A map of the voxels that are set.
    pub(super) fn map(&self, is_set: impl Fn(usize) -> bool) -> LabelMap {
        let voxels = (0..self.inside.len()).map(|place| u8::from(is_set(place))).collect();
        LabelMap::on(self.geometry, voxels)
    }

    /// The slice of a voxel.
    pub(super) fn slice_of(&self, place: usize) -> usize {
        place / self.n_pixels()
    }

    /// Pixels of a slice.
    pub(super) fn n_pixels(&self) -> usize {
        let [_, n_h, n_w] = self.geometry.shape();
        n_h * n_w
    }

    /// Of some voxels in order those in the slice that holds most; none of none.
    pub(super) fn largest_slice<'a>(&self, places: &'a [usize]) -> &'a [usize] {
        let slices = places.chunk_by(|a, b| self.slice_of(*a) == self.slice_of(*b));
        slices.max_by_key(|slice| slice.len()).unwrap_or_default()
    }

    /// Width of a pixel along its longer side, mm.
    pub(super) fn pixel_mm(&self) -> f64 {
        let [_, h_mm, w_mm] = self.geometry.spacing_mm();
        h_mm.max(w_mm)
    }

    /// Area of a pixel, mm².
    pub(super) fn pixel_mm2(&self) -> f64 {
        let [_, h_mm, w_mm] = self.geometry.spacing_mm();
        h_mm * w_mm
    }
}

/// The part of the grid around the voxels of `labels`, and the places of its voxels in the whole.
fn cut_out(mask: &LabelMap, labels: &[u8]) -> Result<Option<(Geometry, Vec<usize>)>, VolumeError> {
    let whole = mask.geometry();
    let ([_, n_h, n_w], spacing_mm) = (whole.shape(), whole.spacing_mm());
    let mut bounds: Option<[[usize; 2]; 3]> = None;
    for (place, _) in mask.voxels().iter().enumerate().filter(|(_, l)| labels.contains(l)) {
        let index = [place / (n_h * n_w), place / n_w % n_h, place % n_w];
        let bounds = bounds.get_or_insert(index.map(|i| [i, i]));
        for (bound, i) in bounds.iter_mut().zip(index) {
            *bound = [bound[0].min(i), bound[1].max(i)];
        }
    }
    let Some(bounds) = bounds else { return Ok(None) };
    let around: [usize; 3] =
        std::array::from_fn(|a| (AROUND_MM[a] / spacing_mm[a]).ceil() as usize);
    let [d, h, w]: [std::ops::Range<usize>; 3] = std::array::from_fn(|a| {
        let [first, last] = bounds[a];
        first.saturating_sub(around[a])..(last + around[a] + 1).min(whole.shape()[a])
    });
    let start = [d.start as i64, h.start as i64, w.start as i64];
    let geometry = whole.window(start, [d.len(), h.len(), w.len()])?;
    let rows = d.flat_map(|d| h.clone().map(move |h| (d * n_h + h) * n_w));
    let places = rows.flat_map(|row| w.clone().map(move |w| row + w)).collect();
    Ok(Some((geometry, places)))
}

/// Whether there is blood as far above and below as the rim is wide, a slice at the least.
fn covered(inside: &[bool], geometry: &Geometry) -> Vec<bool> {
    let [_, n_h, n_w] = geometry.shape();
    let n_slices = (RIM_MM / geometry.spacing_mm()[0]).ceil() as usize;
    let is_blood = |place: Option<usize>| place.and_then(|p| inside.get(p)).is_some_and(|i| *i);
    let is_covered = |place: usize| {
        (1..=n_slices)
            .map(|n| n * n_h * n_w)
            .all(|step| is_blood(place.checked_sub(step)) && is_blood(place.checked_add(step)))
    };
    (0..inside.len()).map(|place| inside[place] && is_covered(place)).collect()
}

/// The mean of the voxels in the mask under a Gaussian (normalised convolution: Knutsson & Westin, CVPR
/// 1993, 515–523).
fn smoothed_within(inside: &[bool], hu: &[f32], geometry: Geometry) -> Vec<f32> {
    let weights = inside.iter().map(|inside| f32::from(u8::from(*inside))).collect();
    let weights = Image::on(geometry, weights);
    let weighted = hu.iter().zip(weights.voxels()).map(|(hu, w)| hu.min(DENSEST_HU) * w).collect();
    let sums = Image::on(geometry, weighted).blur_mm(SMOOTHING_MM);
    let weights = weights.blur_mm(SMOOTHING_MM);
    sums.voxels().iter().zip(weights.voxels()).map(|(sum, w)| sum / w.max(f32::EPSILON)).collect()
}

fn brain_hu(labels: &[u8], hu: &[f32]) -> f64 {
    let pairs = labels.iter().zip(hu).filter(|(label, hu)| **label == 0 && TISSUE_HU.contains(*hu));
    let tissue: Vec<f32> = pairs.map(|(_, hu)| *hu).collect();
    percentile(tissue, 0.5).unwrap_or(USUAL_BRAIN_HU)
}

/// `None` of nothing.
pub(super) fn percentile(mut values: Vec<f32>, part: f64) -> Option<f64> {
    values.sort_unstable_by(f32::total_cmp);
    (!values.is_empty()).then(|| crate::descriptors::percentile(&values, part))
}
