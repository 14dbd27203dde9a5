//! Operators that change numbers column by column, or row by row.

use lw_core::Result;

use super::{Inputs, Operator, Work};
use crate::attribute::Attributes;
use crate::failures::{malformed, unsupported};
use crate::message::NodeProto;
use crate::tensor::{Element, Tensor, exact};

/// One value for all columns or one for each.
struct PerColumn(Vec<f64>);

impl PerColumn {
    fn fits(&self, columns: usize) -> Result<()> {
        if self.0.len() == 1 || self.0.len() == columns {
            return Ok(());
        }
        Err(malformed(format!("an operator has {} values for {columns} columns", self.0.len())))
    }

    #[inline]
    fn of(&self, column: usize) -> f64 {
        if self.0.len() == 1 { self.0[0] } else { self.0[column] }
    }
}

/// Writes `compute(column, value)` for each number.
fn by_column(
    input: &Tensor,
    element: Element,
    output: &mut Tensor,
    work: &mut Work,
    compute: impl Fn(usize, f64) -> f64,
) -> Result<()> {
    let (_, columns, numbers) = input.matrix()?;
    let output = output.reset(element, input.shape, &mut work.budget)?;
    for (to_row, row) in output.chunks_exact_mut(columns.max(1)).zip(numbers.chunks_exact(columns.max(1))) {
        for (column, (to, &from)) in to_row.iter_mut().zip(row).enumerate() {
            *to = compute(column, from);
        }
    }
    Ok(())
}

/// `(x - offset) * scale`, in 64 bits: the 32-bit product of other runtimes can fall on the other side of a tree's threshold.
pub(super) struct Scaler {
    offset: PerColumn,
    scale: PerColumn,
}

impl Scaler {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        let attributes = Attributes::read(node, &["offset", "scale"])?;
        let list = |name| PerColumn(attributes.floats(name).iter().map(|&value| value.into()).collect());
        Ok(Self { offset: list("offset"), scale: list("scale") })
    }
}

impl Operator for Scaler {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        let (_, columns) = input.shape.as_matrix();
        self.offset.fits(columns)?;
        self.scale.fits(columns)?;
        by_column(input, Element::Float, &mut outputs[0], work, |column, x| (x - self.offset.of(column)) * self.scale.of(column))
    }
}

/// Puts a value in the place of missing ones.
pub(super) struct Imputer {
    imputed: PerColumn,
    replaced: f64,
}

impl Imputer {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        let known = ["imputed_value_floats", "imputed_value_int64s", "replaced_value_float", "replaced_value_int64"];
        let attributes = Attributes::read(node, &known)?;
        let (floats, ints) = (attributes.floats("imputed_value_floats"), attributes.ints("imputed_value_int64s"));
        if ints.is_empty() {
            let imputed = PerColumn(floats.iter().map(|&value| value.into()).collect());
            return Ok(Self { imputed, replaced: attributes.float("replaced_value_float", 0.0).into() });
        }
        let imputed = PerColumn(ints.iter().map(|&value| exact(value)).collect::<Result<_>>()?);
        Ok(Self { imputed, replaced: exact(attributes.int("replaced_value_int64", 0))? })
    }
}

impl Operator for Imputer {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        self.imputed.fits(input.shape.as_matrix().1)?;
        let is_missing = |x: f64| input.element.quantise(x) == self.replaced || (x.is_nan() && self.replaced.is_nan());
        by_column(
            input,
            input.element,
            &mut outputs[0],
            work,
            |column, x| if is_missing(x) { self.imputed.of(column) } else { x },
        )
    }
}

/// 1 above the threshold, otherwise 0.
pub(super) struct Binarizer {
    threshold: f64,
}

impl Binarizer {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        Ok(Self { threshold: Attributes::read(node, &["threshold"])?.float("threshold", 0.0).into() })
    }
}

impl Operator for Binarizer {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        let is_above = |x: f64| input.element.quantise(x) > self.threshold;
        by_column(input, input.element, &mut outputs[0], work, |_, x| f64::from(u8::from(is_above(x))))
    }
}

/// Divides each row by its length. A row of zeros stays as it is.
pub(super) struct Normalizer {
    is_euclidean: bool,
}

impl Normalizer {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        match Attributes::read(node, &["norm"])?.text("norm", "MAX")? {
            "L1" => Ok(Self { is_euclidean: false }),
            "L2" => Ok(Self { is_euclidean: true }),
            norm => Err(unsupported(format!("a Normalizer by {}", norm.chars().take(20).collect::<String>()))),
        }
    }
}

impl Operator for Normalizer {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        let (_, columns, numbers) = input.matrix()?;
        let output = outputs[0].reset(Element::Float, input.shape, &mut work.budget)?;
        output.copy_from_slice(numbers);
        for row in output.chunks_exact_mut(columns.max(1)) {
            let length =
                if self.is_euclidean { row.iter().map(|x| x * x).sum::<f64>().sqrt() } else { row.iter().map(|x| x.abs()).sum() };
            if length != 0.0 {
                row.iter_mut().for_each(|x| *x /= length);
            }
        }
        Ok(())
    }
}
