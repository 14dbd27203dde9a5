//! Endpoints: predictions, what stands behind them, rollbacks.

use axum::extract::{Extension, Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use lw_core::{Ctx, DataType, Error, Name, Timestamp};
use lw_serving::failures::UNKNOWN_ENDPOINT;
use lw_serving::{Deployment, Endpoint, Predictions, Role};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::body::{Body, Json, Query};
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/endpoints/{name}/predict", Action::Predict, "endpoint", predict)
            .summary("Scores one object of fields, or {\"rows\": [{…}, …]}"),
        Route::get("/api/v1/endpoints", Action::Read, "endpoint", list).summary("Every endpoint and what stands behind it"),
        Route::get("/api/v1/endpoints/{name}", Action::Read, "endpoint", show)
            .summary("One endpoint: fields of a request, versions, how each has fared"),
        Route::get("/api/v1/endpoints/{name}/deployments", Action::Read, "endpoint", deployments)
            .summary("The generations of an endpoint, newest first"),
        Route::post("/api/v1/endpoints/{name}/rollback", Action::Deploy, "endpoint", roll_back)
            .summary("Puts back what stood behind the endpoint before"),
        Route::post("/api/v1/endpoints/{name}/retire", Action::Deploy, "endpoint", retire)
            .summary("Takes the endpoint out of service; {reason}"),
    ]
}

/// Bodies above this size are scored on a thread that may block, so that small requests do not wait for them.
const LARGE_BODY_BYTES: usize = 32 << 10;

async fn predict(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(ctx): Extension<Ctx>,
    Body(body): Body,
) -> Answer<Response> {
    let endpoint = app.endpoints().endpoint(&name)?;
    let predictions = if body.len() < LARGE_BODY_BYTES {
        endpoint.predict_json(&ctx, &body)?
    } else {
        let score = move || endpoint.predict_json(&ctx, &body);
        tokio::task::spawn_blocking(score).await.map_err(|error| Error::bug("a prediction panicked").cause(error))??
    };
    Ok(json(&predictions)?)
}

fn json(predictions: &Predictions) -> lw_core::Result<Response> {
    let mut body = Vec::with_capacity(128 + 128 * predictions.len());
    serde_json::to_writer(&mut body, predictions).map_err(|error| Error::bug("predictions are plain JSON").cause(error))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// One version behind an endpoint.
#[derive(Serialize)]
struct Part {
    role: Role,
    version: String,
    bundle: lw_core::Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
}

/// A generation as callers read it.
#[derive(Serialize)]
pub struct DeploymentView {
    endpoint: Name,
    generation: u64,
    champion: String,
    canary: Option<String>,
    versions: Vec<Part>,
    reason: String,
    restores: Option<u64>,
    activated_at: Timestamp,
    activated_by: String,
}

impl From<&Deployment> for DeploymentView {
    fn from(deployment: &Deployment) -> Self {
        let routing = &deployment.routing;
        let share = |role| routing.canary.as_ref().filter(|_| role == Role::Canary).map(|canary| canary.share);
        let part = |(role, served): (Role, &lw_serving::Served)| Part {
            role,
            version: served.to_string(),
            bundle: served.bundle,
            share: share(role),
        };
        Self {
            endpoint: deployment.endpoint.clone(),
            generation: deployment.generation,
            champion: routing.champion.to_string(),
            canary: routing.canary.as_ref().map(|canary| canary.served.to_string()),
            versions: routing.parts().map(part).collect(),
            reason: deployment.reason.clone(),
            restores: deployment.restores,
            activated_at: deployment.activated_at,
            activated_by: deployment.activated_by.clone(),
        }
    }
}

#[derive(Serialize)]
struct List<T> {
    items: Vec<T>,
}

async fn list(State(app): State<App>) -> Answer<axum::Json<impl Serialize>> {
    let deployments = lw_serving::all_current(app.store()).await?;
    Ok(axum::Json(List { items: deployments.iter().map(DeploymentView::from).collect() }))
}

#[derive(Serialize)]
struct FieldView {
    name: String,
    #[serde(rename = "type")]
    data_type: DataType,
    required: bool,
}

#[derive(Serialize)]
struct TallyView {
    role: Role,
    version: String,
    answered: u64,
    failed: u64,
}

#[derive(Serialize)]
struct EndpointView {
    #[serde(flatten)]
    deployment: DeploymentView,
    /// The field that names what a prediction is about.
    id: Option<String>,
    fields: Vec<FieldView>,
    runtime: &'static str,
    /// Since this generation was loaded in this process.
    tallies: Vec<TallyView>,
    waiting_for_disk: u64,
}

async fn show(State(app): State<App>, Path(name): Path<String>) -> Answer<axum::Json<impl Serialize>> {
    Ok(axum::Json(view(&*app.endpoints().endpoint(&name)?)))
}

fn view(endpoint: &Endpoint) -> EndpointView {
    let routes = endpoint.routes();
    let request = routes.request();
    let field = |field: &lw_serving::RequestField| FieldView {
        name: field.name.clone(),
        data_type: field.data_type,
        required: field.required,
    };
    let tally = |tally: lw_serving::Tally| TallyView {
        role: tally.role,
        version: tally.served.to_string(),
        answered: tally.n_answered,
        failed: tally.n_failed,
    };
    EndpointView {
        deployment: routes.deployment().into(),
        id: request.id().map(str::to_owned),
        fields: request.fields().iter().map(field).collect(),
        runtime: routes.champion().runtime(),
        tallies: endpoint.tallies().into_iter().map(tally).collect(),
        waiting_for_disk: endpoint.log().n_waiting(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    /// Generations below this one.
    before: Option<u64>,
    limit: Option<u32>,
}

const MAX_PAGE: u32 = 500;

async fn deployments(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(page): Query<PageQuery>,
) -> Answer<axum::Json<impl Serialize>> {
    let name = Name::parse(&name)?;
    let limit = page.limit.unwrap_or(50).clamp(1, MAX_PAGE);
    let deployments = lw_serving::history(app.store(), &name, page.before, limit).await?;
    Ok(axum::Json(List { items: deployments.iter().map(DeploymentView::from).collect() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollBackBody {
    #[serde(default)]
    reason: String,
    /// The generation that the caller saw. Left out: the one that stands now.
    generation: Option<u64>,
}

async fn roll_back(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(ctx): Extension<Ctx>,
    Json(body): Json<RollBackBody>,
) -> Answer<axum::Json<impl Serialize>> {
    let name = match app.endpoints().endpoint(&name) {
        Err(error) if error.is(UNKNOWN_ENDPOINT) => return Err(error.into()),
        // One that cannot be loaded is rolled back too: that is the way out.
        _ => Name::parse(&name)?,
    };
    let deployment = lw_project::roll_back(app.endpoints(), &ctx, &name, body.generation, &body.reason).await?;
    Ok(axum::Json(DeploymentView::from(&deployment)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetireBody {
    reason: String,
}

async fn retire(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(ctx): Extension<Ctx>,
    Json(body): Json<RetireBody>,
) -> Answer<axum::Json<impl Serialize>> {
    let retired = app.workspace()?.retire_endpoint(&ctx, &Name::parse(&name)?, &body.reason).await?;
    Ok(axum::Json(DeploymentView::from(&retired)))
}
