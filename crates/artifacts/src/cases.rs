//! `cases/1`: prepared images, brain masks, native geometries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hemex_volume::{Affine, BrainDescriptors, Geometry, Image, LabelMap, VolumeError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{ArtifactError, ClinicalRow, SignRow, flag, json, nifti, table};

/// A row of `cases.csv`: one baseline scan with what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseRow {
    /// Pseudonym of the scan.
    pub case_id: String,
    /// Pseudonym of the patient.
    pub patient_id: String,
    /// Where it was scanned.
    pub site: String,
    /// Age in years.
    pub age_years: Option<f64>,
    /// Sex.
    pub sex: Option<Sex>,
    /// Hours from onset of symptoms to the scan.
    pub onset_to_ct_h: Option<f64>,
    /// Whether the patient took anticoagulants.
    #[serde(with = "flag")]
    pub anticoagulation: Option<bool>,
    /// Glasgow Coma Scale, 3 to 15.
    pub gcs: Option<f64>,
    /// Whether blood reached the ventricles.
    #[serde(with = "flag")]
    pub ivh: Option<bool>,
    /// `nifti` or `dicom`.
    pub source_format: String,
    /// Native distance of slices, mm.
    pub native_spacing_d_mm: f64,
    /// Native distance of rows, mm.
    pub native_spacing_h_mm: f64,
    /// Native distance of columns, mm.
    pub native_spacing_w_mm: f64,
    /// Nominal thickness of slices, mm, if the files say.
    pub slice_thickness_mm: Option<f64>,
    /// The scanner's reconstruction kernel, if the files say.
    pub convolution_kernel: Option<String>,
    /// Tube voltage, kVp, if the files say.
    pub tube_voltage_kvp: Option<f64>,
    /// The scanner's maker, if the files say and the name is known.
    pub manufacturer: Option<String>,
    /// Standard deviation of the noise measured inside the brain, HU.
    pub noise_hu: Option<f64>,
}

impl CaseRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 18] = [
        "case_id",
        "patient_id",
        "site",
        "age_years",
        "sex",
        "onset_to_ct_h",
        "anticoagulation",
        "gcs",
        "ivh",
        "source_format",
        "native_spacing_d_mm",
        "native_spacing_h_mm",
        "native_spacing_w_mm",
        "slice_thickness_mm",
        "convolution_kernel",
        "tube_voltage_kvp",
        "manufacturer",
        "noise_hu",
    ];
}

/// A row of `descriptors.csv`: what an image shows within the brain, without any lesion mask. The table
/// may be missing or leave cases out. Definitions: [`BrainDescriptors`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DescriptorRow {
    /// Pseudonym of the scan.
    pub case_id: String,
    /// Volume of the brain mask, mL.
    pub brain_volume_ml: f64,
    /// Mean of the tissue, HU.
    pub brain_mean_hu: f64,
    /// Standard deviation of the tissue, HU.
    pub brain_sd_hu: f64,
    /// 5th percentile of the tissue, HU.
    pub brain_p05_hu: f64,
    /// 25th percentile of the tissue, HU.
    pub brain_p25_hu: f64,
    /// Median of the tissue, HU.
    pub brain_p50_hu: f64,
    /// 75th percentile of the tissue, HU.
    pub brain_p75_hu: f64,
    /// 95th percentile of the tissue, HU.
    pub brain_p95_hu: f64,
    /// Volume as dense as fresh blood, mL.
    pub hyperdense_ml: f64,
}

impl DescriptorRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 10] = [
        "case_id",
        "brain_volume_ml",
        "brain_mean_hu",
        "brain_sd_hu",
        "brain_p05_hu",
        "brain_p25_hu",
        "brain_p50_hu",
        "brain_p75_hu",
        "brain_p95_hu",
        "hyperdense_ml",
    ];

    /// The row of a case.
    pub fn new(case_id: &str, brain: &BrainDescriptors) -> Self {
        let [p05, p25, p50, p75, p95] = brain.percentiles_hu;
        Self {
            case_id: case_id.to_owned(),
            brain_volume_ml: brain.volume_ml,
            brain_mean_hu: brain.mean_hu,
            brain_sd_hu: brain.sd_hu,
            brain_p05_hu: p05,
            brain_p25_hu: p25,
            brain_p50_hu: p50,
            brain_p75_hu: p75,
            brain_p95_hu: p95,
            hyperdense_ml: brain.hyperdense_ml,
        }
    }
}

/// Sex as recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sex {
    /// Female.
    F,
    /// Male.
    M,
}

/// A row of `exclusions.csv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExclusionRow {
    /// Pseudonym of the scan.
    pub case_id: String,
    /// Why it cannot be used, without names or paths.
    pub reason: String,
}

impl ExclusionRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 2] = ["case_id", "reason"];
}

/// A grid in JSON: shape `[D, H, W]` and the rows of the affine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GeometryRecord {
    /// Shape `[D, H, W]`.
    pub shape: [usize; 3],
    /// Rows `srow_x`, `srow_y`, `srow_z` of the index-to-mm map, RAS+.
    pub affine: [[f64; 4]; 3],
}

impl From<&Geometry> for GeometryRecord {
    fn from(geometry: &Geometry) -> Self {
        Self { shape: geometry.shape(), affine: geometry.affine().rows() }
    }
}

impl TryFrom<&GeometryRecord> for Geometry {
    type Error = VolumeError;

    fn try_from(record: &GeometryRecord) -> Result<Self, VolumeError> {
        Geometry::new(record.shape, Affine::new(record.affine)?)
    }
}

/// How images were prepared; a model is applied only to images prepared as its training cases were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    /// Version of the preparation's algorithm.
    pub version: String,
    /// Spacing of the canonical grid `[D, H, W]`, mm.
    pub spacing_mm: [f64; 3],
    /// HU are limited to this range.
    pub window_hu: [f32; 2],
}

/// A `cases/1` artifact, opened.
#[derive(Debug, Clone)]
pub struct Cases {
    folder: PathBuf,
    /// The table.
    pub rows: Vec<CaseRow>,
    /// How the images were prepared.
    pub preparation: Preparation,
    /// Native geometries by case.
    pub geometry: BTreeMap<String, GeometryRecord>,
}

impl Cases {
    /// Opens the artifact in this folder; volumes are read on demand.
    ///
    /// # Errors
    /// If its tables cannot be read.
    pub fn open(folder: &Path) -> Result<Self, ArtifactError> {
        Ok(Self {
            folder: folder.to_owned(),
            rows: table::read_rows(&folder.join("cases.csv"))?,
            preparation: json::read(&folder.join("preparation.json"))?,
            geometry: json::read(&folder.join("geometry.json"))?,
        })
    }

    /// What the images show within the brain, by case; empty if the artifact has no such table.
    ///
    /// # Errors
    /// If the table cannot be read or names a case twice.
    pub fn descriptors(&self) -> Result<BTreeMap<String, DescriptorRow>, ArtifactError> {
        self.optional("descriptors.csv", |row: &DescriptorRow| row.case_id.clone())
    }

    /// What clinical scores ask for beside the table of cases, by case; empty if the artifact has no such table.
    ///
    /// # Errors
    /// If the table cannot be read or names a case twice.
    pub fn clinical(&self) -> Result<BTreeMap<String, ClinicalRow>, ArtifactError> {
        self.optional("clinical.csv", |row: &ClinicalRow| row.case_id.clone())
    }

    /// What a person saw on the scans, by case; empty if the artifact has no such table.
    ///
    /// # Errors
    /// If the table cannot be read or names a case twice.
    pub fn signs(&self) -> Result<BTreeMap<String, SignRow>, ArtifactError> {
        self.optional("signs.csv", |row: &SignRow| row.case_id.clone())
    }

    fn optional<R: DeserializeOwned>(
        &self,
        name: &str,
        case_id: impl Fn(&R) -> String,
    ) -> Result<BTreeMap<String, R>, ArtifactError> {
        let path = self.folder.join(name);
        if !path.exists() {
            return Ok(BTreeMap::new());
        }
        let mut by_case = BTreeMap::new();
        for row in table::read_rows::<R>(&path)? {
            let id = case_id(&row);
            if by_case.contains_key(&id) {
                let problem = format!("the case `{id}` has two rows: expected one at most");
                return Err(ArtifactError::nifti(&path, problem));
            }
            by_case.insert(id, row);
        }
        Ok(by_case)
    }

    /// The case's image, canonical grid, HU.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn image(&self, case_id: &str) -> Result<Image, ArtifactError> {
        nifti::read_image(&self.image_path(case_id))
    }

    /// The same head without its hematoma, on the image's grid; `None` where there is no such scan.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn twin(&self, case_id: &str) -> Result<Option<Image>, ArtifactError> {
        let path = self.twin_path(case_id);
        path.exists().then(|| nifti::read_image(&path)).transpose()
    }

    /// Whether the head was scanned without its hematoma too.
    pub fn has_twin(&self, case_id: &str) -> bool {
        self.twin_path(case_id).exists()
    }

    fn twin_path(&self, case_id: &str) -> PathBuf {
        self.folder.join("twins").join(format!("{case_id}.nii"))
    }

    /// The case's brain mask, 1 inside, on the image's grid.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn brain(&self, case_id: &str) -> Result<LabelMap, ArtifactError> {
        nifti::read_label_map(&self.folder.join("brain").join(format!("{case_id}.nii")))
    }

    /// The grid of the scan as it came.
    ///
    /// # Errors
    /// If `geometry.json` lacks the case or holds no valid grid for it.
    pub fn native_geometry(&self, case_id: &str) -> Result<Geometry, ArtifactError> {
        let path = self.folder.join("geometry.json");
        let record = self.geometry.get(case_id).ok_or_else(|| {
            ArtifactError::nifti(&path, format!("holds no native geometry of `{case_id}`"))
        })?;
        Geometry::try_from(record).map_err(ArtifactError::volume(&path))
    }

    /// The file of the case's image.
    pub fn image_path(&self, case_id: &str) -> PathBuf {
        self.folder.join("images").join(format!("{case_id}.nii"))
    }
}
