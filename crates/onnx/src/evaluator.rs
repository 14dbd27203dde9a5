//! Compiles a graph once and runs it on one row or many, with buffers that are used again.

use lw_core::{Result, nearest};

use crate::compiler::{Compiler, Step, describe};
use crate::failures::{ONNX_INPUT_MISMATCH, malformed, mismatch, unsupported};
use crate::message::GraphProto;
use crate::model::Model;
use crate::operator::{Classes, Inputs, Operand, Work};
use crate::tensor::{Budget, Element, Shape, Tensor};

/// A column or matrix that a compiled model takes or gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    pub element: Element,
    /// How many values a row has.
    pub width: usize,
    /// Whether the file declares `[N]` and not `[N, width]`.
    pub is_vector: bool,
}

/// Which output is the model's one number a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreColumn {
    /// The position among the outputs.
    pub output: usize,
    pub column: usize,
    /// Whether it is the probability of the second class, and not a plain number.
    pub is_probability: bool,
}

/// A model ready to run. Shared between threads; each thread brings its own [`Scratch`].
///
/// Numbers are computed in 64 bits and rounded to 32 only where the model says so (a `Cast`, the comparisons of trees). That keeps
/// a scaled value on the side of a tree's threshold where the original model saw it more often than 32-bit arithmetic does.
pub struct Evaluator {
    inputs: Vec<Column>,
    outputs: Vec<Column>,
    output_operands: Vec<Operand>,
    steps: Vec<Step>,
    constants: Vec<Tensor>,
    n_slots: usize,
    classes: Option<Classes>,
    score: Option<ScoreColumn>,
}

/// The values of one run: given inputs, all that is computed from them, and the outputs.
#[derive(Debug)]
pub struct Scratch {
    n_rows: usize,
    slots: Vec<Tensor>,
    is_given: Vec<bool>,
    work: Work,
}

/// An output of a run, row by row.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a>(&'a Tensor);

impl<'a> Output<'a> {
    /// The numbers, row by row; empty for texts.
    pub fn numbers(&self) -> &'a [f64] {
        &self.0.numbers
    }

    /// The text at a position, row by row.
    pub fn text(&self, index: usize) -> Option<&'a str> {
        self.0.texts.get(index)
    }

    pub fn len(&self) -> usize {
        self.0.shape.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Evaluator {
    /// Compiles a model.
    ///
    /// # Errors
    /// `onnx-unsupported` if the model needs an operator, attribute, type or shape that only ONNX Runtime knows: fall back to it.
    /// `onnx-malformed` if the graph contradicts itself: no runtime can serve it.
    pub fn compile(model: &Model) -> Result<Self> {
        let graph = model.graph();
        let mut compiler = Compiler::new(model);
        let inputs = compiler.inputs(model)?;
        for proto in &graph.initializer {
            compiler.constant(&proto.name, Tensor::from_proto(proto)?);
        }
        for node in &graph.node {
            compiler.node(node).map_err(|error| error.context(describe(node)))?;
        }
        let output_operands = compiler.outputs(graph)?;
        let mut evaluator = Self {
            inputs,
            outputs: Vec::new(),
            output_operands,
            classes: compiler.steps.iter().rev().find_map(|step| step.operator.classes()).cloned(),
            steps: compiler.steps,
            constants: compiler.constants,
            n_slots: compiler.n_slots,
            score: None,
        };
        evaluator.try_out(graph)?;
        evaluator.score = evaluator.find_score();
        Ok(evaluator)
    }

    /// What a run must be given, in order.
    pub fn inputs(&self) -> &[Column] {
        &self.inputs
    }

    pub fn outputs(&self) -> &[Column] {
        &self.outputs
    }

    /// The position of an input.
    ///
    /// # Errors
    /// `onnx-input-mismatch` if there is none of this name.
    pub fn input(&self, name: &str) -> Result<usize> {
        self.inputs.iter().position(|input| input.name == name).ok_or_else(|| {
            let error = ONNX_INPUT_MISMATCH.error(format!("the model has no input `{name}`"));
            match nearest(name, self.inputs.iter().map(|input| input.name.as_str())) {
                Some(similar) => error.hint(format!("did you mean `{similar}`?")),
                None => error,
            }
        })
    }

    /// The classes of a classifier that names them, in the order of the columns of its probabilities.
    pub fn classes(&self) -> Option<&Classes> {
        self.classes.as_ref()
    }

    /// The probability of the second class, or the predicted number; none if there are more classes or targets.
    pub fn score(&self) -> Option<ScoreColumn> {
        self.score
    }

    /// New buffers for runs of this model. The first runs let them grow; later ones of as many rows allocate nothing.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            n_rows: 0,
            slots: vec![Tensor::default(); self.n_slots],
            is_given: vec![false; self.inputs.len()],
            work: Work::default(),
        }
    }

    /// Computes the outputs from the inputs given to `scratch`.
    ///
    /// # Errors
    /// `onnx-input-mismatch` if an input is not given.
    pub fn run(&self, scratch: &mut Scratch) -> Result<()> {
        if let Some(index) = scratch.is_given.iter().position(|is_given| !is_given) {
            return Err(mismatch(format!("input `{}` of the model is not given", self.inputs[index].name)));
        }
        scratch.work.budget = Budget::for_rows(scratch.n_rows);
        for step in &self.steps {
            let (before, after) = scratch.slots.split_at_mut(step.first_output);
            let inputs = Inputs { slots: before, constants: &self.constants, operands: &step.operands };
            let outputs = &mut after[..step.n_outputs];
            step.operator.run(inputs, outputs, &mut scratch.work).map_err(|error| error.context(&step.name))?;
        }
        Ok(())
    }

    /// An output of the last run, by its position among the outputs.
    pub fn output<'a>(&'a self, scratch: &'a Scratch, index: usize) -> Option<Output<'a>> {
        Some(Output(self.value(scratch, *self.output_operands.get(index)?)?))
    }

    /// The scores of the last run, one a row.
    pub fn scores<'a>(&'a self, scratch: &'a Scratch) -> impl Iterator<Item = f64> + 'a {
        let found = self.score.and_then(|score| Some((score, self.output(scratch, score.output)?)));
        found.into_iter().flat_map(|(score, output)| {
            let width = self.outputs[score.output].width;
            output.numbers().iter().skip(score.column).step_by(width).copied()
        })
    }

    fn value<'a>(&'a self, scratch: &'a Scratch, operand: Operand) -> Option<&'a Tensor> {
        match operand {
            Operand::Slot(slot) => scratch.slots.get(slot),
            Operand::Constant(constant) => self.constants.get(constant),
            Operand::Absent => None,
        }
    }

    /// Runs one row and two rows of zeros, so that a model whose shapes do not fit fails here and not when it serves.
    fn try_out(&mut self, graph: &GraphProto) -> Result<()> {
        let mut scratch = self.scratch();
        let mut columns = Vec::new();
        for n_rows in [1, 2] {
            scratch.start(n_rows);
            for (index, input) in self.inputs.iter().enumerate() {
                let n_values = n_rows * input.width;
                match input.element {
                    Element::Text => self.give_texts(&mut scratch, index, std::iter::repeat_n("", n_values))?,
                    _ => self.give_numbers(&mut scratch, index, std::iter::repeat_n(0.0, n_values))?,
                }
            }
            self.run(&mut scratch)?;
            columns.clear();
            for (info, &operand) in graph.output.iter().zip(&self.output_operands) {
                let value = self.value(&scratch, operand).ok_or_else(|| malformed("an output is not computed"))?;
                let (rows, width, is_vector) = match value.shape {
                    Shape::Matrix(rows, width) => (rows, width, false),
                    Shape::Vector(rows) => (rows, 1, true),
                    Shape::Scalar => (0, 0, false),
                };
                if rows != n_rows {
                    return Err(unsupported(format!("output `{}` of {n_rows} rows has shape {:?}", info.name, value.shape)));
                }
                columns.push(Column { name: info.name.clone(), element: value.element, width, is_vector });
            }
        }
        self.outputs = columns;
        Ok(())
    }

    fn find_score(&self) -> Option<ScoreColumn> {
        let is_real = |column: &Column| matches!(column.element, Element::Float | Element::Double);
        let pair = self.outputs.iter().position(|column| is_real(column) && column.width == 2);
        if let Some(output) = pair {
            return Some(ScoreColumn { output, column: 1, is_probability: true });
        }
        let output = self.outputs.iter().position(|column| is_real(column) && column.width == 1)?;
        Some(ScoreColumn { output, column: 0, is_probability: false })
    }

    /// Gives an input's numbers, row by row: `n_rows × width` of them. A missing one is NaN.
    ///
    /// # Errors
    /// `onnx-input-mismatch` if the input takes text or another number of values.
    pub fn give_numbers(&self, scratch: &mut Scratch, index: usize, values: impl IntoIterator<Item = f64>) -> Result<()> {
        let column = self.column(index)?;
        if column.element == Element::Text {
            return Err(mismatch(format!("input `{}` takes text, not numbers", column.name)));
        }
        let slot = &mut scratch.slots[index];
        slot.numbers.clear();
        slot.numbers.extend(values);
        let n_given = slot.numbers.len();
        slot.texts.clear();
        scratch.given(index, column, n_given)
    }

    /// Gives an input's texts, row by row: `n_rows × width` of them. A missing one is the empty text.
    ///
    /// # Errors
    /// `onnx-input-mismatch` if the input takes numbers or another number of values.
    pub fn give_texts<'a>(&self, scratch: &mut Scratch, index: usize, values: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let column = self.column(index)?;
        if column.element != Element::Text {
            return Err(mismatch(format!("input `{}` takes numbers, not text", column.name)));
        }
        let slot = &mut scratch.slots[index];
        slot.texts.clear();
        values.into_iter().for_each(|text| slot.texts.push(text));
        let n_given = slot.texts.len();
        slot.numbers.clear();
        scratch.given(index, column, n_given)
    }

    fn column(&self, index: usize) -> Result<&Column> {
        self.inputs.get(index).ok_or_else(|| mismatch(format!("the model has {} inputs and no input {index}", self.inputs.len())))
    }
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let steps: Vec<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
        f.debug_struct("Evaluator").field("inputs", &self.inputs).field("outputs", &self.outputs).field("steps", &steps).finish()
    }
}

impl Scratch {
    /// Begins a run of `n_rows`: all inputs are to be given anew.
    pub fn start(&mut self, n_rows: usize) {
        self.n_rows = n_rows;
        self.is_given.fill(false);
    }

    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    fn given(&mut self, index: usize, column: &Column, n_given: usize) -> Result<()> {
        if n_given != self.n_rows.saturating_mul(column.width) {
            let (name, width) = (&column.name, column.width);
            return Err(mismatch(format!(
                "input `{name}` takes {width} values a row and is given {n_given} for {} rows",
                self.n_rows
            )));
        }
        let slot = &mut self.slots[index];
        slot.element = column.element;
        slot.shape = if column.is_vector { Shape::Vector(self.n_rows) } else { Shape::Matrix(self.n_rows, column.width) };
        self.is_given[index] = true;
        Ok(())
    }
}
