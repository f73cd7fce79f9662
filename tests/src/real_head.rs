//! A real head CT as a test needs it: upright, once as it is, once with a real hematoma set in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dicom_dictionary_std::tags;
use hemex_artifacts::nifti;
use hemex_stage::DrawKey;
use hemex_stage::digest::list_files;
use hemex_volume::{
    Affine, Connectivity, Geometry, Image, LabelMap, Lesion, dilate_mm, distance_mm, erode_mm,
};
use rand::RngExt;
use rand_distr::StandardNormal;

use crate::unpack;

/// Which of the series' two blocks of even steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Face, skull base and the posterior fossa, 14 slices of 4 mm.
    Lower,
    /// The cerebrum, 14 slices of 7 mm.
    Upper,
}

impl Block {
    /// Distance of its slices along the table, mm.
    fn step_mm(self) -> f64 {
        match self {
            Block::Lower => 4.22,
            Block::Upper => 7.38,
        }
    }
}

/// Slices of either block.
const N_SLICES: usize = 14;
/// Distance of pixels, mm.
const PIXEL_MM: f64 = 0.48828;
const N_PIXELS: usize = 512;
const TILT_DEGREES: f64 = 18.5;

/// Density of the hematoma and its grain, HU.
const BLOOD_HU: f32 = 60.0;
const GRAIN_HU: f32 = 3.0;

const TISSUE_HU: std::ops::Range<f32> = 0.0..80.0;
const BONE_HU: f32 = 300.0;
const BRIDGE_MM: f64 = 2.0;

/// The two scans, in a folder of their own, and the mask of the second.
#[derive(Debug, Clone)]
pub struct RealHead {
    /// The head as it is, without acute blood.
    pub plain: PathBuf,
    /// The same with a hematoma set in; such a case is semi-synthetic.
    pub semi_synthetic: PathBuf,
    /// Where the hematoma is.
    pub mask: PathBuf,
    /// Volume of the hematoma as it was set in, mL.
    pub hematoma_ml: f64,
    /// Volume of the mask it was made of, mL.
    pub mask_ml: f64,
}

/// Writes `plain.nii.gz`, `semi_synthetic.nii.gz` and `semi_synthetic_mask.nii.gz` into `out`, from the
/// folder of real scans.
///
/// The series is tilted and its slices are unevenly spaced: one of its blocks of even steps is taken as
/// if it stood upright. The hematoma is label 1 of a mask that came without its CT; it is set in where
/// the brain is widest and as far as it lies within the brain.
///
/// # Errors
/// If a file is missing, cannot be read or is not what was expected.
pub fn build(data: &Path, out: &Path, block: Block) -> Result<RealHead> {
    std::fs::create_dir_all(out)?;
    let plain = ge_block(&data.join("headct_ge_tilt/dicom.tar.xz"), block)?;
    let lesion = nifti::read_label_map(&data.join("hematoma_mask/scan_0_segmentation.nii.gz"))?;
    let (image, mask) = with_hematoma(&plain, &lesion)?;
    let paths = ["plain", "semi_synthetic", "semi_synthetic_mask"]
        .map(|name| out.join(format!("{name}.nii.gz")));
    nifti::write_image_i16(&paths[0], &plain)?;
    nifti::write_image_i16(&paths[1], &image)?;
    nifti::write_label_map(&paths[2], &mask)?;
    let blood = [Lesion::Intraparenchymal as u8];
    let (hematoma_ml, mask_ml) = (mask.volume_ml(&blood), lesion.volume_ml(&blood));
    let [plain, semi_synthetic, mask] = paths;
    Ok(RealHead { plain, semi_synthetic, mask, hematoma_ml, mask_ml })
}

/// A block of even steps of the GE series, HU.
fn ge_block(archive: &Path, block: Block) -> Result<Image> {
    let folder = tempfile::tempdir()?;
    unpack(archive, folder.path())?;
    let files = list_files(folder.path())?;
    let slices = files.iter().map(|path| slice(path).with_context(|| path.display().to_string()));
    let mut slices: Vec<(f64, Vec<f32>)> = slices.collect::<Result<_>>()?;
    slices.sort_by(|a, b| a.0.total_cmp(&b.0));
    let step_mm = block.step_mm();
    let is_even = |pair: &[(f64, Vec<f32>)]| (pair[1].0 - pair[0].0 - step_mm).abs() < 0.02;
    let first = slices.windows(2).position(is_even).context("no slices of this distance")?;
    let n = 1 + slices[first..].windows(2).take_while(|pair| is_even(pair)).count();
    ensure!(n == N_SLICES, "{n} slices of this distance, expected {N_SLICES}");
    let slice_mm = step_mm * TILT_DEGREES.to_radians().cos();
    // The first column is the patient's right, the first row the front.
    let corner_mm = PIXEL_MM * (N_PIXELS - 1) as f64 / 2.0;
    let affine = Affine::new([
        [-PIXEL_MM, 0.0, 0.0, corner_mm],
        [0.0, -PIXEL_MM, 0.0, corner_mm],
        [0.0, 0.0, slice_mm, 0.0],
    ])?;
    let geometry = Geometry::new([n, N_PIXELS, N_PIXELS], affine)?;
    let voxels = slices.into_iter().skip(first).take(n).flat_map(|(_, hu)| hu).collect();
    Ok(Image::new(geometry, voxels)?)
}

/// Height along the table and pixels of a slice: uncompressed 16-bit, intercept 0.
fn slice(path: &Path) -> Result<(f64, Vec<f32>)> {
    let object = dicom_object::open_file(path)?;
    let position = object.element(tags::IMAGE_POSITION_PATIENT)?.to_multi_float64()?;
    let bytes = object.element(tags::PIXEL_DATA)?.to_bytes()?;
    ensure!(bytes.len() == 2 * N_PIXELS * N_PIXELS, "{} bytes of pixels", bytes.len());
    let words = bytes.as_chunks::<2>().0.iter();
    let z = position.get(2).copied().context("a position has three numbers")?;
    Ok((z, words.map(|word| f32::from(i16::from_le_bytes(*word))).collect()))
}

/// The image with label 1 of `lesion` set in where the brain is widest, and its mask.
fn with_hematoma(image: &Image, lesion: &LabelMap) -> Result<(Image, LabelMap)> {
    let geometry = image.geometry();
    let brain = brain(image)?;
    let [n_d, n_h, n_w] = geometry.shape();
    let in_border_slice = |at: usize| at < n_h * n_w || at >= (n_d - 1) * n_h * n_w;
    let outside = (0..brain.len()).map(|at| !brain[at] || in_border_slice(at)).collect::<Vec<_>>();
    let depth_mm = distance_mm(&outside, geometry)?;
    let widest = (0..depth_mm.len()).max_by(|a, b| depth_mm[*a].total_cmp(&depth_mm[*b]));
    let widest = widest.context("an image without voxels")?;
    let place = [widest / (n_h * n_w), widest / n_w % n_h, widest % n_w].map(|i| i as f64);
    let moved = moved(geometry, lesion, geometry.point_mm(place))?;

    let (mut image, mut mask) = (image.clone(), lesion.resample(&moved).into_voxels());
    let mut rng = DrawKey::new(1, "tests.real_head").rng();
    for ((label, inside), hu) in mask.iter_mut().zip(brain).zip(image.voxels_mut()) {
        let blood = inside && *label == Lesion::Intraparenchymal as u8;
        *label = u8::from(blood);
        if blood {
            *hu = BLOOD_HU + GRAIN_HU * rng.sample::<f32, _>(StandardNormal);
        }
    }
    let mask = LabelMap::new(*image.geometry(), mask)?;
    Ok((image, mask))
}

/// The image's grid as it lies around the lesion once its centre is moved to `place_mm`.
fn moved(geometry: &Geometry, lesion: &LabelMap, place_mm: [f64; 3]) -> Result<Geometry> {
    let blood = lesion.mask(&[Lesion::Intraparenchymal as u8]);
    let [_, n_h, n_w] = lesion.geometry().shape();
    let mut sum_mm = [0.0; 3];
    let voxels: Vec<usize> = (0..blood.len()).filter(|at| blood[*at]).collect();
    for at in &voxels {
        let index = [at / (n_h * n_w), at / n_w % n_h, at % n_w].map(|i| i as f64);
        let point_mm = lesion.geometry().point_mm(index);
        (0..3).for_each(|axis| sum_mm[axis] += point_mm[axis]);
    }
    ensure!(!voxels.is_empty(), "the mask holds no hematoma");
    let mut rows = geometry.affine().rows();
    for axis in 0..3 {
        rows[axis][3] += sum_mm[axis] / voxels.len() as f64 - place_mm[axis];
    }
    Ok(Geometry::new(geometry.shape(), Affine::new(rows)?)?)
}

/// Soft tissue with bone on all four sides in its slice, its largest part; thin bridges part it from
/// muscle. In the order of the voxels.
///
/// # Errors
/// If the image's grid has no voxel size that distances can be measured with.
pub fn brain(image: &Image) -> Result<Vec<bool>> {
    let geometry = image.geometry();
    let [n_d, n_h, n_w] = geometry.shape();
    // Noise would leave holes.
    let smooth = image.blur_mm([0.0, 1.0, 1.0]);
    let mut inside = vec![false; geometry.n_voxels()];
    for d in 0..n_d {
        let slice = smooth.slice(d);
        let between = |line: Vec<usize>| -> Vec<usize> {
            let bone = |at: &&usize| slice[**at] > BONE_HU;
            let first = line.iter().find(bone).copied();
            let last = line.iter().rev().find(bone).copied();
            let (Some(first), Some(last)) = (first, last) else { return Vec::new() };
            line.into_iter().filter(|at| (first..=last).contains(at)).collect()
        };
        let mut n_sides = vec![0; n_h * n_w];
        let rows = (0..n_h).map(|h| (0..n_w).map(|w| h * n_w + w).collect());
        let columns = (0..n_w).map(|w| (0..n_h).map(|h| h * n_w + w).collect());
        rows.chain(columns).flat_map(between).for_each(|at| n_sides[at] += 1);
        for (at, n) in n_sides.into_iter().enumerate() {
            inside[d * n_h * n_w + at] = n == 2 && TISSUE_HU.contains(&slice[at]);
        }
    }
    let core = erode_mm(&inside, geometry, BRIDGE_MM)?;
    let parts = LabelMap::new(*geometry, core.into_iter().map(u8::from).collect())?;
    let core = parts.components(&[1], Connectivity::Six).largest();
    let back = dilate_mm(&core, geometry, BRIDGE_MM)?;
    Ok(back.into_iter().zip(inside).map(|(near, inside)| near && inside).collect())
}
