//! Every failure that serving returns. Each code has a page in `docs/errors/`.

use lw_core::{Failure, Kind};

/// A request whose fields do not fit what the model asks for.
pub const INVALID_REQUEST: Failure = Failure::new("invalid-predict-request", Kind::Invalid);
/// More rows than one request may carry.
pub const TOO_MANY_ROWS: Failure = Failure::new("too-many-rows", Kind::Invalid);
/// A bundle that contradicts itself: a model input that nothing supplies, a name used twice.
pub const INVALID_BUNDLE: Failure = Failure::new("invalid-bundle", Kind::Invalid);
/// An artifact that is not an ONNX model, told by its content.
pub const NOT_ONNX: Failure = Failure::new("not-onnx", Kind::Refused);
/// An ONNX model that reads other files, or runs loops whose cost nobody can bound.
pub const UNSAFE_MODEL: Failure = Failure::new("unsafe-model", Kind::Refused);
/// A model whose inputs or outputs differ from the bundle.
pub const SIGNATURE_MISMATCH: Failure = Failure::new("signature-mismatch", Kind::Refused);
/// A model that cannot answer one well-formed row.
pub const WARM_UP_FAILED: Failure = Failure::new("warm-up-failed", Kind::Refused);
/// The model needs ONNX Runtime, and there is none.
pub const RUNTIME_MISSING: Failure = Failure::new("onnxruntime-missing", Kind::Unavailable);
/// The model failed on a row, or answered something that is no score.
pub const MODEL_FAILED: Failure = Failure::new("model-failed", Kind::Upstream);
/// The versions behind one endpoint ask for the same field with different types.
pub const REQUEST_MISMATCH: Failure = Failure::new("request-mismatch", Kind::Refused);
pub const INVALID_ROUTING: Failure = Failure::new("invalid-routing", Kind::Invalid);
pub const UNKNOWN_ENDPOINT: Failure = Failure::new("unknown-endpoint", Kind::NotFound);
pub const NO_PREVIOUS_DEPLOYMENT: Failure = Failure::new("no-previous-deployment", Kind::Conflict);
/// Somebody else changed the endpoint since it was read.
pub const STALE_GENERATION: Failure = Failure::new("stale-generation", Kind::Conflict);
/// The prediction log cannot keep up, or its disk is full.
pub const LOG_FULL: Failure = Failure::new("prediction-log-full", Kind::Exhausted);
pub const LOG_UNAVAILABLE: Failure = Failure::new("prediction-log-unavailable", Kind::Unavailable);
pub const LOG_CORRUPT: Failure = Failure::new("prediction-log-corrupt", Kind::Unavailable);
