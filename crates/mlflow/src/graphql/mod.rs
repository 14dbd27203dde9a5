//! `POST /graphql`: the seven questions that MLflow's console asks in GraphQL, answered by the handlers of the REST routes.

mod query;
mod shape;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Extension, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use lw_core::Ctx;
use lw_governance::Action;
use serde_json::{Map, Value, json};

use self::query::Selection;
use self::shape::{Type, snake_case};
use crate::refusal::Answer;
use crate::route::Route;
use crate::{Face, Message, artifacts, experiments, metrics, model_versions, runs};

/// An answer that is put together here is no larger; the console asks for pages.
const MAX_BYTES: usize = 64 << 20;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::new(Method::POST, "/graphql", Action::Read, "run", graphql)]
}

async fn graphql(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Json<Value> {
    let fields = message.fields();
    let text = fields.get("query").and_then(Value::as_str).unwrap_or_default();
    let operation = fields.get("operation_name").and_then(Value::as_str);
    let nothing = Map::new();
    let variables = fields.get("variables").and_then(Value::as_object).unwrap_or(&nothing);
    let selections = match query::parse(text, operation, variables) {
        Ok(selections) => selections,
        Err(error) => return Json(json!({"data": null, "errors": [error]})),
    };
    let (mut data, mut errors) = (Map::new(), Vec::new());
    for selection in &selections {
        let value = field(&face, &ctx, selection).await.unwrap_or_else(|error| {
            errors.push(Value::String(error));
            Value::Null
        });
        data.insert(selection.alias.clone(), value);
    }
    let errors = if errors.is_empty() { Value::Null } else { Value::Array(errors) };
    Json(json!({"data": data, "errors": errors}))
}

/// The questions, each with the type of its answer.
fn type_of(question: &str) -> Option<&'static Type> {
    Some(match question {
        "mlflowGetExperiment" => &shape::GET_EXPERIMENT,
        "mlflowGetRun" => &shape::GET_RUN,
        "mlflowGetMetricHistoryBulkInterval" => &shape::METRIC_HISTORY,
        "mlflowListArtifacts" => &shape::LIST_ARTIFACTS,
        "mlflowSearchModelVersions" => &shape::SEARCH_VERSIONS,
        "mlflowSearchRuns" => &shape::SEARCH_RUNS,
        "mlflowSearchDatasets" => &shape::SEARCH_DATASETS,
        _ => return None,
    })
}

async fn field(face: &Face, ctx: &Ctx, selection: &Selection) -> Result<Value, String> {
    if selection.name == "__typename" {
        return Ok(Value::String("Query".to_owned()));
    }
    let of = type_of(&selection.name).ok_or_else(|| format!("Cannot query field '{}' on type 'Query'.", selection.name))?;
    let input = match selection.arguments.get("input") {
        Some(Value::Object(fields)) => fields.iter().map(|(name, value)| (snake_case(name), value.clone())).collect(),
        _ => Map::new(),
    };
    let mut document = ask(face, ctx, &selection.name, input).await?;
    if selection.name == "mlflowGetRun" {
        complete(face, ctx, document.get_mut("run"), of_run(selection)).await?;
    }
    shape::select(&document, of, &selection.inner)
}

fn of_run(selection: &Selection) -> &[Selection] {
    selection.inner.iter().find(|inner| inner.name == "run").map_or(&[], |run| &run.inner)
}

/// Adds to a run what its REST document does not say, where it is asked for.
async fn complete(face: &Face, ctx: &Ctx, run: Option<&mut Value>, selections: &[Selection]) -> Result<(), String> {
    let Some(Value::Object(run)) = run else { return Ok(()) };
    let text = |name: &str| run.get("info").and_then(|info| info.get(name)).cloned().unwrap_or_default();
    let (run_id, experiment_id) = (text("run_id"), text("experiment_id"));
    if selections.iter().any(|selection| selection.name == "experiment") {
        let input = Map::from_iter([("experiment_id".to_owned(), experiment_id)]);
        let mut found = ask(face, ctx, "mlflowGetExperiment", input).await?;
        run.insert("experiment".to_owned(), found.get_mut("experiment").map(Value::take).unwrap_or_default());
    }
    if selections.iter().any(|selection| selection.name == "modelVersions") {
        let filter = format!("run_id = '{}'", run_id.as_str().unwrap_or_default());
        let input = Map::from_iter([("filter".to_owned(), Value::String(filter))]);
        let mut found = ask(face, ctx, "mlflowSearchModelVersions", input).await?;
        run.insert("model_versions".to_owned(), found.get_mut("model_versions").map(Value::take).unwrap_or_default());
    }
    Ok(())
}

/// Asks the handler of the REST route, and reads its document. A refusal's message is the error.
async fn ask(face: &Face, ctx: &Ctx, question: &str, input: Map<String, Value>) -> Result<Value, String> {
    let (face, ctx, message) = (State(face.clone()), Extension(ctx.clone()), Message::of_fields(input));
    let answer: Answer<Response> = match question {
        "mlflowGetExperiment" => experiments::get(face, ctx, message).await,
        "mlflowGetRun" => runs::get(face, ctx, message).await,
        "mlflowGetMetricHistoryBulkInterval" => metrics::get_history_bulk_interval(face, ctx, message).await,
        "mlflowSearchRuns" => runs::search::search(face, ctx, message).await,
        "mlflowSearchDatasets" => experiments::search_datasets(face, ctx, message).await,
        "mlflowListArtifacts" => artifacts::of_run::list(face, message).await.map(IntoResponse::into_response),
        "mlflowSearchModelVersions" => model_versions::search(face, message).await.map(IntoResponse::into_response),
        _ => return Err(format!("Cannot query field '{question}' on type 'Query'.")),
    };
    let response = answer.unwrap_or_else(|refusal| refusal.into_response());
    let is_good = response.status().is_success();
    let bytes = to_bytes(response.into_body(), MAX_BYTES).await.map_err(|error| error.to_string())?;
    let document: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    if is_good {
        return Ok(document);
    }
    Err(document.get("message").and_then(Value::as_str).unwrap_or("The request was refused.").to_owned())
}
