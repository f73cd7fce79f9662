//! Directions and points in space.

/// The scalar product.
pub fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The cross product.
pub fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// The length.
pub fn norm(v: [f64; 3]) -> f64 {
    dot(v, v).sqrt()
}

/// The angle between two directions, 0 to 180 degrees.
pub fn angle_degrees(a: [f64; 3], b: [f64; 3]) -> f64 {
    norm(cross(a, b)).atan2(dot(a, b)).to_degrees()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_angles() {
        assert_eq!(cross([1.0, 0.0, 0.0], [0.0, 2.0, 0.0]), [0.0, 0.0, 2.0]);
        assert_eq!((dot([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]), norm([3.0, 0.0, 4.0])), (32.0, 5.0));
        assert!((angle_degrees([1.0, 0.0, 0.0], [-1.0, 1.0, 0.0]) - 135.0).abs() < 1e-12);
    }
}
