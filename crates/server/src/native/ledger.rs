//! The ledger: its entries, and the proof that nobody changed them.

use axum::Json;
use axum::extract::State;
use lw_core::{Actor, Entry, Subject};
use lw_store::{EntryFilter, Mention, Verification};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Query;
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/ledger/entries", Action::Read, "ledger", entries).summary(
            "Entries, oldest first; ?after=SEQ&limit=N&subject=KIND/NAME[@VERSION]&action=NOUN.VERB&actor=WHO&newest=true",
        ),
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

async fn verify(State(app): State<App>) -> Answer<Json<Value>> {
    Ok(Json(verification(&app.store().verify().await?)))
}

/// A verification as the API and the command line show it.
pub fn verification(verification: &Verification) -> Value {
    let problem = |finding: &lw_store::Finding| json!({"message": finding.to_string(), "finding": finding});
    json!({
        "sound": verification.is_sound(),
        "entries": verification.n_entries,
        "rows": verification.n_rows,
        "head": verification.head,
        "n_problems": verification.n_findings,
        "problems": verification.findings.iter().map(problem).collect::<Vec<_>>(),
    })
}
