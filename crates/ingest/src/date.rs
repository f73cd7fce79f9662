//! When a scan was made, as text that sorts.

/// A date, and the time as far as it is told, as digits down to the second that sort as times do: of `20211229093000.5`,
/// `20211229T0930`, `2021-12-29T09:30:00Z` and `2021/1/2 9:30` alike. `None` for what does not begin with a date of the
/// calendar, year first.
pub(crate) fn digits(text: &str) -> Option<String> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let first = parts.next()?;
    let (date, run) = match first.split_at_checked(8) {
        Some((date, run)) => (date.to_owned(), run),
        // A month or a day may have been written with one digit.
        None if first.len() == 4 => {
            (format!("{first}{:0>2}{:0>2}", parts.next()?, parts.next()?), "")
        }
        None => return None,
    };
    let time = std::iter::once(run).filter(|run| !run.is_empty()).chain(parts);
    let time: String = time.map(|part| format!("{part:0>2}")).collect();
    // A fraction of a second and a zone follow.
    let time = time.get(..6).unwrap_or(&time);
    is_of_calendar(&date).then(|| date + time)
}

/// Whether eight digits are a year, a month and a day that there was.
fn is_of_calendar(date: &str) -> bool {
    let number = |range: std::ops::Range<usize>| date.get(range)?.parse::<u32>().ok();
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(4..6), number(6..date.len()))
    else {
        return false;
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let n_days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(is_leap),
        _ => 0,
    };
    (1900..2200).contains(&year) && date.len() == 8 && (1..=n_days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn dates_are_told_however_they_are_written() {
        for (text, expected) in [
            ("20211229", Some("20211229")),
            ("20211229093000.5", Some("20211229093000")),
            ("20211229T093000.123456", Some("20211229093000")),
            ("20211229T", Some("20211229")),
            ("2021-12-29T09:30:00Z", Some("20211229093000")),
            ("2021-12-29T09:30:00.5+01:00", Some("20211229093000")),
            ("2021/1/12 9:30", Some("202101120930")),
            ("2021/12/5 8:00", Some("202112050800")),
            ("2020-02-29", Some("20200229")),
            ("2021-02-29", None),
            ("20210431", None),
            ("1/12/2021", None),
            ("29.12.2021", None),
            ("2021-13-01", None),
            ("2021-1", None),
            ("2021-123-4", None),
            ("2021129", None),
            ("12", None),
            ("at night", None),
        ] {
            assert_eq!(digits(text).as_deref(), expected, "{text}");
        }
    }
}
