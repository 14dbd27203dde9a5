//! Functions of two values that stretch to each other, choice, and sums of rows.

use lw_core::Result;

use super::{Inputs, Operator, Opsets, Work};
use crate::attribute::Attributes;
use crate::failures::{malformed, unsupported};
use crate::message::NodeProto;
use crate::tensor::{Element, Shape, Tensor};

#[derive(Clone, Copy)]
pub(super) struct BinaryFunction {
    apply: fn(f64, f64) -> f64,
    compares: bool,
}

pub(super) fn binary(operator: &str) -> Option<BinaryFunction> {
    let number = |apply| BinaryFunction { apply, compares: false };
    let truth = |apply| BinaryFunction { apply, compares: true };
    Some(match operator {
        "Add" => number(|a, b| a + b),
        "Sub" => number(|a, b| a - b),
        "Mul" => number(|a, b| a * b),
        "Div" => number(|a, b| a / b),
        "Pow" => number(f64::powf),
        "Greater" => truth(|a, b| f64::from(u8::from(a > b))),
        "GreaterOrEqual" => truth(|a, b| f64::from(u8::from(a >= b))),
        "Less" => truth(|a, b| f64::from(u8::from(a < b))),
        "LessOrEqual" => truth(|a, b| f64::from(u8::from(a <= b))),
        "Equal" => truth(|a, b| f64::from(u8::from(a == b))),
        "And" => truth(|a, b| f64::from(u8::from(a != 0.0 && b != 0.0))),
        "Or" => truth(|a, b| f64::from(u8::from(a != 0.0 || b != 0.0))),
        _ => return None,
    })
}

pub(super) struct Binary {
    function: BinaryFunction,
    divides: bool,
}

impl Binary {
    pub fn compile(node: &NodeProto, function: BinaryFunction, opsets: Opsets) -> Result<Self> {
        Attributes::read(node, &[])?;
        if opsets.onnx < 7 {
            return Err(unsupported(format!("{} of operator set {}", node.op_type, opsets.onnx)));
        }
        Ok(Self { function, divides: node.op_type == "Div" })
    }
}

impl Operator for Binary {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let (left, right) = (inputs.get(0)?, inputs.get(1)?);
        if left.element == Element::Text || right.element == Element::Text {
            return Err(unsupported("an operator on numbers is given text"));
        }
        let is_integer = left.element.is_integer();
        let element = if self.function.compares { Element::Bool } else { left.element };
        let shape = left.shape.broadcast(right.shape)?;
        let output = outputs[0].reset(element, shape, &mut work.budget)?;
        let apply = self.function.apply;
        let (compares, divides) = (self.function.compares, self.divides);
        let compute = move |a: f64, b: f64| match (compares, divides && is_integer) {
            (true, _) => apply(left.element.quantise(a), right.element.quantise(b)),
            (_, true) => (a / b).trunc(),
            _ => apply(a, b),
        };
        stretch(shape, output, [left, right], |[a, b]| compute(a, b));
        Ok(())
    }
}

/// Calls `compute` for each element of `shape` with the elements of the inputs that stretch over it.
fn stretch<const N: usize>(shape: Shape, output: &mut [f64], inputs: [&Tensor; N], compute: impl Fn([f64; N]) -> f64) {
    let (_, columns) = shape.as_matrix();
    let steps = inputs.map(|input| {
        let (rows, columns) = input.shape.as_matrix();
        (if rows == 1 { 0 } else { columns }, usize::from(columns != 1))
    });
    for (index, to) in output.iter_mut().enumerate() {
        let (row, column) = (index / columns, index % columns);
        *to = compute(std::array::from_fn(|k| inputs[k].numbers[row * steps[k].0 + column * steps[k].1]));
    }
}

/// `condition ? a : b`, of numbers.
pub(super) struct Where;

impl Where {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        Attributes::read(node, &[])?;
        Ok(Self)
    }
}

impl Operator for Where {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let all = [inputs.get(0)?, inputs.get(1)?, inputs.get(2)?];
        if all.iter().any(|input| input.element == Element::Text) {
            return Err(unsupported("Where of texts"));
        }
        let shape = all[0].shape.broadcast(all[1].shape)?.broadcast(all[2].shape)?;
        let output = outputs[0].reset(all[1].element, shape, &mut work.budget)?;
        stretch(shape, output, all, |[condition, a, b]| if condition == 0.0 { b } else { a });
        Ok(())
    }
}

/// The sum of each row.
pub(super) struct ReduceSum {
    keeps_dimension: bool,
}

impl ReduceSum {
    pub fn compile(node: &NodeProto, constants: &[Option<&Tensor>]) -> Result<Self> {
        let attributes = Attributes::read(node, &["axes", "keepdims", "noop_with_empty_axes"])?;
        let given = attributes.ints("axes");
        let axes: Vec<i64> = match constants.get(1).copied().flatten() {
            Some(tensor) => tensor.numbers.iter().map(|&axis| axis as i64).collect(),
            None => given.to_vec(),
        };
        if !matches!(axes.as_slice(), [1 | -1]) {
            return Err(unsupported("ReduceSum along other axes than the columns"));
        }
        Ok(Self { keeps_dimension: attributes.int("keepdims", 1) != 0 })
    }
}

impl Operator for ReduceSum {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        let (rows, columns, numbers) = input.matrix()?;
        if input.shape.rank() != 2 || columns == 0 {
            return Err(malformed("ReduceSum of a value that is not a matrix"));
        }
        let shape = if self.keeps_dimension { Shape::Matrix(rows, 1) } else { Shape::Vector(rows) };
        let output = outputs[0].reset(input.element, shape, &mut work.budget)?;
        for (to, row) in output.iter_mut().zip(numbers.chunks_exact(columns)) {
            *to = row.iter().sum();
        }
        Ok(())
    }
}
