//! Draws what there is to see of the phantom as contact sheets: `cargo run --release --package hemex-phantom
//! --example phantom_gallery -- OUT_DIR`; `cargo xtask gallery` calls it.
//!
//! `signs.png` (one hematoma with each sign), `patients.png`, `sites.png`, `slices.png` (one head from base to
//! vertex). The scans behind `slices.png` stay in `OUT_DIR/like_ge`, to be laid beside a real head.
#![expect(clippy::unwrap_used, reason = "a failed picture may panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use hemex_artifacts::picture::{BRAIN_WINDOW_HU, middle_labelled_slice};
use hemex_artifacts::{Picture, json, nifti};
use hemex_phantom::{Config, RawConfig};
use hemex_stage::CONTRACT_VERSION;
use hemex_volume::{Image, LabelMap};
use serde_json::{Value, json};

/// Width of a pixel in every sheet, mm.
const PIXEL_MM: f64 = 0.7;
/// What a head fills, pixels.
const HEAD: [usize; 2] = [264, 330];
/// Seeds of a patient with an even hematoma, and of others.
const PLAIN: u64 = 3;
const UNEVEN: u64 = 6;
const SIGNS: [&str; 8] =
    ["black_hole", "blend", "island", "satellite", "swirl", "fluid_level", "ivh", "subarachnoid"];

fn main() -> ExitCode {
    // With a request this program is the stage itself; see `cohort`.
    let argument = PathBuf::from(std::env::args_os().nth(1).unwrap());
    if argument.extension().is_some_and(|ending| ending == "json") {
        return hemex_stage::main::<RawConfig, Config>(hemex_phantom::run);
    }
    std::fs::create_dir_all(&argument).unwrap();
    let write = |name: &str, picture: Picture| picture.write(&argument.join(name)).unwrap();
    write("signs.png", signs());
    write("patients.png", patients());
    write("sites.png", sites());
    write("slices.png", slices(&argument.join("like_ge")));
    ExitCode::SUCCESS
}

/// The config of the demo with one site of fine pixels, changed.
fn config(change: impl FnOnce(&mut Value)) -> Value {
    let mut config: Value = toml::from_str(include_str!("../../../configs/phantom.toml")).unwrap();
    let mut site = config["site"]["A"].clone();
    (site["matrix"], site["in_plane_mm"]) = (json!(440), json!(0.5));
    config["site"] = json!({ "A": site });
    config["n_population"] = json!(4000);
    config["followup_image"] = json!(false);
    change(&mut config);
    config
}

/// Draws a cohort into a folder.
fn cohort(config: &Value, seed: u64, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let request = json!({
        "contract": CONTRACT_VERSION, "stage": "phantom", "axes": {}, "config": config,
        "inputs": {}, "outputs": { "raw": { "path": folder, "kind": "dataset/1" } },
        "seed": seed, "device": "cpu", "threads": 2, "scratch": scratch.path(),
    });
    let path = scratch.path().join("request.json");
    json::write(&path, &request).unwrap();
    let mut stage = Command::new(std::env::current_exe().unwrap());
    assert!(stage.arg(path).stdout(Stdio::null()).status().unwrap().success());
}

/// The baseline scan of the `n`-th patient of a cohort.
fn scan(folder: &Path, n: usize) -> (Image, LabelMap) {
    let stem = folder.join(format!("sub-{n:04}/ses-baseline/ct/sub-{n:04}_ses-baseline"));
    let file = |ending: &str| PathBuf::from(format!("{}{ending}", stem.display()));
    let image = nifti::read_image(&file("_ct.nii.gz")).unwrap();
    (image, nifti::read_label_map(&file("_dseg.nii.gz")).unwrap())
}

fn picture(image: &Image, labels: Option<&LabelMap>, d: usize, caption: &str) -> Picture {
    let slice = Picture::slice(image, labels, d, BRAIN_WINDOW_HU, PIXEL_MM);
    slice.cropped(HEAD[0], HEAD[1]).captioned(caption)
}

/// The same patient with one sign at a time, and another whose hematoma is heterogeneous.
fn signs() -> Picture {
    let with = |seed: u64, sign: Option<&str>, change: &dyn Fn(&mut Value)| {
        let folder = tempfile::tempdir().unwrap();
        let config = config(|config| {
            config["n_patients"] = json!(1);
            (config["lesion"]["volume_range_ml"], config["lesion"]["volume_median_ml"]) =
                (json!([28.0, 34.0]), json!(30.0));
            for share in ["deep_share", "thalamic_share", "cerebellar_share"] {
                config["lesion"][share] = json!(0.0);
            }
            // Only central hematomas bleed into the ventricles.
            if sign == Some("ivh") {
                config["lesion"]["deep_share"] = json!(1.0);
            }
            for other in SIGNS {
                config["signs"][other] = json!(0.0);
            }
            if let Some(sign) = sign {
                config["signs"][sign] = json!(1.0);
            }
            change(config);
        });
        cohort(&config, seed, folder.path());
        scan(folder.path(), 1)
    };
    let (plain, labels) = with(PLAIN, None, &|_| ());
    let middle = middle_labelled_slice(&labels);
    let mut panels = vec![
        picture(&plain, None, middle, "plain"),
        picture(&plain, Some(&labels), middle, "its labels"),
    ];
    let narrow = |key: &'static str, range: [f64; 2]| {
        move |config: &mut Value| config["lesion"][key] = json!(range)
    };
    let (image, _) = with(PLAIN, None, &narrow("irregularity_range", [0.38, 0.4]));
    panels.push(picture(&image, None, middle, "irregular"));
    let uneven = |config: &mut Value| config["lesion"]["heterogeneity_hu"] = json!(14.0);
    let (image, labels) = with(UNEVEN, None, &uneven);
    panels.push(picture(&image, None, middle_labelled_slice(&labels), "heterogeneous"));
    for sign in SIGNS {
        let (image, labels) = with(PLAIN, Some(sign), &|_| ());
        let d = most_changed(&plain, &image, &labels);
        panels.push(picture(&image, None, d, &sign.replace('_', " ")));
    }
    Picture::sheet(&panels, 4)
}

/// The slice with blood that differs most from the plain one.
fn most_changed(plain: &Image, image: &Image, labels: &LabelMap) -> usize {
    let change = |d: &usize| {
        let voxels = plain.slice(*d).iter().zip(image.slice(*d)).zip(labels.slice(*d));
        let blood = voxels.filter(|(_, label)| [1, 2, 4].contains(*label));
        blood.map(|((a, b), _)| f64::from((a - b).abs()).min(40.0)).sum::<f64>()
    };
    let slices = 0..image.geometry().shape()[0];
    slices.max_by(|a, b| change(a).total_cmp(&change(b))).unwrap()
}

/// Twelve patients: ages, shapes and places differ.
fn patients() -> Picture {
    let folder = tempfile::tempdir().unwrap();
    cohort(&config(|config| config["n_patients"] = json!(12)), UNEVEN, folder.path());
    let truth: Value = json::read(&folder.path().join("truth.json")).unwrap();
    let panels: Vec<Picture> = (1..=12)
        .map(|n| {
            let (image, labels) = scan(folder.path(), n);
            let case = &truth["cases"][format!("sub-{n:04}")];
            let caption = format!(
                "{} {:.0} mL",
                case["location"].as_str().unwrap(),
                case["baseline_volume_ml"].as_f64().unwrap()
            );
            picture(&image, None, middle_labelled_slice(&labels), &caption)
        })
        .collect();
    Picture::sheet(&panels, 4)
}

/// One patient as each site of the demo scans it.
fn sites() -> Picture {
    let demo: Value = toml::from_str(include_str!("../../../configs/phantom.toml")).unwrap();
    let mut panels = Vec::new();
    for name in demo["site"].as_object().unwrap().keys() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(|config| {
            config["n_patients"] = json!(1);
            let mut site = demo["site"][name].clone();
            // The same patient, too.
            for key in ["age_shift_years", "volume_factor", "anticoagulation_factor"] {
                site[key] = demo["site"]["A"][key].clone();
            }
            site["format"] = json!("nifti");
            config["site"] = json!({ "A": site });
        });
        cohort(&config, UNEVEN, folder.path());
        let (image, labels) = scan(folder.path(), 1);
        let grid = image.geometry().to_ras();
        let (image, labels) = (image.resample(&grid, -1000.0), labels.resample(&grid));
        let middle = middle_labelled_slice(&labels);
        for d in [middle - 5, middle, middle + 4] {
            panels.push(picture(&image, None, d, &format!("site {name}, slice {}", d + 1)));
        }
    }
    Picture::sheet(&panels, 3)
}

/// One head from base to vertex, scanned as the real head of the gallery was.
fn slices(folder: &Path) -> Picture {
    let config = config(|config| {
        config["n_patients"] = json!(3);
        config["lesion_free_twins"] = json!(true);
        let site = &mut config["site"]["A"];
        (site["matrix"], site["in_plane_mm"]) = (json!(512), json!(0.488));
        (site["slice_mm"], site["noise_hu"]) = (json!(7.0), json!(2.2));
        (site["kernel_fwhm_mm"], site["slice_blur_mm"]) = (json!(1.2), json!(1.5));
        config["clinical"]["age_mean_years"] = json!(60.0);
    });
    cohort(&config, UNEVEN, folder);
    let (image, _) = scan(folder, 1);
    let n = image.geometry().shape()[0];
    let panels: Vec<Picture> =
        (0..n).map(|d| picture(&image, None, d, &format!("slice {}", d + 1))).collect();
    Picture::sheet(&panels, 6)
}
