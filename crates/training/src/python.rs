//! A Python step: any script with any library, which is given Parquet files and hands back an ONNX model or other files.
//!
//! The script needs no library of ours. It reads its surroundings from the environment:
//!
//! | variable | content |
//! |---|---|
//! | `LOOPWRIGHT_INPUT_TRAIN`, `LOOPWRIGHT_INPUT_VALID` | Parquet files with the rows; the second one only if rows are held back |
//! | `LOOPWRIGHT_OUTPUT_MODEL` | the directory to write `model.onnx` and, if wanted, `metrics.json` and other files to |
//! | `LOOPWRIGHT_PARAMS` | a JSON file with the candidate's `params`; each is an argument `--name value`, too |
//! | `LOOPWRIGHT_INPUTS`, `LOOPWRIGHT_LABEL`, `LOOPWRIGHT_TASK` | the model's inputs in order (comma-separated), its label column, its task |
//! | `LOOPWRIGHT_SEED`, `PYTHONHASHSEED` | the seed |
//! | `LOOPWRIGHT_RUN_ID` | the run that the step belongs to |
//! | `OMP_NUM_THREADS` and its like | how many threads to use |

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use arrow::array::RecordBatch;
use lw_core::{Result, RunId, Schema, Span};
use lw_stats::Task;
use parquet::arrow::ArrowWriter;
use tokio::process::{Child, Command};

use crate::definition::Params;
use crate::failures::{PYTHON_FAILED, PYTHON_MISSING, PYTHON_OUTPUT, PYTHON_SCRIPT_MISSING, PYTHON_TIMEOUT, TRAINING_FILE};
use crate::signature::model_of_script;
use crate::trained::Trained;
use crate::trainer::THREAD_WAIT;

/// One run of a script.
#[derive(Debug, Clone)]
pub struct PythonStep<'a> {
    /// Relative to `project`, which is the working directory of the script.
    pub script: &'a str,
    pub project: &'a Path,
    /// A name to look up on the PATH, or a path with a slash, relative to `project`.
    pub interpreter: &'a str,
    /// Where inputs, outputs and log are put. Made if missing; must hold no outputs yet.
    pub directory: &'a Path,
    pub train: &'a [RecordBatch],
    pub valid: Option<&'a [RecordBatch]>,
    /// The model's inputs with their types, in order.
    pub inputs: &'a Schema,
    pub label: &'a str,
    pub task: Task,
    pub params: &'a Params,
    pub seed: u64,
    pub run_id: &'a RunId,
    pub n_threads: usize,
    pub timeout: Span,
    /// More variables for the script, such as `MLFLOW_TRACKING_URI`.
    pub environment: &'a BTreeMap<String, String>,
}

/// What a script left.
#[derive(Debug, Clone)]
pub struct PythonOutput {
    /// From `model.onnx`, if there is one.
    pub trained: Option<Trained>,
    /// All files of the output directory, by their path within it.
    pub files: BTreeMap<String, PathBuf>,
    /// From `metrics.json`, if there is one.
    pub metrics: BTreeMap<String, f64>,
    /// Everything that the script wrote to its standard output and error.
    pub log: PathBuf,
}

/// The interpreter of a candidate that names none.
pub const DEFAULT_INTERPRETER: &str = "python3";
/// How long the script of a candidate may run that does not say.
pub const DEFAULT_TIMEOUT: Span = Span::from_hours(1);

const N_LOG_LINES: usize = 20;
const THREAD_VARIABLES: [&str; 4] = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"];

impl PythonStep<'_> {
    /// Runs the script to its end. If the future is dropped, the script and all that it started are killed.
    ///
    /// # Errors
    /// `python-missing` or `python-script-missing` if there is nothing to run, `python-failed` with the last lines of the log if it ends
    /// with an error, `python-timeout` if it runs too long, `python-output` if it leaves no model or one that does not fit the inputs.
    pub async fn run(&self) -> Result<PythonOutput> {
        let script = self.project.join(self.script);
        if !script.is_file() {
            let error = PYTHON_SCRIPT_MISSING.error(format!("there is no script `{}` in the project", self.script));
            return Err(error.hint("write its path relative to the project, like `script: train.py`"));
        }
        let output = self.directory.join("model");
        let environment = self.prepare(&output)?;
        let log = self.directory.join("log.txt");
        let mut group = self.start(&script, &environment, &log)?;
        let waited = tokio::time::timeout(self.timeout.to_std(), group.child.wait()).await;
        let Ok(status) = waited else {
            group.kill().await;
            let error =
                PYTHON_TIMEOUT.error(format!("script `{}` ran longer than {}{}", self.script, self.timeout, last_lines(&log)));
            return Err(error.hint("give the candidate a longer `timeout`, or make the script do less"));
        };
        group.id = None;
        let status = status.map_err(|error| file_error("waiting for the script failed", error))?;
        if !status.success() {
            let error =
                PYTHON_FAILED.error(format!("script `{}` ended with {}{}", self.script, describe(status), last_lines(&log)));
            return Err(error.hint(format!("see its log in {}", log.display())));
        }
        self.collect(&output, log)
    }

    /// Writes the inputs and returns the variables that tell of them.
    fn prepare(&self, output: &Path) -> Result<BTreeMap<String, String>> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
        fs::create_dir_all(output).map_err(|error| file_error("the step's directory cannot be made", error))?;
        let (train, params) = (self.directory.join("train.parquet"), self.directory.join("params.json"));
        write_parquet(&train, self.train)?;
        let text = serde_json::to_string_pretty(self.params).expect("parameters are plain JSON");
        fs::write(&params, text).map_err(|error| file_error("the parameters cannot be written", error))?;

        let mut variables = BTreeMap::from([
            ("LOOPWRIGHT_RUN_ID", self.run_id.to_string()),
            ("LOOPWRIGHT_INPUT_TRAIN", absolute(&train)),
            ("LOOPWRIGHT_OUTPUT_MODEL", absolute(output)),
            ("LOOPWRIGHT_PARAMS", absolute(&params)),
            ("LOOPWRIGHT_INPUTS", self.inputs.names().collect::<Vec<_>>().join(",")),
            ("LOOPWRIGHT_LABEL", self.label.to_owned()),
            ("LOOPWRIGHT_TASK", task_name(self.task).to_owned()),
            ("LOOPWRIGHT_SEED", self.seed.to_string()),
            // Python takes seeds of hashes up to 2^32.
            ("PYTHONHASHSEED", (self.seed % (1 << 32)).to_string()),
            ("PYTHONUNBUFFERED", "1".to_owned()),
            (THREAD_WAIT.0, THREAD_WAIT.1.to_owned()),
        ]);
        if let Some(valid) = self.valid {
            let path = self.directory.join("valid.parquet");
            write_parquet(&path, valid)?;
            variables.insert("LOOPWRIGHT_INPUT_VALID", absolute(&path));
        }
        for name in THREAD_VARIABLES {
            variables.insert(name, self.n_threads.max(1).to_string());
        }
        let own = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
        Ok(self.environment.clone().into_iter().chain(own).collect())
    }

    fn start(&self, script: &Path, environment: &BTreeMap<String, String>, log: &Path) -> Result<ProcessGroup> {
        let log = File::create(log).map_err(|error| file_error("the log cannot be made", error))?;
        let second = log.try_clone().map_err(|error| file_error("the log cannot be made", error))?;
        let interpreter = match self.interpreter.contains('/') {
            true => self.project.join(self.interpreter).into_os_string(),
            false => self.interpreter.into(),
        };
        let mut command = Command::new(interpreter);
        command.arg(script);
        for (name, value) in self.params {
            command.arg(format!("--{name}")).arg(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        // Settings of the platform itself, its token among them, are none of the script's business.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LOOPWRIGHT_") {
                command.env_remove(name);
            }
        }
        command.envs(environment).current_dir(self.project).process_group(0);
        command.stdin(Stdio::null()).stdout(log).stderr(second).kill_on_drop(true);
        let child = command.spawn().map_err(|error| {
            let message = format!("the Python interpreter `{}` cannot be started", self.interpreter);
            PYTHON_MISSING.error(message).hint("install it, or name another one, like `python: .venv/bin/python`").cause(error)
        })?;
        Ok(ProcessGroup { id: child.id(), child })
    }

    fn collect(&self, output: &Path, log: PathBuf) -> Result<PythonOutput> {
        let mut files = BTreeMap::new();
        list_files(output, output, &mut files).map_err(|error| file_error("the step's output cannot be listed", error))?;
        let metrics = match files.get("metrics.json") {
            Some(path) => read_metrics(path)?,
            None => BTreeMap::new(),
        };
        let trained = match files.get("model.onnx") {
            Some(path) => {
                let bytes = fs::read(path).map_err(|error| file_error("model.onnx cannot be read", error))?;
                Some(model_of_script(self, bytes)?)
            }
            None => None,
        };
        if files.keys().all(|name| name == "metrics.json") {
            let error = PYTHON_OUTPUT.error(format!("script `{}` left no model", self.script));
            return Err(error.hint("write the model to os.environ['LOOPWRIGHT_OUTPUT_MODEL'] + '/model.onnx'"));
        }
        Ok(PythonOutput { trained, files, metrics, log })
    }
}

/// A process and all that it started. Killed together when dropped before the end.
struct ProcessGroup {
    child: Child,
    /// None once it has ended.
    id: Option<u32>,
}

impl ProcessGroup {
    /// Kills the processes and waits until the first of them is gone.
    async fn kill(&mut self) {
        self.signal();
        // If there is no shell to send the signal, this one process dies at least.
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
    }

    fn signal(&mut self) {
        if let Some(id) = self.id.take() {
            // The shell's `kill`, because the system call is `unsafe` here.
            let kill = format!("kill -9 -{id}");
            let _ = std::process::Command::new("sh").args(["-c", &kill]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal();
    }
}

fn file_error(what: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> lw_core::Error {
    TRAINING_FILE.error(what).hint("check the workspace's free space and permissions").cause(cause)
}

fn task_name(task: Task) -> &'static str {
    match task {
        Task::BinaryClassification => "binary_classification",
        Task::Regression => "regression",
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

/// The end of the log, to be put after a message.
fn last_lines(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.trim_end().lines().rev().take(N_LOG_LINES).collect();
    if lines.is_empty() {
        return "; it wrote nothing".to_owned();
    }
    let shown: Vec<String> = lines.into_iter().rev().map(|line| line.chars().take(300).collect()).collect();
    format!("; its last lines:\n{}", shown.join("\n"))
}

fn write_parquet(path: &Path, batches: &[RecordBatch]) -> Result<()> {
    let Some(first) = batches.first() else {
        return Err(crate::failures::TRAINING_DATA
            .error("there are no rows to give to the script")
            .hint("train on a longer `window`"));
    };
    let file = File::create(path).map_err(|error| file_error("a Parquet file cannot be made", error))?;
    let failed = |error| file_error("a Parquet file cannot be written", error);
    let mut writer = ArrowWriter::try_new(file, first.schema(), None).map_err(failed)?;
    for batch in batches {
        writer.write(batch).map_err(failed)?;
    }
    writer.close().map(drop).map_err(failed)
}

fn list_files(root: &Path, directory: &Path, into: &mut BTreeMap<String, PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Links are left out: they could lead anywhere.
        let kind = entry.file_type()?;
        let path = entry.path();
        if kind.is_dir() {
            list_files(root, &path, into)?;
        } else if kind.is_file() {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            into.insert(name, path);
        }
    }
    Ok(())
}

fn read_metrics(path: &Path) -> Result<BTreeMap<String, f64>> {
    let text = fs::read(path).map_err(|error| file_error("metrics.json cannot be read", error))?;
    serde_json::from_slice(&text).map_err(|error| {
        let error_text = "metrics.json of the script is not an object of names and numbers";
        PYTHON_OUTPUT.error(error_text).hint(r#"write it like {"auc": 0.73, "log_loss": 0.51}"#).cause(error)
    })
}
