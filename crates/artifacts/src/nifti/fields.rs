use std::path::Path;

use nifti::{Endianness, NiftiHeader};

use crate::ArtifactError;

/// Length of a NIfTI-1 header.
pub(super) const V1_BYTES: usize = 348;

/// Length of a NIfTI-2 header.
pub(super) const V2_BYTES: usize = 540;

/// The fields of a header that matter, of either version, as they stand in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fields {
    pub(super) big_endian: bool,
    /// Whether the voxels lie in a file of their own.
    pub(super) is_pair: bool,
    /// Length of the header itself.
    pub(super) n_bytes: usize,
    /// Number of axes, then their sizes.
    pub(super) dim: [i64; 8],
    pub(super) datatype: i16,
    pub(super) bitpix: i16,
    /// The sign of the third axis, then spacings.
    pub(super) pixdim: [f64; 8],
    pub(super) vox_offset: f64,
    pub(super) slope: f64,
    pub(super) intercept: f64,
    pub(super) xyzt_units: i32,
    pub(super) qform_code: i32,
    pub(super) sform_code: i32,
    /// b, c, d.
    pub(super) quaternion: [f64; 3],
    pub(super) quaternion_offset: [f64; 3],
    pub(super) sform: [[f64; 4]; 3],
}

/// Which header begins with these bytes, by `sizeof_hdr` and magic; its length.
pub(super) fn recognise(path: &Path, start: &[u8; V1_BYTES]) -> Result<usize, ArtifactError> {
    let size = [start[0], start[1], start[2], start[3]];
    let has_size = |n: i32| size == n.to_le_bytes() || size == n.to_be_bytes();
    if has_size(540) && matches!(&start[4..8], b"n+2\0" | b"ni2\0") {
        return Ok(V2_BYTES);
    }
    if matches!(&start[344..348], b"n+1\0" | b"ni1\0") {
        return Ok(V1_BYTES);
    }
    let problem = if has_size(540) {
        "no NIfTI-2 file: the magic `n+2` or `ni2` is missing at byte 4"
    } else if has_size(348) {
        "an ANALYZE 7.5 header, which does not say which side is left; convert it to NIfTI with \
         the program that wrote it"
    } else {
        "no NIfTI file: the magic `n+1` or `ni1` is missing at byte 344"
    };
    Err(ArtifactError::nifti(path, problem))
}

impl Fields {
    /// Parses a whole header, whose length [`recognise`] has found.
    pub(super) fn parse(path: &Path, header: &[u8]) -> Result<Self, ArtifactError> {
        match <&[u8; V2_BYTES]>::try_from(header) {
            Ok(header) => Ok(Self::of_v2(header)),
            Err(_) => Self::of_v1(path, header),
        }
    }

    fn of_v1(path: &Path, header: &[u8]) -> Result<Self, ArtifactError> {
        let h = NiftiHeader::from_reader(header)
            .map_err(|e| ArtifactError::nifti(path, format!("no readable NIfTI-1 header: {e}")))?;
        Ok(Self {
            big_endian: h.endianness == Endianness::Big,
            is_pair: h.magic[1] == b'i',
            n_bytes: V1_BYTES,
            // The library has them unsigned; the standard does not.
            dim: h.dim.map(|n| i64::from(n as i16)),
            datatype: h.datatype,
            bitpix: h.bitpix,
            pixdim: h.pixdim.map(f64::from),
            vox_offset: f64::from(h.vox_offset),
            slope: f64::from(h.scl_slope),
            intercept: f64::from(h.scl_inter),
            xyzt_units: i32::from(h.xyzt_units),
            qform_code: i32::from(h.qform_code),
            sform_code: i32::from(h.sform_code),
            quaternion: [h.quatern_b, h.quatern_c, h.quatern_d].map(f64::from),
            quaternion_offset: [h.quatern_x, h.quatern_y, h.quatern_z].map(f64::from),
            sform: [h.srow_x, h.srow_y, h.srow_z].map(|row| row.map(f64::from)),
        })
    }

    /// By the offsets of nifti2.h.
    fn of_v2(header: &[u8; V2_BYTES]) -> Self {
        let big_endian = header[..4] == 540i32.to_be_bytes();
        let bytes = |at: usize, n: usize| {
            let mut value = [0u8; 8];
            value[..n].copy_from_slice(&header[at..at + n]);
            if big_endian {
                value[..n].reverse();
            }
            value
        };
        let int16 = |at| i16::from_le_bytes([bytes(at, 2)[0], bytes(at, 2)[1]]);
        // A 32-bit number fills the lower half.
        let int32 = |at| i64::from_le_bytes(bytes(at, 4)) as i32;
        let int64 = |at| i64::from_le_bytes(bytes(at, 8));
        let float = |at| f64::from_le_bytes(bytes(at, 8));
        let floats = |at: usize| std::array::from_fn(|i| float(at + 8 * i));
        Self {
            big_endian,
            is_pair: header[5] == b'i',
            n_bytes: V2_BYTES,
            dim: std::array::from_fn(|i| int64(16 + 8 * i)),
            datatype: int16(12),
            bitpix: int16(14),
            pixdim: std::array::from_fn(|i| float(104 + 8 * i)),
            vox_offset: int64(168) as f64,
            slope: float(176),
            intercept: float(184),
            xyzt_units: int32(500),
            qform_code: int32(344),
            sform_code: int32(348),
            quaternion: floats(352),
            quaternion_offset: floats(376),
            sform: [400, 432, 464].map(|at| std::array::from_fn(|i| float(at + 8 * i))),
        }
    }
}
