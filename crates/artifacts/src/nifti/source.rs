use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::fields::{Fields, V1_BYTES, recognise};
use super::header::{Checked, check};
use crate::ArtifactError;
use crate::limits::{MAX_DEFLATE_RATIO, MAX_FILE_BYTES};

/// A file, gzip unpacked on the way, and how much it can hold.
struct Source<'a> {
    path: PathBuf,
    stream: Box<dyn Read + 'a>,
    /// The most bytes that `stream` can yield.
    n_most: u64,
}

impl<'a> Source<'a> {
    fn of_file(path: &Path) -> Result<Source<'static>, ArtifactError> {
        let file = File::open(path).map_err(ArtifactError::io(path))?;
        let metadata = file.metadata().map_err(ArtifactError::io(path))?;
        if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
            let problem = format!("no file of at most {MAX_FILE_BYTES} bytes");
            return Err(ArtifactError::nifti(path, problem));
        }
        Source::of(path, BufReader::with_capacity(1 << 16, file), metadata.len())
    }

    /// `n_bytes` long.
    fn of(
        path: &Path,
        mut stream: impl Read + 'a,
        n_bytes: u64,
    ) -> Result<Source<'a>, ArtifactError> {
        let mut magic = Vec::with_capacity(2);
        stream.by_ref().take(2).read_to_end(&mut magic).map_err(ArtifactError::io(path))?;
        let is_gzip = magic == [0x1f, 0x8b];
        let stream = Cursor::new(magic).chain(stream);
        let (stream, n_most): (Box<dyn Read + 'a>, u64) = if is_gzip {
            // Drained to its end, it verifies the checksum of every member.
            (Box::new(MultiGzDecoder::new(BufReader::new(stream))), n_bytes * MAX_DEFLATE_RATIO)
        } else {
            (Box::new(stream), n_bytes)
        };
        Ok(Source { path: path.to_owned(), stream, n_most })
    }

    /// Reads exactly as many bytes as `buffer` has.
    fn fill(&mut self, buffer: &mut [u8], what: &str) -> Result<(), ArtifactError> {
        self.stream.read_exact(buffer).map_err(|e| self.failed(e, what))
    }

    fn failed(&self, error: io::Error, what: &str) -> ArtifactError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                ArtifactError::nifti(&self.path, format!("cut short within {what}"))
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => ArtifactError::nifti(
                &self.path,
                format!("its gzip stream is damaged within {what}"),
            ),
            _ => ArtifactError::io(&self.path)(error),
        }
    }

    /// `skip` bytes on, then exactly `n` bytes, then to the end.
    fn voxels(mut self, skip: u64, n: usize) -> Result<Vec<u8>, ArtifactError> {
        const WHAT: &str = "its voxels";
        let short = |path: &Path, found: u64| {
            let problem =
                format!("cut short: its header promises {n} bytes of voxels, found {found}");
            Err(ArtifactError::nifti(path, problem))
        };
        // Before a byte of memory is taken.
        if self.n_most < skip + n as u64 {
            return short(&self.path, self.n_most.saturating_sub(skip));
        }
        let skipped = io::copy(&mut self.stream.by_ref().take(skip), &mut io::sink());
        skipped.map_err(|e| self.failed(e, "its extensions"))?;
        let mut bytes = Vec::with_capacity(n);
        let read = self.stream.by_ref().take(n as u64).read_to_end(&mut bytes);
        read.map_err(|e| self.failed(e, WHAT))?;
        if bytes.len() < n {
            return short(&self.path, bytes.len() as u64);
        }
        // Not more than the file can hold: a stream of zeros without end stops somewhere.
        io::copy(&mut self.stream.by_ref().take(self.n_most), &mut io::sink())
            .map_err(|e| self.failed(e, "what follows its voxels"))?;
        Ok(bytes)
    }
}

/// The checked header and the bytes of the voxels of a `.nii`, or of a pair, of which either file may be
/// named.
pub(super) fn read_file(path: &Path) -> Result<(Checked, Vec<u8>), ArtifactError> {
    let header_path = partner(path, "img", "hdr").unwrap_or_else(|| path.to_owned());
    let image = || {
        let image_path = partner(&header_path, "hdr", "img").ok_or_else(|| {
            let problem = "its header says that the voxels lie in an .img file beside it, and there \
                           is none";
            ArtifactError::nifti(&header_path, problem)
        })?;
        Source::of_file(&image_path)
    };
    read(Source::of_file(&header_path)?, image)
}

/// As [`read_file`], from memory; `image` is the second file of a pair.
pub(super) fn read_bytes(
    path: &Path,
    bytes: &[u8],
    image: Option<&[u8]>,
) -> Result<(Checked, Vec<u8>), ArtifactError> {
    read(Source::of(path, bytes, bytes.len() as u64)?, || match image {
        Some(image) => Source::of(path, image, image.len() as u64),
        None => Err(ArtifactError::nifti(path, "a header without its image")),
    })
}

fn read<'a>(
    mut source: Source<'a>,
    image: impl FnOnce() -> Result<Source<'a>, ArtifactError>,
) -> Result<(Checked, Vec<u8>), ArtifactError> {
    const WHAT: &str = "its header";
    let mut header = vec![0u8; V1_BYTES];
    source.fill(&mut header, WHAT)?;
    let path = source.path.clone();
    let start = header.first_chunk().ok_or_else(|| ArtifactError::nifti(&path, "no header"))?;
    let n_bytes = recognise(&path, start)?;
    header.resize(n_bytes, 0);
    source.fill(&mut header[V1_BYTES..], WHAT)?;
    let fields = Fields::parse(&path, &header)?;
    let checked = check(&path, &fields)?;
    let voxels = if fields.is_pair { image()? } else { source };
    let bytes = voxels.voxels(checked.n_skipped, checked.n_voxel_bytes())?;
    Ok((checked, bytes))
}

/// The other file of a pair that is there: `NAME.to` or `NAME.to.gz` beside `NAME.from[.gz]`.
fn partner(path: &Path, from: &str, to: &str) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let stem = plain.strip_suffix(from)?;
    [format!("{stem}{to}"), format!("{stem}{to}.gz")]
        .into_iter()
        .map(|name| path.with_file_name(name))
        .find(|path| path.is_file())
}
