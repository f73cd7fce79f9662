use std::path::Path;

use hemex_volume::Affine;
use hemex_volume::vector::{angle_degrees, norm};

use super::fields::Fields;
use crate::ArtifactError;

/// How far sform and qform may lie apart without a word: position of a corner, mm, and direction of an
/// axis, degrees.
const SAME_MM: f64 = 0.1;
const SAME_DEGREES: f64 = 0.1;

/// How far the sum of a quaternion's squares may pass 1 by rounding.
const QUATERNION_SLACK: f64 = 1e-3;

/// Where the voxels lie, and what is odd about it.
#[derive(Debug, Clone)]
pub(super) struct Orientation {
    pub(super) affine: Affine,
    pub(super) warning: Option<String>,
}

/// sform if there is one, else qform; without either the orientation is unknown.
///
/// `shape` is `[D, H, W]`.
pub(super) fn orientation(
    path: &Path,
    fields: &Fields,
    shape: [usize; 3],
) -> Result<Orientation, ArtifactError> {
    let to_mm = to_mm(path, fields)?;
    let scaled = |rows: [[f64; 4]; 3]| {
        Affine::new(rows.map(|row| row.map(|v| v * to_mm))).map_err(ArtifactError::volume(path))
    };
    let by_quaternion = || qform(fields).map(scaled).transpose();
    if fields.sform_code > 0 {
        let affine = scaled(fields.sform)?;
        let warning = match by_quaternion() {
            _ if fields.qform_code <= 0 => None,
            Ok(Some(other)) => difference(&affine, &other, shape),
            Ok(None) | Err(_) => Some("its qform is unsound; its sform is taken".to_owned()),
        };
        return Ok(Orientation { affine, warning });
    }
    if fields.qform_code <= 0 {
        let problem = "neither sform nor qform: which side is left is unknown; set one";
        return Err(ArtifactError::nifti(path, problem));
    }
    let Some(affine) = by_quaternion()? else {
        let problem = "its qform holds no rotation or a spacing that is not positive, and there is \
                       no sform";
        return Err(ArtifactError::nifti(path, problem));
    };
    Ok(Orientation { affine, warning: None })
}

/// Millimetres in the file's unit of length (`xyzt_units`, lowest three bits); unknown is mm, as every
/// reader has it.
fn to_mm(path: &Path, fields: &Fields) -> Result<f64, ArtifactError> {
    match fields.xyzt_units & 7 {
        0 | 2 => Ok(1.0),
        1 => Ok(1e3),
        3 => Ok(1e-3),
        unit => {
            let problem = format!("unit of length {unit} (xyzt_units); expected m, mm or µm");
            Err(ArtifactError::nifti(path, problem))
        }
    }
}

/// Rotation from the quaternion (b, c, d), spacing from pixdim, the sign of the third axis in
/// `pixdim[0]` (method 2 of nifti1.h); `None` if it is no rotation or a spacing is not positive.
fn qform(fields: &Fields) -> Option<[[f64; 4]; 3]> {
    let [b, c, d] = fields.quaternion;
    let norm = b * b + c * c + d * d;
    let spacing = [1, 2, 3].map(|axis| fields.pixdim[axis]);
    // Both comparisons are false for NaN.
    if !(norm <= 1.0 + QUATERNION_SLACK && spacing.iter().all(|mm| *mm > 0.0)) {
        return None;
    }
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
    let q_fac = if fields.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    Some(std::array::from_fn(|r| {
        let [x, y, z] = rotation[r];
        let offset = fields.quaternion_offset[r];
        [x * spacing[0], y * spacing[1], z * spacing[2] * q_fac, offset]
    }))
}

/// A line where the two disagree by more than rounding.
fn difference(sform: &Affine, qform: &Affine, shape: [usize; 3]) -> Option<String> {
    let last = shape.map(|n| (n - 1) as f64);
    let distance_mm = (0..8)
        .map(|corner| {
            let index: [f64; 3] =
                std::array::from_fn(|i| if corner >> i & 1 == 1 { last[i] } else { 0.0 });
            let (a, b) = (sform.point_mm(index), qform.point_mm(index));
            norm(std::array::from_fn(|i| a[i] - b[i]))
        })
        .fold(0.0, f64::max);
    let degrees = sform
        .axes_mm()
        .iter()
        .zip(qform.axes_mm())
        .map(|(a, b)| angle_degrees(*a, b))
        .fold(0.0, f64::max);
    (distance_mm > SAME_MM || degrees > SAME_DEGREES).then(|| {
        format!(
            "its sform and qform lie up to {distance_mm:.2} mm and {degrees:.2}° apart; the sform \
             is taken"
        )
    })
}
