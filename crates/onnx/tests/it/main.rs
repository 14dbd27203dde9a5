//! The native evaluator against ONNX Runtime and the original libraries, and against hostile files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod emitted;
mod golden;
mod hostile;
mod operators;
mod reuse;
