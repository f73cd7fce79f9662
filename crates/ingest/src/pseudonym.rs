//! Names that tell no patient.

use std::collections::BTreeMap;

use hemex_stage::digest;

use crate::IngestError;
use crate::layout::Source;

/// Hexadecimal digits of a pseudonym.
const N_DIGITS: usize = 10;

/// A case under its pseudonyms.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NamedSource {
    pub(crate) case_id: String,
    pub(crate) patient_id: String,
    pub(crate) source: Source,
}

/// Gives every source its pseudonyms, `case-` and `patient-` with digits of SHA-256 over seed and name,
/// and sorts by them, so that not even the order tells a name.
///
/// # Errors
/// [`IngestError::Collision`] if two names get one pseudonym.
pub(crate) fn named(sources: Vec<Source>, seed: u64) -> Result<Vec<NamedSource>, IngestError> {
    let mut patients: BTreeMap<String, String> = BTreeMap::new();
    let mut named = Vec::with_capacity(sources.len());
    for source in sources {
        let case_id = pseudonym("case", seed, &source.id);
        let patient_id = pseudonym("patient", seed, &source.patient);
        let known = patients.entry(patient_id.clone()).or_insert_with(|| source.patient.clone());
        if *known != source.patient {
            return Err(collision(patient_id));
        }
        named.push(NamedSource { case_id, patient_id, source });
    }
    named.sort_by(|a, b| a.case_id.cmp(&b.case_id));
    match named.windows(2).find(|pair| pair[0].case_id == pair[1].case_id) {
        Some(pair) => Err(collision(pair[0].case_id.clone())),
        None => Ok(named),
    }
}

fn collision(pseudonym: String) -> IngestError {
    let cause = "by chance, two digests begin alike; take another seed";
    IngestError::Collision { pseudonym, cause }
}

fn pseudonym(kind: &str, seed: u64, name: &str) -> String {
    let digest = digest::bytes(format!("{seed}\0{kind}\0{name}").as_bytes());
    format!("{kind}-{}", &digest[..N_DIGITS])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::Unusable;

    fn source(id: &str, patient: &str) -> Source {
        let (id, patient) = (id.to_owned(), patient.to_owned());
        Source { id, patient, path: String::new(), scan: Err(Unusable::NoBaseline) }
    }

    #[test]
    fn pseudonyms_depend_on_seed_and_name_alone() {
        let sources = || vec![source("a", "p"), source("b", "p"), source("c", "q")];
        let first = named(sources(), 1).unwrap();
        let mut reversed = sources();
        reversed.reverse();
        assert_eq!(named(reversed, 1).unwrap(), first);
        assert_ne!(named(sources(), 2).unwrap()[0].case_id, first[0].case_id);
        let of = |id: &str| first.iter().find(|n| n.source.id == id).unwrap();
        assert_eq!(of("a").patient_id, of("b").patient_id);
        assert_ne!(of("a").patient_id, of("c").patient_id);
        assert!(first.is_sorted_by(|a, b| a.case_id < b.case_id));
        for name in &first {
            let digits = name.case_id.strip_prefix("case-").unwrap();
            assert!(digits.len() == 10 && digits.chars().all(|c| c.is_ascii_hexdigit()));
        }
    }
}
