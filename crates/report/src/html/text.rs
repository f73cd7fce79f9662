//! Words and numbers as HTML.

use serde_json::Value;

/// Text made safe for HTML, in elements and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A number with so many decimals and a true minus sign; never −0.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.chars().all(|c| matches!(c, '0' | '.')) => digits.to_owned(),
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

/// The number, or a dash where there is none.
pub(crate) fn optional(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| fixed(value, decimals))
}

/// `0.78 (0.70 to 0.85)`, or a dash.
pub(crate) fn with_interval(
    value: Option<f64>,
    interval: Option<[f64; 2]>,
    decimals: usize,
) -> String {
    let text = optional(value, decimals);
    match value.and(interval) {
        Some(interval) => {
            format!("{text} <span class=\"ci\">({})</span>", range(interval, decimals))
        }
        None => text,
    }
}

/// `0.70 to 0.85`.
pub(crate) fn range([low, high]: [f64; 2], decimals: usize) -> String {
    format!("{} to {}", fixed(low, decimals), fixed(high, decimals))
}

/// A share in whole per cent with its counts: `24 % (12 of 50)`.
pub(crate) fn share(part: usize, whole: usize) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    format!("{} % ({part} of {whole})", fixed(100.0 * part as f64 / whole as f64, 0))
}

/// A p-value in two digits or three decimals, small ones as a bound.
pub(crate) fn p_value(p: f64) -> String {
    let decimals = if p < 0.1 { 3 } else { 2 };
    if p < 0.001 { "&lt; 0.001".to_owned() } else { format!("{p:.decimals$}") }
}

/// `A, B and C`.
pub(crate) fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `1 case`, `2 cases`.
pub(crate) fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// A document's leaves as `key value`, in a line.
pub(crate) fn settings(value: &Value) -> String {
    let mut leaves = Vec::new();
    collect_settings("", value, &mut leaves);
    leaves.join(", ")
}

fn collect_settings(name: &str, value: &Value, leaves: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                collect_settings(&name, value, leaves);
            }
        }
        Value::String(text) => leaves.push(format!("{} <b>{}</b>", escape(name), escape(text))),
        other => leaves.push(format!("{} <b>{}</b>", escape(name), escape(&other.to_string()))),
    }
}

/// A table: the first `n_text` columns are text, the others numbers. Cells are HTML already.
pub(crate) fn table(head: &[&str], n_text: usize, rows: &[Vec<String>]) -> String {
    let cells = |cells: &[String], tag: &str| -> String {
        let cell = |(i, cell): (usize, &String)| match i < n_text {
            true => format!("<{tag} class=\"text\">{cell}</{tag}>"),
            false => format!("<{tag}>{cell}</{tag}>"),
        };
        cells.iter().enumerate().map(cell).collect()
    };
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let body: String = rows.iter().map(|row| format!("<tr>{}</tr>", cells(row, "td"))).collect();
    // A wide table is scrolled within its frame, by keys too.
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table\"><table><thead><tr>{}</tr></thead><tbody>{body}</tbody></table></div>",
        cells(&head, "th")
    )
}

/// A coloured mark before a name.
pub(crate) fn swatch(color: &str, name: &str) -> String {
    format!("<span class=\"key\"><i style=\"background:{color}\"></i>{}</span>", escape(name))
}

/// A figure with its title above and a caption (HTML) below.
pub(crate) fn figure(title: &str, body: &str, caption: &str) -> String {
    format!("<figure><h3>{}</h3>{body}<figcaption>{caption}</figcaption></figure>", escape(title))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_the_escaping() {
        assert_eq!(escape("<b a=\"x\" c='y'>&"), "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;");
    }

    #[test]
    fn numbers_have_a_true_minus_and_no_negative_zero() {
        assert_eq!(fixed(-0.126, 2), "−0.13");
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(
            with_interval(Some(0.5), Some([-0.1, 0.9]), 1),
            "0.5 <span class=\"ci\">(−0.1 to 0.9)</span>"
        );
        assert_eq!(with_interval(None, Some([0.0, 1.0]), 1), "–");
        assert_eq!(p_value(0.0004), "&lt; 0.001");
        assert_eq!(p_value(0.034), "0.034");
        assert_eq!(share(12, 50), "24 % (12 of 50)");
        assert_eq!(list(&["A".into(), "B".into(), "C".into()]), "A, B and C");
    }
}
