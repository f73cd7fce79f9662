//! Names that tell no patient.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use hemex_stage::digest;

use crate::IngestError;
use crate::layout::Source;

/// Hexadecimal digits of a pseudonym.
const N_DIGITS: usize = 10;

/// Bytes of an image that go into the key: many more than anyone could guess.
const KEY_BYTES: u64 = 16 << 10;

/// A case under its pseudonyms.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NamedSource {
    pub(crate) case_id: String,
    pub(crate) patient_id: String,
    /// Of the patient.
    pub(crate) key: Key,
    pub(crate) source: Source,
}

/// What makes pseudonyms of a patient's names. It leads from a guessed name to its pseudonym, so it is kept
/// in the artifact `private` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// SHA-256 over the seed, the names of the patient's cases and bytes from the middle of each image: the
    /// same whatever other patients there are, so that a run can be repeated and added to, and out of reach
    /// of whoever does not have the images (the seed is no secret, and names can be guessed).
    fn of(cases: &[Source], seed: u64) -> Self {
        let mut by_name: Vec<&Source> = cases.iter().collect();
        by_name.sort_by(|a, b| a.id.cmp(&b.id));
        let parts = by_name.into_iter().map(|source| {
            let image = source.scan.as_ref().ok().and_then(|scan| scan.image.first_file());
            // What cannot be read adds nothing; the case will say so.
            let middle = image.and_then(|path| middle_of(path).ok()).unwrap_or_default();
            digest::bytes(&[source.id.as_bytes(), &[0], &middle].concat())
        });
        let text = std::iter::once(seed.to_string()).chain(parts).collect::<Vec<_>>().join("\0");
        Self(digest::bytes(text.as_bytes()))
    }

    /// The key in hexadecimal digits.
    pub(crate) fn as_hex(&self) -> &str {
        &self.0
    }

    fn pseudonym(&self, kind: &str, name: &str) -> String {
        let digest = digest::bytes(format!("{}\0{kind}\0{name}", self.0).as_bytes());
        format!("{kind}-{}", &digest[..N_DIGITS])
    }
}

/// At most [`KEY_BYTES`] from the middle of a file: there an image shows the head, not air.
fn middle_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let start = (file.metadata()?.len() / 2).saturating_sub(KEY_BYTES / 2);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(KEY_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Gives every source its pseudonyms, `case-` and `patient-` with digits of SHA-256 over its patient's key
/// and its name, and sorts by them, so that not even the order tells a name.
///
/// # Errors
/// [`IngestError::Collision`] if two names get one pseudonym.
pub(crate) fn named(sources: Vec<Source>, seed: u64) -> Result<Vec<NamedSource>, IngestError> {
    let mut patients: BTreeMap<String, Vec<Source>> = BTreeMap::new();
    for source in sources {
        patients.entry(source.patient.clone()).or_default().push(source);
    }
    let (mut named, mut patient_ids) = (Vec::new(), BTreeSet::new());
    for (patient, cases) in patients {
        let key = Key::of(&cases, seed);
        let patient_id = key.pseudonym("patient", &patient);
        if !patient_ids.insert(patient_id.clone()) {
            return Err(collision(patient_id));
        }
        named.extend(cases.into_iter().map(|source| NamedSource {
            case_id: key.pseudonym("case", &source.id),
            patient_id: patient_id.clone(),
            key: key.clone(),
            source,
        }));
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::Unusable;
    use crate::layout::{Clinical, ImageFiles, LabelScheme, Scan};

    fn source(id: &str, patient: &str, scan: Result<Scan, Unusable>) -> Source {
        let (id, patient) = (id.to_owned(), patient.to_owned());
        Source { id, patient, path: String::new(), scan }
    }

    fn without_scan(id: &str, patient: &str) -> Source {
        source(id, patient, Err(Unusable::NoBaseline))
    }

    #[test]
    fn pseudonyms_depend_on_seed_and_patient_alone() {
        let sources =
            || vec![without_scan("a", "p"), without_scan("b", "p"), without_scan("c", "q")];
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
        // A patient more leaves the others as they were.
        let more = sources().into_iter().chain([without_scan("d", "r")]).collect();
        let more = named(more, 1).unwrap();
        assert!(first.iter().all(|named| more.contains(named)));
    }

    #[test]
    fn the_key_takes_the_images_to_know() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ct.nii.gz");
        let key = |middle: u8| {
            let mut bytes = vec![0; 100_000];
            bytes[50_000] = middle;
            std::fs::write(&path, bytes).unwrap();
            let scan = Scan {
                image: ImageFiles::Nifti(path.clone()),
                baseline_mask: None,
                followup_mask: None,
                followup_image: Ok(None),
                twin: None,
                labels: LabelScheme::Own,
                clinical: Clinical::default(),
            };
            Key::of(&[source("a", "p", Ok(scan))], 1)
        };
        assert_ne!(key(0), key(1));
        assert_eq!(key(1), key(1));
        assert_eq!(key(1).as_hex().len(), 64);
    }
}
