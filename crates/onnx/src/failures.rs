//! The failures of this crate.

use lw_core::{Error, Failure, Kind};

/// The bytes are not an ONNX model, or the graph contradicts itself.
pub const ONNX_MALFORMED: Failure = Failure::new("onnx-malformed", Kind::Invalid);
/// The model is fine, but the native evaluator does not know one of its operators or types. ONNX Runtime may.
pub const ONNX_UNSUPPORTED: Failure = Failure::new("onnx-unsupported", Kind::Invalid);
/// The model keeps its weights in other files.
pub const ONNX_EXTERNAL_DATA: Failure = Failure::new("onnx-external-data", Kind::Invalid);
/// The values given to a model do not fit its inputs.
pub const ONNX_INPUT_MISMATCH: Failure = Failure::new("onnx-input-mismatch", Kind::Invalid);

pub(crate) fn malformed(message: impl Into<String>) -> Error {
    ONNX_MALFORMED.error(message).hint("export the model again and check it with `onnx.checker.check_model`")
}

pub(crate) fn unsupported(message: impl Into<String>) -> Error {
    ONNX_UNSUPPORTED.error(message).hint("serve this model through ONNX Runtime")
}

pub(crate) fn mismatch(message: impl Into<String>) -> Error {
    ONNX_INPUT_MISMATCH.error(message).hint("compare the values with the model's inputs: names, types and widths")
}
