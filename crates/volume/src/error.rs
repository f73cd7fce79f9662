/// What can be wrong with a grid or with the voxels put on it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VolumeError {
    /// An axis without voxels.
    #[error("a grid needs at least one voxel along every axis, found shape {shape:?} (D, H, W)")]
    EmptyAxis {
        /// The shape that was asked for, `[D, H, W]`.
        shape: [usize; 3],
    },
    /// The voxel axes do not span space, or hold a value that is not finite.
    #[error("the affine {matrix:?} is singular or not finite: its voxel axes must span space")]
    SingularAffine {
        /// The three rows of the matrix; boxed, so that a result stays small where all goes well.
        matrix: Box<[[f64; 4]; 3]>,
    },
    /// A grid whose axes lean against each other in more ways than one.
    #[error(
        "no two axes of the grid are perpendicular (the closest are {degrees:.1}° off): such a grid \
         cannot be made upright"
    )]
    Sheared {
        /// How far the two axes closest to perpendicular are off it.
        degrees: f64,
    },
    /// The number of voxels does not fit the shape.
    #[error("{n_values} values do not fill a grid of shape {shape:?} (D, H, W)")]
    LengthMismatch {
        /// The shape of the grid, `[D, H, W]`.
        shape: [usize; 3],
        /// How many values were given.
        n_values: usize,
    },
    /// A spacing that is no positive finite number.
    #[error("a spacing must be positive and finite, found {spacing_mm:?} mm (D, H, W)")]
    BadSpacing {
        /// The spacing that was asked for, `[D, H, W]`, in mm.
        spacing_mm: [f64; 3],
    },
    /// A flow whose numbers cannot be used.
    #[error(
        "a flow needs finite numbers and 0 < radius < reach, found {radius_mm} and {reach_mm} mm"
    )]
    BadFlow {
        /// Within it content is magnified as stated, mm.
        radius_mm: f64,
        /// Beyond it nothing moves, mm.
        reach_mm: f64,
    },
    /// Two scans of which nobody can tell how they lie to each other.
    #[error("the scans cannot be registered: {problem}")]
    NotRegistered {
        /// What is wrong with them.
        problem: &'static str,
    },
    /// Two grids that must be one.
    #[error("the grids differ: {left:?} and {right:?} (D, H, W), or their affines do")]
    GridMismatch {
        /// Shape of the first grid, `[D, H, W]`.
        left: [usize; 3],
        /// Shape of the second grid, `[D, H, W]`.
        right: [usize; 3],
    },
}
