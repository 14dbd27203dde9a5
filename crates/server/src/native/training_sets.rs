//! Training sets: what they are, and their rows as an Arrow stream.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use lw_core::{Error, Name, Result};
use lw_engine::{Binding, Bound};
use lw_features::{TrainingSet, find_training_set, list_training_sets};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Query;
use crate::failures::TRAINING_SET_NOT_FOUND;
use crate::problem::{Answer, log};
use crate::route::{Action, Route};

const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/training-sets/{name}", Action::Read, "training_set", list)
            .summary("The training sets of a name (a model has one of its own name), newest first; ?before=N&limit=N"),
        Route::get("/api/v1/training-sets/{name}/{version}", Action::Read, "training_set", show).summary("One training set"),
        Route::get("/api/v1/training-sets/{name}/{version}/rows", Action::Read, "training_set", rows)
            .summary("The rows of a training set as an Arrow IPC stream, in its own order"),
    ]
}

fn view(set: &TrainingSet) -> Value {
    json!({
        "name": set.name, "version": set.version, "table": set.table.to_string(), "table_version": set.table_version,
        "content": set.content, "recipe": set.recipe, "columns": set.columns, "n_rows": set.n_rows,
        "n_dropped_unlabelled": set.n_dropped_unlabelled, "window_from": set.window_from, "window_to": set.window_to,
        "as_of": set.as_of, "built_at": set.built_at,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    before: Option<u64>,
    limit: Option<u64>,
}

async fn list(State(app): State<App>, Path(name): Path<String>, Query(page): Query<Page>) -> Answer<axum::Json<Value>> {
    let limit = page.limit.unwrap_or(100).clamp(1, 1000);
    let sets = list_training_sets(app.store(), &Name::parse(&name)?, page.before, limit).await?;
    Ok(axum::Json(json!({ "items": sets.iter().map(view).collect::<Vec<_>>() })))
}

async fn found(app: &App, name: &str, version: u64) -> Result<TrainingSet> {
    let set = find_training_set(app.store(), &Name::parse(name)?, version).await?;
    set.ok_or_else(|| {
        TRAINING_SET_NOT_FOUND
            .error(format!("there is no training set {}@{version}", name.escape_debug()))
            .hint(format!("GET /api/v1/training-sets/{} lists those there are", name.escape_debug()))
    })
}

async fn show(State(app): State<App>, Path((name, version)): Path<(String, u64)>) -> Answer<axum::Json<Value>> {
    Ok(axum::Json(view(&found(&app, &name, version).await?)))
}

async fn rows(State(app): State<App>, Path((name, version)): Path<(String, u64)>) -> Answer<Response> {
    let set = found(&app, &name, version).await?;
    let binding = Binding::new("t", Bound::Table { table: set.table.clone(), version: Some(set.table_version) });
    let columns: Vec<String> = set.columns.names().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    let sql = format!("SELECT {} FROM t ORDER BY predicted_at, example_id", columns.join(", "));
    let query = app.workspace()?.engine().query(&sql, vec![binding]).await?;
    let schema = query.schema();
    let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(|error| unwritable(&error))?;
    let body = Body::from_stream(arrow_stream(writer, query.stream()?));
    Ok(([(header::CONTENT_TYPE, ARROW_STREAM)], body).into_response())
}

/// The bytes of an Arrow stream, batch by batch. A failure under way breaks the stream off before its end mark, which readers notice.
fn arrow_stream(
    writer: StreamWriter<Vec<u8>>,
    batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
) -> impl Stream<Item = Result<Vec<u8>, Error>> + Send + 'static {
    let batches = batches.map(Some).chain(stream::once(async { None }));
    batches.scan(Some(writer), |writer, batch| {
        let piece = writer.take().map(|mut open| {
            let written = match batch {
                Some(Ok(batch)) => open.write(&batch).map_err(|error| unwritable(&error)),
                Some(Err(error)) => Err(error),
                None => open.finish().map_err(|error| unwritable(&error)),
            };
            let piece = written.map(|()| std::mem::take(open.get_mut()));
            match &piece {
                Ok(_) => *writer = Some(open),
                Err(error) => log(error),
            }
            piece
        });
        std::future::ready(piece)
    })
}

fn unwritable(error: &ArrowError) -> Error {
    Error::bug(format!("an Arrow stream cannot be written: {error}"))
}
