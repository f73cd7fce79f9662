//! Lays the phantom beside a real head without hematoma: `HEMEX_TEST_DATA=DIR cargo run --release --package
//! hemex-tests --example beside -- GALLERY_DIR`; `cargo xtask gallery` calls it.
//!
//! Writes `beside.png` and prints what brain, fluid, bone and blood measure in both, the same way: means and
//! SD of the voxels of a class, and a histogram of what lies within the skull. It reads the phantom's scans
//! from `GALLERY_DIR/like_ge`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hemex_artifacts::picture::BRAIN_WINDOW_HU;
use hemex_artifacts::{Picture, nifti};
use hemex_tests::real_head::{self, Block, brain};
use hemex_volume::{Image, LabelMap, erode_mm};

const PIXEL_MM: f64 = 0.6;
const N_PANELS: usize = 6;
/// Noise would blur the classes.
const SMOOTHED_MM: f64 = 1.5;
const FLUID_HU: std::ops::Range<f32> = -4.0..16.0;
const BRAIN_HU: std::ops::Range<f32> = 22.0..46.0;
const BONE_HU: std::ops::Range<f32> = 300.0..3000.0;
/// Fluid and brain are looked for this far from bone, whose halo would count else.
const AWAY_MM: f64 = 6.0;

fn main() -> Result<()> {
    let gallery: PathBuf = std::env::args_os().nth(1).context("usage: beside GALLERY_DIR")?.into();
    let data = std::env::var_os("HEMEX_TEST_DATA").context("HEMEX_TEST_DATA is not set")?;
    let scratch = tempfile::tempdir()?;
    let head = real_head::build(data.as_ref(), scratch.path(), Block::Upper)?;
    let real = upright(nifti::read_image(&head.plain)?);
    let phantoms: Vec<Phantom> =
        (1..=3).map(|n| Phantom::read(&gallery.join("like_ge"), n)).collect::<Result<_>>()?;
    sheet(&real, &phantoms[0].twin)?.write(&gallery.join("beside.png"))?;

    let measured = Measured::of(&real)?;
    println!("real head           {measured}");
    for phantom in &phantoms {
        println!("phantom {}, no blood {}", phantom.name, Measured::of(&phantom.twin)?);
        println!("        {}, hematoma {}", phantom.name, phantom.blood());
    }
    println!("within the skull, share of voxels a bin of 5 HU from -10 to 70 HU, smoothed:");
    println!("real head  {}", histogram(&real)?);
    for phantom in &phantoms {
        println!("phantom    {}", histogram(&phantom.twin)?);
    }
    Ok(())
}

/// One of the phantom's patients.
struct Phantom {
    name: String,
    image: Image,
    labels: LabelMap,
    /// The same head without hematoma.
    twin: Image,
}

impl Phantom {
    fn read(folder: &Path, n: usize) -> Result<Self> {
        let name = format!("sub-{n:04}");
        let file = |session: &str, ending: &str| {
            let ct = folder.join(&name).join(format!("ses-{session}")).join("ct");
            ct.join(format!("{name}_ses-{session}_{ending}.nii.gz"))
        };
        Ok(Self {
            image: nifti::read_image(&file("baseline", "ct"))?,
            labels: nifti::read_label_map(&file("baseline", "dseg"))?,
            twin: nifti::read_image(&file("twin", "ct"))?,
            name,
        })
    }

    fn blood(&self) -> Class {
        let voxels = self.image.voxels().iter().zip(self.labels.voxels());
        Class::of(voxels.filter(|(_, label)| **label == 1).map(|(hu, _)| *hu))
    }
}

/// With axes that run to the right, the front and the head.
fn upright(image: Image) -> Image {
    image.resample(&image.geometry().to_ras(), -1000.0)
}

/// Slices of both, evenly spread over the cerebrum; the real ones above.
fn sheet(real: &Image, phantom: &Image) -> Result<Picture> {
    let mut panels = Vec::new();
    for (name, image) in [("real", real), ("phantom", phantom)] {
        let inside = brain(image)?;
        let [n_d, n_h, n_w] = image.geometry().shape();
        let area = |d: usize| inside[d * n_h * n_w..][..n_h * n_w].iter().filter(|b| **b).count();
        let most = (0..n_d).map(area).max().unwrap_or(0);
        let filled: Vec<usize> = (0..n_d).filter(|d| 4 * area(*d) > most).collect();
        let first = filled.len().saturating_sub(11);
        let filled = &filled[first..];
        for n in 0..N_PANELS {
            let d = filled[n * (filled.len() - 1) / (N_PANELS - 1)];
            let slice = Picture::slice(image, None, d, BRAIN_WINDOW_HU, PIXEL_MM);
            panels.push(slice.cropped(300, 350).captioned(&format!("{name}, slice {}", d + 1)));
        }
    }
    Ok(Picture::sheet(&panels, N_PANELS))
}

/// What the voxels of a class measure.
struct Class {
    n: usize,
    mean_hu: f64,
    sd_hu: f64,
}

impl Class {
    fn of(hu: impl Iterator<Item = f32>) -> Self {
        let (mut n, mut sum, mut squares) = (0, 0.0, 0.0);
        for hu in hu.map(f64::from) {
            n += 1;
            sum += hu;
            squares += hu * hu;
        }
        let mean_hu = sum / n as f64;
        Self { n, mean_hu, sd_hu: (squares / n as f64 - mean_hu * mean_hu).max(0.0).sqrt() }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ± {:.1} HU (n {})", self.mean_hu, self.sd_hu, self.n)
    }
}

/// Classes of a head without hematoma.
struct Measured {
    brain: Class,
    fluid: Class,
    bone: Class,
}

impl Measured {
    fn of(image: &Image) -> Result<Self> {
        let smooth = image.blur_mm([0.0, SMOOTHED_MM, SMOOTHED_MM]);
        let inside = within_skull(image)?;
        let within = |range: std::ops::Range<f32>| {
            let voxels = smooth.voxels().iter().zip(&inside).filter(|(_, inside)| **inside);
            Class::of(voxels.map(|(hu, _)| *hu).filter(move |hu| range.contains(hu)))
        };
        let bone = image.voxels().iter().copied().filter(|hu| BONE_HU.contains(hu));
        Ok(Self { brain: within(BRAIN_HU), fluid: within(FLUID_HU), bone: Class::of(bone) })
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "brain {}, fluid {}, bone {}", self.brain, self.fluid, self.bone)
    }
}

/// The brain and the fluid in it, away from bone.
fn within_skull(image: &Image) -> Result<Vec<bool>> {
    Ok(erode_mm(&brain(image)?, image.geometry(), AWAY_MM)?)
}

fn histogram(image: &Image) -> Result<String> {
    let smooth = image.blur_mm([0.0, SMOOTHED_MM, SMOOTHED_MM]);
    let inside = within_skull(image)?;
    let mut bins = [0usize; 16];
    for (hu, _) in smooth.voxels().iter().zip(&inside).filter(|(_, inside)| **inside) {
        let bin = ((hu + 10.0) / 5.0).floor();
        if (0.0..16.0).contains(&bin) {
            bins[bin as usize] += 1;
        }
    }
    let total: usize = bins.iter().sum();
    let shares = bins.map(|n| format!("{:.3}", n as f64 / total as f64));
    Ok(shares.join(" "))
}
