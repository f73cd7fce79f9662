use std::path::Path;

use hemex_volume::{Affine, Geometry};
use nifti::{Endianness, NiftiHeader};

use crate::ArtifactError;

/// Length of a NIfTI-1 header with its (empty) extension flag.
pub(super) const HEADER_BYTES: usize = 352;

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
    pub(super) vox_offset: usize,
    /// HU = slope · stored + intercept.
    pub(super) slope: f64,
    pub(super) intercept: f64,
}

impl Checked {
    /// Bytes from the file's begin to the end of the voxels.
    pub(super) fn n_bytes(&self) -> usize {
        self.vox_offset + self.geometry.n_voxels() * self.bytes_per_voxel
    }
}

/// Parses and checks the first 348 bytes of a `.nii`.
pub(super) fn check(path: &Path, bytes: &[u8; HEADER_BYTES]) -> Result<Checked, ArtifactError> {
    let refuse = |problem: String| Err(ArtifactError::nifti(path, problem));
    match &bytes[344..348] {
        b"n+1\0" => (),
        b"ni1\0" => {
            return refuse("a header/image pair; convert it to a single .nii".into());
        }
        _ if bytes[..4] == 540i32.to_le_bytes() || bytes[..4] == 540i32.to_be_bytes() => {
            return refuse("NIfTI-2 is not read yet; convert it to NIfTI-1".into());
        }
        _ => return refuse("no NIfTI-1 file: the magic `n+1` is missing at byte 344".into()),
    }
    let header = NiftiHeader::from_reader(&bytes[..348])
        .map_err(|e| ArtifactError::nifti(path, format!("no readable NIfTI-1 header: {e}")))?;
    let Some((voxel_type, bytes_per_voxel)) = VoxelType::from_code(header.datatype) else {
        let name = match header.datatype {
            128 => "RGB colour",
            2304 => "RGBA colour",
            32 | 1792 | 2048 => "complex numbers",
            1536 => "128-bit floats",
            _ => "a type that NIfTI-1 does not define",
        };
        return refuse(format!("datatype {} ({name}); expected real numbers", header.datatype));
    };
    if usize::try_from(header.bitpix).ok() != Some(8 * bytes_per_voxel) {
        let (datatype, bitpix, expected) = (header.datatype, header.bitpix, 8 * bytes_per_voxel);
        return refuse(format!("datatype {datatype} needs bitpix {expected}, found {bitpix}"));
    }
    if !(header.vox_offset >= HEADER_BYTES as f32 && header.vox_offset <= 1e9) {
        let found = header.vox_offset;
        return refuse(format!("vox_offset is {found}, expected {HEADER_BYTES} or more"));
    }
    let (slope, intercept) = (f64::from(header.scl_slope), f64::from(header.scl_inter));
    // A slope of 0 means that there is none (nifti1.h).
    let (slope, intercept) = if slope == 0.0 { (1.0, 0.0) } else { (slope, intercept) };
    if !slope.is_finite() || !intercept.is_finite() {
        return refuse(format!("scl_slope {slope} and scl_inter {intercept} must be finite"));
    }
    let geometry = Geometry::new(shape(path, &header)?, affine(path, &header)?)
        .map_err(ArtifactError::volume(path))?;
    Ok(Checked {
        geometry,
        voxel_type,
        bytes_per_voxel,
        big_endian: header.endianness == Endianness::Big,
        vox_offset: header.vox_offset as usize,
        slope,
        intercept,
    })
}

/// `[D, H, W]` of a volume with 3 axes, or more where the further ones have one entry.
fn shape(path: &Path, header: &NiftiHeader) -> Result<[usize; 3], ArtifactError> {
    let dim = header.dim;
    let n_axes = usize::from(dim[0]);
    if !(3..=7).contains(&n_axes) {
        let problem = format!("{n_axes} axes; expected one volume with 3");
        return Err(ArtifactError::nifti(path, problem));
    }
    let sizes = &dim[1..=n_axes];
    if sizes[3..].iter().any(|n| *n > 1) || sizes.contains(&0) || sizes.iter().any(|n| *n > 32767) {
        let problem = format!("axes of {sizes:?} voxels; expected one volume, 1 to 32767 an axis");
        return Err(ArtifactError::nifti(path, problem));
    }
    Ok([3, 2, 1].map(|axis| usize::from(dim[axis])))
}

/// sform if there is one, else qform; without either the orientation is unknown.
fn affine(path: &Path, header: &NiftiHeader) -> Result<Affine, ArtifactError> {
    let rows = if header.sform_code > 0 {
        [header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from))
    } else if header.qform_code > 0 {
        qform(header)
    } else {
        let problem = "neither sform nor qform: which side is left is unknown; set one";
        return Err(ArtifactError::nifti(path, problem));
    };
    Affine::new(rows).map_err(ArtifactError::volume(path))
}

/// Rotation from the quaternion (b, c, d), spacing from pixdim, the sign of the third axis in
/// `pixdim[0]` (method 2 of nifti1.h).
fn qform(header: &NiftiHeader) -> [[f64; 4]; 3] {
    let [b, c, d] = [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from);
    let norm = b * b + c * c + d * d;
    // A rotation by 180° has a = 0; rounding may push the sum of squares above 1.
    let (a, b, c, d) = if norm > 1.0 {
        let scale = 1.0 / norm.sqrt();
        (0.0, b * scale, c * scale, d * scale)
    } else {
        ((1.0 - norm).sqrt(), b, c, d)
    };
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    let q_fac = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let spacing = [1, 2, 3].map(|axis| f64::from(header.pixdim[axis]));
    let offset = [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from);
    std::array::from_fn(|r| {
        let [x, y, z] = rotation[r];
        [x * spacing[0], y * spacing[1], z * spacing[2] * q_fac, offset[r]]
    })
}
