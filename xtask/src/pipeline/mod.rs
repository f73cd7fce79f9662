//! `cargo xtask pipeline`: plans the tasks of a pipeline file and runs what is not finished.

mod build;
mod child;
mod code;
mod display;
mod execute;
mod file;
mod folds;
mod locate;
mod overrides;
mod plan;
mod signals;
mod task;
mod vary;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hemex_stage::RunStore;
use hemex_stage::digest::{self, DigestMemory};
use hemex_stage::suggest::did_you_mean;
use hemex_stage::validate::validate;

pub(crate) use file::{Pipeline, read_config};
use plan::{External, Plan};
use serde_json::Value;
use task::State;
pub(crate) use task::title;

use crate::cli::{PipelineArgs, RequestArgs};
use crate::workspace;

/// A pipeline with the state of its tasks.
struct Planned {
    plan: Plan,
    states: Vec<State>,
    selection: BTreeSet<String>,
    store: RunStore,
    metadata: Value,
    n_threads: usize,
}

fn planned(arguments: &PipelineArgs) -> Result<Planned> {
    let path = find(&arguments.pipeline)?;
    let mut pipeline = Pipeline::read(&path)?;
    overrides::apply(&mut pipeline, &arguments.set)?;
    let selection = pipeline.select(arguments.only.as_deref(), arguments.from.as_deref())?;
    let runs = arguments.runs.clone().unwrap_or_else(|| workspace::root().join("runs"));
    let store = RunStore::open(&runs)?;
    let externals = bind(&pipeline, &arguments.data, &store, arguments.verify)?;
    let metadata = workspace::metadata()?;
    let codes = code::digests(&pipeline, &metadata)?;
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let n_jobs = arguments.jobs.unwrap_or(n_threads).clamp(1, n_threads.max(1) * 4);
    let plan = Plan::new(pipeline, externals, codes, arguments, n_jobs, n_threads)?;
    let states = plan.states(&store, &selection, arguments.fresh, arguments.verify)?;
    Ok(Planned { plan, states, selection, store, metadata, n_threads })
}

/// Runs the command; gives the folder of the finished report, if the pipeline ends in one.
pub(crate) fn run(arguments: &PipelineArgs) -> Result<Option<PathBuf>> {
    let Planned { plan, states, selection, store, metadata, n_threads } = planned(arguments)?;
    display::print_plan(&plan, &states, &store);
    if arguments.dry_run {
        return Ok(None);
    }
    plan.check_selection(&states, &selection)?;
    let programs = build::programs(&plan, &states, &selection, &metadata)?;
    build::check_configs(&plan, &states, &programs, &store)?;
    execute::execute(&plan, states, &selection, arguments.fresh, &programs, &store, n_threads)
}

/// Writes the request of the first task of a stage whose inputs are finished.
pub(crate) fn write_request(arguments: RequestArgs) -> Result<()> {
    let RequestArgs { pipeline, stage, folder, data, set, jobs, device, runs } = arguments;
    let arguments =
        PipelineArgs { pipeline, data, set, jobs, device, runs, ..PipelineArgs::default() };
    let Planned { plan, states, store, metadata, .. } = planned(&arguments)?;
    let name = &plan.pipeline.stage(&stage)?.name;
    let mut tasks = (0..plan.tasks.len()).filter(|task| plan.stage_of(*task).name == *name);
    let task = tasks.next().with_context(|| format!("stage `{stage}` has no task"))?;
    if let State::Waits { reason } = &states[task] {
        bail!("{} {reason}: run the pipeline up to it first", plan.title(task));
    }
    let folder = std::path::absolute(&folder)?;
    let request = plan.request(task, &states, &store, &folder);
    let outputs = request.outputs.values().map(|output| output.path.clone());
    for place in outputs.chain([request.scratch.clone()]) {
        let made = std::fs::create_dir_all(&place);
        made.with_context(|| format!("cannot make {}", place.display()))?;
    }
    let path = folder.join("request.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&request)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let program = build::program(plan.stage_of(task), &metadata)?;
    println!("{}: {} {}", plan.title(task), program.join(" "), path.display());
    println!("a stage of this workspace is built by cargo build --release --workspace --bins");
    Ok(())
}

/// The pipeline file of that name or path.
pub(crate) fn find(name: &str) -> Result<PathBuf> {
    let folder = workspace::root().join("pipelines");
    let named = folder.join(format!("{name}.toml"));
    if named.is_file() {
        return Ok(named);
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|ending| ending == "toml") && path.is_file() {
        return Ok(path.canonicalize()?);
    }
    let names: Vec<String> = std::fs::read_dir(&folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .flatten()
        .filter_map(|entry| Some(entry.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    let hint = did_you_mean(name, names.iter().map(String::as_str));
    bail!("there is no pipeline `{name}` in pipelines/ and no such file{hint}");
}

/// Binds `--data` to the pipeline's inputs and digests what they hold.
fn bind(
    pipeline: &Pipeline,
    data: &[String],
    store: &RunStore,
    verify: bool,
) -> Result<BTreeMap<String, External>> {
    let mut folders = BTreeMap::new();
    for binding in data {
        let Some((name, folder)) = binding.split_once('=') else {
            bail!("--data {binding}: expected INPUT=DIR");
        };
        if !pipeline.inputs.contains_key(name) {
            let hint = did_you_mean(name, pipeline.inputs.keys().map(String::as_str));
            bail!("--data {binding}: {} has no input `{name}`{hint}", pipeline.path.display());
        }
        let folder = Path::new(folder)
            .canonicalize()
            .with_context(|| format!("--data {binding}: cannot open the folder"))?;
        folders.insert(name.to_owned(), folder);
    }
    let remembered = store.root().join(".digests.json");
    let mut memory = if verify { DigestMemory::default() } else { DigestMemory::load(&remembered) };
    let mut externals = BTreeMap::new();
    for (name, kind) in &pipeline.inputs {
        let Some(folder) = folders.remove(name) else {
            let file = pipeline.path.display();
            bail!("{file} needs its input `{name}` ({kind}): add --data {name}=DIR");
        };
        validate(*kind, &folder).with_context(|| format!("--data {name}"))?;
        let records = digest::folder(&folder, Some(&mut memory))
            .with_context(|| format!("cannot read {}", folder.display()))?;
        let digest = digest::of_records(&records);
        externals.insert(name.clone(), External { folder, kind: *kind, digest });
    }
    // Under a name of its own first: a run beside this one may save at the same moment.
    let own = store.root().join(format!(".digests-{}.json", std::process::id()));
    memory
        .save(&own)
        .and_then(|()| std::fs::rename(&own, &remembered))
        .context("cannot keep the digests of the inputs")?;
    Ok(externals)
}
