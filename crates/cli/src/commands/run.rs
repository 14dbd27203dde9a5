//! Commands that make the loop turn, and follow it.

use std::time::Duration;

use lw_core::{Failure, Kind, Result};
use serde_json::{Value, json};

use super::governance::version;
use crate::client::Client;
use crate::failures::{BAD_ARGUMENT, RUN_FAILED};
use crate::progress::Steps;
use crate::render;

const POLL: Duration = Duration::from_millis(150);

pub async fn model(client: &Client, model: &str, detach: bool, json: bool) -> Result<()> {
    let started = client.post(&format!("/api/v1/models/{model}/runs"), &json!({})).await?;
    finish(client, &started, detach, json, &format!("loopwright why {model}")).await
}

pub async fn ingest(client: &Client, source: Option<&str>, json: bool) -> Result<()> {
    let started = client.post("/api/v1/ingestions", &json!({"source": source})).await?;
    finish(client, &started, false, json, "loopwright tables").await
}

pub async fn materialize(client: &Client, view: Option<&str>, json: bool) -> Result<()> {
    let answer = client.post("/api/v1/materializations", &json!({"view": view})).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    render::list(&answer["items"], &[("view", "/view"), ("rows", "/n_rows"), ("until", "/until")]);
    render::next("loopwright features");
    Ok(())
}

pub async fn reproduce(client: &Client, text: &str, json: bool) -> Result<()> {
    let (model, number) = version(text)?;
    let answer = client.post(&format!("/api/v1/models/{model}/versions/{number}/reproduce"), &json!({})).await?;
    if json {
        render::json(&answer);
    } else {
        render::out(&render::cell(&answer["message"]));
    }
    if answer["same"].as_bool() == Some(true) {
        return Ok(());
    }
    Err(RUN_FAILED
        .error(format!("{text} was not reproduced"))
        .hint("the differing digests above say whether data, parameters or the trainer changed"))
}

pub async fn predict(client: &Client, endpoint: &str, fields: &str, json: bool) -> Result<()> {
    let text = if fields == "-" {
        std::io::read_to_string(std::io::stdin())
            .map_err(|error| BAD_ARGUMENT.error("standard input is not readable text").cause(error))?
    } else {
        fields.to_owned()
    };
    let fields: Value = serde_json::from_str(&text).map_err(|error| {
        BAD_ARGUMENT.error("the fields are not JSON").hint(r#"write one object, like '{"carrier": "AA"}'"#).cause(error)
    })?;
    let answer = client.post(&format!("/api/v1/endpoints/{endpoint}/predict"), &fields).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    render::out(&serde_json::to_string_pretty(&answer).unwrap_or_default());
    render::next(&format!("loopwright why {endpoint}"));
    Ok(())
}

/// Follows a pipeline run to its end, unless told not to.
async fn finish(client: &Client, started: &Value, detach: bool, json: bool, next: &str) -> Result<()> {
    let id = render::cell(&started["id"]);
    if detach {
        render::out(&id);
        render::next(&format!("loopwright pipelines {id}"));
        return Ok(());
    }
    let run = follow(client, &id).await?;
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

/// Shows steps and log lines until the run ends or waits for a person.
async fn follow(client: &Client, id: &str) -> Result<Value> {
    let mut steps = Steps::new();
    let mut after = 0;
    loop {
        let run = client.get(&format!("/api/v1/pipeline-runs/{id}")).await?;
        let logs = client.get(&format!("/api/v1/pipeline-runs/{id}/logs?after={after}")).await?;
        for line in logs["items"].as_array().map(Vec::as_slice).unwrap_or_default() {
            after = line["cursor"].as_i64().unwrap_or(after);
            steps.log(&render::cell(&line["step"]), &render::cell(&line["line"]));
        }
        steps.update(run["steps"].as_array().map(Vec::as_slice).unwrap_or_default());
        if matches!(run["state"].as_str(), Some("succeeded" | "failed" | "cancelled" | "refused" | "waiting")) {
            steps.finish();
            return Ok(run);
        }
        tokio::time::sleep(POLL).await;
    }
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
    failed.hint(error["hint"].as_str().map_or_else(|| format!("see `loopwright pipelines {id}`"), str::to_owned))
}
