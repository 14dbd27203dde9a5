//! Commands over tracked runs: searching them, and collecting what was deleted.

use lw_core::Result;
use serde_json::{Value, json};

use crate::args::Experiments;
use crate::client::Client;
use crate::render;

pub async fn experiments(client: &Client, search: &Experiments, json: bool) -> Result<()> {
    let keys = |kind: &str| -> Vec<&str> {
        search.columns.iter().filter(|(asked, _)| asked == kind).map(|(_, key)| key.as_str()).collect()
    };
    let mut body = json!({
        "filter": search.filter, "order_by": search.order_by, "limit": search.limit, "page_token": search.page_token,
    });
    if !search.experiments.is_empty() {
        body["experiments"] = json!(search.experiments);
    }
    // JSON carries all that was logged, unless columns are asked for.
    if !search.columns.is_empty() || !json {
        for kind in ["metrics", "params", "tags"] {
            body[kind] = json!(keys(kind));
        }
    }
    let answer = client.post("/api/v1/runs/search", &body).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    let empty = Vec::new();
    let rows: Vec<Vec<String>> =
        answer["items"].as_array().unwrap_or(&empty).iter().map(|run| row(run, &search.columns)).collect();
    let columns: Vec<String> = search.columns.iter().map(|(kind, key)| format!("{kind}.{key}")).collect();
    let titles: Vec<&str> = FACTS.iter().map(|(title, _)| *title).chain(columns.iter().map(String::as_str)).collect();
    render::table(&titles, &rows);
    match answer["next_page_token"].as_str() {
        Some(token) => render::next(&format!("loopwright experiments … --page-token {token}")),
        None => render::next("loopwright models"),
    }
    Ok(())
}

/// What every run shows: title and field.
const FACTS: [(&str, &str); 5] =
    [("run", "id"), ("experiment", "experiment"), ("name", "name"), ("status", "status"), ("started", "started_at")];

fn row(run: &Value, columns: &[(String, String)]) -> Vec<String> {
    let facts = FACTS.iter().map(|(_, field)| &run[field]);
    facts.chain(columns.iter().map(|(kind, key)| &run[kind][key])).map(render::cell).collect()
}

pub async fn collect(client: &Client, older_than: &str, remove: bool, json: bool) -> Result<()> {
    let answer = client.post("/api/v1/collections", &json!({"older_than": older_than, "remove": remove})).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    let n_of = |field: &str| answer[field].as_array().map_or(0, Vec::len).to_string();
    let files = |field: &str| (render::cell(&answer[field]["n_files"]), render::cell(&answer[field]["bytes"]));
    let (run_files, run_bytes) = files("run_files");
    let (artifacts, bytes) = files("artifacts");
    let rows = [
        ["deleted runs".to_owned(), n_of("runs"), String::new()],
        ["their files".to_owned(), run_files, run_bytes],
        ["deleted experiments".to_owned(), n_of("experiments"), String::new()],
        ["artifacts that nothing mentions".to_owned(), artifacts, bytes],
        ["kept: deleted runs that versions came from".to_owned(), n_of("kept_runs"), String::new()],
    ];
    let verb = if remove { "removed" } else { "would go" };
    render::table(&[verb, "how many", "bytes"], &rows.map(Vec::from));
    let again = format!("loopwright gc --older-than {older_than} --remove");
    render::next(if remove { "loopwright audit verify" } else { &again });
    Ok(())
}
