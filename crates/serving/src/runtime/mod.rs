//! What runs a model: the native evaluator for the operators of classical models, ONNX Runtime for all others.

mod content;
mod native;
mod onnxruntime;
mod signature;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type};
use lw_core::{Error, Result};
use lw_onnx::Evaluator;

pub use onnxruntime::{LIBRARY_VARIABLE, onnxruntime_library};
pub use signature::{InputForm, Signature};

use crate::failures::MODEL_FAILED;
use crate::{Bundle, Output};
use native::Native;
use onnxruntime::OnnxRuntime;

/// A loaded model. Any thread may score with it.
pub trait Runtime: Send + Sync {
    /// `native` or `onnxruntime`.
    fn name(&self) -> &'static str;

    /// Appends one score a row. `columns` are the model's inputs in the bundle's order, each of `n_rows`; null is unknown.
    fn score(&self, columns: &[ArrayRef], n_rows: usize, scores: &mut Vec<f64>) -> Result<()>;
}

/// Which runtime shall run a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimeChoice {
    /// The native evaluator if it knows all operators, else ONNX Runtime.
    #[default]
    Fitting,
    Native,
    OnnxRuntime,
}

/// Loads a model after checking what it is and that it fits its bundle.
pub fn load(bytes: &[u8], bundle: &Bundle, choice: RuntimeChoice) -> Result<Box<dyn Runtime>> {
    let model = content::decode(bytes)?;
    let signature = Signature::check(&model, bundle)?;
    if choice != RuntimeChoice::OnnxRuntime {
        match Evaluator::compile(&model) {
            Ok(evaluator) => return Ok(Box::new(Native::new(evaluator, &signature, bundle.output)?)),
            Err(error) if choice == RuntimeChoice::Fitting && error.is(lw_onnx::failures::ONNX_UNSUPPORTED) => {
                tracing::info!(model = %bundle.model, version = bundle.version, %error, "ONNX Runtime runs {}@{}", bundle.model, bundle.version);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Box::new(OnnxRuntime::load(bytes, signature, bundle.output)?))
}

/// Takes one score a row from an output of one column, or of two: then the second is the probability of the positive class.
fn column_scores(
    n_values: usize,
    value: impl Fn(usize) -> f64,
    n_rows: usize,
    output: Output,
    scores: &mut Vec<f64>,
) -> Result<()> {
    let width = n_values / n_rows.max(1);
    let column = match (width, output) {
        (1, _) => 0,
        (2, Output::Probability { .. }) => 1,
        _ => {
            let message = format!("the model gave {n_values} values for {n_rows} rows");
            return Err(MODEL_FAILED.error(message).hint("a model gives one score a row, or two probabilities"));
        }
    };
    scores.extend((0..n_rows).map(|row| value(row * width + column)));
    Ok(())
}

/// A column as numbers; unknown ones are NaN, booleans 0 and 1.
fn numbers(column: &ArrayRef) -> Result<Vec<f64>> {
    let mut values = Vec::with_capacity(column.len());
    each_number(column, |value| values.push(value))?;
    Ok(values)
}

fn each_number(column: &ArrayRef, mut take: impl FnMut(f64)) -> Result<()> {
    use arrow::datatypes::DataType as Arrow;
    macro_rules! take {
        ($column:expr, $convert:expr) => {
            $column.iter().for_each(|value| take(value.map_or(f64::NAN, $convert)))
        };
    }
    match column.data_type() {
        Arrow::Float64 => take!(column.as_primitive::<Float64Type>(), |value| value),
        Arrow::Float32 => take!(column.as_primitive::<Float32Type>(), f64::from),
        Arrow::Int64 => take!(column.as_primitive::<Int64Type>(), |value| value as f64),
        Arrow::Int32 => take!(column.as_primitive::<Int32Type>(), f64::from),
        Arrow::Boolean => take!(column.as_boolean(), |value| f64::from(u8::from(value))),
        other => return Err(Error::bug(format!("a model input of type {other} passed the signature check"))),
    }
    Ok(())
}
