//! Functions of one value, and softmax.

use lw_core::Result;

use super::{Inputs, Operator, Opsets, Work};
use crate::attribute::Attributes;
use crate::failures::unsupported;
use crate::message::NodeProto;
use crate::tensor::{Element, Tensor};

#[derive(Clone, Copy)]
pub(super) struct UnaryFunction {
    apply: fn(f64) -> f64,
    gives_bool: bool,
}

pub(super) fn unary(operator: &str) -> Option<UnaryFunction> {
    let number = |apply| UnaryFunction { apply, gives_bool: false };
    let truth = |apply| UnaryFunction { apply, gives_bool: true };
    Some(match operator {
        "Sigmoid" => number(logistic),
        "Relu" => number(|x| if x < 0.0 { 0.0 } else { x }),
        "Tanh" => number(f64::tanh),
        "Neg" => number(|x| -x),
        "Abs" => number(f64::abs),
        "Exp" => number(f64::exp),
        "Log" => number(f64::ln),
        "Sqrt" => number(f64::sqrt),
        "Floor" => number(f64::floor),
        "Ceil" => number(f64::ceil),
        "Not" => truth(|x| f64::from(u8::from(x == 0.0))),
        "IsNaN" => truth(|x| f64::from(u8::from(x.is_nan()))),
        _ => return None,
    })
}

/// 1 / (1 + exp(-x)), computed so that neither tail overflows.
pub(super) fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        return 1.0 / (1.0 + (-x).exp());
    }
    let e = x.exp();
    e / (1.0 + e)
}

/// exp(x) / Σ exp(x), shifted by the largest value.
pub(super) fn softmax(row: &mut [f64]) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - largest).exp();
        sum += *value;
    }
    for value in row {
        *value /= sum;
    }
}

pub(super) struct Unary(UnaryFunction);

impl Unary {
    pub fn compile(node: &NodeProto, function: UnaryFunction) -> Result<Self> {
        Attributes::read(node, &[])?;
        Ok(Self(function))
    }
}

impl Operator for Unary {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        let (_, _, numbers) = input.matrix()?;
        let element = if self.0.gives_bool { Element::Bool } else { input.element };
        let output = outputs[0].reset(element, input.shape, &mut work.budget)?;
        for (to, &from) in output.iter_mut().zip(numbers) {
            *to = (self.0.apply)(from);
        }
        Ok(())
    }
}

pub(super) struct Softmax;

impl Softmax {
    pub fn compile(node: &NodeProto, opsets: Opsets) -> Result<Self> {
        let attributes = Attributes::read(node, &["axis"])?;
        super::expect_column_axis(attributes, if opsets.onnx < 13 { 1 } else { -1 })?;
        Ok(Self)
    }
}

impl Operator for Softmax {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        let (_, columns, numbers) = input.matrix()?;
        if input.shape.rank() != 2 {
            return Err(unsupported("Softmax of a value that is not a matrix"));
        }
        let output = outputs[0].reset(input.element, input.shape, &mut work.budget)?;
        output.copy_from_slice(numbers);
        output.chunks_exact_mut(columns.max(1)).for_each(softmax);
        Ok(())
    }
}
