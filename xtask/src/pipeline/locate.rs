//! From a key to its place in a TOML file, so that an error can point there.

use std::path::Path;

use toml::de::{DeTable, DeValue};

/// `file:line: key`, or the nearest enclosing key that exists.
pub(crate) fn place(path: &Path, text: &str, key: &str) -> String {
    let file = display(path);
    match line_of(text, key) {
        Some(line) => format!("{file}:{line}: {key}"),
        None => format!("{file}: {key}"),
    }
}

/// A TOML error with file and line in one line.
pub(crate) fn toml_error(path: &Path, text: &str, error: &toml::de::Error) -> anyhow::Error {
    let line = error.span().map_or(1, |span| line_at(text, span.start));
    anyhow::anyhow!("{}:{line}: {}", display(path), error.message().trim())
}

/// Relative to the workspace's root where it lies below it.
fn display(path: &Path) -> String {
    let root = crate::workspace::root();
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// The line of the dotted key, or of the longest part of it that exists.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut offset = None;
    for part in key.split('.') {
        let part = part.split('[').next().unwrap_or(part);
        let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == part) else {
            break;
        };
        offset = Some(name.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    offset.map(|offset| line_at(text, offset))
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n\n[optimizer]\nkind = \"adamw\"\nlearning_rate = 3\n";

    #[test]
    fn a_key_is_found_and_a_missing_one_points_to_its_table() {
        assert_eq!(line_of(TEXT, "a"), Some(1));
        assert_eq!(line_of(TEXT, "optimizer.learning_rate"), Some(5));
        assert_eq!(line_of(TEXT, "optimizer.weight_decay"), Some(3));
        assert_eq!(line_of(TEXT, "nothing"), None);
    }
}
