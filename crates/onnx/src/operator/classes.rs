//! The classes of a classifier: what its labels and the columns of its probabilities stand for.

use lw_core::Result;

use super::{Inputs, Operator, Work};
use crate::attribute::Attributes;
use crate::failures::{malformed, unsupported};
use crate::message::NodeProto;
use crate::tensor::{Budget, Element, Shape, Tensor, exact};

/// The classes of a classifier, in the order of its probabilities' columns.
#[derive(Debug, Clone, PartialEq)]
pub enum Classes {
    Integers(Vec<i64>),
    Texts(Vec<String>),
}

impl Classes {
    pub fn len(&self) -> usize {
        match self {
            Self::Integers(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn read(attributes: Attributes<'_>) -> Result<Self> {
        let integers = attributes.ints("classlabels_int64s").iter().chain(attributes.ints("classlabels_ints"));
        let integers: Vec<i64> = integers.copied().collect();
        let texts: Vec<String> = attributes.texts("classlabels_strings")?.into_iter().map(str::to_owned).collect();
        match (integers.is_empty(), texts.is_empty()) {
            (false, true) => {
                integers.iter().try_for_each(|&label| exact(label).map(drop))?;
                Ok(Self::Integers(integers))
            }
            (true, false) => Ok(Self::Texts(texts)),
            _ => Err(malformed("a classifier must name its classes, either as integers or as texts")),
        }
    }

    /// Writes one label a row.
    pub(super) fn write(&self, label: Label, into: &mut Tensor) {
        match (self, label) {
            (Self::Integers(labels), Label::Class(index)) => {
                into.numbers.push(labels.get(index).map_or(0.0, |&label| label as f64))
            }
            (Self::Integers(_), Label::Bare(index)) => into.numbers.push(index as f64),
            (Self::Texts(labels), Label::Class(index) | Label::Bare(index)) => {
                into.texts.push(labels.get(index).map_or("", String::as_str))
            }
        }
    }

    /// Makes a value ready for `n_rows` labels to be written.
    pub(super) fn start(&self, into: &mut Tensor, n_rows: usize, budget: &mut Budget) -> Result<()> {
        match self {
            Self::Integers(_) => into.reset(Element::Int64, Shape::Vector(n_rows), budget).map(drop)?,
            Self::Texts(_) => into.reset_texts(Shape::Vector(n_rows), budget).map(drop)?,
        }
        into.numbers.clear();
        Ok(())
    }
}

/// Which label a classifier gives a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Label {
    Class(usize),
    /// The number itself: ONNX Runtime answers 0 and 1 here, whatever the integer labels of two classes are.
    Bare(usize),
}

/// Names the columns of probabilities. The result stays a matrix; the names are the evaluator's `classes`.
pub(super) struct ZipMap(Classes);

impl ZipMap {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        Ok(Self(Classes::read(Attributes::read(node, &["classlabels_int64s", "classlabels_strings"])?)?))
    }
}

impl Operator for ZipMap {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        if input.shape.as_matrix().1 != self.0.len() || input.element == Element::Text {
            return Err(unsupported("a ZipMap with other columns than its classes"));
        }
        outputs[0].copy_from(input, input.shape, &mut work.budget)
    }

    fn classes(&self) -> Option<&Classes> {
        Some(&self.0)
    }
}
