//! Training: what a model's file says about it, the trainers in the binary, studies, and Python steps.
//!
//! A trainer takes rows and gives an ONNX model with one named input a feature, so that serving needs nothing of the trainer. Each
//! export is proved: its predictions on training rows equal those of the model that was trained.
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow::array::{BooleanArray, Float64Array, RecordBatch, StringArray};
//! use lw_stats::Task;
//! use lw_training::{DataColumns, Fit, Params, Trainer, TrainingData, train};
//!
//! let n = 300;
//! let rows = RecordBatch::try_from_iter([
//!     ("hour", Arc::new(Float64Array::from_iter_values((0..n).map(|row| f64::from(row % 24)))) as _),
//!     ("carrier", Arc::new(StringArray::from_iter_values((0..n).map(|row| ["AA", "B6", "UA"][row as usize % 3]))) as _),
//!     ("late", Arc::new(BooleanArray::from_iter((0..n).map(|row| Some(row % 24 > 15)))) as _),
//! ])?;
//! let inputs = ["hour".to_owned(), "carrier".to_owned()];
//! let columns = DataColumns { inputs: &inputs, label: "late", weight: None };
//! let data = TrainingData::from_batches(&[rows], columns, Task::BinaryClassification)?;
//!
//! let fit = Fit { task: Task::BinaryClassification, data: &data, valid: None, seed: 7, n_threads: 2 };
//! let trained = train(Trainer::Logistic, &Params::new(), fit)?;
//! assert!(trained.parity.unwrap().max_difference < 1e-5);
//! assert_eq!(trained.importances[0].feature, "hour");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod data;
mod definition;
mod encoding;
pub mod failures;
mod params;
mod python;
mod signature;
mod study;
mod trained;
mod trainer;

pub use data::{DataColumns, TrainingData};
pub use definition::{Candidate, Params, TrainDefinition, Trainer};
pub use python::{DEFAULT_INTERPRETER, DEFAULT_TIMEOUT, Leash, PythonOutput, PythonStep, ScriptMetric, code_of};
pub use study::{Distribution, Outcome, Sampler, Space, StudyDefinition, Trial, train_candidate};
pub use trained::{Importance, Parity, Round, Trained};
pub use trainer::{Fit, THREAD_WAIT, check_params, train};
