//! NIfTI-1 volumes, guarded: the header is checked against the file before a voxel is read.
//!
//! The crate `nifti` parses the header; affine, length and voxels are ours, since it panics on a
//! mismatch of datatype and bitpix or an odd qform and shifts voxels for some offsets.

mod header;
mod read;
mod write;

pub use read::{read_image, read_label_map};
pub use write::{write_image, write_image_i16, write_label_map};

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests;
