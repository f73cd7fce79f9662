//! A DICOM file's bytes: preamble, meta group, data set (PS3.10, chapter 7).
//!
//! The meta group is read for what matters alone, so that a file is not refused for an element nobody
//! needs. Files without preamble and meta group, as old programs wrote, are read too.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::OnceLock;

use dicom_dictionary_std::uids;
use flate2::read::DeflateDecoder;
use hemex_artifacts::limits::{MAX_DEFLATE_RATIO, MAX_DICOM_BYTES, MAX_META_BYTES};

use super::dataset::{DataSet, Encoding, Fault, PixelPlace};

/// Retired, yet archives hold it.
pub(super) const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// Bytes before the meta group: preamble and `DICM`.
const START_BYTES: usize = 132;

/// Bytes in which most files have all that comes before their pixels.
const HEAD_BYTES: u64 = 16 << 10;

/// Bytes, or the first of them, of a file that is DICOM by its content.
pub(super) struct Content {
    bytes: Vec<u8>,
    /// Where the data set begins.
    begin: usize,
    /// Whether these are all bytes of the file, or of its inflated data set.
    is_whole: bool,
    pub(super) sop_class: String,
    pub(super) transfer_syntax: String,
}

/// Whether the file is DICOM by its content.
pub fn is_dicom(path: &Path) -> bool {
    let mut start = Vec::with_capacity(START_BYTES);
    let read =
        File::open(path).and_then(|file| file.take(START_BYTES as u64).read_to_end(&mut start));
    read.is_ok() && (start.get(128..) == Some(b"DICM") || bare_encoding(&start).is_some())
}

/// How a file without a meta group is written, by its first element, which is of group 8.
fn bare_encoding(start: &[u8]) -> Option<Encoding> {
    let [8, 0, element, 0, a, b, ..] = start else { return None };
    // Specific character set, image type, or the group's length, as the standard orders them.
    if ![0, 5, 8].contains(element) {
        return None;
    }
    match [*a, *b] {
        [b'C', b'S'] | [b'U', b'L'] => Some(Encoding::EXPLICIT),
        // A length of at most some hundred bytes.
        [_, 0 | 1] if start.get(6..8) == Some(&[0, 0]) => Some(Encoding::IMPLICIT),
        _ => None,
    }
}

/// What a file is.
pub(super) enum Opened {
    /// No DICOM file.
    Foreign,
    /// DICOM by its first bytes, but larger than is believed, or its meta group is unsound.
    Damaged,
    /// DICOM.
    Content(Content),
}

/// Opens a file and reads its begin.
pub(super) fn open(path: &Path) -> Opened {
    let head = File::open(path).and_then(|file| {
        let length = file.metadata()?.len();
        let mut bytes = Vec::with_capacity(HEAD_BYTES.min(length) as usize);
        file.take(HEAD_BYTES).read_to_end(&mut bytes)?;
        Ok((bytes, length))
    });
    match head {
        Ok((bytes, length)) => of_bytes(bytes, length),
        // It cannot be read: it may be a slice.
        Err(_) => Opened::Damaged,
    }
}

/// The first `bytes` of a file of `length`.
pub(super) fn of_bytes(bytes: Vec<u8>, length: u64) -> Opened {
    let is_whole = bytes.len() as u64 == length;
    let is_dicom = bytes.get(128..START_BYTES) == Some(b"DICM") || bare_encoding(&bytes).is_some();
    if is_dicom && length > MAX_DICOM_BYTES {
        return Opened::Damaged;
    }
    if bytes.get(128..START_BYTES) != Some(b"DICM") {
        let transfer_syntax = match bare_encoding(&bytes) {
            Some(Encoding::EXPLICIT) => uids::EXPLICIT_VR_LITTLE_ENDIAN,
            Some(_) => uids::IMPLICIT_VR_LITTLE_ENDIAN,
            None => return Opened::Foreign,
        };
        let (sop_class, transfer_syntax) = (String::new(), transfer_syntax.to_owned());
        return Opened::Content(Content { bytes, begin: 0, is_whole, sop_class, transfer_syntax });
    }
    match read_meta(&bytes) {
        Some(meta) => Opened::Content(Content {
            bytes,
            begin: meta.end,
            is_whole,
            sop_class: meta.sop_class,
            transfer_syntax: meta.transfer_syntax,
        }),
        None => Opened::Damaged,
    }
}

impl Content {
    fn encoding(&self) -> Encoding {
        match self.transfer_syntax.as_str() {
            uids::IMPLICIT_VR_LITTLE_ENDIAN => Encoding::IMPLICIT,
            EXPLICIT_VR_BIG_ENDIAN => Encoding::BIG_ENDIAN,
            _ => Encoding::EXPLICIT,
        }
    }

    fn is_deflated(&self) -> bool {
        self.transfer_syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    }

    /// Calls `look` with the data set up to its pixels; reads more of the file at `path` where its
    /// begin does not reach that far.
    pub(super) fn with_data_set<R>(
        mut self,
        path: &Path,
        look: impl FnOnce(&DataSet<'_>) -> R,
    ) -> Result<R, Fault> {
        if !self.is_deflated() {
            let begun = DataSet::parse(&self.bytes[self.begin..], self.encoding());
            match begun {
                Ok(set) if self.is_whole || set.pixels.is_some() => return Ok(look(&set)),
                Err(fault) if self.is_whole || fault != Fault::CutShort => return Err(fault),
                Ok(_) | Err(_) => (),
            }
        }
        if !self.is_whole {
            self.bytes = std::fs::read(path).map_err(|_| Fault::CutShort)?;
            self.is_whole = true;
        }
        let set = self.data_set_bytes()?;
        DataSet::parse(&set, self.encoding()).map(|set| look(&set))
    }

    /// The bytes of the data set, inflated where they are deflated.
    fn data_set_bytes(&self) -> Result<Cow<'_, [u8]>, Fault> {
        let stored = &self.bytes[self.begin..];
        if !self.is_deflated() {
            return Ok(Cow::Borrowed(stored));
        }
        let mut inflated = Vec::new();
        let limit = (stored.len() as u64 * MAX_DEFLATE_RATIO).min(MAX_DICOM_BYTES);
        match DeflateDecoder::new(stored).take(limit).read_to_end(&mut inflated) {
            // The stream may be padded to an even length.
            Ok(_) => Ok(Cow::Owned(inflated)),
            Err(_) => Err(Fault::CutShort),
        }
    }

    /// Where the data set begins in the file.
    pub(super) fn begin(&self) -> usize {
        self.begin
    }
}

/// Where the pixels of a file lie, found while its begin was read; what its frames share.
#[derive(Debug)]
pub(super) struct Pixels {
    place: PixelPlace,
    /// Where the data set begins in the file, of which `place` counts.
    begin: usize,
    pub(super) transfer_syntax: String,
    /// What [`value_bytes`](Self::value_bytes) has read; `None` where it could not be.
    shared: OnceLock<Option<Vec<u8>>>,
}

impl Pixels {
    pub(super) fn new(place: PixelPlace, begin: usize, transfer_syntax: &str) -> Self {
        let transfer_syntax = transfer_syntax.to_owned();
        Self { place, begin, transfer_syntax, shared: OnceLock::new() }
    }

    /// Whether they are a sequence of fragments.
    pub(super) fn is_encapsulated(&self) -> bool {
        self.place.length.is_none()
    }

    /// `n` bytes of pixels that are not compressed, `skip` bytes on; `None` if the file does not hold
    /// them.
    pub(super) fn native(
        &self,
        path: &Path,
        n_frames: usize,
        skip: usize,
        n: usize,
    ) -> Option<Vec<u8>> {
        let end = skip.checked_add(n)?;
        // An odd length is padded, but never shortened.
        if self.place.length.is_some_and(|length| length < end) {
            return None;
        }
        if self.is_deflated() {
            return self.value_bytes(path, n_frames)?.get(skip..end).map(<[u8]>::to_vec);
        }
        let mut file = File::open(path).ok()?;
        let at = (self.begin.checked_add(self.place.offset)?.checked_add(skip)?) as u64;
        // Before a byte of memory is taken.
        if file.metadata().ok()?.len() < at.checked_add(n as u64)? {
            return None;
        }
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut bytes = vec![0; n];
        file.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// All bytes from the pixels' value on, inflated: of a file of several frames read once and kept
    /// for all of them.
    pub(super) fn value_bytes(&self, path: &Path, n_frames: usize) -> Option<Cow<'_, [u8]>> {
        if n_frames == 1 {
            return self.whole(path).map(Cow::Owned);
        }
        self.shared.get_or_init(|| self.whole(path)).as_deref().map(Cow::Borrowed)
    }

    fn whole(&self, path: &Path) -> Option<Vec<u8>> {
        if self.is_deflated() {
            let Opened::Content(content) = of_whole(path).ok()? else { return None };
            return content.data_set_bytes().ok()?.get(self.place.offset..).map(<[u8]>::to_vec);
        }
        let mut file = File::open(path).ok()?;
        file.seek(SeekFrom::Start((self.begin + self.place.offset) as u64)).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_DICOM_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn is_deflated(&self) -> bool {
        self.transfer_syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    }
}

fn of_whole(path: &Path) -> io::Result<Opened> {
    let bytes = std::fs::read(path)?;
    let length = bytes.len() as u64;
    Ok(of_bytes(bytes, length))
}

/// What the meta group says, and where it ends.
#[derive(Debug, Default)]
struct Meta {
    sop_class: String,
    transfer_syntax: String,
    end: usize,
}

/// Reads elements of group 2 (explicit little endian, whatever follows). The group's own length is
/// not relied on: the group ends where another begins.
fn read_meta(bytes: &[u8]) -> Option<Meta> {
    let mut meta = Meta::default();
    let mut at = START_BYTES;
    loop {
        let header = bytes.get(at..at + 8)?;
        if header[..2] != [2, 0] {
            meta.end = at;
            return (!meta.transfer_syntax.is_empty()).then_some(meta);
        }
        at += 8;
        let length = match &header[4..6] {
            b"OB" | b"OW" | b"UN" | b"UT" | b"SQ" => {
                let long = bytes.get(at..at + 4)?;
                at += 4;
                u32::from_le_bytes(*long.first_chunk()?)
            }
            _ => u32::from(u16::from_le_bytes([header[6], header[7]])),
        };
        if length > MAX_META_BYTES {
            return None;
        }
        let value = bytes.get(at..at + length as usize)?;
        at += length as usize;
        let text = || String::from_utf8_lossy(value).trim_matches(['\0', ' ']).to_owned();
        match u16::from_le_bytes([header[2], header[3]]) {
            0x0002 => meta.sop_class = text(),
            0x0010 => meta.transfer_syntax = text(),
            _ => (),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn element(number: u8, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2, 0, number, 0, vr[0], vr[1]];
        if vr == b"OB" {
            bytes.extend([0, 0]);
            bytes.extend((value.len() as u32).to_le_bytes());
        } else {
            bytes.extend((value.len() as u16).to_le_bytes());
        }
        bytes.extend(value);
        bytes
    }

    fn started(elements: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; 128];
        bytes.extend(b"DICM");
        bytes.extend(elements.concat());
        bytes
    }

    #[test]
    fn what_breaks_the_rules_but_is_not_needed_is_passed_over() {
        let bytes = started(&[
            element(0, b"UL", &999u32.to_le_bytes()),
            element(1, b"OB", &[0, 1]),
            element(2, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
            element(0x10, b"UI", b"1.2.840.10008.1.2.1\0"),
            element(0x16, b"AE", b"AN_APPLICATION_TITLE"),
            vec![8, 0, 5, 0, b'C', b'S', 2, 0],
        ]);
        let meta = read_meta(&bytes).unwrap();
        assert_eq!(meta.sop_class, "1.2.840.10008.5.1.4.1.1.2");
        assert_eq!(meta.transfer_syntax, "1.2.840.10008.1.2.1");
        assert_eq!(meta.end, bytes.len() - 8);
    }

    #[test]
    fn cut_short_or_without_a_syntax_it_is_no_meta_group() {
        let bytes = started(&[element(0x10, b"UI", b"1.2.840.10008.1.2.1\0")]);
        for n in START_BYTES..bytes.len() {
            assert!(read_meta(&bytes[..n]).is_none());
        }
        assert!(read_meta(&started(&[vec![8, 0, 5, 0, b'C', b'S', 2, 0]])).is_none());
        let huge = vec![2, 0, 2, 1, b'O', b'B', 0, 0, 0xff, 0xff, 0xff, 0xff];
        assert!(read_meta(&started(&[huge])).is_none());
    }

    #[test]
    fn a_file_without_its_meta_group_is_known_by_its_first_element() {
        let explicit = [8, 0, 5, 0, b'C', b'S', 10, 0];
        assert_eq!(bare_encoding(&explicit), Some(Encoding::EXPLICIT));
        assert_eq!(bare_encoding(&[8, 0, 8, 0, 22, 0, 0, 0]), Some(Encoding::IMPLICIT));
        for foreign in [&b"\x08\0\x05\0\xff\xff\xff\xff"[..], b"{\"a\": 1}", b"", b"\x08\0\x05"] {
            assert_eq!(bare_encoding(foreign), None);
        }
    }
}
