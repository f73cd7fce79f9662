//! A hematoma of one case planted into another.

use hemex_stage::{ConfigError, DrawKey, check_fraction, check_range};
use hemex_volume::{Geometry, Image, LabelMap, distance_mm};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::donor::tissue_hu;
use crate::{AugmentError, CaseView, Donor, GrowthRule};

/// Transplants as written in a config.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTransplant {
    /// How often a hematoma of another patient is planted.
    pub probability: f64,
    /// How far its voxels keep from the edge of the brain, mm.
    pub edge_mm: f64,
    /// How far they keep from what is labelled already, mm.
    pub gap_mm: f64,
    /// Below this value lies fluid, HU.
    pub csf_hu: f64,
    /// Largest share of its voxels that may fall on fluid.
    pub csf_share: f64,
    /// How many places are tried.
    pub n_tries: usize,
}

/// The checked limits of transplants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TransplantPolicy {
    probability: f64,
    edge_mm: f64,
    gap_mm: f64,
    csf_hu: f64,
    csf_share: f64,
    n_tries: usize,
}

/// Where a case can take a hematoma; found once a case, for any number of draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenVoxels {
    /// Whether a planted lesion may fill a voxel.
    open: Vec<bool>,
    /// Those it may.
    places: Vec<usize>,
}

/// What came of a draw.
#[derive(Debug, Clone, PartialEq)]
pub enum TransplantDraw<'a> {
    /// Not this time.
    None,
    /// No donor of another patient on such a grid was handed in.
    NoDonor,
    /// The donor found no admissible place in as many tries as the config allows.
    NoPlace {
        /// The donor's case.
        donor_case_id: String,
    },
    /// To be applied.
    Placed {
        /// What was drawn.
        drawn: DrawnTransplant,
        /// The donor it names.
        donor: &'a Donor,
    },
}

/// A transplant with every parameter that was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawnTransplant {
    /// The case the hematoma comes from.
    pub donor_case_id: String,
    /// Whether left and right are exchanged.
    pub flip: bool,
    /// The index `[D, H, W]` to which the middle of the hematoma goes.
    pub to: [usize; 3],
}

/// Where a planted hematoma came from and went to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransplantProvenance {
    /// What was drawn.
    pub drawn: DrawnTransplant,
    /// The patient of the hematoma.
    pub donor_patient_id: String,
    /// The case it was planted into.
    pub recipient_case_id: String,
    /// Its patient.
    pub recipient_patient_id: String,
    /// Mean of the tissue around the hematoma where it was, HU.
    pub donor_tissue_hu: f64,
    /// Mean of the tissue around it where it went, HU; its densities follow.
    pub recipient_tissue_hu: f64,
}

/// A case with the planted hematoma.
#[derive(Debug, Clone, PartialEq)]
pub struct Transplanted {
    /// The image.
    pub image: Image,
    /// The labels, those of the planted lesion among them.
    pub labels: LabelMap,
    /// Volumes of both hematomas together at baseline and at follow-up, mL, where all are known.
    pub volumes_ml: Option<[f64; 2]>,
    /// Both cases and patients.
    pub provenance: TransplantProvenance,
}

impl RawTransplant {
    /// Plants nothing.
    pub const NOTHING: Self = Self {
        probability: 0.0,
        edge_mm: 4.0,
        gap_mm: 5.0,
        csf_hu: 16.0,
        csf_share: 0.05,
        n_tries: 200,
    };
}

impl TryFrom<RawTransplant> for TransplantPolicy {
    type Error = ConfigError;

    fn try_from(raw: RawTransplant) -> Result<Self, ConfigError> {
        check_range("n_tries", raw.n_tries as f64, 1.0..=100_000.0)?;
        Ok(Self {
            probability: check_fraction("probability", raw.probability)?,
            edge_mm: check_range("edge_mm", raw.edge_mm, 0.0..=50.0)?,
            gap_mm: check_range("gap_mm", raw.gap_mm, 0.0..=100.0)?,
            csf_hu: check_range("csf_hu", raw.csf_hu, -100.0..=50.0)?,
            csf_share: check_fraction("csf_share", raw.csf_share)?,
            n_tries: raw.n_tries,
        })
    }
}

/// How far each column of the grid lies from the plane through the brain's centre, mm; at least half a voxel, so
/// that with no distance asked for nothing is lost.
fn to_midline_mm(brain: &LabelMap) -> Vec<f32> {
    let n_w = brain.geometry().shape()[2];
    let w_mm = brain.geometry().spacing_mm()[2];
    let inside = brain.voxels().iter().enumerate().filter(|(_, label)| **label > 0);
    let (n, sum) =
        inside.fold((0, 0.0), |(n, sum), (place, _)| (n + 1, sum + (place % n_w) as f64));
    let middle = sum / f64::from(n.max(1));
    (0..n_w).map(|w| ((w as f64 - middle).abs().max(0.5) * w_mm) as f32).collect()
}

impl TransplantPolicy {
    /// Whether anything is ever planted.
    pub fn is_on(&self) -> bool {
        self.probability > 0.0
    }

    /// Finds the voxels of a case that a planted lesion may fill: in the brain, away from its edge, from the
    /// plane between the hemispheres (through the brain's centre, across `W`) and from every label.
    ///
    /// # Errors
    /// [`AugmentError::GridMismatch`] if the volumes of the case lie on different grids.
    pub fn open_voxels(&self, case: &CaseView<'_>) -> Result<OpenVoxels, AugmentError> {
        case.check_grids()?;
        let geometry = case.image.geometry();
        let outside: Vec<bool> = case.brain.voxels().iter().map(|label| *label == 0).collect();
        let labelled: Vec<bool> = case.labels.voxels().iter().map(|label| *label > 0).collect();
        let [to_edge, to_label] =
            [distance_mm(&outside, geometry)?, distance_mm(&labelled, geometry)?];
        let (edge_mm, gap_mm) = (self.edge_mm as f32, self.gap_mm as f32);
        let to_midline = to_midline_mm(case.brain);
        let distances = to_edge.iter().zip(&to_label).enumerate();
        let open = distances.map(|(place, (edge, label))| {
            let edge = edge.min(to_midline[place % to_midline.len()]);
            edge > 0.0 && edge >= edge_mm && *label > 0.0 && *label >= gap_mm
        });
        let open: Vec<bool> = open.collect();
        let places = (0..open.len()).filter(|place| open[*place]).collect();
        Ok(OpenVoxels { open, places })
    }

    /// Draws a donor of another patient, an orientation and a place in a case whose open voxels were found by
    /// this policy. The key must be of its own purpose: other draws
    /// then stay as they are.
    ///
    /// A place is admissible if every voxel of the lesion falls on an open voxel of the recipient, no more of
    /// them on fluid than allowed, and there is tissue around to relate densities to.
    pub fn draw<'a>(
        &self,
        key: &DrawKey,
        case: &CaseView<'_>,
        open: &OpenVoxels,
        donors: &'a [Donor],
    ) -> TransplantDraw<'a> {
        let rng = &mut key.rng();
        if !rng.random_bool(self.probability) {
            return TransplantDraw::None;
        }
        let geometry = case.image.geometry();
        let others: Vec<&'a Donor> = donors
            .iter()
            .filter(|donor| donor.patient_id != case.patient_id && donor.fits(geometry))
            .collect();
        if others.is_empty() {
            return TransplantDraw::NoDonor;
        }
        let donor = others[rng.random_range(0..others.len())];
        let flip = rng.random_bool(0.5);
        let donor_case_id = donor.case_id.clone();
        let places = &open.places;
        let [_, n_h, n_w] = geometry.shape();
        for _ in 0..self.n_tries {
            if places.is_empty() {
                break;
            }
            let place = places[rng.random_range(0..places.len())];
            let to = [place / (n_h * n_w), place / n_w % n_h, place % n_w];
            let graft = Graft { donor, flip, to, geometry };
            if self.admits(case, open, &graft) {
                let drawn = DrawnTransplant { donor_case_id, flip, to };
                return TransplantDraw::Placed { drawn, donor };
            }
        }
        TransplantDraw::NoPlace { donor_case_id }
    }

    fn admits(&self, case: &CaseView<'_>, open: &OpenVoxels, graft: &Graft<'_>) -> bool {
        let lesion = graft.donor.voxels.iter().filter(|voxel| voxel.label > 0);
        let (mut n, mut n_csf) = (0usize, 0usize);
        for voxel in lesion {
            let Some(place) = graft.place(voxel.at).filter(|place| open.open[*place]) else {
                return false;
            };
            n += 1;
            n_csf += usize::from(f64::from(case.image.voxels()[place]) < self.csf_hu);
        }
        n_csf as f64 <= self.csf_share * n as f64 && graft.tissue_hu(case).is_some()
    }
}

impl DrawnTransplant {
    /// Plants the donor into the case: densities keep their difference to the tissue around them, the edge is
    /// blended over about one voxel, labels are written. Values stay within `window_hu`. Voxels that the donor does not
    /// reach are left as they are, to the last bit.
    ///
    /// # Errors
    /// [`AugmentError::Transplant`] if the donor is not the one that was drawn, is of the recipient's own patient,
    /// does not lie on such a grid, or reaches beyond it, over a label or where there is no tissue.
    pub fn apply(
        &self,
        donor: &Donor,
        case: &CaseView<'_>,
        window_hu: [f32; 2],
    ) -> Result<Transplanted, AugmentError> {
        let refused = |problem: &'static str| AugmentError::Transplant {
            donor_case_id: donor.case_id.clone(),
            recipient_case_id: case.case_id.to_owned(),
            problem,
        };
        case.check_grids()?;
        let geometry = case.image.geometry();
        let graft = Graft { donor, flip: self.flip, to: self.to, geometry };
        if donor.case_id != self.donor_case_id {
            return Err(refused("another donor was drawn"));
        }
        if donor.patient_id == case.patient_id {
            return Err(refused("both are of one patient"));
        }
        if !donor.fits(geometry) {
            return Err(refused("their grids differ in spacing"));
        }
        let tissue_hu =
            graft.tissue_hu(case).ok_or_else(|| refused("there is no tissue around the place"))?;
        let (mut image, mut labels) = (case.image.clone(), case.labels.clone());
        for voxel in &donor.voxels {
            let Some(place) = graft.place(voxel.at) else {
                if voxel.label > 0 {
                    return Err(refused("the place lies partly outside the grid"));
                }
                continue;
            };
            let is_free = case.labels.voxels()[place] == 0 && case.brain.voxels()[place] > 0;
            if voxel.label > 0 && !is_free {
                return Err(refused("the place is labelled already or outside the brain"));
            }
            if !is_free {
                continue;
            }
            let value = &mut image.voxels_mut()[place];
            let planted = voxel.relative_hu + tissue_hu as f32;
            *value = (*value + voxel.share * (planted - *value)).clamp(window_hu[0], window_hu[1]);
            if voxel.label > 0 {
                labels.voxels_mut()[place] = voxel.label;
            }
        }
        Ok(Transplanted {
            image,
            labels,
            volumes_ml: summed(donor.volumes_ml, case.volumes_ml),
            provenance: TransplantProvenance {
                drawn: self.clone(),
                donor_patient_id: donor.patient_id.clone(),
                recipient_case_id: case.case_id.to_owned(),
                recipient_patient_id: case.patient_id.to_owned(),
                donor_tissue_hu: donor.tissue_hu,
                recipient_tissue_hu: tissue_hu,
            },
        })
    }
}

impl Transplanted {
    /// Whether both hematomas together grew, by the rule; `None` where a volume is not known: the outcome of a
    /// case with a hematoma planted into it is then undefined.
    pub fn grew(&self, rule: &GrowthRule) -> Option<bool> {
        rule.grew(self.volumes_ml?)
    }
}

/// Volumes of two hematomas together, where all are known.
fn summed(one: [Option<f64>; 2], other: [Option<f64>; 2]) -> Option<[f64; 2]> {
    let sum = |k: usize| Some(one[k]? + other[k]?);
    Some([sum(0)?, sum(1)?])
}

/// A donor at a place.
struct Graft<'a> {
    donor: &'a Donor,
    flip: bool,
    to: [usize; 3],
    geometry: &'a Geometry,
}

impl Graft<'_> {
    /// The voxel of the recipient for one of the donor's, if it has one there.
    fn place(&self, at: [i64; 3]) -> Option<usize> {
        let shape = self.geometry.shape();
        let w = if self.flip { -at[2] } else { at[2] };
        let index = [at[0], at[1], w];
        let mut found = [0; 3];
        for a in 0..3 {
            let i = self.to[a] as i64 + index[a];
            found[a] = usize::try_from(i).ok().filter(|i| *i < shape[a])?;
        }
        Some(self.geometry.offset(found))
    }

    /// Mean of the recipient's tissue where the donor's surroundings would lie, HU.
    fn tissue_hu(&self, case: &CaseView<'_>) -> Option<f64> {
        let places = self.donor.ring.iter().filter_map(|at| self.place(*at));
        let tissue = places
            .filter(|place| case.brain.voxels()[*place] > 0 && case.labels.voxels()[*place] == 0);
        tissue_hu(tissue.map(|place| case.image.voxels()[place]))
    }
}
