use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::Problem;

/// A JSON file.
pub(super) fn json(path: &Path) -> Result<Value, Problem> {
    let text = std::fs::read(path).map_err(|e| Problem::new(path, e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| Problem::new(path, format!("no valid JSON: {e}")))
}

/// A file that is there and not empty.
pub(super) fn present(path: &Path) -> Result<(), Problem> {
    match path.metadata() {
        Ok(meta) if meta.is_file() && meta.len() > 0 => Ok(()),
        Ok(_) => Err(Problem::new(path, "expected a file that is not empty")),
        Err(e) => Err(Problem::new(path, e.to_string())),
    }
}

/// A name that stays inside the artifact and is one path component.
pub(super) fn plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

/// How far the affines of two volumes on one grid may differ, mm: they are written in single precision.
const SAME_GRID_MM: f32 = 1e-3;

/// Where a volume's voxels are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grid {
    /// `[D, H, W]`.
    pub(super) shape: [usize; 3],
    /// `srow_x`, `srow_y`, `srow_z`.
    affine: [f32; 12],
}

impl Grid {
    /// Whether both hold the same voxels at the same places.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let pairs = self.affine.iter().zip(other.affine);
        self.shape == other.shape && pairs.into_iter().all(|(a, b)| (a - b).abs() <= SAME_GRID_MM)
    }
}

/// An uncompressed NIfTI-1 file (`.nii`) whose length is that of its header's promise.
pub(super) fn nifti(path: &Path) -> Result<Grid, Problem> {
    present(path)?;
    let mut header = [0u8; 352];
    let mut file = File::open(path).map_err(|e| Problem::new(path, e.to_string()))?;
    file.read_exact(&mut header)
        .map_err(|_| Problem::new(path, "too short for a NIfTI-1 header of 352 bytes"))?;
    if &header[344..348] != b"n+1\0" || header[..4] != 348i32.to_le_bytes() {
        return Err(Problem::new(path, "no little-endian single-file NIfTI-1 (`n+1`)"));
    }
    let short = |at: usize| i16::from_le_bytes([header[at], header[at + 1]]);
    let shape: [usize; 3] = [40 + 6, 40 + 4, 40 + 2].map(|at| short(at).max(0) as usize);
    let float = |at: usize| f32::from_le_bytes(std::array::from_fn(|i| header[at + i]));
    let vox_offset = float(108);
    let bytes = shape.iter().product::<usize>() * short(72).max(0) as usize / 8;
    let expected = vox_offset as u64 + bytes as u64;
    let found = path.metadata().map_err(|e| Problem::new(path, e.to_string()))?.len();
    if bytes == 0 || found != expected {
        let text = format!("cut short or too long: {found} bytes, its header promises {expected}");
        return Err(Problem::new(path, text));
    }
    Ok(Grid { shape, affine: std::array::from_fn(|i| float(280 + 4 * i)) })
}

/// A safetensors file: the length of its JSON header, the header, then the promised bytes.
pub(super) fn safetensors(path: &Path) -> Result<(), Problem> {
    let problem = |text: &str| Problem::new(path, format!("no safetensors file: {text}"));
    present(path)?;
    let mut file = File::open(path).map_err(|e| Problem::new(path, e.to_string()))?;
    let size = file.metadata().map_err(|e| Problem::new(path, e.to_string()))?.len();
    let mut length = [0u8; 8];
    file.read_exact(&mut length).map_err(|_| problem("shorter than 8 bytes"))?;
    let length = u64::from_le_bytes(length);
    if length > size.saturating_sub(8) {
        return Err(problem("its header is longer than the file"));
    }
    let mut header = vec![0u8; length as usize];
    file.read_exact(&mut header).map_err(|_| problem("its header is cut short"))?;
    let header: Value =
        serde_json::from_slice(&header).map_err(|_| problem("its header is no JSON"))?;
    let tensors = header.as_object().ok_or_else(|| problem("its header is no object"))?;
    let end = tensors
        .iter()
        .filter(|(name, _)| *name != "__metadata__")
        .filter_map(|(_, tensor)| tensor["data_offsets"][1].as_u64())
        .max()
        .unwrap_or(0);
    if 8 + length + end != size {
        return Err(problem("its length is not what its header promises"));
    }
    Ok(())
}
