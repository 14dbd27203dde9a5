//! Whether a model fits its bundle: names, types and widths of its inputs, and where its score stands.

use lw_core::{DataType, Error, Result};
use lw_onnx::{Element, Model, Port};

use crate::failures::SIGNATURE_MISMATCH;
use crate::{Bundle, ModelInput, Output};

/// How the columns of a row go into the graph, and where the score comes out.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    pub form: InputForm,
    /// The name of the output that holds the score.
    pub score: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum InputForm {
    /// One graph input a column. Each port with the position of its column among the bundle's inputs.
    Columns(Vec<(Port, usize)>),
    /// One graph input `[rows, columns]` that takes them all, in the bundle's order.
    Matrix(Port),
}

impl Signature {
    /// Compares the model with the bundle.
    ///
    /// # Errors
    /// `signature-mismatch`, which says what differs.
    pub fn check(model: &Model, bundle: &Bundle) -> Result<Self> {
        let ports = model.inputs();
        let form = match ports.as_slice() {
            [port] if is_matrix(port, &bundle.inputs) => InputForm::Matrix(matrix(port, bundle)?),
            _ => InputForm::Columns(columns(&ports, bundle)?),
        };
        Ok(Self { form, score: score_output(&model.outputs(), bundle)? })
    }
}

/// A single port is a matrix unless it is one of the declared columns itself. Of several declared ones, only a port that says that it is one
/// column wide is.
fn is_matrix(port: &Port, inputs: &[ModelInput]) -> bool {
    let is_column = port.width.map_or(inputs.len() == 1, |width| width == 1);
    !(is_column && inputs.iter().any(|input| input.name == port.name))
}

fn matrix(port: &Port, bundle: &Bundle) -> Result<Port> {
    let n_inputs = bundle.inputs.len();
    if let Some(width) = port.width.filter(|width| *width != n_inputs) {
        return Err(mismatch(
            bundle,
            format!("its input `{}` takes {width} columns, and {n_inputs} inputs are declared", port.name),
        ));
    }
    for input in &bundle.inputs {
        fits(port, input, bundle)?;
    }
    Ok(port.clone())
}

/// A model may leave out inputs that it was offered; it may not ask for others.
fn columns(ports: &[Port], bundle: &Bundle) -> Result<Vec<(Port, usize)>> {
    let position = |port: &Port| bundle.inputs.iter().position(|input| input.name == port.name);
    if ports.is_empty() {
        return Err(mismatch(bundle, "it takes no inputs".to_owned()));
    }
    let mut columns = Vec::with_capacity(ports.len());
    for port in ports {
        let Some(index) = position(port) else {
            let error = mismatch(bundle, format!("its input `{}` is not among the declared ones", port.name));
            return Err(match lw_core::nearest(&port.name, bundle.inputs.iter().map(|input| input.name.as_str())) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            });
        };
        if let Some(width) = port.width.filter(|width| *width != 1) {
            return Err(mismatch(bundle, format!("its input `{}` takes {width} columns, where one is declared", port.name)));
        }
        if let Some(input) = bundle.inputs.get(index) {
            fits(port, input, bundle)?;
        }
        columns.push((port.clone(), index));
    }
    Ok(columns)
}

/// Numbers may widen on their way into the model; nothing else changes its type.
fn fits(port: &Port, input: &ModelInput, bundle: &Bundle) -> Result<()> {
    let fits = match (input.data_type, port.element) {
        (DataType::String, Some(Element::Text)) => true,
        (DataType::Float32 | DataType::Float64, Some(Element::Float | Element::Double)) => true,
        (DataType::Int32 | DataType::Int64, Some(Element::Float | Element::Double | Element::Int32 | Element::Int64)) => true,
        (DataType::Boolean, Some(element)) => element != Element::Text,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let wants =
        port.element.map_or_else(|| "a type that cannot be served".to_owned(), |element| format!("{element:?}").to_lowercase());
    Err(mismatch(
        bundle,
        format!("its input `{}` takes {wants}, and `{}` is declared as {}", port.name, input.name, input.data_type),
    ))
}

/// The output that holds the score: for a classifier the probabilities rather than the label.
fn score_output(outputs: &[Port], bundle: &Bundle) -> Result<String> {
    let is_number = |port: &&Port| matches!(port.element, Some(Element::Float | Element::Double));
    let found = match bundle.output {
        Output::Value => outputs.iter().find(is_number),
        Output::Probability { .. } => {
            let named = outputs.iter().find(|port| port.name.contains("prob") && (is_number(port) || port.element.is_none()));
            named.or_else(|| outputs.iter().find(is_number)).or_else(|| outputs.iter().find(|port| port.element.is_none()))
        }
    };
    let Some(found) = found else {
        let names: Vec<&str> = outputs.iter().map(|port| port.name.as_str()).collect();
        return Err(mismatch(bundle, format!("none of its outputs ({}) holds a score", names.join(", ")))
            .hint("export the model with its probabilities, or with a float output for a regression"));
    };
    let limit = if matches!(bundle.output, Output::Value) { 1 } else { 2 };
    match found.width.filter(|width| *width > limit) {
        Some(width) => Err(mismatch(bundle, format!("its output `{}` has {width} columns, more than {limit}", found.name))
            .hint("binary classification and regression are served; export one score a row")),
        None => Ok(found.name.clone()),
    }
}

fn mismatch(bundle: &Bundle, what: String) -> Error {
    // A candidate has no version yet.
    let whose = match bundle.version {
        0 => format!("a candidate of {}", bundle.model),
        version => format!("{}@{version}", bundle.model),
    };
    SIGNATURE_MISMATCH
        .error(format!("the ONNX model of {whose} does not fit its signature: {what}"))
        .hint("train the model again, or register the ONNX file that belongs to this version")
}
