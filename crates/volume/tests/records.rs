//! Deformations written as JSON and read back: exact, and checked as at their making.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use hemex_volume::{DisplacementField, Flow, Lobe};

#[test]
fn a_field_is_exact_and_checked() {
    let control = (0..8).map(|i| [0.1 * f64::from(i), 1.0 / 3.0, -1e-17]).collect();
    let field = DisplacementField::new([2; 3], control).unwrap();
    let text = serde_json::to_string(&field).unwrap();
    assert_eq!(serde_json::from_str::<DisplacementField>(&text).unwrap(), field);
    let short = text.replace("[2,2,2]", "[2,2,3]");
    let error = serde_json::from_str::<DisplacementField>(&short).unwrap_err().to_string();
    assert!(error.contains("do not fill"), "{error}");
}

#[test]
fn a_flow_is_exact_and_checked() {
    let rate = [[0.1, 0.05, 0.0], [0.05, -0.1, 1.0 / 3.0], [0.0, 1.0 / 3.0, 0.15]];
    let lobes = vec![
        Lobe { direction: [0.0, 0.6, 0.8], rate: 0.25 },
        Lobe { direction: [0.8, -0.6, 0.0], rate: -0.15 },
    ];
    for shape in [[9; 3], [1, 9, 9]] {
        let flow = Flow::new(shape, [3.0, -4.0, 0.1], [12.0, 40.0], rate, lobes.clone()).unwrap();
        let text = serde_json::to_string(&flow).unwrap();
        assert_eq!(serde_json::from_str::<Flow>(&text).unwrap(), flow);
        let shorter = text.replace("\"reach_mm\":40.0", "\"reach_mm\":4.0");
        let error = serde_json::from_str::<Flow>(&shorter).unwrap_err().to_string();
        assert!(error.contains("radius < reach"), "{error}");
    }
}
