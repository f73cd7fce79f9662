//! How the page speaks of regimes.

use hemex_artifacts::Regime;

/// The strictest first: what is met at a site that no training has seen is what headlines.
pub(crate) fn rank(regime: Regime) -> usize {
    match regime {
        Regime::Site => 0,
        Regime::Time => 1,
        Regime::Given => 2,
        Regime::Patient => 3,
        Regime::SamePatient => 4,
    }
}

/// Who is tested.
pub(crate) fn title(regime: Regime) -> &'static str {
    match regime {
        Regime::Site => "Patients of a site that no training has seen",
        Regime::Time => "Patients scanned after those of the training",
        Regime::Given => "The split that came with the dataset",
        Regime::Patient => "Other patients of the sites that trained",
        Regime::SamePatient => "Other slices of the patients that trained",
    }
}
