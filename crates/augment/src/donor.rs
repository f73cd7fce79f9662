//! Lesions cut out of a case, to be planted into another.

use hemex_volume::{Geometry, Image, LabelMap, Lesion, distance_mm};

use crate::AugmentError;

/// What of a lesion is carried: blood in the tissue and the edema around it.
const CARRIED: [u8; 2] = [Lesion::Intraparenchymal as u8, Lesion::Edema as u8];

/// Blood that lies where no tissue is: it cannot be planted elsewhere.
const OUTSIDE_TISSUE: [u8; 2] = [Lesion::Intraventricular as u8, Lesion::ExtraAxial as u8];

/// From how far to how far around the lesion its surroundings lie, mm.
const RING_MM: [f32; 2] = [3.0, 12.0];

/// Values of brain tissue, HU: neither fluid nor blood.
const TISSUE_HU: std::ops::RangeInclusive<f32> = 18.0..=48.0;

/// The fewest voxels that tell the surroundings' mean.
const MIN_RING: usize = 30;

/// Standard deviation of the label's softening, voxels: it fades within about one.
const SOFT_VOXELS: f64 = 0.5;

/// Voxels around the lesion that may be blended.
const RIM: usize = 1;

/// Less of a voxel than this is not blended.
const FAINTEST: f32 = 0.01;

/// A case with what a transplant needs of it, on one grid.
#[derive(Debug, Clone, Copy)]
pub struct CaseView<'a> {
    /// The case.
    pub case_id: &'a str,
    /// Its patient.
    pub patient_id: &'a str,
    /// The image, HU.
    pub image: &'a Image,
    /// Lesion labels ([`Lesion`]).
    pub labels: &'a LabelMap,
    /// Above 0 in the brain.
    pub brain: &'a LabelMap,
    /// Volume of the hematoma at baseline and at follow-up, mL, where known.
    pub volumes_ml: [Option<f64>; 2],
}

/// A hematoma with its edema, cut out of a case: its own densities relative to the tissue around it, its labels
/// and a soft edge.
///
/// What is planted into a training case is trained on: donors must come from the training role of the same
/// fold as the recipient, never from a validation or test case. The caller hands in donors
/// that do; the patient is checked here.
#[derive(Debug, Clone, PartialEq)]
pub struct Donor {
    pub(crate) case_id: String,
    pub(crate) patient_id: String,
    pub(crate) volumes_ml: [Option<f64>; 2],
    pub(crate) spacing_mm: [f64; 3],
    /// Mean of the tissue around it, HU.
    pub(crate) tissue_hu: f64,
    /// Voxels that are blended; indices `[D, H, W]` from the middle of the lesion.
    pub(crate) voxels: Vec<DonorVoxel>,
    /// The surroundings, likewise.
    pub(crate) ring: Vec<[i64; 3]>,
}

/// A voxel of a [`Donor`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct DonorVoxel {
    pub(crate) at: [i64; 3],
    /// 0 in the rim.
    pub(crate) label: u8,
    /// How much of the recipient's voxel it replaces, up to 1; 1 in the lesion.
    pub(crate) share: f32,
    /// Above the tissue around the donor, HU.
    pub(crate) relative_hu: f32,
}

impl Donor {
    /// Cuts the lesion out of a case. `None` if there is nothing to be cut: no blood in the tissue, blood
    /// also in the ventricles or outside the brain (which cannot go with it), or too little tissue around it.
    ///
    /// # Errors
    /// [`AugmentError::GridMismatch`] if the volumes of the case lie on different grids.
    pub fn cut(case: &CaseView<'_>) -> Result<Option<Self>, AugmentError> {
        case.check_grids()?;
        let geometry = case.image.geometry();
        let lesion = case.labels.mask(&CARRIED);
        let bleeds = case.labels.count(&[Lesion::Intraparenchymal as u8]) > 0;
        if !bleeds || case.labels.count(&OUTSIDE_TISSUE) > 0 {
            return Ok(None);
        }
        let middle = middle(&lesion, geometry);
        let index = |place: usize| from(middle, place, geometry);
        let distance = distance_mm(&lesion, geometry)?;
        let around = (0..lesion.len()).filter(|place| {
            (RING_MM[0]..=RING_MM[1]).contains(&distance[*place])
                && case.labels.voxels()[*place] == 0
                && case.brain.voxels()[*place] > 0
        });
        let around: Vec<usize> = around.collect();
        let hu = case.image.voxels();
        let Some(tissue_hu) = tissue_hu(around.iter().map(|place| hu[*place])) else {
            return Ok(None);
        };
        let shares = shares(&lesion, geometry)?;
        let voxels = shares.into_iter().filter(|(place, _)| {
            // Skull beside the lesion stays where it is.
            lesion[*place] || case.brain.voxels()[*place] > 0
        });
        let voxels = voxels.map(|(place, share)| DonorVoxel {
            at: index(place),
            label: if lesion[place] { case.labels.voxels()[place] } else { 0 },
            share,
            relative_hu: hu[place] - tissue_hu as f32,
        });
        Ok(Some(Self {
            case_id: case.case_id.to_owned(),
            patient_id: case.patient_id.to_owned(),
            volumes_ml: case.volumes_ml,
            spacing_mm: geometry.spacing_mm(),
            tissue_hu,
            voxels: voxels.collect(),
            ring: around.into_iter().map(index).collect(),
        }))
    }

    /// The case it was cut from.
    pub fn case_id(&self) -> &str {
        &self.case_id
    }

    /// The patient it was cut from.
    pub fn patient_id(&self) -> &str {
        &self.patient_id
    }

    /// Whether it lies on a grid of this spacing.
    pub(crate) fn fits(&self, geometry: &Geometry) -> bool {
        let pairs = self.spacing_mm.iter().zip(geometry.spacing_mm());
        pairs.into_iter().all(|(own, other)| (own / other - 1.0).abs() < 1e-3)
    }
}

impl CaseView<'_> {
    pub(crate) fn check_grids(&self) -> Result<(), AugmentError> {
        let geometry = self.image.geometry();
        for labels in [self.labels, self.brain] {
            if !geometry.is_same_grid(labels.geometry()) {
                let (image, labels) = (geometry.shape(), labels.geometry().shape());
                return Err(AugmentError::GridMismatch { image, labels });
            }
        }
        Ok(())
    }
}

/// Mean of the values that are brain tissue, HU; `None` of too few.
pub(crate) fn tissue_hu(values: impl Iterator<Item = f32>) -> Option<f64> {
    let tissue = values.filter(|hu| TISSUE_HU.contains(hu));
    let (n, sum) = tissue.fold((0, 0.0), |(n, sum), hu| (n + 1, sum + f64::from(hu)));
    (n >= MIN_RING).then(|| sum / n as f64)
}

/// How much of each voxel is carried, with its place: all of the lesion, and of the voxel beside it what its
/// softened label says.
fn shares(lesion: &[bool], geometry: &Geometry) -> Result<Vec<(usize, f32)>, AugmentError> {
    let inside = lesion.iter().map(|inside| f32::from(u8::from(*inside))).collect();
    let soft = Image::new(*geometry, inside)?;
    let soft = soft.blur_mm(geometry.spacing_mm().map(|mm| SOFT_VOXELS * mm));
    let share =
        |place: usize| if lesion[place] { 1.0 } else { (2.0 * soft.voxels()[place]).min(1.0) };
    let reach = reach(lesion, geometry);
    let shares = reach.into_iter().map(|place| (place, share(place)));
    Ok(shares.filter(|(_, share)| *share >= FAINTEST).collect())
}

/// The voxels of the lesion and of the rim around it.
fn reach(lesion: &[bool], geometry: &Geometry) -> Vec<usize> {
    let [n_d, n_h, n_w] = geometry.shape();
    let near = |place: usize| {
        let [d, h, w] = [place / (n_h * n_w), place / n_w % n_h, place % n_w];
        let span = |i: usize, n: usize| i.saturating_sub(RIM)..(i + RIM + 1).min(n);
        span(d, n_d)
            .any(|d| span(h, n_h).any(|h| span(w, n_w).any(|w| lesion[geometry.offset([d, h, w])])))
    };
    (0..lesion.len()).filter(|place| near(*place)).collect()
}

/// The index nearest to the middle of a mask that is not empty.
fn middle(mask: &[bool], geometry: &Geometry) -> [i64; 3] {
    let inside = (0..mask.len()).filter(|place| mask[*place]);
    let (mut n, mut sums) = (0, [0; 3]);
    for place in inside {
        n += 1;
        let at = from([0; 3], place, geometry);
        sums = std::array::from_fn(|a| sums[a] + at[a]);
    }
    sums.map(|sum| (sum + n / 2) / n.max(1))
}

/// The index of a place, counted from another.
fn from(origin: [i64; 3], place: usize, geometry: &Geometry) -> [i64; 3] {
    let [_, n_h, n_w] = geometry.shape();
    let index = [place / (n_h * n_w), place / n_w % n_h, place % n_w];
    std::array::from_fn(|a| index[a] as i64 - origin[a])
}
