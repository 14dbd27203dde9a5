//! How a prediction is written into the log: the columns of a version, and the bytes of a record.
//!
//! A record holds the rows that one version answered in one request, column by column, little-endian:
//! tag 1 · layout `u64` · role `u8` · at `i64` µs · latency `u32` µs · rows `u32` · request id · ids · scores `f64` ·
//! columns. A text is a `u32` length and its bytes. A column starts with a byte that says whether a validity byte for each
//! row follows. Tag 0 introduces a layout as JSON; it stands in each segment before the first record that refers to it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use lw_core::{DataType, Digest, Error, Name, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::failures::LOG_CORRUPT;
use crate::rows::{ColumnBuilder, Value};
use crate::{Bundle, Output, RequestField, Role};

const LAYOUT_TAG: u8 = 0;
const ROWS_TAG: u8 = 1;

/// The columns that every prediction table has. An input of the same name is logged as `input_<name>`.
pub const FIXED_COLUMNS: [(&str, DataType); 9] = [
    ("id", DataType::String),
    ("request_id", DataType::String),
    ("at", DataType::Timestamp),
    ("model", DataType::String),
    ("version", DataType::Int64),
    ("role", DataType::String),
    ("score", DataType::Float64),
    ("predicted", DataType::Boolean),
    ("latency_us", DataType::Int64),
];

/// What the log keeps of each row that a version scores: the model's inputs in order, then the request fields that are no inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    pub model: Name,
    pub version: u64,
    pub output: Output,
    pub columns: Vec<LoggedColumn>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedColumn {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
}

impl Layout {
    pub fn of(bundle: &Bundle) -> Self {
        let inputs = bundle.inputs.iter().map(|input| (&input.name, input.data_type));
        let is_input = |name: &str| bundle.inputs.iter().any(|input| input.name == name);
        let rest = bundle.request.iter().filter(|field| !is_input(&field.name)).map(|field| (&field.name, field.data_type));
        let column = |(name, data_type): (&String, DataType)| {
            let taken = FIXED_COLUMNS.iter().any(|(fixed, _)| fixed == name);
            LoggedColumn { name: if taken { format!("input_{name}") } else { name.clone() }, data_type }
        };
        Self {
            model: bundle.model.clone(),
            version: bundle.version,
            output: bundle.output,
            columns: inputs.chain(rest).map(column).collect(),
        }
    }

    /// The number that records refer to it by.
    pub fn number(&self) -> u64 {
        let digest = Digest::of_json(self);
        digest.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The record that introduces the layout.
    pub fn record(&self) -> Vec<u8> {
        let mut bytes = vec![LAYOUT_TAG];
        bytes.extend_from_slice(lw_core::canonical_json(self).as_bytes());
        bytes
    }
}

/// Rows that one version scored, on their way into the log.
pub struct ScoredRows<'a> {
    pub layout: u64,
    pub role: Role,
    pub at: Timestamp,
    pub latency_us: u32,
    pub request_id: &'a str,
    pub ids: &'a [Option<Box<str>>],
    pub scores: &'a [f64],
    /// In the layout's order.
    pub columns: &'a [ArrayRef],
}

impl ScoredRows<'_> {
    pub fn encode(&self) -> Vec<u8> {
        let n_rows = self.scores.len();
        let mut bytes = Vec::with_capacity(64 + n_rows * (32 + 9 * self.columns.len()));
        bytes.push(ROWS_TAG);
        bytes.extend_from_slice(&self.layout.to_le_bytes());
        bytes.push(self.role as u8);
        bytes.extend_from_slice(&self.at.micros().to_le_bytes());
        bytes.extend_from_slice(&self.latency_us.to_le_bytes());
        put_length(&mut bytes, n_rows);
        put_text(&mut bytes, self.request_id);
        for id in self.ids {
            put_text(&mut bytes, id.as_deref().unwrap_or_default());
        }
        self.scores.iter().for_each(|score| bytes.extend_from_slice(&score.to_le_bytes()));
        self.columns.iter().for_each(|column| put_column(&mut bytes, column));
        bytes
    }
}

/// Lengths are those of requests, which are far below `u32::MAX`.
fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_length(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

fn put_column(bytes: &mut Vec<u8>, column: &ArrayRef) {
    use arrow::datatypes::DataType as Arrow;
    match column.nulls() {
        None => bytes.push(0),
        Some(nulls) => {
            bytes.push(1);
            bytes.extend(nulls.iter().map(u8::from));
        }
    }
    macro_rules! put {
        ($type:ty) => {
            column.as_primitive::<$type>().values().iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()))
        };
    }
    match column.data_type() {
        Arrow::Boolean => bytes.extend(column.as_boolean().values().iter().map(u8::from)),
        Arrow::Int32 => put!(Int32Type),
        Arrow::Int64 => put!(Int64Type),
        Arrow::Float32 => put!(Float32Type),
        Arrow::Float64 => put!(Float64Type),
        Arrow::Date32 => put!(Date32Type),
        Arrow::Timestamp(..) => put!(TimestampMicrosecondType),
        _ => column.as_string::<i32>().iter().for_each(|text| put_text(bytes, text.unwrap_or_default())),
    }
}

/// What a record turned out to be.
pub enum Record<'a> {
    Layout(Box<Layout>),
    Rows { layout: u64, body: Cursor<'a> },
}

impl<'a> Record<'a> {
    pub fn read(payload: &'a [u8]) -> Result<Self> {
        let mut cursor = Cursor(payload);
        match cursor.byte()? {
            LAYOUT_TAG => {
                let layout = serde_json::from_slice(cursor.0).map_err(|error| corrupt("a layout is unreadable").cause(error))?;
                Ok(Self::Layout(Box::new(layout)))
            }
            ROWS_TAG => {
                let layout = u64::from_le_bytes(cursor.array()?);
                Ok(Self::Rows { layout, body: cursor })
            }
            tag => Err(corrupt(&format!("a record has the unknown tag {tag}"))),
        }
    }
}

pub fn corrupt(what: &str) -> Error {
    LOG_CORRUPT.error(format!("the prediction log is damaged: {what}")).hint(
        "move the segment that the message names out of the workspace's `predictions` folder and keep it; the rest is delivered then",
    )
}

/// Collects the rows of one layout for the table.
pub struct RowCollector {
    layout: Arc<Layout>,
    fixed: Vec<ColumnBuilder>,
    columns: Vec<(ColumnBuilder, RequestField)>,
}

impl RowCollector {
    pub fn new(layout: Arc<Layout>) -> Self {
        let fixed = FIXED_COLUMNS.iter().map(|(_, data_type)| ColumnBuilder::new(*data_type, 256)).collect();
        let column = |column: &LoggedColumn| {
            let field = RequestField { name: column.name.clone(), data_type: column.data_type, required: false };
            (ColumnBuilder::new(column.data_type, 256), field)
        };
        let columns = layout.columns.iter().map(column).collect();
        Self { layout, fixed, columns }
    }

    /// Adds the rows of one record. `body` starts behind the layout's number.
    pub fn add(&mut self, mut body: Cursor<'_>) -> Result<()> {
        let role = match body.byte()? {
            0 => Role::Champion,
            1 => Role::Canary,
            2 => Role::Shadow,
            other => return Err(corrupt(&format!("role {other} does not exist"))),
        };
        let at = i64::from_le_bytes(body.array()?);
        let latency_us = u32::from_le_bytes(body.array()?);
        let n_rows = body.length()?;
        let request_id = body.text()?.to_owned();
        let ids: Result<Vec<&str>> = (0..n_rows).map(|_| body.text()).collect();
        for id in ids? {
            let score = f64::from_le_bytes(body.array()?);
            let version = i64::try_from(self.layout.version).unwrap_or(i64::MAX);
            let values = [
                Value::Text(id),
                Value::Text(&request_id),
                Value::Micros(at),
                Value::Text(self.layout.model.as_str()),
                Value::Int(version),
                Value::Text(role.name()),
                Value::Float(score),
                self.layout.output.predicted(score).map_or(Value::Null, Value::Boolean),
                Value::Int(latency_us.into()),
            ];
            for ((builder, value), (name, data_type)) in self.fixed.iter_mut().zip(values).zip(FIXED_COLUMNS) {
                push(builder, value, &RequestField { name: name.to_owned(), data_type, required: false })?;
            }
        }
        for (builder, field) in &mut self.columns {
            read_column(&mut body, n_rows, builder, field)?;
        }
        if body.0.is_empty() { Ok(()) } else { Err(corrupt("a record is longer than its rows")) }
    }

    /// The columns by name.
    pub fn finish(self) -> Vec<(String, DataType, ArrayRef)> {
        let fixed = self.fixed.into_iter().zip(FIXED_COLUMNS);
        let fixed = fixed.map(|(builder, (name, data_type))| (name.to_owned(), data_type, builder.finish()));
        let logged = self.columns.into_iter().map(|(builder, field)| (field.name, field.data_type, builder.finish()));
        fixed.chain(logged).collect()
    }
}

fn push(builder: &mut ColumnBuilder, value: Value<'_>, field: &RequestField) -> Result<()> {
    builder.push(value, field).map_err(|error| corrupt("a value does not fit its column").cause(error))
}

fn read_column(body: &mut Cursor<'_>, n_rows: usize, builder: &mut ColumnBuilder, field: &RequestField) -> Result<()> {
    let has_nulls = body.byte()? == 1;
    let valid = if has_nulls { Some(body.bytes(n_rows)?) } else { None };
    for row in 0..n_rows {
        // A null keeps its place, so that columns of fixed width can be copied as they are.
        let is_null = valid.is_some_and(|valid| valid.get(row) == Some(&0));
        match builder {
            ColumnBuilder::Boolean(builder) => builder.append_option(some(body.byte()? == 1, is_null)),
            ColumnBuilder::Int32(builder) => builder.append_option(some(i32::from_le_bytes(body.array()?), is_null)),
            ColumnBuilder::Int64(builder) => builder.append_option(some(i64::from_le_bytes(body.array()?), is_null)),
            ColumnBuilder::Float32(builder) => builder.append_option(some(f32::from_le_bytes(body.array()?), is_null)),
            ColumnBuilder::Float64(builder) => builder.append_option(some(f64::from_le_bytes(body.array()?), is_null)),
            ColumnBuilder::Date(builder) => builder.append_option(some(i32::from_le_bytes(body.array()?), is_null)),
            ColumnBuilder::Time(builder) => builder.append_option(some(i64::from_le_bytes(body.array()?), is_null)),
            ColumnBuilder::Text(builder) => builder.append_option(some(body.text()?, is_null)),
        }
    }
    debug_assert!(builder.len() >= n_rows, "column `{}` is short", field.name);
    Ok(())
}

fn some<T>(value: T, is_null: bool) -> Option<T> {
    (!is_null).then_some(value)
}

/// The unread rest of a record.
#[derive(Clone, Copy)]
pub struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n).ok_or_else(|| corrupt("a record is shorter than its rows"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or_else(|| corrupt("a record is shorter than its rows"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn length(&mut self) -> Result<usize> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn text(&mut self) -> Result<&'a str> {
        let length = self.length()?;
        let bytes = self.bytes(length)?;
        std::str::from_utf8(bytes).map_err(|error| corrupt("a text is not UTF-8").cause(error))
    }
}
