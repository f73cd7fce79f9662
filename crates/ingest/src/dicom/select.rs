use std::collections::BTreeMap;

use super::header::{Content, SliceHeader};
use crate::Unusable;

/// The series that stands for the case.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) slices: Vec<SliceHeader>,
    pub(super) n_other_series: usize,
}

/// Groups the slices by series and takes the one with the most; of equal ones that with the lowest
/// number, then UID.
pub(super) fn choose(contents: Vec<Content>) -> Result<Chosen, Unusable> {
    let mut series: BTreeMap<(i64, String), Vec<SliceHeader>> = BTreeMap::new();
    let mut others: BTreeMap<&'static str, usize> = BTreeMap::new();
    let (mut n_files, mut n_damaged) = (0, 0);
    let mut refused = None;
    for content in contents {
        n_files += 1;
        match content {
            Content::Foreign => n_files -= 1,
            Content::Damaged => n_damaged += 1,
            Content::MultiFrame => refused = Some(Unusable::MultiFrame),
            Content::Undecodable(reason) => refused = Some(reason),
            Content::Other(what) => *others.entry(what).or_default() += 1,
            Content::Slice(slice) => {
                let key = (slice.series_number, slice.series_uid.clone());
                series.entry(key).or_default().push(*slice);
            }
        }
    }
    if n_files == 0 {
        return Err(Unusable::NoDicom);
    }
    // It may be a slice of the very series: without it the volume would have a gap.
    if n_damaged > 0 {
        return Err(Unusable::DamagedDicom { n: n_damaged, n_files });
    }
    let n_series = series.len();
    let largest = series.into_values().rev().max_by_key(Vec::len);
    let Some(slices) = largest else {
        let found: Vec<String> = others.iter().map(|(what, n)| format!("{n} {what}")).collect();
        return Err(refused.unwrap_or(Unusable::NoSeries { found: found.join(", ") }));
    };
    if let Some(refused) = slices.iter().find_map(|slice| slice.transfer_syntax.clone().err()) {
        return Err(refused);
    }
    Ok(Chosen { slices, n_other_series: n_series - 1 })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn slice(series_number: i64, uid: &str) -> Content {
        Content::Slice(Box::new(SliceHeader {
            path: "slice".into(),
            series_uid: uid.to_owned(),
            series_number,
            transfer_syntax: Ok(()),
            n_rows: 4,
            n_columns: 4,
            pixel_spacing_mm: [1.0; 2],
            orientation: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            position_mm: [0.0; 3],
            convolution_kernel: None,
            acquired: None,
        }))
    }

    #[test]
    fn the_largest_series_and_of_equal_ones_the_lowest_number() {
        let contents = vec![
            Content::Foreign,
            slice(7, "a"),
            slice(3, "b"),
            Content::Other("localizers"),
            slice(3, "b"),
            slice(5, "c"),
            slice(5, "c"),
        ];
        let chosen = choose(contents).unwrap();
        assert_eq!((chosen.slices.len(), chosen.n_other_series), (2, 2));
        assert!(chosen.slices.iter().all(|s| s.series_uid == "b"));
    }

    #[test]
    fn without_a_series_the_reason_says_what_was_there() {
        let found = choose(vec![Content::Other("localizers"), Content::Other("localizers")]);
        assert_eq!(found.unwrap_err(), Unusable::NoSeries { found: "2 localizers".to_owned() });
        assert_eq!(choose(vec![Content::Foreign]).unwrap_err(), Unusable::NoDicom);
        assert_eq!(choose(vec![Content::MultiFrame]).unwrap_err(), Unusable::MultiFrame);
        let damaged = choose(vec![slice(1, "a"), Content::Damaged]).unwrap_err();
        assert_eq!(damaged, Unusable::DamagedDicom { n: 1, n_files: 2 });
    }
}
