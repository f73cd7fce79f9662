use hemex_augment::TransplantProvenance;
use serde::{Deserialize, Serialize};

/// A row of `transplants.csv`: whose hematoma was planted into whom, and trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TransplantRow {
    epoch: usize,
    step: usize,
    donor_case_id: String,
    donor_patient_id: String,
    recipient_case_id: String,
    recipient_patient_id: String,
}

impl TransplantRow {
    pub(crate) const COLUMNS: [&str; 6] = [
        "epoch",
        "step",
        "donor_case_id",
        "donor_patient_id",
        "recipient_case_id",
        "recipient_patient_id",
    ];

    pub(crate) fn of(epoch: usize, step: usize, planted: &TransplantProvenance) -> Self {
        Self {
            epoch,
            step,
            donor_case_id: planted.drawn.donor_case_id.clone(),
            donor_patient_id: planted.donor_patient_id.clone(),
            recipient_case_id: planted.recipient_case_id.clone(),
            recipient_patient_id: planted.recipient_patient_id.clone(),
        }
    }
}
