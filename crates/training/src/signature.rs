//! Whether the model of a script fits the features that it will be given.

use std::collections::BTreeMap;

use lw_core::{DataType, Field, Result, Schema, nearest};
use lw_onnx::{Element, Model, Port};

use crate::definition::Trainer;
use crate::failures::PYTHON_OUTPUT;
use crate::python::PythonStep;
use crate::trained::Trained;

/// Decodes a script's model and checks its inputs against the features.
///
/// A model has one input a feature (some may be left out), or a single matrix `[N, features]` with the features in order.
pub(crate) fn model_of_script(step: &PythonStep<'_>, onnx: Vec<u8>) -> Result<Trained> {
    let model = Model::decode(&onnx).map_err(|error| error.context("model.onnx of the script"))?;
    let inputs = inputs(&model.inputs(), step.inputs)?;
    let outputs = model.outputs().iter().filter_map(|port| Some(field(&port.name, data_type(port.element?)))).collect();
    let mut n_rows = 0;
    step.train.iter().chain(step.valid.unwrap_or_default()).for_each(|batch| n_rows += batch.num_rows() as u64);
    Ok(Trained {
        trainer: Trainer::Python,
        onnx,
        inputs,
        outputs: Schema(outputs),
        params: step.params.clone(),
        seed: step.seed,
        n_rows,
        rounds: Vec::new(),
        importances: Vec::new(),
        parity: None,
        libraries: BTreeMap::from([("onnx_producer".to_owned(), model.producer())]),
    })
}

/// The features that the model takes.
fn inputs(ports: &[Port], features: &Schema) -> Result<Schema> {
    if ports.is_empty() {
        return Err(PYTHON_OUTPUT
            .error("the script's model has no inputs")
            .hint("give it an input for each feature, of shape [N, 1]"));
    }
    let is_text = |field: &Field| field.data_type == DataType::String;
    if let [port] = ports
        && features.field(&port.name).is_none()
    {
        let n_features = features.0.len();
        let fits = port.width.is_none_or(|width| width == n_features) && port.element != Some(Element::Text);
        if fits && !features.0.iter().any(is_text) {
            return Ok(features.clone());
        }
        let message = format!(
            "input `{}` of the script's model does not take the {n_features} features as one matrix of numbers",
            port.name
        );
        return Err(PYTHON_OUTPUT
            .error(message)
            .hint("give the model an input for each feature, of shape [N, 1] and named like it"));
    }
    for port in ports {
        let Some(feature) = features.field(&port.name) else {
            let error = PYTHON_OUTPUT.error(format!("input `{}` of the script's model is not a feature", port.name));
            return Err(match nearest(&port.name, features.names()) {
                Some(similar) => error.hint(format!("did you mean `{similar}`?")),
                None => error.hint(format!("the features are {}", features.names().collect::<Vec<_>>().join(", "))),
            });
        };
        if port.width != Some(1) || port.element.is_none() || (port.element == Some(Element::Text)) != is_text(feature) {
            let message =
                format!("input `{}` of the script's model does not take a column of type {}", port.name, feature.data_type);
            return Err(PYTHON_OUTPUT
                .error(message)
                .hint("declare it of shape [N, 1], as text for texts and as float for numbers"));
        }
    }
    let is_taken = |field: &&Field| ports.iter().any(|port| port.name == field.name);
    Ok(Schema(features.0.iter().filter(is_taken).cloned().collect()))
}

fn field(name: &str, data_type: DataType) -> Field {
    Field { name: name.to_owned(), data_type, nullable: false }
}

fn data_type(element: Element) -> DataType {
    match element {
        Element::Float => DataType::Float32,
        Element::Double => DataType::Float64,
        Element::Int32 => DataType::Int32,
        Element::Int64 => DataType::Int64,
        Element::Bool => DataType::Boolean,
        Element::Text => DataType::String,
    }
}
