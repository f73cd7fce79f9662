//! Files damaged in every way: none may make a reader panic, abort, take what it must not or go on too
//! long. `cargo xtask mutate` runs the whole campaign, the tests a fiftieth of it.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

#[path = "ingest/support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hemex_artifacts::nifti;
use hemex_ingest::dicom::read_series;
use hemex_ingest::dicom::worker::Workers;
use hemex_ingest::{StackProblem, Unusable};
use hemex_stage::DrawKey;
use hemex_volume::{Geometry, Image};
use rand::{Rng, RngExt};
use support::real::{data, unpacked};
use support::series::{Series, write};
use support::{DICOM, grid, head};

const N_NIFTI: usize = 100_000;
const N_DICOM: usize = 20_000;

/// Address space of this process while it reads NIfTI, beyond what it has at its begin, bytes: some
/// copies of the largest file among the seeds, and far less than headers can claim.
const NIFTI_BYTES: u64 = 1 << 30;

/// The longest that a file may take, on a busy machine.
const NIFTI_TIME: Duration = Duration::from_secs(5);
const DICOM_TIME: Duration = Duration::from_secs(20);

/// Seeds up to this size are mutated most of the time.
const SMALL_BYTES: usize = 200_000;

/// Of the numbers above.
fn share(n: usize) -> usize {
    let percent = std::env::var("HEMEX_MUTATION_PERCENT").map_or(2.0, |text| text.parse().unwrap());
    (n as f64 * percent / 100.0) as usize
}

/// A file to be damaged, and its image if it is a pair's header.
struct Seed {
    name: String,
    bytes: Vec<u8>,
    image: Option<Vec<u8>>,
}

/// One or more changes, most of them near the begin, where headers are.
fn mutated(bytes: &[u8], others: &[Seed], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        if bytes.is_empty() {
            break;
        }
        let reach = if rng.random_bool(0.7) { bytes.len().min(1200) } else { bytes.len() };
        let at = rng.random_range(0..reach);
        let left = bytes.len() - at;
        match rng.random_range(0..9) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => {
                let extremes = [0i64, 1, -1, 127, 128, 255, 256, 32767, 32768, -32768, 65535];
                let large = [i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN];
                let value = [&extremes[..], &large].concat()[rng.random_range(0..15)];
                let n = [1, 2, 4, 8][rng.random_range(0..4)].min(left);
                let mut value = value.to_le_bytes();
                if rng.random_bool(0.5) {
                    value[..n].reverse();
                }
                bytes[at..at + n].copy_from_slice(&value[..n]);
            }
            3 => {
                let floats = [0.0, -1.0, 1e-38, 1e38, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
                let value = floats[rng.random_range(0..7)].to_le_bytes();
                let n = left.min(4);
                bytes[at..at + n].copy_from_slice(&value[..n]);
            }
            4 => bytes.truncate(at),
            5 => {
                let end = at + rng.random_range(0..=left.min(64));
                bytes.drain(at..end);
            }
            6 => {
                let end = at + rng.random_range(0..=left.min(64));
                let copy = bytes[at..end].to_vec();
                let n = rng.random_range(1..20);
                bytes.splice(at..at, copy.repeat(n));
            }
            7 => {
                let n = rng.random_range(1..=left.min(32));
                bytes[at..at + n].iter_mut().for_each(|byte| *byte = rng.random());
            }
            _ => {
                let other = &others[rng.random_range(0..others.len())].bytes;
                let n = left.min(other.len()).min(rng.random_range(1..400));
                let from = rng.random_range(0..=other.len() - n);
                bytes[at..at + n].copy_from_slice(&other[from..from + n]);
            }
        }
    }
    bytes
}

/// The seed to mutate next: a large one now and then.
fn pick<'a>(seeds: &'a [Seed], rng: &mut impl Rng) -> &'a Seed {
    loop {
        let seed = &seeds[rng.random_range(0..seeds.len())];
        if seed.bytes.len() <= SMALL_BYTES || rng.random_bool(0.05) {
            return seed;
        }
    }
}

fn small() -> Image {
    let geometry: Geometry = grid().window([8, 20, 20], [4, 25, 20]).unwrap();
    head(geometry, 10.0)
}

fn nifti_seeds() -> Vec<Seed> {
    let folder = tempfile::tempdir().unwrap();
    for name in ["made.nii", "made.nii.gz"] {
        nifti::write_image_i16(&folder.path().join(name), &small()).unwrap();
    }
    let mut files = hemex_stage::digest::list_files(folder.path()).unwrap();
    if let Some(data) = data("mutations of real NIfTI files") {
        files.extend(hemex_stage::digest::list_files(&data.join("nifti")).unwrap());
        files.push(data.join("hematoma_mask/scan_0_segmentation.nii.gz"));
    }
    let read = |path: &Path| std::fs::read(path).unwrap();
    let image_of = |path: &Path| {
        let name = path.to_str()?;
        let image = name.replace(".hdr", ".img");
        (image != name && Path::new(&image).is_file()).then(|| read(Path::new(&image)))
    };
    let is_seed = |path: &&PathBuf| !path.to_string_lossy().contains("LICENSE");
    files
        .iter()
        .filter(is_seed)
        .map(|path| Seed {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            bytes: read(path),
            image: image_of(path),
        })
        .collect()
}

/// Sets the limit of this process's address space to what it has now and so much more.
fn limit_memory(more: u64) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').next().unwrap().parse().unwrap();
    let limit = Some(pages * rustix::param::page_size() as u64 + more);
    setrlimit(Resource::As, Rlimit { current: limit, maximum: None }).unwrap();
}

#[test]
fn damaged_files_are_read_or_refused() {
    nifti_campaign();
    dicom_campaign();
}

fn nifti_campaign() {
    let seeds = nifti_seeds();
    let n = share(N_NIFTI);
    // The threads that read with us have their stacks by then.
    nifti::image_of_bytes(Path::new("seed"), &seeds[0].bytes, None).unwrap();
    limit_memory(NIFTI_BYTES);
    let (mut n_read, mut slowest) = (0, Duration::ZERO);
    for i in 0..n {
        let mut rng = DrawKey::new(7, "ingest.mutations.nifti").repeat(i).rng();
        let seed = pick(&seeds, &mut rng);
        let bytes = mutated(&seed.bytes, &seeds, &mut rng);
        let begin = Instant::now();
        let result = std::panic::catch_unwind(|| {
            nifti::image_of_bytes(Path::new("file"), &bytes, seed.image.as_deref()).is_ok()
        });
        let elapsed = begin.elapsed();
        let name = &seed.name;
        let is_read = result.unwrap_or_else(|_| panic!("mutation {i} of {name} makes it panic"));
        assert!(elapsed < NIFTI_TIME, "mutation {i} of {name} takes {elapsed:?}");
        n_read += usize::from(is_read);
        slowest = slowest.max(elapsed);
    }
    println!("NIfTI: {n} mutations of {} files, {n_read} read, slowest {slowest:.1?}", seeds.len());
    assert!(n_read > 0 && n_read < n, "the campaign tests nothing");
}

fn dicom_seeds() -> (Vec<tempfile::TempDir>, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &small(), &Series::default());
    let mut files = hemex_stage::digest::list_files(folder.path()).unwrap();
    files.truncate(1);
    let mut folders = vec![folder];
    if let Some(data) = data("mutations of real DICOM files") {
        files.extend(hemex_stage::digest::list_files(&data.join("transfer_syntax")).unwrap());
        for archive in [
            "headct_ge_tilt/dicom.tar.xz",
            "headphantom_philips/S21570.tar.xz",
            "geometry/tilt_and_missing_slice.tar.xz",
        ] {
            let folder = unpacked(&data.join(archive));
            files.extend(hemex_stage::digest::list_files(folder.path()).unwrap());
            folders.push(folder);
        }
    }
    files.retain(|path| !path.to_string_lossy().contains("LICENSE"));
    (folders, files)
}

/// A damaged file beside one of a sound series, whose second slice it may be.
fn dicom_campaign() {
    let (_folders, files) = dicom_seeds();
    let seeds: Vec<Seed> = files
        .iter()
        .map(|path| Seed {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            bytes: std::fs::read(path).unwrap(),
            image: None,
        })
        .collect();
    let n = share(N_DICOM);
    let folder = tempfile::tempdir().unwrap();
    let workers =
        Workers::new(Path::new(env!("CARGO_BIN_EXE_hemex-ingest")), 1).with_time_limit(DICOM_TIME);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    for i in 0..n {
        let mut rng = DrawKey::new(7, "ingest.mutations.dicom").repeat(i).rng();
        let place = rng.random_range(0..seeds.len());
        let seed = &seeds[place];
        let file = folder.path().join("mutated");
        std::fs::write(&file, mutated(&seed.bytes, &seeds, &mut rng)).unwrap();
        // Its neighbour in the list is often the next slice.
        let beside = files[(place + 1) % files.len()].clone();
        let begin = Instant::now();
        let result = workers
            .read_series(&[file, beside], &DICOM)
            .and_then(|series| series.stack.into_image(series.voxels, &DICOM));
        let elapsed = begin.elapsed();
        slowest = slowest.max(elapsed);
        let name = &seed.name;
        let outcome = match result {
            Ok(_) => "read",
            Err(Unusable::Worker { problem }) => {
                panic!("mutation {i} of {name}: {problem} ({elapsed:?})")
            }
            Err(reason) if reason.to_string() == Unusable::Panic.to_string() => {
                panic!("mutation {i} of {name} makes it panic")
            }
            Err(_) => "refused",
        };
        *counts.entry(outcome).or_default() += 1;
    }
    println!("DICOM: {n} mutations of {} files, {counts:?}, slowest {slowest:.1?}", seeds.len());
    assert!(counts.contains_key("refused"), "the campaign tests nothing");
}

/// The seeds of the fuzz targets (`fuzz/`) lead into the readers, not only to their first check.
#[test]
fn the_seeds_of_the_fuzz_targets_are_read() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let files = |target: &str| hemex_stage::digest::list_files(&corpus.join(target)).unwrap();
    let (volumes, slices) = (files("nifti"), files("dicom"));
    assert!(volumes.len() >= 5 && slices.len() >= 4, "{} and {}", volumes.len(), slices.len());
    for path in volumes {
        let bytes = std::fs::read(&path).unwrap();
        assert!(nifti::image_of_bytes(&path, &bytes, None).is_ok(), "{}", path.display());
    }
    let single = Unusable::Stack { problems: vec![StackProblem::Single] };
    for path in slices {
        // A single slice is refused when its pixels are read.
        let read = read_series(std::slice::from_ref(&path), &DICOM);
        assert_eq!(read.err(), Some(single.clone()), "{}", path.display());
    }
}
