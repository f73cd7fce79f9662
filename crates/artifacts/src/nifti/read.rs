use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use hemex_volume::{Image, LabelMap};

use super::header::{Checked, HEADER_BYTES, VoxelType, check};
use crate::ArtifactError;

/// Reads a volume (`.nii`, or gzip recognised by its magic bytes), slope and intercept applied.
///
/// # Errors
/// [`ArtifactError`] if the file cannot be read, is cut short, has a type that is not real-valued,
/// more than one volume, no orientation, or a value that is not finite.
pub fn read_image(path: &Path) -> Result<Image, ArtifactError> {
    let (header, bytes) = read_checked(path)?;
    let mut voxels: Vec<f32> = Vec::with_capacity(header.geometry.n_voxels());
    let (slope, intercept) = (header.slope, header.intercept);
    if (slope, intercept) == (1.0, 0.0) {
        decode(&header, &bytes, |value| voxels.push(value as f32));
    } else {
        decode(&header, &bytes, |value| voxels.push((slope * value + intercept) as f32));
    }
    if let Some(at) = voxels.iter().position(|v| !v.is_finite()) {
        let problem = format!("voxel {at} is {}, expected finite values", voxels[at]);
        return Err(ArtifactError::nifti(path, problem));
    }
    Image::new(header.geometry, voxels).map_err(ArtifactError::volume(path))
}

/// Reads a label map; labels must be whole numbers from 0 to 255.
///
/// # Errors
/// As [`read_image`], and for a value that is no label.
pub fn read_label_map(path: &Path) -> Result<LabelMap, ArtifactError> {
    let (header, bytes) = read_checked(path)?;
    let mut voxels: Vec<u8> = Vec::with_capacity(header.geometry.n_voxels());
    let mut stranger = None;
    let (slope, intercept) = (header.slope, header.intercept);
    decode(&header, &bytes, |stored| {
        let value = slope * stored + intercept;
        let label = value as u8;
        if f64::from(label) != value {
            stranger.get_or_insert(value);
        }
        voxels.push(label);
    });
    if let Some(value) = stranger {
        let problem = format!("holds {value}, expected labels: whole numbers from 0 to 255");
        return Err(ArtifactError::nifti(path, problem));
    }
    LabelMap::new(header.geometry, voxels).map_err(ArtifactError::volume(path))
}

/// The checked header and the bytes of the voxels.
fn read_checked(path: &Path) -> Result<(Checked, Vec<u8>), ArtifactError> {
    let mut file = File::open(path).map_err(ArtifactError::io(path))?;
    let mut magic = [0u8; 2];
    let n = read_up_to(&mut file, &mut magic).map_err(ArtifactError::io(path))?;
    let start = io::Cursor::new(magic).take(n as u64).chain(file);
    if magic == [0x1f, 0x8b] {
        read_stream(path, MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, start)))
    } else {
        read_stream(path, start)
    }
}

fn read_stream(path: &Path, mut stream: impl Read) -> Result<(Checked, Vec<u8>), ArtifactError> {
    let short = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => ArtifactError::nifti(path, "cut short within its header"),
        _ => ArtifactError::io(path)(e),
    };
    let mut header = [0u8; HEADER_BYTES];
    stream.read_exact(&mut header).map_err(short)?;
    let header = check(path, &header)?;
    let extensions = (header.vox_offset - HEADER_BYTES) as u64;
    io::copy(&mut stream.by_ref().take(extensions), &mut io::sink())
        .map_err(ArtifactError::io(path))?;
    let expected = header.n_bytes() - header.vox_offset;
    // Grows with what is really there: a header cannot make us allocate more than twice the content.
    let mut bytes = Vec::new();
    stream.by_ref().take(expected as u64).read_to_end(&mut bytes).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => ArtifactError::nifti(path, "its gzip stream is cut short"),
        _ => ArtifactError::io(path)(e),
    })?;
    if bytes.len() < expected {
        let problem = format!(
            "cut short: its header promises {expected} bytes of voxels, found {}",
            bytes.len()
        );
        return Err(ArtifactError::nifti(path, problem));
    }
    // Draining verifies the gzip checksum.
    io::copy(&mut stream, &mut io::sink())
        .map_err(|e| ArtifactError::nifti(path, format!("damaged after its voxels: {e}")))?;
    Ok((header, bytes))
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match file.read(&mut buffer[n..])? {
            0 => break,
            more => n += more,
        }
    }
    Ok(n)
}

/// Passes every stored value, in file order, as f64 (64-bit integers are rounded to it).
fn decode(header: &Checked, bytes: &[u8], mut push: impl FnMut(f64)) {
    macro_rules! decode {
        ($type:ty) => {{
            for bytes in bytes.as_chunks::<{ size_of::<$type>() }>().0 {
                let value = if header.big_endian {
                    <$type>::from_be_bytes(*bytes)
                } else {
                    <$type>::from_le_bytes(*bytes)
                };
                push(value as f64);
            }
        }};
    }
    match header.voxel_type {
        VoxelType::U8 => decode!(u8),
        VoxelType::I8 => decode!(i8),
        VoxelType::I16 => decode!(i16),
        VoxelType::U16 => decode!(u16),
        VoxelType::I32 => decode!(i32),
        VoxelType::U32 => decode!(u32),
        VoxelType::I64 => decode!(i64),
        VoxelType::U64 => decode!(u64),
        VoxelType::F32 => decode!(f32),
        VoxelType::F64 => decode!(f64),
    }
}
