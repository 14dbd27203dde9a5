//! A decoded ONNX file.

use lw_core::Result;
use prost::Message as _;

use crate::failures::{ONNX_EXTERNAL_DATA, malformed};
use crate::message::{Dimension, GraphProto, ModelProto, TensorProto, ValueInfoProto};
use crate::tensor::Element;

/// A value that a graph takes or gives, as the file declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    pub name: String,
    /// `None`: a type that the native evaluator does not hold, such as a sequence of maps.
    pub element: Option<Element>,
    /// The numbers or texts a row has. `None` if the file leaves it open.
    pub width: Option<usize>,
    /// 1 for `[N]`, 2 for `[N, width]`.
    pub rank: usize,
}

/// An ONNX model: a graph of operators with its constants.
///
/// ```
/// use lw_onnx::{Element, GraphBuilder, Model};
///
/// let mut graph = GraphBuilder::new("double");
/// let x = graph.input("x", Element::Float, 1);
/// let doubled = graph.add(&x, &x);
/// graph.output("prediction", &doubled, Element::Float, Some(1));
/// let model = Model::decode(&graph.finish()?.encode())?;
/// assert_eq!(model.inputs()[0].name, "x");
/// # Ok::<(), lw_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub(crate) message: ModelProto,
}

impl Model {
    /// Reads an ONNX file.
    ///
    /// # Errors
    /// `onnx-malformed` if the bytes are not one, `onnx-external-data` if its weights stand in other files.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let message = ModelProto::decode(bytes).map_err(|error| malformed("the bytes are not an ONNX model").cause(error))?;
        let Some(graph) = &message.graph else {
            return Err(malformed("the bytes are not an ONNX model: there is no graph"));
        };
        if graph.output.is_empty() || message.opset_import.is_empty() {
            return Err(malformed("the model has no outputs or names no operator set"));
        }
        refuse_external_data(graph)?;
        Ok(Self { message })
    }

    /// The file's bytes. Equal models give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.message.encode_to_vec()
    }

    /// What must be given, in order; constants that are also listed as inputs are left out.
    pub fn inputs(&self) -> Vec<Port> {
        let graph = self.graph();
        let is_constant = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
        graph.input.iter().filter(|info| !is_constant(&info.name)).map(port).collect()
    }

    pub fn outputs(&self) -> Vec<Port> {
        self.graph().output.iter().map(port).collect()
    }

    /// The value of a metadata property.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.message.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }

    /// The library that wrote the file, such as `skl2onnx 1.20.0`.
    pub fn producer(&self) -> String {
        format!("{} {}", self.message.producer_name, self.message.producer_version).trim().to_owned()
    }

    pub(crate) fn graph(&self) -> &GraphProto {
        self.message.graph.as_ref().expect("decode and finish refuse a model without a graph")
    }
}

fn refuse_external_data(graph: &GraphProto) -> Result<()> {
    let is_external = |tensor: &TensorProto| tensor.data_location != 0 || !tensor.external_data.is_empty();
    let attributes = graph.node.iter().flat_map(|node| &node.attribute).filter_map(|attribute| attribute.t.as_ref());
    match graph.initializer.iter().chain(attributes).find(|tensor| is_external(tensor)) {
        None => Ok(()),
        Some(tensor) => {
            let name = tensor.name.chars().take(80).collect::<String>();
            Err(ONNX_EXTERNAL_DATA
                .error(format!("constant `{name}` of the model stands in another file"))
                .hint("save the model in one file: `onnx.save_model(model, path, save_as_external_data=False)`"))
        }
    }
}

fn port(info: &ValueInfoProto) -> Port {
    let tensor = info.r#type.as_ref().and_then(|value| value.tensor_type.as_ref());
    let dims = tensor.and_then(|tensor| tensor.shape.as_ref()).map_or(&[][..], |shape| &shape.dim);
    let width = match dims {
        [_] => Some(1),
        [_, columns] => match columns.value {
            Some(Dimension::Value(value)) => usize::try_from(value).ok().filter(|&width| width > 0),
            _ => None,
        },
        _ => None,
    };
    Port {
        name: info.name.clone(),
        element: tensor.and_then(|tensor| Element::from_proto(tensor.elem_type)),
        width,
        rank: dims.len(),
    }
}
