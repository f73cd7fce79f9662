use std::path::Path;

use hemex_volume::{Image, LabelMap};
use rayon::prelude::*;

use super::header::{Checked, VoxelType};
use super::source::{Voxels, read_bytes, read_file};
use crate::ArtifactError;

/// Voxels that a thread decodes at once.
const CHUNK: usize = 1 << 16;

/// A volume from a file that others made.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreign<T> {
    /// The volume.
    pub volume: T,
    /// What is odd about its file, though it can be read: without the file's path, fit for a log.
    pub warning: Option<String>,
}

/// Reads a volume, slope and intercept applied: NIfTI-1 or -2, one file or a pair (either of which may
/// be named), gzip recognised by its magic bytes.
///
/// # Errors
/// [`ArtifactError`] if the file cannot be read, is cut short or damaged, has a type that is not
/// real-valued, more than one volume, no orientation, or a value that is not finite.
pub fn read_image(path: &Path) -> Result<Image, ArtifactError> {
    read_foreign_image(path).map(|read| read.volume)
}

/// As [`read_image`], with what is odd about the file.
///
/// # Errors
/// As [`read_image`].
pub fn read_foreign_image(path: &Path) -> Result<Foreign<Image>, ArtifactError> {
    image(path, read_file(path)?)
}

/// As [`read_image`], from memory: the bytes of a file, and of its image if it is a pair's header.
/// `path` stands in errors alone.
///
/// # Errors
/// As [`read_image`].
pub fn image_of_bytes(
    path: &Path,
    bytes: &[u8],
    image_bytes: Option<&[u8]>,
) -> Result<Foreign<Image>, ArtifactError> {
    image(path, read_bytes(path, bytes, image_bytes)?)
}

/// Reads a label map; labels must be whole numbers from 0 to 255.
///
/// # Errors
/// As [`read_image`], and for a value that is no label.
pub fn read_label_map(path: &Path) -> Result<LabelMap, ArtifactError> {
    read_foreign_label_map(path).map(|read| read.volume)
}

/// As [`read_label_map`], with what is odd about the file.
///
/// # Errors
/// As [`read_label_map`].
pub fn read_foreign_label_map(path: &Path) -> Result<Foreign<LabelMap>, ArtifactError> {
    label_map(path, read_file(path)?)
}

fn image(
    path: &Path,
    (header, voxels): (Checked, Voxels),
) -> Result<Foreign<Image>, ArtifactError> {
    let bytes = voxels.as_bytes();
    let (slope, intercept) = (header.slope, header.intercept);
    let voxels: Vec<f32> = if (slope, intercept) == (1.0, 0.0) {
        decoded(&header, bytes, |value| value as f32)
    } else {
        decoded(&header, bytes, |value| (slope * value + intercept) as f32)
    };
    // Whole pieces first, without an early end in the loop: a sound file is gone through fast.
    let is_sound = |piece: &[f32]| piece.iter().fold(true, |sound, v| sound & v.is_finite());
    if !voxels.par_chunks(CHUNK).all(is_sound) {
        let at = voxels.iter().position(|v| !v.is_finite()).unwrap_or_default();
        let problem = format!("voxel {at} is {}, expected finite values", voxels[at]);
        return Err(ArtifactError::nifti(path, problem));
    }
    let volume = Image::new(header.geometry, voxels).map_err(ArtifactError::volume(path))?;
    Ok(Foreign { volume, warning: header.warning })
}

fn label_map(
    path: &Path,
    (header, voxels): (Checked, Voxels),
) -> Result<Foreign<LabelMap>, ArtifactError> {
    let bytes = voxels.as_bytes();
    let (slope, intercept) = (header.slope, header.intercept);
    if matches!(header.voxel_type, VoxelType::U8) && (slope, intercept) == (1.0, 0.0) {
        let labels = LabelMap::new(header.geometry, bytes.to_vec());
        let volume = labels.map_err(ArtifactError::volume(path))?;
        return Ok(Foreign { volume, warning: header.warning });
    }
    // `None` is no label.
    let labels: Vec<Option<u8>> = decoded(&header, bytes, |stored| {
        let value = slope * stored + intercept;
        let label = value as u8;
        (f64::from(label) == value).then_some(label)
    });
    let Some(voxels) = labels.iter().copied().collect::<Option<Vec<u8>>>() else {
        let at = labels.iter().position(Option::is_none).unwrap_or_default();
        let value = decoded(&header, bytes, |stored| slope * stored + intercept)[at];
        let problem = format!("holds {value}, expected labels: whole numbers from 0 to 255");
        return Err(ArtifactError::nifti(path, problem));
    };
    let volume = LabelMap::new(header.geometry, voxels).map_err(ArtifactError::volume(path))?;
    Ok(Foreign { volume, warning: header.warning })
}

/// Every stored value as f64 (64-bit integers are rounded to it), converted, in file order.
fn decoded<T: Copy + Default + Send>(
    header: &Checked,
    bytes: &[u8],
    convert: impl Fn(f64) -> T + Sync,
) -> Vec<T> {
    let mut values = vec![T::default(); header.geometry.n_voxels()];
    let n = header.bytes_per_voxel;
    let chunks = values.par_chunks_mut(CHUNK).zip(bytes.par_chunks(CHUNK * n));
    chunks.for_each(|(values, bytes)| decode(header, bytes, values, &convert));
    values
}

fn decode<T>(header: &Checked, bytes: &[u8], values: &mut [T], convert: impl Fn(f64) -> T) {
    macro_rules! decode {
        ($type:ty, $n:literal) => {
            if header.big_endian {
                each::<$n, T>(bytes, values, |b| convert(<$type>::from_be_bytes(b) as f64))
            } else {
                each::<$n, T>(bytes, values, |b| convert(<$type>::from_le_bytes(b) as f64))
            }
        };
    }
    match header.voxel_type {
        VoxelType::U8 => decode!(u8, 1),
        VoxelType::I8 => decode!(i8, 1),
        VoxelType::I16 => decode!(i16, 2),
        VoxelType::U16 => decode!(u16, 2),
        VoxelType::I32 => decode!(i32, 4),
        VoxelType::U32 => decode!(u32, 4),
        VoxelType::I64 => decode!(i64, 8),
        VoxelType::U64 => decode!(u64, 8),
        VoxelType::F32 => decode!(f32, 4),
        VoxelType::F64 => decode!(f64, 8),
    }
}

/// One tight loop a type: all of them in one function are not worth optimising to the compiler.
#[inline(never)]
fn each<const N: usize, T>(bytes: &[u8], values: &mut [T], convert: impl Fn([u8; N]) -> T) {
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *value = convert(*bytes);
    }
}
