//! The case viewer: volumes in the page, drawn by NiiVue.
//!
//! It is an addition: without JavaScript or WebGL 2 the page keeps a static picture of each case.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hemex_artifacts::nifti;
use hemex_volume::{Geometry, Image, LabelMap, VolumeError};
use serde_json::{Value, json};

use super::{CaseVolumes, PREDICTED_COLOR, REFERENCE_COLOR};
use crate::compare::{PREDICTED_LESION, part_around};
use crate::html::Page;
use crate::html::text::{fixed, swatch};
use crate::{CaseResult, ReportError};

/// NiiVue 0.69.0, BSD-2-Clause: `vendor/niivue/README.md`.
const NIIVUE: &str = include_str!("../../../vendor/niivue/niivue.umd.js");
const NIIVUE_LICENSE: &str = include_str!("../../../vendor/niivue/LICENSE");
const THIRD_PARTY: &str = include_str!("../../../vendor/niivue/THIRD-PARTY.txt");
const SCRIPT: &str = include_str!("viewer.js");

/// Head around the lesion that stays in sight, mm.
const MARGIN_MM: f64 = 25.0;

/// What one case may weigh, and all of them together, in characters of the page. A page is sent by mail.
const CASE_LIMIT: usize = 2_000_000;
const PAGE_LIMIT: usize = 8_000_000;

/// The cases that the viewer offers.
#[derive(Debug, Default)]
pub(super) struct Viewer {
    cases: Vec<Value>,
    weight: usize,
    n_left_out: usize,
}

impl Viewer {
    /// Takes the case up and gives its number; `None` if its volumes are too heavy for a page.
    ///
    /// # Errors
    /// If a volume cannot be written as NIfTI.
    pub(super) fn add(
        &mut self,
        page: &Page,
        titles: &[&str],
        row: &CaseResult,
        volumes: &CaseVolumes,
    ) -> Result<Option<usize>, ReportError> {
        let lesion_labels = &page.config.lesion_labels;
        let encoded = encoded(volumes, lesion_labels).map_err(|problem| ReportError::Write {
            path: format!("the volumes of {} in the page", row.case_id).into(),
            problem,
        })?;
        let weight = encoded.iter().flatten().map(String::len).sum::<usize>();
        if weight > CASE_LIMIT || self.weight + weight > PAGE_LIMIT {
            self.n_left_out += 1;
            return Ok(None);
        }
        let [image, reference, prediction] = encoded;
        self.weight += weight;
        self.cases.push(json!({
            "title": format!("{}: {}", titles.join(", "), row.case_id),
            "image": image,
            "reference": reference,
            "prediction": prediction,
        }));
        Ok(Some(self.cases.len() - 1))
    }

    /// The viewer's place in the page, hidden until its script finds WebGL 2; empty without a case.
    pub(super) fn html(&self, page: &Page) -> String {
        if self.cases.is_empty() {
            return String::new();
        }
        let [low, high] = page.config.display_window_hu;
        let options: String = [
            ("report", low, high),
            ("brain", 0.0, 80.0),
            ("blood", 30.0, 90.0),
            ("wide", -100.0, 200.0),
        ]
        .map(|(name, low, high)| {
            let range = format!("{} to {} HU", fixed(low, 0), fixed(high, 0));
            format!("<option value=\"{low} {high}\">{name}: {range}</option>")
        })
        .concat();
        let overlay = |name: &str, color: &str| {
            format!(
                "<label><input type=\"checkbox\" data-overlay=\"{name}\" checked>{}</label>",
                swatch(color, name)
            )
        };
        let left_out = match self.n_left_out {
            0 => String::new(),
            n => format!(
                "<p class=\"note\">{n} of the cases below too heavy for the page: as pictures alone.</p>"
            ),
        };
        format!(
            "<div id=\"viewer\" class=\"viewer\" role=\"region\" aria-label=\"Case viewer\" hidden>\
             <div class=\"stage\"><canvas id=\"viewer-canvas\" tabindex=\"0\" role=\"img\" \
             aria-label=\"Axial slices of the case\" aria-describedby=\"viewer-help\"></canvas></div>\
             <div class=\"controls\"><label>Case<select id=\"viewer-case\"></select></label>\
             <label>Window<select id=\"viewer-window\">{options}</select></label>\
             <label>Slice <output id=\"viewer-place\" for=\"viewer-slice\"></output>\
             <input type=\"range\" id=\"viewer-slice\" min=\"0\" step=\"1\"></label>\
             <fieldset><legend>Edge of</legend>{}{}</fieldset>\
             <p class=\"note\" id=\"viewer-help\">Arrow keys or the wheel scroll through the slices; dragging with the \
             right button sets the window. The patient's right is on the left. Where there is a lesion, {} mm \
             around it are shown.</p>{left_out}</div></div>\
             <script type=\"application/json\" id=\"viewer-cases\">{}</script>",
            overlay("reference", REFERENCE_COLOR),
            overlay("prediction", PREDICTED_COLOR),
            fixed(MARGIN_MM, 0),
            for_script(&Value::Array(self.cases.clone())),
        )
    }

    /// The scripts that the viewer needs, in their order; none without a case.
    pub(super) fn scripts(&self) -> Vec<String> {
        if self.cases.is_empty() {
            return Vec::new();
        }
        vec![
            format!("/*! NiiVue 0.69.0\n{NIIVUE_LICENSE}\n{THIRD_PARTY}*/\n{NIIVUE}"),
            SCRIPT.to_owned(),
        ]
    }
}

/// JSON that no HTML can end: `<` occurs in strings alone, where its escape means the same.
fn for_script(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

/// Image, reference and prediction around the lesion as NIfTI in base64.
fn encoded(volumes: &CaseVolumes, lesion_labels: &[u8]) -> Result<[Option<String>; 3], String> {
    let mask = |map: &Option<LabelMap>, labels: &[u8]| {
        map.as_ref().map(|map| lesion_alone(map, labels)).transpose()
    };
    let reference = mask(&volumes.reference, lesion_labels).map_err(|e| e.to_string())?;
    let predicted = mask(&volumes.predicted, &[PREDICTED_LESION]).map_err(|e| e.to_string())?;
    let part =
        around(volumes.image.geometry(), [&reference, &predicted]).map_err(|e| e.to_string())?;
    let image: Image = volumes.image.resample(&part, 0.0);
    let text = |bytes: std::io::Result<Vec<u8>>| {
        bytes.map(|bytes| STANDARD.encode(bytes)).map_err(|e| e.to_string())
    };
    let label_map = |map: Option<LabelMap>| {
        map.map(|map| text(nifti::encode_label_map(&map.resample(&part)))).transpose()
    };
    Ok([Some(text(nifti::encode_image_i16(&image))?), label_map(reference)?, label_map(predicted)?])
}

/// The lesion as label 1.
fn lesion_alone(map: &LabelMap, labels: &[u8]) -> Result<LabelMap, VolumeError> {
    LabelMap::new(*map.geometry(), map.mask(labels).into_iter().map(u8::from).collect())
}

/// The part of the grid with all lesions and a margin; the whole grid where there is none.
fn around(grid: &Geometry, lesions: [&Option<LabelMap>; 2]) -> Result<Geometry, VolumeError> {
    let bounds = lesions.map(|map| map.as_ref().and_then(|map| map.bounds(&[1])));
    part_around(grid, bounds, grid.spacing_mm().map(|mm| (MARGIN_MM / mm).ceil() as usize))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::Affine;

    use super::*;

    fn grid(shape: [usize; 3]) -> Geometry {
        Geometry::new(shape, Affine::from_spacing([10.0, 5.0, 5.0], [0.0; 3]).unwrap()).unwrap()
    }

    #[test]
    fn the_lesion_and_a_margin_are_shown_as_far_as_the_image_goes() {
        let grid = grid([8, 20, 20]);
        let mut lesion = LabelMap::empty(grid);
        lesion.voxels_mut()[grid.offset([6, 10, 2])] = 1;
        lesion.voxels_mut()[grid.offset([6, 11, 3])] = 1;
        let part = around(&grid, [&Some(lesion), &None]).unwrap();
        assert_eq!(part.shape(), [5, 12, 9]);
        assert_eq!(part.point_mm([0.0; 3]), grid.point_mm([3.0, 5.0, 0.0]));
        assert_eq!(around(&grid, [&None, &None]).unwrap().shape(), grid.shape());
    }

    #[test]
    fn what_is_shown_is_what_was_measured() {
        let grid = grid([3, 4, 4]);
        let voxels: Vec<f32> = (0..48).map(|i| i as f32 - 10.0).collect();
        let image = Image::new(grid, voxels).unwrap();
        let labels = (0..48).map(|i| if i == 21 { 1 } else { 2 * u8::from(i == 3) }).collect();
        let reference = LabelMap::new(grid, labels).unwrap();
        let volumes = CaseVolumes { image, reference: Some(reference), predicted: None };
        let [image, reference, predicted] = encoded(&volumes, &[1]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = |text: Option<String>| {
            let path = folder.path().join("v.nii.gz");
            std::fs::write(&path, STANDARD.decode(text.unwrap()).unwrap()).unwrap();
            path
        };
        assert_eq!(nifti::read_image(&file(image)).unwrap(), volumes.image);
        let reference = nifti::read_label_map(&file(reference)).unwrap();
        assert_eq!(
            (reference.count(&[1]), reference.voxels()[21], reference.count(&[2])),
            (1, 1, 0)
        );
        assert_eq!(predicted, None);
    }

    #[test]
    fn no_case_ends_the_script() {
        let text = for_script(&json!("</script><script>alert(1)</script>"));
        assert!(!text.contains('<'));
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back, json!("</script><script>alert(1)</script>"));
    }

    /// What `vendor/niivue/README.md` states.
    #[test]
    fn the_vendored_file_is_the_published_one() {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(NIIVUE.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        // Nothing ends the comment or the script before its time.
        assert!(![NIIVUE_LICENSE, THIRD_PARTY].iter().any(|text| text.contains("*/")));
        assert!([NIIVUE, SCRIPT, THIRD_PARTY].iter().all(|script| !script.contains("</script")));
        assert_eq!(hex, "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af");
    }
}
