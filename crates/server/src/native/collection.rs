//! Collecting garbage: what was deleted long ago goes for good, and content that nothing mentions any more with it.

use axum::extract::{Extension, State};
use lw_core::{Ctx, Span};
use lw_store::SweepMode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Json;
use crate::problem::Answer;
use crate::route::{Action, Route};

/// Content younger than this may belong to something that is not recorded yet.
const YOUNGEST: Span = Span::from_days(1);
const OLDER_THAN: Span = Span::from_days(30);

pub fn routes() -> Vec<Route> {
    vec![Route::post("/api/v1/collections", Action::Administer, "artifact", collect).summary(
        "Removes runs and experiments that were deleted long ago, and artifacts that nothing mentions; {older_than?, remove?}",
    )]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CollectBody {
    /// How long something must have been deleted or unmentioned; 30 days if left out.
    older_than: Option<Span>,
    /// Whether to remove. Left out, the answer says what would go.
    #[serde(default)]
    remove: bool,
}

async fn collect(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Json(body): Json<CollectBody>,
) -> Answer<axum::Json<Value>> {
    let mode = if body.remove { SweepMode::Remove } else { SweepMode::DryRun };
    let older_than = body.older_than.unwrap_or(OLDER_THAN);
    let purge = app.mlflow().tracking().purge(&ctx, ctx.now() - older_than, mode).await?;
    let before = ctx.now() - older_than.max(YOUNGEST);
    let sweep = app.platform().artifacts.sweep(app.store(), before, mode).await?;
    let experiments: Vec<Value> = purge.experiments.iter().map(|(id, name)| json!({ "id": id, "name": name })).collect();
    Ok(axum::Json(json!({
        "removed": body.remove,
        "older_than": older_than,
        "runs": purge.runs,
        "kept_runs": purge.kept_runs,
        "experiments": experiments,
        "run_files": { "n_files": purge.n_artifacts, "bytes": purge.artifact_bytes },
        "artifacts": { "n_files": sweep.garbage.len(), "bytes": sweep.garbage_bytes() },
        "stored": { "n_files": sweep.n_stored, "bytes": sweep.stored_bytes },
    })))
}
