//! `infer`: tensors in, tensors out.

use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use lw_core::{Ctx, Error, Result};
use lw_serving::failures::INVALID_REQUEST;
use lw_serving::{Endpoint, Key, Predictions, Routes, Rows, Value, unknown_field};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, json};

use super::tensor::{ColumnSink, Datatype, each_element, rows_of};
use super::{Answer, binary, encoding, metadata};
use crate::app::App;
use crate::body::Body;
use crate::failures::INVALID_BODY;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/v2/models/{model}/infer", Action::Predict, "endpoint", infer).summary("Scores tensors (OIP)"),
        Route::post("/v2/models/{model}/versions/{version}/infer", Action::Predict, "endpoint", infer_version)
            .summary("Scores tensors (OIP)"),
    ]
}

#[derive(Deserialize)]
struct InferRequest<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow)]
    inputs: Vec<InputTensor<'a>>,
    #[serde(default)]
    outputs: Option<Vec<WantedOutput>>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize)]
struct InputTensor<'a> {
    name: String,
    shape: Vec<i64>,
    datatype: Datatype,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize)]
struct WantedOutput {
    name: String,
    #[serde(default)]
    parameters: Parameters,
}

/// The parameters that mean something here; clients send others as well.
#[derive(Deserialize, Default)]
struct Parameters {
    binary_data_size: Option<usize>,
    binary_data: Option<bool>,
    binary_data_output: Option<bool>,
}

async fn infer(
    State(app): State<App>,
    Path(model): Path<String>,
    Extension(ctx): Extension<Ctx>,
    headers: HeaderMap,
    Body(body): Body,
) -> Answer<Response> {
    let endpoint = metadata::endpoint(&app, &model, None)?;
    Ok(answer(&app, &endpoint, &ctx, &headers, body).inspect_err(|error| log_unread(&endpoint, error))?)
}

async fn infer_version(
    State(app): State<App>,
    Path((model, version)): Path<(String, String)>,
    Extension(ctx): Extension<Ctx>,
    headers: HeaderMap,
    Body(body): Body,
) -> Answer<Response> {
    let endpoint = metadata::endpoint(&app, &model, Some(&version))?;
    Ok(answer(&app, &endpoint, &ctx, &headers, body).inspect_err(|error| log_unread(&endpoint, error))?)
}

/// Requests that failed while they were scored are counted there.
fn log_unread(endpoint: &Endpoint, error: &Error) {
    if error.is(INVALID_REQUEST) || error.is(INVALID_BODY) {
        endpoint.failed(error);
    }
}

fn answer(app: &App, endpoint: &Endpoint, ctx: &Ctx, headers: &HeaderMap, body: Bytes) -> Result<Response> {
    let body = encoding::decoded(headers, body, app.limits().body_bytes)?;
    let (head, tensors) = split(headers, &body)?;
    let request: InferRequest<'_> = serde_json::from_slice(head).map_err(|error| {
        INVALID_BODY
            .error(format!("the body is no inference request: {error}"))
            .hint("send {\"inputs\": [{\"name\": …, \"shape\": [n], \"datatype\": …, \"data\": […]}]}")
    })?;
    let routes = endpoint.routes();
    let outputs = wanted_outputs(&request, &routes)?;
    let rows = rows(&routes, &request, tensors)?;
    let predictions = endpoint.predict(ctx, &routes, rows)?;
    render(&request, &predictions, &outputs)
}

/// The JSON and, behind it, the binary tensors.
fn split<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<(&'a [u8], &'a [u8])> {
    let Some(length) = headers.get(binary::HEADER_LENGTH) else {
        return Ok((body, &[]));
    };
    let length = length.to_str().ok().and_then(|length| length.parse::<usize>().ok());
    length.and_then(|length| body.split_at_checked(length)).ok_or_else(|| {
        INVALID_BODY
            .error("`Inference-Header-Content-Length` does not fit the body")
            .hint("give the number of bytes of the JSON part")
    })
}

fn rows(routes: &Routes, request: &InferRequest<'_>, mut tensors: &[u8]) -> Result<Rows> {
    let schema = routes.request();
    let mut columns = vec![None; schema.fields().len()];
    let mut ids: Vec<Option<Box<str>>> = Vec::new();
    let mut n_rows = None;
    for input in &request.inputs {
        let rows = rows_of(&input.shape, &input.name)?;
        if *n_rows.get_or_insert(rows) != rows {
            let message = format!("tensor `{}` has {rows} rows, the ones before it have others", short(&input.name));
            return Err(INVALID_REQUEST.error(message).hint("send one value a row in every tensor"));
        }
        match schema.key(&input.name) {
            Some(Key::Field(index)) => {
                let (Some(field), Some(slot)) = (schema.fields().get(index), columns.get_mut(index)) else { continue };
                if slot.is_some() {
                    return Err(sent_twice(&input.name));
                }
                let mut sink = ColumnSink::new(field, input.datatype, rows);
                elements(input, &mut tensors, |value| sink.push(value))?;
                *slot = Some(sink.finish()?);
            }
            Some(Key::Id) if ids.is_empty() => elements(input, &mut tensors, |value| {
                ids.push(id(value)?);
                Ok(())
            })?,
            Some(Key::Id) => return Err(sent_twice(&input.name)),
            None => return Err(unknown_field(schema, &input.name)),
        }
    }
    if !tensors.is_empty() {
        return Err(INVALID_REQUEST
            .error("there are bytes behind the last tensor")
            .hint("make `binary_data_size` and the body agree"));
    }
    Rows::from_columns(schema, n_rows.unwrap_or(0), ids, columns)
}

fn elements(input: &InputTensor<'_>, tensors: &mut &[u8], push: impl FnMut(Value<'_>) -> Result<()>) -> Result<()> {
    match (input.parameters.binary_data_size, input.data) {
        (Some(size), None) => {
            let (own, rest) = tensors.split_at_checked(size).ok_or_else(|| {
                INVALID_REQUEST
                    .error(format!("the body ends within tensor `{}`", short(&input.name)))
                    .hint("send all the bytes that `binary_data_size` names")
            })?;
            *tensors = rest;
            binary::each_element(own, input.datatype, &input.name, push)
        }
        (None, Some(data)) => each_element(data.get(), &short(&input.name), push),
        _ => Err(INVALID_REQUEST
            .error(format!("tensor `{}` has no data, or has it twice", short(&input.name)))
            .hint("send `data`, or `binary_data_size` and the bytes behind the JSON")),
    }
}

fn id(value: Value<'_>) -> Result<Option<Box<str>>> {
    match value {
        Value::Null => Ok(None),
        Value::Int(number) => Ok(Some(number.to_string().into())),
        Value::Text(text) if (1..=lw_serving::MAX_TEXT_BYTES).contains(&text.len()) => Ok(Some(text.into())),
        _ => Err(INVALID_REQUEST.error("the id of a row is no short text").hint("send ids as BYTES, of at most 1 KiB each")),
    }
}

fn sent_twice(name: &str) -> Error {
    INVALID_REQUEST.error(format!("tensor `{}` was sent twice", short(name))).hint("send each field once")
}

fn short(name: &str) -> String {
    name.chars().take(80).collect()
}

/// An output with its form.
struct OutputForm {
    name: &'static str,
    is_binary: bool,
}

const OUTPUTS: [&str; 4] = ["score", "predicted", "id", "version"];

fn wanted_outputs(request: &InferRequest<'_>, routes: &Routes) -> Result<Vec<OutputForm>> {
    let by_default = request.parameters.binary_data_output.unwrap_or(false);
    let is_classifier = routes.champion().bundle().output.predicted(0.0).is_some();
    let known = OUTPUTS.iter().copied().filter(|name| is_classifier || *name != "predicted");
    let Some(wanted) = request.outputs.as_ref().filter(|wanted| !wanted.is_empty()) else {
        return Ok(known.map(|name| OutputForm { name, is_binary: by_default }).collect());
    };
    let known: Vec<&'static str> = known.collect();
    let form = |wanted: &WantedOutput| match known.iter().find(|name| **name == wanted.name) {
        Some(name) => Ok(OutputForm { name, is_binary: wanted.parameters.binary_data.unwrap_or(by_default) }),
        None => {
            let message = format!("there is no output `{}`", short(&wanted.name));
            Err(INVALID_REQUEST.error(message).hint(format!("the outputs are {}", known.join(", "))))
        }
    };
    wanted.iter().map(form).collect()
}

fn render(request: &InferRequest<'_>, predictions: &Predictions, outputs: &[OutputForm]) -> Result<Response> {
    let mut tensors = Vec::new();
    let mut described = Vec::with_capacity(outputs.len());
    for output in outputs {
        described.push(tensor(output, predictions, &mut tensors));
    }
    let mut answer = Map::new();
    answer.insert("model_name".to_owned(), json!(predictions.endpoint));
    // Rows of one request may meet two versions; then the output `version` tells them apart.
    if let [only] = predictions.answered_by.as_slice() {
        answer.insert("model_version".to_owned(), json!(only.served.version.to_string()));
    }
    if let Some(id) = &request.id {
        answer.insert("id".to_owned(), json!(id));
    }
    answer.insert("parameters".to_owned(), json!({"generation": predictions.generation}));
    answer.insert("outputs".to_owned(), described.into());
    let mut body = serde_json::to_vec(&answer).map_err(|error| Error::bug("an answer is plain JSON").cause(error))?;
    if tensors.is_empty() {
        return Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response());
    }
    let head_length = HeaderValue::from(body.len());
    body.extend_from_slice(&tensors);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (HeaderName::from_static(binary::HEADER_LENGTH), head_length),
    ];
    Ok((headers, body).into_response())
}

fn tensor(output: &OutputForm, predictions: &Predictions, tensors: &mut Vec<u8>) -> serde_json::Value {
    let datatype = match output.name {
        "predicted" => Datatype::Bool,
        "id" => Datatype::Bytes,
        "version" => Datatype::Int64,
        _ => Datatype::Fp64,
    };
    let mut described = json!({"name": output.name, "datatype": datatype.name(), "shape": [predictions.len()]});
    let rows = 0..predictions.len();
    let predicted =
        |row: usize| predictions.answerer(row).and_then(|by| by.output.predicted(*predictions.scores.get(row)?)).unwrap_or(false);
    let id = |row: usize| predictions.ids.get(row).and_then(Option::as_deref).unwrap_or_default();
    let version = |row: usize| predictions.answerer(row).map_or(0, |by| by.served.version as i64);
    if !output.is_binary {
        described["data"] = match datatype {
            Datatype::Bool => rows.map(predicted).collect(),
            Datatype::Bytes => rows.map(id).collect(),
            Datatype::Int64 => rows.map(version).collect(),
            _ => predictions.scores.iter().copied().collect(),
        };
        return described;
    }
    let start = tensors.len();
    match datatype {
        Datatype::Bool => tensors.extend(rows.map(|row| u8::from(predicted(row)))),
        Datatype::Int64 => rows.for_each(|row| tensors.extend_from_slice(&version(row).to_le_bytes())),
        Datatype::Bytes => rows.for_each(|row| {
            let text = id(row);
            tensors.extend_from_slice(&(text.len() as u32).to_le_bytes());
            tensors.extend_from_slice(text.as_bytes());
        }),
        _ => predictions.scores.iter().for_each(|score| tensors.extend_from_slice(&score.to_le_bytes())),
    }
    described["parameters"] = json!({"binary_data_size": tensors.len() - start});
    described
}
