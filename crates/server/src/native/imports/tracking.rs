//! Experiments, runs and logged models of another tracking server.

use std::collections::BTreeMap;

use axum::extract::{Extension, Path, State};
use lw_core::{Ctx, Result, RunId, Timestamp};
use lw_tracking::{
    Adopted, AdoptedExperiment, AdoptedModel, AdoptedRun, ExperimentId, LoggedModelId, LoggedModelStatus, Measurement,
    MetricPoint, ModelEnd, ModelMetric, NewExperiment, RunEnd, RunStatus, Tracking,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Json;
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/imports/experiments", Action::Administer, "import", experiment)
            .summary("The experiment with this name, made if it is missing; {name, created_at, updated_at, tags?, source}"),
        Route::post("/api/v1/imports/experiments/{experiment}/close", Action::Administer, "import", close_experiment)
            .summary("Deletes an experiment that nobody uses here, as another server did; {updated_at}"),
        Route::post("/api/v1/imports/runs", Action::Administer, "import", run)
            .summary("Begins to bring a run; {run, experiment, name?, user?, started_at, tags?, source}"),
        Route::post("/api/v1/imports/runs/{run}/finish", Action::Administer, "import", finish_run)
            .summary("Ends a run that was brought; {status, ended_at?, is_deleted?, deleted_at?}"),
        Route::post("/api/v1/imports/logged-models", Action::Administer, "import", logged_model).summary(
            "Begins to bring a logged model; {model, experiment, name, created_at, params?, tags?, metrics?, source, …}",
        ),
        Route::post("/api/v1/imports/logged-models/{model}/finish", Action::Administer, "import", finish_logged_model)
            .summary("Ends a logged model that was brought; {status, updated_at, is_deleted?}"),
    ]
}

fn tracking(app: &App) -> Tracking {
    Tracking::new(app.store().clone())
}

fn state<T>(adopted: &Adopted<T>) -> Value {
    json!({ "is_new": adopted.is_new, "is_open": adopted.is_open })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExperimentBody {
    name: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    source: String,
}

async fn experiment(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Json(body): Json<ExperimentBody>,
) -> Answer<axum::Json<Value>> {
    let ExperimentBody { name, created_at, updated_at, tags, source } = body;
    let new = NewExperiment { name, artifact_location: None, tags };
    // The experiment `Default` has the number 0, whoever brings one of this name.
    tracking(&app).ensure_default_experiment(&ctx).await?;
    let adopted = tracking(&app).adopt_experiment(&ctx, AdoptedExperiment { new, created_at, updated_at, source }).await?;
    let mut view = state(&adopted);
    view["id"] = adopted.item.id.to_string().into();
    view["lifecycle"] = json!(adopted.item.lifecycle);
    view["artifact_location"] = adopted.item.artifact_location.into();
    Ok(axum::Json(view))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseBody {
    updated_at: Timestamp,
}

async fn close_experiment(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Path(experiment): Path<String>,
    Json(body): Json<CloseBody>,
) -> Answer<axum::Json<Value>> {
    let closed = tracking(&app).close_adopted_experiment(&ctx, ExperimentId::parse(&experiment)?, body.updated_at).await?;
    Ok(axum::Json(json!({ "lifecycle": closed.lifecycle })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunBody {
    run: String,
    experiment: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    user: String,
    started_at: Timestamp,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    source: String,
}

async fn run(State(app): State<App>, Extension(ctx): Extension<Ctx>, Json(body): Json<RunBody>) -> Answer<axum::Json<Value>> {
    let wanted = AdoptedRun {
        id: RunId::parse(&body.run)?,
        experiment: ExperimentId::parse(&body.experiment)?,
        name: body.name,
        user_id: body.user,
        started_at: body.started_at,
        tags: body.tags.into_iter().collect(),
        source: body.source,
    };
    let adopted = tracking(&app).adopt_run(&ctx, wanted).await?;
    let mut view = state(&adopted);
    view["artifact_uri"] = adopted.item.artifact_uri.into();
    view["n_points"] = adopted.item.seal.map(|seal| seal.n_points).into();
    Ok(axum::Json(view))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunEndBody {
    status: RunStatus,
    ended_at: Option<Timestamp>,
    #[serde(default)]
    is_deleted: bool,
    deleted_at: Option<Timestamp>,
}

async fn finish_run(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Path(run): Path<String>,
    Json(body): Json<RunEndBody>,
) -> Answer<axum::Json<Value>> {
    let RunEndBody { status, ended_at, is_deleted, deleted_at } = body;
    let end = RunEnd { status, ended_at, is_deleted, deleted_at };
    let finished = tracking(&app).finish_adopted_run(&ctx, &RunId::parse(&run)?, end).await?;
    Ok(axum::Json(json!({ "status": finished.status, "lifecycle": finished.lifecycle, "seal": finished.seal })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelBody {
    model: String,
    experiment: String,
    name: String,
    #[serde(default)]
    model_type: String,
    #[serde(default)]
    source_run: String,
    created_at: Timestamp,
    #[serde(default)]
    params: BTreeMap<String, String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    metrics: Vec<MetricBody>,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricBody {
    run: String,
    key: String,
    value: MetricValue,
    at: Timestamp,
    step: i64,
    dataset_name: Option<String>,
    dataset_digest: Option<String>,
}

/// A number, or `NaN` as text, for which JSON has no number.
#[derive(Deserialize)]
#[serde(untagged)]
enum MetricValue {
    Number(f64),
    Text(NotANumber),
}

#[derive(Deserialize)]
enum NotANumber {
    #[serde(rename = "NaN")]
    Nan,
}

impl MetricBody {
    fn of_model(self, model: &LoggedModelId) -> Result<Measurement> {
        let value = match self.value {
            MetricValue::Number(value) => value,
            MetricValue::Text(NotANumber::Nan) => f64::NAN,
        };
        let point = MetricPoint { value, at: self.at, step: self.step };
        let (dataset_name, dataset_digest) = (self.dataset_name, self.dataset_digest);
        let metric = ModelMetric { model: model.clone(), key: self.key, point, dataset_name, dataset_digest };
        Ok(Measurement { run: RunId::parse(&self.run)?, metric })
    }
}

async fn logged_model(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Json(body): Json<ModelBody>,
) -> Answer<axum::Json<Value>> {
    let id = LoggedModelId::parse(&body.model)?;
    let wanted = AdoptedModel {
        experiment: ExperimentId::parse(&body.experiment)?,
        name: body.name,
        model_type: body.model_type,
        source_run: body.source_run,
        created_at: body.created_at,
        params: body.params.into_iter().collect(),
        tags: body.tags.into_iter().collect(),
        metrics: body.metrics.into_iter().map(|metric| metric.of_model(&id)).collect::<Result<_>>()?,
        source: body.source,
        id,
    };
    let adopted = tracking(&app).adopt_logged_model(&ctx, wanted).await?;
    let mut view = state(&adopted);
    view["artifact_uri"] = adopted.item.artifact_uri.into();
    Ok(axum::Json(view))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelEndBody {
    status: LoggedModelStatus,
    updated_at: Timestamp,
    #[serde(default)]
    is_deleted: bool,
}

async fn finish_logged_model(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Path(model): Path<String>,
    Json(body): Json<ModelEndBody>,
) -> Answer<axum::Json<Value>> {
    let ModelEndBody { status, updated_at, is_deleted } = body;
    let end = ModelEnd { status, updated_at, is_deleted };
    let finished = tracking(&app).finish_adopted_model(&ctx, &LoggedModelId::parse(&model)?, end).await?;
    Ok(axum::Json(json!({ "status": finished.status, "lifecycle": finished.lifecycle })))
}
