//! The ledger: its entries, and the proof that nobody changed them.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use lw_core::{Actor, Entry, Subject, Timestamp, canonical_json};
use lw_store::{ChainPart, EntryFilter, Mention, Verification};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Query;
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/ledger/entries", Action::Read, "ledger", entries).summary(
            "Entries, oldest first; ?after=SEQ&limit=N&subject=KIND/NAME[@VERSION]&action=NOUN.VERB&actor=WHO&from=TIME&to=TIME&newest=true",
        ),
        Route::get("/api/v1/ledger/export", Action::Read, "ledger", export)
            .summary("A stretch of the chain without gaps, one canonical JSON a line; ?from=TIME&to=TIME&after=SEQ&limit=N"),
        Route::get("/api/v1/ledger/verify", Action::Read, "ledger", verify)
            .summary("Checks chain, sequence and that each governed row is the one the ledger knows"),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryQuery {
    after: Option<u64>,
    limit: Option<u64>,
    subject: Option<String>,
    action: Option<String>,
    actor: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    newest: Option<bool>,
}

#[derive(Serialize)]
struct EntryView {
    #[serde(flatten)]
    entry: Entry,
    subject_text: String,
}

#[derive(Serialize)]
struct EntryList {
    items: Vec<EntryView>,
}

const MAX_PAGE: u64 = 1000;

async fn entries(State(app): State<App>, Query(query): Query<EntryQuery>) -> Answer<Json<EntryList>> {
    let mut filter = EntryFilter::all().limit(query.limit.unwrap_or(100).clamp(1, MAX_PAGE));
    filter.after_seq = query.after.filter(|after| *after > 0);
    filter.action = query.action;
    filter.actor = query.actor.as_deref().map(Actor::new);
    (filter.from, filter.to) = (query.from, query.to);
    if let Some(subject) = &query.subject {
        filter.subject = Some((Subject::parse(subject)?, Mention::Any));
    }
    if query.newest == Some(true) {
        filter = filter.newest_first();
    }
    let view = |entry: Entry| EntryView { subject_text: entry.subject.to_string(), entry };
    let items = app.store().entries(filter).await?.into_iter().map(view).collect();
    Ok(Json(EntryList { items }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    after: Option<u64>,
    limit: Option<u64>,
}

/// The bytes of each line are those that the entry's hash was taken of, with the hash among them.
async fn export(State(app): State<App>, Query(query): Query<ExportQuery>) -> Answer<Response> {
    let limit = query.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let part = ChainPart { from: query.from, to: query.to, after_seq: query.after.unwrap_or(0), limit };
    let mut lines = String::new();
    for entry in app.store().chain(part).await? {
        lines.push_str(&canonical_json(&entry));
        lines.push('\n');
    }
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], lines).into_response())
}

async fn verify(State(app): State<App>) -> Answer<Json<Value>> {
    Ok(Json(verification(&lw_project::verify(app.store()).await?)))
}

/// A verification as the API and the command line show it.
pub fn verification(verification: &Verification) -> Value {
    let problem = |finding: &lw_store::Finding| json!({"message": finding.to_string(), "finding": finding});
    json!({
        "sound": verification.is_sound(),
        "entries": verification.n_entries,
        "rows": verification.n_rows,
        "seals": verification.n_seals,
        "head": verification.head,
        "n_problems": verification.n_findings,
        "problems": verification.findings.iter().map(problem).collect::<Vec<_>>(),
    })
}
