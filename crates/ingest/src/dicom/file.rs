//! Opening a DICOM file: its meta group by our own hand, its data set by the library's.
//!
//! The library refuses whole files for a meta element it makes no use of (an application entity title
//! of more than 16 letters, which archives hold). So what matters of the meta group is read here
//! and handed on in a sound one.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use dicom_core::Tag;
use dicom_object::file::ReadPreamble;
use dicom_object::{DefaultDicomObject, FileMetaTableBuilder, OpenFileOptions};

/// Larger files are not opened: a classic CT slice has half a megabyte.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The longest element of a meta group that is kept or skipped.
const MAX_META_BYTES: u32 = 1 << 20;

/// Bytes before the meta group: preamble and `DICM`.
const START_BYTES: usize = 132;

/// What the meta group says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) sop_class: String,
    pub(super) transfer_syntax: String,
}

/// A file whose meta group has been read; the reader stands at its data set.
pub(super) struct Opened {
    pub(super) meta: Meta,
    /// The first bytes of the data set, already taken from the reader.
    begun: Vec<u8>,
    rest: BufReader<File>,
}

/// Opens a file; `None` if it is too large or its meta group ends early or holds nonsense.
pub(super) fn open(path: &Path) -> Option<Opened> {
    let file = File::open(path).ok()?;
    if file.metadata().ok()?.len() > MAX_FILE_BYTES {
        return None;
    }
    let mut rest = BufReader::new(file);
    rest.read_exact(&mut [0; START_BYTES]).ok()?;
    let (meta, begun) = read_meta(&mut rest)?;
    Some(Opened { meta, begun, rest })
}

impl Opened {
    /// Parses the data set up to the element `until`, or all of it.
    pub(super) fn parse(self, until: Option<Tag>) -> Option<DefaultDicomObject> {
        let table = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(self.meta.sop_class)
            .media_storage_sop_instance_uid("1")
            .transfer_syntax(self.meta.transfer_syntax)
            .build()
            .ok()?;
        let mut start = b"DICM".to_vec();
        table.write(&mut start).ok()?;
        start.extend(self.begun);
        let options = OpenFileOptions::new().read_preamble(ReadPreamble::Never);
        let options = match until {
            Some(tag) => options.read_until(tag),
            None => options,
        };
        options.from_reader(Cursor::new(start).chain(self.rest)).ok()
    }
}

/// Reads elements of group 2 (explicit little endian, whatever follows). The group's own length is
/// not relied on: the group ends where another begins, whose first bytes are given back.
fn read_meta(reader: &mut impl Read) -> Option<(Meta, Vec<u8>)> {
    let mut meta = Meta::default();
    loop {
        let mut header = [0u8; 8];
        reader.read_exact(&mut header).ok()?;
        if header[..2] != [2, 0] {
            return (!meta.transfer_syntax.is_empty()).then(|| (meta, header.to_vec()));
        }
        let length = match &header[4..6] {
            b"OB" | b"OW" | b"UN" | b"UT" | b"SQ" => {
                let mut long = [0u8; 4];
                reader.read_exact(&mut long).ok()?;
                u32::from_le_bytes(long)
            }
            _ => u32::from(u16::from_le_bytes([header[6], header[7]])),
        };
        if length > MAX_META_BYTES {
            return None;
        }
        let mut value = vec![0; length as usize];
        reader.read_exact(&mut value).ok()?;
        let text = || String::from_utf8_lossy(&value).trim_matches(['\0', ' ']).to_owned();
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

    #[test]
    fn what_breaks_the_rules_but_is_not_needed_is_passed_over() {
        let mut bytes = element(0, b"UL", &999u32.to_le_bytes());
        bytes.extend(element(1, b"OB", &[0, 1]));
        bytes.extend(element(2, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"));
        bytes.extend(element(0x10, b"UI", b"1.2.840.10008.1.2.1\0"));
        bytes.extend(element(0x16, b"AE", b"AN_APPLICATION_TITLE"));
        bytes.extend([8, 0, 5, 0, b'C', b'S', 2, 0]);
        let (meta, begun) = read_meta(&mut bytes.as_slice()).unwrap();
        assert_eq!(meta.sop_class, "1.2.840.10008.5.1.4.1.1.2");
        assert_eq!(meta.transfer_syntax, "1.2.840.10008.1.2.1");
        assert_eq!(begun, [8, 0, 5, 0, b'C', b'S', 2, 0]);
    }

    #[test]
    fn cut_short_or_without_a_syntax_it_is_no_meta_group() {
        let bytes = element(0x10, b"UI", b"1.2.840.10008.1.2.1\0");
        for n in 0..bytes.len() {
            assert!(read_meta(&mut &bytes[..n]).is_none());
        }
        assert!(read_meta(&mut [8, 0, 5, 0, b'C', b'S', 2, 0].as_slice()).is_none());
        let huge = [2, 0, 2, 1, b'O', b'B', 0, 0, 0xff, 0xff, 0xff, 0xff];
        assert!(read_meta(&mut huge.as_slice()).is_none());
    }
}
