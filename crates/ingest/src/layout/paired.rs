//! Public datasets whose images and masks lie in two folders under the same names.

use std::collections::BTreeMap;
use std::path::Path;

use hemex_volume::Lesion;

use super::clinical::by_participant;
use super::folder::{list, nifti_stem, relative};
use super::{Clinical, ImageFiles, LabelScheme, Scan, Source};
use crate::{IngestError, LayoutChoice, Unusable};

/// nnU-Net's and the Decathlon's description of a dataset.
const DATASET: &str = "dataset.json";

/// One of these layouts.
struct Pairs {
    layout: &'static str,
    /// Folders of images, each with that of its masks if it has any.
    folders: &'static [(&'static str, Option<&'static str>)],
    /// What an image's name has behind its mask's.
    channel: &'static str,
    masks: Masks,
}

/// What the masks' labels mean.
enum Masks {
    /// As `dataset.json` names them.
    Named,
    /// Bleeding of any kind.
    Binary,
    /// Each label's own meaning.
    Known(&'static [(u8, Lesion)]),
}

const NNUNET: Pairs = Pairs {
    layout: "nnunet",
    folders: &[("imagesTr", Some("labelsTr")), ("imagesTs", None)],
    channel: "_0000",
    masks: Masks::Named,
};

const MSD: Pairs = Pairs {
    layout: "msd",
    folders: &[("imagesTr", Some("labelsTr")), ("imagesTs", None)],
    channel: "",
    masks: Masks::Named,
};

/// PhysioNet CT-ICH 1.3.1 (Hssayeni et al., Data 5, 2020, 14).
const CT_ICH: Pairs = Pairs {
    layout: "ct_ich",
    folders: &[("ct_scans", Some("masks"))],
    channel: "",
    masks: Masks::Binary,
};

/// INSTANCE 2022 (Li et al., Medical Image Analysis 88, 2023).
const INSTANCE: Pairs = Pairs {
    layout: "instance",
    folders: &[("data", Some("label"))],
    channel: "",
    masks: Masks::Binary,
};

/// BHSD (Wu et al., arXiv 2308.11298): extradural, intraparenchymal, intraventricular, subarachnoid,
/// subdural.
const BHSD: Pairs = Pairs {
    layout: "bhsd",
    folders: &[("images", Some("ground truths"))],
    channel: "",
    masks: Masks::Known(&[
        (1, Lesion::ExtraAxial),
        (2, Lesion::Intraparenchymal),
        (3, Lesion::Intraventricular),
        (4, Lesion::ExtraAxial),
        (5, Lesion::ExtraAxial),
    ]),
};

/// Which of these layouts the folder has, by its folders.
pub(super) fn recognise(root: &Path) -> Option<LayoutChoice> {
    let has = |name: &str| root.join(name).is_dir();
    if root.join(DATASET).is_file() && has("imagesTr") {
        let names = list(&root.join("imagesTr"), "auto").ok()?.files;
        let mut stems = names.iter().filter_map(|(name, _)| nifti_stem(name));
        let all_have = stems.all(|stem| stem.ends_with(NNUNET.channel));
        return Some(if all_have { LayoutChoice::Nnunet } else { LayoutChoice::Msd });
    }
    let both = |pairs: &Pairs| {
        pairs.folders.iter().all(|(images, masks)| has(images) && masks.is_none_or(&has))
    };
    match () {
        () if both(&CT_ICH) => Some(LayoutChoice::CtIch),
        () if both(&INSTANCE) => Some(LayoutChoice::Instance),
        () if both(&BHSD) => Some(LayoutChoice::Bhsd),
        () => None,
    }
}

/// The cases of a dataset in one of these layouts, and its name; `None` for another choice.
pub(super) fn discover(
    root: &Path,
    choice: LayoutChoice,
) -> Option<(&'static str, Result<Vec<Source>, IngestError>)> {
    let pairs = match choice {
        LayoutChoice::Nnunet => NNUNET,
        LayoutChoice::Msd => MSD,
        LayoutChoice::CtIch => CT_ICH,
        LayoutChoice::Instance => INSTANCE,
        LayoutChoice::Bhsd => BHSD,
        LayoutChoice::Auto
        | LayoutChoice::Bids
        | LayoutChoice::Table
        | LayoutChoice::Flat
        | LayoutChoice::Dicom => return None,
    };
    Some((pairs.layout, pairs.sources(root)))
}

impl Pairs {
    fn sources(&self, root: &Path) -> Result<Vec<Source>, IngestError> {
        let labels = self.scheme(root)?;
        let mut clinical = by_participant(root, str::to_owned)?;
        let mut sources = Vec::new();
        for (images, masks) in self.folders {
            if !root.join(images).is_dir() {
                continue;
            }
            for (name, path) in list(&root.join(images), self.layout)?.files {
                let Some(stem) = nifti_stem(&name) else { continue };
                let id = stem.strip_suffix(self.channel).unwrap_or(stem).to_owned();
                let mask = masks.and_then(|masks| {
                    [".nii.gz", ".nii"]
                        .map(|ending| root.join(masks).join(format!("{id}{ending}")))
                        .into_iter()
                        .find(|path| path.is_file())
                });
                let clinical = clinical.remove(&id).unwrap_or_else(|| Ok(Clinical::default()));
                let place = relative(root, &path);
                let patient = clinical.as_ref().ok().and_then(|clinical| clinical.patient.clone());
                let patient = patient.unwrap_or_else(|| id.clone());
                let scan = clinical.map(|clinical| Scan {
                    image: ImageFiles::Nifti(path),
                    baseline_mask: mask,
                    followup_mask: None,
                    followup_image: Ok(None),
                    twin: None,
                    labels: labels.clone(),
                    clinical,
                });
                // A network of several channels has several images a case.
                let scan = match stem.strip_suffix(self.channel) {
                    Some(_) => scan,
                    None => Err(Unusable::Ambiguous { what: "baseline CT", n: 2 }),
                };
                sources.push(Source { patient, id, path: place, scan });
            }
        }
        Ok(sources)
    }

    fn scheme(&self, root: &Path) -> Result<LabelScheme, IngestError> {
        match self.masks {
            Masks::Binary => Ok(LabelScheme::Binary),
            Masks::Known(pairs) => Ok(LabelScheme::Map(pairs.to_vec())),
            Masks::Named => named(root, self.layout),
        }
    }
}

/// The labels of `dataset.json` by their names.
fn named(root: &Path, layout: &'static str) -> Result<LabelScheme, IngestError> {
    let problem = |problem: String| IngestError::Dataset { layout, problem };
    let text = std::fs::read(root.join(DATASET))
        .map_err(|e| problem(format!("{DATASET} cannot be read ({})", e.kind())))?;
    let json: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|e| problem(format!("{DATASET} is no JSON (line {})", e.line())))?;
    let Some(labels) = json["labels"].as_object() else {
        return Err(problem(format!("{DATASET} has no table `labels`")));
    };
    let mut map = BTreeMap::new();
    for (key, value) in labels {
        // Version 2 of nnU-Net writes names to numbers, version 1 and the Decathlon numbers to names.
        let found = match (key.parse::<u8>(), value.as_str(), value.as_u64()) {
            (Ok(number), Some(name), _) => Some((number, name)),
            (Err(_), _, Some(number)) => u8::try_from(number).ok().map(|n| (n, key.as_str())),
            _ => None,
        };
        let Some((number, name)) = found else {
            return Err(problem(format!("`labels` of {DATASET} are no names of numbers to 255")));
        };
        if number == 0 {
            continue;
        }
        let Some(lesion) = lesion(name) else {
            let hint = "expected a word for intraparenchymal, intraventricular or extra-axial blood \
                        or edema";
            return Err(problem(format!(
                "the label {number} of {DATASET} has an unknown name; {hint}"
            )));
        };
        map.insert(number, lesion);
    }
    Ok(LabelScheme::Map(map.into_iter().collect()))
}

/// The lesion that a label's name means; plain "hemorrhage" is intraparenchymal, as ICH data has it.
fn lesion(name: &str) -> Option<Lesion> {
    const WORDS: [(Lesion, &[&str]); 4] = [
        (Lesion::Intraventricular, &["ivh", "intraventricular"]),
        (Lesion::Edema, &["edema", "oedema", "phe"]),
        (
            Lesion::ExtraAxial,
            &[
                "edh",
                "sdh",
                "sah",
                "eah",
                "epidural",
                "extradural",
                "subdural",
                "subarachnoid",
                "extra-axial",
            ],
        ),
        (
            Lesion::Intraparenchymal,
            &[
                "iph",
                "ich",
                "intraparenchymal",
                "intracerebral",
                "hemorrhage",
                "haemorrhage",
                "hematoma",
                "haematoma",
                "lesion",
            ],
        ),
    ];
    let name = name.to_lowercase();
    let means = |words: &[&str]| words.iter().any(|word| name.contains(word));
    WORDS.iter().find(|(_, words)| means(words)).map(|(lesion, _)| *lesion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_labels_are_understood() {
        assert_eq!(lesion("IPH"), Some(Lesion::Intraparenchymal));
        assert_eq!(lesion("Intraventricular hemorrhage"), Some(Lesion::Intraventricular));
        assert_eq!(lesion("perihematomal edema"), Some(Lesion::Edema));
        assert_eq!(lesion("subdural hematoma"), Some(Lesion::ExtraAxial));
        assert_eq!(lesion("liver"), None);
    }
}
