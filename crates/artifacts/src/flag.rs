//! `Option<bool>` as `1`, `0` or an empty cell, for `#[serde(with = "flag")]`.

use serde::{Deserialize, Deserializer, Serializer, de};

/// Writes `1`, `0` or nothing.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(value: &Option<bool>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.serialize_some(&u8::from(*value)),
        None => serializer.serialize_none(),
    }
}

/// Reads `1`, `0` or an empty cell.
///
/// # Errors
/// For anything else.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Option::<u8>::deserialize(deserializer)? {
        None => Ok(None),
        Some(0) => Ok(Some(false)),
        Some(1) => Ok(Some(true)),
        Some(other) => Err(de::Error::custom(format!("expected 0, 1 or nothing, found {other}"))),
    }
}
