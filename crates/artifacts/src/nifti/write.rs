use std::path::Path;

use hemex_volume::{Geometry, Image, LabelMap};
use libdeflater::{CompressionLvl, Compressor};

use crate::ArtifactError;

/// Length of a NIfTI-1 header with its (empty) extension flag.
const HEADER_BYTES: usize = 352;

/// Of 1 to 12. Noise does not compress: higher ones take longer and save little.
const GZIP_LEVEL: i32 = 2;

/// Writes an image as 32-bit floats; gzip if the name ends in `.gz`.
///
/// # Errors
/// If the file cannot be written completely.
pub fn write_image(path: &Path, image: &Image) -> Result<(), ArtifactError> {
    let voxels = image.voxels().iter().map(|v| v.to_le_bytes());
    write(path, image.geometry(), 16, voxels)
}

/// An image as the bytes of a gzip file of 16-bit integers: what [`write_image_i16`] writes.
///
/// # Errors
/// If an axis is too long for NIfTI-1.
pub fn encode_image_i16(image: &Image) -> std::io::Result<Vec<u8>> {
    gzipped(&encode(image.geometry(), 4, i16_voxels(image))?)
}

/// A label map as the bytes of a gzip file: what [`write_label_map`] writes.
///
/// # Errors
/// If an axis is too long for NIfTI-1.
pub fn encode_label_map(labels: &LabelMap) -> std::io::Result<Vec<u8>> {
    gzipped(&encode(labels.geometry(), 2, labels.voxels().iter().map(|label| [*label]))?)
}

/// Writes an image as 16-bit integers, as scanners do: values are rounded and limited to their range.
///
/// # Errors
/// If the file cannot be written completely.
pub fn write_image_i16(path: &Path, image: &Image) -> Result<(), ArtifactError> {
    write(path, image.geometry(), 4, i16_voxels(image))
}

fn i16_voxels(image: &Image) -> impl Iterator<Item = [u8; 2]> {
    image.voxels().iter().map(|v| (v.round() as i16).to_le_bytes())
}

/// Writes a label map as bytes; gzip if the name ends in `.gz`.
///
/// # Errors
/// If the file cannot be written completely.
pub fn write_label_map(path: &Path, labels: &LabelMap) -> Result<(), ArtifactError> {
    write(path, labels.geometry(), 2, labels.voxels().iter().map(|label| [*label]))
}

fn write<const BYTES: usize>(
    path: &Path,
    geometry: &Geometry,
    datatype: i16,
    voxels: impl Iterator<Item = [u8; BYTES]>,
) -> Result<(), ArtifactError> {
    let mut bytes = encode(geometry, datatype, voxels).map_err(ArtifactError::io(path))?;
    if path.extension().is_some_and(|ending| ending == "gz") {
        bytes = gzipped(&bytes).map_err(ArtifactError::io(path))?;
    }
    publish(path, &bytes).map_err(ArtifactError::io(path))
}

/// The bytes of a plain file.
fn encode<const BYTES: usize>(
    geometry: &Geometry,
    datatype: i16,
    voxels: impl Iterator<Item = [u8; BYTES]>,
) -> std::io::Result<Vec<u8>> {
    if geometry.shape().iter().any(|n| *n > 32767) {
        let problem = format!("NIfTI-1 holds 32767 voxels an axis, not {:?}", geometry.shape());
        return Err(std::io::Error::other(problem));
    }
    let mut bytes = vec![0; HEADER_BYTES + BYTES * geometry.n_voxels()];
    let (head, body) = bytes.split_at_mut(HEADER_BYTES);
    head.copy_from_slice(&header(geometry, datatype, 8 * BYTES as i16));
    body.chunks_exact_mut(BYTES).zip(voxels).for_each(|(to, from)| to.copy_from_slice(&from));
    Ok(bytes)
}

/// As a gzip file. There is no name and no time in its header: the same volume gives the same bytes.
fn gzipped(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let level = CompressionLvl::new(GZIP_LEVEL)
        .map_err(|_| std::io::Error::other(format!("no gzip level {GZIP_LEVEL}")))?;
    let mut compressor = Compressor::new(level);
    let mut gzip = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let n = compressor.gzip_compress(bytes, &mut gzip).map_err(std::io::Error::other)?;
    gzip.truncate(n);
    Ok(gzip)
}

/// The file is there whole or not at all: written beside its place, then moved there.
fn publish(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        // What is left of it is of no use; that it may not go either changes nothing.
        let _ = std::fs::remove_file(&part);
    }
    written
}

/// A single-file NIfTI-1 header: mm, sform with code 1 (scanner), no qform (a sheared or oblique grid
/// may have none).
fn header(geometry: &Geometry, datatype: i16, bitpix: i16) -> [u8; HEADER_BYTES] {
    let mut header = [0u8; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    let [d, h, w] = geometry.shape();
    let [d_mm, h_mm, w_mm] = geometry.spacing_mm();
    put(0, &348i32.to_le_bytes());
    for (i, n) in [3, w, h, d, 1, 1, 1, 1].into_iter().enumerate() {
        put(40 + 2 * i, &(n as u16).to_le_bytes());
    }
    put(70, &datatype.to_le_bytes());
    put(72, &bitpix.to_le_bytes());
    for (i, mm) in [1.0, w_mm, h_mm, d_mm, 1.0, 1.0, 1.0, 1.0].into_iter().enumerate() {
        put(76 + 4 * i, &(mm as f32).to_le_bytes());
    }
    put(108, &(HEADER_BYTES as f32).to_le_bytes());
    put(112, &1f32.to_le_bytes());
    put(123, &[2]); // NIFTI_UNITS_MM
    put(254, &1i16.to_le_bytes());
    for (r, row) in geometry.affine().rows().into_iter().enumerate() {
        for (c, value) in row.into_iter().enumerate() {
            put(280 + 16 * r + 4 * c, &(value as f32).to_le_bytes());
        }
    }
    put(344, b"n+1\0");
    header
}
