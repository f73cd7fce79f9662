//! Signed distances to simple shapes, mm: negative inside. Single precision, since a head needs some
//! millions of them.

/// A point `[x, y, z]` in mm, RAS+.
pub(crate) type Point = [f32; 3];

/// An axis-aligned ellipsoid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ellipsoid {
    centre: Point,
    per_radius: Point,
}

impl Ellipsoid {
    pub(crate) const fn new(centre: Point, radii_mm: Point) -> Self {
        let per_radius = [1.0 / radii_mm[0], 1.0 / radii_mm[1], 1.0 / radii_mm[2]];
        Self { centre, per_radius }
    }

    /// Distance in units of the radii, squared: below 1 inside.
    #[inline]
    pub(crate) fn level2(&self, p: Point) -> f32 {
        let q = self.unit(p);
        dot(q, q)
    }

    #[inline]
    pub(crate) fn contains(&self, p: Point) -> bool {
        self.level2(p) < 1.0
    }

    /// First-order approximation of the distance: exact on the surface, short of it far away.
    #[inline]
    pub(crate) fn distance_mm(&self, p: Point) -> f32 {
        let q = self.unit(p);
        let gradient: Point = std::array::from_fn(|i| q[i] * self.per_radius[i]);
        let (level, slope) = (dot(q, q).sqrt(), dot(gradient, gradient).sqrt());
        if slope < 1e-6 {
            return -1.0 / self.per_radius[0].max(self.per_radius[1]).max(self.per_radius[2]);
        }
        level * (level - 1.0) / slope
    }

    #[inline]
    fn unit(&self, p: Point) -> Point {
        std::array::from_fn(|i| (p[i] - self.centre[i]) * self.per_radius[i])
    }
}

/// A rounded cone: all points near the segment `a`–`b`, the radius running from `radius_a_mm` to `b`'s.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capsule {
    a: Point,
    along: Point,
    per_length2: f32,
    radii_mm: [f32; 2],
}

impl Capsule {
    pub(crate) const fn new(a: Point, b: Point, radii_mm: [f32; 2]) -> Self {
        let along = [b[0] - a[0], b[1] - a[1], b[2] - a[2]];
        let length2 = along[0] * along[0] + along[1] * along[1] + along[2] * along[2];
        Self { a, along, per_length2: 1.0 / length2, radii_mm }
    }

    /// Distance to the surface with all radii multiplied by `scale`.
    #[inline]
    pub(crate) fn distance_mm(&self, p: Point, scale: f32) -> f32 {
        let from_a = sub(p, self.a);
        let at = (dot(from_a, self.along) * self.per_length2).clamp(0.0, 1.0);
        let to_axis: Point = std::array::from_fn(|i| from_a[i] - at * self.along[i]);
        let radius = self.radii_mm[0] + at * (self.radii_mm[1] - self.radii_mm[0]);
        dot(to_axis, to_axis).sqrt() - scale * radius
    }

    #[inline]
    pub(crate) fn contains(&self, p: Point) -> bool {
        self.distance_mm(p, 1.0) < 0.0
    }
}

/// The union of two shapes, its edge rounded over `k` mm (polynomial smooth minimum).
#[inline]
pub(crate) fn smooth_union(a: f32, b: f32, k: f32) -> f32 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.min(b) - 0.25 * k * h * h
}

/// A wave of period 1 and amplitude 1: a sine made of two parabolas, far cheaper than one.
#[inline]
pub(crate) fn wave(t: f32) -> f32 {
    let x = t - floor(t) as f32 - 0.5;
    8.0 * x - 16.0 * x * x.abs()
}

/// The largest whole number not above `t`; without the call that `f32::floor` is on older targets.
#[inline]
pub(crate) fn floor(t: f32) -> i32 {
    let whole = t as i32;
    whole.wrapping_sub(i32::from(t < whole as f32))
}

/// 0 below `edge0`, 1 above `edge1`, linear between.
#[inline]
pub(crate) fn ramp(edge0: f32, edge1: f32, value: f32) -> f32 {
    ((value - edge0) / (edge1 - edge0)).clamp(0.0, 1.0)
}

#[inline]
pub(crate) fn dot(a: Point, b: Point) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[inline]
pub(crate) fn sub(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// The point mirrored into the right half, so that paired organs are written once.
#[inline]
pub(crate) fn to_right([x, y, z]: Point) -> Point {
    [x.abs(), y, z]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_a_sphere_and_a_capsule_are_exact() {
        let sphere = Ellipsoid::new([1.0, 2.0, 3.0], [5.0; 3]);
        assert!((sphere.distance_mm([1.0, 2.0, 11.0]) - 3.0).abs() < 1e-5);
        assert!((sphere.distance_mm([1.0, 4.0, 3.0]) + 3.0).abs() < 1e-5);
        assert_eq!(sphere.distance_mm([1.0, 2.0, 3.0]), -5.0);
        let cone = Capsule::new([0.0; 3], [10.0, 0.0, 0.0], [1.0, 3.0]);
        assert!((cone.distance_mm([5.0, 6.0, 0.0], 1.0) - 4.0).abs() < 1e-6);
        assert!((cone.distance_mm([13.0, 4.0, 0.0], 2.0) + 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_wave_has_period_and_amplitude_one() {
        assert_eq!(floor(-0.25), -1);
        assert_eq!(floor(-2.0), -2);
        for (t, expected) in [(0.25, -1.0), (0.75, 1.0), (0.5, 0.0), (0.0, 0.0), (-0.25, 1.0)] {
            assert!((wave(t) - expected).abs() < 1e-6, "{t}");
        }
    }

    #[test]
    fn a_smooth_union_only_adds() {
        assert_eq!(smooth_union(1.0, 9.0, 4.0), 1.0);
        assert_eq!(smooth_union(2.0, 2.0, 4.0), 1.0);
    }
}
