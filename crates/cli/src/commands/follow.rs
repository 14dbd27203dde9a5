//! Following a run of a pipeline to its end.

use std::time::Duration;

use lw_core::{Error, Failure, Kind, Result};
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
    let mut has_told = false;
    loop {
        let run = client.get(&format!("/api/v1/pipeline-runs/{id}")).await?;
        while let Some(lines) = lines(client, id, None, &mut after).await? {
            lines.iter().for_each(|line| steps.log(&render::cell(&line["step"]), &render::cell(&line["line"])));
        }
        steps.update(run["steps"].as_array().map(Vec::as_slice).unwrap_or_default());
        match judge(&run["trouble"], client.is_in_process()) {
            Patience::Waits if !has_told => {
                let (code, message) = (render::cell(&run["trouble"]["code"]), render::cell(&run["trouble"]["message"]));
                render::talk(&format!("waiting: {message} [{code}]"));
                has_told = true;
            }
            Patience::IsOver => {
                steps.finish();
                return Err(trouble(&run));
            }
            Patience::Waits => {}
            Patience::IsCalm => has_told = false,
        }
        if is_over(&run["state"]) || run["state"] == "waiting" {
            steps.finish();
            return Ok(run);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What a command that waits makes of a worker that cannot go on.
#[derive(Debug, PartialEq, Eq)]
enum Patience {
    IsCalm,
    Waits,
    IsOver,
}

/// After how many tries of the worker a command says what it waits for.
const TOLD_AFTER: u64 = 3;
/// After how many tries, some 6 seconds, a command gives up if the worker is its own: nobody but its caller could help.
const GIVEN_UP_AFTER: u64 = 6;

fn judge(trouble: &Value, is_in_process: bool) -> Patience {
    match trouble["n_tries"].as_u64().unwrap_or(0) {
        GIVEN_UP_AFTER.. if is_in_process => Patience::IsOver,
        TOLD_AFTER.. => Patience::Waits,
        _ => Patience::IsCalm,
    }
}

/// Why the run of this process does not go on.
fn trouble(run: &Value) -> Error {
    let trouble = &run["trouble"];
    let kind = serde_json::from_value(trouble["kind"].clone()).unwrap_or(Kind::Unavailable);
    let error = Failure { code: leaked(trouble["code"].as_str().unwrap_or("server-error")), kind };
    let hint = trouble["hint"].as_str().map(|hint| format!("{hint}; then ")).unwrap_or_default();
    let error = error.error(format!("the run does not go on: {}", render::cell(&trouble["message"])));
    error.hint(format!("{hint}`loopwright up` goes on with run {}", render::cell(&run["id"])))
}

/// Codes are `'static` everywhere else; the few that a client receives live as long as its process.
fn leaked(code: &str) -> &'static str {
    Box::leak(code.to_owned().into_boxed_str())
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
        Some(code) => (Failure { code: leaked(code), kind: Kind::Refused }).error(message),
        None => RUN_FAILED.error(message),
    };
    let id = render::cell(&run["id"]);
    failed.hint(error["hint"].as_str().map_or_else(|| format!("see `loopwright runs show {id}`"), str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(n_tries: Option<u64>, is_in_process: bool, want: Patience) {
        let trouble = n_tries.map_or(Value::Null, |n_tries| json!({ "n_tries": n_tries }));
        assert_eq!(judge(&trouble, is_in_process), want);
    }

    #[test]
    fn a_command_gives_up_on_its_own_worker_only() {
        check(None, true, Patience::IsCalm);
        check(Some(2), true, Patience::IsCalm);
        check(Some(3), true, Patience::Waits);
        check(Some(6), true, Patience::IsOver);
        check(Some(60), false, Patience::Waits);
    }

    #[test]
    fn the_error_is_the_workers() {
        let run = json!({"id": "r1", "trouble": {
            "code": "disk-full", "kind": "unavailable", "message": "steps cannot be claimed: no space", "hint": "make space", "n_tries": 6,
        }});
        let error = trouble(&run);
        assert_eq!((error.code(), error.kind().exit_code()), ("disk-full", 3));
        assert!(error.hint_text().is_some_and(|hint| hint.starts_with("make space; then ")), "{error:?}");
    }
}
