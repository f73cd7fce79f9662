//! Damaged inputs and a full disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hemex_artifacts::{CaseRow, ExclusionRow, table};
use hemex_stage::digest;
use hemex_tests::{Workbench, copy_folder, has_python, missing};

use crate::{finished, tiny};

/// The file without its last third.
fn cut_short(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() * 2 / 3]).unwrap();
}

fn first_scan(raw: &Path) -> PathBuf {
    let files = digest::list_files(raw).unwrap();
    let is_scan = |path: &PathBuf| path.display().to_string().ends_with("baseline_ct.nii.gz");
    files.into_iter().find(is_scan).unwrap()
}

#[test]
fn a_scan_cut_short_costs_its_case_alone() {
    let bench = Workbench::new();
    let raw = bench.folder().join("raw");
    copy_folder(&finished().task("phantom").output("raw"), &raw);
    cut_short(&first_scan(&raw));
    let data = format!("raw={}", raw.display());
    let run = bench.pipeline("cohort").args(["--data", &data, "--only", "ingest"]).succeeds();
    run.says(&["warning: ingest: ", "exclusions.csv says why"]);

    let rows = |bench: &Workbench| -> (Vec<CaseRow>, Vec<ExclusionRow>) {
        let cases = bench.task("ingest").output("cases");
        let exclusions = table::read_rows(&cases.join("exclusions.csv")).unwrap();
        (table::read_rows(&cases.join("cases.csv")).unwrap(), exclusions)
    };
    let (cases, exclusions) = rows(&bench);
    let (sound_cases, sound_exclusions) = rows(finished());
    assert_eq!(cases.len() + 1, sound_cases.len());
    assert_eq!(exclusions.len(), sound_exclusions.len() + 1);
    let new = exclusions.iter().find(|row| !sound_exclusions.contains(row)).unwrap();
    assert!(new.reason.contains("cut short"), "{new:?}");
    assert!(cases.iter().all(|row| sound_cases.contains(row)), "the others are as they were");
}

#[test]
fn a_model_cut_short_is_one_error() {
    let bench = Workbench::new();
    let model = bench.folder().join("model");
    copy_folder(&finished().tasks("train")[0].output("model"), &model);
    cut_short(&model.join("model.safetensors"));
    let raw = finished().task("phantom").output("raw");
    let data = [format!("raw={}", raw.display()), format!("model={}", model.display())];
    let failed = bench.pipeline("predict").args(["--data", &data[0], "--data", &data[1]]).fails();
    failed.says(&["--data model", "model.safetensors", "no safetensors file"]);
    assert_eq!(bench.published(), Vec::<String>::new());
}

/// A small file system in memory, unmounted in the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount(folder: PathBuf, bytes: u64) -> Option<Self> {
        fs::create_dir_all(&folder).unwrap();
        let size = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "hemex-tests"]).arg(&folder);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }

    fn grow(&self, bytes: u64) {
        let size = format!("remount,size={bytes}");
        let status = Command::new("mount").args(["-o", &size]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_one_error_and_spoils_nothing() {
    let name = "a_full_disk_is_one_error_and_spoils_nothing";
    let folder = tempfile::tempdir().unwrap();
    let sizes = |path: PathBuf| -> u64 {
        // tmpfs counts whole pages.
        let files = digest::list_files(&path).unwrap().into_iter();
        files.map(|file| file.metadata().unwrap().len().next_multiple_of(4096)).sum()
    };
    let phantom = sizes(finished().task("phantom").folder);
    // Room for what is finished, and for a part of what follows.
    let Some(disk) = SmallDisk::mount(folder.path().join("disk"), phantom + (1 << 20)) else {
        missing(name, "no file system can be mounted here (needs root)");
        return;
    };
    let bench = Workbench::at(&disk.0);
    bench.adopt(finished(), &["phantom"]);
    let before = bench.published();

    for _ in 0..2 {
        let failed = bench.pipeline(tiny()).args(["--only", "ingest"]).fails();
        failed.says(&["No space left on device"]);
        assert_eq!(bench.published(), before, "{failed}");
    }
    let verify = bench.pipeline(tiny()).args(["--verify", "--dry-run"]);
    let raw = digest::folder(&bench.task("phantom").output("raw"), None).unwrap();
    assert_eq!(
        digest::of_records(&raw),
        finished().task("phantom").provenance.outputs["raw"].digest
    );

    disk.grow(1 << 30);
    assert_eq!(verify.succeeds().plan("phantom"), "finished");
    let run = bench.pipeline(tiny()).args(["--only", "ingest"]).succeeds();
    assert_eq!(run.n_run(), 1);
    assert_eq!(bench.digests(&["ingest"]), finished().digests(&["ingest"]));
}

#[test]
fn no_task_can_be_published_on_a_full_disk() {
    if !has_python("no_task_can_be_published_on_a_full_disk") {
        return;
    }
    let name = "no_task_can_be_published_on_a_full_disk";
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("disk"), 2 << 20) else {
        missing(name, "no file system can be mounted here (needs root)");
        return;
    };
    // The stage itself fits, to the last page: the record beside it does not.
    let bench = Workbench::at(&disk.0);
    let scripts = Workbench::new();
    let script = scripts.write(
        "fill.py",
        "import json, sys\n\
         out = json.load(open(sys.argv[1]))['outputs']['raw']['path']\n\
         with open(out + '/scan', 'wb', buffering=0) as file:\n\
         \x20   try:\n\
         \x20       while True: file.write(bytes(4096))\n\
         \x20   except OSError: pass\n",
    );
    let script = script.display();
    let text = format!(
        "[stage.fill]\nrun = [\"python3\", \"{script}\"]\ncode = [\"{script}\"]\n\
         outputs = {{ raw = \"dataset/1\" }}\n"
    );
    let pipeline = scripts.write("fill.toml", &text);
    bench.pipeline(&pipeline).fails().says(&["No space left on device", "finished tasks are kept"]);
    assert_eq!(bench.published(), Vec::<String>::new());
}
