use std::path::Path;

use hemex_volume::Geometry;

use super::fields::Fields;
use super::orientation::orientation;
use crate::ArtifactError;
use crate::limits::{MAX_EXTENSION_BYTES, MAX_VOXELS};

/// The voxel types that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VoxelType {
    U8,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

impl VoxelType {
    /// By NIfTI's datatype code; bytes per voxel beside it.
    fn from_code(code: i16) -> Option<(Self, usize)> {
        Some(match code {
            2 => (Self::U8, 1),
            256 => (Self::I8, 1),
            4 => (Self::I16, 2),
            512 => (Self::U16, 2),
            8 => (Self::I32, 4),
            768 => (Self::U32, 4),
            1024 => (Self::I64, 8),
            1280 => (Self::U64, 8),
            16 => (Self::F32, 4),
            64 => (Self::F64, 8),
            _ => return None,
        })
    }
}

/// A header that has been checked: what the voxels are and where they lie.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) geometry: Geometry,
    pub(super) voxel_type: VoxelType,
    pub(super) bytes_per_voxel: usize,
    pub(super) big_endian: bool,
    /// Where the voxels begin, in bytes of their file.
    pub(super) vox_offset: u64,
    /// HU = slope · stored + intercept.
    pub(super) slope: f64,
    pub(super) intercept: f64,
    /// What is odd about it, though it can be read.
    pub(super) warning: Option<String>,
}

impl Checked {
    /// Bytes of the voxels.
    pub(super) fn n_voxel_bytes(&self) -> usize {
        self.geometry.n_voxels() * self.bytes_per_voxel
    }
}

/// Checks the fields of a header.
pub(super) fn check(path: &Path, fields: &Fields) -> Result<Checked, ArtifactError> {
    let refuse = |problem: String| Err(ArtifactError::nifti(path, problem));
    let Some((voxel_type, bytes_per_voxel)) = VoxelType::from_code(fields.datatype) else {
        let name = match fields.datatype {
            1 => "single bits",
            128 => "RGB colour",
            2304 => "RGBA colour",
            32 | 1792 | 2048 => "complex numbers",
            1536 => "128-bit floats",
            _ => "a type that NIfTI does not define",
        };
        return refuse(format!("datatype {} ({name}); expected real numbers", fields.datatype));
    };
    if usize::try_from(fields.bitpix).ok() != Some(8 * bytes_per_voxel) {
        let (datatype, bitpix, expected) = (fields.datatype, fields.bitpix, 8 * bytes_per_voxel);
        return refuse(format!("datatype {datatype} needs bitpix {expected}, found {bitpix}"));
    }
    // A slope of 0 means that there is none (nifti1.h).
    let (slope, intercept) =
        if fields.slope == 0.0 { (1.0, 0.0) } else { (fields.slope, fields.intercept) };
    if !slope.is_finite() || !intercept.is_finite() {
        return refuse(format!("scl_slope {slope} and scl_inter {intercept} must be finite"));
    }
    let shape = shape(path, fields)?;
    let vox_offset = vox_offset(path, fields)?;
    let orientation = orientation(path, fields, shape)?;
    let geometry = Geometry::new(shape, orientation.affine).map_err(ArtifactError::volume(path))?;
    Ok(Checked {
        geometry,
        voxel_type,
        bytes_per_voxel,
        big_endian: fields.big_endian,
        vox_offset,
        slope,
        intercept,
        warning: orientation.warning,
    })
}

/// Past the header and its extensions.
fn vox_offset(path: &Path, fields: &Fields) -> Result<u64, ArtifactError> {
    let first = if fields.is_pair { 0 } else { fields.n_bytes as u64 };
    let last = first + MAX_EXTENSION_BYTES;
    let offset = fields.vox_offset;
    // NaN is in no range. A pair's offset of 0 is usual, a single file's is 4 bytes past its header.
    if (first as f64..=last as f64).contains(&offset) && offset.fract() == 0.0 {
        return Ok(offset as u64);
    }
    let problem = format!("vox_offset is {offset}, expected a whole number from {first} to {last}");
    Err(ArtifactError::nifti(path, problem))
}

/// `[D, H, W]` of a volume with 3 axes, or more where the further ones have one entry.
fn shape(path: &Path, fields: &Fields) -> Result<[usize; 3], ArtifactError> {
    let refuse = |problem: String| Err(ArtifactError::nifti(path, problem));
    let n_axes = fields.dim[0];
    if !(3..=7).contains(&n_axes) {
        return refuse(format!("{n_axes} axes; expected one volume with 3"));
    }
    let sizes = &fields.dim[1..=n_axes as usize];
    // 0 further entries is what some programs write for 1.
    if sizes[..3].iter().any(|n| *n < 1) || sizes[3..].iter().any(|n| !(0..=1).contains(n)) {
        return refuse(format!("axes of {sizes:?} voxels; expected one volume"));
    }
    let n_voxels = sizes[..3].iter().try_fold(1usize, |product, n| {
        usize::try_from(*n).ok().and_then(|n| product.checked_mul(n))
    });
    if n_voxels.is_none_or(|n| n > MAX_VOXELS) {
        return refuse(format!("axes of {sizes:?} voxels; expected at most {MAX_VOXELS} voxels"));
    }
    Ok([sizes[2], sizes[1], sizes[0]].map(|n| n as usize))
}
