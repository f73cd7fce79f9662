use dicom_core::value::Value;
use dicom_dictionary_std::tags;
use dicom_object::DefaultDicomObject;
use dicom_pixeldata::PixelDecoder;

use super::header::{SliceHeader, integer, numbers, text};
use super::{PADDING_HU, file};
use crate::Unusable;

/// Reads the slice's pixels as HU into `out` (`[H, W]`).
pub(super) fn read_slice(slice: &SliceHeader, out: &mut [f32]) -> Result<(), Unusable> {
    let object = file::open(&slice.path).and_then(|file| file.parse(None)).ok_or_else(cut_short)?;
    // A file that ends between two elements is parsed without complaint.
    object.element(tags::PIXEL_DATA).map_err(|_| cut_short())?;
    let format = Format::of(&object)?;
    let expected = out.len() * format.n_bytes();
    check_native_length(&object, expected)?;
    let decoded = object
        .decode_pixel_data()
        .map_err(|_| Unusable::series("a slice's pixels cannot be decoded"))?;
    let bytes = decoded.data().get(..expected).ok_or_else(cut_short)?;
    if format.n_bytes() == 1 {
        let hu = format.table::<256>();
        out.iter_mut().zip(bytes).for_each(|(hu_out, raw)| *hu_out = hu[usize::from(*raw)]);
    } else {
        let words = bytes.as_chunks::<2>().0;
        out.iter_mut().zip(words).for_each(|(hu, raw)| *hu = format.hu(u16::from_le_bytes(*raw)));
    }
    Ok(())
}

fn cut_short() -> Unusable {
    Unusable::series("a slice is cut short or damaged within its pixels")
}

/// Pixels that are not compressed must be there before anything is decoded.
fn check_native_length(object: &DefaultDicomObject, expected: usize) -> Result<(), Unusable> {
    let pixels = object.element(tags::PIXEL_DATA).map_err(|_| cut_short())?;
    match pixels.value() {
        Value::Primitive(values) if values.calculate_byte_len() < expected => Err(cut_short()),
        _ => Ok(()),
    }
}

/// How a stored pixel becomes HU.
#[derive(Debug, Clone, PartialEq)]
struct Format {
    bits_allocated: u32,
    bits_stored: u32,
    is_signed: bool,
    /// HU = slope · stored + intercept.
    slope: f64,
    intercept: f64,
    /// Values from the first to the second are padding.
    padding: Option<[i64; 2]>,
}

impl Format {
    fn of(object: &DefaultDicomObject) -> Result<Self, Unusable> {
        let need = |tag, name: &str| {
            integer(object, tag).ok_or_else(|| Unusable::series(format!("a slice has no {name}")))
        };
        match text(object, tags::PHOTOMETRIC_INTERPRETATION).as_deref() {
            Some("MONOCHROME2") => (),
            Some("MONOCHROME1") => {
                return Err(Unusable::series("MONOCHROME1 (inverted) is not read"));
            }
            _ => return Err(Unusable::series("its pixels are no MONOCHROME2 grey values")),
        }
        if need(tags::SAMPLES_PER_PIXEL, "SamplesPerPixel")? != 1 {
            return Err(Unusable::series("it has several samples a pixel, expected one"));
        }
        let allocated = need(tags::BITS_ALLOCATED, "BitsAllocated")?;
        let stored = need(tags::BITS_STORED, "BitsStored")?;
        let high = need(tags::HIGH_BIT, "HighBit")?;
        let sound = [8, 16].contains(&allocated) && (1..=allocated).contains(&stored);
        if !sound || high != stored - 1 {
            return Err(Unusable::series(format!(
                "BitsAllocated {allocated}, BitsStored {stored}, HighBit {high}: \
                 expected 8 or 16, at most as many, one less"
            )));
        }
        let is_signed = need(tags::PIXEL_REPRESENTATION, "PixelRepresentation")? == 1;
        let [slope, intercept] = rescale(object)?;
        let padding = integer(object, tags::PIXEL_PADDING_VALUE).map(|value| {
            let limit = integer(object, tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value);
            let [a, b] = [value, limit].map(|v| wide(v as u16, is_signed));
            [a.min(b), a.max(b)]
        });
        let (bits_allocated, bits_stored) = (allocated as u32, stored as u32);
        Ok(Self { bits_allocated, bits_stored, is_signed, slope, intercept, padding })
    }

    fn n_bytes(&self) -> usize {
        self.bits_allocated as usize / 8
    }

    /// HU of a stored word; bits beyond `BitsStored` do not count, but for the padding value, which
    /// some scanners write with all bits.
    fn hu(&self, raw: u16) -> f32 {
        let shift = 32 - self.bits_stored;
        let value = if self.is_signed {
            i64::from((i32::from(raw) << shift) >> shift)
        } else {
            i64::from((u32::from(raw) << shift) >> shift)
        };
        let is_padding = self.padding.is_some_and(|[low, high]| {
            (low..=high).contains(&value) || (low..=high).contains(&wide(raw, self.is_signed))
        });
        if is_padding {
            return PADDING_HU;
        }
        (self.slope * value as f64 + self.intercept) as f32
    }

    /// HU of each stored byte.
    fn table<const N: usize>(&self) -> [f32; N] {
        std::array::from_fn(|raw| self.hu(raw as u16))
    }
}

/// A word with all its bits.
fn wide(raw: u16, is_signed: bool) -> i64 {
    if is_signed { i64::from(raw as i16) } else { i64::from(raw) }
}

fn rescale(object: &DefaultDicomObject) -> Result<[f64; 2], Unusable> {
    let slope = numbers::<1>(object, tags::RESCALE_SLOPE);
    let intercept = numbers::<1>(object, tags::RESCALE_INTERCEPT);
    let kind = text(object, tags::RESCALE_TYPE);
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

    fn format(bits_stored: u32, is_signed: bool, padding: Option<[i64; 2]>) -> Format {
        Format {
            bits_allocated: 16,
            bits_stored,
            is_signed,
            slope: 2.0,
            intercept: -1000.0,
            padding,
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
