//! The operators, one struct each: attributes are checked once, and a run only computes.

mod activation;
mod arithmetic;
mod cast;
mod classes;
mod encoder;
mod forest;
mod forest_attributes;
mod linear;
mod scaling;
mod selection;
mod structure;
mod tree_ensemble;

use lw_core::Result;

pub use classes::Classes;

use crate::attribute::Attributes;
use crate::failures::{malformed, unsupported};
use crate::message::NodeProto;
use crate::tensor::{Budget, Tensor};

/// One step of a graph. It sees its inputs and writes all of its outputs.
pub(crate) trait Operator: Send + Sync {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()>;

    /// How many outputs it writes, at least.
    fn n_outputs(&self) -> usize {
        1
    }

    /// The classes that the columns of its last output stand for.
    fn classes(&self) -> Option<&Classes> {
        None
    }
}

/// Where an input's value is found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operand {
    Slot(usize),
    Constant(usize),
    /// An optional input that the node leaves out.
    Absent,
}

#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub slots: &'a [Tensor],
    pub constants: &'a [Tensor],
    pub operands: &'a [Operand],
}

impl<'a> Inputs<'a> {
    pub fn len(&self) -> usize {
        self.operands.len()
    }

    pub fn optional(&self, index: usize) -> Option<&'a Tensor> {
        match *self.operands.get(index)? {
            Operand::Slot(slot) => self.slots.get(slot),
            Operand::Constant(constant) => self.constants.get(constant),
            Operand::Absent => None,
        }
    }

    pub fn get(&self, index: usize) -> Result<&'a Tensor> {
        self.optional(index).ok_or_else(|| malformed(format!("an operator lacks its input {index}")))
    }
}

/// Buffers that operators may use while they run, and the bound on what they write.
#[derive(Debug)]
pub(crate) struct Work {
    pub budget: Budget,
    pub floats: Vec<f32>,
    pub sums: Vec<f64>,
    pub hits: Vec<bool>,
}

impl Default for Work {
    fn default() -> Self {
        Self { budget: Budget::for_rows(1), floats: Vec::new(), sums: Vec::new(), hits: Vec::new() }
    }
}

/// The versions of the two operator sets that a model imports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opsets {
    pub onnx: i64,
    pub ml: i64,
}

/// Reads a node. `constants` are its inputs that are constants of the graph, in order.
pub(crate) fn compile(node: &NodeProto, opsets: Opsets, constants: &[Option<&Tensor>]) -> Result<Box<dyn Operator>> {
    let compiled = match node.domain.as_str() {
        "ai.onnx.ml" => compile_ml(node, opsets),
        "" | "ai.onnx" => compile_onnx(node, opsets, constants),
        _ => None,
    };
    compiled.unwrap_or_else(|| {
        let name = format!("{}.{}", node.domain, node.op_type);
        let name: String = name.trim_start_matches('.').chars().take(80).collect();
        Err(unsupported(format!("operator {name} is not known to the native evaluator")))
    })
}

type Compiled = Option<Result<Box<dyn Operator>>>;

fn boxed<T: Operator + 'static>(operator: Result<T>) -> Compiled {
    Some(operator.map(|operator| Box::new(operator) as Box<dyn Operator>))
}

fn compile_ml(node: &NodeProto, opsets: Opsets) -> Compiled {
    match node.op_type.as_str() {
        "TreeEnsembleClassifier" if opsets.ml < 5 => boxed(tree_ensemble::Classifier::compile(node)),
        "TreeEnsembleRegressor" if opsets.ml < 5 => boxed(tree_ensemble::Regressor::compile(node)),
        "TreeEnsemble" => boxed(tree_ensemble::Regressor::compile_merged(node)),
        "LinearClassifier" => boxed(linear::Classifier::compile(node)),
        "LinearRegressor" => boxed(linear::Regressor::compile(node)),
        "Scaler" => boxed(scaling::Scaler::compile(node)),
        "Imputer" => boxed(scaling::Imputer::compile(node)),
        "Normalizer" => boxed(scaling::Normalizer::compile(node)),
        "Binarizer" => boxed(scaling::Binarizer::compile(node)),
        "LabelEncoder" if opsets.ml >= 2 => boxed(encoder::LabelEncoder::compile(node)),
        "OneHotEncoder" => boxed(encoder::OneHotEncoder::compile(node)),
        "ArrayFeatureExtractor" => boxed(selection::ArrayFeatureExtractor::compile(node)),
        "ZipMap" => boxed(classes::ZipMap::compile(node)),
        _ => None,
    }
}

fn compile_onnx(node: &NodeProto, opsets: Opsets, constants: &[Option<&Tensor>]) -> Compiled {
    let operator = node.op_type.as_str();
    if let Some(function) = arithmetic::binary(operator) {
        return boxed(arithmetic::Binary::compile(node, function, opsets));
    }
    if let Some(function) = activation::unary(operator) {
        return boxed(activation::Unary::compile(node, function));
    }
    match operator {
        "Cast" => boxed(cast::Cast::compile(node)),
        "Concat" => boxed(structure::Concat::compile(node)),
        "Reshape" => boxed(structure::Reshape::compile(node, constants)),
        "Flatten" => boxed(structure::Flatten::compile(node)),
        "Squeeze" | "Unsqueeze" => boxed(structure::Squeeze::compile(node, constants)),
        "Softmax" => boxed(activation::Softmax::compile(node, opsets)),
        "ArgMax" => boxed(selection::ArgMax::compile(node)),
        "Gather" => boxed(selection::Gather::compile(node)),
        "Where" => boxed(arithmetic::Where::compile(node)),
        "MatMul" => boxed(linear::MatMul::compile(node)),
        "Gemm" => boxed(linear::Gemm::compile(node)),
        "ReduceSum" => boxed(arithmetic::ReduceSum::compile(node, constants)),
        _ => None,
    }
}

/// Reads an axis of a matrix: 1 or -1 for columns. Anything else is left to ONNX Runtime.
fn expect_column_axis(attributes: Attributes<'_>, default: i64) -> Result<()> {
    match attributes.int("axis", default) {
        1 | -1 => Ok(()),
        axis => Err(unsupported(format!("an operator along axis {axis}; the native evaluator knows columns"))),
    }
}
