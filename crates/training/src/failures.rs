//! The failures of this crate.

use lw_core::{Failure, Kind};

/// A model's `train` part does not make sense.
pub const TRAIN_DEFINITION: Failure = Failure::new("train-definition", Kind::Invalid);
/// A trainer's parameter is unknown or out of range.
pub const TRAINER_PARAMETER: Failure = Failure::new("trainer-parameter", Kind::Invalid);
/// The rows cannot train a model: none at all, one class only, missing labels, a type that no trainer takes.
pub const TRAINING_DATA: Failure = Failure::new("training-data", Kind::Invalid);
/// The training library gave up.
pub const TRAINER_FAILED: Failure = Failure::new("trainer-failed", Kind::Invalid);
/// The exported ONNX model does not predict what the trained model predicts.
pub const EXPORT_DIFFERS: Failure = Failure::new("export-differs", Kind::Refused);
/// The Python interpreter of a step cannot be started.
pub const PYTHON_MISSING: Failure = Failure::new("python-missing", Kind::Invalid);
/// The script of a Python step does not exist.
pub const PYTHON_SCRIPT_MISSING: Failure = Failure::new("python-script-missing", Kind::NotFound);
/// The script of a Python step ended with an error.
pub const PYTHON_FAILED: Failure = Failure::new("python-failed", Kind::Invalid);
/// The script of a Python step ran longer than it may.
pub const PYTHON_TIMEOUT: Failure = Failure::new("python-timeout", Kind::Timeout);
/// A Python step left no model, or one that does not fit the features.
pub const PYTHON_OUTPUT: Failure = Failure::new("python-output", Kind::Invalid);
/// A file of a step cannot be read or written.
pub const TRAINING_FILE: Failure = Failure::new("training-file", Kind::Unavailable);
