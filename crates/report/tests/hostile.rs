//! Names that would be code where they are written: in a page, in a script, in a spreadsheet.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod fixture;

use fixture::{Cohort, close, report};

const SCRIPT: &str = "<script>alert(1)</script>";
const IMAGE: &str = "<img src=x onerror=alert(1)>";
const FORMULA: &str = "=cmd()";
/// A formula for whoever splits cells at semicolons.
const LATE_FORMULA: &str = "A;=cmd|'/C calc'!A0;";

#[test]
fn names_are_words_and_never_code() {
    let cohort =
        Cohort { sites: [SCRIPT, FORMULA], arms: vec![IMAGE, LATE_FORMULA], ..Cohort::known() };
    let report = report(&cohort, |root| {
        let path = root.join("cases/exclusions.csv");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("gantry <tilt>", "+1|</pre><script>")).unwrap();
    })
    .unwrap();
    let whole = std::fs::read_to_string(report.folder.join("report.html")).unwrap();
    // The volumes of the viewer, NiiVue, and the viewer's own script.
    assert_eq!(whole.matches("</script>").count(), 3);
    for code in ["<script", "<img"] {
        assert!(!report.page.contains(code), "{code}");
    }
    for (name, shown) in
        [(SCRIPT, "&lt;script&gt;alert(1)"), (IMAGE, "&lt;img src=x"), (FORMULA, "=cmd()")]
    {
        assert!(report.page.contains(shown), "{name}");
    }
    // No name is changed there: the figures are found under it.
    close(&report.metrics["arms"][IMAGE]["auroc"]["value"], 0.75);
    for table in ["cases.csv", "metrics.csv"] {
        let mut reader = csv::Reader::from_path(report.folder.join(table)).unwrap();
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert!(!records.is_empty());
        let is_formula = |cell: &str| {
            let is_one =
                |part: &str| part.starts_with(['=', '+', '-', '@']) && part.parse::<f64>().is_err();
            cell.split(';').any(is_one)
        };
        let formula = records.iter().flatten().find(|cell| is_formula(cell));
        assert_eq!(formula, None, "{table}");
    }
    let cases = std::fs::read_to_string(report.folder.join("cases.csv")).unwrap();
    assert!(cases.contains(",'=cmd(),") && cases.contains("A;'=cmd|"), "{cases}");
}
