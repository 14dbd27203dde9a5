//! The status page: each model's loop with its live state. Rendered here, refreshed by the browser, no scripts.

mod facts;
mod stage;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lw_core::{Digest, Entry, ModelName, Timestamp};
use lw_registry::Registry;
use lw_serving::{Deployment, Endpoint, Role, Tally};
use lw_store::EntryFilter;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;

use crate::app::App;
use crate::body::Query;
use crate::problem::Answer;
use crate::route::{Action, Route};
use facts::ModelFacts;
use stage::{Stage, stages};

pub fn routes() -> Vec<Route> {
    vec![Route::get("/", Action::Read, "process", page).summary("The status page, for people; ?after=MODEL, ?pause=true")]
}

const N_MODELS: usize = 20;
const N_RECENT: u64 = 15;
const STYLE: &str = include_str!("status.css");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    /// Models behind this one.
    after: Option<ModelName>,
    /// The page stays as it is until it is asked for again.
    #[serde(default)]
    pause: bool,
}

async fn page(State(app): State<App>, Query(query): Query<PageQuery>) -> Answer<Response> {
    let now = app.platform().clock.now();
    let mut models = Registry::new(app.store().clone()).models(query.after.as_ref(), N_MODELS as u64 + 1).await?;
    let has_more = models.len() > N_MODELS;
    models.truncate(N_MODELS);
    let mut sections = Vec::with_capacity(models.len());
    for model in models {
        let facts = ModelFacts::read(&app, model, now).await?;
        let stages = stages(&facts);
        sections.push((facts, stages));
    }
    let deployments = lw_serving::all_current(app.store()).await?;
    let endpoints = app.endpoints().endpoints();
    let recent = app.store().entries(EntryFilter::all().newest_first().limit(N_RECENT)).await?;
    let last = sections.last().map(|(facts, _)| facts.model.name.clone()).filter(|_| has_more);
    let body = html! {
        a.skip href="#models" { "Skip to the models" }
        header {
            h1 { "Loopwright " (env!("CARGO_PKG_VERSION")) }
            p.soft { "As of " (at(now)) ". " (refreshing(&query)) }
        }
        main #models {
            @if sections.len() > 1 {
                nav aria-label="Models" { ul { @for (facts, _) in &sections {
                    li { a href={ "#" (anchor(&facts.model.name)) } { (facts.model.name) } }
                } } }
            }
            @if sections.is_empty() && deployments.is_empty() {
                h2 { "No model yet" }
                p { "Apply a project with " code { "loopwright apply" } ", then train and deploy a model with " code { "loopwright run MODEL" } "." }
            }
            @for (facts, stages) in &sections { (model_view(facts, stages)) }
            @if let Some(last) = &last { p { a href={ "/?" (following(last)) } { "More models" } } }
            @for deployment in &deployments {
                @let live = endpoints.iter().find(|endpoint| *endpoint.name() == deployment.endpoint);
                (endpoint_view(deployment, live.map(|endpoint| &**endpoint)))
            }
            (recent_view(&recent))
        }
        footer { "The same facts for programs: " a href="/api/v1/openapi.json" { "the API" } ", " a href="/metrics" { "metrics" } "." }
    };
    Ok(([(header::CONTENT_SECURITY_POLICY, policy())], document(&query, &body)).into_response())
}

fn document(query: &PageQuery, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if !query.pause { meta http-equiv="refresh" content="5"; }
                title { "Loopwright: status" }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

/// Nothing but our own style is let in.
fn policy() -> String {
    let style = BASE64.encode(Digest::of(STYLE.as_bytes()).as_bytes());
    format!("default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
}

/// Whoever reads slowly, or listens, can hold the page.
fn refreshing(query: &PageQuery) -> Markup {
    let rest = query.after.as_ref().map_or_else(String::new, |after| format!("{}&", following(after)));
    html! {
        @if query.pause { "The page is held. " a href={ "/?" (rest) "pause=false" } { "Refresh it every five seconds" } }
        @else { "It looks again every five seconds. " a href={ "/?" (rest) "pause=true" } { "Hold the page" } }
    }
}

/// The part of an address that asks for the models behind one.
fn following(name: &ModelName) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("after", name.as_str()).finish()
}

/// The place of a model on the page. Names of clients may hold anything, places of a page no spaces.
fn anchor(name: &ModelName) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "_-.".contains(c) { c.to_string() } else { format!("~{:x}", u32::from(c)) };
    format!("model-{}", name.as_str().chars().map(plain).collect::<String>())
}

fn model_view(facts: &ModelFacts, stages: &[Stage]) -> Markup {
    let id = anchor(&facts.model.name);
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (facts.model.name) }
            p.soft {
                @if !facts.model.description.is_empty() { (facts.model.description) " " }
                "Owner: " (facts.model.owner) "."
            }
            ol.loop aria-label={ "The loop of " (facts.model.name) } {
                @for stage in stages { (stage_view(stage)) }
            }
            @if let Some(run) = &facts.run {
                p.soft {
                    "Newest run: " code { (run.summary.run) } ", " (run.summary.state.name()) ", started " (at(run.summary.started_at))
                    " by " (run.summary.started_by) "."
                }
            }
        }
    }
}

fn stage_view(stage: &Stage) -> Markup {
    let (words, class) = stage.state.words();
    html! {
        li class=(class) {
            h3 { (stage.name) " " span.state { (words) } }
            @if !stage.what.is_empty() { p { (stage.what) } }
            @if !stage.detail.is_empty() { p.soft { (stage.detail) } }
            @if let Some(when) = stage.at { p.soft { (at(when)) } }
        }
    }
}

fn endpoint_view(deployment: &Deployment, live: Option<&Endpoint>) -> Markup {
    let tallies = live.map(Endpoint::tallies).unwrap_or_default();
    let tally = |role: Role, version: &lw_serving::Served| -> Option<&Tally> {
        tallies.iter().find(|tally| tally.role == role && tally.served == *version)
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Endpoint " (deployment.endpoint) } {
            table {
                caption {
                    "Endpoint " (deployment.endpoint) ", generation " (deployment.generation) ", by " (deployment.activated_by)
                    @if !deployment.reason.is_empty() { ": " (deployment.reason) }
                }
                thead { tr { th scope="col" { "role" } th scope="col" { "version" } th scope="col" { "share" } th scope="col" { "answered" } th scope="col" { "failed" } } }
                tbody { @for (role, served) in deployment.routing.parts() {
                    tr {
                        th scope="row" { (role.name()) }
                        td { (served) }
                        td { (share(deployment, role)) }
                        td { (tally(role, served).map_or(0, |tally| tally.n_answered)) }
                        td { (tally(role, served).map_or(0, |tally| tally.n_failed)) }
                    }
                } }
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
        section aria-labelledby="recent" {
            h2 #recent { "What happened last" }
            div.scroll tabindex="0" role="region" aria-label="The newest entries of the ledger" {
                table {
                    thead { tr { th scope="col" { "entry" } th scope="col" { "when" } th scope="col" { "who" } th scope="col" { "what" } th scope="col" { "about" } } }
                    tbody { @for entry in recent {
                        tr { td { (entry.seq) } td { (at(entry.at)) } td { (entry.actor) } td { (entry.action) } td { (entry.subject) } }
                    } }
                }
            }
        }
    }
}

/// To the second: nobody reads more.
fn at(time: Timestamp) -> Markup {
    let text = Timestamp::from_micros(time.micros() / 1_000_000 * 1_000_000).to_string();
    let shown = text.replace('T', " ").replace('Z', " UTC");
    html! { time datetime=(text) { (shown) } }
}
