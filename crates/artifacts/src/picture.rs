//! Pictures for people: slices in a window with outlines, captions, contact sheets, as PNG.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use font8x8::UnicodeFonts;
use hemex_volume::{Image, LabelMap};

use crate::ArtifactError;

/// The brain window: everything from black to white, HU.
pub const BRAIN_WINDOW_HU: [f32; 2] = [0.0, 80.0];

/// Width of the bar between two panels, pixels.
const GAP: usize = 8;
const GAP_COLOUR: [u8; 3] = [70, 70, 70];
/// Side of a glyph, and how often each of its pixels is repeated.
const GLYPH: usize = 8;
const GLYPH_ZOOM: usize = 2;
/// Outline of label 0 (unused), 1 intraparenchymal, 2 intraventricular, 3 edema, 4 extra-axial.
const OUTLINES: [[u8; 3]; 5] =
    [[255, 255, 255], [255, 60, 40], [60, 200, 255], [255, 210, 40], [90, 255, 120]];

/// An RGB picture, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// Slice `d` as radiologists see it (the front above, the patient's right on the left), in a window
    /// (black, white), a pixel `pixel_mm` wide, with outlines of the labels where there are any. Image and
    /// labels lie on one grid whose axes run to the patient's right, front and head, or near that.
    pub fn slice(
        image: &Image,
        labels: Option<&LabelMap>,
        d: usize,
        window_hu: [f32; 2],
        pixel_mm: f64,
    ) -> Self {
        let [_, n_h, n_w] = image.geometry().shape();
        let [_, h_mm, w_mm] = image.geometry().spacing_mm();
        let extent = |n: usize, mm: f64| ((n as f64 * mm / pixel_mm).round() as usize).max(1);
        let (height, width) = (extent(n_h, h_mm), extent(n_w, w_mm));
        let plane = Plane { values: image.slice(d), n_h, n_w };
        // The place of a pixel on the grid; H runs up and W to the patient's right.
        let along = |at: usize, n_pixels: usize, n: usize| {
            n as f64 - 0.5 - (at as f64 + 0.5) * n as f64 / n_pixels as f64
        };
        let label_at = |row: usize, column: usize| {
            let place = [along(row, height, n_h), along(column, width, n_w)];
            let [h, w] = place.map(|at| at.round().max(0.0) as usize);
            labels.map_or(0, |labels| labels.slice(d)[h.min(n_h - 1) * n_w + w.min(n_w - 1)])
        };
        let mut pixels = Vec::with_capacity(width * height);
        for row in 0..height {
            for column in 0..width {
                let label = label_at(row, column);
                let borders = |row: usize, column: usize| {
                    row < height && column < width && label_at(row, column) != label
                };
                let outlined = label > 0
                    && (borders(row.wrapping_sub(1), column)
                        || borders(row + 1, column)
                        || borders(row, column.wrapping_sub(1))
                        || borders(row, column + 1));
                let hu = plane.at(along(row, height, n_h), along(column, width, n_w));
                let grey = (hu - window_hu[0]) / (window_hu[1] - window_hu[0]);
                // The cast saturates: below the window is black, above it white.
                let grey = [(grey * 255.0) as u8; 3];
                let outline = OUTLINES.get(usize::from(label)).copied().unwrap_or(OUTLINES[0]);
                pixels.push(if outlined { outline } else { grey });
            }
        }
        Self { width, height, pixels }
    }

    /// Width and height, pixels.
    pub fn size(&self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// The middle of the picture, no larger than this, pixels.
    pub fn cropped(self, width: usize, height: usize) -> Self {
        let (width, height) = (width.min(self.width), height.min(self.height));
        let (left, top) = ((self.width - width) / 2, (self.height - height) / 2);
        let rows = self.pixels.chunks_exact(self.width).skip(top).take(height);
        let pixels = rows.flat_map(|row| row[left..left + width].iter().copied()).collect();
        Self { width, height, pixels }
    }

    /// The picture with a line of text above it; what does not fit is cut, and what the font lacks is left out.
    pub fn captioned(self, text: &str) -> Self {
        let bar = GLYPH * GLYPH_ZOOM + 8;
        let mut pixels = vec![[20; 3]; self.width * bar];
        for (n, letter) in text.chars().enumerate() {
            let Some(glyph) = font8x8::BASIC_FONTS.get(letter) else { continue };
            let left = 4 + n * GLYPH * GLYPH_ZOOM;
            for (y, bits) in glyph.iter().enumerate() {
                for x in (0..GLYPH).filter(|x| bits >> x & 1 == 1) {
                    for (dy, dx) in
                        (0..GLYPH_ZOOM * GLYPH_ZOOM).map(|i| (i / GLYPH_ZOOM, i % GLYPH_ZOOM))
                    {
                        let (row, column) = (4 + y * GLYPH_ZOOM + dy, left + x * GLYPH_ZOOM + dx);
                        if column < self.width {
                            pixels[row * self.width + column] = [235; 3];
                        }
                    }
                }
            }
        }
        pixels.extend(self.pixels);
        Self { width: self.width, height: bar + self.height, pixels }
    }

    /// Panels row by row, `n_columns` in each, every cell as large as the largest panel.
    pub fn sheet(panels: &[Picture], n_columns: usize) -> Self {
        let n_columns = n_columns.clamp(1, panels.len().max(1));
        let cell_width = panels.iter().map(|panel| panel.width).max().unwrap_or(1);
        let cell_height = panels.iter().map(|panel| panel.height).max().unwrap_or(1);
        let n_rows = panels.len().div_ceil(n_columns).max(1);
        let width = n_columns * (cell_width + GAP) - GAP;
        let height = n_rows * (cell_height + GAP) - GAP;
        let mut pixels = vec![GAP_COLOUR; width * height];
        for (n, panel) in panels.iter().enumerate() {
            let top = n / n_columns * (cell_height + GAP);
            let left = n % n_columns * (cell_width + GAP);
            for (row, source) in panel.pixels.chunks_exact(panel.width).enumerate() {
                pixels[(top + row) * width + left..][..panel.width].copy_from_slice(source);
            }
        }
        Self { width, height, pixels }
    }

    /// Writes the picture as PNG.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ArtifactError> {
        let file = BufWriter::new(File::create(path).map_err(ArtifactError::io(path))?);
        let mut encoder = png::Encoder::new(file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .write_header()
            .and_then(|mut writer| {
                writer.write_image_data(self.pixels.as_flattened())?;
                writer.finish()
            })
            .map_err(|error| ArtifactError::io(path)(error.into()))
    }
}

/// The middle one of the slices that hold a label, the middle slice of all if there is none.
pub fn middle_labelled_slice(labels: &LabelMap) -> usize {
    let n_slices = labels.geometry().shape()[0];
    let holds = |d: &usize| labels.slice(*d).iter().any(|label| *label > 0);
    let with_label: Vec<usize> = (0..n_slices).filter(holds).collect();
    with_label.get(with_label.len() / 2).copied().unwrap_or(n_slices / 2)
}

/// The values of a slice.
struct Plane<'a> {
    values: &'a [f32],
    n_h: usize,
    n_w: usize,
}

impl Plane<'_> {
    /// Linear between voxels, the edge repeated.
    fn at(&self, h: f64, w: f64) -> f32 {
        let split = |at: f64, n: usize| {
            let at = at.clamp(0.0, (n - 1) as f64);
            (at as usize, (at as usize + 1).min(n - 1), at.fract() as f32)
        };
        let ((h0, h1, fh), (w0, w1, fw)) = (split(h, self.n_h), split(w, self.n_w));
        let row = |h: usize| {
            let [a, b] = [w0, w1].map(|w| self.values[h * self.n_w + w]);
            a + fw * (b - a)
        };
        row(h0) + fh * (row(h1) - row(h0))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry};

    use super::*;

    #[test]
    fn a_slice_is_seen_from_the_feet() {
        let affine = Affine::from_spacing([5.0, 2.0, 1.0], [0.0; 3]).unwrap();
        let geometry = Geometry::new([5, 4, 6], affine).unwrap();
        let mut image = Image::filled(geometry, 40.0);
        let mut labels = LabelMap::empty(geometry);
        // The voxel at the front and on the patient's right.
        let place = geometry.offset([3, 3, 5]);
        labels.voxels_mut()[place] = 1;
        image.voxels_mut()[place] = 60.0;
        assert_eq!(middle_labelled_slice(&labels), 3);
        let picture = Picture::slice(&image, Some(&labels), 3, BRAIN_WINDOW_HU, 0.25);
        // 6 mm by 8 mm at a quarter of a millimetre.
        assert_eq!(picture.size(), [24, 32]);
        let at = |row: usize, column: usize| picture.pixels[row * 24 + column];
        assert_eq!(at(0, 0), [191; 3], "60 HU in the upper left corner");
        assert_eq!(at(7, 1), OUTLINES[1], "its lower edge borders on background");
        assert_eq!(at(20, 20), [127; 3]);
        let plain = Picture::slice(&image, None, 0, BRAIN_WINDOW_HU, 0.25);
        assert!(plain.pixels.iter().all(|pixel| *pixel == [127; 3]));
    }

    #[test]
    fn without_a_label_the_middle_slice_is_shown() {
        let affine = Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3]).unwrap();
        let labels = LabelMap::empty(Geometry::new([7, 2, 2], affine).unwrap());
        assert_eq!(middle_labelled_slice(&labels), 3);
    }

    #[test]
    fn a_sheet_has_its_panels_in_rows_and_its_captions_above() {
        let panel = |grey: u8| Picture { width: 40, height: 10, pixels: vec![[grey; 3]; 400] };
        let sheet = Picture::sheet(&[panel(1), panel(2), panel(3).captioned("I")], 2);
        assert_eq!(sheet.size(), [2 * 40 + GAP, 2 * (10 + 24) + GAP]);
        let at = |row: usize, column: usize| sheet.pixels[row * sheet.width + column][0];
        assert_eq!([at(0, 0), at(0, 40), at(0, 48)], [1, GAP_COLOUR[0], 2]);
        assert_eq!(at(34 + GAP + 24, 0), 3);
        let bar = 42..42 + 24;
        let n_lit = bar.flat_map(|row| (0..40).map(move |c| (row, c)));
        let n_lit = n_lit.filter(|(row, column)| at(*row, *column) == 235).count();
        // The letter I of the font: a stem of 2 by 7 with two serifs of 1 on both sides of it.
        assert!(n_lit > 40, "{n_lit}");
        let cropped = sheet.clone().cropped(50, 1000);
        assert_eq!(cropped.size(), [50, sheet.height]);
        assert_eq!(cropped.pixels[0], sheet.pixels[(sheet.width - 50) / 2]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        sheet.write(&path).unwrap();
        let decoder = png::Decoder::new(std::io::BufReader::new(File::open(&path).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        assert_eq!(bytes, sheet.pixels.as_flattened());
    }
}
