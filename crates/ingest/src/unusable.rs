use std::fmt;

use hemex_artifacts::ArtifactError;

/// Why a case is left out. The text goes into `exclusions.csv`: it holds no name, path or date.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// Nothing to read.
    #[error("no baseline CT found")]
    NoBaseline,
    /// A link to another place.
    #[error("a file of it is a link out of the dataset's folder; put the file in its place")]
    LinkOut,
    /// More than one file where one is meant.
    #[error("{n} files could be its {what}, expected one")]
    Ambiguous {
        /// `baseline CT`, `baseline mask`, `follow-up CT`, `follow-up mask`, `lesion-free twin`.
        what: &'static str,
        /// How many there are.
        n: usize,
    },
    /// A cell that does not hold what its column says.
    #[error("{table} line {line}, column `{column}`: expected {expected}")]
    Cell {
        /// The table.
        table: String,
        /// Its line, from 1.
        line: usize,
        /// The column.
        column: String,
        /// What is allowed there.
        expected: &'static str,
    },
    /// Two rows for one case.
    #[error("{table} has two rows for it, lines {} and {}", .lines[0], .lines[1])]
    TwoRows {
        /// The table.
        table: String,
        /// The two lines, from 1.
        lines: [usize; 2],
    },
    /// A file that is no volume, or no sound one.
    #[error("{what}: {problem}")]
    Volume {
        /// `baseline CT`, `baseline mask`, `follow-up CT`, `follow-up mask`, `lesion-free twin`.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A folder of other things.
    #[error("no DICOM file in its folder")]
    NoDicom,
    /// DICOM files that end too early or hold nonsense.
    #[error("{n} of {n_files} DICOM files cannot be read: cut short or damaged")]
    DamagedDicom {
        /// How many.
        n: usize,
        /// Of how many.
        n_files: usize,
    },
    /// DICOM files without a series that can be used.
    #[error("no axial CT series among its DICOM files, only {found}")]
    NoSeries {
        /// What they are, counted.
        found: String,
    },
    /// Compressed in a way that is not decoded.
    #[error(
        "transfer syntax {name} ({uid}) is not decoded; convert the files first, \
         for instance with `gdcmconv --raw IN OUT`"
    )]
    TransferSyntax {
        /// Its name.
        name: &'static str,
        /// Its UID.
        uid: String,
    },
    /// The process that reads DICOM found a reason.
    #[error("{problem}")]
    Reported {
        /// The reason's text.
        problem: String,
    },
    /// The process that reads DICOM was of no use.
    #[error("DICOM: {problem}")]
    Worker {
        /// What became of it.
        problem: String,
    },
    /// Something about the pixels or tags of the series.
    #[error("DICOM series: {problem}")]
    Series {
        /// What is wrong and what was expected.
        problem: String,
    },
    /// Slices that make no even stack.
    #[error("DICOM series: {}", joined(.problems))]
    Stack {
        /// All that is wrong.
        problems: Vec<StackProblem>,
    },
    /// Nothing that could be a head.
    #[error("no head found: the largest object over −300 HU has {largest_ml:.0} mL")]
    NoHead {
        /// Volume of the largest object.
        largest_ml: f64,
    },
    /// The inside of the skull is too small or too large.
    #[error(
        "no brain found: the inside of the skull has {brain_ml:.0} mL, \
         expected {} to {} mL (`brain_ml`); are the values HU?", .limits_ml[0], .limits_ml[1]
    )]
    NoBrain {
        /// What was found.
        brain_ml: f64,
        /// What the config allows.
        limits_ml: [f64; 2],
    },
    /// A reader stopped in a way that it should not.
    #[error("its files are damaged in a way that the reader did not expect")]
    Panic,
}

/// What is wrong with the positions of a series' slices.
#[derive(Debug, Clone, PartialEq)]
pub enum StackProblem {
    /// One slice, or one position, makes no volume.
    Single,
    /// Slices at one position that do not show the same.
    Duplicates {
        /// How many more than one a position.
        n: usize,
    },
    /// Steps that are whole multiples of the smallest.
    Missing {
        /// How many slices are missing.
        n: usize,
        /// The distances found, mm, each once.
        distances_mm: Vec<f64>,
    },
    /// Steps that differ.
    Uneven {
        /// The distances found, mm, each once.
        distances_mm: Vec<f64>,
    },
    /// Neighbours so far apart that what lies between is not known.
    Gap {
        /// The widest distance, mm.
        gap_mm: f64,
        /// What the config allows.
        max_gap_mm: f64,
    },
    /// Slices shifted against each other within their plane in another way than a tilt does.
    Shifted {
        /// How far, mm.
        off_mm: f64,
    },
}

impl fmt::Display for StackProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single => write!(f, "a single slice position"),
            Self::Duplicates { n } => {
                write!(f, "{n} slices at a position where another shows something else")
            }
            Self::Missing { n, distances_mm } => {
                write!(f, "{n} missing slices (distances {} mm)", list(distances_mm))
            }
            Self::Uneven { distances_mm } => {
                let distances = list(distances_mm);
                write!(f, "uneven slice distances ({distances} mm)")
            }
            Self::Gap { gap_mm, max_gap_mm } => {
                write!(f, "a gap of {gap_mm:.1} mm, over {max_gap_mm:.1} mm (`dicom.max_gap_mm`)")
            }
            Self::Shifted { off_mm } => {
                write!(f, "slices shifted aside by up to {off_mm:.1} mm, by no tilt")
            }
        }
    }
}

fn joined(problems: &[StackProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn list(distances_mm: &[f64]) -> String {
    const MOST: usize = 6;
    let mut texts: Vec<String> = distances_mm.iter().map(|d| format!("{d:.2}")).collect();
    if texts.len() > MOST {
        texts.truncate(MOST);
        texts.push("…".to_owned());
    }
    texts.join(", ")
}

/// The name of a head scanned without its hematoma.
pub(crate) const TWIN: &str = "lesion-free twin";

/// The name of the scan that tells whether the hematoma grew.
pub(crate) const FOLLOWUP: &str = "follow-up CT";

impl Unusable {
    /// The reason behind a file of the dataset that cannot be read, without the file's path.
    pub(crate) fn volume(what: &'static str, error: &ArtifactError) -> Self {
        Self::Volume { what, problem: error.without_path() }
    }

    /// The same reason of another scan of the case (`what`), which is read as a baseline CT is.
    pub(crate) fn of(self, what: &'static str) -> Self {
        let problem = match self {
            Self::Volume { problem, .. } => problem,
            other => other.to_string(),
        };
        Self::Volume { what, problem }
    }

    /// A problem of the DICOM series' tags or pixels.
    pub(crate) fn series(problem: impl Into<String>) -> Self {
        Self::Series { problem: problem.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_hold_no_path() {
        let path = std::path::PathBuf::from("/data/sub-Miller/scan.nii");
        let io = ArtifactError::Io {
            path: path.clone(),
            source: std::io::Error::from(std::io::ErrorKind::NotFound),
        };
        let nifti = ArtifactError::Nifti { path, problem: "cut short".to_owned() };
        for error in [io, nifti] {
            assert!(error.to_string().contains("Miller"));
            let text = Unusable::volume("baseline CT", &error).to_string();
            assert!(!text.contains("Miller") && text.starts_with("baseline CT: "), "{text}");
        }
    }

    #[test]
    fn all_problems_of_a_stack_are_named() {
        let stack = Unusable::Stack {
            problems: vec![
                StackProblem::Shifted { off_mm: 18.5 },
                StackProblem::Uneven { distances_mm: vec![1.084, 4.0, 7.0] },
            ],
        };
        let text = stack.to_string();
        assert!(text.contains("18.5 mm") && text.contains("1.08, 4.00, 7.00 mm"), "{text}");
    }
}
