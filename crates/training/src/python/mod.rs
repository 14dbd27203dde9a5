//! A Python step: any script with any library, which is given Parquet files and hands back an ONNX model or other files.
//!
//! The script runs from the texts of the applied project, written into an empty directory. It needs no library of ours and reads its
//! surroundings from the environment:
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

mod code;
mod leash;
mod metrics;
mod process;

pub use code::code_of;
pub use leash::Leash;
pub use metrics::ScriptMetric;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use lw_core::{Result, RunId, Schema, Span};
use lw_stats::Task;
use parquet::arrow::ArrowWriter;

use self::code::write_code;
use self::metrics::read_metrics;
use self::process::{ProcessGroup, describe, last_lines};
use crate::definition::Params;
use crate::failures::{PYTHON_FAILED, PYTHON_OUTPUT, PYTHON_TIMEOUT, TRAINING_FILE};
use crate::signature::model_of_script;
use crate::trained::Trained;
use crate::trainer::THREAD_WAIT;

/// One run of a script.
#[derive(Debug, Clone)]
pub struct PythonStep<'a> {
    /// One of `code`.
    pub script: &'a str,
    /// The texts that the script runs from, by path; the working directory holds nothing else.
    pub code: &'a BTreeMap<String, String>,
    /// A name to look up on the PATH, or a path with a slash, relative to `project`.
    pub interpreter: &'a str,
    pub project: &'a Path,
    /// Where code, inputs, outputs and log are put. Made if missing; must hold no outputs yet.
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
    pub metrics: BTreeMap<String, Vec<ScriptMetric>>,
    /// Everything that the script wrote to its standard output and error.
    pub log: PathBuf,
}

/// The interpreter of a candidate that names none.
pub const DEFAULT_INTERPRETER: &str = "python3";
/// How long the script of a candidate may run that does not say.
pub const DEFAULT_TIMEOUT: Span = Span::from_hours(1);

const THREAD_VARIABLES: [&str; 4] = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"];

impl PythonStep<'_> {
    /// Runs the script to its end. If the future is dropped, the script and all that it started are killed.
    ///
    /// # Errors
    /// `python-missing` or `python-script-missing` if there is nothing to run, `python-failed` with the last lines of the log if it ends
    /// with an error, `python-timeout` if it runs too long, `python-output` if it leaves no model or one that does not fit the inputs.
    pub async fn run(&self) -> Result<PythonOutput> {
        let (code, output) = (self.directory.join("code"), self.directory.join("model"));
        write_code(self.script, self.code, &code)?;
        let environment = self.prepare(&output)?;
        let log = self.directory.join("log.txt");
        let mut group = ProcessGroup::start(self, &absolute(&code), &environment, &log)?;
        let waited = tokio::time::timeout(self.timeout.to_std(), group.wait()).await;
        let Ok(status) = waited else {
            group.kill().await;
            let error =
                PYTHON_TIMEOUT.error(format!("script `{}` ran longer than {}{}", self.script, self.timeout, last_lines(&log)));
            return Err(error.hint("give the candidate a longer `timeout`, or make the script do less"));
        };
        let status = status?;
        if !status.success() {
            let error =
                PYTHON_FAILED.error(format!("script `{}` ended with {}{}", self.script, describe(status), last_lines(&log)));
            return Err(error.hint(format!("see its log in {}", log.display())));
        }
        self.collect(&output, log)
    }

    /// Writes the inputs and returns the variables that tell of them.
    fn prepare(&self, output: &Path) -> Result<BTreeMap<String, String>> {
        fs::create_dir_all(output).map_err(|error| file_error("the step's directory cannot be made", error))?;
        let (train, params) = (self.directory.join("train.parquet"), self.directory.join("params.json"));
        let shown = |path: &Path| absolute(path).display().to_string();
        write_parquet(&train, self.train)?;
        let text = serde_json::to_string_pretty(self.params).expect("parameters are plain JSON");
        fs::write(&params, text).map_err(|error| file_error("the parameters cannot be written", error))?;

        let mut variables = BTreeMap::from([
            ("LOOPWRIGHT_RUN_ID", self.run_id.to_string()),
            ("LOOPWRIGHT_INPUT_TRAIN", shown(&train)),
            ("LOOPWRIGHT_OUTPUT_MODEL", shown(output)),
            ("LOOPWRIGHT_PARAMS", shown(&params)),
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
            variables.insert("LOOPWRIGHT_INPUT_VALID", shown(&path));
        }
        for name in THREAD_VARIABLES {
            variables.insert(name, self.n_threads.max(1).to_string());
        }
        let own = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
        Ok(self.environment.clone().into_iter().chain(own).collect())
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

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
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
