//! Synthetic heads, datasets made of them, and the stage run on them.

mod phantom_head;
pub(crate) mod real;
pub(crate) mod series;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hemex_artifacts::nifti;
use hemex_ingest::{Config, DicomSettings, RawConfig, Sharpness, SliceThickness, UnevenSlices};
use hemex_stage::{CONTRACT_VERSION, InputArtifact, Kind, OutputArtifact, Request, validate};
use hemex_volume::{Affine, Geometry, Image, LabelMap};
use phantom_head::{is_lesion, sampled};

pub(crate) use phantom_head::head;

/// 34 slices of 5 mm, 100 × 90 voxels of 2 mm, head centre at the origin.
pub(crate) fn grid() -> Geometry {
    let affine = Affine::from_spacing([5.0, 2.0, 2.0], [-90.0, -100.0, -82.5]).unwrap();
    Geometry::new([34, 101, 91], affine).unwrap()
}

/// The hematoma of [`head()`] as label 1.
pub(crate) fn lesion(geometry: Geometry, lesion_mm: f64) -> LabelMap {
    let voxels = sampled(&geometry, |point| u8::from(is_lesion(point, lesion_mm)));
    LabelMap::new(geometry, voxels).unwrap()
}

/// A BIDS patient with both scans as NIfTI; no follow-up for `None`.
pub(crate) fn write_bids(root: &Path, id: &str, baseline_mm: f64, followup_mm: Option<f64>) {
    write_session(root, id, "baseline", baseline_mm);
    if let Some(radius) = followup_mm {
        write_session(root, id, "followup", radius);
    }
}

/// A scan and its mask.
pub(crate) fn write_session(root: &Path, id: &str, session: &str, lesion_mm: f64) {
    let stem = format!("{id}_ses-{session}");
    let folder = root.join(id).join(format!("ses-{session}")).join("ct");
    std::fs::create_dir_all(&folder).unwrap();
    let file = |ending: &str| folder.join(format!("{stem}_{ending}.nii.gz"));
    nifti::write_image_i16(&file("ct"), &marked(head(grid(), lesion_mm), id)).unwrap();
    nifti::write_label_map(&file("dseg"), &lesion(grid(), lesion_mm)).unwrap();
}

/// The image with some voxels within the brain that are the case's own: no two scans are alike.
pub(crate) fn marked(mut image: Image, id: &str) -> Image {
    let geometry = *image.geometry();
    let digest = hemex_stage::digest::bytes(id.as_bytes());
    for (i, byte) in digest.bytes().take(8).enumerate() {
        image.voxels_mut()[geometry.offset([20, 50, 40 + i])] += f32::from(byte % 16) / 4.0 * 4.0;
    }
    image
}

pub(crate) const CONFIG: &str = include_str!("../../../../../configs/ingest.toml");

/// The demo's choice of DICOM series.
pub(crate) const DICOM: DicomSettings = DicomSettings {
    slices: SliceThickness::Thick,
    kernel: Sharpness::Soft,
    uneven_slices: UnevenSlices::Resample,
    max_gap_mm: 15.0,
};

/// The demo's config with some lines changed.
pub(crate) fn config(changes: &[(&str, &str)]) -> Config {
    let mut text = CONFIG.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let raw: RawConfig = toml::from_str(&text).unwrap();
    Config::try_from(raw).unwrap()
}

/// What a run of the stage wrote.
pub(crate) struct Outputs {
    folder: tempfile::TempDir,
}

impl Outputs {
    pub(crate) fn path(&self, output: &str) -> PathBuf {
        self.folder.path().join(output)
    }

    /// A CSV table as cells by column.
    pub(crate) fn table(&self, file: &str) -> Vec<BTreeMap<String, String>> {
        let text = std::fs::read_to_string(self.folder.path().join(file)).unwrap();
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split(',').collect();
        let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        lines
            .map(|line| header.iter().map(|name| (*name).to_owned()).zip(cells(line)).collect())
            .collect()
    }

    /// The pseudonym of a source.
    pub(crate) fn case_id(&self, source_id: &str) -> String {
        let rows = self.table("private/mapping.csv");
        rows.iter().find(|row| row["source_id"] == source_id).unwrap()["case_id"].clone()
    }

    /// Why a source is excluded; quotes of the CSV are kept.
    pub(crate) fn exclusion(&self, source_id: &str) -> String {
        let case_id = self.case_id(source_id);
        let text = std::fs::read_to_string(self.path("cases").join("exclusions.csv")).unwrap();
        let line = text.lines().find(|line| line.starts_with(&case_id));
        line.unwrap_or_else(|| panic!("{source_id} is not excluded")).to_owned()
    }

    /// A row of a table by source.
    pub(crate) fn row(&self, file: &str, source_id: &str) -> BTreeMap<String, String> {
        let case_id = self.case_id(source_id);
        self.table(file).into_iter().find(|row| row["case_id"] == case_id).unwrap()
    }

    pub(crate) fn image(&self, source_id: &str) -> Image {
        let file = format!("{}.nii", self.case_id(source_id));
        nifti::read_image(&self.path("cases").join("images").join(file)).unwrap()
    }

    /// The same head without its hematoma, if there is one.
    pub(crate) fn twin(&self, source_id: &str) -> Option<Image> {
        let file = format!("{}.nii", self.case_id(source_id));
        let path = self.path("cases").join("twins").join(file);
        path.exists().then(|| nifti::read_image(&path).unwrap())
    }

    pub(crate) fn brain(&self, source_id: &str) -> LabelMap {
        let file = format!("{}.nii", self.case_id(source_id));
        nifti::read_label_map(&self.path("cases").join("brain").join(file)).unwrap()
    }

    /// The mask of the follow-up scan, if it could be carried over.
    pub(crate) fn followup_mask(&self, source_id: &str) -> Option<LabelMap> {
        let file = format!("{}.nii", self.case_id(source_id));
        let path = self.path("labels").join("followup_masks").join(file);
        path.exists().then(|| nifti::read_label_map(&path).unwrap())
    }

    pub(crate) fn mask(&self, source_id: &str) -> LabelMap {
        let file = format!("{}.nii", self.case_id(source_id));
        nifti::read_label_map(&self.path("labels").join("masks").join(file)).unwrap()
    }
}

pub(crate) const ALL: [(&str, Kind); 4] = [
    ("cases", Kind::Cases),
    ("labels", Kind::Labels),
    ("splits", Kind::Splits),
    ("private", Kind::Private),
];

/// A request to read `raw` and write `outputs` below `folder`, which are made.
fn request(raw: &Path, outputs: &[(&str, Kind)], folder: &Path) -> Request {
    let outputs: BTreeMap<String, OutputArtifact> = outputs
        .iter()
        .map(|(name, kind)| {
            let path = folder.join(name);
            std::fs::create_dir(&path).unwrap();
            ((*name).to_owned(), OutputArtifact { path, kind: *kind })
        })
        .collect();
    let input = InputArtifact { path: raw.to_owned(), kind: Kind::Dataset, axes: BTreeMap::new() };
    Request {
        contract: CONTRACT_VERSION,
        stage: "ingest".to_owned(),
        axes: BTreeMap::new(),
        config: serde_json::Value::Null,
        inputs: BTreeMap::from([("raw".to_owned(), vec![input])]),
        outputs,
        seed: 1,
        device: "cpu".to_owned(),
        threads: 2,
        scratch: folder.to_owned(),
    }
}

/// Runs the program as the orchestrator does; its outputs, and all it printed.
pub(crate) fn run_program(raw: &Path, outputs: &[(&str, Kind)]) -> (Outputs, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let mut request = request(raw, outputs, folder.path());
    request.config = serde_json::to_value(toml::from_str::<toml::Table>(CONFIG).unwrap()).unwrap();
    let path = folder.path().join("request.json");
    std::fs::write(&path, serde_json::to_vec(&request).unwrap()).unwrap();
    let program = env!("CARGO_BIN_EXE_hemex-ingest");
    let run = std::process::Command::new(program).arg(&path).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    (Outputs { folder }, [run.stdout, run.stderr].concat())
}

/// Runs the stage and checks every output with the contract's validator.
pub(crate) fn run(
    raw: &Path,
    config: &Config,
    outputs: &[(&str, Kind)],
) -> anyhow::Result<Outputs> {
    let folder = tempfile::tempdir().unwrap();
    let request = request(raw, outputs, folder.path());
    hemex_ingest::run_with(config, &request, Path::new(env!("CARGO_BIN_EXE_hemex-ingest")))?;
    for output in request.outputs.values() {
        validate::validate(output.kind, &output.path).unwrap();
    }
    Ok(Outputs { folder })
}

/// The outputs that a pipeline without labels asks for.
pub(crate) const UNLABELLED: [(&str, Kind); 2] =
    [("cases", Kind::Cases), ("private", Kind::Private)];
