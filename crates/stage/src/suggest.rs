//! The nearest valid name for a mistyped one.

/// The candidate closest to `name` by Damerau–Levenshtein distance, if it is close enough to be meant.
///
/// Close enough is at most a third of the longer name's letters, and always one letter.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= (name.chars().count().max(candidate.chars().count()) / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean ...?` or, where nothing is close, `; expected one of ...`.
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    match nearest(name, candidates.clone()) {
        Some(candidate) => format!("; did you mean `{candidate}`?"),
        None => {
            let known: Vec<_> = candidates.into_iter().collect();
            format!("; expected one of: {}", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_typo_and_leaves_a_stranger() {
        let names = ["train", "predict", "report"];
        assert_eq!(nearest("tarin", names), Some("train"));
        assert_eq!(nearest("reports", names), Some("report"));
        assert_eq!(nearest("banana", names), None);
    }
}
