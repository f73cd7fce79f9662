use std::collections::{BTreeMap, BTreeSet};

use hemex_model::Extent;
use hemex_volume::{Image, LabelMap};
use rayon::prelude::*;

use super::{BRAIN, Reader, TrainCase};
use crate::TrainError;

/// A case of the target domain: nothing of it is read but the scan.
pub(crate) struct TargetCase {
    case_id: String,
    image: Image,
    /// [`BRAIN`] within the brain, no lesion.
    labels: LabelMap,
    extent: Extent,
    brain: Vec<Vec<u32>>,
}

/// A case of either domain, as far as no label tells of it.
#[derive(Clone, Copy)]
pub(crate) struct Unlabelled<'a> {
    pub(crate) case_id: &'a str,
    pub(crate) image: &'a Image,
    /// [`BRAIN`] set within the brain; whatever else is set is not to be looked at.
    pub(crate) labels: &'a LabelMap,
    /// Where windows lie.
    pub(crate) extent: &'a Extent,
    /// Voxels of the brain, a list each slice, within the slices of the role.
    pub(crate) brain: &'a [Vec<u32>],
}

impl TargetCase {
    pub(crate) fn unlabelled(&self) -> Unlabelled<'_> {
        let Self { case_id, image, labels, extent, brain } = self;
        Unlabelled { case_id, image, labels, extent, brain }
    }
}

impl TrainCase {
    pub(crate) fn unlabelled(&self) -> Unlabelled<'_> {
        let Self { case_id, image, labels, extent, brain, .. } = self;
        Unlabelled { case_id, image, labels, extent, brain }
    }
}

impl Reader<'_> {
    /// The target cases of the fold; their rows and masks in `labels/1` are left alone.
    pub(super) fn targets(
        &self,
        units: BTreeMap<String, BTreeSet<usize>>,
    ) -> Result<Vec<TargetCase>, TrainError> {
        if units.is_empty() {
            let (regime, fold) = (self.fold.regime.name(), self.fold.fold);
            return Err(TrainError::NoTarget { regime, fold });
        }
        let units: Vec<_> = units.into_iter().collect();
        units.par_iter().map(|(id, slices)| self.target_case(id, slices)).collect()
    }

    fn target_case(
        &self,
        case_id: &str,
        slices: &BTreeSet<usize>,
    ) -> Result<TargetCase, TrainError> {
        let (image, mut labels) = (self.cases.image(case_id)?, self.cases.brain(case_id)?);
        if !labels.geometry().is_same_grid(image.geometry()) {
            let problem = "its brain mask and its image are on different grids".to_owned();
            return Err(TrainError::Case { case_id: case_id.to_owned(), problem });
        }
        let extent = self.fold.spec.input().extent(&labels);
        labels.voxels_mut().iter_mut().for_each(|v| *v = if *v > 0 { BRAIN } else { 0 });
        let brain = brain_by_slice(case_id, &labels, slices)?;
        Ok(TargetCase { case_id: case_id.to_owned(), image, labels, extent, brain })
    }
}

/// Voxels of the brain, a list each slice that has any; within `slices`, if any is named.
pub(super) fn brain_by_slice(
    case_id: &str,
    labels: &LabelMap,
    slices: &BTreeSet<usize>,
) -> Result<Vec<Vec<u32>>, TrainError> {
    let [_, h, w] = labels.geometry().shape();
    let in_slice = labels.voxels().chunks_exact(h * w).enumerate();
    let brain: Vec<Vec<u32>> = in_slice
        .filter(|(slice, _)| slices.is_empty() || slices.contains(slice))
        .map(|(slice, labels)| {
            let places = labels.iter().enumerate().filter(|(_, label)| **label & BRAIN > 0);
            places.map(|(place, _)| (slice * h * w + place) as u32).collect::<Vec<u32>>()
        })
        .filter(|voxels| !voxels.is_empty())
        .collect();
    if brain.is_empty() {
        let problem = "its brain mask is empty within the slices that train".to_owned();
        return Err(TrainError::Case { case_id: case_id.to_owned(), problem });
    }
    Ok(brain)
}
