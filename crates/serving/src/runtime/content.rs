//! What an artifact is, told by its content: a name or an extension proves nothing.

use lw_core::{Error, Result};
use lw_onnx::Model;
use lw_onnx::failures::ONNX_EXTERNAL_DATA;
use lw_onnx::message::{GraphProto, ModelProto};
use prost::Message as _;

use crate::failures::{NOT_ONNX, UNSAFE_MODEL};

/// Operators that run a part of the graph, and as often as the model likes.
const CONTROL_FLOW: [&str; 4] = ["If", "Loop", "Scan", "SequenceMap"];

/// Decodes an ONNX model and refuses everything else: formats that can execute code, models that read other files, loops.
///
/// # Errors
/// `not-onnx` or `unsafe-model`.
pub fn decode(bytes: &[u8]) -> Result<Model> {
    if let Some(format) = executable_format(bytes) {
        return Err(not_onnx(format!("the artifact is {format}, which is never loaded into the server")));
    }
    let model = Model::decode(bytes).map_err(|error| {
        if error.is(ONNX_EXTERNAL_DATA) {
            let hint = error.hint_text().unwrap_or_default().to_owned();
            return UNSAFE_MODEL.error(error.message().to_owned()).hint(hint);
        }
        not_onnx("the artifact is no ONNX model".to_owned()).cause(error)
    })?;
    let graph = ModelProto::decode(bytes).ok().and_then(|message| message.graph).unwrap_or_default();
    match control_flow(&graph) {
        Some(operator) => Err(UNSAFE_MODEL
            .error(format!("the model uses `{operator}`, whose running time has no bound"))
            .hint("export the model without control flow; models over rows of features need none")),
        None => Ok(model),
    }
}

fn control_flow(graph: &GraphProto) -> Option<&str> {
    graph.node.iter().map(|node| node.op_type.as_str()).find(|operator| CONTROL_FLOW.contains(operator))
}

/// The formats that people rename to `.onnx`, by their first bytes.
fn executable_format(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x80, 2..=5, ..] => Some("a Python pickle"),
        [b'P', b'K', 3, 4, ..] => Some("a ZIP archive (PyTorch, Keras or joblib)"),
        [0x89, b'H', b'D', b'F', ..] => Some("an HDF5 file (Keras)"),
        [0x1f, 0x8b, ..] => Some("a gzip archive"),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Some("a compressed joblib pickle"),
        [b'(', b'd' | b'l' | b'i' | b'c', ..] | [b'c', b'_' | b'o' | b's' | b'p', ..] => Some("a Python pickle of protocol 0"),
        [0x7f, b'E', b'L', b'F', ..] => Some("a program"),
        _ => None,
    }
}

fn not_onnx(message: String) -> Error {
    NOT_ONNX.error(message).hint("export the model to ONNX: skl2onnx, onnxmltools, torch.onnx.export or tf2onnx write it")
}
