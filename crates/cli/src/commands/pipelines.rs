//! Pipelines and their runs: start, list, look into, read the logs of, stop, resume.

use std::collections::BTreeMap;

use lw_core::Result;
use serde_json::{Value, json};

use super::follow;
use crate::args::{Runs, RunsCommand};
use crate::connect::Connection;
use crate::render;

/// Starts a run and follows it, unless told not to.
pub async fn run(connection: &Connection, pipeline: &str, params: Vec<(String, String)>, detach: bool, json: bool) -> Result<()> {
    let params: BTreeMap<String, String> = params.into_iter().collect();
    let path = format!("/api/v1/pipelines/{pipeline}/runs");
    let started = connection.client.post(&path, &json!({ "params": params })).await?;
    if detach {
        left_alone(connection, &started, json);
        return Ok(());
    }
    let next = match started["kind"].as_str() {
        Some("model") => format!("loopwright why {pipeline}"),
        _ => format!("loopwright runs show {}", short(&started["id"])),
    };
    follow::to_end(&connection.client, &started, json, &next).await
}

/// Says what becomes of a run that this command does not wait for.
fn left_alone(connection: &Connection, run: &Value, json: bool) {
    if json {
        render::json(run);
    } else {
        render::out(&render::cell(&run["id"]));
    }
    if connection.has_server() {
        render::next(&format!("loopwright logs {} --follow", short(&run["id"])));
    } else {
        render::talk("the run is queued: no server runs on this workspace, so nothing works on it yet");
        render::next("loopwright up");
    }
}

pub async fn resume(connection: &Connection, run: &str, detach: bool, json: bool) -> Result<()> {
    let mut seen = 0;
    while follow::lines(&connection.client, run, None, &mut seen).await?.is_some() {}
    let resumed = connection.client.post(&format!("/api/v1/pipeline-runs/{run}/resume"), &json!({})).await?;
    if detach {
        left_alone(connection, &resumed, json);
        return Ok(());
    }
    let next = format!("loopwright runs show {}", short(&resumed["id"]));
    follow::from_line(&connection.client, &resumed, seen, json, &next).await
}

pub async fn cancel(connection: &Connection, run: &str, json: bool) -> Result<()> {
    let run = connection.client.post(&format!("/api/v1/pipeline-runs/{run}/cancel"), &json!({})).await?;
    if json {
        render::json(&run);
        return Ok(());
    }
    let (pipeline, state, id) = (render::cell(&run["pipeline"]), render::cell(&run["state"]), short(&run["id"]));
    render::out(&format!("run {id} of {pipeline} is {state}"));
    if state == "cancelling" && !connection.has_server() {
        render::talk("a step was running when its process ended; the next worker closes the run");
    }
    render::next(&format!("loopwright runs show {id}"));
    Ok(())
}

pub async fn pipelines(connection: &Connection, pipeline: Option<&str>, json: bool) -> Result<()> {
    let Some(pipeline) = pipeline else {
        let answer = connection.client.get("/api/v1/pipelines").await?;
        if json {
            render::json(&answer);
            return Ok(());
        }
        let columns = [
            ("pipeline", "/pipeline"),
            ("of a", "/kind"),
            ("newest run", "/state"),
            ("started", "/newest_run/started_at"),
            ("schedule", "/schedule/cron"),
            ("next", "/next_at"),
        ];
        render::list(&answer["items"], &columns);
        render::next("loopwright pipelines PIPELINE");
        return Ok(());
    };
    let answer = connection.client.get(&format!("/api/v1/pipelines/{pipeline}")).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    render::heading(&format!("{pipeline}  {}", render::cell(&answer["description"])));
    if let Some(schedule) = answer["schedule"].as_object() {
        let part = |key: &str| schedule.get(key).map(render::cell).unwrap_or_default();
        let (cron, zone, missed, overlap) = (part("cron"), part("zone"), part("missed"), part("overlap"));
        render::out(&format!(
            "schedule  {cron} {zone} (missed: {missed}, overlap: {overlap}), next {}",
            render::cell(&answer["next_at"])
        ));
    }
    for (name, default) in answer["params"].as_object().into_iter().flatten() {
        let otherwise = default.as_str().map_or("must be given".to_owned(), |text| format!("otherwise {text}"));
        render::out(&format!("param     {name}, {otherwise}"));
    }
    let columns = [
        ("step", "/key"),
        ("does", "/kind"),
        ("needs", "/needs"),
        ("attempts", "/retries/attempts"),
        ("timeout", "/timeout"),
        ("cache", "/cache"),
    ];
    render::list(&answer["steps"], &columns);
    render::out("");
    list(&answer["runs"]);
    render::next(&format!("loopwright run {pipeline}"));
    Ok(())
}

pub async fn runs(connection: &Connection, runs: &Runs, json: bool) -> Result<()> {
    if let Some(RunsCommand::Show { run }) = &runs.command {
        return show(connection, run, json).await;
    }
    let items = page_through(connection, runs).await?;
    if json {
        render::json(&json!({ "items": items }));
        return Ok(());
    }
    list(&Value::Array(items));
    render::next("loopwright runs show RUN");
    Ok(())
}

const PAGE: usize = 200;

/// The newest runs that are wanted, page by page: a state is rare in a long history.
async fn page_through(connection: &Connection, runs: &Runs) -> Result<Vec<Value>> {
    let mut filter = format!("limit={}", if runs.state.is_some() { PAGE } else { runs.limit.min(PAGE) });
    for (key, value) in [("pipeline", &runs.pipeline), ("state", &runs.state)] {
        if let Some(value) = value {
            filter.push_str(&format!("&{key}={value}"));
        }
    }
    let mut items: Vec<Value> = Vec::new();
    let mut before = String::new();
    loop {
        let answer = connection.client.get(&format!("/api/v1/pipeline-runs?{filter}{before}")).await?;
        items.extend(answer["items"].as_array().cloned().unwrap_or_default());
        let Some(next) = answer["before"].as_str().filter(|_| items.len() < runs.limit) else {
            items.truncate(runs.limit);
            return Ok(items);
        };
        before = format!("&before={next}");
    }
}

fn list(items: &Value) {
    let rows = items.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|run| {
        let steps = format!("{}/{}", render::cell(&run["n_succeeded"]), render::cell(&run["n_steps"]));
        let cells = ["pipeline", "state", "cause", "started_at"].map(|key| render::cell(&run[key]));
        let [pipeline, state, cause, started] = cells;
        vec![short(&run["id"]), pipeline, state, steps, cause, started, duration(&run["seconds"])]
    });
    render::table(&["run", "pipeline", "state", "steps", "cause", "started", "took"], &rows.collect::<Vec<_>>());
}

async fn show(connection: &Connection, run: &str, json: bool) -> Result<()> {
    let run = connection.client.get(&format!("/api/v1/pipeline-runs/{run}")).await?;
    if json {
        render::json(&run);
        return Ok(());
    }
    let cell = |key: &str| render::cell(&run[key]);
    render::heading(&format!("{} {}  {}", cell("pipeline"), cell("state"), cell("id")));
    render::out(&format!(
        "started {} by {} ({}), took {}",
        cell("started_at"),
        cell("started_by"),
        cell("cause"),
        duration(&run["seconds"])
    ));
    let rows = run["steps"].as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|step| {
        let state = if step["cached_from"].is_string() { "cached".to_owned() } else { render::cell(&step["state"]) };
        let error = step["error"]["code"].as_str().map(|code| format!(" [{code}]")).unwrap_or_default();
        let message = step["message"].as_str().unwrap_or_default().lines().next().unwrap_or_default();
        let attempt = if step["started_at"].is_string() { render::cell(&step["attempt"]) } else { "–".to_owned() };
        vec![render::cell(&step["key"]), state, attempt, duration(&step["seconds"]), format!("{message}{error}")]
    });
    render::table(&["step", "state", "attempt", "took", ""], &rows.collect::<Vec<_>>());
    render::next(run["next"].as_str().unwrap_or(&format!("loopwright logs {}", short(&run["id"]))));
    Ok(())
}

/// Prints log lines; with `follow` until the run is over. Lines are data and go to standard output.
pub async fn logs(connection: &Connection, run: &str, step: Option<&str>, follow: bool, json: bool) -> Result<()> {
    let mut after = 0;
    loop {
        // The state is read before the lines, so that none written before the end are missed.
        let view = connection.client.get(&format!("/api/v1/pipeline-runs/{run}")).await?;
        let id = render::cell(&view["id"]);
        while let Some(lines) = follow::lines(&connection.client, &id, step, &mut after).await? {
            for line in lines {
                match json {
                    true => render::out(&line.to_string()),
                    false => render::out(&format!(
                        "{}  {}  {}",
                        render::cell(&line["at"]),
                        render::cell(&line["step"]),
                        render::cell(&line["line"])
                    )),
                }
            }
        }
        if !follow || follow::is_over(&view["state"]) {
            return Ok(());
        }
        if !connection.has_server() {
            render::talk(&format!(
                "run {} is {}, and no server runs on this workspace to go on with it",
                short(&view["id"]),
                render::cell(&view["state"])
            ));
            render::next(view["next"].as_str().unwrap_or("loopwright up"));
            return Ok(());
        }
        tokio::time::sleep(follow::POLL).await;
    }
}

/// Enough of an id to type.
fn short(id: &Value) -> String {
    render::cell(id).chars().take(12).collect()
}

/// Seconds as people say them.
fn duration(seconds: &Value) -> String {
    match seconds.as_f64() {
        None => "–".to_owned(),
        Some(seconds) if seconds < 60.0 => format!("{seconds:.1} s"),
        Some(seconds) if seconds < 3600.0 => format!("{:.0} m {:02.0} s", (seconds / 60.0).floor(), seconds % 60.0),
        Some(seconds) => format!("{:.0} h {:02.0} m", (seconds / 3600.0).floor(), (seconds % 3600.0 / 60.0).floor()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: Value, want: &str) {
        assert_eq!(duration(&seconds), want);
    }

    #[test]
    fn durations_are_short() {
        check(Value::Null, "–");
        check(json!(0.04), "0.0 s");
        check(json!(59.9), "59.9 s");
        check(json!(61), "1 m 01 s");
        check(json!(7_320), "2 h 02 m");
    }
}
