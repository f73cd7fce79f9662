//! The stage: a few augmented cases, to be looked at.

use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::picture::{BRAIN_WINDOW_HU, Picture, middle_labelled_slice};
use hemex_artifacts::{
    CaseRow, Cases, DescriptorRow, ExclusionRow, GeometryRecord, LabelRow, json, nifti, table,
};
use hemex_stage::{DrawKey, Progress, Request};
use hemex_volume::{BrainDescriptors, Image, LabelMap};
use rayon::prelude::*;

use crate::record::{BLOOD, DrawRow};
use crate::{
    AugmentError, CaseView, Config, Donor, ExampleRecord, TransplantDraw, TransplantProvenance,
};

/// A pixel of a picture is the finer in-plane spacing divided by this.
const ZOOM: f64 = 3.0;

/// Writes augmented versions of the first cases as `cases/1`, with a picture of each
/// (`png/<case>-augNN.png`, original and augmented), what was drawn as a record that makes the example again
/// (`draws/<case>-augNN.json`) and a table of that (`draws.csv`).
///
/// Inputs `cases` and `labels`, output `examples`. A case without a reference mask is augmented and
/// shown without an outline; nothing is planted into it, since its own hematoma is not known. Donors
/// are the cases shown: these examples are looked at, nothing is trained on them.
///
/// # Errors
/// If an input is not wired or cannot be read, or the output cannot be written.
pub fn run(config: &Config, request: &Request) -> anyhow::Result<()> {
    let cases = Cases::open(request.input("cases")?)?;
    let labels_folder = request.input("labels")?;
    let labels: Vec<LabelRow> = table::read_rows(&labels_folder.join("labels.csv"))?;
    let labels: BTreeMap<&str, &LabelRow> =
        labels.iter().map(|row| (row.case_id.as_str(), row)).collect();
    let output = request.output("examples")?;
    for folder in ["images", "brain", "png", "draws"] {
        let path = output.join(folder);
        std::fs::create_dir(&path).map_err(|source| AugmentError::Write { path, source })?;
    }
    let [least, most] = config.policy.volume_factor_range();
    hemex_stage::log(format_args!(
        "scaling changes lesion volumes by a factor of {least:.2} to {most:.2}; growth labels stay"
    ));

    let shown = &cases.rows[..config.n_cases.min(cases.rows.len())];
    let progress = Progress::new(shown.len() * config.n_draws, "example");
    let sources: Vec<Source> = shown
        .par_iter()
        .map(|row| Source::read(&cases, row, labels_folder, &labels))
        .collect::<Result<_, AugmentError>>()?;
    let donors = donors(config, &sources)?;
    let maker = Maker { config, donors: &donors, seed: request.seed, output };
    let examples: Vec<Vec<Example>> = sources
        .par_iter()
        .map(|source| {
            (1..=config.n_draws)
                .map(|n| {
                    let example = maker.example(source, n)?;
                    progress.add(1);
                    Ok(example)
                })
                .collect()
        })
        .collect::<Result<_, AugmentError>>()?;
    Ok(write_tables(output, &cases, examples.into_iter().flatten().collect())?)
}

/// The hematomas that may be planted, of the cases that have a mask.
fn donors(config: &Config, sources: &[Source<'_>]) -> Result<Vec<Donor>, AugmentError> {
    if !config.transplant.is_on() {
        return Ok(Vec::new());
    }
    let cut = sources.iter().map(|source| Donor::cut(&source.view()));
    Ok(cut.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// A case with its volumes.
struct Source<'a> {
    row: &'a CaseRow,
    geometry: GeometryRecord,
    image: Image,
    brain: LabelMap,
    /// Empty where there is no reference mask.
    mask: LabelMap,
    has_mask: bool,
    volumes_ml: [Option<f64>; 2],
    window_hu: [f32; 2],
}

impl<'a> Source<'a> {
    fn read(
        cases: &Cases,
        row: &'a CaseRow,
        labels_folder: &Path,
        labels: &BTreeMap<&str, &LabelRow>,
    ) -> Result<Self, AugmentError> {
        let case_id = || row.case_id.clone();
        let geometry = cases.geometry.get(&row.case_id).cloned();
        let label = labels.get(row.case_id.as_str());
        let label = label.ok_or_else(|| AugmentError::NoLabelRow { case_id: case_id() })?;
        let image = cases.image(&row.case_id)?;
        let mask = match &label.mask {
            Some(path) => nifti::read_label_map(&labels_folder.join(path))?,
            None => LabelMap::empty(*image.geometry()),
        };
        Ok(Self {
            row,
            geometry: geometry.ok_or_else(|| AugmentError::NoGeometry { case_id: case_id() })?,
            brain: cases.brain(&row.case_id)?,
            image,
            mask,
            has_mask: label.mask.is_some(),
            volumes_ml: [label.baseline_volume_ml, label.followup_volume_ml],
            window_hu: cases.preparation.window_hu,
        })
    }

    fn view(&self) -> CaseView<'_> {
        CaseView {
            case_id: &self.row.case_id,
            patient_id: &self.row.patient_id,
            image: &self.image,
            labels: &self.mask,
            brain: &self.brain,
            volumes_ml: self.volumes_ml,
        }
    }
}

/// What an example leaves in the tables.
struct Example {
    row: CaseRow,
    descriptors: Option<DescriptorRow>,
    geometry: GeometryRecord,
    draw: DrawRow,
}

/// Image and mask with a hematoma of another patient.
struct Planted {
    image: Image,
    mask: LabelMap,
    provenance: TransplantProvenance,
}

/// Makes examples.
struct Maker<'a> {
    config: &'a Config,
    donors: &'a [Donor],
    seed: u64,
    output: &'a Path,
}

impl Maker<'_> {
    /// Draws, applies and writes the `n`-th example of a case.
    fn example(&self, source: &Source<'_>, n: usize) -> Result<Example, AugmentError> {
        let key = |purpose| DrawKey::new(self.seed, purpose).case(&source.row.case_id).repeat(n);
        let case_id = format!("{}-aug{n:02}", source.row.case_id);
        let planted = self.planted(source, &key("augment.transplant"), &case_id)?;
        let (image, mask) =
            planted.as_ref().map_or((&source.image, &source.mask), |p| (&p.image, &p.mask));
        let lesion: Vec<usize> = (0..mask.voxels().len())
            .filter(|place| BLOOD.contains(&mask.voxels()[*place]))
            .collect();
        let key = key("augment.example");
        let drawn = self.config.policy.draw_around(&key, image.geometry(), &lesion);
        let (moved, moved_mask) = drawn.apply(image, mask, source.window_hu)?;
        let brain = drawn.apply_to_labels(&source.brain)?;

        let path = |folder: &str, ending: &str| {
            self.output.join(folder).join(format!("{case_id}.{ending}"))
        };
        nifti::write_image(&path("images", "nii"), &moved)?;
        nifti::write_label_map(&path("brain", "nii"), &brain)?;
        let panels = [(&source.image, &source.mask), (&moved, &moved_mask)].map(panel);
        Picture::sheet(&panels, panels.len()).write(&path("png", "png"))?;
        let record = ExampleRecord {
            case_id: case_id.clone(),
            source_case_id: source.row.case_id.clone(),
            transplant: planted.as_ref().map(|planted| planted.provenance.clone()),
            drawn,
        };
        json::write(&path("draws", "json"), &record)?;
        let draw = DrawRow::of(&record, mask, &moved_mask);
        // The measured noise is that of the original and no longer known.
        let row = CaseRow { case_id, noise_hu: None, ..source.row.clone() };
        let descriptors = BrainDescriptors::of(&moved, &brain)?
            .map(|described| DescriptorRow::new(&row.case_id, &described));
        Ok(Example { row, descriptors, geometry: source.geometry.clone(), draw })
    }

    /// The case with a hematoma of another patient, if one was drawn and found a place.
    fn planted(
        &self,
        source: &Source<'_>,
        key: &DrawKey,
        example: &str,
    ) -> Result<Option<Planted>, AugmentError> {
        let policy = &self.config.transplant;
        if !policy.is_on() || !source.has_mask {
            return Ok(None);
        }
        let open = policy.open_voxels(&source.view())?;
        let (drawn, donor) = match policy.draw(key, &source.view(), &open, self.donors) {
            TransplantDraw::Placed { drawn, donor } => (drawn, donor),
            TransplantDraw::None => return Ok(None),
            TransplantDraw::NoDonor => {
                hemex_stage::log(format_args!("{example}: no other patient's hematoma to plant"));
                return Ok(None);
            }
            TransplantDraw::NoPlace { donor_case_id } => {
                hemex_stage::log(format_args!("{example}: no place for that of {donor_case_id}"));
                return Ok(None);
            }
        };
        let planted = drawn.apply(donor, &source.view(), source.window_hu)?;
        let (image, mask) = (planted.image, planted.labels);
        Ok(Some(Planted { image, mask, provenance: planted.provenance }))
    }
}

/// The middle one of the slices that hold a lesion.
fn panel((image, labels): (&Image, &LabelMap)) -> Picture {
    let [_, h_mm, w_mm] = image.geometry().spacing_mm();
    let d = middle_labelled_slice(labels);
    Picture::slice(image, Some(labels), d, BRAIN_WINDOW_HU, h_mm.min(w_mm) / ZOOM)
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
