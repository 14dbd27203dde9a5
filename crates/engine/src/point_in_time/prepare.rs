//! From a request to the operator's inputs: columns found, types made equal, times checked, order numbered.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lw_core::{Error, Result, nearest};

use super::merge::Rule;
use super::{KeyPair, PitView, PointInTime};
use crate::column_type::{canonical_type, cast_to, timestamp_type, type_text};
use crate::failures::BAD_POINT_IN_TIME;

/// The columns that the operator expects before a child's keys.
pub(super) const SPINE_KEYS_FROM: usize = 2;
pub(super) const VIEW_KEYS_FROM: usize = 3;

/// Views that are joined by the same columns of the spine, in one operator.
pub(super) struct Group {
    /// `ordinal, time, keys…`: the spine's row numbers, and nothing that the operator does not need.
    pub spine: Rows,
    pub views: Vec<ViewInput>,
    pub key_types: Vec<DataType>,
    keys: Vec<String>,
}

/// `sequence, event time, known time, keys…, output columns…`.
pub(super) struct ViewInput {
    /// The view's place in the request.
    pub index: usize,
    pub rows: Rows,
    pub rule: Rule,
}

pub(super) struct Rows {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
}

/// Checks a request and groups its views by their keys.
pub(super) fn prepare(request: &PointInTime, spine_schema: &SchemaRef) -> Result<Vec<Group>> {
    check_output_names(request, spine_schema)?;
    let mut groups: Vec<Group> = Vec::new();
    for (index, view) in request.views.iter().enumerate() {
        let context = |error: Error| error.context(format_args!("feature view `{}`", view.name));
        let schema = view.rows.first().map(RecordBatch::schema).ok_or_else(|| {
            context(BAD_POINT_IN_TIME.error("it has no batches")).hint("give one empty batch, which tells the columns")
        })?;
        let mut pairs = view.keys.clone();
        pairs.sort_by(|a, b| a.spine.cmp(&b.spine));
        let key_types: Vec<DataType> =
            pairs.iter().map(|pair| key_type(pair, spine_schema, &schema)).collect::<Result<_>>().map_err(context)?;
        let rows = view_rows(view, &schema, &pairs, &key_types).map_err(context)?;
        let rule = Rule { ttl: view.ttl, strictly_before: view.strictly_before };
        let input = ViewInput { index, rows, rule };

        let keys: Vec<String> = pairs.into_iter().map(|pair| pair.spine).collect();
        match groups.iter_mut().find(|group| group.keys == keys && group.key_types == key_types) {
            Some(group) => group.views.push(input),
            None => {
                let spine = spine_rows(request, spine_schema, &keys, &key_types)?;
                groups.push(Group { key_types, spine, views: vec![input], keys });
            }
        }
    }
    Ok(groups)
}

fn check_output_names(request: &PointInTime, spine_schema: &SchemaRef) -> Result<()> {
    let mut names: HashSet<&str> = spine_schema.fields().iter().map(|field| field.name().as_str()).collect();
    for view in &request.views {
        for output in &view.columns {
            if !names.insert(&output.name) {
                return Err(BAD_POINT_IN_TIME
                    .error(format!("feature view `{}`: the result already has a column `{}`", view.name, output.name))
                    .hint("give the view another alias, or rename the feature"));
            }
        }
    }
    Ok(())
}

fn find(schema: &Schema, column: &str, whose: &str) -> Result<usize> {
    schema.index_of(column).map_err(|_| {
        let error = BAD_POINT_IN_TIME.error(format!("{whose} has no column `{column}`"));
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        match nearest(column, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("its columns are {}", names.join(", "))),
        }
    })
}

/// The type that both sides of a key are compared in. Strings of all kinds are equal, as are integers of all widths.
fn key_type(pair: &KeyPair, spine: &Schema, view: &Schema) -> Result<DataType> {
    let left = canonical_type(spine.field(find(spine, &pair.spine, "the spine")?).data_type());
    let right = canonical_type(view.field(find(view, &pair.view, "the view")?).data_type());
    let common = match (&left, &right) {
        (DataType::Int32 | DataType::Int64, DataType::Int32 | DataType::Int64) if left != right => DataType::Int64,
        _ if left == right => left.clone(),
        _ => {
            let message = format!("key `{}` is {} and `{}` is {}", pair.spine, type_text(&left), pair.view, type_text(&right));
            return Err(BAD_POINT_IN_TIME
                .error(message)
                .hint("convert one of them with CAST; keys are compared, never converted"));
        }
    };
    if common.is_floating() {
        return Err(BAD_POINT_IN_TIME
            .error(format!("key `{}` is {}", pair.spine, type_text(&common)))
            .hint("numbers with a fraction are no identities; CAST the key to int64 or string"));
    }
    Ok(common)
}

/// A time column as microseconds UTC. A wall-clock time without a zone is refused, since it names no instant.
fn time_column(batch: &RecordBatch, index: usize, whose: &str) -> Result<ArrayRef> {
    let field = batch.schema_ref().field(index).clone();
    match field.data_type() {
        DataType::Timestamp(_, Some(_)) => cast_to(batch.column(index), &timestamp_type()),
        other => Err(BAD_POINT_IN_TIME
            .error(format!("column `{}` of {whose} is a {}, not a timestamp with a zone", field.name(), type_text(other)))
            .hint("say which zone it is in: `column AT TIME ZONE 'America/New_York'`")),
    }
}

fn key_columns(batch: &RecordBatch, indices: &[usize], types: &[DataType]) -> Result<Vec<ArrayRef>> {
    indices.iter().zip(types).map(|(index, data_type)| cast_to(batch.column(*index), data_type)).collect()
}

fn key_fields(types: &[DataType]) -> impl Iterator<Item = Field> {
    types.iter().enumerate().map(|(index, data_type)| Field::new(format!("key_{index}"), data_type.clone(), true))
}

fn spine_rows(request: &PointInTime, schema: &SchemaRef, keys: &[String], types: &[DataType]) -> Result<Rows> {
    let time = find(schema, &request.time_column, "the spine")?;
    let indices: Vec<usize> = keys.iter().map(|key| find(schema, key, "the spine")).collect::<Result<_>>()?;
    let mut fields = vec![Field::new("ordinal", DataType::UInt32, false), Field::new("time", timestamp_type(), true)];
    fields.extend(key_fields(types));
    let output = Arc::new(Schema::new(fields));
    let mut first = 0_u32;
    let mut batches = Vec::with_capacity(request.spine.len());
    for batch in &request.spine {
        let too_many = || BAD_POINT_IN_TIME.error("the spine has more than 4 billion rows").hint("split it by time");
        let end = u32::try_from(batch.num_rows()).ok().and_then(|n_rows| first.checked_add(n_rows)).ok_or_else(too_many)?;
        let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from_iter_values(first..end))];
        columns.push(time_column(batch, time, "the spine")?);
        columns.extend(key_columns(batch, &indices, types)?);
        batches.push(assemble(&output, columns)?);
        first = end;
    }
    Ok(Rows { schema: output, batches })
}

fn view_rows(view: &PitView, schema: &SchemaRef, pairs: &[KeyPair], types: &[DataType]) -> Result<Rows> {
    let event = find(schema, &view.event_time, "the view")?;
    let known = find(schema, view.known_time.as_ref().unwrap_or(&view.event_time), "the view")?;
    let keys: Vec<usize> = pairs.iter().map(|pair| find(schema, &pair.view, "the view")).collect::<Result<_>>()?;
    let outputs: Vec<usize> =
        view.columns.iter().map(|output| find(schema, &output.column, "the view")).collect::<Result<_>>()?;

    let mut fields = vec![
        Field::new("sequence", DataType::UInt64, false),
        Field::new("event_time", timestamp_type(), true),
        Field::new("known_time", timestamp_type(), true),
    ];
    fields.extend(key_fields(types));
    for (output, index) in view.columns.iter().zip(&outputs) {
        fields.push(Field::new(&output.name, canonical_type(schema.field(*index).data_type()), true));
    }
    let output = Arc::new(Schema::new(fields));
    let mut first = 0_u64;
    let mut batches = Vec::with_capacity(view.rows.len());
    for batch in &view.rows {
        let end = first + batch.num_rows() as u64;
        let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt64Array::from_iter_values(first..end))];
        columns.push(time_column(batch, event, "the view")?);
        columns.push(time_column(batch, known, "the view")?);
        columns.extend(key_columns(batch, &keys, types)?);
        for index in &outputs {
            columns.push(cast_to(batch.column(*index), &canonical_type(batch.column(*index).data_type()))?);
        }
        batches.push(assemble(&output, columns)?);
        first = end;
    }
    Ok(Rows { schema: output, batches })
}

fn assemble(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(schema.clone(), columns)
        .map_err(|error| BAD_POINT_IN_TIME.error("the batches of one input have different columns").cause(error))
}
