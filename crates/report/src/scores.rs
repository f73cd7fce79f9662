//! Clinical scores of growth, from the columns of a case.
//!
//! HEP (Yao et al., Neurocrit Care 2015) is not among them: its points stand in the paper alone.

use hemex_artifacts::{CaseRow, ClinicalRow};

/// What scores are computed from.
#[derive(Debug, Clone, Copy)]
pub struct ScoreInputs<'a> {
    /// The case.
    pub case: &'a CaseRow,
    /// Its further columns, if the cohort has them.
    pub clinical: Option<&'a ClinicalRow>,
    /// Volume of the hematoma at baseline, mL.
    pub volume_ml: Option<f64>,
    /// Blend sign, as a person saw it or else as measured.
    pub blend: Option<bool>,
    /// Any hypodensity, likewise.
    pub hypodensity: Option<bool>,
}

/// A score and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct ClinicalScore {
    /// Its name.
    pub name: &'static str,
    /// Its source.
    pub source: &'static str,
    /// What it asks for, in the words of the tables.
    pub inputs: &'static [&'static str],
    /// The score; `None` where an input is not known.
    pub of: fn(&ScoreInputs<'_>) -> Option<f64>,
}

/// All scores, the plainest first.
pub const SCORES: [ClinicalScore; 4] = [
    ClinicalScore {
        name: "volume",
        source: "hematoma volume at baseline alone",
        inputs: &["baseline_volume_ml"],
        of: |inputs| inputs.volume_ml,
    },
    ClinicalScore {
        name: "BAT",
        source: "Morotti et al., Stroke 2018; 49: 1163; signs as read, else as measured",
        inputs: &["blend", "hypodensity", "onset_to_ct_h"],
        of: bat,
    },
    ClinicalScore {
        name: "BRAIN",
        source: "Wang et al., Stroke 2015; 46: 376",
        inputs: &["baseline_volume_ml", "prior_ich", "anticoagulation", "ivh", "onset_to_ct_h"],
        of: brain,
    },
    ClinicalScore {
        name: "9-point",
        source: "Brouwers et al., JAMA Neurol 2014; 71: 158",
        inputs: &["anticoagulation", "onset_to_ct_h", "baseline_volume_ml", "spot_sign"],
        of: nine_point,
    },
];

/// BAT, 0 to 5: blend sign, any hypodensity, time from onset to CT below 2.5 h.
fn bat(inputs: &ScoreInputs<'_>) -> Option<f64> {
    let early = inputs.case.onset_to_ct_h? < 2.5;
    let signs = points(inputs.blend?, 1) + points(inputs.hypodensity?, 2);
    Some(f64::from(signs + points(early, 2)))
}

/// BRAIN, 0 to 24: baseline volume, recurrent hemorrhage, anticoagulation with warfarin (here any anticoagulant),
/// intraventricular extension, number of hours from onset to CT.
fn brain(inputs: &ScoreInputs<'_>) -> Option<f64> {
    let volume_ml = inputs.volume_ml?;
    let volume = if volume_ml <= 10.0 {
        0
    } else if volume_ml <= 20.0 {
        5
    } else {
        7
    };
    // One point less an hour, none from the sixth on.
    let hours = (5.0 - (inputs.case.onset_to_ct_h?.ceil() - 1.0)).clamp(0.0, 5.0);
    let recurrent = points(inputs.clinical?.prior_ich?, 4);
    let anticoagulation = points(inputs.case.anticoagulation?, 6);
    let ventricles = points(inputs.case.ivh?, 2);
    Some(f64::from(volume + recurrent + anticoagulation + ventricles) + hours)
}

/// The 9-point score: warfarin (here any anticoagulant), CT within 6 h, volume, CTA spot sign, which counts 1
/// where no angiography was made.
fn nine_point(inputs: &ScoreInputs<'_>) -> Option<f64> {
    let volume_ml = inputs.volume_ml?;
    let volume = if volume_ml < 30.0 {
        0
    } else if volume_ml <= 60.0 {
        1
    } else {
        2
    };
    // Without the further columns nobody knows whether there was an angiography.
    let spot_sign = inputs.clinical?.spot_sign.map_or(1, |seen| points(seen, 3));
    let anticoagulation = points(inputs.case.anticoagulation?, 2);
    let early = points(inputs.case.onset_to_ct_h? <= 6.0, 2);
    Some(f64::from(volume + spot_sign + anticoagulation + early))
}

fn points(present: bool, points: i32) -> i32 {
    if present { points } else { 0 }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn case(onset_to_ct_h: f64, anticoagulation: bool, ivh: bool) -> CaseRow {
        let columns = "case-1,p,A,,,{onset},{drug},,{ivh},nifti,5,1,1,,,,,";
        let flag = |flag: bool| u8::from(flag).to_string();
        let row = columns
            .replace("{onset}", &onset_to_ct_h.to_string())
            .replace("{drug}", &flag(anticoagulation))
            .replace("{ivh}", &flag(ivh));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cases.csv");
        std::fs::write(&path, format!("{}\n{row}\n", CaseRow::COLUMNS.join(","))).unwrap();
        hemex_artifacts::table::read_rows(&path).unwrap().remove(0)
    }

    fn inputs(case: &CaseRow) -> ScoreInputs<'_> {
        ScoreInputs { case, clinical: None, volume_ml: None, blend: None, hypodensity: None }
    }

    fn score(name: &str, case: &CaseRow, clinical: &ClinicalRow, volume_ml: f64) -> Option<f64> {
        let score = SCORES.iter().find(|score| score.name == name).unwrap();
        let clinical = Some(clinical);
        (score.of)(&ScoreInputs { case, clinical, volume_ml: Some(volume_ml), ..inputs(case) })
    }

    /// Worked out by hand from the tables of the papers.
    #[test]
    fn points_are_those_of_the_tables() {
        let known = |prior_ich, spot_sign| ClinicalRow {
            prior_ich: Some(prior_ich),
            spot_sign,
            ..ClinicalRow::default()
        };
        let (worst, best) = (known(true, Some(true)), known(false, Some(false)));
        assert_eq!(score("BRAIN", &case(0.8, true, true), &worst, 25.0), Some(24.0));
        assert_eq!(score("BRAIN", &case(5.1, false, false), &best, 10.0), Some(0.0));
        for (hours, expected) in [(1.0, 5.0), (1.1, 4.0), (2.5, 3.0), (4.0, 2.0), (4.6, 1.0)] {
            let found = score("BRAIN", &case(hours, false, false), &best, 5.0);
            assert_eq!(found, Some(expected), "{hours} h");
        }
        assert_eq!(score("BRAIN", &case(9.0, false, false), &best, 15.0), Some(5.0));
        assert_eq!(score("9-point", &case(6.0, true, false), &worst, 61.0), Some(9.0));
        assert_eq!(score("9-point", &case(6.1, false, false), &best, 29.9), Some(0.0));
        assert_eq!(
            score("9-point", &case(7.0, false, false), &known(false, None), 30.0),
            Some(2.0)
        );
    }

    #[test]
    fn bat_counts_signs_and_early_scans() {
        let bat = |hours, blend, hypodensity| {
            let case = case(hours, false, false);
            let (blend, hypodensity) = (Some(blend), Some(hypodensity));
            bat(&ScoreInputs { blend, hypodensity, ..inputs(&case) })
        };
        assert_eq!(bat(2.4, true, true), Some(5.0));
        assert_eq!(bat(2.5, true, false), Some(1.0));
        assert_eq!(bat(9.0, false, true), Some(2.0));
        assert_eq!(bat(1.0, false, false), Some(2.0));
    }

    #[test]
    fn an_unknown_input_leaves_the_score_unknown() {
        let unknown = ClinicalRow::default();
        assert_eq!(score("BRAIN", &case(1.0, true, true), &unknown, 25.0), None);
        let case = case(1.0, true, true);
        assert!(SCORES.iter().all(|score| (score.of)(&inputs(&case)).is_none()));
        let one_sign = ScoreInputs { blend: Some(true), ..inputs(&case) };
        assert_eq!(bat(&one_sign), None);
    }
}
