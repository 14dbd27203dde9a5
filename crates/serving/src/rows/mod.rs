//! The rows of a request, as typed columns.

mod column;
mod json;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array, new_null_array};
use lw_core::{Error, Result};
use lw_engine::to_arrow;

pub use column::{ColumnBuilder, Value, check_column};

use crate::failures::{INVALID_REQUEST, TOO_MANY_ROWS};
use crate::request::{MAX_ROWS, RequestSchema};

/// Validated rows, one typed column a request field.
///
/// ```
/// use std::sync::Arc;
/// use lw_serving::{RequestSchema, Rows};
/// # use lw_core::{DataType, Digest, Name};
/// # use lw_serving::{Bundle, ModelInput, Output, RequestField};
/// # let bundle = Bundle {
/// #     model: Name::parse("late_arrival")?, version: 3, artifact: Digest::of(b""), id: Some("flight_id".to_owned()),
/// #     request: vec![RequestField { name: "distance".to_owned(), data_type: DataType::Float64, required: true }],
/// #     features: vec![], expressions: vec![], output: Output::Value,
/// #     inputs: vec![ModelInput { name: "distance".to_owned(), data_type: DataType::Float64 }],
/// # };
/// let schema = Arc::new(RequestSchema::union([&bundle].into_iter(), [].into_iter())?);
/// let rows = Rows::from_json(&schema, br#"{"rows": [{"flight_id": "UA-1545", "distance": 1400}]}"#)?;
/// assert_eq!(rows.len(), 1);
///
/// let error = Rows::from_json(&schema, br#"{"distanc": 1400}"#).unwrap_err();
/// assert_eq!(error.hint_text(), Some("did you mean `distance`?"));
/// # Ok::<(), lw_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rows {
    schema: Arc<RequestSchema>,
    /// What each row is about, where the caller said so.
    ids: Vec<Option<Box<str>>>,
    columns: Vec<ArrayRef>,
}

impl Rows {
    /// Reads `{"rows": [{…}, …]}` or one object of fields.
    pub fn from_json(schema: &Arc<RequestSchema>, body: &[u8]) -> Result<Self> {
        json::read(schema, body)
    }

    /// Takes whole columns: those of a table, of a tensor request or of a replay. `columns[i]` belongs to field `i` of the
    /// schema; None stands for a field that was not sent. `ids` may be empty.
    pub fn from_columns(
        schema: &Arc<RequestSchema>,
        n_rows: usize,
        ids: Vec<Option<Box<str>>>,
        columns: Vec<Option<ArrayRef>>,
    ) -> Result<Self> {
        if n_rows == 0 || n_rows > MAX_ROWS {
            return Err(bad_row_count(n_rows));
        }
        let mut checked = Vec::with_capacity(columns.len());
        for (field, column) in schema.fields().iter().zip(columns) {
            match column {
                Some(column) if column.len() != n_rows => {
                    let message = format!("field `{}` has {} values for {n_rows} rows", field.name, column.len());
                    return Err(INVALID_REQUEST.error(message).hint("send one value a row in every field"));
                }
                Some(column) => {
                    check_column(&column, field)?;
                    checked.push(column);
                }
                None if field.required => return Err(column::missing(field)),
                None => checked.push(new_null_array(&to_arrow(field.data_type), n_rows)),
            }
        }
        let mut ids = ids;
        ids.resize(n_rows, None);
        Ok(Self { schema: Arc::clone(schema), ids, columns: checked }.with_ids_of_fields())
    }

    /// Takes a record batch whose columns are named as the request's fields; other columns are refused.
    pub fn from_batch(schema: &Arc<RequestSchema>, batch: &RecordBatch) -> Result<Self> {
        let mut columns = vec![None; schema.fields().len()];
        let mut ids = Vec::new();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            match schema.key(field.name()) {
                Some(crate::request::Key::Field(index)) => {
                    if let Some(slot) = columns.get_mut(index) {
                        *slot = Some(Arc::clone(column));
                    }
                }
                Some(crate::request::Key::Id) => ids = texts(column, field.name())?,
                None => return Err(unknown_field(schema, field.name())),
            }
        }
        Self::from_columns(schema, batch.num_rows(), ids, columns)
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub fn schema(&self) -> &Arc<RequestSchema> {
        &self.schema
    }

    pub fn columns(&self) -> &[ArrayRef] {
        &self.columns
    }

    pub fn ids(&self) -> &[Option<Box<str>>] {
        &self.ids
    }

    pub(crate) fn into_ids(self) -> Vec<Option<Box<str>>> {
        self.ids
    }

    /// Gives every row without an id one of its own: the request's id and the row's place.
    pub(crate) fn name_all(&mut self, request_id: &str) {
        for (index, id) in self.ids.iter_mut().enumerate().filter(|(_, id)| id.is_none()) {
            *id = Some(format!("{request_id}.{index}").into());
        }
    }

    /// Some of the rows, in the order of `indices`.
    pub(crate) fn take(&self, indices: &[u32]) -> Result<Self> {
        let places = UInt32Array::from(indices.to_vec());
        let take = |column: &ArrayRef| {
            arrow::compute::take(column, &places, None).map_err(|error| Error::bug("rows cannot be split").cause(error))
        };
        let columns: Result<Vec<ArrayRef>> = self.columns.iter().map(take).collect();
        let ids = indices.iter().map(|index| self.ids.get(*index as usize).cloned().flatten()).collect();
        Ok(Self { schema: Arc::clone(&self.schema), ids, columns: columns? })
    }

    /// Where a request field is the id as well, its values are the ids.
    fn with_ids_of_fields(mut self) -> Self {
        if let Some(column) = self.schema.id_field().and_then(|index| self.columns.get(index))
            && let Some(values) = column.as_string_opt::<i32>()
        {
            self.ids = values.iter().map(|value| value.map(Into::into)).collect();
        }
        self
    }
}

/// A field that no version behind the endpoint asks for.
pub fn unknown_field(schema: &RequestSchema, name: &str) -> Error {
    let shown: String = name.chars().take(80).collect();
    let error = INVALID_REQUEST.error(format!("`{shown}` is not a field of this endpoint"));
    let names = schema.fields().iter().map(|field| field.name.as_str()).chain(schema.id());
    match lw_core::nearest(name, names) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("its fields are {}", schema.describe())),
    }
}

pub fn bad_row_count(n_rows: usize) -> Error {
    if n_rows == 0 {
        return INVALID_REQUEST.error("the request has no rows").hint("send at least one row");
    }
    TOO_MANY_ROWS
        .error(format!("the request has more than {MAX_ROWS} rows"))
        .hint(format!("send at most {MAX_ROWS} rows a request, or score a table with a batch job"))
}

fn texts(column: &ArrayRef, name: &str) -> Result<Vec<Option<Box<str>>>> {
    let column = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8)
        .map_err(|_| INVALID_REQUEST.error(format!("the id `{name}` is not a text")).hint("send ids as texts"))?;
    Ok(column.as_string::<i32>().iter().map(|text| text.map(Into::into)).collect())
}
