//! Writes ONNX graphs: one named input a feature, operators, named outputs.

use lw_core::Result;

use crate::failures::malformed;
use crate::message::{
    AttributeProto, Dimension, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_type, data_type,
};
use crate::model::Model;
use crate::tensor::Element;

/// IR and operator sets that ONNX Runtime knows since 1.14.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;
const ML_OPSET: i64 = 3;

/// A value of a graph that is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value(String);

/// Builds a [`Model`] operator by operator. The same calls give the same bytes.
///
/// ```
/// use lw_onnx::{Element, Evaluator, GraphBuilder};
///
/// let mut graph = GraphBuilder::new("fare");
/// let distance = graph.input("distance", Element::Float, 1);
/// let class = graph.input("class", Element::Text, 1);
/// let class = graph.encode_texts(&class, &[("economy".into(), 1.0), ("business".into(), 3.0)], 1.0);
/// let features = graph.concat(&[&distance, &class]);
/// let fare = graph.linear_regressor(&features, &[0.1, 50.0], 20.0);
/// graph.output("prediction", &fare, Element::Float, Some(1));
/// let evaluator = Evaluator::compile(&graph.finish()?)?;
///
/// let mut scratch = evaluator.scratch();
/// scratch.start(1);
/// evaluator.give_numbers(&mut scratch, 0, [1000.0])?;
/// evaluator.give_texts(&mut scratch, 1, ["business"])?;
/// evaluator.run(&mut scratch)?;
/// assert!((evaluator.scores(&scratch).next().unwrap() - 270.0).abs() < 1e-4);
/// # Ok::<(), lw_core::Error>(())
/// ```
#[derive(Debug)]
pub struct GraphBuilder {
    graph: GraphProto,
    metadata: Vec<StringStringEntryProto>,
    n_values: usize,
}

impl GraphBuilder {
    pub fn new(name: &str) -> Self {
        Self { graph: GraphProto { name: name.to_owned(), ..GraphProto::default() }, metadata: Vec::new(), n_values: 0 }
    }

    /// Declares an input of shape `[N, width]`.
    pub fn input(&mut self, name: &str, element: Element, width: usize) -> Value {
        self.graph.input.push(value_info(name, element, Some(width)));
        Value(name.to_owned())
    }

    /// Names a value as an output of shape `[N, width]`, or `[N]` if there is no width.
    pub fn output(&mut self, name: &str, value: &Value, element: Element, width: Option<usize>) {
        self.graph.output.push(value_info(name, element, width));
        self.push(node("", "Identity", &[value], vec![name.to_owned()], Vec::new()));
    }

    /// Adds a key and a value that travel with the model.
    pub fn metadata(&mut self, key: &str, value: &str) {
        self.metadata.push(StringStringEntryProto { key: key.to_owned(), value: value.to_owned() });
    }

    /// # Errors
    /// `onnx-malformed` if an input and an output, or two of either, have the same name.
    pub fn finish(self) -> Result<Model> {
        let mut names: Vec<&str> = self.graph.input.iter().chain(&self.graph.output).map(|info| info.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(
                malformed(format!("two inputs or outputs of the model are named `{}`", pair[0])).hint("rename the feature")
            );
        }
        let opset = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
        Ok(Model {
            message: ModelProto {
                ir_version: IR_VERSION,
                producer_name: "loopwright".to_owned(),
                producer_version: env!("CARGO_PKG_VERSION").to_owned(),
                opset_import: vec![opset("", OPSET), opset("ai.onnx.ml", ML_OPSET)],
                graph: Some(self.graph),
                metadata_props: self.metadata,
                ..ModelProto::default()
            },
        })
    }

    /// Adds any operator with one output, for what has no method of its own. `domain` is empty or `ai.onnx.ml`.
    pub fn operator(&mut self, domain: &str, operator: &str, inputs: &[&Value], attributes: Vec<AttributeProto>) -> Value {
        let value = self.new_value();
        self.push(node(domain, operator, inputs, vec![value.0.clone()], attributes));
        value
    }

    /// Adds a classifier, which gives labels and scores.
    pub(crate) fn classifier(&mut self, operator: &str, input: &Value, attributes: Vec<AttributeProto>) -> (Value, Value) {
        let (label, scores) = (self.new_value(), self.new_value());
        self.push(node("ai.onnx.ml", operator, &[input], vec![label.0.clone(), scores.0.clone()], attributes));
        (label, scores)
    }

    /// A constant of shape `[1, n]`.
    pub fn constant(&mut self, numbers: &[f32]) -> Value {
        let dims = vec![1, numbers.len() as i64];
        self.initializer(TensorProto {
            dims,
            data_type: data_type::FLOAT,
            float_data: numbers.to_vec(),
            ..TensorProto::default()
        })
    }

    fn initializer(&mut self, tensor: TensorProto) -> Value {
        let value = self.new_value();
        self.graph.initializer.push(TensorProto { name: value.0.clone(), ..tensor });
        value
    }

    /// Names of our own have a slash, which names of features have not.
    fn new_value(&mut self) -> Value {
        self.n_values += 1;
        Value(format!("value/{}", self.n_values))
    }

    fn push(&mut self, node: NodeProto) {
        let name = format!("{}/{}", node.op_type, self.graph.node.len() + 1);
        self.graph.node.push(NodeProto { name, ..node });
    }

    // Standard operators.

    /// Columns side by side.
    pub fn concat(&mut self, values: &[&Value]) -> Value {
        self.operator("", "Concat", values, vec![int("axis", 1)])
    }

    pub fn cast(&mut self, value: &Value, to: Element) -> Value {
        self.operator("", "Cast", &[value], vec![int("to", to.to_proto().into())])
    }

    /// The same values in another shape; one dimension may be -1.
    pub fn reshape(&mut self, value: &Value, dims: &[i64]) -> Value {
        let length = vec![dims.len() as i64];
        let shape =
            TensorProto { dims: length, data_type: data_type::INT64, int64_data: dims.to_vec(), ..TensorProto::default() };
        let shape = self.initializer(shape);
        self.operator("", "Reshape", &[value, &shape], Vec::new())
    }

    pub fn add(&mut self, left: &Value, right: &Value) -> Value {
        self.operator("", "Add", &[left, right], Vec::new())
    }

    pub fn subtract(&mut self, left: &Value, right: &Value) -> Value {
        self.operator("", "Sub", &[left, right], Vec::new())
    }

    pub fn multiply(&mut self, left: &Value, right: &Value) -> Value {
        self.operator("", "Mul", &[left, right], Vec::new())
    }

    pub fn greater(&mut self, left: &Value, right: &Value) -> Value {
        self.operator("", "Greater", &[left, right], Vec::new())
    }

    pub fn sigmoid(&mut self, value: &Value) -> Value {
        self.operator("", "Sigmoid", &[value], Vec::new())
    }

    pub fn softmax(&mut self, value: &Value) -> Value {
        self.operator("", "Softmax", &[value], vec![int("axis", -1)])
    }

    // Operators of classical machine learning.

    /// Each text's number; `default` for texts that are not listed.
    pub fn encode_texts(&mut self, value: &Value, numbers: &[(String, f32)], default: f32) -> Value {
        let keys = numbers.iter().map(|(key, _)| key.as_str());
        let values: Vec<f32> = numbers.iter().map(|(_, number)| *number).collect();
        let attributes = vec![texts("keys_strings", keys), floats("values_floats", &values), float("default_float", default)];
        self.operator("ai.onnx.ml", "LabelEncoder", &[value], attributes)
    }

    /// A column of 0 and 1 for each category; zeros only for others.
    pub fn one_hot(&mut self, value: &Value, categories: &[String]) -> Value {
        let names = categories.iter().map(String::as_str);
        let encoded = self.operator("ai.onnx.ml", "OneHotEncoder", &[value], vec![texts("cats_strings", names), int("zeros", 1)]);
        self.reshape(&encoded, &[-1, categories.len() as i64])
    }

    /// Each column's value in the place of NaN.
    pub fn impute(&mut self, value: &Value, imputed: &[f32]) -> Value {
        let attributes = vec![floats("imputed_value_floats", imputed), float("replaced_value_float", f32::NAN)];
        self.operator("ai.onnx.ml", "Imputer", &[value], attributes)
    }

    /// `(x - offset) * scale` for each column.
    pub fn scale(&mut self, value: &Value, offset: &[f32], scale: &[f32]) -> Value {
        self.operator("ai.onnx.ml", "Scaler", &[value], vec![floats("offset", offset), floats("scale", scale)])
    }

    /// `coefficients · x + intercept`, shape `[N, 1]`.
    pub fn linear_regressor(&mut self, value: &Value, coefficients: &[f32], intercept: f32) -> Value {
        let attributes = vec![floats("coefficients", coefficients), floats("intercepts", &[intercept]), int("targets", 1)];
        self.operator("ai.onnx.ml", "LinearRegressor", &[value], attributes)
    }

    /// Labels and softmax of `coefficients[class] · x + intercepts[class]`.
    pub fn linear_classifier(&mut self, value: &Value, coefficients: &[Vec<f32>], intercepts: &[f32]) -> (Value, Value) {
        let labels: Vec<i64> = (0..intercepts.len() as i64).collect();
        let attributes = vec![
            ints("classlabels_ints", labels),
            floats("coefficients", &coefficients.concat()),
            floats("intercepts", intercepts),
            int("multi_class", 1),
            text("post_transform", "SOFTMAX"),
        ];
        self.classifier("LinearClassifier", value, attributes)
    }

    /// Label (1 if the probability is above one half) and probabilities `[1 - p, p]` of a log-odds value of shape `[N, 1]`.
    ///
    /// This and not a `TreeEnsembleClassifier` is how two classes are written: that operator labels by `log-odds > 0.5` when all its
    /// weights happen to be positive.
    pub fn two_classes(&mut self, log_odds: &Value) -> (Value, Value) {
        let positive = self.sigmoid(log_odds);
        let one = self.constant(&[1.0]);
        let negative = self.subtract(&one, &positive);
        let probabilities = self.concat(&[&negative, &positive]);
        let zero = self.constant(&[0.0]);
        let is_positive = self.greater(log_odds, &zero);
        let label = self.cast(&is_positive, Element::Int64);
        (self.reshape(&label, &[-1]), probabilities)
    }
}

fn node(domain: &str, operator: &str, inputs: &[&Value], output: Vec<String>, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|value| value.0.clone()).collect(),
        output,
        op_type: operator.to_owned(),
        attribute,
        domain: domain.to_owned(),
        ..NodeProto::default()
    }
}

fn value_info(name: &str, element: Element, width: Option<usize>) -> ValueInfoProto {
    let rows = DimensionProto { value: Some(Dimension::Parameter("N".to_owned())) };
    let columns = width.map(|width| DimensionProto { value: Some(Dimension::Value(width as i64)) });
    let shape = TensorShapeProto { dim: std::iter::once(rows).chain(columns).collect() };
    let tensor_type = Some(TensorTypeProto { elem_type: element.to_proto(), shape: Some(shape) });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}

fn attribute(name: &str, kind: i32) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind, ..AttributeProto::default() }
}

pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, attribute_type::INT) }
}

pub(crate) fn ints(name: &str, values: Vec<i64>) -> AttributeProto {
    AttributeProto { ints: values, ..attribute(name, attribute_type::INTS) }
}

pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, attribute_type::FLOAT) }
}

pub(crate) fn floats(name: &str, values: &[f32]) -> AttributeProto {
    AttributeProto { floats: values.to_vec(), ..attribute(name, attribute_type::FLOATS) }
}

pub(crate) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec()), ..attribute(name, attribute_type::STRING) }
}

pub(crate) fn texts<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> AttributeProto {
    let strings = values.into_iter().map(|value| value.as_bytes().to_vec()).collect();
    AttributeProto { strings, ..attribute(name, attribute_type::STRINGS) }
}
