//! `cases/1`: prepared images, brain masks, native geometries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hemex_volume::{Affine, Geometry, Image, LabelMap, VolumeError};
use serde::{Deserialize, Serialize};

use crate::{ArtifactError, flag, json, nifti, table};

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
    /// The scanner's reconstruction kernel, if the file says.
    pub convolution_kernel: Option<String>,
    /// Standard deviation of the noise measured inside the brain, HU.
    pub noise_hu: Option<f64>,
}

impl CaseRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 15] = [
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
        "convolution_kernel",
        "noise_hu",
    ];
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

    /// The case's image, canonical grid, HU.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn image(&self, case_id: &str) -> Result<Image, ArtifactError> {
        nifti::read_image(&self.image_path(case_id))
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
