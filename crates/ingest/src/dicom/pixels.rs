//! Stored pixels of a slice to HU.

use dicom_dictionary_std::tags;

use super::PADDING_HU;
use super::codec::{self, Shape};
use super::dataset::DataSet;
use super::file::EXPLICIT_VR_BIG_ENDIAN;
use super::header::Slice;
use super::syntax::{Compression, compression};
use crate::Unusable;

/// Reads the slice's pixels as HU into `out` (`[H, W]`).
pub(super) fn read_slice(slice: &Slice, out: &mut [f32]) -> Result<(), Unusable> {
    let format = slice.format.clone()?;
    let (n_rows, n_columns) = (slice.n_rows, slice.n_columns);
    let shape = Shape { n_rows, n_columns, bits_allocated: format.bits_allocated };
    let values = if slice.pixels.is_encapsulated() {
        let bytes = slice.pixels.value_bytes(&slice.path, slice.n_frames).ok_or_else(cut_short)?;
        let frame = codec::frame_of(&bytes, &slice.frame_offsets, slice.frame_idx, slice.n_frames);
        codec::decode(&frame.ok_or_else(cut_short)?, format.compression, shape)
            .ok_or_else(|| Unusable::series("a slice's pixels cannot be decoded"))?
    } else if format.compression == Compression::None {
        let n = shape.n_bytes();
        let skip = n * slice.frame_idx;
        let mut bytes =
            slice.pixels.native(&slice.path, slice.n_frames, skip, n).ok_or_else(cut_short)?;
        if format.is_big_endian {
            bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|word| word.reverse());
        }
        codec::words(&bytes, shape).ok_or_else(cut_short)?
    } else {
        return Err(Unusable::series("a slice's pixels are said to be compressed and are not"));
    };
    format.convert(&values, out);
    Ok(())
}

fn cut_short() -> Unusable {
    Unusable::series("a slice is cut short or damaged within its pixels")
}

/// How a stored pixel becomes HU.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Format {
    compression: Compression,
    /// Of 16-bit words that are not compressed.
    is_big_endian: bool,
    bits_allocated: u32,
    bits_stored: u32,
    is_signed: bool,
    /// HU = slope · stored + intercept.
    slope: f64,
    intercept: f64,
    /// Values from the first to the second are padding.
    padding: Option<[i32; 2]>,
}

impl Format {
    /// Of an image and, of an Enhanced one, of the group that holds a frame's rescale values.
    ///
    /// MONOCHROME1 asks for an inverted display; the values before it, HU, are the same (PS3.3,
    /// C.7.6.3.1.2).
    pub(super) fn of(
        set: &DataSet<'_>,
        transformation: &DataSet<'_>,
        transfer_syntax: &str,
    ) -> Result<Self, Unusable> {
        let compression = compression(transfer_syntax)?;
        let need = |tag, name: &str| {
            let value = set.word(tag).map(u32::from);
            value.ok_or_else(|| Unusable::series(format!("a slice has no {name}")))
        };
        match set.text(tags::PHOTOMETRIC_INTERPRETATION).as_deref() {
            Some("MONOCHROME1" | "MONOCHROME2") => (),
            _ => return Err(Unusable::series("its pixels are no MONOCHROME grey values")),
        }
        if need(tags::SAMPLES_PER_PIXEL, "SamplesPerPixel")? != 1 {
            return Err(Unusable::series("it has several samples a pixel, expected one"));
        }
        let bits_allocated = need(tags::BITS_ALLOCATED, "BitsAllocated")?;
        let bits_stored = need(tags::BITS_STORED, "BitsStored")?;
        let high = need(tags::HIGH_BIT, "HighBit")?;
        let sound =
            [8, 16].contains(&bits_allocated) && (1..=bits_allocated).contains(&bits_stored);
        if !sound || high + 1 != bits_stored {
            return Err(Unusable::series(format!(
                "BitsAllocated {bits_allocated}, BitsStored {bits_stored}, HighBit {high}: \
                 expected 8 or 16, at most as many, one less"
            )));
        }
        let is_signed = need(tags::PIXEL_REPRESENTATION, "PixelRepresentation")? == 1;
        let [slope, intercept] = rescale(transformation)?;
        let padding = set.word(tags::PIXEL_PADDING_VALUE).map(|value| {
            let limit = set.word(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value);
            let [a, b] = [value, limit].map(|v| wide(v, is_signed));
            [a.min(b), a.max(b)]
        });
        Ok(Self {
            compression,
            is_big_endian: transfer_syntax == EXPLICIT_VR_BIG_ENDIAN && bits_allocated == 16,
            bits_allocated,
            bits_stored,
            is_signed,
            slope,
            intercept,
            padding,
        })
    }

    /// HU of stored words; bits beyond `BitsStored` do not count, but for the padding value, which some
    /// scanners write with all bits.
    fn convert(&self, words: &[u16], out: &mut [f32]) {
        let shift = 32 - self.bits_stored;
        let (slope, intercept) = (self.slope, self.intercept);
        // No value lies between 1 and 0.
        let [low, high] = self.padding.unwrap_or([1, 0]);
        let padded = |value: i32, wide: i32| {
            let is_padding = |v: i32| (low <= v) & (v <= high);
            is_padding(value) | is_padding(wide)
        };
        let hu = |value: i32, wide: i32| {
            let hu = (slope * f64::from(value) + intercept) as f32;
            if padded(value, wide) { PADDING_HU } else { hu }
        };
        let pairs = out.iter_mut().zip(words);
        if self.is_signed {
            pairs.for_each(|(out, word)| {
                *out = hu((i32::from(*word) << shift) >> shift, i32::from(*word as i16));
            });
        } else {
            pairs.for_each(|(out, word)| {
                let value = (u32::from(*word) << shift) >> shift;
                *out = hu(value as i32, i32::from(*word));
            });
        }
    }
}

/// A word with all its bits.
fn wide(raw: u16, is_signed: bool) -> i32 {
    if is_signed { i32::from(raw as i16) } else { i32::from(raw) }
}

fn rescale(set: &DataSet<'_>) -> Result<[f64; 2], Unusable> {
    let slope = set.numbers::<1>(tags::RESCALE_SLOPE);
    let intercept = set.numbers::<1>(tags::RESCALE_INTERCEPT);
    let kind = set.text(tags::RESCALE_TYPE);
    match (slope, intercept, kind.as_deref()) {
        (Some([slope]), Some([intercept]), None | Some("HU" | "US")) if slope != 0.0 => {
            Ok([slope, intercept])
        }
        _ => Err(Unusable::series("no sound RescaleSlope and RescaleIntercept to HU")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(bits_stored: u32, is_signed: bool, padding: Option<[i32; 2]>) -> Format {
        Format {
            compression: Compression::None,
            is_big_endian: false,
            bits_allocated: 16,
            bits_stored,
            is_signed,
            slope: 2.0,
            intercept: -1000.0,
            padding,
        }
    }

    impl Format {
        fn hu(&self, raw: u16) -> f32 {
            let mut hu = [0.0];
            self.convert(&[raw], &mut hu);
            hu[0]
        }
    }

    #[test]
    fn stored_bits_and_sign() {
        assert_eq!(format(12, false, None).hu(0x0FFF), 2.0 * 4095.0 - 1000.0);
        assert_eq!(format(12, false, None).hu(0xF001), -998.0, "bits above the stored ones");
        assert_eq!(format(12, true, None).hu(0x0FFF), -1002.0, "-1 in 12 bits");
        assert_eq!(format(16, true, None).hu(0xFFFF), -1002.0);
        assert_eq!(format(16, false, None).hu(0xFFFF), 2.0 * 65535.0 - 1000.0);
    }

    #[test]
    fn padding_is_air_before_anything_else() {
        let signed = format(16, true, Some([-2000, -2000]));
        assert_eq!(signed.hu((-2000i16) as u16), PADDING_HU);
        assert_eq!(signed.hu(0), -1000.0);
        // 63536 does not fit 12 bits, yet scanners write it so.
        let wide = format(12, false, Some([63536, 63536]));
        assert_eq!(wide.hu(63536), PADDING_HU);
        assert_eq!(format(16, false, Some([0, 10])).hu(7), PADDING_HU, "a range of values");
    }
}
