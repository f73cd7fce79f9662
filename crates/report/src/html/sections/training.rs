use std::collections::BTreeSet;

use super::side_by_side;
use crate::html::Page;
use crate::html::figures;
use crate::html::text::{count, escape};

/// How each model was trained.
pub(in crate::html) fn training(page: &Page) -> String {
    let trainings = &page.evaluation.trainings;
    let arms: BTreeSet<&str> = trainings.iter().map(|t| t.arm.as_str()).collect();
    let figures: Vec<Option<String>> =
        arms.iter().flat_map(|arm| figures::history(page, arm)).map(Some).collect();
    let sizes: Vec<String> = arms
        .iter()
        .map(|arm| {
            let sizes: BTreeSet<u64> =
                trainings.iter().filter(|t| t.arm == *arm).filter_map(|t| t.n_parameters).collect();
            let sizes: Vec<String> = sizes.iter().map(|n| thousands(*n)).collect();
            let n_models = trainings.iter().filter(|t| t.arm == *arm).count();
            let sizes = if sizes.is_empty() {
                String::new()
            } else {
                format!(" of {} parameters", sizes.join(" or "))
            };
            format!("{}: {}{sizes}", escape(arm), count(n_models, "model"))
        })
        .collect();
    let intro =
        if sizes.is_empty() { String::new() } else { format!("<p>{}.</p>", sizes.join("; ")) };
    format!("{intro}{}", side_by_side(figures, "No model brings a history of its training."))
}

/// `482,578`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(thousands(482_578), "482,578");
        assert_eq!(thousands(1_000_000), "1,000,000");
        assert_eq!(thousands(12), "12");
    }
}
