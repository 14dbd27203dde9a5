//! Models: versions, runs of their pipelines, approvals, the five answers, reproduction.

use axum::extract::{Extension, Path, State};
use lw_core::{Ctx, Digest, ModelName, Name, Timestamp};
use lw_pipelines::Start;
use lw_project::{ApprovalRule, Decision};
use lw_registry::{Alias, ApprovalState, GateDecision, ModelVersion, Registry, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::runs;
use crate::app::App;
use crate::body::{Json, Query};
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/models", Action::Read, "model", list).summary("Models by name; ?after=NAME&limit=N"),
        Route::get("/api/v1/models/{model}/versions", Action::Read, "model", versions)
            .summary("Versions, newest first; ?before=N&limit=N"),
        Route::get("/api/v1/models/{model}/versions/{version}", Action::Read, "model", version)
            .summary("One version with its report"),
        Route::post("/api/v1/models/{model}/versions/{version}/approvals", Action::Approve, "model", decide)
            .summary("Grants or refuses approval; {verdict: grant|refuse, reason, report?}"),
        Route::post("/api/v1/models/{model}/versions/{version}/reproduce", Action::Write, "model", reproduce)
            .summary("Builds a version again from its record and compares digests"),
        Route::get("/api/v1/models/{model}/why", Action::Read, "model", why)
            .summary("The five answers with their evidence; ?version=N"),
        Route::post("/api/v1/models/{model}/runs", Action::Write, "model", run).summary("Starts the model's pipeline"),
    ]
}

fn registry(app: &App) -> Registry {
    Registry::new(app.store().clone())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamePage {
    after: Option<ModelName>,
    limit: Option<u64>,
}

async fn list(State(app): State<App>, Query(page): Query<NamePage>) -> Answer<axum::Json<Value>> {
    let registry = registry(&app);
    let mut items = Vec::new();
    for model in registry.models(page.after.as_ref(), page.limit.unwrap_or(100)).await? {
        let newest = registry.latest_version(&model.name).await?;
        let champion = registry.champion(&model.name).await?;
        items.push(json!({
            "name": model.name,
            "description": model.description,
            "owner": model.owner,
            "versions": newest.map_or(0, |version| version.version),
            "champion": champion.map(|version| version.label()),
            "created_at": model.created_at,
        }));
    }
    Ok(axum::Json(json!({ "items": items })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionPage {
    before: Option<u64>,
    limit: Option<u64>,
}

#[derive(Serialize)]
struct VersionView {
    version: u64,
    state: String,
    trainer: Value,
    created_at: Timestamp,
    author: String,
    metrics: Value,
    aliases: Vec<Alias>,
    digest: Digest,
    run: Option<lw_core::RunId>,
    gates: Option<String>,
    approvals: Vec<lw_registry::Approval>,
}

/// What the state of a version follows from besides its own records.
struct Surroundings {
    rule: Option<ApprovalRule>,
    canary: Option<u64>,
}

impl Surroundings {
    async fn of(app: &App, model: &ModelName) -> lw_core::Result<Self> {
        let rule = match app.workspace() {
            Ok(workspace) => workspace.approval_rule(model).await?,
            Err(_) => None,
        };
        let canary = match Name::parse(model.as_str()) {
            Ok(endpoint) => {
                lw_serving::current(app.store(), &endpoint).await.ok().and_then(|deployment| deployment.routing.canary)
            }
            Err(_) => None,
        };
        Ok(Self { rule, canary: canary.map(|canary| canary.served.version) })
    }
}

/// Where a version stands, in the words of lists.
fn state(
    around: &Surroundings,
    version: &ModelVersion,
    aliases: &[Alias],
    decision: Option<&GateDecision>,
    approvals: &[lw_registry::Approval],
) -> String {
    if aliases.contains(&Alias::champion()) {
        return "champion".to_owned();
    }
    if around.canary == Some(version.version) {
        return "canary".to_owned();
    }
    let Some(decision) = decision else { return "registered".to_owned() };
    if !decision.outcome.has_passed() {
        return "refused by gates".to_owned();
    }
    let n_needed = around.rule.as_ref().map_or(1, |rule| rule.needed(version));
    match lw_registry::standing(version, &decision.report, approvals, n_needed) {
        ApprovalState::Refused { .. } => "refused by approvers".to_owned(),
        ApprovalState::Granted { by } if !by.is_empty() => "approved".to_owned(),
        ApprovalState::Waiting { granted_by, .. } if !granted_by.is_empty() => {
            format!("approved by {} of {n_needed}", granted_by.len())
        }
        _ => "passed gates".to_owned(),
    }
}

async fn view(registry: &Registry, around: &Surroundings, version: &ModelVersion) -> lw_core::Result<VersionView> {
    let decision = registry.gate_decision(&version.model, version.version).await?;
    let approvals = registry.approvals(&version.model, version.version).await?;
    let aliases = registry.aliases(&version.model).await?;
    let aliases: Vec<Alias> =
        aliases.into_iter().filter(|pointer| pointer.version == version.version).map(|pointer| pointer.alias).collect();
    Ok(VersionView {
        version: version.version,
        state: state(around, version, &aliases, decision.as_ref(), &approvals),
        trainer: version.recipe["trainer"].clone(),
        created_at: version.registered_at,
        author: version.author.to_string(),
        metrics: version.recipe["metrics"].clone(),
        aliases,
        digest: version.digest,
        run: version.run.clone(),
        gates: decision.map(|decision| decision.outcome.summary()),
        approvals,
    })
}

async fn versions(
    State(app): State<App>,
    Path(model): Path<String>,
    Query(page): Query<VersionPage>,
) -> Answer<axum::Json<Value>> {
    let (registry, model) = (registry(&app), ModelName::parse(&model)?);
    registry.model(&model).await?;
    let around = Surroundings::of(&app, &model).await?;
    let mut items = Vec::new();
    for version in registry.versions(&model, page.before, page.limit.unwrap_or(100)).await? {
        items.push(view(&registry, &around, &version).await?);
    }
    Ok(axum::Json(json!({ "items": items })))
}

async fn version(State(app): State<App>, Path((model, number)): Path<(String, u64)>) -> Answer<axum::Json<Value>> {
    let registry = registry(&app);
    let version = registry.version(ModelName::parse(&model)?, number).await?;
    let report = registry.report(&version.model, number).await?;
    let around = Surroundings::of(&app, &version.model).await?;
    let summary = view(&registry, &around, &version).await?;
    Ok(axum::Json(json!({
        "summary": summary,
        "recipe": version.recipe,
        "signature": version.signature,
        "lineage": version.lineage,
        "artifacts": version.artifacts,
        "report": report.map(|report| json!({"digest": report.report, "facts": report.facts})),
    })))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum DecisionVerdict {
    Grant,
    Refuse,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionBody {
    verdict: DecisionVerdict,
    reason: String,
    /// The digest of the report that was read. Left out: the one that is attached now.
    report: Option<Digest>,
}

async fn decide(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Path((model, number)): Path<(String, u64)>,
    Json(body): Json<DecisionBody>,
) -> Answer<axum::Json<Value>> {
    let verdict = match body.verdict {
        DecisionVerdict::Grant => Verdict::Granted,
        DecisionVerdict::Refuse => Verdict::Refused,
    };
    let (workspace, model) = (app.workspace()?, Name::parse(&model)?);
    let decision = Decision { verdict, reason: &body.reason, report: body.report };
    let message = workspace.decide(&ctx, &model, number, decision).await?;
    let run = workspace.settle(&model).await?;
    Ok(axum::Json(json!({ "message": message, "run": run })))
}

async fn reproduce(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Path((model, number)): Path<(String, u64)>,
) -> Answer<axum::Json<Value>> {
    Ok(axum::Json(json!(app.workspace()?.reproduce(&ctx, &Name::parse(&model)?, number).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhyQuery {
    version: Option<u64>,
}

async fn why(State(app): State<App>, Path(model): Path<String>, Query(query): Query<WhyQuery>) -> Answer<axum::Json<Value>> {
    let answers = lw_governance::why(app.store(), ModelName::parse(&model)?, query.version).await?;
    let mut value = json!(answers);
    value["text"] = answers.to_text().into();
    value["evidence"] = json!(answers.evidence());
    Ok(axum::Json(value))
}

async fn run(State(app): State<App>, Extension(ctx): Extension<Ctx>, Path(model): Path<String>) -> Answer<axum::Json<Value>> {
    let started = app.workspace()?.start_model(&ctx, &Name::parse(&model)?, Start::by_hand()).await?;
    Ok(axum::Json(runs::view(&app, &started.run).await?))
}
