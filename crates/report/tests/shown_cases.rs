//! The cases that the page shows: which, and what it does where one cannot be shown.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

#[expect(dead_code, reason = "shared with the other tests of the crate")]
mod fixture;

use fixture::{Cohort, Report, Said, config, report, report_with};
use hemex_artifacts::nifti;
use hemex_report::Config;
use hemex_volume::{Affine, Geometry, LabelMap};

/// The cards of the example cases, as HTML.
fn cards(report: &Report) -> Vec<&str> {
    let (_, cards) = report.page.split_once("<div class=\"cases\">").unwrap();
    cards.split("<figure class=\"case\">").skip(1).collect()
}

#[test]
fn examples_are_extremes_within_their_fold_and_a_case_may_be_two() {
    let mut cohort = Cohort::known();
    // Highest score of all that grew, but third of its fold; lower, but first of the other fold.
    cohort.folds[0][0].joint = Said::Probability(0.6);
    cohort.folds[0][2].joint = Said::Probability(0.8);
    cohort.folds[0][3].joint = Said::Probability(0.7);
    cohort.folds[0][4].joint = Said::Probability(0.1);
    for (case, p) in cohort.folds[1].iter_mut().zip([0.1, 0.3, 0.2, 0.05]) {
        case.joint = Said::Probability(p);
    }
    let report = report(&cohort, |_| {}).unwrap();
    let titled = |title: &str| {
        let title = format!("<b>{title}</b>");
        let found: Vec<_> = cards(&report).into_iter().filter(|c| c.contains(&title)).collect();
        let [card] = found[..] else { panic!("{} cards of {title}", found.len()) };
        card.split_once("class=\"id\">").unwrap().1[..2].to_owned()
    };
    assert_eq!(titled("Grew, ranked highest"), "b1");
    assert_eq!(titled("Stable, ranked highest"), "a2");
    assert_eq!(
        (titled("Worst overlap"), titled("Grew, ranked lowest")),
        ("a1".into(), "a1".into())
    );
    assert_eq!(cards(&report).len(), 6, "further cases fill the row");
}

fn all_cases() -> Config {
    Config { n_example_cases: 12, ..config() }
}

#[test]
fn a_refused_case_that_cannot_be_shown_has_a_card_without_a_picture() {
    let cut = |case_id: &str| {
        report_with(&all_cases(), &Cohort::known(), |root| {
            std::fs::write(root.join(format!("cases/images/{case_id}.nii")), b"cut").unwrap();
        })
    };
    let report = cut("b4").unwrap();
    let cards = cards(&report);
    assert_eq!(cards.len(), 12);
    let card = cards.iter().find(|card| card.contains("class=\"id\">b4<")).unwrap();
    assert!(card.starts_with("<p class=\"note\">No picture: cut short within its header.</p>"));
    assert!(!card.contains("data:image") && cards[0].contains("data:image"));
    // What was predicted can be read, or something is wrong.
    let error = cut("b1").map(|_| ()).unwrap_err();
    assert!(format!("{error:#}").contains("b1.nii"), "{error:#}");
}

#[test]
fn a_reference_mask_on_another_grid_is_named() {
    let made = report_with(&all_cases(), &Cohort::known(), |root| {
        let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0, 0.0, 1.0]).unwrap();
        let shifted = Geometry::new([2, 4, 4], affine).unwrap();
        let path = root.join("labels/masks/b2.nii");
        nifti::write_label_map(&path, &LabelMap::empty(shifted)).unwrap();
    });
    let error = format!("{:#}", made.map(|_| ()).unwrap_err());
    assert!(error.contains("case `b2`: the reference mask is not on the grid"), "{error}");
}
