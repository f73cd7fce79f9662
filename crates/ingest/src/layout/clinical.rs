use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::{ClinicalRow, Sex, SignRow};

use super::sheet::Sheet;
use crate::{IngestError, Unusable};

/// The table of participants at a dataset's root.
pub(super) const PARTICIPANTS: &str = "participants.tsv";

/// The rows of `participants.tsv` by what `name` makes of their `participant_id`; none without the table.
pub(super) fn by_participant(
    root: &Path,
    name: impl Fn(&str) -> String,
) -> Result<BTreeMap<String, Result<Clinical, Unusable>>, IngestError> {
    let mut rows = BTreeMap::new();
    if !root.join(PARTICIPANTS).is_file() {
        return Ok(rows);
    }
    const ID: &str = "participant_id";
    let sheet = Sheet::read(root, PARTICIPANTS)?;
    sheet.require(ID)?;
    let mut first_line = BTreeMap::new();
    for row in 0..sheet.n_rows() {
        let line = sheet.line(row);
        let Some(id) = sheet.cell(row, ID).map(&name) else {
            let problem = format!("line {line} has no `{ID}`");
            return Err(IngestError::Table { table: PARTICIPANTS.to_owned(), problem });
        };
        let mut clinical = Clinical::from_row(&sheet, row);
        if let Some(first) = first_line.insert(id.clone(), line) {
            let lines = [first, line];
            clinical = Err(Unusable::TwoRows { table: PARTICIPANTS.to_owned(), lines });
        }
        rows.insert(id, clinical);
    }
    Ok(rows)
}

/// What the dataset's table says of a case, each under the column of its name; an empty cell, `n/a` or a
/// missing column is unknown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clinical {
    /// `patient`: the dataset's name of the patient, where its ids name scans and a patient may have several.
    pub patient: Option<String>,
    /// `site`: where the scan was made.
    pub site: Option<String>,
    /// `age` (or `age_years`): years, 0 to 130.
    pub age_years: Option<f64>,
    /// `sex`: M or F (or a word that begins so); anything else is unknown.
    pub sex: Option<Sex>,
    /// `onset_to_ct_h`: hours from onset of symptoms to the baseline scan.
    pub onset_to_ct_h: Option<f64>,
    /// `anticoagulation`: 0 or 1, no or yes.
    pub anticoagulation: Option<bool>,
    /// `gcs`: Glasgow Coma Scale, 3 to 15.
    pub gcs: Option<f64>,
    /// `ivh`: 0 or 1, no or yes.
    pub ivh: Option<bool>,
    /// `antiplatelet`: 0 or 1, no or yes.
    pub antiplatelet: Option<bool>,
    /// `prior_ich`: an intracerebral hemorrhage before this one, 0 or 1, no or yes.
    pub prior_ich: Option<bool>,
    /// `dementia`: 0 or 1, no or yes.
    pub dementia: Option<bool>,
    /// `smoker`: a current smoker, 0 or 1, no or yes.
    pub smoker: Option<bool>,
    /// `subarachnoid`: blood in the subarachnoid space, 0 or 1, no or yes.
    pub subarachnoid: Option<bool>,
    /// `spot_sign`: a spot sign on CT angiography, 0 or 1, no or yes.
    pub spot_sign: Option<bool>,
    /// Signs that a person saw on the baseline scan: `black_hole`, `hypodensity`, `blend`, `fluid_level`, `swirl`,
    /// `satellite`, `island`, `irregular`: 0 or 1, no or yes. The row names no case yet.
    pub signs: SignRow,
    /// `followup_interval_h`: hours from the baseline to the follow-up scan.
    pub followup_interval_h: Option<f64>,
    /// `surgery_before_followup`: 0 or 1, no or yes.
    pub surgery_before_followup: Option<bool>,
    /// `growth`: 0 or 1, no or yes.
    pub growth: Option<bool>,
    /// `baseline_datetime`: as written; goes to `private` alone.
    pub baseline_datetime: Option<String>,
    /// `followup_datetime`: as written; goes to `private` alone.
    pub followup_datetime: Option<String>,
}

impl Clinical {
    /// The columns of a row.
    pub(super) fn from_row(sheet: &Sheet, row: usize) -> Result<Self, Unusable> {
        let text = |column| sheet.cell(row, column).map(str::to_owned);
        let hours =
            |column| sheet.parsed(row, column, "hours from 0", |t| number(t).filter(|h| *h >= 0.0));
        let yes_no = |column| sheet.parsed(row, column, "0 or 1", flag);
        let age_column = if sheet.cell(row, "age").is_some() { "age" } else { "age_years" };
        Ok(Self {
            patient: text("patient"),
            site: text("site"),
            age_years: sheet.parsed(row, age_column, "years from 0 to 130", |t| {
                number(t).filter(|age| (0.0..=130.0).contains(age))
            })?,
            sex: sheet.cell(row, "sex").and_then(sex),
            onset_to_ct_h: hours("onset_to_ct_h")?,
            anticoagulation: yes_no("anticoagulation")?,
            gcs: sheet.parsed(row, "gcs", "a number from 3 to 15", |t| {
                number(t).filter(|gcs| (3.0..=15.0).contains(gcs))
            })?,
            ivh: yes_no("ivh")?,
            antiplatelet: yes_no("antiplatelet")?,
            prior_ich: yes_no("prior_ich")?,
            dementia: yes_no("dementia")?,
            smoker: yes_no("smoker")?,
            subarachnoid: yes_no("subarachnoid")?,
            spot_sign: yes_no("spot_sign")?,
            signs: SignRow {
                case_id: String::new(),
                black_hole: yes_no("black_hole")?,
                hypodensity: yes_no("hypodensity")?,
                blend: yes_no("blend")?,
                fluid_level: yes_no("fluid_level")?,
                swirl: yes_no("swirl")?,
                satellite: yes_no("satellite")?,
                island: yes_no("island")?,
                irregular: yes_no("irregular")?,
            },
            followup_interval_h: hours("followup_interval_h")?,
            surgery_before_followup: yes_no("surgery_before_followup")?,
            growth: yes_no("growth")?,
            baseline_datetime: text("baseline_datetime"),
            followup_datetime: text("followup_datetime"),
        })
    }
}

impl Clinical {
    /// What of it holds for any scan of the patient, not for that at baseline alone.
    pub(super) fn of_patient(self) -> Self {
        Self {
            patient: self.patient,
            site: self.site,
            age_years: self.age_years,
            sex: self.sex,
            anticoagulation: self.anticoagulation,
            antiplatelet: self.antiplatelet,
            prior_ich: self.prior_ich,
            dementia: self.dementia,
            smoker: self.smoker,
            ..Self::default()
        }
    }

    /// What clinical scores ask for beside the table of cases; `None` if nothing of it is known.
    pub(crate) fn row(&self, case_id: &str) -> Option<ClinicalRow> {
        let row = ClinicalRow {
            case_id: case_id.to_owned(),
            antiplatelet: self.antiplatelet,
            prior_ich: self.prior_ich,
            dementia: self.dementia,
            smoker: self.smoker,
            subarachnoid: self.subarachnoid,
            spot_sign: self.spot_sign,
        };
        (!row.is_empty()).then_some(row)
    }
}

impl Clinical {
    /// The signs that a person saw; `None` if nobody looked.
    pub(crate) fn sign_row(&self, case_id: &str) -> Option<SignRow> {
        let row = SignRow { case_id: case_id.to_owned(), ..self.signs.clone() };
        (!row.is_empty()).then_some(row)
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "1.0" | "yes" | "y" | "true" => Some(true),
        "0" | "0.0" | "no" | "n" | "false" => Some(false),
        _ => None,
    }
}

fn sex(text: &str) -> Option<Sex> {
    match text.to_ascii_lowercase().as_str() {
        "m" | "male" => Some(Sex::M),
        "f" | "female" => Some(Sex::F),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn row(text: &str) -> Result<Clinical, Unusable> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("participants.tsv"), text).unwrap();
        Clinical::from_row(&Sheet::read(folder.path(), "participants.tsv").unwrap(), 0)
    }

    #[test]
    fn known_columns_are_read_and_others_ignored() {
        let header = "participant_id\tsite\tage\tsex\tgcs\tivh\tgrowth\tshoe_size\tonset_to_ct_h\t\
            prior_ich\tspot_sign\tblend\n";
        let clinical =
            row(&format!("{header}007\tA\t71.5\tfemale\tn/a\t1\t0\tlarge\t\t0\tn/a\t1\n")).unwrap();
        let scores = clinical.row("case-7").unwrap();
        assert_eq!((scores.prior_ich, scores.spot_sign), (Some(false), None));
        assert_eq!(Clinical { prior_ich: None, ..clinical.clone() }.row("case-7"), None);
        let signs = clinical.sign_row("case-7").unwrap();
        assert_eq!(
            (signs.case_id.as_str(), signs.blend, signs.island),
            ("case-7", Some(true), None)
        );
        assert_eq!(Clinical::default().sign_row("case-7"), None);
        assert_eq!(clinical.site.as_deref(), Some("A"));
        assert_eq!((clinical.age_years, clinical.sex), (Some(71.5), Some(Sex::F)));
        assert_eq!((clinical.gcs, clinical.ivh), (None, Some(true)));
        assert_eq!((clinical.growth, clinical.onset_to_ct_h), (Some(false), None));
        assert_eq!(clinical.anticoagulation, None, "a column that is not there is unknown");
    }

    #[test]
    fn a_malformed_cell_names_line_and_column_but_not_its_text() {
        for (column, text) in
            [("age", "Miller"), ("age", "-3"), ("gcs", "2"), ("ivh", "2"), ("onset_to_ct_h", "inf")]
        {
            let problem = row(&format!("participant_id\t{column}\nsub-1\t{text}\n")).unwrap_err();
            let message = problem.to_string();
            let start = format!("participants.tsv line 2, column `{column}`: expected ");
            assert!(message.starts_with(&start), "{message}");
            assert!(!message.contains("Miller"), "{message}");
        }
    }
}
