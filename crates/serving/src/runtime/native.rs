//! The native evaluator as a runtime: no copy of the model a thread, buffers that are used again.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef, AsArray};
use lw_core::{Error, Result};
use lw_onnx::{Element, Evaluator, Scratch};
use parking_lot::Mutex;

use super::{InputForm, Runtime, Signature, column_scores, each_number, numbers};
use crate::Output;
use crate::failures::SIGNATURE_MISMATCH;

/// Buffers kept for reuse. More requests at once than that make buffers of their own.
const N_SCRATCHES: usize = 16;

pub struct Native {
    evaluator: Evaluator,
    /// For each input of the evaluator, the column it takes. Empty: one matrix takes them all.
    columns: Vec<usize>,
    score_output: usize,
    output: Output,
    scratches: [Mutex<Option<Box<Scratch>>>; N_SCRATCHES],
    next: AtomicUsize,
}

impl Native {
    pub fn new(evaluator: Evaluator, signature: &Signature, output: Output) -> Result<Self> {
        let columns = match &signature.form {
            InputForm::Matrix(_) => Vec::new(),
            InputForm::Columns(ports) => {
                let column =
                    |input: &lw_onnx::Column| ports.iter().find(|(port, _)| port.name == input.name).map(|(_, column)| *column);
                let columns: Option<Vec<usize>> = evaluator.inputs().iter().map(column).collect();
                columns.ok_or_else(|| Error::bug("the compiled model has other inputs than its file"))?
            }
        };
        let score_output = evaluator.outputs().iter().position(|column| column.name == signature.score);
        let score_output = score_output.ok_or_else(|| {
            SIGNATURE_MISMATCH.error(format!("the model has no output `{}`", signature.score)).hint("export the model again")
        })?;
        Ok(Self { evaluator, columns, score_output, output, scratches: Default::default(), next: AtomicUsize::new(0) })
    }

    /// Runs `work` with buffers that no other request uses. The slot's lock is only ever tried, so nobody waits.
    fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % N_SCRATCHES;
        match self.scratches.get(turn).and_then(Mutex::try_lock) {
            Some(mut kept) => work(kept.get_or_insert_with(|| Box::new(self.evaluator.scratch()))),
            None => work(&mut self.evaluator.scratch()),
        }
    }

    fn give(&self, scratch: &mut Scratch, columns: &[ArrayRef], n_rows: usize) -> Result<()> {
        if self.columns.is_empty() {
            return self.give_matrix(scratch, columns, n_rows);
        }
        for (input, column) in self.columns.iter().enumerate() {
            let column = columns.get(*column).ok_or_else(|| Error::bug("a model input has no column"))?;
            if self.evaluator.inputs().get(input).is_some_and(|input| input.element == Element::Text) {
                self.evaluator.give_texts(scratch, input, column.as_string::<i32>().iter().map(Option::unwrap_or_default))?;
            } else {
                self.give_numbers(scratch, input, column)?;
            }
        }
        Ok(())
    }

    fn give_numbers(&self, scratch: &mut Scratch, input: usize, column: &ArrayRef) -> Result<()> {
        use arrow::datatypes::Float64Type;
        if let Some(column) = column.as_primitive_opt::<Float64Type>() {
            return self.evaluator.give_numbers(scratch, input, column.iter().map(|value| value.unwrap_or(f64::NAN)));
        }
        let mut values = Vec::with_capacity(column.len());
        each_number(column, |value| values.push(value))?;
        self.evaluator.give_numbers(scratch, input, values)
    }

    fn give_matrix(&self, scratch: &mut Scratch, columns: &[ArrayRef], n_rows: usize) -> Result<()> {
        if self.evaluator.inputs().first().is_some_and(|input| input.element == Element::Text) {
            let texts: Vec<_> = columns.iter().map(|column| column.as_string::<i32>()).collect();
            let values = (0..n_rows)
                .flat_map(|row| texts.iter().map(move |column| if column.is_null(row) { "" } else { column.value(row) }));
            return self.evaluator.give_texts(scratch, 0, values);
        }
        let columns = columns.iter().map(numbers).collect::<Result<Vec<_>>>()?;
        let values = (0..n_rows).flat_map(|row| columns.iter().map(move |column| column.get(row).copied().unwrap_or(f64::NAN)));
        self.evaluator.give_numbers(scratch, 0, values)
    }
}

impl Runtime for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn score(&self, columns: &[ArrayRef], n_rows: usize, scores: &mut Vec<f64>) -> Result<()> {
        self.with_scratch(|scratch| {
            scratch.start(n_rows);
            self.give(scratch, columns, n_rows)?;
            self.evaluator.run(scratch)?;
            let found =
                self.evaluator.output(scratch, self.score_output).ok_or_else(|| Error::bug("the score's output is gone"))?;
            let values = found.numbers();
            column_scores(values.len(), |index| values.get(index).copied().unwrap_or(f64::NAN), n_rows, self.output, scores)
        })
    }
}
