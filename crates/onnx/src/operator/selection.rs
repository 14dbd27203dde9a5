//! Operators that pick values by position.

use lw_core::Result;

use super::{Inputs, Operator, Work};
use crate::attribute::Attributes;
use crate::failures::{malformed, unsupported};
use crate::message::NodeProto;
use crate::tensor::{Element, Shape, Tensor};

/// The column of each row's largest value; the first of equal ones.
pub(super) struct ArgMax {
    keeps_dimension: bool,
}

impl ArgMax {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        let attributes = Attributes::read(node, &["axis", "keepdims", "select_last_index"])?;
        super::expect_column_axis(attributes, 0)?;
        if attributes.int("select_last_index", 0) != 0 {
            return Err(unsupported("ArgMax with select_last_index"));
        }
        Ok(Self { keeps_dimension: attributes.int("keepdims", 1) != 0 })
    }
}

impl Operator for ArgMax {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        let (rows, columns, numbers) = input.matrix()?;
        if input.shape.rank() != 2 || columns == 0 {
            return Err(malformed("ArgMax of a value that is not a matrix"));
        }
        let shape = if self.keeps_dimension { Shape::Matrix(rows, 1) } else { Shape::Vector(rows) };
        let output = outputs[0].reset(Element::Int64, shape, &mut work.budget)?;
        for (to, row) in output.iter_mut().zip(numbers.chunks_exact(columns)) {
            *to = largest(row) as f64;
        }
        Ok(())
    }
}

/// The position of the largest value; the first of equal ones.
pub(super) fn largest(row: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

/// The columns at the positions of the second input.
pub(super) struct ArrayFeatureExtractor;

impl ArrayFeatureExtractor {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        Attributes::read(node, &[])?;
        Ok(Self)
    }
}

impl Operator for ArrayFeatureExtractor {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let (source, positions) = (inputs.get(0)?, inputs.get(1)?);
        let (rows, _) = source.shape.as_matrix();
        let shape = Shape::Matrix(rows, positions.shape.len());
        pick_columns(source, positions, shape, &mut outputs[0], work)
    }
}

/// Rows of a vector, or columns of a matrix, at the positions of the second input.
pub(super) struct Gather {
    axis: i64,
}

impl Gather {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        let attributes = Attributes::read(node, &["axis"])?;
        Ok(Self { axis: attributes.int("axis", 0) })
    }
}

impl Operator for Gather {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let (source, positions) = (inputs.get(0)?, inputs.get(1)?);
        let shape = match (source.shape, self.axis, positions.shape) {
            (Shape::Vector(_), 0 | -1, shape) => shape,
            (Shape::Matrix(rows, _), 1 | -1, Shape::Scalar) => Shape::Vector(rows),
            (Shape::Matrix(rows, _), 1 | -1, Shape::Vector(n)) => Shape::Matrix(rows, n),
            _ => return Err(unsupported("a Gather of other things than columns or elements")),
        };
        pick_columns(source, positions, shape, &mut outputs[0], work)
    }
}

fn pick_columns(source: &Tensor, positions: &Tensor, shape: Shape, output: &mut Tensor, work: &mut Work) -> Result<()> {
    let (rows, columns) = source.shape.as_matrix();
    let (_, _, positions) = positions.matrix()?;
    let column_of = |position: f64| {
        let position = if position < 0.0 { position + columns as f64 } else { position };
        let is_inside = position >= 0.0 && position < columns as f64;
        is_inside.then_some(position as usize).ok_or_else(|| malformed(format!("position {position} of {columns} columns")))
    };
    if source.element == Element::Text {
        let texts = output.reset_texts(shape, &mut work.budget)?;
        for row in 0..rows {
            for &position in positions {
                texts.push(source.texts.get(row * columns + column_of(position)?).unwrap_or_default());
            }
        }
        return Ok(());
    }
    let numbers = output.reset(source.element, shape, &mut work.budget)?;
    let mut next = numbers.iter_mut();
    for row in 0..rows {
        for &position in positions {
            let from = source.numbers[row * columns + column_of(position)?];
            *next.next().ok_or_else(|| malformed("a Gather writes more than its shape"))? = from;
        }
    }
    Ok(())
}
