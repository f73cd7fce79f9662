//! Transfer syntaxes: which are decoded and what the others are called.

use dicom_dictionary_std::uids;

use super::file::EXPLICIT_VR_BIG_ENDIAN;
use crate::Unusable;

/// How pixels are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// Not at all, or the whole data set.
    None,
    /// Runs of bytes.
    Rle,
    /// JPEG lossless, process 14.
    JpegLossless,
    /// JPEG baseline and extended: sequential, lossy.
    JpegSequential,
    /// JPEG 2000, either kind.
    Jpeg2000,
    /// JPEG-LS, either kind.
    JpegLs,
}

/// How files in this transfer syntax are compressed.
///
/// # Errors
/// [`Unusable::TransferSyntax`] for one that is not decoded.
pub(super) fn compression(uid: &str) -> Result<Compression, Unusable> {
    let name = match uid {
        uids::IMPLICIT_VR_LITTLE_ENDIAN
        | uids::EXPLICIT_VR_LITTLE_ENDIAN
        | EXPLICIT_VR_BIG_ENDIAN
        | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        | uids::ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN => {
            return Ok(Compression::None);
        }
        uids::RLE_LOSSLESS => return Ok(Compression::Rle),
        uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => return Ok(Compression::JpegLossless),
        uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT => {
            return Ok(Compression::JpegSequential);
        }
        uids::JPEG2000_LOSSLESS | uids::JPEG2000 => return Ok(Compression::Jpeg2000),
        uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS => {
            if cfg!(feature = "jpeg-ls") {
                return Ok(Compression::JpegLs);
            }
            "JPEG-LS (without the feature `jpeg-ls` of hemex-ingest)"
        }
        "1.2.840.10008.1.2.4.53" => "JPEG spectral selection",
        "1.2.840.10008.1.2.4.55" => "JPEG full progression",
        "1.2.840.10008.1.2.4.92" | "1.2.840.10008.1.2.4.93" => "JPEG 2000 multi-component",
        "1.2.840.10008.1.2.4.100"
        | "1.2.840.10008.1.2.4.101"
        | "1.2.840.10008.1.2.4.102"
        | "1.2.840.10008.1.2.4.103"
        | "1.2.840.10008.1.2.4.104"
        | "1.2.840.10008.1.2.4.105"
        | "1.2.840.10008.1.2.4.106" => "MPEG video",
        "1.2.840.10008.1.2.4.110" | "1.2.840.10008.1.2.4.111" | "1.2.840.10008.1.2.4.112" => {
            "JPEG XL"
        }
        "1.2.840.10008.1.2.4.201" | "1.2.840.10008.1.2.4.202" | "1.2.840.10008.1.2.4.203" => {
            "High-Throughput JPEG 2000"
        }
        _ => "unknown to this version",
    };
    // A damaged file may hold anything in place of a UID.
    let is_uid = uid.len() <= 64 && uid.chars().all(|c| c.is_ascii_digit() || c == '.');
    let uid = if is_uid { uid.to_owned() } else { "no UID".to_owned() };
    Err(Unusable::TransferSyntax { name, uid })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn others_are_refused_by_name() {
        assert_eq!(compression("1.2.840.10008.1.2.1"), Ok(Compression::None));
        let text = compression("1.2.840.10008.1.2.4.55").unwrap_err().to_string();
        assert!(text.contains("JPEG full progression (1.2.840.10008.1.2.4.55)"), "{text}");
        assert!(text.contains("gdcmconv"), "{text}");
        assert!(!compression("Miller").unwrap_err().to_string().contains("Miller"));
    }
}
