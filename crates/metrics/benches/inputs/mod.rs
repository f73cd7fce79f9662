//! What the reference workloads w7 and w8 work on; shared by the benches and the example that times them.

use hemex_volume::{Affine, Geometry, LabelMap, VolumeError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Of the masks, `[D, H, W]`.
const SHAPE: [usize; 3] = [32, 192, 192];

/// 2,000 scores, a quarter of them positive.
pub(crate) fn scores() -> (Vec<f64>, Vec<bool>) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let scores: Vec<f64> = (0..2000).map(|_| rng.random()).collect();
    let labels: Vec<bool> = (0..2000).map(|_| rng.random_bool(0.25)).collect();
    (scores, labels)
}

/// Noise after three moving means along each axis: close to a Gaussian blur of 1.5, 6 and 6 voxels.
fn smooth_noise(rng: &mut ChaCha8Rng) -> Vec<f32> {
    let n = SHAPE.iter().product();
    let mut field: Vec<f32> = (0..n).map(|_| rng.random::<f32>() - 0.5).collect();
    for (axis, half) in [(0, 1), (1, 5), (2, 5)] {
        let stride: usize = SHAPE[axis + 1..].iter().product();
        for _ in 0..3 {
            let from = field.clone();
            for (i, value) in field.iter_mut().enumerate() {
                let at = i / stride % SHAPE[axis];
                let (low, high) = (at.saturating_sub(half), (at + half).min(SHAPE[axis] - 1));
                let sum: f32 = (low..=high).map(|k| from[i - at * stride + k * stride]).sum();
                *value = sum / (2 * half + 1) as f32;
            }
        }
    }
    field
}

/// The highest 3 % of the voxels.
fn mask(field: &[f32]) -> Result<LabelMap, VolumeError> {
    let mut sorted = field.to_vec();
    sorted.sort_by(f32::total_cmp);
    let limit = sorted[sorted.len() * 97 / 100];
    let geometry = Geometry::new(SHAPE, Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3])?)?;
    LabelMap::new(geometry, field.iter().map(|v| u8::from(*v > limit)).collect())
}

/// Two smooth random shapes that differ a little, 3 % of 192 × 192 × 32 voxels of 1 × 1 × 5 mm each.
pub(crate) fn masks() -> Result<[LabelMap; 2], VolumeError> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let field = smooth_noise(&mut rng);
    let noise = smooth_noise(&mut rng);
    let other: Vec<f32> = field.iter().zip(&noise).map(|(a, b)| a + 0.3 * b).collect();
    Ok([mask(&field)?, mask(&other)?])
}
