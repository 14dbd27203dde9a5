//! SQL over the tables: one query, and its rows as they are made.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::csv;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamEncoder;
use arrow::json::WriterBuilder;
use arrow::json::writer::{JsonArray, LineDelimited, Writer};
use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use lw_core::{Ctx, Error, Result, Scalar};
use lw_engine::batch_from_rows;
use lw_query::{Answer, Limits, shared_bytes};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Json;
use crate::failures::INVALID_BODY;
use crate::problem::{Answer as HttpAnswer, log};
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    let route = Route::post("/api/v1/sql", Action::Read, "table", sql);
    vec![
        Route { is_streaming: true, ..route }
            .summary("The rows of one SELECT, as the header Accept asks: JSON, JSON Lines, CSV or an Arrow IPC stream"),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    sql: String,
    /// Values for `?` or `$1`, `$2`, …
    #[serde(default)]
    parameters: Vec<Scalar>,
    /// No more rows than these.
    limit: Option<u64>,
    timeout_ms: Option<u64>,
}

async fn sql(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    headers: HeaderMap,
    Json(asked): Json<Asked>,
) -> HttpAnswer<Response> {
    let form = Form::accepted(&headers)?;
    let timeout = asked.timeout_ms.map_or(Limits::STANDARD.timeout, Duration::from_millis).min(Limits::LONGEST);
    let statement = app.reader()?.prepare(&ctx, &asked.sql).await?;
    let values = row_of(&asked.parameters)?;
    let mut answer = statement.run(values, Limits { n_rows: asked.limit, timeout }).await?;
    let schema = answer.schema();
    // What fails before the first rows fails with a status and a problem document.
    let first = match answer.next().await {
        Some(batch) => batch?,
        None => RecordBatch::new_empty(schema.clone()),
    };
    let writer = FormWriter::open(form, &schema)?;
    let body = Body::from_stream(written(writer, first, answer));
    Ok(([(header::CONTENT_TYPE, form.media_type())], body).into_response())
}

/// The values of parameters as the row that a statement takes. They keep the types that they have in JSON; the query converts them.
fn row_of(parameters: &[Scalar]) -> Result<Option<RecordBatch>> {
    if parameters.is_empty() {
        return Ok(None);
    }
    let field = |(value, number): (&Scalar, u32)| {
        let data_type = match value {
            Scalar::Bool(_) => DataType::Boolean,
            Scalar::Int(_) => DataType::Int64,
            Scalar::Float(_) => DataType::Float64,
            Scalar::Null | Scalar::Text(_) | Scalar::Time(_) => DataType::Utf8,
        };
        Field::new(format!("${number}"), data_type, true)
    };
    let schema: SchemaRef = Arc::new(Schema::new(parameters.iter().zip(1..).map(field).collect::<Vec<_>>()));
    batch_from_rows(&schema, &[parameters.to_vec()]).map(Some)
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    JsonLines,
    Csv,
    Arrow,
}

impl Form {
    const ALL: [Self; 4] = [Self::Json, Self::JsonLines, Self::Csv, Self::Arrow];

    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// The first form of the header that is known; JSON if any will do.
    fn accepted(headers: &HeaderMap) -> Result<Self> {
        let Some(accept) = headers.get(header::ACCEPT) else { return Ok(Self::Json) };
        let accept = accept.to_str().unwrap_or_default();
        let known = |wanted: &str| match wanted.split(';').next().unwrap_or_default().trim() {
            "*/*" | "application/*" => Some(Self::Json),
            wanted => Self::ALL.into_iter().find(|form| form.media_type() == wanted),
        };
        accept.split(',').find_map(known).ok_or_else(|| {
            let forms = Self::ALL.map(Self::media_type).join(", ");
            INVALID_BODY.error("rows cannot be written as the header Accept asks").hint(format!("ask for one of {forms}"))
        })
    }
}

/// Writes batches, one after the other, into pieces that are sent at once.
enum FormWriter {
    Json { head: String, rows: Writer<Vec<u8>, JsonArray> },
    JsonLines(Writer<Vec<u8>, LineDelimited>),
    Csv { has_header: bool },
    Arrow(StreamEncoder),
}

impl FormWriter {
    fn open(form: Form, schema: &SchemaRef) -> Result<Self> {
        // A column that is NULL is written: whoever reads one row must see all columns.
        let json = WriterBuilder::new().with_explicit_nulls(true);
        Ok(match form {
            Form::Json => Self::Json { head: json_head(schema), rows: json.build(Vec::new()) },
            Form::JsonLines => Self::JsonLines(json.build(Vec::new())),
            Form::Csv => Self::Csv { has_header: true },
            Form::Arrow => Self::Arrow(StreamEncoder::try_new(schema).map_err(unwritable)?),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<Vec<Bytes>> {
        match self {
            Self::Json { head, rows } => {
                rows.write(batch).map_err(unwritable)?;
                Ok(vec![std::mem::take(head).into(), std::mem::take(rows.get_mut()).into()])
            }
            Self::JsonLines(rows) => {
                rows.write(batch).map_err(unwritable)?;
                Ok(vec![std::mem::take(rows.get_mut()).into()])
            }
            Self::Csv { has_header } => {
                let mut text = Vec::new();
                let with_header = std::mem::take(has_header);
                csv::WriterBuilder::new().with_header(with_header).build(&mut text).write(batch).map_err(unwritable)?;
                Ok(vec![text.into()])
            }
            Self::Arrow(encoder) => Ok(encoder.encode(batch).map_err(unwritable)?.into_iter().map(shared_bytes).collect()),
        }
    }

    fn finish(self) -> Result<Vec<Bytes>> {
        match self {
            Self::Json { head, mut rows } => {
                rows.finish().map_err(unwritable)?;
                Ok(vec![head.into(), rows.into_inner().into(), Bytes::from_static(b"}\n")])
            }
            Self::JsonLines(mut rows) => {
                rows.finish().map_err(unwritable)?;
                Ok(vec![rows.into_inner().into()])
            }
            Self::Csv { .. } => Ok(Vec::new()),
            Self::Arrow(encoder) => Ok(encoder.finish().map_err(unwritable)?.into_iter().map(shared_bytes).collect()),
        }
    }
}

/// The columns, which stand before the rows so that these can be read as they come.
fn json_head(schema: &SchemaRef) -> String {
    let column = |field: &Arc<Field>| json!({ "name": field.name(), "type": field.data_type().to_string() });
    format!(r#"{{"columns":{},"items":"#, Value::from_iter(schema.fields().iter().map(column)))
}

/// The pieces of an answer. A failure under way breaks them off before their end mark, which readers notice.
fn written(writer: FormWriter, first: RecordBatch, answer: Answer) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let batches = stream::once(async { Ok(first) }).chain(answer).map(Some).chain(stream::once(async { None }));
    let pieces = batches.scan(Some(writer), |writer, batch| {
        let written = writer.take().map(|mut open| {
            let written = match batch {
                Some(batch) => batch.and_then(|batch| open.write(&batch)).inspect(|_| *writer = Some(open)),
                None => open.finish(),
            };
            match written {
                Ok(pieces) => pieces.into_iter().filter(|piece| !piece.is_empty()).map(Ok).collect(),
                Err(error) => {
                    log(&error);
                    vec![Err(error)]
                }
            }
        });
        std::future::ready(written)
    });
    pieces.flat_map(stream::iter)
}

fn unwritable(error: ArrowError) -> Error {
    Error::bug("rows cannot be written").cause(error)
}
