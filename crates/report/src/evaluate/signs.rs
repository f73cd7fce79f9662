//! How often signs of growth are there, how they go with growth, and whether measurement and reader agree.

use std::collections::BTreeMap;

use hemex_metrics::{KappaWeights, cohen_kappa};
use serde::Serialize;

use crate::signs::{SIGNS, Sign, Signs};
use crate::{CaseResult, Evaluation};

/// A sign over the tested cases, each once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignFindings {
    /// Its name.
    pub name: &'static str,
    /// Cases in which it was measured: those with an image and a reference mask that holds a lesion.
    pub n: usize,
    /// Of these, cases that have it.
    pub n_present: usize,
    /// Labelled cases without and with it, and how many of them grew.
    pub without: GrowthCount,
    /// See `without`.
    pub with: GrowthCount,
    /// Cases that a person looked at too.
    pub n_read: usize,
    /// Of these, cases in which the person saw it.
    pub n_read_present: usize,
    /// Cases in which both have it, and in which neither has.
    pub n_both: usize,
    /// See `n_both`.
    pub n_neither: usize,
    /// Share of what the person saw that is measured; `None` if nothing was seen.
    pub sensitivity: Option<f64>,
    /// Share of what the person did not see that is not measured; `None` if it was always seen.
    pub specificity: Option<f64>,
    /// Cohen's kappa of measurement and person; `None` where both say the same of every case.
    pub kappa: Option<f64>,
}

/// How many cases grew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GrowthCount {
    /// Cases with a label.
    pub n: usize,
    /// Of these, cases that grew.
    pub n_growth: usize,
}

/// Every sign; empty where none was measured.
pub(super) fn signs(
    evaluation: &Evaluation,
    tested: &[&CaseResult],
    signs: &Signs,
) -> Vec<SignFindings> {
    let cases: BTreeMap<&str, Option<bool>> = tested
        .iter()
        .filter(|row| signs.measured.contains_key(&row.case_id))
        .map(|row| row.case_id.as_str())
        .map(|id| (id, evaluation.labels.get(id).and_then(|label| label.growth)))
        .collect();
    if cases.is_empty() {
        return Vec::new();
    }
    SIGNS.iter().map(|sign| findings(sign, &cases, signs)).collect()
}

fn findings(sign: &Sign, cases: &BTreeMap<&str, Option<bool>>, signs: &Signs) -> SignFindings {
    let is_measured = |id: &str| signs.measured.get(id).is_some_and(sign.measured);
    let growth = |present: bool| {
        let labels = cases.iter().filter(|(id, _)| is_measured(id) == present);
        let labels: Vec<bool> = labels.filter_map(|(_, growth)| *growth).collect();
        GrowthCount { n: labels.len(), n_growth: labels.iter().filter(|growth| **growth).count() }
    };
    let (measured, read): (Vec<bool>, Vec<bool>) = cases
        .keys()
        .filter_map(|id| Some((is_measured(id), signs.read.get(*id).and_then(sign.read)?)))
        .unzip();
    let n_read_present = read.iter().filter(|seen| **seen).count();
    let n_agreed = |seen: bool| {
        let pairs = measured.iter().zip(&read);
        pairs.filter(|(measured, read)| **measured == seen && **read == seen).count()
    };
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    let (n_both, n_neither) = (n_agreed(true), n_agreed(false));
    let category = |flags: &[bool]| flags.iter().map(|flag| usize::from(*flag)).collect::<Vec<_>>();
    SignFindings {
        name: sign.name,
        n: cases.len(),
        n_present: cases.keys().filter(|id| is_measured(id)).count(),
        without: growth(false),
        with: growth(true),
        n_read: read.len(),
        n_read_present,
        n_both,
        n_neither,
        sensitivity: share(n_both, n_read_present),
        specificity: share(n_neither, read.len() - n_read_present),
        kappa: cohen_kappa(&category(&measured), &category(&read), KappaWeights::Equal).ok(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_artifacts::SignRow;
    use hemex_volume::{Affine, Geometry, Image, LabelMap, NcctSigns};

    use super::*;
    use crate::signs::BLEND;

    /// The signs of a plain ball, but for the blend sign.
    fn measured(blend: bool) -> NcctSigns {
        let affine = Affine::from_spacing([2.0; 3], [0.0; 3]).unwrap();
        let geometry = Geometry::new([9, 9, 9], affine).unwrap();
        let mut ball = LabelMap::empty(geometry);
        for (i, voxel) in ball.voxels_mut().iter_mut().enumerate() {
            let far = [i / 81, i / 9 % 9, i % 9].map(|at| (at as i64 - 4).pow(2));
            *voxel = u8::from(far.iter().sum::<i64>() <= 12);
        }
        let signs = NcctSigns::of(&Image::filled(geometry, 60.0), &ball, &[1]).unwrap().unwrap();
        NcctSigns { blend, ..signs }
    }

    #[test]
    fn counts_are_those_of_the_cases_that_are_known() {
        let cases = [("a", Some(true)), ("b", Some(false)), ("c", Some(true)), ("d", None)];
        let read = [("a", Some(true)), ("b", Some(false)), ("c", None), ("d", Some(false))];
        let row = |(id, blend): (&str, Option<bool>)| {
            (id.to_owned(), SignRow { case_id: id.to_owned(), blend, ..SignRow::default() })
        };
        let signs = Signs {
            measured: [("a", true), ("b", true), ("c", false), ("d", false)]
                .map(|(id, blend)| (id.to_owned(), measured(blend)))
                .into(),
            read: read.map(row).into(),
        };
        let found = findings(&BLEND, &cases.into(), &signs);
        assert_eq!((found.n, found.n_present, found.n_read, found.n_read_present), (4, 2, 3, 1));
        assert_eq!(found.with, GrowthCount { n: 2, n_growth: 1 });
        assert_eq!(found.without, GrowthCount { n: 1, n_growth: 1 });
        assert_eq!((found.sensitivity, found.specificity), (Some(1.0), Some(0.5)));
        // Two of three agree; 4/9 would by chance.
        assert!((found.kappa.unwrap() - 0.4).abs() < 1e-12, "{:?}", found.kappa);
        assert_eq!(signs.of_case("b", &BLEND), Some(false), "a reading goes before a measurement");
        assert_eq!(signs.of_case("c", &BLEND), Some(false), "which speaks where nobody looked");
        assert_eq!(signs.of_case("e", &BLEND), None);
        let island = SIGNS.iter().find(|sign| sign.name == "island").unwrap();
        let found = findings(island, &cases.into(), &signs);
        assert_eq!((found.n_present, found.n_read, found.kappa), (0, 0, None));
    }
}
