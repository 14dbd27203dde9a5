//! Following a run of a pipeline to its end.

use std::time::Duration;

use lw_core::{Failure, Kind, Result};
use serde_json::Value;

use crate::client::Client;
use crate::failures::RUN_FAILED;
use crate::progress::Steps;
use crate::render;

pub const POLL: Duration = Duration::from_millis(150);

/// Shows steps and log lines until the run ends or waits for a person. Fails as the run does.
pub async fn to_end(client: &Client, started: &Value, json: bool, next: &str) -> Result<()> {
    from_line(client, started, 0, json, next).await
}

/// [`to_end`] for a run whose log has been seen up to a cursor.
pub async fn from_line(client: &Client, started: &Value, after: i64, json: bool, next: &str) -> Result<()> {
    let run = follow(client, &render::cell(&started["id"]), after).await?;
    if json {
        render::json(&run);
    } else {
        render::out(&render::cell(&run["message"]));
    }
    match run["state"].as_str() {
        Some("succeeded" | "waiting") => {
            if !json {
                render::next(run["next"].as_str().unwrap_or(next));
            }
            Ok(())
        }
        _ => Err(failure(&run)),
    }
}

async fn follow(client: &Client, id: &str, mut after: i64) -> Result<Value> {
    let mut steps = Steps::new();
    loop {
        let run = client.get(&format!("/api/v1/pipeline-runs/{id}")).await?;
        while let Some(lines) = lines(client, id, None, &mut after).await? {
            lines.iter().for_each(|line| steps.log(&render::cell(&line["step"]), &render::cell(&line["line"])));
        }
        steps.update(run["steps"].as_array().map(Vec::as_slice).unwrap_or_default());
        if is_over(&run["state"]) || run["state"] == "waiting" {
            steps.finish();
            return Ok(run);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Whether nothing more will happen to a run by itself.
pub fn is_over(state: &Value) -> bool {
    matches!(state.as_str(), Some("succeeded" | "failed" | "cancelled" | "refused"))
}

/// The next page of a run's log after a cursor, which moves on; `None` at the end.
pub async fn lines(client: &Client, id: &str, step: Option<&str>, after: &mut i64) -> Result<Option<Vec<Value>>> {
    let step = step.map(|step| format!("&step={step}")).unwrap_or_default();
    let answer = client.get(&format!("/api/v1/pipeline-runs/{id}/logs?after={after}{step}")).await?;
    let lines = answer["items"].as_array().cloned().unwrap_or_default();
    if let Some(cursor) = lines.last().and_then(|line| line["cursor"].as_i64()) {
        *after = cursor;
    }
    Ok((!lines.is_empty()).then_some(lines))
}

/// The failed step's own error, as the API reports it.
fn failure(run: &Value) -> lw_core::Error {
    let error = &run["error"];
    let message = error["message"].as_str().map_or_else(|| "the run did not succeed".to_owned(), str::to_owned);
    let failed = match error["code"].as_str() {
        // Codes are `'static` everywhere else; the few that a client receives live as long as its process.
        Some(code) => (Failure { code: Box::leak(code.to_owned().into_boxed_str()), kind: Kind::Refused }).error(message),
        None => RUN_FAILED.error(message),
    };
    let id = render::cell(&run["id"]);
    failed.hint(error["hint"].as_str().map_or_else(|| format!("see `loopwright runs show {id}`"), str::to_owned))
}
