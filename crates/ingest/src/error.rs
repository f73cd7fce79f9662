use hemex_artifacts::{ArtifactError, Regime};

/// What stops the stage. What costs a single case is [`crate::Unusable`].
///
/// Files of the dataset are named relative to its folder and only where their name tells no patient.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The dataset cannot be listed or holds nothing.
    #[error("the dataset cannot be used as layout `{layout}`: {problem}")]
    Dataset {
        /// The layout it was read as.
        layout: &'static str,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// A table of the dataset is no table.
    #[error("{table} of the dataset: {problem}")]
    Table {
        /// Its name below the dataset's folder.
        table: String,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// `truth.json` of a phantom does not hold what it should.
    #[error("truth.json of the dataset: {problem}")]
    Truth {
        /// Line and cause.
        problem: String,
    },
    /// Two sources have one pseudonym.
    #[error("the pseudonym {pseudonym} stands for two sources: {cause}")]
    Collision {
        /// The pseudonym.
        pseudonym: String,
        /// Why, and what to do.
        cause: &'static str,
    },
    /// One image under two ids.
    #[error(
        "cases {} and {} of the dataset, counted by name, hold the same image: one scan under two ids \
         could train and test; remove one of them", .places[0], .places[1]
    )]
    SameImage {
        /// Their places in the order of their names, from 1.
        places: [usize; 2],
    },
    /// No scan is left.
    #[error("none of {n} scans can be used:\n{reasons}")]
    NoCases {
        /// How many there were.
        n: usize,
        /// How many for which reason, a line each.
        reasons: String,
    },
    /// A fold that nothing can be trained on.
    #[error("regime `{}`, fold {fold}: {problem}", .regime.name())]
    Split {
        /// The regime.
        regime: Regime,
        /// The fold.
        fold: usize,
        /// What is missing, and what to do.
        problem: String,
    },
    /// An output cannot be written.
    #[error(transparent)]
    Output(#[from] ArtifactError),
    /// An output folder cannot be made.
    #[error("{path}: {source}")]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
