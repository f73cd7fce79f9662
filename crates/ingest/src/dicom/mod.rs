//! One axial CT series out of a folder of DICOM files.
//!
//! Files are found by content, not by name, and parsed by our own hand within limits
//! ([`hemex_artifacts::limits`]); which series is read and why is written down ([`Candidate`], rules in
//! `select`). Slices are ordered by their position along the normal of their plane; of slices at one
//! position with the same pixels one is kept. The stack may be uneven and may lean ([`Stack`]).
//!
//! Read are classic and Enhanced CT, every uncompressed transfer syntax, deflated, RLE, JPEG lossless,
//! baseline and extended, JPEG 2000, and with the feature `jpeg-ls` JPEG-LS; others are refused by name.
//!
//! # Rooms
//! `file`, `dataset`: bytes to elements; `header`: elements to slices; `select`: which series; `stack`:
//! positions to a grid; `syntax`, `codec`, `jpeg`, `pixels`: stored bytes to HU; `worker`: all this in
//! a process of its own.

mod codec;
mod dataset;
mod file;
mod header;
mod jpeg;
mod pixels;
mod select;
mod stack;
mod syntax;
pub mod worker;

use std::path::PathBuf;

use hemex_artifacts::limits::{MAX_DICOM_FILES, MAX_VOXELS};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::guard::guarded;
use crate::{DicomSettings, StackProblem, Unusable};
pub use file::is_dicom;
use header::{Content, Slice};
pub(crate) use header::{StudyId, study_of};
pub use select::Candidate;
pub use stack::Stack;

/// HU of voxels that the scanner marks as outside its field of view.
pub const PADDING_HU: f32 = -1024.0;

/// A series as slices at their true positions.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Where the slices lie.
    pub stack: Stack,
    /// HU, `[D, H, W]`: `W` along rows, `H` along columns, `D` along the slices' normal.
    pub voxels: Vec<f32>,
    /// What its files say.
    pub facts: Facts,
}

/// What the files of a series say, but for their pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The reconstruction kernel's name.
    pub convolution_kernel: Option<String>,
    /// Tube voltage, kVp.
    pub tube_voltage_kvp: Option<f64>,
    /// The scanner's maker, as one word of a closed list.
    pub manufacturer: Option<String>,
    /// Nominal thickness of the slices: the commonest, mm.
    pub slice_thickness_mm: Option<f64>,
    /// Date and time of acquisition as the files write it; for the private artifact alone.
    pub acquired: Option<String>,
    /// SOP instance UID and frame of each slice, in the stack's order; for the private artifact alone.
    pub sources: Vec<SliceSource>,
    /// Slices left out since another shows the same at the same position.
    pub n_duplicates: usize,
    /// Every series of the case, and what became of it.
    pub candidates: Vec<Candidate>,
}

/// Where a slice comes from: the way back into the PACS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceSource {
    /// SOP instance UID.
    pub sop_instance_uid: String,
    /// Frame of that instance, from 0.
    pub frame_idx: usize,
}

/// Reads the head series among these files.
///
/// # Errors
/// [`Unusable`] with the reason why there is none, or none that can be read.
pub fn read_series(files: &[PathBuf], settings: &DicomSettings) -> Result<Series, Unusable> {
    if files.len() > MAX_DICOM_FILES {
        return Err(Unusable::series(format!("more than {MAX_DICOM_FILES} files")));
    }
    let contents: Result<Vec<Content>, Unusable> =
        files.par_iter().map(|path| guarded(|| Ok(header::read(path)))).collect();
    let chosen = select::choose(contents?, settings)?;
    let slices = chosen.slices;
    check_alike(&slices)?;
    let Some(first) = slices.first() else {
        return Err(Unusable::Stack { problems: vec![StackProblem::Single] });
    };
    let matrix = [first.n_rows, first.n_columns];
    let n_voxels = slices.len() * matrix[0] * matrix[1];
    if n_voxels > MAX_VOXELS {
        return Err(Unusable::series(format!("{n_voxels} voxels, over {MAX_VOXELS}")));
    }
    let mut voxels = vec![0.0; n_voxels];
    voxels
        .par_chunks_exact_mut(matrix[0] * matrix[1])
        .zip(&slices)
        .try_for_each(|(out, slice)| guarded(|| pixels::read_slice(slice, out)))?;
    let kept = without_duplicates(&slices, &mut voxels)?;
    let positions_mm: Vec<[f64; 3]> = kept.iter().map(|i| slices[*i].position_mm).collect();
    let stack = Stack::of(matrix, first.pixel_spacing_mm, first.orientation, &positions_mm)
        .map_err(|problems| Unusable::Stack { problems })?;
    let facts = Facts {
        convolution_kernel: first.series.convolution_kernel.clone(),
        tube_voltage_kvp: first.series.tube_voltage_kvp,
        manufacturer: first.series.manufacturer.clone(),
        slice_thickness_mm: commonest(slices.iter().filter_map(|slice| slice.series.thickness_mm)),
        acquired: first.series.acquired.clone(),
        sources: kept.iter().map(|i| source(&slices[*i])).collect(),
        n_duplicates: slices.len() - kept.len(),
        candidates: chosen.candidates,
    };
    Ok(Series { stack, voxels, facts })
}

fn source(slice: &Slice) -> SliceSource {
    let sop_instance_uid = slice.sop_instance_uid.clone();
    SliceSource { sop_instance_uid, frame_idx: slice.frame_idx }
}

/// Which slices are kept, the first of each position; `voxels` are moved together.
///
/// # Errors
/// [`StackProblem::Duplicates`] if two at one position do not show the same.
fn without_duplicates(slices: &[Slice], voxels: &mut Vec<f32>) -> Result<Vec<usize>, Unusable> {
    let n_voxels = voxels.len() / slices.len().max(1);
    let mut kept: Vec<usize> = Vec::with_capacity(slices.len());
    let mut n_conflicts = 0;
    for (i, slice) in slices.iter().enumerate() {
        let distance_mm = kept.last().map(|last| {
            let other = slices[*last].position_mm;
            (0..3).map(|a| (slice.position_mm[a] - other[a]).powi(2)).sum::<f64>().sqrt()
        });
        if distance_mm.is_some_and(|mm| mm < stack::SAME_MM) {
            let last = (kept.len() - 1) * n_voxels;
            let same = voxels[last..last + n_voxels] == voxels[i * n_voxels..(i + 1) * n_voxels];
            n_conflicts += usize::from(!same);
            continue;
        }
        voxels.copy_within(i * n_voxels..(i + 1) * n_voxels, kept.len() * n_voxels);
        kept.push(i);
    }
    if n_conflicts > 0 {
        let problems = vec![StackProblem::Duplicates { n: n_conflicts }];
        return Err(Unusable::Stack { problems });
    }
    voxels.truncate(kept.len() * n_voxels);
    Ok(kept)
}

/// The value that comes most often, the smaller of equally common ones.
fn commonest(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let runs = values.chunk_by(|a, b| a == b);
    runs.rev().max_by_key(|run| run.len()).and_then(|run| run.first().copied())
}

/// That all slices share matrix, spacing and orientation.
fn check_alike(slices: &[Slice]) -> Result<(), Unusable> {
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
