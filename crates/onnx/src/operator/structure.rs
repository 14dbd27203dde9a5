//! Operators that put columns side by side or give values another shape.

use lw_core::Result;

use super::{Inputs, Operator, Work};
use crate::attribute::Attributes;
use crate::failures::{malformed, unsupported};
use crate::message::NodeProto;
use crate::tensor::{Element, Shape, Tensor};

/// Columns side by side.
pub(super) struct Concat;

impl Concat {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        super::expect_column_axis(Attributes::read(node, &["axis"])?, 0)?;
        Ok(Self)
    }
}

impl Operator for Concat {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let first = inputs.get(0)?;
        let (rows, _) = first.shape.as_matrix();
        let mut width = 0_usize;
        for index in 0..inputs.len() {
            let input = inputs.get(index)?;
            let is_text = input.element == Element::Text;
            if input.shape.rank() != 2 || input.shape.as_matrix().0 != rows || is_text != (first.element == Element::Text) {
                return Err(malformed("Concat of values with different rows or types"));
            }
            width = width.saturating_add(input.shape.as_matrix().1);
        }
        let shape = Shape::Matrix(rows, width);
        if first.element == Element::Text {
            return concat_texts(inputs, rows, outputs[0].reset_texts(shape, &mut work.budget)?);
        }
        let output = outputs[0].reset(first.element, shape, &mut work.budget)?;
        let mut start = 0;
        for index in 0..inputs.len() {
            let (_, columns, numbers) = inputs.get(index)?.matrix()?;
            for (to, from) in output.chunks_exact_mut(width.max(1)).zip(numbers.chunks_exact(columns.max(1))) {
                to[start..start + columns].copy_from_slice(&from[..columns]);
            }
            start += columns;
        }
        Ok(())
    }
}

fn concat_texts(inputs: Inputs<'_>, rows: usize, texts: &mut crate::tensor::Texts) -> Result<()> {
    for row in 0..rows {
        for index in 0..inputs.len() {
            let input = inputs.get(index)?;
            let (_, columns) = input.shape.as_matrix();
            for column in 0..columns {
                texts.push(input.texts.get(row * columns + column).unwrap_or_default());
            }
        }
    }
    Ok(())
}

/// The same values in another shape, which must be a constant.
pub(super) struct Reshape {
    dims: Vec<i64>,
}

impl Reshape {
    pub fn compile(node: &NodeProto, constants: &[Option<&Tensor>]) -> Result<Self> {
        let attributes = Attributes::read(node, &["allowzero"])?;
        let Some(shape) = constants.get(1).copied().flatten() else {
            return Err(unsupported("Reshape to a shape that is computed"));
        };
        let dims: Vec<i64> = shape.numbers.iter().map(|&dim| dim as i64).collect();
        if dims.len() > 2 || attributes.int("allowzero", 0) != 0 || dims.iter().any(|&dim| dim < -1) {
            return Err(unsupported(format!("Reshape to {} dimensions", dims.len())));
        }
        Ok(Self { dims })
    }
}

impl Operator for Reshape {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        let (rows, columns) = input.shape.as_matrix();
        let own = match input.shape {
            Shape::Scalar => [1, 1],
            Shape::Vector(n) => [n, 1],
            Shape::Matrix(..) => [rows, columns],
        };
        let known = |index: usize, dim: i64| match dim {
            0 => own[index],
            dim => usize::try_from(dim).unwrap_or(1),
        };
        let product: usize = self.dims.iter().enumerate().map(|(index, &dim)| known(index, dim)).fold(1, usize::saturating_mul);
        let size = |index: usize, dim: i64| if dim == -1 { input.shape.len() / product.max(1) } else { known(index, dim) };
        let shape = match self.dims.as_slice() {
            [] => Shape::Scalar,
            [dim] => Shape::Vector(size(0, *dim)),
            [first, second, ..] => Shape::Matrix(size(0, *first), size(1, *second)),
        };
        outputs[0].copy_from(input, shape, &mut work.budget)
    }
}

/// `[N, C]` as it is; a vector or scalar as one column.
pub(super) struct Flatten;

impl Flatten {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        super::expect_column_axis(Attributes::read(node, &["axis"])?, 1)?;
        Ok(Self)
    }
}

impl Operator for Flatten {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        let shape = match input.shape {
            Shape::Scalar => Shape::Matrix(1, 1),
            Shape::Vector(n) => Shape::Matrix(n, 1),
            matrix @ Shape::Matrix(..) => matrix,
        };
        outputs[0].copy_from(input, shape, &mut work.budget)
    }
}

/// `[N, 1]` to `[N]`, or with `grows` back again.
pub(super) struct Squeeze {
    grows: bool,
}

impl Squeeze {
    pub fn compile(node: &NodeProto, constants: &[Option<&Tensor>]) -> Result<Self> {
        let attributes = Attributes::read(node, &["axes"])?;
        let axes: Vec<i64> = match constants.get(1).copied().flatten() {
            Some(tensor) => tensor.numbers.iter().map(|&axis| axis as i64).collect(),
            None => attributes.ints("axes").to_vec(),
        };
        if !matches!(axes.as_slice(), [1 | -1]) {
            return Err(unsupported(format!("{} along other axes than the columns", node.op_type)));
        }
        Ok(Self { grows: node.op_type == "Unsqueeze" })
    }
}

impl Operator for Squeeze {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        let shape = match (input.shape, self.grows) {
            (Shape::Matrix(n, 1), false) => Shape::Vector(n),
            (Shape::Vector(n), true) => Shape::Matrix(n, 1),
            (shape, _) => return Err(unsupported(format!("Squeeze or Unsqueeze of {shape:?}"))),
        };
        outputs[0].copy_from(input, shape, &mut work.budget)
    }
}
