//! Compressed frames to stored values.

use super::dataset::fragments;
use super::jpeg;
use super::syntax::Compression;

/// What a frame must turn out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) n_rows: usize,
    pub(super) n_columns: usize,
    /// 8 or 16.
    pub(super) bits_allocated: u32,
}

impl Shape {
    /// Values of a frame.
    pub(super) fn n_values(self) -> usize {
        self.n_rows * self.n_columns
    }

    /// Bytes of a frame that is not compressed.
    pub(super) fn n_bytes(self) -> usize {
        self.n_values() * self.bits_allocated as usize / 8
    }
}

/// The bytes of one frame among `n_frames`, by the offset table where there is one, else by the begins
/// of images (PS3.5, A.4).
///
/// `offsets` is the extended offset table; `encapsulated` begins at the first item. `None` if fragments
/// cannot be told apart.
pub(super) fn frame_of(
    encapsulated: &[u8],
    offsets: &[u64],
    frame_idx: usize,
    n_frames: usize,
) -> Option<Vec<u8>> {
    let fragments = fragments(encapsulated).ok()?;
    let (table, fragments) = fragments.split_first()?;
    let basic = table.as_chunks::<4>().0.iter().map(|b| u64::from(u32::from_le_bytes(*b)));
    let offsets: Vec<u64> = if offsets.is_empty() { basic.collect() } else { offsets.to_vec() };
    let begins: Vec<usize> = if n_frames == 1 {
        vec![0]
    } else if fragments.len() == n_frames {
        (0..n_frames).collect()
    } else if offsets.len() == n_frames {
        by_offset(fragments, &offsets)?
    } else {
        let is_begin =
            |bytes: &[u8]| bytes.starts_with(&[0xFF, 0xD8]) || bytes.starts_with(&[0xFF, 0x4F]);
        (0..fragments.len()).filter(|i| is_begin(fragments[*i])).collect()
    };
    if begins.len() != n_frames {
        return None;
    }
    let begin = *begins.get(frame_idx)?;
    let end = begins.get(frame_idx + 1).copied().unwrap_or(fragments.len());
    Some(fragments.get(begin..end)?.concat())
}

/// The fragments at these offsets, of which each counts from the first fragment's header.
fn by_offset(fragments: &[&[u8]], offsets: &[u64]) -> Option<Vec<usize>> {
    let mut at = 0;
    let places: Vec<u64> = fragments
        .iter()
        .map(|fragment| {
            let place = at;
            at += 8 + fragment.len() as u64;
            place
        })
        .collect();
    offsets.iter().map(|offset| places.binary_search(offset).ok()).collect()
}

/// The stored values of a compressed frame, as bits in the lower part of a word; `None` if it is
/// damaged or of another size.
pub(super) fn decode(bytes: &[u8], compression: Compression, shape: Shape) -> Option<Vec<u16>> {
    let values = match compression {
        Compression::None => words(bytes, shape),
        Compression::Rle => rle(bytes, shape),
        Compression::JpegSequential => {
            jpeg::decode(bytes, shape.n_rows, shape.n_columns).map(|grey| grey.values)
        }
        Compression::JpegLossless => jpeg_lossless(bytes, shape),
        Compression::Jpeg2000 => jpeg_2000(bytes, shape),
        Compression::JpegLs => jpeg_ls(bytes, shape),
    }?;
    (values.len() == shape.n_values()).then_some(values)
}

/// Little-endian words, or bytes.
pub(super) fn words(bytes: &[u8], shape: Shape) -> Option<Vec<u16>> {
    let bytes = bytes.get(..shape.n_bytes())?;
    Some(if shape.bits_allocated == 8 {
        bytes.iter().map(|b| u16::from(*b)).collect()
    } else {
        bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect()
    })
}

/// Segments of packed bits, the highest byte of every value first (PS3.5, annex G).
fn rle(bytes: &[u8], shape: Shape) -> Option<Vec<u16>> {
    let header = bytes.first_chunk::<64>()?.as_chunks::<4>().0;
    let word = |i: usize| u32::from_le_bytes(header[i]) as usize;
    let n_segments = shape.bits_allocated as usize / 8;
    if word(0) != n_segments {
        return None;
    }
    let mut values = vec![0u16; shape.n_values()];
    for segment in 0..n_segments {
        let begin = word(1 + segment);
        let end = if segment + 1 < n_segments { word(2 + segment) } else { bytes.len() };
        unpack(bytes.get(begin..end)?, &mut values)?;
    }
    Some(values)
}

/// Shifts each value up by a byte and adds the next unpacked one; what follows the last is padding.
fn unpack(mut packed: &[u8], values: &mut [u16]) -> Option<()> {
    let mut n_done = 0;
    let mut put = |n_done: &mut usize, byte: u8| {
        if let Some(value) = values.get_mut(*n_done) {
            *value = *value << 8 | u16::from(byte);
            *n_done += 1;
        }
        *n_done < values.len()
    };
    loop {
        let (&control, rest) = packed.split_first()?;
        packed = rest;
        let control = control as i8;
        let goes_on = if control >= 0 {
            let literal = packed.get(..control as usize + 1)?;
            packed = &packed[literal.len()..];
            literal.iter().all(|byte| put(&mut n_done, *byte))
        } else if control != i8::MIN {
            let (&byte, rest) = packed.split_first()?;
            packed = rest;
            (0..1 - isize::from(control)).all(|_| put(&mut n_done, byte))
        } else {
            true
        };
        if !goes_on {
            return Some(());
        }
    }
}

fn jpeg_lossless(bytes: &[u8], shape: Shape) -> Option<Vec<u16>> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.read_info().ok()?;
    let info = decoder.info()?;
    if [info.height, info.width].map(usize::from) != [shape.n_rows, shape.n_columns] {
        return None;
    }
    let decoded = decoder.decode().ok()?;
    match info.pixel_format {
        jpeg_decoder::PixelFormat::L8 => Some(decoded.into_iter().map(u16::from).collect()),
        jpeg_decoder::PixelFormat::L16 => {
            Some(decoded.as_chunks::<2>().0.iter().map(|b| u16::from_ne_bytes(*b)).collect())
        }
        _ => None,
    }
}

fn jpeg_2000(bytes: &[u8], shape: Shape) -> Option<Vec<u16>> {
    let image = jpeg2k::Image::from_bytes(bytes).ok()?;
    let [component] = image.components() else { return None };
    if [component.height() as usize, component.width() as usize] != [shape.n_rows, shape.n_columns]
    {
        return None;
    }
    // Negative values as their two's complement.
    Some(component.data().iter().map(|value| *value as u16).collect())
}

#[cfg(feature = "jpeg-ls")]
fn jpeg_ls(bytes: &[u8], shape: Shape) -> Option<Vec<u16>> {
    let decoded = charls::CharLS::default().decode(bytes).ok()?;
    words(&decoded, shape).filter(|_| decoded.len() == shape.n_bytes())
}

#[cfg(not(feature = "jpeg-ls"))]
fn jpeg_ls(_: &[u8], _: Shape) -> Option<Vec<u16>> {
    None
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { n_rows: 2, n_columns: 3, bits_allocated: 16 };

    #[test]
    fn runs_and_literals_are_unpacked() {
        let mut bytes = vec![2, 0, 0, 0, 64, 0, 0, 0, 66, 0, 0, 0];
        bytes.resize(64, 0);
        // Six times 1; then 10, 11, 12, a byte that says nothing, three times 13.
        bytes.extend([0xFB, 1, 2, 10, 11, 12, 0x80, 0xFE, 13, 0]);
        let expected = vec![0x010A, 0x010B, 0x010C, 0x010D, 0x010D, 0x010D];
        assert_eq!(decode(&bytes, Compression::Rle, SHAPE), Some(expected));
        for n in 0..bytes.len() - 1 {
            assert_eq!(decode(&bytes[..n], Compression::Rle, SHAPE), None, "cut at {n}");
        }
    }

    fn encapsulated(fragments: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for fragment in fragments {
            bytes.extend([0xFE, 0xFF, 0x00, 0xE0]);
            bytes.extend((fragment.len() as u32).to_le_bytes());
            bytes.extend(*fragment);
        }
        bytes.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn frames_of_several_fragments_are_told_apart() {
        let (a, b, c) = (&[0xFF, 0xD8, 1, 2][..], &[3, 4][..], &[0xFF, 0xD8, 5, 6][..]);
        let second = |table: &[u8], offsets: &[u64]| {
            frame_of(&encapsulated(&[table, a, b, c]), offsets, 1, 2)
        };
        let table = [[0u8; 4], 22u32.to_le_bytes()].concat();
        assert_eq!(second(&table, &[]).unwrap(), c);
        assert_eq!(second(&[], &[0, 22]).unwrap(), c);
        assert_eq!(second(&[], &[]).unwrap(), c, "by the begins of images");
        assert_eq!(second(&[], &[0, 23]), None, "an offset between fragments");
        assert_eq!(frame_of(&encapsulated(&[&[], a, b]), &[], 1, 2).unwrap(), b);
        assert_eq!(
            frame_of(&encapsulated(&[&[], a, b, c]), &[], 0, 1).unwrap(),
            [a, b, c].concat()
        );
        assert_eq!(frame_of(&encapsulated(&[&[], b, b, b]), &[], 0, 2), None);
        assert_eq!(frame_of(&encapsulated(&[&[], a])[..9], &[], 0, 1), None, "no end");
    }
}
