use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest;

/// Everything that a task's result depends on, as named parts; never a time stamp.
///
/// The names tell what changed when two keys differ: `config.optimizer.learning_rate`,
/// `code.hemex-train`, `input.cases`, `seed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyParts {
    parts: BTreeMap<String, String>,
}

impl KeyParts {
    /// Adds a part.
    pub fn insert(&mut self, name: impl Into<String>, value: impl fmt::Display) {
        self.parts.insert(name.into(), value.to_string());
    }

    /// The parts, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parts.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Adds every leaf of a JSON value as a part, named by its dotted path below `name`.
    pub fn insert_tree(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(map) => {
                for (key, child) in map {
                    self.insert_tree(&format!("{name}.{key}"), child);
                }
            }
            leaf => self.insert(name, leaf),
        }
    }

    /// The key: the first 16 hex digits (64 bits) of the SHA-256 over all parts.
    pub fn digest(&self) -> String {
        let text: String = self.parts.iter().map(|(k, v)| format!("{k}\0{v}\n")).collect();
        let mut hex = digest::bytes(text.as_bytes());
        hex.truncate(16);
        hex
    }

    /// What differs from an earlier key, sorted by name.
    pub fn changes_since(&self, earlier: &KeyParts) -> Vec<Change> {
        let names: std::collections::BTreeSet<_> =
            self.parts.keys().chain(earlier.parts.keys()).collect();
        names
            .into_iter()
            .filter(|name| self.parts.get(*name) != earlier.parts.get(*name))
            .map(|name| Change {
                name: name.clone(),
                old: earlier.parts.get(name).cloned(),
                new: self.parts.get(name).cloned(),
            })
            .collect()
    }
}

/// One part in which two keys differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The part's name.
    pub name: String,
    /// Its value before, if it was there.
    pub old: Option<String>,
    /// Its value now, if it is there.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_digest =
            |value: &str| value.len() >= 32 && value.bytes().all(|b| b.is_ascii_hexdigit());
        match (&self.old, &self.new) {
            (Some(old), Some(new)) if is_digest(old) && is_digest(new) => {
                write!(f, "{} changed", self.name)
            }
            (Some(old), Some(new)) => write!(f, "{}: {old} → {new}", self.name),
            (None, _) => write!(f, "{} is new", self.name),
            (_, None) => write!(f, "{} is gone", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(learning_rate: f64) -> KeyParts {
        let mut parts = KeyParts::default();
        parts.insert("seed", 1);
        parts.insert_tree("config", &serde_json::json!({"a": {"lr": learning_rate}, "b": [1, 2]}));
        parts
    }

    #[test]
    fn the_key_follows_every_part_and_names_the_change() {
        let (old, new) = (parts(0.1), parts(0.2));
        assert_eq!(old.digest(), parts(0.1).digest());
        assert_ne!(old.digest(), new.digest());
        let changes = new.changes_since(&old);
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].to_string(), "config.a.lr: 0.1 → 0.2");
    }

    #[test]
    fn names_and_values_cannot_be_shifted_into_each_other() {
        let (mut one, mut other) = (KeyParts::default(), KeyParts::default());
        one.insert("ab", "c");
        other.insert("a", "bc");
        assert_ne!(one.digest(), other.digest());
    }
}
