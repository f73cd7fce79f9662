//! A head as it might look without its lesion.

use rand::{Rng, RngExt};

use crate::{Geometry, Image, VolumeError, distance_mm, harmonic_fill};

/// How far beyond the hole brain gives its texture, mm.
const REACH_MM: f64 = 20.0;

/// Standard deviation of the Gaussian that parts the brain in tissue and texture, mm, within slices.
const TISSUE_MM: f64 = 3.0;

/// Robust standard deviations beyond which a voxel is an edge or a calcification, no texture.
const MOST_SDS: f64 = 3.0;

/// Median absolute deviation of a normal distribution in standard deviations.
const MAD_PER_SIGMA: f64 = 0.674_489_750_196_081_7;

/// How many displaced copies of the texture around make that of the hole.
const N_COPIES: usize = 32;

/// Slack (mm) of a radius: a voxel exactly on it belongs to it, whatever the rounding.
const ROUNDING_MM: f32 = 1e-4;

/// The image (HU) with the lesion and what lies within `margin_mm` of it replaced by what the brain around it suggests;
/// masks `[D, H, W]`. Voxels outside the brain are changed only where the lesion itself claims them, and nothing is
/// read from them.
///
/// A hole would show the lesion's shape, and so would a smooth patch. Tissue is the harmonic function between the brain
/// voxels at the hole's border ([`harmonic_fill`]); on it lies texture: what a Gaussian of 3 mm within slices leaves of
/// the brain up to 20 mm from the hole, without edges (over three robust standard deviations). 32 copies of that,
/// each displaced by the way from a voxel of the hole to one of that brain and with a random sign, are added and
/// divided by the root of how many reach the voxel: a sum of randomly placed samples has their variance and their
/// correlation (after Galerne, Gousseau & Morel, IEEE TIP 2011), between slices too. The result depends on `rng` alone.
///
/// An empty lesion leaves the image as it is. `None` if no brain is left around it.
///
/// # Errors
/// [`VolumeError::LengthMismatch`] if a mask does not fill the grid.
pub fn inpaint(
    image: &Image,
    lesion: &[bool],
    brain: &[bool],
    margin_mm: f64,
    rng: &mut impl Rng,
) -> Result<Option<Image>, VolumeError> {
    let geometry = image.geometry();
    let from_lesion_mm = distance_mm(lesion, geometry)?;
    if brain.len() != geometry.n_voxels() {
        let shape = geometry.shape();
        return Err(VolumeError::LengthMismatch { shape, n_values: brain.len() });
    }
    if !lesion.contains(&true) {
        return Ok(Some(image.clone()));
    }
    let within = |reach_mm: f64| -> Vec<bool> {
        let limit = reach_mm as f32 + ROUNDING_MM;
        from_lesion_mm.iter().zip(brain).map(|(mm, brain)| *brain && *mm <= limit).collect()
    };
    let margin = within(margin_mm);
    let hole: Vec<bool> = lesion.iter().zip(&margin).map(|(a, b)| *a || *b).collect();
    let around = within(margin_mm + REACH_MM);
    let around: Vec<bool> = around.iter().zip(&hole).map(|(near, hole)| *near && !hole).collect();
    let Some(mut filled) = harmonic_fill(image, &hole, &around)? else { return Ok(None) };
    let places: Vec<usize> = (0..hole.len()).filter(|place| hole[*place]).collect();
    let texture = Texture::around(image, &around)?;
    for (place, texture) in places.iter().zip(texture.copied_to(&places, geometry, rng)) {
        filled.voxels_mut()[*place] += texture;
    }
    Ok(Some(filled))
}

/// What is left of the brain around a hole without its tissue.
struct Texture {
    /// HU, mean 0 over [`Self::places`].
    residual: Vec<f32>,
    is_source: Vec<bool>,
    places: Vec<usize>,
}

impl Texture {
    fn around(image: &Image, around: &[bool]) -> Result<Self, VolumeError> {
        let geometry = *image.geometry();
        let sigma_mm = [0.0, TISSUE_MM, TISSUE_MM];
        let weight: Vec<f32> = around.iter().map(|near| f32::from(u8::from(*near))).collect();
        let seen = weight.iter().zip(image.voxels()).map(|(weight, hu)| weight * hu).collect();
        let seen = Image::new(geometry, seen)?.blur_mm(sigma_mm);
        let weight = Image::new(geometry, weight)?.blur_mm(sigma_mm);
        let mut residual = vec![0.0; around.len()];
        let near: Vec<usize> = (0..around.len()).filter(|place| around[*place]).collect();
        for &place in &near {
            // Each voxel has a part in its own mean: no weight is 0.
            let tissue_hu = seen.voxels()[place] / weight.voxels()[place];
            residual[place] = image.voxels()[place] - tissue_hu;
        }
        let limit_hu = (MOST_SDS / MAD_PER_SIGMA) as f32 * median(&near, |p| residual[p].abs());
        let places: Vec<usize> =
            near.into_iter().filter(|place| residual[*place].abs() <= limit_hu).collect();
        let sum: f64 = places.iter().map(|place| f64::from(residual[*place])).sum();
        let mean = (sum / places.len().max(1) as f64) as f32;
        let mut is_source = vec![false; around.len()];
        for &place in &places {
            residual[place] -= mean;
            is_source[place] = true;
        }
        Ok(Self { residual, is_source, places })
    }

    /// The texture of each of these voxels; 0 for one that no copy reaches.
    fn copied_to(&self, hole: &[usize], geometry: &Geometry, rng: &mut impl Rng) -> Vec<f32> {
        let (mut sums, mut counts) = (vec![0.0_f32; hole.len()], vec![0_u16; hole.len()]);
        let index = |place: usize| index_of(geometry, place);
        for _ in 0..N_COPIES {
            let draw = |places: &[usize], rng: &mut _| index(places[below(places.len(), rng)]);
            let (to, from) = (draw(hole, rng), draw(&self.places, rng));
            let sign = if rng.random_range(0..2_u8) == 0 { -1.0 } else { 1.0 };
            for ((place, sum), count) in hole.iter().zip(&mut sums).zip(&mut counts) {
                let at = index(*place);
                let source: [i64; 3] = std::array::from_fn(|axis| at[axis] + from[axis] - to[axis]);
                let source = place_of(geometry, source).filter(|source| self.is_source[*source]);
                if let Some(source) = source {
                    *sum += sign * self.residual[source];
                    *count += 1;
                }
            }
        }
        sums.iter().zip(counts).map(|(sum, n)| sum / f32::from(n.max(1)).sqrt()).collect()
    }
}

fn below(n: usize, rng: &mut impl Rng) -> usize {
    rng.random_range(0..n as u64) as usize
}

/// Index `[d, h, w]` of a place in the voxel array.
fn index_of(geometry: &Geometry, place: usize) -> [i64; 3] {
    let [_, n_h, n_w] = geometry.shape();
    [place / (n_h * n_w), place / n_w % n_h, place % n_w].map(|i| i as i64)
}

/// The way back; `None` beyond the grid.
fn place_of(geometry: &Geometry, index: [i64; 3]) -> Option<usize> {
    let shape = geometry.shape();
    let is_within = (0..3).all(|axis| (0..shape[axis] as i64).contains(&index[axis]));
    is_within.then(|| geometry.offset(index.map(|i| i as usize)))
}

/// The middle value over some places, the upper of two; 0 without any.
fn median(places: &[usize], value: impl Fn(usize) -> f32) -> f32 {
    let mut values: Vec<f32> = places.iter().map(|place| value(*place)).collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::{Affine, ConvolutionKernel, correlated_noise};

    const SHAPE: [usize; 3] = [9, 70, 64];

    fn geometry() -> Geometry {
        Geometry::new(SHAPE, Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3]).unwrap()).unwrap()
    }

    fn where_at(test: impl Fn([i64; 3]) -> bool) -> Vec<bool> {
        let geometry = geometry();
        (0..geometry.n_voxels()).map(|place| test(index_of(&geometry, place))).collect()
    }

    fn rng(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    /// Ball of 10 mm radius within the slices 3 to 5.
    fn lesion() -> Vec<bool> {
        where_at(|[d, h, w]| (3..6).contains(&d) && (h - 34).pow(2) + (w - 30).pow(2) <= 100)
    }

    fn brain() -> Vec<bool> {
        where_at(|[_, h, w]| (h - 35).pow(2) + (w - 32).pow(2) <= 900)
    }

    /// Brain with a slope and noise of a smooth kernel, a dense lesion and bone around.
    fn head(noise_hu: f64) -> Image {
        let geometry = geometry();
        let noise = correlated_noise(&geometry, noise_hu, &ConvolutionKernel::SMOOTH, &mut rng(7));
        let (lesion, brain) = (lesion(), brain());
        let hu = |place: usize| match (brain[place], lesion[place]) {
            (false, _) => 1000.0,
            (true, true) => 70.0,
            (true, false) => 30.0 + 0.05 * index_of(&geometry, place)[2] as f32 + noise[place],
        };
        Image::new(geometry, (0..geometry.n_voxels()).map(hu).collect()).unwrap()
    }

    /// Mean, standard deviation and correlation of neighbours along W over the voxels of a mask, without the slope.
    fn texture_of(image: &Image, mask: &[bool]) -> [f64; 3] {
        let value = |place: usize| {
            let slope = 0.05 * index_of(&geometry(), place)[2] as f64;
            f64::from(image.voxels()[place]) - slope
        };
        let places: Vec<usize> = (0..mask.len()).filter(|place| mask[*place]).collect();
        let mean_of = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let mean = mean_of(places.iter().map(|place| value(*place)).collect());
        let variance = mean_of(places.iter().map(|p| (value(*p) - mean).powi(2)).collect());
        let pairs = places.iter().filter(|place| mask[**place + 1]);
        let product = |place: &usize| (value(*place) - mean) * (value(place + 1) - mean);
        [mean, variance.sqrt(), mean_of(pairs.map(product).collect()) / variance]
    }

    #[test]
    fn the_fill_has_the_mean_the_noise_and_the_texture_of_the_brain_around() {
        let (image, lesion, brain) = (head(5.0), lesion(), brain());
        let filled = inpaint(&image, &lesion, &brain, 4.0, &mut rng(1)).unwrap().unwrap();
        let near = where_at(|[d, h, w]| {
            let r = (h - 34).pow(2) + (w - 30).pow(2);
            (3..6).contains(&d) && r > 15 * 15 && r < 22 * 22
        });
        let inside = where_at(|[d, h, w]| {
            (3..6).contains(&d) && (h - 34).pow(2) + (w - 30).pow(2) < 13 * 13
        });
        let [mean, sd, correlation] = texture_of(&filled, &inside);
        let [mean_near, sd_near, correlation_near] = texture_of(&image, &near);
        assert!((mean - mean_near).abs() < 1.0, "{mean} {mean_near}");
        assert!((sd / sd_near - 1.0).abs() < 0.15, "{sd} {sd_near}");
        assert!((correlation - correlation_near).abs() < 0.1, "{correlation} {correlation_near}");
        // Nothing else has changed.
        let margin = where_at(|[d, h, w]| {
            (3..6).contains(&d) && (h - 34).pow(2) + (w - 30).pow(2) <= 15 * 15
        });
        for place in (0..margin.len()).filter(|place| !margin[*place]) {
            assert_eq!(filled.voxels()[place], image.voxels()[place]);
        }
    }

    #[test]
    fn a_lesion_at_the_brains_border_takes_nothing_from_the_bone() {
        let (image, brain) = (head(5.0), brain());
        // It reaches into the bone, where only what it claims itself is filled.
        let lesion = where_at(|[d, h, w]| d == 4 && (h - 35).pow(2) + (w - 60).pow(2) <= 64);
        let filled = inpaint(&image, &lesion, &brain, 3.0, &mut rng(1)).unwrap().unwrap();
        // The dense lesion in the middle stays.
        let own = self::lesion();
        for (place, hu) in filled.voxels().iter().enumerate() {
            let is_bone = !brain[place] && !lesion[place];
            assert!(own[place] || if is_bone { *hu == 1000.0 } else { *hu < 60.0 }, "{hu}");
        }
    }

    #[test]
    fn a_noiseless_brain_is_filled_without_noise() {
        let filled = inpaint(&head(0.0), &lesion(), &brain(), 4.0, &mut rng(1)).unwrap().unwrap();
        let [mean, sd, _] = texture_of(&filled, &lesion());
        assert!((mean - 30.0).abs() < 0.1 && sd < 0.3, "{mean} {sd}");
    }

    #[test]
    fn nothing_to_fill_leaves_the_image_and_nothing_around_is_none() {
        let (image, lesion, brain) = (head(5.0), lesion(), brain());
        let none = vec![false; lesion.len()];
        assert_eq!(
            inpaint(&image, &none, &brain, 4.0, &mut rng(1)).unwrap().as_ref(),
            Some(&image)
        );
        assert_eq!(inpaint(&image, &brain, &brain, 4.0, &mut rng(1)).unwrap(), None);
        assert_eq!(inpaint(&image, &lesion, &none, 4.0, &mut rng(1)).unwrap(), None);
        assert!(inpaint(&image, &lesion[1..], &brain, 4.0, &mut rng(1)).is_err());
        assert!(inpaint(&image, &lesion, &brain[1..], 4.0, &mut rng(1)).is_err());
    }

    #[test]
    fn the_generator_alone_decides() {
        let with = |seed| inpaint(&head(5.0), &lesion(), &brain(), 4.0, &mut rng(seed)).unwrap();
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }
}
