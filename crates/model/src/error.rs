use std::path::PathBuf;

/// What can go wrong when a network is described, kept or applied.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A network's config that cannot be built.
    #[error("`{key}`: expected {expected}, found {found}")]
    Spec {
        /// Key within the network's config.
        key: &'static str,
        /// What is allowed.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A device that this build does not know.
    #[error("device `{found}`: this build knows {known}")]
    Device {
        /// What was asked for.
        found: String,
        /// What there is, and how to get more.
        known: String,
    },
    /// Weights that cannot be written or do not fit the network.
    #[error("{path}: {problem}")]
    Weights {
        /// The weights' file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A tensor could not be read back from its device.
    #[error("cannot read the network's output: {problem}")]
    Output {
        /// What the backend says.
        problem: String,
    },
}
