//! Pictures for people: the original beside its augmented version.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use hemex_volume::{Image, LabelMap};

use crate::AugmentError;

/// The brain window: everything from black to white, HU.
const WINDOW_HU: [f32; 2] = [0.0, 80.0];
/// Length of a pixel's side is the finer in-plane spacing divided by this.
const ZOOM: f64 = 3.0;
/// Width of the bar between two panels, pixels.
const GAP: usize = 12;
const GAP_COLOUR: [u8; 3] = [70, 70, 70];
/// Outline of label 0 (unused), 1 intraparenchymal, 2 intraventricular, 3 edema, 4 extra-axial.
const OUTLINES: [[u8; 3]; 5] =
    [[255, 255, 255], [255, 60, 40], [60, 200, 255], [255, 210, 40], [90, 255, 120]];

/// An RGB picture.
pub(crate) struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// Panels of equal height side by side, each the middle lesion slice of an image in the brain
    /// window with its labels outlined.
    pub(crate) fn of(panels: &[(&Image, &LabelMap)]) -> Self {
        let panels: Vec<Picture> =
            panels.iter().map(|(image, labels)| panel(image, labels)).collect();
        let height = panels.iter().map(|p| p.height).max().unwrap_or(0);
        let width =
            panels.iter().map(|p| p.width).sum::<usize>() + GAP * panels.len().saturating_sub(1);
        let mut pixels = vec![GAP_COLOUR; width * height];
        let mut left = 0;
        for panel in &panels {
            for (row, source) in panel.pixels.chunks_exact(panel.width).enumerate() {
                pixels[row * width + left..][..panel.width].copy_from_slice(source);
            }
            left += panel.width + GAP;
        }
        Self { width, height, pixels }
    }

    /// Writes the picture as PNG.
    pub(crate) fn write(&self, path: &Path) -> Result<(), AugmentError> {
        let error = |source| AugmentError::Write { path: path.to_owned(), source };
        let file = BufWriter::new(File::create(path).map_err(error)?);
        let mut encoder = png::Encoder::new(file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .write_header()
            .and_then(|mut writer| {
                writer.write_image_data(self.pixels.as_flattened())?;
                writer.finish()
            })
            .map_err(|source| error(source.into()))
    }
}

/// The middle one of the slices that hold a lesion, the middle slice of all if there is none.
fn middle_lesion_slice(labels: &LabelMap) -> usize {
    let n_slices = labels.geometry().shape()[0];
    let holds = |d: &usize| labels.slice(*d).iter().any(|label| *label > 0);
    let with_lesion: Vec<usize> = (0..n_slices).filter(holds).collect();
    with_lesion.get(with_lesion.len() / 2).copied().unwrap_or(n_slices / 2)
}

/// One slice as radiologists see it: the front above, the patient's right on the left.
fn panel(image: &Image, labels: &LabelMap) -> Picture {
    let d = middle_lesion_slice(labels);
    let (values, labels) = (image.slice(d), labels.slice(d));
    let [_, n_h, n_w] = image.geometry().shape();
    let [_, h_mm, w_mm] = image.geometry().spacing_mm();
    let pixel_mm = h_mm.min(w_mm) / ZOOM;
    let extent = |n: usize, mm: f64| ((n as f64 * mm / pixel_mm).round() as usize).max(1);
    let (height, width) = (extent(n_h, h_mm), extent(n_w, w_mm));
    // The voxel under a pixel; H runs up and W to the patient's right.
    let voxel = |row: usize, column: usize| {
        let h = n_h - 1 - (row * n_h / height);
        let w = n_w - 1 - (column * n_w / width);
        h * n_w + w
    };
    let mut pixels = Vec::with_capacity(width * height);
    for row in 0..height {
        for column in 0..width {
            let at = voxel(row, column);
            let label = labels[at];
            let borders = |row: usize, column: usize| {
                row < height && column < width && labels[voxel(row, column)] != label
            };
            let outlined = label > 0
                && (borders(row.wrapping_sub(1), column)
                    || borders(row + 1, column)
                    || borders(row, column.wrapping_sub(1))
                    || borders(row, column + 1));
            let grey = (values[at] - WINDOW_HU[0]) / (WINDOW_HU[1] - WINDOW_HU[0]);
            // The cast saturates: below the window is black, above it white.
            let grey = [(grey * 255.0) as u8; 3];
            let outline = OUTLINES.get(usize::from(label)).copied().unwrap_or(OUTLINES[0]);
            pixels.push(if outlined { outline } else { grey });
        }
    }
    Picture { width, height, pixels }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry};

    use super::*;

    #[test]
    fn the_picture_shows_the_middle_lesion_slice_as_seen_from_the_feet() {
        let affine = Affine::from_spacing([5.0, 2.0, 1.0], [0.0; 3]).unwrap();
        let geometry = Geometry::new([5, 4, 6], affine).unwrap();
        let mut image = Image::filled(geometry, 40.0);
        let mut labels = LabelMap::empty(geometry);
        for d in [2, 3, 4] {
            // The voxel at the front and on the patient's right.
            let place = geometry.offset([d, 3, 5]);
            labels.voxels_mut()[place] = 1;
            image.voxels_mut()[place] = 20.0 * d as f32;
        }
        let picture = Picture::of(&[(&image, &labels), (&image, &labels)]);
        // 6 mm by 8 mm at a third of a millimetre, twice.
        assert_eq!((picture.width, picture.height), (18 + GAP + 18, 24));
        let at = |row: usize, column: usize| picture.pixels[row * picture.width + column];
        assert_eq!(at(0, 0), [191; 3], "slice 3 at 60 HU, upper left");
        assert_eq!(at(5, 2), OUTLINES[1], "its lower right corner borders on background");
        assert_eq!(at(6, 3), [127; 3]);
        assert_eq!(at(0, 18), GAP_COLOUR);
    }

    #[test]
    fn without_a_lesion_the_middle_slice_is_shown() {
        let affine = Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3]).unwrap();
        let labels = LabelMap::empty(Geometry::new([7, 2, 2], affine).unwrap());
        assert_eq!(middle_lesion_slice(&labels), 3);
    }
}
