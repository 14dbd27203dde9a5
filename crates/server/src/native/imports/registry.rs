//! Registered models and versions of another registry.

use std::collections::BTreeMap;

use axum::extract::{Extension, State};
use lw_core::{Ctx, ModelName, Timestamp};
use lw_mlflow::{RecordedVersion, version_of};
use lw_registry::{AdoptedModel, AdoptedVersion, Registry, Stage};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Json;
use crate::failures::MODEL_FILES_UNREADABLE;
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/imports/models", Action::Administer, "import", model)
            .summary("Makes a registered model unless it is there; {name, created_at, updated_at, description?, tags?, source}"),
        Route::post("/api/v1/imports/model-versions", Action::Administer, "import", version).summary(
            "Brings a version with its number; {model, version, origin, stage, created_at, updated_at, tags?, source, …}",
        ),
    ]
}

fn registry(app: &App) -> Registry {
    Registry::new(app.store().clone())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelBody {
    name: String,
    #[serde(default)]
    description: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    source: String,
}

async fn model(State(app): State<App>, Extension(ctx): Extension<Ctx>, Json(body): Json<ModelBody>) -> Answer<axum::Json<Value>> {
    let ModelBody { name, description, created_at, updated_at, tags, source } = body;
    let wanted = AdoptedModel { name: ModelName::parse(&name)?, description, created_at, updated_at, tags, source };
    let is_new = registry(&app).adopt_model(&ctx, wanted).await?;
    Ok(axum::Json(json!({ "is_new": is_new })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionBody {
    model: String,
    version: u64,
    /// Where the version comes from, as the other registry says it.
    origin: String,
    #[serde(default)]
    run: String,
    #[serde(default)]
    run_link: String,
    #[serde(default)]
    logged_model: String,
    #[serde(default)]
    description: String,
    stage: String,
    #[serde(default)]
    user: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    source: String,
}

async fn version(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Json(body): Json<VersionBody>,
) -> Answer<axum::Json<Value>> {
    let registry = registry(&app);
    let model = ModelName::parse(&body.model)?;
    let recorded = RecordedVersion {
        is_prompt: registry.is_prompt(&model).await?,
        model,
        source: body.origin,
        run: body.run,
        run_link: body.run_link,
        logged_model: body.logged_model,
        description: body.description,
        user: body.user,
        tags: body.tags,
    };
    let wanted = version_of(app.mlflow(), &ctx, recorded).await.map_err(|refusal| {
        let error = MODEL_FILES_UNREADABLE
            .error(format!("the files of {}@{} cannot be read: {}", body.model, body.version, refusal.message));
        error.hint("`loopwright doctor` looks at the artifact store; the same import goes on where this one stopped")
    })?;
    let adopted = AdoptedVersion {
        wanted,
        version: body.version,
        stage: if body.stage.is_empty() { Stage::None } else { Stage::parse(&body.stage)? },
        registered_at: body.created_at,
        updated_at: body.updated_at,
        source: body.source,
    };
    let is_new = registry.adopt_version(&ctx, adopted).await?;
    Ok(axum::Json(json!({ "is_new": is_new })))
}
