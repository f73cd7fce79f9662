//! Transfer syntaxes: which are decoded and what the others are called.

use dicom_dictionary_std::uids;

use crate::Unusable;

/// Uncompressed, deflated, and the lossless compressions decoded in Rust. Lossy ones are refused:
/// they change the HU.
const DECODED: [&str; 7] = [
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    // Retired, yet archives hold it.
    "1.2.840.10008.1.2.2",
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    uids::RLE_LOSSLESS,
    uids::JPEG_LOSSLESS,
    uids::JPEG_LOSSLESS_SV1,
];

/// That files in this transfer syntax are decoded.
pub(super) fn check(uid: &str) -> Result<(), Unusable> {
    if DECODED.contains(&uid) {
        return Ok(());
    }
    let name = match uid {
        uids::JPEG_BASELINE8_BIT => "JPEG baseline (lossy)",
        uids::JPEG_EXTENDED12_BIT => "JPEG extended (lossy)",
        "1.2.840.10008.1.2.4.53" => "JPEG spectral selection (lossy)",
        "1.2.840.10008.1.2.4.55" => "JPEG full progression (lossy)",
        uids::JPEGLS_LOSSLESS => "JPEG-LS lossless",
        uids::JPEGLS_NEAR_LOSSLESS => "JPEG-LS near-lossless",
        uids::JPEG2000_LOSSLESS => "JPEG 2000 lossless",
        uids::JPEG2000 => "JPEG 2000",
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
        assert_eq!(check("1.2.840.10008.1.2.1"), Ok(()));
        let text = check("1.2.840.10008.1.2.4.90").unwrap_err().to_string();
        assert!(text.contains("JPEG 2000 lossless (1.2.840.10008.1.2.4.90)"), "{text}");
        assert!(text.contains("gdcmconv"), "{text}");
        assert!(!check("Miller").unwrap_err().to_string().contains("Miller"));
    }
}
