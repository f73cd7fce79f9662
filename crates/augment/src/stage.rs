//! The stage: a few augmented cases, to be looked at.

use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::{
    CaseRow, Cases, DescriptorRow, ExclusionRow, GeometryRecord, LabelRow, json, nifti, table,
};
use hemex_stage::{DrawKey, Progress, Request};
use hemex_volume::{BrainDescriptors, Image, LabelMap, Lesion};
use rayon::prelude::*;
use serde::Serialize;

use crate::mosaic::Picture;
use crate::{AugmentError, Config, Drawn};

/// Blood, whose volume a draw's effect is reported on.
const BLOOD: [u8; 3] =
    [Lesion::Intraparenchymal as u8, Lesion::Intraventricular as u8, Lesion::ExtraAxial as u8];

/// Writes augmented versions of the first cases as `cases/1`, with a picture of each
/// (`png/<case>-augNN.png`, original and augmented) and a table of what was drawn (`draws.csv`).
///
/// Inputs `cases` and `labels`, output `examples`. A case without a reference mask is augmented and
/// shown without an outline.
///
/// # Errors
/// If an input is not wired or cannot be read, or the output cannot be written.
pub fn run(config: &Config, request: &Request) -> anyhow::Result<()> {
    let cases = Cases::open(request.input("cases")?)?;
    let labels_folder = request.input("labels")?;
    let labels: Vec<LabelRow> = table::read_rows(&labels_folder.join("labels.csv"))?;
    let masks: BTreeMap<&str, Option<&str>> =
        labels.iter().map(|row| (row.case_id.as_str(), row.mask.as_deref())).collect();
    let output = request.output("examples")?;
    for folder in ["images", "brain", "png"] {
        let path = output.join(folder);
        std::fs::create_dir(&path).map_err(|source| AugmentError::Write { path, source })?;
    }
    let [least, most] = config.policy.volume_factor_range();
    hemex_stage::log(format_args!(
        "scaling changes lesion volumes by a factor of {least:.2} to {most:.2}; growth labels stay"
    ));

    let shown = &cases.rows[..config.n_cases.min(cases.rows.len())];
    let progress = Progress::new(shown.len() * config.n_draws, "example");
    let examples: Vec<Vec<Example>> = shown
        .par_iter()
        .map(|row| {
            let source = Source::read(&cases, row, labels_folder, &masks)?;
            (1..=config.n_draws)
                .map(|n| {
                    let example = source.example(config, request.seed, n, output)?;
                    progress.add(1);
                    Ok(example)
                })
                .collect()
        })
        .collect::<Result<_, AugmentError>>()?;
    Ok(write_tables(output, &cases, examples.into_iter().flatten().collect())?)
}

/// A case with its volumes.
struct Source<'a> {
    row: &'a CaseRow,
    geometry: GeometryRecord,
    image: Image,
    brain: LabelMap,
    /// Empty where there is no reference mask.
    mask: LabelMap,
    window_hu: [f32; 2],
}

/// What an example leaves in the tables.
struct Example {
    row: CaseRow,
    descriptors: Option<DescriptorRow>,
    geometry: GeometryRecord,
    draw: DrawRow,
}

/// A row of `draws.csv`. Triples are a column an axis.
#[derive(Serialize)]
struct DrawRow {
    case_id: String,
    source_case_id: String,
    flip: u8,
    rotation_d_deg: f64,
    rotation_h_deg: f64,
    rotation_w_deg: f64,
    magnification: f64,
    translation_d_mm: f64,
    translation_h_mm: f64,
    translation_w_mm: f64,
    elastic_strength: Option<f64>,
    elastic_max_displacement_mm: Option<f64>,
    elastic_min_jacobian: Option<f64>,
    elastic_max_jacobian: Option<f64>,
    lesion_strength: Option<f64>,
    lesion_volume_factor: Option<f64>,
    blur_mm: f64,
    gain: f64,
    offset_hu: f64,
    noise_hu: f64,
    volume_factor: f64,
    blood_before_ml: f64,
    blood_after_ml: f64,
}

impl DrawRow {
    const COLUMNS: [&str; 23] = [
        "case_id",
        "source_case_id",
        "flip",
        "rotation_d_deg",
        "rotation_h_deg",
        "rotation_w_deg",
        "magnification",
        "translation_d_mm",
        "translation_h_mm",
        "translation_w_mm",
        "elastic_strength",
        "elastic_max_displacement_mm",
        "elastic_min_jacobian",
        "elastic_max_jacobian",
        "lesion_strength",
        "lesion_volume_factor",
        "blur_mm",
        "gain",
        "offset_hu",
        "noise_hu",
        "volume_factor",
        "blood_before_ml",
        "blood_after_ml",
    ];
}

impl<'a> Source<'a> {
    fn read(
        cases: &Cases,
        row: &'a CaseRow,
        labels_folder: &Path,
        masks: &BTreeMap<&str, Option<&str>>,
    ) -> Result<Self, AugmentError> {
        let case_id = || row.case_id.clone();
        let geometry = cases.geometry.get(&row.case_id).cloned();
        let mask = masks.get(row.case_id.as_str());
        let mask = mask.ok_or_else(|| AugmentError::NoLabelRow { case_id: case_id() })?;
        let image = cases.image(&row.case_id)?;
        let mask = match mask {
            Some(path) => nifti::read_label_map(&labels_folder.join(path))?,
            None => LabelMap::empty(*image.geometry()),
        };
        Ok(Self {
            row,
            geometry: geometry.ok_or_else(|| AugmentError::NoGeometry { case_id: case_id() })?,
            brain: cases.brain(&row.case_id)?,
            image,
            mask,
            window_hu: cases.preparation.window_hu,
        })
    }

    /// Draws, applies and writes the `n`-th example.
    fn example(
        &self,
        config: &Config,
        seed: u64,
        n: usize,
        output: &Path,
    ) -> Result<Example, AugmentError> {
        let key = DrawKey::new(seed, "augment.example").case(&self.row.case_id).repeat(n);
        let lesion: Vec<usize> = (0..self.mask.voxels().len())
            .filter(|place| BLOOD.contains(&self.mask.voxels()[*place]))
            .collect();
        let drawn = config.policy.draw_around(&key, self.image.geometry(), &lesion);
        let (image, mask) = drawn.apply(&self.image, &self.mask, self.window_hu)?;
        let brain = drawn.apply_to_labels(&self.brain)?;

        let case_id = format!("{}-aug{n:02}", self.row.case_id);
        nifti::write_image(&output.join("images").join(format!("{case_id}.nii")), &image)?;
        nifti::write_label_map(&output.join("brain").join(format!("{case_id}.nii")), &brain)?;
        Picture::of(&[(&self.image, &self.mask), (&image, &mask)])
            .write(&output.join("png").join(format!("{case_id}.png")))?;
        let draw = self.draw_row(&case_id, &drawn, &mask);
        // The measured noise is that of the original and no longer known.
        let row = CaseRow { case_id, noise_hu: None, ..self.row.clone() };
        let descriptors = BrainDescriptors::of(&image, &brain)?
            .map(|described| DescriptorRow::new(&row.case_id, &described));
        Ok(Example { row, descriptors, geometry: self.geometry.clone(), draw })
    }

    fn draw_row(&self, case_id: &str, drawn: &Drawn, mask: &LabelMap) -> DrawRow {
        let elastic = drawn.elastic.as_ref();
        DrawRow {
            case_id: case_id.to_owned(),
            source_case_id: self.row.case_id.clone(),
            flip: u8::from(drawn.flip),
            rotation_d_deg: drawn.rotation_deg[0],
            rotation_h_deg: drawn.rotation_deg[1],
            rotation_w_deg: drawn.rotation_deg[2],
            magnification: drawn.magnification,
            translation_d_mm: drawn.translation_mm[0],
            translation_h_mm: drawn.translation_mm[1],
            translation_w_mm: drawn.translation_mm[2],
            elastic_strength: elastic.map(|e| e.strength),
            elastic_max_displacement_mm: elastic.map(|e| e.extremes.max_displacement_mm),
            elastic_min_jacobian: elastic.map(|e| e.extremes.min_jacobian),
            elastic_max_jacobian: elastic.map(|e| e.extremes.max_jacobian),
            lesion_strength: drawn.lesion.as_ref().map(|lesion| lesion.strength),
            lesion_volume_factor: drawn.lesion.as_ref().map(|lesion| lesion.volume_factor),
            blur_mm: drawn.blur_mm,
            gain: drawn.gain,
            offset_hu: drawn.offset_hu,
            noise_hu: drawn.noise_hu,
            volume_factor: drawn.volume_factor(),
            blood_before_ml: self.mask.volume_ml(&BLOOD),
            blood_after_ml: mask.volume_ml(&BLOOD),
        }
    }
}

fn write_tables(output: &Path, cases: &Cases, examples: Vec<Example>) -> Result<(), AugmentError> {
    let mut geometry = BTreeMap::new();
    let (mut rows, mut descriptors, mut draws) = (Vec::new(), Vec::new(), Vec::new());
    for example in examples {
        geometry.insert(example.row.case_id.clone(), example.geometry);
        rows.push(example.row);
        descriptors.extend(example.descriptors);
        draws.push(example.draw);
    }
    table::write_rows(&output.join("cases.csv"), &CaseRow::COLUMNS, &rows)?;
    table::write_rows(&output.join("descriptors.csv"), &DescriptorRow::COLUMNS, &descriptors)?;
    table::write_rows(&output.join("draws.csv"), &DrawRow::COLUMNS, &draws)?;
    let excluded: [ExclusionRow; 0] = [];
    table::write_rows(&output.join("exclusions.csv"), &ExclusionRow::COLUMNS, &excluded)?;
    json::write(&output.join("geometry.json"), &geometry)?;
    json::write(&output.join("preparation.json"), &cases.preparation)?;
    Ok(())
}
