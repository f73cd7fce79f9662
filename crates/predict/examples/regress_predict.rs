//! Golden figures of two cases read by seeded networks; `cargo xtask regress -p predict`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::process::{Command, ExitCode, Stdio};

use fixture::Model;
use hemex_artifacts::{PredictionRow, json, table};
use hemex_predict::RawConfig;

/// Runs the stage in a process of its own, since it talks on stdout, where figures go.
fn predictions(kind: &'static str) {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    fixture::write_cases(&root.join("cases"));
    Model::new(kind).write(&root.join("model"));
    json::write(&root.join("request.json"), &fixture::request(root)).unwrap();
    let mut stage = Command::new(std::env::current_exe().unwrap());
    let status = stage.arg(root.join("request.json")).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());

    for row in table::read_rows::<PredictionRow>(&root.join("predictions/predictions.csv")).unwrap()
    {
        let name = format!("{kind}_{}", row.case_id);
        println!("{name}_status {}", row.status as u8);
        let figures = [
            ("probability", row.probability),
            ("logit", row.logit),
            ("uncertainty", row.uncertainty),
        ];
        for (figure, value) in figures {
            if let Some(value) = value {
                println!("{name}_{figure} {value}");
            }
        }
        if let Some(volume_ml) = row.volume_ml {
            println!("{name}_ml {volume_ml}");
        }
    }
}

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return hemex_stage::main::<RawConfig, _>(hemex_predict::run);
    }
    predictions("joint_unet");
    predictions("vgg");
    ExitCode::SUCCESS
}
