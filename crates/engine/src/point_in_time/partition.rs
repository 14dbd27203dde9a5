//! One partition's rows: from columns to questions and facts, and from answers back to columns.

use std::mem::size_of;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType, UInt64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;

use super::key::Keys;
use super::merge::{Fact, Question, Rule, answer_all};
use super::prepare::{SPINE_KEYS_FROM, VIEW_KEYS_FROM};

const UNANSWERED: u32 = u32::MAX;

/// What all partitions of one join have in common.
#[derive(Debug)]
pub(super) struct Shape {
    pub key_types: Vec<DataType>,
    pub views: Vec<ViewShape>,
}

#[derive(Debug)]
pub(super) struct ViewShape {
    pub rule: Rule,
    pub n_outputs: usize,
}

/// A partition's spine and views with all questions answered; batches of the result are made on demand.
pub(super) struct PartitionJoin {
    schema: SchemaRef,
    spine: Vec<RecordBatch>,
    /// The number of each batch's first row within the partition.
    spine_starts: Vec<u32>,
    views: Vec<AnsweredView>,
    /// Keeps the rows accounted for as long as results are made of them.
    _reservation: MemoryReservation,
}

struct AnsweredView {
    batches: Vec<RecordBatch>,
    starts: Vec<u32>,
    outputs_from: usize,
    n_outputs: usize,
    /// For each spine row the answering row, or `UNANSWERED`.
    answers: Vec<u32>,
}

impl PartitionJoin {
    pub fn answer(
        schema: SchemaRef,
        spine: Vec<RecordBatch>,
        views: Vec<Vec<RecordBatch>>,
        shape: &Shape,
        reservation: MemoryReservation,
    ) -> Result<Self> {
        let (spine_starts, n_rows) = starts(&spine)?;
        reservation.try_grow(n_rows as usize * (size_of::<Question>() + views.len() * size_of::<u32>()))?;
        let mut keys = Keys::new(&shape.key_types)?;
        let n_keys = shape.key_types.len();
        let questions = ask(&spine, &mut keys, n_keys)?;
        let span = questions.iter().map(|question| question.at);
        let range = span.clone().min().zip(span.max());

        let mut answered = Vec::with_capacity(views.len());
        for (batches, ViewShape { rule, n_outputs }) in views.into_iter().zip(&shape.views) {
            let mut answers = vec![UNANSWERED; n_rows as usize];
            let (view_starts, _) = starts(&batches)?;
            if let Some(range) = range {
                let facts = tell(&batches, &keys, n_keys, *rule, range, &reservation)?;
                answer_all(&questions, &facts, *rule, |question, fact| answers[question as usize] = fact);
                reservation.shrink(facts.capacity() * size_of::<Fact>());
            }
            let outputs_from = VIEW_KEYS_FROM + n_keys;
            answered.push(AnsweredView { batches, starts: view_starts, outputs_from, n_outputs: *n_outputs, answers });
        }
        Ok(Self { schema, spine, spine_starts, views: answered, _reservation: reservation })
    }

    /// The result for one batch of the spine.
    pub fn output(&self, index: usize) -> Result<RecordBatch> {
        let spine = &self.spine[index];
        let first = self.spine_starts[index] as usize;
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        columns.push(spine.column(0).clone());
        for view in &self.views {
            let answers = &view.answers[first..first + spine.num_rows()];
            let fields = &self.schema.fields()[columns.len()..columns.len() + view.n_outputs];
            for (offset, field) in fields.iter().enumerate() {
                columns.push(view.pick(answers, offset, field.data_type())?);
            }
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

impl AnsweredView {
    /// One output column: the value of each answering row, or NULL.
    fn pick(&self, answers: &[u32], offset: usize, data_type: &DataType) -> Result<ArrayRef> {
        let null = new_null_array(data_type, 1);
        let mut sources: Vec<&dyn Array> = vec![null.as_ref()];
        sources.extend(self.batches.iter().map(|batch| batch.column(self.outputs_from + offset).as_ref()));
        let place = |answer: &u32| {
            if *answer == UNANSWERED {
                return (0, 0);
            }
            let batch = self.starts.partition_point(|start| start <= answer) - 1;
            (batch + 1, (answer - self.starts[batch]) as usize)
        };
        let places: Vec<(usize, usize)> = answers.iter().map(place).collect();
        Ok(interleave(&sources, &places)?)
    }
}

/// The number of each batch's first row, and the number of all rows.
fn starts(batches: &[RecordBatch]) -> Result<(Vec<u32>, u32)> {
    let mut starts = Vec::with_capacity(batches.len());
    let mut next = 0_u32;
    for batch in batches {
        starts.push(next);
        let n_rows = u32::try_from(batch.num_rows()).ok().and_then(|n_rows| next.checked_add(n_rows));
        next = n_rows.filter(|next| *next < UNANSWERED).ok_or_else(|| {
            DataFusionError::ResourcesExhausted("a partition of the point-in-time join has more than 4 billion rows".to_owned())
        })?;
    }
    Ok((starts, next))
}

fn key_columns(batch: &RecordBatch, keys_from: usize, n_keys: usize) -> &[ArrayRef] {
    &batch.columns()[keys_from..keys_from + n_keys]
}

/// The spine's questions, sorted. A row with a NULL key or time asks nothing.
fn ask(spine: &[RecordBatch], keys: &mut Keys, n_keys: usize) -> Result<Vec<Question>> {
    let mut questions = Vec::with_capacity(spine.iter().map(RecordBatch::num_rows).sum());
    let mut row = 0;
    for batch in spine {
        let numbers = keys.number(key_columns(batch, SPINE_KEYS_FROM, n_keys), batch.num_rows())?;
        for (key, at) in numbers.into_iter().zip(batch.column(1).as_primitive::<TimestampMicrosecondType>()) {
            if let (Some(key), Some(at)) = (key, at) {
                questions.push(Question { key, at, row });
            }
            row += 1;
        }
    }
    questions.sort_unstable();
    Ok(questions)
}

/// A view's facts, sorted: those that a question asks for and that are neither after the last nor expired before the first.
fn tell(
    view: &[RecordBatch],
    keys: &Keys,
    n_keys: usize,
    rule: Rule,
    (first_at, last_at): (i64, i64),
    reservation: &MemoryReservation,
) -> Result<Vec<Fact>> {
    let oldest = rule.ttl.map_or(i64::MIN, |ttl| first_at.saturating_sub(ttl.micros()));
    let mut facts = Vec::new();
    let mut row = 0;
    for batch in view {
        let numbers = keys.find(key_columns(batch, VIEW_KEYS_FROM, n_keys), batch.num_rows())?;
        let sequences = batch.column(0).as_primitive::<UInt64Type>();
        let events = batch.column(1).as_primitive::<TimestampMicrosecondType>();
        let knowns = batch.column(2).as_primitive::<TimestampMicrosecondType>();
        let before = facts.capacity();
        facts.reserve(numbers.iter().flatten().count());
        reservation.try_grow((facts.capacity() - before) * size_of::<Fact>())?;
        for (index, key) in numbers.into_iter().enumerate() {
            if let Some(key) = key
                && events.is_valid(index)
                && knowns.is_valid(index)
                && (oldest..=last_at).contains(&events.value(index))
            {
                let (event, known) = (events.value(index), knowns.value(index));
                facts.push(Fact { key, event, known, sequence: sequences.value(index), row });
            }
            row += 1;
        }
    }
    facts.sort_unstable();
    Ok(facts)
}
