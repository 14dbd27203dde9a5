//! Linear models and matrix products.

use lw_core::Result;

use super::activation::{logistic, softmax};
use super::classes::{Classes, Label};
use super::selection::largest;
use super::{Inputs, Operator, Work};
use crate::attribute::Attributes;
use crate::failures::{malformed, unsupported};
use crate::message::NodeProto;
use crate::tensor::{Element, Shape, Tensor};

/// What becomes of the scores of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PostTransform {
    None,
    Logistic,
    Softmax,
}

impl PostTransform {
    pub fn read(attributes: Attributes<'_>) -> Result<Self> {
        match attributes.text("post_transform", "NONE")? {
            "NONE" => Ok(Self::None),
            "LOGISTIC" => Ok(Self::Logistic),
            "SOFTMAX" => Ok(Self::Softmax),
            other => Err(unsupported(format!("post_transform {}", other.chars().take(20).collect::<String>()))),
        }
    }

    pub fn apply(self, row: &mut [f64]) {
        match self {
            Self::None => {}
            Self::Logistic => row.iter_mut().for_each(|x| *x = logistic(*x)),
            Self::Softmax => softmax(row),
        }
    }
}

/// `x · coefficientsᵀ + intercepts`, one row of coefficients a target.
struct Linear {
    coefficients: Vec<f64>,
    intercepts: Vec<f64>,
}

impl Linear {
    fn read(attributes: Attributes<'_>, n_targets: usize) -> Result<Self> {
        let list = |name| attributes.floats(name).iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        let (coefficients, mut intercepts) = (list("coefficients"), list("intercepts"));
        if intercepts.is_empty() {
            intercepts = vec![0.0; n_targets.min(coefficients.len())];
        }
        if n_targets == 0
            || intercepts.len() != n_targets
            || coefficients.is_empty()
            || !coefficients.len().is_multiple_of(n_targets)
        {
            let n = coefficients.len();
            return Err(malformed(format!(
                "a linear model of {n_targets} targets has {n} coefficients and {} intercepts",
                intercepts.len()
            )));
        }
        Ok(Self { coefficients, intercepts })
    }

    fn run(&self, input: &Tensor, output: &mut Tensor, work: &mut Work) -> Result<()> {
        let (rows, columns, numbers) = input.matrix()?;
        let n_targets = self.intercepts.len();
        if columns * n_targets != self.coefficients.len() {
            return Err(malformed(format!(
                "a linear model of {} coefficients is given {columns} columns",
                self.coefficients.len()
            )));
        }
        let output = output.reset(Element::Float, Shape::Matrix(rows, n_targets), &mut work.budget)?;
        for (scores, row) in output.chunks_exact_mut(n_targets).zip(numbers.chunks_exact(columns)) {
            for (target, score) in scores.iter_mut().enumerate() {
                let weights = &self.coefficients[target * columns..][..columns];
                *score = self.intercepts[target] + row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
            }
        }
        Ok(())
    }
}

pub(super) struct Regressor(Linear);

impl Regressor {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        let attributes = Attributes::read(node, &["coefficients", "intercepts", "targets", "post_transform"])?;
        if PostTransform::read(attributes)? != PostTransform::None {
            return Err(unsupported("a LinearRegressor with a post_transform"));
        }
        let n_targets = usize::try_from(attributes.int("targets", 1)).unwrap_or(0);
        Ok(Self(Linear::read(attributes, n_targets)?))
    }
}

impl Operator for Regressor {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        self.0.run(inputs.get(0)?, &mut outputs[0], work)
    }
}

pub(super) struct Classifier {
    linear: Linear,
    classes: Classes,
    post_transform: PostTransform,
}

impl Classifier {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        let known = ["classlabels_ints", "classlabels_strings", "coefficients", "intercepts", "multi_class", "post_transform"];
        let attributes = Attributes::read(node, &known)?;
        let classes = Classes::read(attributes)?;
        let n_targets = attributes.floats("intercepts").len();
        if n_targets < 2 || n_targets != classes.len() {
            return Err(unsupported(format!("a LinearClassifier with {n_targets} scores for {} classes", classes.len())));
        }
        Ok(Self { linear: Linear::read(attributes, n_targets)?, classes, post_transform: PostTransform::read(attributes)? })
    }
}

impl Operator for Classifier {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let [labels, scores, ..] = outputs else {
            return Err(malformed("a classifier needs two outputs"));
        };
        self.linear.run(inputs.get(0)?, scores, work)?;
        let n_targets = self.classes.len();
        self.classes.start(labels, scores.numbers.len() / n_targets, &mut work.budget)?;
        for row in scores.numbers.chunks_exact_mut(n_targets) {
            self.classes.write(Label::Class(largest(row)), labels);
            self.post_transform.apply(row);
        }
        Ok(())
    }

    fn n_outputs(&self) -> usize {
        2
    }

    fn classes(&self) -> Option<&Classes> {
        Some(&self.classes)
    }
}

/// The product of two matrices.
pub(super) struct MatMul;

impl MatMul {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        Attributes::read(node, &[])?;
        Ok(Self)
    }
}

impl Operator for MatMul {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        multiply(inputs.get(0)?, inputs.get(1)?, false, &mut outputs[0], work)
    }
}

fn multiply(left: &Tensor, right: &Tensor, is_transposed: bool, output: &mut Tensor, work: &mut Work) -> Result<()> {
    let ((rows, inner, a), (right_rows, right_columns, b)) = (left.matrix()?, right.matrix()?);
    let (right_inner, columns) = if is_transposed { (right_columns, right_rows) } else { (right_rows, right_columns) };
    if inner != right_inner || left.shape.rank() != 2 || right.shape.rank() != 2 {
        return Err(unsupported(format!("the product of {:?} and {:?}", left.shape, right.shape)));
    }
    work.budget.spend(rows.saturating_mul(columns).saturating_mul(inner) / 8)?;
    let output = output.reset(left.element, Shape::Matrix(rows, columns), &mut work.budget)?;
    output.fill(0.0);
    for (to, row) in output.chunks_exact_mut(columns.max(1)).zip(a.chunks_exact(inner.max(1))) {
        for (column, sum) in to.iter_mut().enumerate() {
            let at = |k: usize| if is_transposed { b[column * inner + k] } else { b[k * columns + column] };
            *sum = row.iter().enumerate().map(|(k, x)| x * at(k)).sum();
        }
    }
    Ok(())
}

/// `alpha · A · B + beta · C`, with B as it is or transposed.
pub(super) struct Gemm {
    alpha: f64,
    beta: f64,
    is_transposed: bool,
}

impl Gemm {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        let attributes = Attributes::read(node, &["alpha", "beta", "transA", "transB"])?;
        if attributes.int("transA", 0) != 0 {
            return Err(unsupported("a Gemm with a transposed first matrix"));
        }
        let float = |name| f64::from(attributes.float(name, 1.0));
        Ok(Self { alpha: float("alpha"), beta: float("beta"), is_transposed: attributes.int("transB", 0) != 0 })
    }
}

impl Operator for Gemm {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        multiply(inputs.get(0)?, inputs.get(1)?, self.is_transposed, &mut outputs[0], work)?;
        let output = &mut outputs[0];
        output.numbers.iter_mut().for_each(|x| *x *= self.alpha);
        let Some(bias) = inputs.optional(2) else {
            return Ok(());
        };
        let ((bias_rows, bias_columns, b), (_, columns)) = (bias.matrix()?, output.shape.as_matrix());
        if output.shape.broadcast(bias.shape)? != output.shape {
            return Err(malformed("the third matrix of a Gemm does not fit"));
        }
        for (index, x) in output.numbers.iter_mut().enumerate() {
            let row = if bias_rows == 1 { 0 } else { index / columns };
            let column = if bias_columns == 1 { 0 } else { index % columns };
            *x += self.beta * b[row * bias_columns + column];
        }
        Ok(())
    }
}
