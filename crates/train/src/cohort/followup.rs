use hemex_artifacts::nifti;
use hemex_volume::{LabelMap, Lesion};

use super::{FOLLOWUP, Reader};
use crate::TrainError;

impl Reader<'_> {
    /// Sets [`FOLLOWUP`] in the labels of a case where its hematoma lies at follow-up, if the network is to tell that and
    /// a mask says it; gives whether it does.
    pub(super) fn mark_followup(
        &self,
        case_id: &str,
        labels: &mut LabelMap,
    ) -> Result<bool, TrainError> {
        let path = self.labels.get(case_id).and_then(|row| row.followup_mask.as_ref());
        let Some(path) = path.filter(|_| self.fold.spec.followup()) else { return Ok(false) };
        let followup = nifti::read_label_map(&self.labels_folder.join(path))?;
        if !followup.geometry().is_same_grid(labels.geometry()) {
            let problem = "its follow-up mask and its image are on different grids: the column `followup_mask` of \
                           labels.csv names masks on the grid of the baseline scan";
            let (case_id, problem) = (case_id.to_owned(), problem.to_owned());
            return Err(TrainError::Case { case_id, problem });
        }
        for (label, followup) in labels.voxels_mut().iter_mut().zip(followup.voxels()) {
            if *followup == Lesion::Intraparenchymal as u8 {
                *label |= FOLLOWUP;
            }
        }
        Ok(true)
    }
}
