use hemex_volume::{Deformation, DisplacementField, FieldExtremes, Geometry, Image, LabelMap};
use serde::{Deserialize, Serialize};

use crate::{AugmentError, DrawnLesion, DrawnScanner, intensity};

/// One transform with every parameter that was drawn. Triples are `[D, H, W]`.
///
/// Seen from the content of the image: the lesion is deformed, then all is mirrored, magnified, turned,
/// shifted, then bent. Voxels are resampled once for all of that. Values change afterwards, as an image comes
/// about: seen in thicker slices and larger pixels, blurred, reconstructed by another kernel, calibrated (gamma,
/// gain, offset), then marred by streaks and noise.
///
/// Written as JSON and read back it is the same to the last bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// Shape of the grid it was drawn for.
    pub shape: [usize; 3],
    /// Spacing of that grid, mm.
    pub spacing_mm: [f64; 3],
    /// Whether left and right are exchanged (along `W`, about the middle of the grid).
    pub flip: bool,
    /// Rotation of the content about each axis through the centre of the grid, degrees: about `D` it
    /// turns `H` toward `W`, about `H` `W` toward `D`, about `W` `D` toward `H`; that about `W` comes
    /// first, that about `D` last.
    pub rotation_deg: [f64; 3],
    /// How many times larger the content becomes.
    pub magnification: f64,
    /// By how much the content is shifted, mm.
    pub translation_mm: [f64; 3],
    /// The elastic deformation, if there is one.
    pub elastic: Option<DrawnElastic>,
    /// The deformation of the lesion, if there is one; it comes before all else.
    pub lesion: Option<DrawnLesion>,
    /// Standard deviation of the Gaussian blur along `H` and `W`, mm.
    pub blur_mm: f64,
    /// What values are multiplied by.
    pub gain: f64,
    /// What is then added to them, HU.
    pub offset_hu: f64,
    /// Standard deviation of the noise, HU.
    pub noise_hu: f64,
    /// Seed of the noise.
    pub noise_seed: u64,
    /// What another scanner would have shown.
    pub scanner: DrawnScanner,
    /// The site whose look it has, if any: its slices, kernel, noise and offset are those above.
    pub site: Option<String>,
}

/// The elastic part of a [`Drawn`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawnElastic {
    /// The field, as strong as it is applied: what lies at a point comes from the point plus its
    /// displacement.
    pub field: DisplacementField,
    /// 1 as drawn; less if it had to be weakened to keep to [`MIN_JACOBIAN`](crate::MIN_JACOBIAN).
    pub strength: f64,
    /// How far it moves, and squeezes or stretches, the grid it was drawn for. Content is locally
    /// magnified in volume by one over the Jacobian.
    pub extremes: FieldExtremes,
}

impl Drawn {
    /// The transform that leaves images on this grid as they are.
    pub fn identity(geometry: &Geometry) -> Self {
        Self {
            shape: geometry.shape(),
            spacing_mm: geometry.spacing_mm(),
            flip: false,
            rotation_deg: [0.0; 3],
            magnification: 1.0,
            translation_mm: [0.0; 3],
            elastic: None,
            lesion: None,
            blur_mm: 0.0,
            gain: 1.0,
            offset_hu: 0.0,
            noise_hu: 0.0,
            noise_seed: 0,
            scanner: DrawnScanner::unchanged(),
            site: None,
        }
    }

    /// The spatial part, as the map from a point of the result back to its source.
    pub fn deformation(&self) -> Deformation {
        let turned = rotation(self.rotation_deg);
        // The inverse of mirror, magnify, turn: transposed, divided, mirrored back.
        let mirror = [1.0, 1.0, if self.flip { -1.0 } else { 1.0 }];
        let linear: [[f64; 3]; 3] = std::array::from_fn(|a| {
            std::array::from_fn(|b| mirror[a] * turned[b][a] / self.magnification)
        });
        let translation_mm = linear
            .map(|row| 0.0 - row.iter().zip(self.translation_mm).map(|(m, t)| m * t).sum::<f64>());
        let elastic = self.elastic.as_ref().map(|elastic| elastic.field.clone());
        let flow = self.lesion.as_ref().map(|lesion| lesion.flow.clone());
        Deformation { linear, translation_mm, elastic, flow }
    }

    /// By what factor the volume of a lesion changes through scaling, the third power of the magnification
    /// (its second power, of an area, in a single slice), and through its own deformation.
    ///
    /// The elastic part changes it further, locally, by between one over the largest and one over the
    /// smallest Jacobian. A growth label stays that of the original scan; see the crate's
    /// documentation for what that means.
    pub fn volume_factor(&self) -> f64 {
        let of_lesion = self.lesion.as_ref().map_or(1.0, |lesion| lesion.volume_factor);
        of_lesion * self.deformation().volume_factor(self.shape)
    }

    /// Image and labels, transformed together. Values are limited to `window_hu` (lowest, highest),
    /// the range the image was prepared with; its lowest value fills what comes from outside.
    ///
    /// Voxels at a limit of the window are saturated (air, bone): gamma, gain, offset, streaks and noise leave
    /// them.
    ///
    /// # Errors
    /// [`AugmentError::GridMismatch`] if image and labels are not on one grid,
    /// [`AugmentError::OtherGrid`] if that is not the kind of grid the transform was drawn for,
    /// [`AugmentError::Volume`] if a spacing of its scanner is not positive and finite, which none that a
    /// policy drew is.
    pub fn apply(
        &self,
        image: &Image,
        labels: &LabelMap,
        window_hu: [f32; 2],
    ) -> Result<(Image, LabelMap), AugmentError> {
        if !image.geometry().is_same_grid(labels.geometry()) {
            let (image, labels) = (image.geometry().shape(), labels.geometry().shape());
            return Err(AugmentError::GridMismatch { image, labels });
        }
        self.check_grid(image.geometry())?;
        let (moved, labels) = match self.is_spatial() {
            true => self.deformation().warp(image, labels, window_hu[0])?,
            false => (image.clone(), labels.clone()),
        };
        Ok((intensity::apply(self, moved, window_hu)?, labels))
    }

    /// The image alone, as by [`Drawn::apply`].
    ///
    /// # Errors
    /// As of [`Drawn::apply`].
    pub fn apply_to_image(
        &self,
        image: &Image,
        window_hu: [f32; 2],
    ) -> Result<Image, AugmentError> {
        self.check_grid(image.geometry())?;
        let moved = match self.is_spatial() {
            true => image.warp(&self.deformation(), window_hu[0]),
            false => image.clone(),
        };
        intensity::apply(self, moved, window_hu)
    }

    /// Labels alone, as by [`Drawn::apply`]; for further maps of the same image, such as a brain mask.
    ///
    /// # Errors
    /// [`AugmentError::OtherGrid`] if they are not on the kind of grid the transform was drawn for.
    pub fn apply_to_labels(&self, labels: &LabelMap) -> Result<LabelMap, AugmentError> {
        self.check_grid(labels.geometry())?;
        Ok(match self.is_spatial() {
            true => labels.warp(&self.deformation()),
            false => labels.clone(),
        })
    }

    fn is_spatial(&self) -> bool {
        self.flip
            || self.rotation_deg != [0.0; 3]
            || self.magnification != 1.0
            || self.translation_mm != [0.0; 3]
            || self.elastic.is_some()
            || self.lesion.is_some()
    }

    fn check_grid(&self, found: &Geometry) -> Result<(), AugmentError> {
        let found_mm = found.spacing_mm();
        let alike = (0..3).all(|a| (found_mm[a] / self.spacing_mm[a] - 1.0).abs() < 1e-3);
        if found.shape() == self.shape && alike {
            return Ok(());
        }
        let words = |shape: [usize; 3], mm: [f64; 3]| format!("{shape:?} voxels of {mm:?} mm");
        Err(AugmentError::OtherGrid {
            drawn: words(self.shape, self.spacing_mm),
            found: words(found.shape(), found_mm),
        })
    }
}

/// The matrix that turns content about `W`, then `H`, then `D` (rows and columns `[D, H, W]`).
fn rotation(degrees: [f64; 3]) -> [[f64; 3]; 3] {
    let mut turned = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for axis in [2, 1, 0] {
        let (sin, cos) = degrees[axis].to_radians().sin_cos();
        let (from, toward) = ((axis + 1) % 3, (axis + 2) % 3);
        let (a, b) = (turned[from], turned[toward]);
        turned[from] = std::array::from_fn(|k| cos * a[k] - sin * b[k]);
        turned[toward] = std::array::from_fn(|k| sin * a[k] + cos * b[k]);
    }
    turned
}
