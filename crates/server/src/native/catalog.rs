//! What there is: tables, feature views, tracked runs, alerts.

use axum::extract::{Extension, Path, State};
use lw_core::{Ctx, Name, Span, Timestamp};
use lw_features::{OnlineView, find_view, newest_views};
use lw_monitoring::{Monitoring, SkewWatch, freshness_alerts};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::app::App;
use crate::body::Query;
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/tables", Action::Read, "table", tables).summary("Every table with its newest version"),
        Route::get("/api/v1/tables/{table}", Action::Read, "table", table)
            .summary("The versions of a table, newest first; ?before=N&limit=N"),
        Route::get("/api/v1/tables/{table}/profile", Action::Read, "table", profile)
            .summary("The profile of a table's newest version"),
        Route::get("/api/v1/tables/{table}/quarantine", Action::Read, "table", quarantine)
            .summary("The rows that broke the contract, newest first, each with its rule and reason; ?rule=NAME&limit=N"),
        Route::get("/api/v1/tables/{table}/verdicts", Action::Read, "table", verdicts)
            .summary("What every rule of the contract said of the batch that became a version; ?version=N"),
        Route::get("/api/v1/tables/{table}/refusals", Action::Read, "table", refusals)
            .summary("Batches that the contract refused, newest first, each with what every rule said; ?before=TIME&limit=N"),
        Route::get("/api/v1/feature-views", Action::Read, "feature_view", views)
            .summary("Every feature view with how far it has come online"),
        Route::get("/api/v1/feature-views/{view}", Action::Read, "feature_view", view).summary("One feature view"),
        Route::get("/api/v1/alerts", Action::Read, "alert", alerts)
            .summary("Alerts of models, and of tables and views that are not fresh; ?model=NAME"),
        Route::get("/api/v1/freshness", Action::Read, "table", fresh)
            .summary("Every table and view that promises to be fresh, with the age of its newest event"),
        Route::get("/api/v1/models/{model}/skew", Action::Read, "model", skew)
            .summary("Compares a sample of the champion's newest predictions with the tables; ?window=7d&sample=N"),
        Route::get("/api/v1/observations/{model}", Action::Read, "alert", observations)
            .summary("What the monitors measured; ?after=TIME&limit=N"),
        Route::get("/api/v1/runs", Action::Read, "run", runs).summary("Tracked runs, newest first; ?limit=N"),
    ]
}

fn table_view(version: &lw_data::TableVersion) -> Value {
    json!({
        "name": version.table, "version": version.version, "digest": version.digest, "n_rows": version.n_rows, "n_read": version.n_read,
        "n_quarantined": version.n_quarantined, "watermark": version.event_watermark, "known_watermark": version.known_watermark,
        "files": version.files.iter().map(|file| &file.path).collect::<Vec<_>>(), "rules": version.rules, "profile": version.profile,
        "at": version.created_at,
    })
}

async fn tables(State(app): State<App>) -> Answer<axum::Json<Value>> {
    let versions = lw_data::queries::latest_versions(app.store()).await?;
    Ok(axum::Json(json!({ "items": versions.iter().map(table_view).collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    before: Option<u64>,
    limit: Option<u32>,
}

async fn table(State(app): State<App>, Path(table): Path<String>, Query(page): Query<Page>) -> Answer<axum::Json<Value>> {
    let (name, limit) = (Name::parse(&table)?, page.limit.unwrap_or(100).clamp(1, 1000));
    let versions = lw_data::queries::table_versions(app.store(), &name, page.before, limit).await?;
    if versions.is_empty() && lw_data::queries::latest_version(app.store(), &name).await?.is_none() {
        return Err(unknown_table(&name).into());
    }
    Ok(axum::Json(json!({ "items": versions.iter().map(table_view).collect::<Vec<_>>() })))
}

fn unknown_table(name: &Name) -> lw_core::Error {
    let error =
        lw_data::failures::TABLE_VERSION_UNKNOWN.error(format!("there is no table `{name}`, or nothing has been ingested"));
    error.hint("`loopwright tables` lists them; `loopwright ingest` fills those of the project's sources")
}

async fn profile(State(app): State<App>, Path(table): Path<String>) -> Answer<axum::Json<Value>> {
    let name = Name::parse(&table)?;
    let version = lw_data::queries::latest_version(app.store(), &name).await?;
    let version = version.ok_or_else(|| unknown_table(&name))?;
    let bytes = app.workspace()?.artifacts().get(&version.profile).await?;
    let profile: Value =
        serde_json::from_slice(&bytes).map_err(|error| lw_core::Error::bug("a stored profile cannot be read").cause(error))?;
    Ok(axum::Json(json!({ "table": name, "version": version.version, "profile": profile })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuarantineQuery {
    rule: Option<String>,
    limit: Option<u32>,
}

async fn quarantine(
    State(app): State<App>,
    Path(table): Path<String>,
    Query(query): Query<QuarantineQuery>,
) -> Answer<axum::Json<Value>> {
    let (name, limit) = (Name::parse(&table)?, query.limit.unwrap_or(100).clamp(1, 1000));
    let rows = lw_data::quarantined(app.workspace()?.engine(), &name, query.rule.as_deref(), limit).await?;
    if rows.is_empty() && lw_data::queries::latest_version(app.store(), &name).await?.is_none() {
        return Err(unknown_table(&name).into());
    }
    Ok(axum::Json(json!({ "table": name, "items": rows })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerdictQuery {
    version: Option<u64>,
}

async fn verdicts(
    State(app): State<App>,
    Path(table): Path<String>,
    Query(query): Query<VerdictQuery>,
) -> Answer<axum::Json<Value>> {
    let name = Name::parse(&table)?;
    let version = match query.version {
        Some(version) => version,
        None => lw_data::queries::latest_version(app.store(), &name).await?.ok_or_else(|| unknown_table(&name))?.version,
    };
    let verdicts = lw_data::verdicts(app.store(), &name, version).await?;
    Ok(axum::Json(json!({ "table": name, "version": version, "items": verdicts })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusalQuery {
    before: Option<Timestamp>,
    limit: Option<u32>,
}

async fn refusals(
    State(app): State<App>,
    Path(table): Path<String>,
    Query(query): Query<RefusalQuery>,
) -> Answer<axum::Json<Value>> {
    let (name, limit) = (Name::parse(&table)?, query.limit.unwrap_or(20).clamp(1, 500));
    let refusals = lw_data::refusals(app.store(), &name, query.before, limit).await?;
    Ok(axum::Json(json!({ "source": name, "items": refusals })))
}

fn view_json(app: &App, view: &lw_features::RegisteredView) -> lw_core::Result<Value> {
    let online = OnlineView::new(Arc::clone(app.workspace()?.online()), view);
    let state = online.state()?;
    Ok(json!({
        "name": view.name(), "version": view.version, "digest": view.digest, "description": view.definition.description,
        "owner": view.definition.owner, "entity": view.definition.entity, "ttl": view.definition.ttl, "sql": view.definition.sql,
        "features": view.features.iter().map(|feature| &feature.name).collect::<Vec<_>>(), "types": view.features, "reads": view.reads,
        "watermark": state.map(|state| state.watermark), "entities": state.map_or(0, |state| state.n_entities),
        "registered_at": view.registered_at,
    }))
}

async fn views(State(app): State<App>) -> Answer<axum::Json<Value>> {
    let views = newest_views(app.store()).await?;
    let items = views.iter().map(|view| view_json(&app, view)).collect::<lw_core::Result<Vec<_>>>()?;
    Ok(axum::Json(json!({ "items": items })))
}

async fn view(State(app): State<App>, Path(view): Path<String>) -> Answer<axum::Json<Value>> {
    let view = find_view(app.store(), &Name::parse(&view)?, None).await?;
    Ok(axum::Json(view_json(&app, &view)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertQuery {
    model: Option<Name>,
}

async fn alerts(State(app): State<App>, Query(query): Query<AlertQuery>) -> Answer<axum::Json<Value>> {
    let mut alerts = Monitoring::new(app.store().clone()).alerts(query.model.as_ref()).await?;
    alerts.sort_by_key(|alert| (!alert.state.is_firing(), alert.changed_at));
    let mut items: Vec<Value> = alerts
        .iter()
        .map(|alert| {
            json!({
                "subject": format!("model/{}", alert.model), "model": alert.model, "monitor": alert.monitor, "version": alert.version, "state": alert.state.name(),
                "since": alert.window_end, "changed_at": alert.changed_at, "reasons": alert.reasons,
            })
        })
        .collect();
    if query.model.is_none() {
        items.extend(freshness_alerts(app.store()).await?.iter().map(|alert| {
            json!({
                "subject": format!("{}/{}", alert.promise.kind.name(), alert.promise.name), "monitor": "freshness",
                "state": alert.state.name(), "since": alert.changed_at, "changed_at": alert.changed_at,
                "reasons": [alert.promise.to_string()],
            })
        }));
        // Both lists are in order by themselves.
        items.sort_by_key(|item| item["state"] != "firing");
    }
    Ok(axum::Json(json!({ "items": items })))
}

async fn fresh(State(app): State<App>) -> Answer<axum::Json<Value>> {
    Ok(axum::Json(json!({ "items": app.workspace()?.freshness().await? })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SkewQuery {
    window: Option<Span>,
    sample: Option<u64>,
}

const SKEW_WINDOW: Span = Span::from_days(7);
const MAX_SKEW_SAMPLE: u64 = 100_000;

async fn skew(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Path(model): Path<String>,
    Query(query): Query<SkewQuery>,
) -> Answer<axum::Json<Value>> {
    let sample = query.sample.unwrap_or(SkewWatch::SAMPLE).clamp(1, MAX_SKEW_SAMPLE);
    let skew = app.workspace()?.skew(&ctx, &Name::parse(&model)?, query.window.unwrap_or(SKEW_WINDOW), sample).await?;
    let mut value = json!(skew);
    for (input, skew) in value["inputs"].as_array_mut().into_iter().flatten().zip(&skew.inputs) {
        input["share"] = skew.share().into();
    }
    Ok(axum::Json(value))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObservationQuery {
    after: Option<Timestamp>,
    limit: Option<u64>,
}

async fn observations(
    State(app): State<App>,
    Path(model): Path<String>,
    Query(query): Query<ObservationQuery>,
) -> Answer<axum::Json<Value>> {
    let monitoring = Monitoring::new(app.store().clone());
    let after = query.after.unwrap_or(Timestamp::from_micros(0));
    let found = monitoring.observations(&Name::parse(&model)?, after, query.limit.unwrap_or(1000).clamp(1, 10_000)).await?;
    let items: Vec<Value> = found
        .iter()
        .map(|(version, observation)| {
            let mut value = json!(observation);
            value["version"] = (*version).into();
            value
        })
        .collect();
    Ok(axum::Json(json!({ "items": items })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    limit: Option<u64>,
}

async fn runs(State(app): State<App>, Query(query): Query<Limit>) -> Answer<axum::Json<Value>> {
    let runs = app.workspace()?.tracked_runs(query.limit.unwrap_or(50).clamp(1, 500)).await?;
    Ok(axum::Json(json!({ "items": runs })))
}
