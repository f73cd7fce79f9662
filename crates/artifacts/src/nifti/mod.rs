//! NIfTI volumes, guarded: the header is checked against the file before memory is taken for a voxel.
//!
//! Read are NIfTI-1 and -2, one file or a pair, either byte order, plain or gzip, every real-valued
//! type. The crate `nifti` parses the header of version 1; affine, length, voxels and version 2 are
//! ours, since it panics on a mismatch of datatype and bitpix or an odd qform, shifts voxels for some
//! offsets and knows no version 2.
//!
//! # Rooms
//! `fields`: a header as it stands; `header`, `orientation`: what it means; `source`: files, gzip, pairs;
//! `read`, `write`: volumes.

mod fields;
mod header;
mod orientation;
mod read;
mod source;
mod write;

pub use read::{
    Foreign, image_of_bytes, read_foreign_image, read_foreign_label_map, read_image, read_label_map,
};
pub use write::{
    encode_image_i16, encode_label_map, write_image, write_image_i16, write_label_map,
};

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests;
