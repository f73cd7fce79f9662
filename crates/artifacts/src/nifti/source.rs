use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::fields::{Fields, V1_BYTES, recognise};
use super::header::{Checked, check};
use crate::ArtifactError;
use crate::limits::{MAX_DEFLATE_RATIO, MAX_FILE_BYTES};

/// What a gzip file begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The stored voxels, in bytes that may hold what lies before and behind them too.
pub(super) struct Voxels {
    bytes: Vec<u8>,
    first: usize,
    n: usize,
}

impl Voxels {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.first..self.first + self.n]
    }
}

/// A file that is read forward, or one that is gzip by its magic bytes.
struct Source<'a> {
    path: PathBuf,
    content: Content<'a>,
}

enum Content<'a> {
    Plain {
        stream: Box<dyn Read + 'a>,
        /// How many bytes it yields.
        n_bytes: u64,
    },
    /// All of it, still compressed.
    Gzip(Cow<'a, [u8]>),
}

impl<'a> Source<'a> {
    fn of_file(path: &Path) -> Result<Source<'static>, ArtifactError> {
        let mut file = File::open(path).map_err(ArtifactError::io(path))?;
        let metadata = file.metadata().map_err(ArtifactError::io(path))?;
        let n_bytes = metadata.len();
        if !metadata.is_file() || n_bytes > MAX_FILE_BYTES {
            let problem = format!("no file of at most {MAX_FILE_BYTES} bytes");
            return Err(ArtifactError::nifti(path, problem));
        }
        let mut start = Vec::with_capacity(MAGIC.len());
        file.by_ref()
            .take(MAGIC.len() as u64)
            .read_to_end(&mut start)
            .map_err(ArtifactError::io(path))?;
        let content = if start == MAGIC {
            start.reserve_exact((n_bytes as usize).saturating_sub(MAGIC.len()));
            file.take(MAX_FILE_BYTES).read_to_end(&mut start).map_err(ArtifactError::io(path))?;
            Content::Gzip(Cow::Owned(start))
        } else {
            Content::Plain { stream: Box::new(Cursor::new(start).chain(file)), n_bytes }
        };
        Ok(Source { path: path.to_owned(), content })
    }

    fn of_bytes(path: &Path, bytes: &'a [u8]) -> Source<'a> {
        let content = if bytes.starts_with(&MAGIC) {
            Content::Gzip(Cow::Borrowed(bytes))
        } else {
            Content::Plain { stream: Box::new(bytes), n_bytes: bytes.len() as u64 }
        };
        Source { path: path.to_owned(), content }
    }

    /// The first `n` bytes; what is read of a plain file is gone from it.
    fn start(&mut self, n: usize) -> Result<Vec<u8>, ArtifactError> {
        let mut start = vec![0; n];
        let read = match &mut self.content {
            Content::Plain { stream, .. } => stream.read_exact(&mut start),
            Content::Gzip(bytes) => MultiGzDecoder::new(&bytes[..]).read_exact(&mut start),
        };
        read.map_err(|e| self.failed(e, "its header"))?;
        Ok(start)
    }

    /// The first `n` bytes, of which `start` has been read.
    fn longer_start(&mut self, mut start: Vec<u8>, n: usize) -> Result<Vec<u8>, ArtifactError> {
        match &mut self.content {
            Content::Gzip(_) => self.start(n),
            Content::Plain { stream, .. } => {
                let n_read = start.len();
                start.resize(n, 0);
                let read = stream.read_exact(&mut start[n_read..]);
                read.map_err(|e| self.failed(e, "its header"))?;
                Ok(start)
            }
        }
    }

    fn failed(&self, error: io::Error, what: &str) -> ArtifactError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                ArtifactError::nifti(&self.path, format!("cut short within {what}"))
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                let problem = format!("its gzip stream is damaged within {what}");
                ArtifactError::nifti(&self.path, problem)
            }
            _ => ArtifactError::io(&self.path)(error),
        }
    }

    /// `n` bytes from `first` on, of which a plain file has yielded `n_taken` already. The rest of a gzip
    /// file is read too, which verifies the checksum of every member.
    fn voxels(mut self, n_taken: u64, first: u64, n: usize) -> Result<Voxels, ArtifactError> {
        let n_most = match &self.content {
            Content::Plain { n_bytes, .. } => *n_bytes,
            Content::Gzip(bytes) => bytes.len() as u64 * MAX_DEFLATE_RATIO,
        };
        // Before a byte of memory is taken.
        if n_most < first + n as u64 {
            return Err(self.short(n, n_most.saturating_sub(first)));
        }
        let mut whole = Vec::new();
        let skip = match &self.content {
            Content::Plain { .. } => first - n_taken,
            Content::Gzip(bytes) => match inflated_at_once(bytes, first + n as u64) {
                Some(bytes) => return Ok(Voxels { bytes, first: first as usize, n }),
                None => first,
            },
        };
        let read = match &mut self.content {
            Content::Plain { stream, .. } => part(stream, skip, n, &mut whole),
            Content::Gzip(bytes) => {
                let mut stream = MultiGzDecoder::new(&bytes[..]);
                // Not more than the file can hold: a stream of zeros without end stops somewhere.
                part(&mut stream, skip, n, &mut whole)
                    .and_then(|()| io::copy(&mut stream.take(n_most), &mut io::sink()).map(drop))
            }
        };
        read.map_err(|e| self.failed(e, "its voxels"))?;
        if whole.len() < n {
            return Err(self.short(n, whole.len() as u64));
        }
        Ok(Voxels { bytes: whole, first: 0, n })
    }

    fn short(&self, n: usize, found: u64) -> ArtifactError {
        let problem = format!("cut short: its header promises {n} bytes of voxels, found {found}");
        ArtifactError::nifti(&self.path, problem)
    }
}

/// `skip` bytes on, then `n` bytes or as many as there are.
fn part(stream: &mut impl Read, skip: u64, n: usize, to: &mut Vec<u8>) -> io::Result<()> {
    io::copy(&mut stream.by_ref().take(skip), &mut io::sink())?;
    to.reserve_exact(n);
    stream.take(n as u64).read_to_end(to).map(drop)
}

/// The content of a gzip file of one member of at least `n_least` bytes, its checksum verified, by a
/// decoder that is twice as fast as one that goes forward; `None` for any other file, which that one
/// then reads or names the fault of.
fn inflated_at_once(bytes: &[u8], n_least: u64) -> Option<Vec<u8>> {
    // The last member's size, modulo 2³²: of the only one, if the decoder agrees.
    let n = u32::from_le_bytes(*bytes.last_chunk()?);
    let n_most = bytes.len() as u64 * MAX_DEFLATE_RATIO;
    if !(n_least..=n_most).contains(&u64::from(n)) {
        return None;
    }
    let mut inflated = vec![0; n as usize];
    let found = libdeflater::Decompressor::new().gzip_decompress(bytes, &mut inflated).ok()?;
    (found == inflated.len()).then_some(inflated)
}

/// The checked header and the bytes of the voxels of a `.nii`, or of a pair, of which either file may be
/// named.
pub(super) fn read_file(path: &Path) -> Result<(Checked, Voxels), ArtifactError> {
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
) -> Result<(Checked, Voxels), ArtifactError> {
    read(Source::of_bytes(path, bytes), || match image {
        Some(image) => Ok(Source::of_bytes(path, image)),
        None => Err(ArtifactError::nifti(path, "a header without its image")),
    })
}

fn read<'a>(
    mut source: Source<'a>,
    image: impl FnOnce() -> Result<Source<'a>, ArtifactError>,
) -> Result<(Checked, Voxels), ArtifactError> {
    let path = source.path.clone();
    let mut header = source.start(V1_BYTES)?;
    let mut n_taken = header.len();
    let start = header.first_chunk().ok_or_else(|| ArtifactError::nifti(&path, "no header"))?;
    let n_bytes = recognise(&path, start)?;
    if n_bytes > V1_BYTES {
        header = source.longer_start(header, n_bytes)?;
        n_taken = n_bytes;
    }
    let fields = Fields::parse(&path, &header)?;
    let checked = check(&path, &fields)?;
    let n = checked.n_voxel_bytes();
    let bytes = if fields.is_pair {
        image()?.voxels(0, checked.vox_offset, n)?
    } else {
        source.voxels(n_taken as u64, checked.vox_offset, n)?
    };
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
