use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// hemex: from raw head CT to a report on hematoma expansion.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a pipeline; what is finished is not run again
    Pipeline(PipelineArgs),
    /// Write the request of a task, to start its program by hand
    Request(RequestArgs),
    /// Where an artifact comes from, back to the raw data, and why its task ran
    Explain(ExplainArgs),
    /// What one run's report says beside another's: paired differences
    Compare(CompareArgs),
    /// Formatting, lints, documentation, the crate graph, pipelines and configs
    Check,
    /// The tests of the workspace or of one crate
    Test(CrateArgs),
    /// Compare golden figures of crates, or of trained networks, with what is computed now
    Regress(RegressArgs),
    /// Read 100,000 damaged NIfTI and 20,000 damaged DICOM files
    Mutate,
    /// Contact sheets of the phantom and of the augmentation, as PNG
    Gallery(GalleryArgs),
    /// Criterion benches: of a crate, or those whose name holds NAME
    Bench(BenchArgs),
}

#[derive(Debug, Default, Args)]
pub(crate) struct PipelineArgs {
    /// A file of pipelines/ without its ending, or any pipeline file
    #[arg(default_value = "demo")]
    pub(crate) pipeline: String,
    /// Bind an external input, for instance raw=DIR
    #[arg(long, value_name = "INPUT=DIR")]
    pub(crate) data: Vec<String>,
    /// Run the tasks of this stage alone
    #[arg(long, value_name = "STAGE", conflicts_with = "from")]
    pub(crate) only: Option<String>,
    /// Run this stage and those that follow it
    #[arg(long, value_name = "STAGE")]
    pub(crate) from: Option<String>,
    /// Change a value of a stage's config, its seed or its matrix: train.seed=2
    #[arg(long, value_name = "STAGE.KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Tasks at a time [default: one a core]
    #[arg(long)]
    pub(crate) jobs: Option<usize>,
    /// Device of the stages that use one: cpu, cuda:0, wgpu
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Say what would run and why, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run even what is finished
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Hash inputs and finished artifacts anew instead of trusting size and time
    #[arg(long)]
    pub(crate) verify: bool,
    /// Where finished tasks are kept
    #[arg(long, value_name = "DIR")]
    pub(crate) runs: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// A file of pipelines/ without its ending, or any pipeline file
    pub(crate) pipeline: String,
    /// The stage; the first of its tasks that --set leaves
    pub(crate) stage: String,
    /// A folder for the request, and for what the program writes
    pub(crate) folder: PathBuf,
    /// Bind an external input, for instance raw=DIR
    #[arg(long, value_name = "INPUT=DIR")]
    pub(crate) data: Vec<String>,
    /// Change a value of a stage's config, its seed or its matrix: 'train.matrix.arm=["full"]'
    #[arg(long, value_name = "STAGE.KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Tasks at a time, as in the run whose results the task takes [default: one a core]
    #[arg(long)]
    pub(crate) jobs: Option<usize>,
    /// Device of the stages that use one: cpu, cuda:0, wgpu
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Where finished tasks are kept
    #[arg(long, value_name = "DIR")]
    pub(crate) runs: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// An artifact or any file in it
    pub(crate) path: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// A finished report, or the run that holds it
    pub(crate) first: PathBuf,
    /// Another; figures are this one minus the first
    pub(crate) second: PathBuf,
    /// A page, or Markdown on stdout
    #[arg(long, value_enum, default_value_t = CompareFormat::Html)]
    pub(crate) format: CompareFormat,
    /// Fail unless the second run is shown to be as good but for this much AUROC and mean Dice
    #[arg(long, value_name = "MARGIN")]
    pub(crate) margin: Option<f64>,
    /// Where the page goes
    #[arg(long, value_name = "FILE", default_value = "compare.html")]
    pub(crate) out: PathBuf,
}

/// How a comparison is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CompareFormat {
    /// One self-contained page
    Html,
    /// Markdown, for a pull request
    Md,
}

#[derive(Debug, Args)]
pub(crate) struct CrateArgs {
    /// One crate, by its folder's name
    #[arg(short, long = "package", value_name = "CRATE")]
    pub(crate) package: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RegressArgs {
    /// One crate, by its folder's name
    #[arg(short, long = "package", value_name = "CRATE")]
    pub(crate) package: Option<String>,
    /// Rewrite the golden figures
    #[arg(long)]
    pub(crate) update: bool,
    /// What the demo's networks reach instead, against a golden report: the demo is run first
    #[arg(long, conflicts_with = "package")]
    pub(crate) trained: bool,
    /// Where finished tasks of the demo are kept
    #[arg(long, value_name = "DIR", requires = "trained")]
    pub(crate) runs: Option<PathBuf>,
    /// Take this finished report instead of running the demo
    #[arg(long, value_name = "DIR", requires = "trained", conflicts_with = "runs")]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct GalleryArgs {
    /// Where the pictures go [default: target/gallery]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// A crate, a workload (w1, w2, w3, w4, w5, w6, w7, w8) or part of a bench's name
    pub(crate) name: Option<String>,
    /// Run a workload in turn with this command and print the ratio; it prints a line
    /// {"workload": "w1", "ms": 206}, or several of which the fastest counts
    #[arg(long, value_name = "COMMAND", requires = "name")]
    pub(crate) peer: Option<String>,
    /// How often each of the two is run
    #[arg(long, default_value_t = 5, requires = "peer")]
    pub(crate) rounds: usize,
}
