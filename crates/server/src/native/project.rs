//! The project: what applying it would change, and applying it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use axum::extract::{Extension, State};
use lw_core::{Ctx, Error, Failure, Kind, Result};
use lw_project::{Bundle, Project};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Json;
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/project", Action::Read, "project", show).summary("The project that runs"),
        Route::post("/api/v1/project/check", Action::Read, "project", check)
            .summary("All faults of a project's files; {root, files: {path: text}}"),
        Route::post("/api/v1/project/plan", Action::Read, "project", plan)
            .summary("What applying a project would change and invalidate"),
        Route::post("/api/v1/project/apply", Action::Write, "project", apply).summary("Makes a project the one that runs"),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BundleBody {
    /// The project's folder on the server's machine: where relative paths of data files start.
    root: PathBuf,
    files: BTreeMap<String, String>,
}

fn parse(body: BundleBody) -> Result<Project, Vec<Error>> {
    Project::parse(Bundle { root: body.root, files: body.files })
}

/// The first fault, with the number of the others.
fn first(errors: Vec<Error>) -> Error {
    let n_others = errors.len().saturating_sub(1);
    match errors.into_iter().next() {
        Some(error) if n_others > 0 => {
            let hint = format!("{}; {n_others} more: run `loopwright check`", error.hint_text().unwrap_or_default());
            error.hint(hint)
        }
        Some(error) => error,
        None => Error::bug("a project failed to parse without an error"),
    }
}

async fn show(State(app): State<App>) -> Answer<axum::Json<Value>> {
    let running = app.workspace()?.project().await?;
    let project = &running.project;
    Ok(axum::Json(json!({
        "applied": running.applied,
        "project": project.definition.value.project,
        "sources": project.sources.keys().collect::<Vec<_>>(),
        "feature_views": project.views.keys().collect::<Vec<_>>(),
        "models": project.models.keys().collect::<Vec<_>>(),
        "pipelines": project.pipelines.keys().collect::<Vec<_>>(),
        "policies": project.policies.keys().collect::<Vec<_>>(),
    })))
}

async fn check(Json(body): Json<BundleBody>) -> Answer<axum::Json<Value>> {
    let errors = match parse(body) {
        Ok(project) => lw_project::check(&project),
        Err(errors) => errors,
    };
    let view = |error: &Error| {
        let Failure { code, kind } = error.failure();
        let kind: Kind = kind;
        json!({"code": code, "kind": kind, "message": error.message(), "hint": error.hint_text(), "place": error.place()})
    };
    Ok(axum::Json(json!({ "errors": errors.iter().map(view).collect::<Vec<_>>() })))
}

async fn plan(State(app): State<App>, Json(body): Json<BundleBody>) -> Answer<axum::Json<Value>> {
    let project = parse(body).map_err(first)?;
    Ok(axum::Json(json!(app.workspace()?.plan(&project).await?)))
}

async fn apply(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Json(body): Json<BundleBody>,
) -> Answer<axum::Json<Value>> {
    let project = parse(body).map_err(first)?;
    let (plan, applied) = app.workspace()?.apply(&ctx, project).await?;
    Ok(axum::Json(json!({ "plan": plan, "version": applied.version, "digest": applied.digest, "commit": applied.commit })))
}
