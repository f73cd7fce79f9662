//! The elements of a DICOM data set, found in its bytes (PS3.5, chapter 7).
//!
//! Nothing is copied and nothing is allocated by a length that a file merely claims: values are slices
//! of the bytes there are. Sequences are followed to a limited depth.

use std::borrow::Cow;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use hemex_artifacts::limits::MAX_NESTING;

const UNDEFINED: u32 = u32::MAX;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const END_OF_ITEM: Tag = Tag(0xFFFE, 0xE00D);
const END_OF_SEQUENCE: Tag = Tag(0xFFFE, 0xE0DD);

/// Value representations whose length takes 4 bytes, after 2 that are reserved.
const LONG: [&[u8; 2]; 13] =
    [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"];

/// How numbers and elements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) is_explicit: bool,
    pub(super) is_big_endian: bool,
}

impl Encoding {
    pub(super) const IMPLICIT: Self = Self { is_explicit: false, is_big_endian: false };
    pub(super) const EXPLICIT: Self = Self { is_explicit: true, is_big_endian: false };
    pub(super) const BIG_ENDIAN: Self = Self { is_explicit: true, is_big_endian: true };
}

/// Why bytes are no data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// They end within an element.
    CutShort,
    /// They hold what no element can begin with.
    Nonsense,
    /// Sequences lie deeper in each other than [`MAX_NESTING`].
    TooDeep,
}

/// Where the pixels lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PixelPlace {
    /// Offset of the value in the bytes.
    pub(super) offset: usize,
    /// Its length as the file claims; `None` where it is a sequence of fragments.
    pub(super) length: Option<usize>,
}

/// A data set, or an item of a sequence.
#[derive(Debug, Clone)]
pub(super) struct DataSet<'a> {
    encoding: Encoding,
    elements: Vec<(Tag, Value<'a>)>,
    /// Where the pixels lie; what follows them is not read.
    pub(super) pixels: Option<PixelPlace>,
}

#[derive(Debug, Clone)]
enum Value<'a> {
    Bytes(&'a [u8]),
    Items(Vec<DataSet<'a>>),
}

impl<'a> DataSet<'a> {
    /// Reads elements up to the pixels, or to the end.
    pub(super) fn parse(bytes: &'a [u8], encoding: Encoding) -> Result<Self, Fault> {
        Reader { bytes, at: 0 }.data_set(encoding, 0)
    }

    fn value(&self, tag: Tag) -> Option<&Value<'a>> {
        self.elements.iter().find(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        match self.value(tag)? {
            Value::Bytes(bytes) => Some(bytes),
            Value::Items(_) => None,
        }
    }

    /// The value as text without padding; `None` if it is missing or empty.
    pub(super) fn text(&self, tag: Tag) -> Option<String> {
        let text = String::from_utf8_lossy(self.bytes(tag)?);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The value of a whole number written as text (IS).
    pub(super) fn integer(&self, tag: Tag) -> Option<i64> {
        self.text(tag)?.split('\\').next()?.trim().parse().ok()
    }

    /// The value of a 16-bit number (US or SS), as its bits.
    pub(super) fn word(&self, tag: Tag) -> Option<u16> {
        let bytes: [u8; 2] = *self.bytes(tag)?.first_chunk()?;
        Some(match self.encoding.is_big_endian {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        })
    }

    /// The values of exactly `N` finite decimals written as text (DS).
    pub(super) fn numbers<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let text = self.text(tag)?;
        let values: Option<Vec<f64>> = text.split('\\').map(|v| v.trim().parse().ok()).collect();
        let values: [f64; N] = values?.try_into().ok()?;
        values.iter().all(|v| v.is_finite()).then_some(values)
    }

    /// The values of 64-bit numbers (OV).
    pub(super) fn longs(&self, tag: Tag) -> Option<Vec<u64>> {
        let chunks = self.bytes(tag)?.as_chunks::<8>().0.iter();
        Some(match self.encoding.is_big_endian {
            true => chunks.map(|b| u64::from_be_bytes(*b)).collect(),
            false => chunks.map(|b| u64::from_le_bytes(*b)).collect(),
        })
    }

    /// The items of a sequence; none if it is missing or no sequence.
    ///
    /// A sequence of known length looks like any value where representations are not written, so it is
    /// read only here.
    pub(super) fn items(&self, tag: Tag) -> Cow<'_, [DataSet<'a>]> {
        match self.value(tag) {
            Some(Value::Items(items)) => Cow::Borrowed(items),
            Some(Value::Bytes(bytes)) => Reader { bytes, at: 0 }
                .items(self.encoding, bytes.len(), MAX_NESTING / 2)
                .unwrap_or_default()
                .into(),
            None => Cow::Borrowed(&[]),
        }
    }
}

/// Reads forward through the bytes.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

struct Header {
    tag: Tag,
    /// `None` where it is not written.
    vr: Option<[u8; 2]>,
    length: u32,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(Fault::CutShort)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.first_chunk().copied().ok_or(Fault::CutShort)
    }

    fn half(&mut self, encoding: Encoding) -> Result<u16, Fault> {
        let bytes = self.array()?;
        Ok(if encoding.is_big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn whole(&mut self, encoding: Encoding) -> Result<u32, Fault> {
        let bytes = self.array()?;
        Ok(if encoding.is_big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    fn header(&mut self, encoding: Encoding) -> Result<Header, Fault> {
        let tag = Tag(self.half(encoding)?, self.half(encoding)?);
        // Items and their ends have no representation.
        if tag.0 == ITEM.0 || !encoding.is_explicit {
            return Ok(Header { tag, vr: None, length: self.whole(encoding)? });
        }
        let vr: [u8; 2] = self.array()?;
        if !vr.iter().all(u8::is_ascii_uppercase) {
            return Err(Fault::Nonsense);
        }
        let length = if LONG.contains(&&vr) {
            self.take(2)?;
            self.whole(encoding)?
        } else {
            u32::from(self.half(encoding)?)
        };
        Ok(Header { tag, vr: Some(vr), length })
    }

    /// Elements up to the pixels, the end of an item or the end of the bytes.
    fn data_set(&mut self, encoding: Encoding, depth: usize) -> Result<DataSet<'a>, Fault> {
        let mut set = DataSet { encoding, elements: Vec::new(), pixels: None };
        while self.at < self.bytes.len() {
            let header = self.header(encoding)?;
            if header.tag == END_OF_ITEM && depth > 0 {
                break;
            }
            if header.tag.0 == ITEM.0 {
                return Err(Fault::Nonsense);
            }
            let length = (header.length != UNDEFINED).then_some(header.length as usize);
            if header.tag == tags::PIXEL_DATA && depth == 0 {
                set.pixels = Some(PixelPlace { offset: self.at, length });
                break;
            }
            let value = match (header.vr, length) {
                // Of an unknown representation, a sequence is written without any (PS3.5, 6.2.2).
                (Some([b'U', b'N']), None) => {
                    Value::Items(self.items(Encoding::IMPLICIT, usize::MAX, depth)?)
                }
                (_, None) => Value::Items(self.items(encoding, usize::MAX, depth)?),
                (Some([b'S', b'Q']), Some(length)) => {
                    Value::Items(self.items(encoding, length, depth)?)
                }
                (_, Some(length)) => Value::Bytes(self.take(length)?),
            };
            set.elements.push((header.tag, value));
        }
        Ok(set)
    }

    /// The items of a sequence of `length` bytes, or up to its end where that is not known.
    fn items(
        &mut self,
        encoding: Encoding,
        length: usize,
        depth: usize,
    ) -> Result<Vec<DataSet<'a>>, Fault> {
        if depth >= MAX_NESTING {
            return Err(Fault::TooDeep);
        }
        let end = self.at.saturating_add(length);
        if length != usize::MAX && end > self.bytes.len() {
            return Err(Fault::CutShort);
        }
        let mut items = Vec::new();
        while self.at < end {
            let header = self.header(encoding)?;
            match header.tag {
                END_OF_SEQUENCE => break,
                ITEM if header.length == UNDEFINED => {
                    items.push(self.data_set(encoding, depth + 1)?);
                }
                ITEM => {
                    let bytes = self.take(header.length as usize)?;
                    items.push(Reader { bytes, at: 0 }.data_set(encoding, depth + 1)?);
                }
                _ => return Err(Fault::Nonsense),
            }
        }
        Ok(items)
    }
}

/// The fragments of encapsulated pixels (PS3.5, A.4): the offset table, then the others.
pub(super) fn fragments(bytes: &[u8]) -> Result<Vec<&[u8]>, Fault> {
    let mut reader = Reader { bytes, at: 0 };
    let mut fragments = Vec::new();
    loop {
        let header = reader.header(Encoding::EXPLICIT)?;
        match header.tag {
            END_OF_SEQUENCE => return Ok(fragments),
            ITEM => fragments.push(reader.take(header.length as usize)?),
            _ => return Err(Fault::Nonsense),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn element(tag: Tag, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(tag.0.to_le_bytes());
        bytes.extend(tag.1.to_le_bytes());
        bytes.extend(vr);
        if LONG.contains(&vr) {
            bytes.extend([0, 0]);
            bytes.extend((value.len() as u32).to_le_bytes());
        } else {
            bytes.extend((value.len() as u16).to_le_bytes());
        }
        bytes.extend(value);
        bytes
    }

    fn item(tag: Tag, length: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(tag.0.to_le_bytes());
        bytes.extend(tag.1.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes
    }

    #[test]
    fn values_are_read_by_their_kind() {
        let mut bytes = element(tags::ROWS, b"US", &[0x34, 0x12]);
        bytes.extend(element(tags::PIXEL_SPACING, b"DS", b" 0.5\\+4e-1 "));
        bytes.extend(element(tags::SERIES_NUMBER, b"IS", b"7 "));
        bytes.extend(element(tags::MODALITY, b"CS", b"\0 "));
        bytes.extend(element(tags::PIXEL_DATA, b"OW", &[1, 2, 3, 4]));
        let set = DataSet::parse(&bytes, Encoding::EXPLICIT).unwrap();
        assert_eq!(set.word(tags::ROWS), Some(0x1234));
        assert_eq!(set.numbers(tags::PIXEL_SPACING), Some([0.5, 0.4]));
        assert_eq!(set.numbers::<3>(tags::PIXEL_SPACING), None);
        assert_eq!(set.integer(tags::SERIES_NUMBER), Some(7));
        assert_eq!(set.text(tags::MODALITY), None, "nothing but padding");
        let pixels = PixelPlace { offset: bytes.len() - 4, length: Some(4) };
        assert_eq!(set.pixels, Some(pixels));
    }

    #[test]
    fn sequences_of_either_length_are_followed() {
        let inner = element(tags::SERIES_NUMBER, b"IS", b"7 ");
        let mut open = item(ITEM, UNDEFINED);
        open.extend(&inner);
        open.extend(item(END_OF_ITEM, 0));
        let mut closed = item(ITEM, inner.len() as u32);
        closed.extend(&inner);
        let tag = tags::PIXEL_MEASURES_SEQUENCE;
        for content in [&open, &closed] {
            let known = element(tag, b"SQ", content);
            let mut unknown = element(tag, b"SQ", content);
            unknown[8..12].copy_from_slice(&UNDEFINED.to_le_bytes());
            unknown.extend(item(END_OF_SEQUENCE, 0));
            for mut bytes in [known, unknown] {
                bytes.extend(element(tags::ROWS, b"US", &[1, 0]));
                let set = DataSet::parse(&bytes, Encoding::EXPLICIT).unwrap();
                let items = set.items(tag);
                assert_eq!(items.len(), 1);
                assert_eq!(items[0].integer(tags::SERIES_NUMBER), Some(7));
                assert_eq!(set.word(tags::ROWS), Some(1), "what follows is found");
            }
        }
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| {
            let mut bytes = Vec::new();
            for _ in 0..depth {
                let mut head = element(tags::PIXEL_MEASURES_SEQUENCE, b"SQ", &[]);
                head[8..12].copy_from_slice(&UNDEFINED.to_le_bytes());
                bytes.extend(head);
                bytes.extend(item(ITEM, UNDEFINED));
            }
            for _ in 0..depth {
                bytes.extend(item(END_OF_ITEM, 0));
                bytes.extend(item(END_OF_SEQUENCE, 0));
            }
            bytes
        };
        assert!(DataSet::parse(&nested(MAX_NESTING), Encoding::EXPLICIT).is_ok());
        for depth in [MAX_NESTING + 1, 100_000] {
            let fault = DataSet::parse(&nested(depth), Encoding::EXPLICIT).unwrap_err();
            assert_eq!(fault, Fault::TooDeep);
        }
    }

    #[test]
    fn a_length_beyond_the_bytes_is_a_cut() {
        let mut bytes = element(tags::PIXEL_SPACING, b"UT", b"0.5");
        bytes[8..12].copy_from_slice(&0xFFFF_FFF0u32.to_le_bytes());
        assert_eq!(DataSet::parse(&bytes, Encoding::EXPLICIT).unwrap_err(), Fault::CutShort);
        let whole = element(tags::ROWS, b"US", &[1, 0]);
        for n in 1..whole.len() {
            let fault = DataSet::parse(&whole[..n], Encoding::EXPLICIT).unwrap_err();
            assert_eq!(fault, Fault::CutShort);
        }
        let letters = element(tags::ROWS, b"us", &[1, 0]);
        assert_eq!(DataSet::parse(&letters, Encoding::EXPLICIT).unwrap_err(), Fault::Nonsense);
    }
}
