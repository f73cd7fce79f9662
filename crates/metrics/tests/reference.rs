//! Every figure of a few cases against `reference.csv`, which `tests/reference/metrics.py --write`
//! made with scikit-learn, SciPy, statsmodels, surface-distance and formulas written out in numpy.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::BTreeMap;

mod reference_cases;

#[test]
fn figures_agree_with_the_reference() {
    let mut expected: BTreeMap<u64, Vec<(&str, Option<f64>)>> = BTreeMap::new();
    for line in include_str!("reference.csv").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let value = (fields[2] != "undefined").then(|| fields[2].parse().unwrap());
        expected.entry(fields[0].parse().unwrap()).or_default().push((fields[1], value));
    }
    assert!(expected.len() > 4, "{} cases", expected.len());
    for (seed, expected) in expected {
        let found = reference_cases::figures(seed);
        assert_eq!(found.len(), expected.len(), "case {seed}");
        for ((name, value), (expected_name, expected)) in found.into_iter().zip(expected) {
            assert_eq!(name, expected_name, "case {seed}");
            // Distances of voxel surfaces are kept as f32.
            let tolerance = if name.ends_with("_mm") { 1e-6 } else { 1e-9 };
            let agrees = match (value, expected) {
                (Some(a), Some(b)) => a == b || (a - b).abs() <= tolerance * b.abs().max(1.0),
                (a, b) => a.is_none() && b.is_none(),
            };
            assert!(agrees, "case {seed}, {name}: {value:?} for {expected:?}");
        }
    }
}
