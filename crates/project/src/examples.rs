//! The rows of a training set, in memory and in the order of their prediction times.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use lw_core::{Error, Name, Result, Timestamp};
use lw_engine::{Binding, Bound, Engine};
use lw_features::find_training_set;
use lw_store::Store;
use tokio::sync::Mutex;

use crate::failures::NO_EXAMPLES;

/// The column with the truth: 0 or 1, or a value.
pub const LABEL: &str = "label";

/// A loaded training set.
#[derive(Debug, Clone)]
pub struct Examples(RecordBatch);

/// The training set that was read last, as long as it is small: all candidates of a run, and its evaluation, read the same.
#[derive(Default)]
pub struct LastExamples(Mutex<Option<(Name, u64, Examples)>>);

/// A larger training set is read again by each step.
const MAX_KEPT_BYTES: usize = 512 << 20;

impl LastExamples {
    /// A version of a training set. Steps that ask at the same time wait for one reading.
    pub async fn load(&self, engine: &Engine, name: &Name, version: u64, store: &Store) -> Result<Examples> {
        let mut last = self.0.lock().await;
        if let Some((_, _, examples)) = last.as_ref().filter(|(of, at, _)| (of, *at) == (name, version)) {
            return Ok(examples.clone());
        }
        *last = None;
        let examples = Examples::load(engine, name, version, store).await?;
        if examples.0.get_array_memory_size() <= MAX_KEPT_BYTES {
            *last = Some((name.clone(), version, examples.clone()));
        }
        Ok(examples)
    }

    /// Gives the memory back: the run that read them is over.
    pub async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

impl Examples {
    /// Reads a version of a training set.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn load(engine: &Engine, name: &Name, version: u64, store: &Store) -> Result<Self> {
        let set = find_training_set(store, name, version).await?.ok_or_else(|| {
            NO_EXAMPLES.error(format!("there is no training set {name}@{version}")).hint("run the model's pipeline again")
        })?;
        let bindings =
            vec![Binding::new("examples", Bound::Table { table: set.table.clone(), version: Some(set.table_version) })];
        let query = engine.query("SELECT * FROM examples ORDER BY predicted_at, example_id", bindings).await?;
        let schema = query.schema();
        Self::of(concat_batches(&schema, &query.collect().await?))
    }

    /// Rows that were computed just now, in their order.
    pub fn of_batches(batches: &[RecordBatch]) -> Result<Self> {
        let schema = batches.first().ok_or_else(|| Error::bug("a training set without a batch"))?.schema();
        Self::of(concat_batches(&schema, batches))
    }

    fn of(rows: Result<RecordBatch, arrow::error::ArrowError>) -> Result<Self> {
        rows.map(Self).map_err(|error| Error::bug("the rows of a training set do not fit together").cause(error))
    }

    /// Examples to learn from, and examples to judge by. What was predicted before the hold-out but whose label became known only
    /// during it is in neither: a model trained on the first day of the hold-out could not have had it.
    pub fn split(&self, holdout_from: Timestamp) -> Result<(RecordBatch, RecordBatch)> {
        let (at, known) = (times(&self.0, "predicted_at")?, times(&self.0, "label_known_at")?);
        let from = holdout_from.micros();
        let train: BooleanArray =
            (0..self.0.num_rows()).map(|row| Some(at.value(row) < from && known.value(row) <= from)).collect();
        let holdout: BooleanArray = at.values().iter().map(|at| Some(*at >= from)).collect();
        let pick = |mask: &BooleanArray| {
            filter_record_batch(&self.0, mask).map_err(|error| Error::bug("examples cannot be split").cause(error))
        };
        Ok((pick(&train)?, pick(&holdout)?))
    }
}

fn times<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a arrow::array::PrimitiveArray<TimestampMicrosecondType>> {
    let column = rows.column_by_name(name).and_then(|column: &ArrayRef| column.as_primitive_opt::<TimestampMicrosecondType>());
    column.ok_or_else(|| Error::bug(format!("a training set has no times `{name}`")))
}

/// The labels of examples.
pub fn labels(rows: &RecordBatch) -> Result<Vec<f64>> {
    let column = rows.column_by_name(LABEL).and_then(|column: &ArrayRef| column.as_primitive_opt::<Float64Type>());
    let column = column.ok_or_else(|| Error::bug("a training set has no labels"))?;
    debug_assert_eq!(column.null_count(), 0, "examples without a label are left out");
    Ok(column.values().to_vec())
}
