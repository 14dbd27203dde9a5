//! `loopwright doctor`: what this machine lacks.

use std::path::Path;

use lw_core::Result;
use serde::Serialize;
use serde_json::json;

use crate::args::Global;
use crate::failures::DOCTOR_FAILED;
use crate::render;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Missing, but only some projects need it.
    Note,
    Failed,
}

#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    state: State,
    detail: String,
}

type Found = std::result::Result<String, String>;

impl Check {
    /// Something that every command needs.
    fn needed(check: &'static str, found: Found) -> Self {
        let state = if found.is_ok() { State::Ok } else { State::Failed };
        Self { check, state, detail: found.unwrap_or_else(|detail| detail) }
    }

    /// Something that some projects do without.
    fn optional(check: &'static str, found: Found) -> Self {
        let needed = Self::needed(check, found);
        let state = if needed.state == State::Failed { State::Note } else { needed.state };
        Self { state, ..needed }
    }
}

/// One line a check, each with what to do when it fails. Fails if one of them does.
pub async fn doctor(global: &Global) -> Result<()> {
    let runtime = lw_serving::onnxruntime_library().map(|path| path.display().to_string());
    let (platform, endpoints) = platform(global).await;
    let checks = [
        Check::needed("version", Ok(env!("CARGO_PKG_VERSION").to_owned())),
        project(&global.project),
        Check::needed("workspace", workspace_state(&crate::connect::workspace_dir(global))),
        Check::optional("python", command_version("python3", "install python3, for Python steps")),
        Check::optional("git", command_version("git", "install git, to record code versions")),
        Check::optional("onnxruntime", runtime.map_err(|error| error.to_string())),
        Check::needed("platform", platform),
        Check::needed("endpoints", endpoints),
    ];
    let failed: Vec<&str> = checks.iter().filter(|check| check.state == State::Failed).map(|check| check.check).collect();
    if global.json {
        render::json(&json!({ "ok": failed.is_empty(), "checks": checks }));
    } else {
        for Check { check, state, detail } in &checks {
            let mark = match state {
                State::Ok => "✓",
                State::Note => "–",
                State::Failed => "✗",
            };
            render::out(&format!("{mark} {check:12} {detail}"));
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(DOCTOR_FAILED
        .error(format!("not in order: {}", failed.join(", ")))
        .hint("each line above that begins with ✗ says what to do"))
}

/// A folder without a project is no fault: there are commands that need none.
fn project(root: &Path) -> Check {
    if !root.join("loopwright.yaml").exists() {
        let detail = format!("no loopwright.yaml in {}; `loopwright init DIR` makes a project", root.display());
        return Check::optional("project", Err(detail));
    }
    Check::needed("project", project_state(root))
}

fn project_state(root: &Path) -> Found {
    let bundle = lw_project::Bundle::read(root).map_err(|error| error.to_string())?;
    let n_files = bundle.files.len();
    match lw_project::Project::parse(bundle) {
        Ok(project) => Ok(format!("{} with {n_files} files", project.definition.value.project)),
        Err(errors) => Err(format!("{} faults in its files; `loopwright check` lists them", errors.len())),
    }
}

fn workspace_state(workspace: &Path) -> Found {
    if !workspace.exists() {
        return Ok(format!("{} (made on first use)", workspace.display()));
    }
    let probe = workspace.join(".doctor");
    std::fs::write(&probe, b"")
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|error| format!("{} is not writable: {error}", workspace.display()))?;
    Ok(workspace.display().to_string())
}

fn command_version(command: &str, advice: &str) -> Found {
    match std::process::Command::new(command).arg("--version").output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        _ => Err(format!("`{command}` is not there; {advice}")),
    }
}

/// Whether the workspace opens, or its server answers, and accepts who asks; and whether all that should answer does.
async fn platform(global: &Global) -> (Found, Found) {
    let advised = |error: lw_core::Error| match error.hint_text() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    let unknown = || Ok("unknown, as the platform does not say".to_owned());
    let connection = match crate::connect::connect(global, false).await {
        Ok(connection) => connection,
        Err(error) => return (Err(advised(error)), unknown()),
    };
    let answer = connection.client.get("/api/v1/whoami").await;
    let endpoints = match connection.client.get("/api/v1/status").await {
        Ok(status) => endpoints(&status),
        Err(_) => unknown(),
    };
    connection.close().await;
    (answer.map(|answer| format!("answers {}", render::cell(&answer["actor"]))).map_err(advised), endpoints)
}

fn endpoints(status: &serde_json::Value) -> Found {
    let not_loaded: Vec<String> = status["not_loaded"].as_array().into_iter().flatten().map(render::cell).collect();
    if not_loaded.is_empty() {
        return Ok(format!("{} answer", render::cell(&status["endpoints"])));
    }
    Err(not_loaded.join("; "))
}
