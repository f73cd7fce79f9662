#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use super::*;

const DEMO: &str = include_str!("../../../../configs/ingest.toml");

fn error(from: &str, to: &str) -> ConfigError {
    assert!(DEMO.contains(from), "{from}");
    let raw: RawConfig = toml::from_str(&DEMO.replacen(from, to, 1)).unwrap();
    Config::try_from(raw).unwrap_err()
}

#[test]
fn the_demo_config_is_valid() {
    let raw: RawConfig = toml::from_str(DEMO).unwrap();
    assert!(Config::try_from(raw).is_ok());
}

#[test]
fn wrong_values_name_their_key() {
    assert_eq!(error("spacing_mm = [5.0", "spacing_mm = [0.0").key, "spacing_mm");
    assert_eq!(error("window_hu = [-100.0", "window_hu = [900.0").key, "window_hu");
    assert_eq!(
        error("relative_growth = 0.33", "relative_growth = nan").key,
        "labels.relative_growth"
    );
    assert_eq!(error("n_folds = 3", "n_folds = 1").key, "splits.n_folds");
    let unknown = DEMO.replace("followup_masks = \"none\"", "followup_masks = \"moved\"");
    let text = toml::from_str::<RawConfig>(&unknown).unwrap_err().to_string();
    assert!(text.contains("`none`, `registered`, `as_scanned`"), "{text}");
    let window = error("followup_window_h = [6.0", "followup_window_h = [600.0");
    assert_eq!(window.key, "labels.followup_window_h");
}
