//! Python steps: what a script is given, what is taken from it, and how it can fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lw_core::{Result, RunId, Span};
use lw_stats::Task;
use lw_training::failures::{PYTHON_FAILED, PYTHON_MISSING, PYTHON_OUTPUT, PYTHON_SCRIPT_MISSING, PYTHON_TIMEOUT};
use lw_training::{DEFAULT_INTERPRETER, Fit, Params, PythonOutput, PythonStep, ScriptMetric, Trainer, train};
use serde_json::{Value, json};

use crate::rows::{INPUTS, data_of, flights};

struct Project {
    /// Nothing of it is seen by a script that is not told where it is.
    directory: tempfile::TempDir,
    code: BTreeMap<String, String>,
    interpreter: String,
    timeout: Span,
}

impl Project {
    fn with_script(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let code = BTreeMap::from([("scripts/train.py".to_owned(), text.to_owned())]);
        Self { directory, code, interpreter: DEFAULT_INTERPRETER.to_owned(), timeout: Span::from_secs(60) }
    }

    fn step(&self) -> PathBuf {
        self.directory.path().join("step")
    }

    async fn run(&self, params: Value, inputs: &[&str]) -> Result<PythonOutput> {
        let (rows, newer) = (flights(200, 1), flights(50, 2));
        let data = data_of(rows.clone(), inputs, "late", Task::BinaryClassification).unwrap();
        let params: Params = serde_json::from_value(params).unwrap();
        let run_id = RunId::parse("0123456789abcdef0123456789abcdef").unwrap();
        let step = PythonStep {
            script: "scripts/train.py",
            code: &self.code,
            project: self.directory.path(),
            interpreter: &self.interpreter,
            directory: &self.step(),
            train: &[rows],
            valid: Some(&[newer]),
            inputs: &data.inputs(),
            label: "late",
            task: Task::BinaryClassification,
            params: &params,
            seed: 42,
            run_id: &run_id,
            n_threads: 2,
            timeout: self.timeout,
            environment: &BTreeMap::from([
                ("MLFLOW_TRACKING_URI".to_owned(), "http://127.0.0.1:1".to_owned()),
                ("PROJECT".to_owned(), self.directory.path().display().to_string()),
            ]),
        };
        step.run().await
    }
}

/// Writes everything it is told to metrics.json's side, and a file as its model.
const TELLS: &str = r#"
import json, os, pathlib, sys
output = pathlib.Path(os.environ["LOOPWRIGHT_OUTPUT_MODEL"])
told = {name: value for name, value in os.environ.items() if name.startswith(("LOOPWRIGHT_", "MLFLOW_", "OMP_", "PYTHONHASH"))}
told["params"] = json.loads(pathlib.Path(os.environ["LOOPWRIGHT_PARAMS"]).read_text())
told["arguments"] = sys.argv[1:]
told["magic"] = [pathlib.Path(os.environ["LOOPWRIGHT_INPUT_" + name]).read_bytes()[:4].decode() for name in ("TRAIN", "VALID")]
told["directory"] = os.getcwd()
told["code"] = sorted(str(path) for path in pathlib.Path(".").rglob("*"))
(output / "told.json").write_text(json.dumps(told))
(output / "weights").mkdir()
(output / "weights" / "a.bin").write_bytes(b"123")
(output / "metrics.json").write_text('{"auc": 0.75}')
print("trained")
print("and warned", file=sys.stderr)
"#;

#[tokio::test]
async fn a_script_is_told_everything_and_its_files_are_taken() {
    let project = Project::with_script(TELLS);
    let output = project.run(json!({"depth": 3, "kind": "extra trees"}), &INPUTS).await.unwrap();
    assert_eq!(output.files.keys().map(String::as_str).collect::<Vec<_>>(), ["metrics.json", "told.json", "weights/a.bin"]);
    assert_eq!(output.metrics, BTreeMap::from([("auc".to_owned(), vec![ScriptMetric { step: 0, value: 0.75 }])]));
    assert!(output.trained.is_none());
    assert_eq!(std::fs::read_to_string(&output.log).unwrap(), "trained\nand warned\n");

    let told: Value = serde_json::from_slice(&std::fs::read(&output.files["told.json"]).unwrap()).unwrap();
    for (name, value) in [
        ("LOOPWRIGHT_RUN_ID", "0123456789abcdef0123456789abcdef"),
        ("LOOPWRIGHT_INPUTS", "hour,delay_before,carrier,tailnum,weekend"),
        ("LOOPWRIGHT_LABEL", "late"),
        ("LOOPWRIGHT_TASK", "binary_classification"),
        ("LOOPWRIGHT_SEED", "42"),
        ("PYTHONHASHSEED", "42"),
        ("OMP_NUM_THREADS", "2"),
        ("MLFLOW_TRACKING_URI", "http://127.0.0.1:1"),
    ] {
        assert_eq!(told[name], json!(value), "{name}");
    }
    assert_eq!(told["params"], json!({"depth": 3, "kind": "extra trees"}));
    assert_eq!(told["arguments"], json!(["--depth", "3", "--kind", "extra trees"]));
    assert_eq!(told["magic"], json!(["PAR1", "PAR1"]));
    assert_eq!(
        Path::new(told["directory"].as_str().unwrap()).canonicalize().unwrap(),
        project.step().join("code").canonicalize().unwrap()
    );
    assert_eq!(told["code"], json!(["scripts", "scripts/train.py"]), "the step has a working directory of its own");
}

#[tokio::test]
async fn a_script_imports_the_files_it_was_applied_with() {
    let text = "import sys\nfrom lib.sizes import SIZE\nprint(SIZE)\nimport os\nopen(os.environ['LOOPWRIGHT_OUTPUT_MODEL'] + '/a', 'w').write('a')\n";
    let mut project = Project::with_script(text);
    project.code.insert("scripts/lib/sizes.py".to_owned(), "SIZE = 12\n".to_owned());
    std::fs::create_dir_all(project.directory.path().join("scripts/lib")).unwrap();
    std::fs::write(project.directory.path().join("scripts/lib/sizes.py"), "SIZE = 99\n").unwrap();
    let output = project.run(json!({}), &INPUTS).await.unwrap();
    assert_eq!(std::fs::read_to_string(&output.log).unwrap(), "12\n");

    project.code.insert("../outside.py".to_owned(), String::new());
    let error = project.run(json!({}), &INPUTS).await.unwrap_err();
    assert!(error.message().contains("leads out of it"), "{error}");
    assert!(!project.directory.path().join("step/outside.py").exists());
}

#[tokio::test]
async fn a_script_that_fails_is_quoted() {
    let project = Project::with_script("print('reading')\nraise ValueError('no such column: hours')\n");
    let error = project.run(json!({}), &INPUTS).await.unwrap_err();
    assert!(error.is(PYTHON_FAILED), "{error}");
    assert!(error.message().contains("exit code 1") && error.message().ends_with("ValueError: no such column: hours"), "{error}");
    assert!(error.message().contains("reading"));
}

#[tokio::test]
async fn a_script_that_runs_too_long_is_killed_with_its_children() {
    let script = r#"
import os, pathlib, subprocess, time
child = subprocess.Popen(["sleep", "300"])
pathlib.Path(os.environ["PROJECT"], "pids").write_text(f"{os.getpid()} {child.pid}")
print("started", flush=True)
time.sleep(300)
"#;
    let mut project = Project::with_script(script);
    project.timeout = Span::from_secs(3);
    let error = project.run(json!({}), &INPUTS).await.unwrap_err();
    assert!(error.is(PYTHON_TIMEOUT) && error.message().contains("longer than 3s; its last lines:\nstarted"), "{error}");
    let pids = std::fs::read_to_string(project.directory.path().join("pids")).unwrap();
    let ends = std::time::Instant::now() + std::time::Duration::from_secs(20);
    for pid in pids.split(' ') {
        // A killed process is gone, or a zombie until whoever it belongs to looks at it; dying takes it a moment.
        let is_alive = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|state| !state.contains(") Z "));
        while is_alive() {
            assert!(std::time::Instant::now() < ends, "process {pid} still runs");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_step_that_is_given_up_ends_its_script() {
    let script =
        "import os, pathlib, time\npathlib.Path(os.environ['PROJECT'], 'pid').write_text(str(os.getpid()))\ntime.sleep(300)\n";
    let project = Project::with_script(script);
    let pid = project.directory.path().join("pid");
    let has_started = async {
        while std::fs::read_to_string(&pid).unwrap_or_default().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = project.run(json!({}), &INPUTS) => panic!("the script ended: {ended:?}"),
        () = has_started => {}
    }
    let stat = format!("/proc/{}/stat", std::fs::read_to_string(&pid).unwrap());
    let ends = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while std::fs::read_to_string(&stat).is_ok_and(|state| !state.contains(") Z ")) {
        assert!(std::time::Instant::now() < ends, "the script still runs");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let mut project = Project::with_script("");
    project.interpreter = "no-such-python".to_owned();
    let error = project.run(json!({}), &INPUTS).await.unwrap_err();
    assert!(error.is(PYTHON_MISSING) && error.message().contains("`no-such-python`"), "{error}");
    assert!(error.hint_text().unwrap().contains("python: .venv/bin/python"));

    let mut project = Project::with_script("");
    project.code.clear();
    assert!(project.run(json!({}), &INPUTS).await.unwrap_err().is(PYTHON_SCRIPT_MISSING));
}

#[tokio::test]
async fn a_script_that_leaves_nothing_or_nonsense_is_refused() {
    #[track_caller]
    fn check(found: Result<PythonOutput>, message: &str) {
        let error = found.unwrap_err();
        assert!(error.message().contains(message), "{error}");
    }
    check(Project::with_script("").run(json!({}), &INPUTS).await, "left no model");
    let write = |name: &str, content: &str| {
        format!("import os\nopen(os.environ['LOOPWRIGHT_OUTPUT_MODEL'] + '/{name}', 'w').write('''{content}''')\n")
    };
    check(Project::with_script(&write("model.onnx", "hello")).run(json!({}), &INPUTS).await, "not an ONNX model");
    check(
        Project::with_script(&write("metrics.json", r#"{"auc": "high"}"#)).run(json!({}), &INPUTS).await,
        "`auc` of metrics.json is a text",
    );
}

/// What a data scientist would write: scikit-learn over columns, exported with an input a column.
const SKLEARN: &str = r#"
import json, os, pathlib
import pyarrow.parquet
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

output = pathlib.Path(os.environ["LOOPWRIGHT_OUTPUT_MODEL"])
label = os.environ["LOOPWRIGHT_LABEL"]
rows = pyarrow.parquet.read_table(os.environ["LOOPWRIGHT_INPUT_TRAIN"]).to_pandas()
rows["hour"] = rows["hour"].astype("float32")
rows["delay_before"] = rows["delay_before"].astype("float32")
rows["tailnum"] = rows["tailnum"].astype(str)
columns = ColumnTransformer([
    ("number", SimpleImputer(), ["hour", "delay_before"]),
    ("text", OneHotEncoder(handle_unknown="ignore"), ["tailnum"]),
])
model = make_pipeline(columns, RandomForestClassifier(20, max_depth=6, random_state=int(os.environ["LOOPWRIGHT_SEED"])))
model.fit(rows[["hour", "delay_before", "tailnum"]], rows[label])
types = [("hour", FloatTensorType([None, 1])), ("delay_before", FloatTensorType([None, 1])), ("tailnum", StringTensorType([None, 1]))]
onnx = convert_sklearn(model, initial_types=types, options={id(model): {"zipmap": False}}, target_opset={"": 17, "ai.onnx.ml": 3})
(output / "model.onnx").write_bytes(onnx.SerializeToString())
(output / "predictions.json").write_text(json.dumps(model.predict_proba(rows)[:, 1].tolist()))
"#;

/// The interpreter that has scikit-learn: `make` puts one in the repository, `LOOPWRIGHT_TEST_PYTHON` names another.
fn scientific_python() -> Option<String> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let python = std::env::var("LOOPWRIGHT_TEST_PYTHON").unwrap_or(own.display().to_string());
    let modules = "import onnxruntime, pandas, pyarrow, skl2onnx, sklearn";
    let has_all = std::process::Command::new(&python).args(["-c", modules]).output();
    has_all.is_ok_and(|output| output.status.success()).then_some(python)
}

#[tokio::test]
async fn a_script_with_scikit_learn_gives_a_model_that_predicts_alike() {
    let Some(interpreter) = scientific_python() else {
        eprintln!("skipped: no Python with scikit-learn and skl2onnx");
        return;
    };
    let mut project = Project::with_script(SKLEARN);
    project.interpreter = interpreter;
    let inputs = ["hour", "delay_before", "tailnum"];
    let output = project.run(json!({}), &inputs).await.unwrap();
    let wanted: Vec<f64> = serde_json::from_slice(&std::fs::read(&output.files["predictions.json"]).unwrap()).unwrap();
    let data = data_of(flights(200, 1), &inputs, "late", Task::BinaryClassification).unwrap();
    let trained = output.trained.unwrap();
    assert!(trained.libraries["onnx_producer"].starts_with("skl2onnx "), "{:?}", trained.libraries);
    let found = trained.predict(&data).unwrap();
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(&wanted) {
        assert!((found - wanted).abs() < 1e-6, "{found} is not {wanted}");
    }
}

/// Runs the models that stand beside the script in ONNX Runtime.
const RUNTIME: &str = r#"
import json, os, pathlib
import numpy, onnxruntime, pyarrow.parquet

rows = pyarrow.parquet.read_table(os.environ["LOOPWRIGHT_INPUT_TRAIN"]).to_pandas()
predictions = {}
for path in sorted(pathlib.Path(os.environ["PROJECT"]).glob("*.onnx")):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {}
    for declared in session.get_inputs():
        column = rows[declared.name]
        is_text = declared.type == "tensor(string)"
        values = column.fillna("").to_numpy(object) if is_text else column.to_numpy(numpy.float32, na_value=numpy.nan)
        given[declared.name] = values[:, None]
    last = session.run(None, given)[-1]
    predictions[path.stem] = last[:, -1].astype(float).tolist()
pathlib.Path(os.environ["LOOPWRIGHT_OUTPUT_MODEL"], "predictions.json").write_text(json.dumps(predictions))
"#;

#[tokio::test]
async fn onnx_runtime_answers_like_the_trained_models() {
    let Some(interpreter) = scientific_python() else {
        eprintln!("skipped: no Python with ONNX Runtime");
        return;
    };
    let mut project = Project::with_script(RUNTIME);
    project.interpreter = interpreter;
    let mut native = BTreeMap::new();
    for (trainer, task) in [
        (Trainer::Baseline, Task::BinaryClassification),
        (Trainer::Logistic, Task::BinaryClassification),
        (Trainer::GradientBoosting, Task::BinaryClassification),
        (Trainer::Baseline, Task::Regression),
        (Trainer::Linear, Task::Regression),
        (Trainer::GradientBoosting, Task::Regression),
    ] {
        let data = data_of(flights(200, 1), &INPUTS, crate::rows::label(task), task).unwrap();
        let trained = train(trainer, &Params::new(), Fit { task, data: &data, valid: None, seed: 1, n_threads: 1 }).unwrap();
        let name = format!("{}_{}", trainer.name(), crate::rows::label(task));
        std::fs::write(project.directory.path().join(format!("{name}.onnx")), &trained.onnx).unwrap();
        native.insert(name, trained.predict(&data).unwrap());
    }
    let output = project.run(json!({}), &INPUTS).await.unwrap();
    let found: BTreeMap<String, Vec<f64>> =
        serde_json::from_slice(&std::fs::read(&output.files["predictions.json"]).unwrap()).unwrap();
    assert_eq!(found.len(), 6);
    for (name, wanted) in &native {
        assert_eq!(found[name].len(), 200);
        // ONNX Runtime adds up in 32 bits, so it errs in proportion to the largest sums.
        let largest = wanted.iter().fold(1.0, |largest: f64, value| largest.max(value.abs()));
        for (row, (found, wanted)) in found[name].iter().zip(wanted).enumerate() {
            assert!((found - wanted).abs() <= 1e-6 * largest, "{name}, row {row}: {found} is not {wanted}");
        }
    }
}

/// Hands on a model that stands beside the script.
const COPIES: &str = "import os, shutil\nshutil.copy(os.environ['PROJECT'] + '/given.onnx', os.environ['LOOPWRIGHT_OUTPUT_MODEL'] + '/model.onnx')\n";

#[tokio::test]
async fn a_model_is_checked_against_the_features() {
    let task = Task::BinaryClassification;
    let data = data_of(flights(300, 5), &INPUTS, "late", task).unwrap();
    let native = train(Trainer::Logistic, &Params::new(), Fit { task, data: &data, valid: None, seed: 1, n_threads: 1 }).unwrap();
    let project = Project::with_script(COPIES);
    std::fs::write(project.directory.path().join("given.onnx"), &native.onnx).unwrap();

    let trained = project.run(json!({"depth": 3}), &INPUTS).await.unwrap().trained.unwrap();
    assert_eq!((trained.trainer, trained.n_rows, trained.parity), (Trainer::Python, 250, None));
    assert_eq!(trained.inputs, native.inputs);
    assert_eq!(trained.predict(&data).unwrap(), native.predict(&data).unwrap());

    std::fs::remove_dir_all(project.step()).unwrap();
    let error = project.run(json!({}), &["hour", "delay_before", "carrier", "weekend"]).await.unwrap_err();
    assert!(error.is(PYTHON_OUTPUT) && error.message().contains("`tailnum`"), "{error}");
}
