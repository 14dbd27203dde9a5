//! The status page: each model's loop with its live state. Rendered here, refreshed by the browser, no scripts.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use lw_core::{Entry, Result, Timestamp};
use lw_serving::{Deployment, Endpoint, Role, Tally};
use lw_store::{EntryFilter, Store};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::app::App;
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![Route::get("/", Action::Read, "process", page).summary("The status page, for people")]
}

/// The stages of the loop, and the ledger's actions that show life in each.
const STAGES: [(&str, &[&str]); 8] = [
    ("data", &["table.*"]),
    ("features", &["feature_view.*"]),
    ("training", &["training_set.*", "run.*"]),
    ("version", &["model_version.*"]),
    ("gates", &["gate.*"]),
    ("approval", &["approval.*"]),
    ("serving", &["deployment.*"]),
    ("monitoring", &["alert.*", "retrain.*"]),
];

const N_RECENT: u64 = 20;

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1c2733; background: #fbfcfd }
h1 { font-size: 1.3rem } h2 { font-size: 1.05rem; margin-top: 2rem }
ol.loop { display: flex; flex-wrap: wrap; list-style: none; padding: 0; gap: .5rem }
ol.loop li { border: 1px solid #cfd8e0; border-radius: 6px; padding: .4rem .7rem; min-width: 6rem; background: #fff }
ol.loop li.idle { color: #8896a3; border-style: dashed }
small { color: #64727f; display: block } table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e3e9ee; vertical-align: top }
@media (prefers-color-scheme: dark) {
  body { color: #dbe3ea; background: #141a20 } ol.loop li { background: #1c242c; border-color: #36424d }
  td, th { border-color: #2a343d } small { color: #93a1ae }
}";

async fn page(State(app): State<App>) -> Answer<Response> {
    let now = app.platform().clock.now();
    let stages = stages(app.store()).await?;
    let deployments = lw_serving::all_current(app.store()).await?;
    let recent = app.store().entries(EntryFilter::all().newest_first().limit(N_RECENT)).await?;
    let endpoints = app.endpoints().endpoints();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content="5";
                title { "Loopwright" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Loopwright " (env!("CARGO_PKG_VERSION")) }
                p { "It is " (now) ". This page looks again every five seconds." }
                (loop_view(&stages))
                @for deployment in &deployments {
                    @let live = endpoints.iter().find(|endpoint| *endpoint.name() == deployment.endpoint);
                    (endpoint_view(deployment, live.map(|endpoint| &**endpoint)))
                }
                @if deployments.is_empty() {
                    h2 { "No endpoint yet" }
                    p { code { "loopwright run MODEL" } " trains a version and deploys it, if gates and approvals allow." }
                }
                (recent_view(&recent))
                p { small { "The same facts for programs: " a href="/api/v1/openapi.json" { "API" } ", " a href="/metrics" { "metrics" } "." } }
            }
        }
    };
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'";
    Ok(([(header::CONTENT_SECURITY_POLICY, policy)], page).into_response())
}

/// The newest entry of each stage.
async fn stages(store: &Store) -> Result<Vec<(&'static str, Option<Entry>)>> {
    let mut newest = Vec::with_capacity(STAGES.len());
    for (stage, actions) in STAGES {
        let mut found: Option<Entry> = None;
        for action in actions {
            let entries = store.entries(EntryFilter::all().action(*action).newest_first().limit(1)).await?;
            found = found.into_iter().chain(entries).max_by_key(|entry| entry.seq);
        }
        newest.push((stage, found));
    }
    Ok(newest)
}

fn loop_view(stages: &[(&'static str, Option<Entry>)]) -> Markup {
    html! {
        ol.loop {
            @for (stage, entry) in stages {
                @match entry {
                    Some(entry) => li { b { (stage) } small { (entry.subject) } small { (time(entry.at)) } },
                    None => li.idle { b { (stage) } small { "nothing yet" } },
                }
            }
        }
    }
}

fn endpoint_view(deployment: &Deployment, live: Option<&Endpoint>) -> Markup {
    let tallies = live.map(Endpoint::tallies).unwrap_or_default();
    let loaded = live.map(|endpoint| endpoint.routes().deployment().generation);
    let tally = |role: Role, version: &lw_serving::Served| -> Option<&Tally> {
        tallies.iter().find(|tally| tally.role == role && tally.served == *version)
    };
    html! {
        h2 { "Endpoint " (deployment.endpoint) }
        p {
            "Generation " (deployment.generation) ", since " (time(deployment.activated_at)) ", by " (deployment.activated_by)
            @if !deployment.reason.is_empty() { ": " (deployment.reason) }
            @if loaded != Some(deployment.generation) {
                small { "This process does not serve it yet" @if let Some(loaded) = loaded { " (it serves generation " (loaded) ")" } "." }
            }
        }
        table {
            tr { th { "role" } th { "version" } th { "share" } th { "answered" } th { "failed" } }
            @for (role, served) in deployment.routing.parts() {
                tr {
                    td { (role.name()) }
                    td { (served) }
                    td { (share(deployment, role)) }
                    td { (tally(role, served).map_or(0, |tally| tally.n_answered)) }
                    td { (tally(role, served).map_or(0, |tally| tally.n_failed)) }
                }
            }
        }
    }
}

fn share(deployment: &Deployment, role: Role) -> String {
    let canary = deployment.routing.canary.as_ref().map_or(0.0, |canary| canary.share);
    match role {
        Role::Champion => format!("{:.0} %", 100.0 * (1.0 - canary)),
        Role::Canary => format!("{:.0} %", 100.0 * canary),
        Role::Shadow => "for the log".to_owned(),
    }
}

fn recent_view(recent: &[Entry]) -> Markup {
    html! {
        h2 { "What happened last" }
        table {
            tr { th { "entry" } th { "when" } th { "who" } th { "what" } th { "about" } }
            @for entry in recent {
                tr { td { (entry.seq) } td { (time(entry.at)) } td { (entry.actor) } td { (entry.action) } td { (entry.subject) } }
            }
        }
    }
}

/// To the second: nobody reads more.
fn time(at: Timestamp) -> String {
    Timestamp::from_micros(at.micros() / 1_000_000 * 1_000_000).to_string()
}
