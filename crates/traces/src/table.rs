//! The table of spans: written by deliveries, read by trace.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, Int64Builder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef};
use futures::TryStreamExt;
use lw_core::{Ctx, DataType, Error, Name, Result};
use lw_engine::{AppTxn, Area, Binding, Engine, TableId, WriteMode, WriteOptions, to_arrow};

use crate::buffer::{Kept, Stored};
use crate::json::Fields;
use crate::{Span, SpanStatus, Trace, Traces, queries};

/// The application id under which the table counts segments; the name of the journal follows.
pub const APP_ID: &str = "loopwright/spans";

/// The table that spans are delivered to.
pub fn span_table() -> Result<TableId> {
    Ok(TableId::new(Area::Trace, Name::parse("spans")?))
}

/// What a delivery has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivery {
    pub n_segments: u64,
    pub n_spans: u64,
    /// Spans of deleted traces that went from the table.
    pub n_removed: u64,
}

const TEXTS: [&str; 13] = [
    "trace_id",
    "incarnation",
    "span_id",
    "parent_id",
    "name",
    "kind",
    "type",
    "status",
    "status_message",
    "attributes",
    "events",
    "links",
    "resource",
];
const NUMBERS: [&str; 4] = ["experiment", "start_ns", "end_ns", "position"];

impl Traces {
    /// Moves the spans that wait into the table, exactly once, and takes those of deleted traces out of it.
    pub async fn deliver(&self, ctx: &Ctx) -> Result<Delivery> {
        let _one_at_a_time = self.buffer.delivering.lock().await;
        let mut delivery = Delivery::default();
        for number in self.buffer.journal().seal().await? {
            let n_spans = self.deliver_segment(number).await?;
            self.buffer.delivered(number)?;
            delivery.n_segments += 1;
            delivery.n_spans += n_spans;
        }
        let removals = self.store.read(queries::removals).await?;
        if !removals.is_empty() {
            delivery.n_removed = self.engine.remove(&span_table()?, "incarnation", &removals).await?;
            self.store.write(ctx, move |tx| queries::forget_removals(tx, &removals)).await?;
        }
        Ok(delivery)
    }

    async fn deliver_segment(&self, number: u64) -> Result<u64> {
        let (table, app_id) = (span_table()?, self.buffer.app_id.clone());
        let version = i64::try_from(number).map_err(|_| Error::bug("a segment's number is too large"))?;
        if self.engine.app_version(&table, &app_id).await?.is_some_and(|delivered| delivered >= version) {
            return Ok(0);
        }
        let removed: HashSet<String> = self.store.read(queries::removals).await?.into_iter().collect();
        let mut records = self.buffer.segment(number)?;
        records.retain(|(_, stored)| !removed.contains(&stored.incarnation));
        let rows = Rows::of(records)?;
        let n_spans = rows.num_rows() as u64;
        if n_spans > 0 {
            let options = WriteOptions { mode: WriteMode::Append, add_columns: true, app_txn: Some(AppTxn { app_id, version }) };
            self.engine.write(&table, rows.schema(), vec![rows], options).await?;
        }
        Ok(n_spans)
    }
}

/// Spans on their way into the table.
struct Rows {
    texts: HashMap<&'static str, StringBuilder>,
    numbers: HashMap<&'static str, Int64Builder>,
}

impl Rows {
    fn of(mut records: Vec<(i64, Stored)>) -> Result<RecordBatch> {
        // The spans of a trace stand together, so that its rows are in few row groups.
        records.sort_by(|(_, left), (_, right)| left.group.trace.cmp(&right.group.trace));
        let mut rows = Self {
            texts: TEXTS.iter().map(|name| (*name, StringBuilder::new())).collect(),
            numbers: NUMBERS.iter().map(|name| (*name, Int64Builder::new())).collect(),
        };
        for (first, stored) in records {
            let resource = stored.group.resource.dumped();
            for (span, position) in stored.group.spans.iter().zip(first..) {
                rows.add(&stored, span, &resource, position)?;
            }
        }
        rows.finish()
    }

    fn add(&mut self, stored: &Stored, span: &Span, resource: &str, position: i64) -> Result<()> {
        let events = serde_json::to_string(&span.events).map_err(|error| Error::bug("events are not JSON").cause(error))?;
        let links = serde_json::to_string(&span.links).map_err(|error| Error::bug("links are not JSON").cause(error))?;
        let texts = [
            Some(stored.group.trace.as_str()),
            Some(&stored.incarnation),
            Some(&span.id),
            span.parent.as_deref(),
            Some(&span.name),
            Some(&span.kind),
            Some(span.span_type()),
            Some(span.status.name()),
            Some(&span.status_message),
            Some(&span.attributes.dumped()),
            Some(&events),
            Some(&links),
            Some(resource),
        ];
        for (name, text) in TEXTS.iter().zip(texts) {
            self.texts.entry(name).or_default().append_option(text);
        }
        let experiment = i64::try_from(stored.experiment).unwrap_or(i64::MAX);
        let numbers = [Some(experiment), Some(span.start_ns), span.end_ns, Some(position)];
        for (name, number) in NUMBERS.iter().zip(numbers) {
            self.numbers.entry(name).or_default().append_option(number);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let mut columns: Vec<(Field, ArrayRef)> = Vec::new();
        for name in TEXTS {
            let array = self.texts.remove(name).unwrap_or_default().finish();
            columns.push((Field::new(name, to_arrow(DataType::String), true), Arc::new(array)));
        }
        for name in NUMBERS {
            let array = self.numbers.remove(name).unwrap_or_default().finish();
            if let Some(shown) = name.strip_suffix("_ns") {
                // For people and other programs, beside the exact numbers.
                let micros = array.iter().map(|ns| ns.map(|ns| ns / 1000)).collect::<TimestampMicrosecondArray>();
                let column = if shown == "start" { "started_at" } else { "ended_at" };
                columns.push((Field::new(column, to_arrow(DataType::Timestamp), true), Arc::new(micros.with_timezone("UTC"))));
            }
            columns.push((Field::new(name, to_arrow(DataType::Int64), true), Arc::new(array)));
        }
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .map_err(|error| Error::bug("spans do not form a batch").cause(error))
    }
}

/// The columns that a span is read from.
pub(crate) const SPAN_COLUMNS: &str = "trace_id, incarnation, span_id, parent_id, name, kind, status, status_message, attributes, \
                                       events, links, start_ns, end_ns, position";

/// Calls `visit` for each row of a query over the table; does nothing while there is no table.
pub(crate) async fn scan(
    engine: &Engine,
    columns: &str,
    condition: &str,
    mut visit: impl FnMut(SpanRow<'_>) -> Result<()>,
) -> Result<()> {
    let table = span_table()?;
    if engine.current_version(&table).await?.is_none() {
        return Ok(());
    }
    let sql = format!("SELECT {columns} FROM {} WHERE {condition}", table.sql_name());
    let mut rows = engine.query(&sql, vec![Binding::table(&table, None)]).await?.stream()?;
    while let Some(batch) = rows.try_next().await? {
        let columns = Columns::of(&batch)?;
        for row in 0..batch.num_rows() {
            visit(SpanRow { columns: &columns, row })?;
        }
    }
    Ok(())
}

/// The spans of traces that are in the table, by incarnation.
pub(crate) async fn spans_of(engine: &Engine, traces: &[Trace]) -> Result<HashMap<String, Vec<Kept>>> {
    let ranges = traces.iter().filter_map(|trace| trace.span_range);
    let Some((first, last)) = ranges.reduce(|left, right| (left.0.min(right.0), left.1.max(right.1))) else {
        return Ok(HashMap::new());
    };
    let incarnations: Vec<String> = traces.iter().map(|trace| quoted(&trace.incarnation)).collect();
    let condition = format!("start_ns >= {first} AND start_ns <= {last} AND incarnation IN ({})", incarnations.join(", "));
    let mut found: HashMap<String, Vec<Kept>> = HashMap::new();
    scan(engine, SPAN_COLUMNS, &condition, |row| {
        let kept = Kept { position: row.number("position").unwrap_or_default(), span: row.span()? };
        found.entry(row.text("incarnation").unwrap_or_default().to_owned()).or_default().push(kept);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// A text as a literal of SQL.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

struct Columns<'a> {
    texts: HashMap<&'static str, &'a StringArray>,
    numbers: HashMap<&'static str, &'a Int64Array>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        let schema: SchemaRef = batch.schema();
        let column = |name: &'static str| schema.index_of(name).ok().map(|index| (name, batch.column(index)));
        let texts = TEXTS.into_iter().filter_map(column).map(|(name, array)| (name, array.as_string_opt::<i32>()));
        let numbers = NUMBERS.into_iter().filter_map(column).map(|(name, array)| (name, array.as_primitive_opt::<Int64Type>()));
        let bad = || Error::bug("the table of spans has columns of other types");
        Ok(Self {
            texts: texts.map(|(name, array)| Some((name, array?))).collect::<Option<_>>().ok_or_else(bad)?,
            numbers: numbers.map(|(name, array)| Some((name, array?))).collect::<Option<_>>().ok_or_else(bad)?,
        })
    }
}

/// A span in the table.
pub(crate) struct SpanRow<'a> {
    columns: &'a Columns<'a>,
    row: usize,
}

impl SpanRow<'_> {
    pub fn text(&self, name: &str) -> Option<&str> {
        let array = self.columns.texts.get(name)?;
        (!array.is_null(self.row)).then(|| array.value(self.row))
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        let array = self.columns.numbers.get(name)?;
        (!array.is_null(self.row)).then(|| array.value(self.row))
    }

    pub fn span(&self) -> Result<Span> {
        let text = |name: &str| self.text(name).unwrap_or_default().to_owned();
        fn parsed<T: serde::de::DeserializeOwned>(text: Option<&str>, empty: &str) -> Result<T> {
            let text = text.unwrap_or(empty);
            serde_json::from_str(text).map_err(|error| Error::bug("a span in the table is not readable").cause(error))
        }
        Ok(Span {
            id: text("span_id"),
            parent: self.text("parent_id").map(str::to_owned),
            name: text("name"),
            kind: text("kind"),
            status: SpanStatus::of(self.text("status").unwrap_or_default()),
            status_message: text("status_message"),
            start_ns: self.number("start_ns").unwrap_or_default(),
            end_ns: self.number("end_ns"),
            attributes: parsed::<Fields>(self.text("attributes"), "{}")?,
            events: parsed(self.text("events"), "[]")?,
            links: parsed(self.text("links"), "[]")?,
        })
    }
}
