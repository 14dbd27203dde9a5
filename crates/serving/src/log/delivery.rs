//! From complete segments into the Delta table `prediction/<endpoint>`: one commit a segment, exactly once.
//!
//! The table itself keeps the number of the last segment that it has taken, in the same commit as its rows. So a crash between
//! the commit and the removal of the file delivers nothing twice, and one before the commit loses nothing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use lw_core::{DataType, Error, Name, Result};
use lw_engine::{AppTxn, Area, Engine, TableId, WriteMode, WriteOptions, to_arrow};
use lw_store::journal::{Frames, Journal};

use super::layout::{FIXED_COLUMNS, Record, RowCollector, corrupt};

/// The application id under which a prediction table counts segments.
pub const APP_ID: &str = "loopwright/prediction-log";

/// What a delivery has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivery {
    pub n_segments: u64,
    pub n_rows: u64,
    /// The version of the prediction table that holds them. None if there was nothing to deliver.
    pub table_version: Option<u64>,
}

/// The prediction table of an endpoint.
pub fn table(endpoint: &Name) -> TableId {
    TableId::new(Area::Prediction, endpoint.clone())
}

/// Writes one segment into the table, unless the table has it. The file stays.
pub async fn deliver_segment(engine: &Engine, journal: &Journal, number: u64, endpoint: &Name) -> Result<Delivery> {
    let table = table(endpoint);
    let version = i64::try_from(number).map_err(|_| corrupt("a segment's number is too large"))?;
    if engine.app_version(&table, APP_ID).await?.is_some_and(|delivered| delivered >= version) {
        return Ok(Delivery::default());
    }
    let bytes = journal.read(number)?;
    let known = match engine.current_version(&table).await? {
        Some(_) => Some(engine.schema(&table, None).await?),
        None => None,
    };
    let (schema, batches) = decode(&bytes, known.as_deref())?;
    let n_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if n_rows == 0 {
        return Ok(Delivery::default());
    }
    let app_txn = Some(AppTxn { app_id: APP_ID.to_owned(), version });
    let options = WriteOptions { mode: WriteMode::Append, add_columns: true, app_txn };
    let written = engine.write(&table, schema, batches, options).await?;
    Ok(Delivery { n_segments: 1, n_rows: n_rows as u64, table_version: Some(written.version) })
}

/// The rows of a segment, one batch a layout, all with the same columns: those of the table that fit, and new ones.
pub fn decode(segment: &[u8], table: Option<&Schema>) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let mut collectors: HashMap<u64, RowCollector> = HashMap::new();
    let mut order = Vec::new();
    for payload in Frames::behind_magic(segment) {
        match Record::read(payload)? {
            Record::Layout(layout) => {
                let number = layout.number();
                if collectors.insert(number, RowCollector::new(Arc::new(*layout))).is_none() {
                    order.push(number);
                }
            }
            Record::Rows { layout, body } => {
                let collector = collectors.get_mut(&layout);
                collector.ok_or_else(|| corrupt("rows stand before their layout"))?.add(body)?;
            }
        }
    }
    let mut parts: Vec<HashMap<String, ArrayRef>> = Vec::new();
    let mut columns = Columns::of(table);
    for number in order {
        let Some(collector) = collectors.remove(&number) else { continue };
        let part = collector.finish().into_iter().map(|(name, data_type, array)| (columns.place(name, data_type), array));
        parts.push(part.collect());
    }
    let schema = columns.schema();
    let batch = |mut part: HashMap<String, ArrayRef>| {
        let n_rows = part.values().next().map_or(0, |array| array.len());
        let column = |field: &Arc<Field>| part.remove(field.name()).unwrap_or_else(|| new_null_array(field.data_type(), n_rows));
        let arrays = schema.fields().iter().map(column).collect();
        RecordBatch::try_new(Arc::clone(&schema), arrays)
            .map_err(|error| Error::bug("logged rows do not form a batch").cause(error))
    };
    let batches = parts.into_iter().map(batch).collect::<Result<Vec<_>>>()?;
    Ok((schema, batches.into_iter().filter(|batch| batch.num_rows() > 0).collect()))
}

/// The columns of the table as they will be.
struct Columns {
    fields: Vec<Field>,
}

impl Columns {
    fn of(table: Option<&Schema>) -> Self {
        match table {
            Some(schema) => Self { fields: schema.fields().iter().map(|field| field.as_ref().clone()).collect() },
            None => {
                let fixed = FIXED_COLUMNS.iter().map(|(name, data_type)| Field::new(*name, to_arrow(*data_type), true));
                Self { fields: fixed.collect() }
            }
        }
    }

    /// The column for an input. One whose type has changed since goes into a column of its own, such as `seats_float64`.
    fn place(&mut self, name: String, data_type: DataType) -> String {
        let wanted = to_arrow(data_type);
        match self.fields.iter().find(|field| *field.name() == name) {
            Some(field) if *field.data_type() == wanted => name,
            Some(_) if !name.ends_with(data_type.name()) => self.place(format!("{name}_{data_type}"), data_type),
            Some(_) => self.place(format!("{name}_"), data_type),
            None => {
                self.fields.push(Field::new(&name, wanted, true));
                name
            }
        }
    }

    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.fields.clone()))
    }
}
