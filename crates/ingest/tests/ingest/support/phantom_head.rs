//! A head made of balls.

use hemex_volume::{Geometry, Image};

/// A value for the centre of every voxel.
pub(crate) fn sampled<T>(geometry: &Geometry, f: impl Fn([f64; 3]) -> T) -> Vec<T> {
    let [n_d, n_h, n_w] = geometry.shape();
    let mut voxels = Vec::with_capacity(geometry.n_voxels());
    for d in 0..n_d {
        for h in 0..n_h {
            for w in 0..n_w {
                voxels.push(f(geometry.point_mm([d as f64, h as f64, w as f64])));
            }
        }
    }
    voxels
}

fn distance(point: [f64; 3], centre: [f64; 3]) -> f64 {
    (0..3).map(|i| (point[i] - centre[i]).powi(2)).sum::<f64>().sqrt()
}

/// Centre of the hematoma: right, front, above.
const LESION_MM: [f64; 3] = [22.0, 14.0, 8.0];

/// Whether a point lies in a hematoma of this radius.
pub(crate) fn is_lesion(point: [f64; 3], lesion_mm: f64) -> bool {
    distance(point, LESION_MM) <= lesion_mm
}

/// A head of 76 mm with a brain of 64 mm (1,098 mL), ventricles, a hematoma of this radius, and some
/// grain, whole HU.
pub(crate) fn head(geometry: Geometry, lesion_mm: f64) -> Image {
    let voxels = sampled(&geometry, |point| {
        let r = distance(point, [0.0; 3]);
        let grain = (point[0] * 12.9898 + point[1] * 78.233 + point[2] * 37.719).sin() * 3.0;
        let hu = match r {
            r if r > 76.0 => -1000.0,
            r if r > 70.0 => 50.0,
            r if r > 64.0 => 1000.0,
            _ if is_lesion(point, lesion_mm) => 65.0,
            r if r < 12.0 => 8.0,
            _ => 34.0,
        };
        (hu + grain).round() as f32
    });
    Image::new(geometry, voxels).unwrap()
}
