//! A candidate that a script trains: what the script is given, and what is kept of what it leaves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use arrow::array::RecordBatch;
use lw_core::{Ctx, Error, Result, RunId, Schema};
use lw_engine::from_arrow_schema;
use lw_tracking::{Batch, Tracking};
use lw_training::{
    Candidate as CandidateDefinition, DEFAULT_INTERPRETER, DEFAULT_TIMEOUT, PythonStep, ScriptMetric, Trained, code_of,
};

use super::Step;
use super::train::{Fitting, LOGGED_POINTS, cores};
use crate::code::scripts;
use crate::examples::LABEL;
use crate::operations::N_SLOTS;
use crate::workspace::Workspace;

/// What a script left beside its model, until it is kept.
#[derive(Debug)]
pub struct Left {
    metrics: BTreeMap<String, Vec<ScriptMetric>>,
    /// By the name under which a file becomes an artifact of the run.
    files: BTreeMap<String, PathBuf>,
    directory: PathBuf,
}

/// Where the script of a run works.
pub fn directory(workspace: &Workspace, run: &RunId) -> PathBuf {
    workspace.directory().join("runs").join(run.as_str())
}

/// The path of a script's log among the artifacts of its run.
const LOG: &str = "script/log.txt";

/// Runs the script from the applied project on the training examples, the newest of them apart.
pub async fn run(fitting: &Fitting<'_>, train: &RecordBatch) -> Result<(Trained, Left)> {
    let (workspace, candidate) = (fitting.workspace, fitting.candidate);
    let schema = from_arrow_schema(&train.schema())?;
    let field = |name: &String| {
        schema.field(name).cloned().ok_or_else(|| Error::bug(format!("input `{name}` is not in the training set")))
    };
    let inputs = Schema(fitting.model.inputs.iter().map(field).collect::<Result<_>>()?);
    let directory = directory(workspace, fitting.run);
    let script = candidate.script.as_deref().unwrap_or_default();
    let (train, valid) = hold_back(train, candidate.validation_share());
    let ran = PythonStep {
        script,
        code: &code_of(script, &scripts(&fitting.project.bundle)),
        project: &fitting.project.bundle.root,
        interpreter: candidate.python.as_deref().unwrap_or(DEFAULT_INTERPRETER),
        directory: &directory,
        train: std::slice::from_ref(&train),
        valid: valid.as_ref().map(std::slice::from_ref),
        inputs: &inputs,
        label: LABEL,
        task: fitting.model.task,
        params: &candidate.params,
        seed: fitting.model.train.seed,
        run_id: fitting.run,
        n_threads: (cores() / N_SLOTS).max(1),
        timeout: candidate.timeout.unwrap_or(DEFAULT_TIMEOUT),
        environment: &BTreeMap::new(),
    }
    .run()
    .await;
    // The examples are in the training set; a second copy of them stays nowhere.
    for rows in ["train.parquet", "valid.parquet"] {
        let _ = std::fs::remove_file(directory.join(rows));
    }
    let output = ran?;
    let trained = output.trained.ok_or_else(|| {
        lw_training::failures::PYTHON_OUTPUT
            .error(format!("script of candidate `{}` left no model.onnx", candidate.name))
            .hint("write it to the folder in LOOPWRIGHT_OUTPUT_MODEL")
    })?;
    let others = output.files.into_iter().filter(|(name, _)| name != "model.onnx");
    let mut files: BTreeMap<String, PathBuf> = others.map(|(name, path)| (format!("script/{name}"), path)).collect();
    files.insert(LOG.to_owned(), output.log);
    Ok((trained, Left { metrics: output.metrics, files, directory }))
}

/// What prints the versions of the interpreter and of every package that it finds.
const VERSIONS: &str = "import importlib.metadata as m, json, platform
found = {d.metadata['Name'].lower(): d.version for d in m.distributions() if d.metadata['Name']}
print(json.dumps({**found, 'python': platform.python_version()}))";

/// How long an interpreter may take to say what it has.
const VERSIONS_WITHIN: Duration = Duration::from_secs(20);

/// The versions of Python and of its packages, as the interpreter of a candidate finds them. Nothing if it does not say: what keeps the
/// interpreter from running is told when the script runs.
pub async fn versions(project: &Path, candidate: &CandidateDefinition) -> BTreeMap<String, String> {
    let interpreter = candidate.python.as_deref().unwrap_or(DEFAULT_INTERPRETER);
    let interpreter = if interpreter.contains('/') { project.join(interpreter) } else { PathBuf::from(interpreter) };
    let mut command = tokio::process::Command::new(interpreter);
    command.args(["-c", VERSIONS]).current_dir(project).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(VERSIONS_WITHIN, command.output()).await {
        Ok(Ok(output)) => serde_json::from_slice(&output.stdout).unwrap_or_default(),
        Ok(Err(_)) | Err(_) => BTreeMap::new(),
    }
}

/// Lines of a script's output that a run's log shows; all of them are an artifact of the tracked run.
const SHOWN_LINES: usize = 500;

/// Copies the last lines that a script printed to the log of the pipeline's run.
pub fn show_log(step: &Step, run: &RunId) {
    let Ok(bytes) = std::fs::read(directory(&step.workspace, run).join("log.txt")) else {
        return;
    };
    let text = String::from_utf8_lossy(&bytes);
    let n_skipped = text.lines().count().saturating_sub(SHOWN_LINES);
    if n_skipped > 0 {
        step.log(format!("… {n_skipped} lines before these are in {LOG} of tracked run {run}"));
    }
    text.lines().skip(n_skipped).for_each(|line| step.log(line));
}

/// All rows but the newest share, and those; rows are in the order of their time.
fn hold_back(rows: &RecordBatch, share: f64) -> (RecordBatch, Option<RecordBatch>) {
    let n_newest = (rows.num_rows() as f64 * share) as usize;
    let n_older = rows.num_rows() - n_newest;
    if n_newest == 0 || n_older == 0 {
        return (rows.clone(), None);
    }
    (rows.slice(0, n_older), Some(rows.slice(n_older, n_newest)))
}

impl Left {
    /// Logs metrics and files to the run, and clears the directory.
    pub async fn keep(self, workspace: &Workspace, ctx: &Ctx, run: &RunId) -> Result<()> {
        let tracking = Tracking::new(workspace.store().clone());
        let points = self.metrics.iter().flat_map(|(name, points)| points.iter().map(move |point| (name, point)));
        let points: Vec<_> = points.collect();
        for some in points.chunks(LOGGED_POINTS) {
            let add =
                |batch: Batch, (name, point): &(&String, &ScriptMetric)| batch.metric(name, point.value, ctx.now(), point.step);
            tracking.log(ctx, run, some.iter().fold(Batch::default(), add)).await?;
        }
        for (name, path) in &self.files {
            keep_file(workspace, ctx, run, name, path).await?;
        }
        self.discard();
        Ok(())
    }

    /// Clears the directory.
    pub fn discard(self) {
        // What cannot be removed is in nobody's way.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Keeps the log of a script that failed.
pub async fn keep_log(workspace: &Workspace, ctx: &Ctx, run: &RunId) -> Result<()> {
    let log = directory(workspace, run).join("log.txt");
    if log.is_file() { keep_file(workspace, ctx, run, LOG, &log).await } else { Ok(()) }
}

async fn keep_file(workspace: &Workspace, ctx: &Ctx, run: &RunId, name: &str, path: &Path) -> Result<()> {
    let bytes = tokio::fs::read(path).await.map_err(|error| {
        let error_text = format!("`{}` cannot be read", path.display());
        lw_training::failures::TRAINING_FILE
            .error(error_text)
            .hint("check the workspace's free space and permissions")
            .cause(error)
    })?;
    let n_bytes = bytes.len() as u64;
    let digest = workspace.artifacts().put(bytes).await?;
    Tracking::new(workspace.store().clone()).log_artifact(ctx, run, name, digest, n_bytes).await
}
