//! One axial CT series out of a folder of DICOM files.
//!
//! Files are found by content (`DICM` at byte 128), not by name. Of them count single-frame CT images
//! that are axial, no localizer and not marked both derived and secondary; they are grouped by series,
//! and the series with the most slices is taken (of equal ones that with the lowest series number).
//! Slices are ordered by their position along the normal of their plane and must make one even stack.
//!
//! Refused by name in this version: gantry tilt, uneven, missing and duplicate slices, multi-frame
//! files, lossy and newer compressions, MONOCHROME1, missing rescale values.

mod file;
mod header;
mod pixels;
mod select;
mod stack;
mod syntax;

use std::io::Read;
use std::path::{Path, PathBuf};

use hemex_volume::Image;
use rayon::prelude::*;

use crate::guard::guarded;
use crate::{StackProblem, Unusable};
use header::{Content, SliceHeader};
use stack::Stack;

/// HU of voxels that the scanner marks as outside its field of view.
pub const PADDING_HU: f32 = -1024.0;

/// A series as a volume.
#[derive(Debug, Clone)]
pub struct Series {
    /// HU on the scanner's grid: `W` along rows, `H` along columns, `D` along the slices' normal.
    pub image: Image,
    /// The reconstruction kernel's name, if the files say.
    pub convolution_kernel: Option<String>,
    /// Date and time of acquisition as the files write it; for the private artifact alone.
    pub acquired: Option<String>,
    /// How many other axial CT series there were.
    pub n_other_series: usize,
}

/// Whether the file is DICOM by its content.
pub fn is_dicom(path: &Path) -> bool {
    let mut start = [0u8; 132];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && &start[128..] == b"DICM"
}

/// Reads the head series among these files.
///
/// # Errors
/// [`Unusable`] with the reason why there is none, or none that this version reads.
pub fn read_series(files: &[PathBuf]) -> Result<Series, Unusable> {
    let contents: Vec<Content> = files
        .par_iter()
        .map(|path| guarded(|| Ok(header::read(path))).unwrap_or(Content::Damaged))
        .collect();
    let chosen = select::choose(contents)?;
    let slices = chosen.slices;
    check_alike(&slices)?;
    let first = slices.first().ok_or(Unusable::Stack { problems: vec![StackProblem::Single] })?;
    let positions_mm: Vec<[f64; 3]> = slices.iter().map(|slice| slice.position_mm).collect();
    let stack = Stack::of(first.orientation, first.pixel_spacing_mm, &positions_mm)
        .map_err(|problems| Unusable::Stack { problems })?;
    let geometry = stack.geometry(first.n_rows, first.n_columns)?;

    let mut voxels = vec![0.0; geometry.n_voxels()];
    voxels
        .par_chunks_exact_mut(first.n_rows * first.n_columns)
        .zip(&stack.order)
        .try_for_each(|(out, idx)| guarded(|| pixels::read_slice(&slices[*idx], out)))?;
    let image =
        Image::new(geometry, voxels).map_err(|error| Unusable::series(error.to_string()))?;
    Ok(Series {
        image,
        convolution_kernel: first.convolution_kernel.clone(),
        acquired: first.acquired.clone(),
        n_other_series: chosen.n_other_series,
    })
}

/// That all slices share matrix, spacing and orientation.
fn check_alike(slices: &[SliceHeader]) -> Result<(), Unusable> {
    let Some(first) = slices.first() else { return Ok(()) };
    let near = |a: &[f64], b: &[f64], tolerance: f64| {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
    };
    for slice in slices {
        let differs = if (slice.n_rows, slice.n_columns) != (first.n_rows, first.n_columns) {
            Some("matrix (Rows, Columns)")
        } else if !near(&slice.pixel_spacing_mm, &first.pixel_spacing_mm, 1e-3) {
            Some("PixelSpacing")
        } else if !near(slice.orientation.as_flattened(), first.orientation.as_flattened(), 1e-3) {
            Some("ImageOrientationPatient")
        } else {
            None
        };
        if let Some(what) = differs {
            return Err(Unusable::series(format!("its slices differ in {what}")));
        }
    }
    Ok(())
}
