//! The rows of a feature view, computed from given versions of tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use lw_core::{DataType, Digest, Error, Result, Subject, SubjectKind, Timestamp};
use lw_engine::{Area, Binding, Bound, Engine, TableId, table_names, to_arrow};
use serde::{Deserialize, Serialize};

use crate::ViewDefinition;
use crate::check::{dependency_order, within};
use crate::failures::{FEATURE_COLUMN_MISSING, FEATURE_TYPE_MISMATCH};

/// A version of a table and the digest of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableVersion {
    pub table: TableId,
    pub version: u64,
    pub digest: Digest,
}

impl TableVersion {
    /// The newest version of a table, or none if there is no such table.
    pub async fn current(engine: &Engine, table: &TableId) -> Result<Option<Self>> {
        let Some(version) = engine.current_version(table).await? else {
            return Ok(None);
        };
        let digest = engine.table_digest(table, version).await?;
        Ok(Some(Self { table: table.clone(), version, digest }))
    }

    pub fn subject(&self) -> Subject {
        Subject::new(SubjectKind::Table, ledger_name(&self.table), self.version)
    }
}

/// The name of a table in the ledger: that of its source, by which ingestion writes of it too, so that lineage leads from one to the other.
pub(crate) fn ledger_name(table: &TableId) -> String {
    if table.area == Area::Data { table.name.to_string() } else { table.to_string() }
}

/// What the names in the SQL of views stand for: versions of tables, and the views that views read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    pub tables: Vec<TableVersion>,
    pub views: Vec<ViewDefinition>,
}

/// Rows that became available after one time and at or before another. A row is available when both its event time and its
/// known time have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvailableRange {
    /// `None`: from the beginning.
    pub after: Option<Timestamp>,
    pub until: Timestamp,
}

impl AvailableRange {
    pub fn until(until: Timestamp) -> Self {
        Self { after: None, until }
    }

    fn contains(self, available_micros: i64) -> bool {
        available_micros <= self.until.micros() && self.after.is_none_or(|after| available_micros > after.micros())
    }
}

/// Runs a view's SQL and returns the rows of a range: the columns of [`ViewDefinition::columns`], in that order.
///
/// Rows without an event time, a known time or a part of their entity are left out: nothing can match them. At least one batch
/// comes back, which may be empty.
pub async fn view_rows(
    engine: &Engine,
    view: &ViewDefinition,
    sources: &Sources,
    range: AvailableRange,
) -> Result<Vec<RecordBatch>> {
    let mut relations: BTreeMap<String, (SchemaRef, Vec<RecordBatch>)> = BTreeMap::new();
    for step in needed(view, &sources.views)? {
        let batches = run_view(engine, step, sources, &relations, AvailableRange::until(range.until)).await?;
        let schema = batches.first().map_or_else(|| Arc::new(ArrowSchema::empty()), RecordBatch::schema);
        relations.insert(step.feature_view.to_string(), (schema, batches));
    }
    run_view(engine, view, sources, &relations, range).await
}

/// Those of a view's rows, as [`view_rows`] returns them, that became available within a range.
pub(crate) fn picked_within(view: &ViewDefinition, rows: &[RecordBatch], range: AvailableRange) -> Result<Vec<RecordBatch>> {
    let mut within = Vec::with_capacity(rows.len());
    for batch in rows {
        let batch = Picked::new(view, &batch.schema())?.rows(batch, range)?;
        if batch.num_rows() > 0 || within.is_empty() {
            within.push(batch);
        }
    }
    Ok(within)
}

/// The views that a view reads, directly or through others, in the order in which they must run.
fn needed<'a>(view: &ViewDefinition, views: &'a [ViewDefinition]) -> Result<Vec<&'a ViewDefinition>> {
    let mut wanted = table_names(&view.sql)?;
    let mut steps = Vec::new();
    let order = dependency_order(views).map_err(|(_, error)| error)?;
    for step in order.into_iter().rev().filter(|step| step.feature_view != view.feature_view) {
        if wanted.iter().any(|name| name == step.feature_view.as_str()) {
            wanted.extend(table_names(&step.sql)?);
            steps.push(step);
        }
    }
    steps.reverse();
    Ok(steps)
}

#[tracing::instrument(level = "debug", skip_all, fields(view = %view.feature_view))]
async fn run_view(
    engine: &Engine,
    view: &ViewDefinition,
    sources: &Sources,
    relations: &BTreeMap<String, (SchemaRef, Vec<RecordBatch>)>,
    range: AvailableRange,
) -> Result<Vec<RecordBatch>> {
    let mut bindings = Vec::new();
    for name in table_names(&view.sql)? {
        if let Some((schema, batches)) = relations.get(&name) {
            bindings.push(Binding::new(name, Bound::Batches { schema: schema.clone(), batches: batches.clone() }));
        } else if let Some(version) = sources.tables.iter().find(|version| version.table.sql_name() == name) {
            bindings.push(Binding::table(&version.table, Some(version.version)));
        }
    }
    let query = engine.query(&view.sql, bindings).await.map_err(|error| within(view, error))?;
    let picked = Picked::new(view, &query.schema())?;
    let batches = query.collect().await.map_err(|error| within(view, error))?;
    let mut rows = batches.iter().map(|batch| picked.rows(batch, range)).collect::<Result<Vec<_>>>()?;
    rows.retain(|batch| batch.num_rows() > 0);
    if rows.is_empty() {
        rows.push(RecordBatch::new_empty(picked.schema.clone()));
    }
    Ok(rows)
}

/// Where the declared columns of a view stand in the result of its SQL.
struct Picked {
    schema: SchemaRef,
    places: Vec<usize>,
    n_entity: usize,
    /// Among the picked columns.
    event: usize,
    known: usize,
}

impl Picked {
    /// Tables may have changed since the view was checked, so the declared columns are looked for again.
    fn new(view: &ViewDefinition, schema: &SchemaRef) -> Result<Self> {
        let columns = view.columns();
        let place = |name: &&str| {
            schema.index_of(name).map_err(|error| {
                FEATURE_COLUMN_MISSING
                    .error(format!("feature view `{}` no longer yields `{name}`", view.feature_view))
                    .hint("a table it reads has changed; run `loopwright check`")
                    .cause(error)
            })
        };
        let places = columns.iter().map(place).collect::<Result<Vec<_>>>()?;
        let picked = Arc::new(schema.project(&places).map_err(|error| Error::bug("columns that were found").cause(error))?);
        for (name, feature) in &view.features {
            let found = picked.field_with_name(name).map(|field| field.data_type().clone()).ok();
            if found != Some(to_arrow(feature.data_type)) {
                return Err(type_changed(view, name, feature.data_type));
            }
        }
        let position = |wanted: &str| columns.iter().position(|name| *name == wanted).unwrap_or_default();
        let (event, known) = (position(&view.event_time), position(view.known_column()));
        for index in [event, known] {
            if *picked.field(index).data_type() != to_arrow(DataType::Timestamp) {
                return Err(type_changed(view, columns[index], DataType::Timestamp));
            }
        }
        Ok(Self { schema: picked, places, n_entity: view.entity.len(), event, known })
    }

    fn rows(&self, batch: &RecordBatch, range: AvailableRange) -> Result<RecordBatch> {
        let failed = |error: arrow::error::ArrowError| Error::bug("rows of a view cannot be picked").cause(error);
        let batch = batch.project(&self.places).map_err(failed)?;
        let available = available_at(batch.column(self.event), batch.column(self.known))?;
        let entity = &batch.columns()[..self.n_entity];
        let keep = |row: usize| {
            available.is_valid(row) && range.contains(available.value(row)) && entity.iter().all(|part| part.is_valid(row))
        };
        let mask: BooleanArray = (0..batch.num_rows()).map(|row| Some(keep(row))).collect();
        filter_record_batch(&batch, &mask).map_err(failed)
    }
}

/// When each row became available: the later of its event time and its known time; null if either is null.
pub(crate) fn available_at(event: &ArrayRef, known: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let times = |column: &ArrayRef| {
        let times = column.as_any().downcast_ref::<TimestampMicrosecondArray>().cloned();
        times.ok_or_else(|| Error::bug(format!("a time column of a view has the type {}", column.data_type())))
    };
    let (event, known) = (times(event)?, times(known)?);
    Ok(event.iter().zip(known.iter()).map(|(event, known)| Some(event?.max(known?))).collect())
}

fn type_changed(view: &ViewDefinition, name: &str, declared: DataType) -> Error {
    FEATURE_TYPE_MISMATCH
        .error(format!("feature view `{}` no longer yields `{name}` as {declared}", view.feature_view))
        .hint("a table it reads has changed; run `loopwright check`")
}
