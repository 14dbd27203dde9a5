//! ONNX Runtime, loaded from a shared library when a model needs more operators than the native evaluator has.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, AsArray};
use lw_core::{Error, Result};
use lw_onnx::{Element, Port};
use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynMapValueType, DynValue, Tensor, ValueType};
use parking_lot::Mutex;

use super::{InputForm, Runtime, Signature, column_scores, numbers};
use crate::Output;
use crate::failures::{MODEL_FAILED, RUNTIME_MISSING};

/// The environment variable that names the shared library.
pub const LIBRARY_VARIABLE: &str = "LOOPWRIGHT_ONNXRUNTIME";

/// A model in ONNX Runtime. A session runs one request at a time, so there are several.
pub struct OnnxRuntime {
    sessions: Box<[Mutex<Session>]>,
    next: AtomicUsize,
    signature: Signature,
    output: Output,
}

impl OnnxRuntime {
    /// Loads a model that [`super::content::decode`] has let through.
    pub fn load(bytes: &[u8], signature: Signature, output: Output) -> Result<Self> {
        let environment = environment()?;
        let n_sessions = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 4);
        let sessions: Result<Box<[_]>> = (0..n_sessions).map(|_| session(&environment, bytes).map(Mutex::new)).collect();
        Ok(Self { sessions: sessions?, next: AtomicUsize::new(0), signature, output })
    }

    /// Runs `work` on a session that is free, or on the next in turn.
    fn with_session<T>(&self, work: impl FnOnce(&mut Session) -> T) -> T {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let n_sessions = self.sessions.len();
        let free = (0..n_sessions).find_map(|offset| self.sessions.get((first + offset) % n_sessions)?.try_lock());
        match free {
            Some(mut session) => work(&mut session),
            None => work(&mut self.sessions.get(first % n_sessions).expect("there is at least one session").lock()),
        }
    }

    fn inputs(&self, columns: &[ArrayRef], n_rows: usize) -> Result<Vec<(Cow<'_, str>, SessionInputValue<'static>)>> {
        let input = |port, columns: &[ArrayRef]| -> Result<_> { Ok((name(port), tensor(port, columns, n_rows)?)) };
        match &self.signature.form {
            InputForm::Matrix(port) => Ok(vec![input(port, columns)?]),
            InputForm::Columns(ports) => {
                let column = |index: usize| columns.get(index).ok_or_else(|| Error::bug("a model input has no column"));
                ports.iter().map(|(port, index)| input(port, std::slice::from_ref(column(*index)?))).collect()
            }
        }
    }
}

impl Runtime for OnnxRuntime {
    fn name(&self) -> &'static str {
        "onnxruntime"
    }

    fn score(&self, columns: &[ArrayRef], n_rows: usize, scores: &mut Vec<f64>) -> Result<()> {
        let inputs = self.inputs(columns, n_rows)?;
        self.with_session(|session| {
            let outputs = session.run(inputs).map_err(failed)?;
            let value = outputs.get(&self.signature.score).ok_or_else(|| Error::bug("the score's output is gone"))?;
            read_scores(value, n_rows, self.output, scores)
        })
    }
}

fn session(environment: &Environment, bytes: &[u8]) -> Result<Session> {
    let build = || -> ort::Result<Session> {
        let builder = Session::builder(environment)?;
        // Requests run beside each other; threads within one would only wait for their turn.
        let mut builder = builder.with_intra_threads(1)?.with_inter_threads(1)?;
        builder.commit_from_memory(bytes)
    };
    build().map_err(|error| MODEL_FAILED.error(format!("ONNX Runtime cannot load the model: {error}")).cause(error.to_string()))
}

fn name(port: &Port) -> Cow<'_, str> {
    Cow::Borrowed(&port.name)
}

/// The columns as one tensor `[rows, columns]`, or `[rows]` for a port of rank 1.
fn tensor(port: &Port, columns: &[ArrayRef], n_rows: usize) -> Result<SessionInputValue<'static>> {
    let shape = match port.rank {
        1 => vec![n_rows],
        _ => vec![n_rows, columns.len()],
    };
    if port.element == Some(Element::Text) {
        let texts: Vec<String> = interleave(columns, n_rows, |column| {
            column.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect()
        });
        return Ok(Tensor::from_string_array((shape, texts.as_slice())).map_err(failed)?.into());
    }
    let columns: Result<Vec<Vec<f64>>> = columns.iter().map(numbers).collect();
    let values: Vec<f64> = interleave(&columns?, n_rows, Clone::clone);
    let is_whole = matches!(port.element, Some(Element::Int32 | Element::Int64 | Element::Bool));
    if is_whole && values.iter().any(|value| value.is_nan()) {
        return Err(MODEL_FAILED
            .error(format!("input `{}` is unknown, and the model takes whole numbers only", port.name))
            .hint("send the field, or train the model with a float column where values can be missing"));
    }
    let value: SessionInputValue<'static> = match port.element {
        Some(Element::Double) => Tensor::from_array((shape, values)).map_err(failed)?.into(),
        Some(Element::Int32) => {
            Tensor::from_array((shape, values.iter().map(|v| *v as i32).collect::<Vec<_>>())).map_err(failed)?.into()
        }
        Some(Element::Int64) => {
            Tensor::from_array((shape, values.iter().map(|v| *v as i64).collect::<Vec<_>>())).map_err(failed)?.into()
        }
        Some(Element::Bool) => {
            Tensor::from_array((shape, values.iter().map(|v| *v != 0.0).collect::<Vec<_>>())).map_err(failed)?.into()
        }
        _ => Tensor::from_array((shape, values.iter().map(|v| *v as f32).collect::<Vec<_>>())).map_err(failed)?.into(),
    };
    Ok(value)
}

/// Row-major values of column-major input.
fn interleave<C, T: Clone>(columns: &[C], n_rows: usize, values: impl Fn(&C) -> Vec<T>) -> Vec<T> {
    let columns: Vec<Vec<T>> = columns.iter().map(values).collect();
    (0..n_rows).flat_map(|row| columns.iter().filter_map(move |column| column.get(row).cloned())).collect()
}

/// Scores from a tensor, or from the sequence of maps that scikit-learn's converter writes (ZipMap).
fn read_scores(value: &DynValue, n_rows: usize, output: Output, scores: &mut Vec<f64>) -> Result<()> {
    if matches!(value.dtype(), ValueType::Sequence(_)) {
        for map in value.try_extract_sequence::<DynMapValueType>().map_err(failed)? {
            let by_number = map.try_extract_map::<i64, f32>().ok().and_then(|map| map.get(&1).copied());
            let by_text = || {
                let map = map.try_extract_map::<String, f32>().ok()?;
                ["1", "true", "True"].iter().find_map(|key| map.get(*key).copied())
            };
            let score = by_number.or_else(by_text).ok_or_else(|| {
                MODEL_FAILED
                    .error("the model's probabilities have no class 1 or true")
                    .hint("train with labels 0 and 1, or export with `options={'zipmap': False}`")
            })?;
            scores.push(f64::from(score));
        }
        return Ok(());
    }
    if let Ok((_, values)) = value.try_extract_tensor::<f32>() {
        return column_scores(
            values.len(),
            |index| values.get(index).copied().map_or(f64::NAN, f64::from),
            n_rows,
            output,
            scores,
        );
    }
    let (_, values) = value.try_extract_tensor::<f64>().map_err(failed)?;
    column_scores(values.len(), |index| values.get(index).copied().unwrap_or(f64::NAN), n_rows, output, scores)
}

fn failed(error: ort::Error) -> Error {
    MODEL_FAILED.error("ONNX Runtime failed on a row").hint("the cause is in the server's log").cause(error.to_string())
}

/// The library is loaded once a process.
fn environment() -> Result<Environment> {
    static ENVIRONMENT: OnceLock<std::result::Result<Environment, String>> = OnceLock::new();
    let library = onnxruntime_library()?;
    let load = || {
        let builder = ort::init_from(&library).map_err(|error| error.to_string())?;
        builder.with_name("loopwright").with_telemetry(false).build().map_err(|error| error.to_string())
    };
    let environment = ENVIRONMENT.get_or_init(load);
    environment.clone().map_err(|cause| missing(format!("ONNX Runtime at {} cannot be loaded", library.display())).cause(cause))
}

/// The ONNX Runtime library: the one that `LOOPWRIGHT_ONNXRUNTIME` names, or the one in the Python wheel `onnxruntime` of the
/// active environment or of `.venv`.
///
/// # Errors
/// `onnxruntime-missing`, with how to get it.
pub fn onnxruntime_library() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(LIBRARY_VARIABLE) {
        return Ok(PathBuf::from(path));
    }
    let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let found = active.into_iter().chain([PathBuf::from(".venv")]).find_map(|environment| in_wheel(&environment));
    found.ok_or_else(|| missing("no ONNX Runtime was found; models beyond trees and linear ones need it".to_owned()))
}

fn missing(what: String) -> Error {
    RUNTIME_MISSING
        .error(what)
        .hint(format!("`pip install onnxruntime`, or name the library: {LIBRARY_VARIABLE}=/path/to/libonnxruntime.so"))
}

fn in_wheel(environment: &Path) -> Option<PathBuf> {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let capi = entries(&environment.join("lib")).map(|python| python.join("site-packages/onnxruntime/capi"));
    capi.flat_map(|capi| entries(&capi).collect::<Vec<_>>()).find(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libonnxruntime.so") || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"))
    })
}
