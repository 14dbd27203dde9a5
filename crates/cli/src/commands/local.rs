//! Commands that need neither a workspace nor a server.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use lw_core::{Result, nearest};
use serde_json::json;

use crate::args::{Cli, Global};
use crate::failures::{BAD_ARGUMENT, FOLDER_NOT_EMPTY, UNKNOWN_CODE};
use crate::render;

include!(concat!(env!("OUT_DIR"), "/error_pages.rs"));

/// Writes the starter project.
pub fn init(directory: &Path) -> Result<()> {
    let occupied = std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(FOLDER_NOT_EMPTY
            .error(format!("`{}` is not empty", directory.display()))
            .hint("name a folder that does not exist yet; nothing was written"));
    }
    for path in lw_project::init(directory)? {
        render::talk(&format!("wrote {}", path.display()));
    }
    render::next(&format!("cd {} && loopwright check", directory.display()));
    Ok(())
}

/// Prints the page of an error code, or all codes.
pub fn explain(code: Option<&str>) -> Result<()> {
    let Some(code) = code else {
        for (code, _) in ERROR_PAGES {
            render::out(code);
        }
        render::next("loopwright explain CODE");
        return Ok(());
    };
    match ERROR_PAGES.iter().find(|(known, _)| *known == code) {
        Some((_, page)) => {
            render::out(page.trim_end());
            Ok(())
        }
        None => {
            let error = UNKNOWN_CODE.error(format!("`{code}` is not an error code"));
            Err(match nearest(code, ERROR_PAGES.iter().map(|(known, _)| *known)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("`loopwright explain` lists all codes"),
            })
        }
    }
}

/// Prints one JSON Schema, or the kinds that have one.
pub fn schema(kind: Option<&str>) -> Result<()> {
    let schemas = lw_project::schemas();
    let Some(kind) = kind else {
        for (name, _) in &schemas {
            render::out(name);
        }
        render::next("loopwright schema model > model.schema.json");
        return Ok(());
    };
    match schemas.iter().find(|(name, _)| *name == kind) {
        Some((_, schema)) => {
            render::json(schema);
            Ok(())
        }
        None => Err(BAD_ARGUMENT.error(format!("`{kind}` is not a kind of file")).hint("`loopwright schema` lists the kinds")),
    }
}

pub fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "loopwright", &mut script);
    render::out(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}

/// One line a check, each with what to do when it fails.
pub async fn doctor(global: &Global) -> Result<()> {
    let mut checks = Vec::new();
    let mut check = |name: &str, result: std::result::Result<String, String>| {
        checks.push(json!({"check": name, "ok": result.is_ok(), "detail": result.unwrap_or_else(|detail| detail)}));
    };
    check("version", Ok(env!("CARGO_PKG_VERSION").to_owned()));
    check("project", project_state(&global.project));
    let workspace = crate::connect::workspace_dir(global);
    check("workspace", workspace_state(&workspace));
    check("python", command_version("python3", "install python3, for Python steps"));
    check("git", command_version("git", "install git, to record code versions"));
    let runtime = lw_serving::onnxruntime_library();
    check("onnxruntime", runtime.map(|path| path.display().to_string()).map_err(|error| error.to_string()));
    let connected = crate::connect::connect(global).await;
    check(
        "platform",
        match &connected {
            Ok(connection) => {
                connection.client.get("/api/v1/status").await.map(|_| "answers".to_owned()).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        },
    );
    if let Ok(connection) = connected {
        connection.close().await;
    }
    if global.json {
        render::json(&json!({ "checks": checks }));
        return Ok(());
    }
    for line in &checks {
        let mark = if line["ok"] == true { "✓" } else { "✗" };
        render::out(&format!("{mark} {:12} {}", render::cell(&line["check"]), render::cell(&line["detail"])));
    }
    Ok(())
}

fn project_state(root: &Path) -> std::result::Result<String, String> {
    let bundle = lw_project::Bundle::read(root).map_err(|error| error.to_string())?;
    let files = bundle.files.len();
    match lw_project::Project::parse(bundle) {
        Ok(project) => Ok(format!("{} with {files} files", project.definition.value.project)),
        Err(errors) => Err(format!("{} files are wrong; run `loopwright check`", errors.len())),
    }
}

fn workspace_state(workspace: &Path) -> std::result::Result<String, String> {
    if !workspace.exists() {
        return Ok(format!("{} (made on first use)", workspace.display()));
    }
    let probe = workspace.join(".doctor");
    std::fs::write(&probe, b"")
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|error| format!("{} is not writable: {error}", workspace.display()))?;
    Ok(workspace.display().to_string())
}

fn command_version(command: &str, advice: &str) -> std::result::Result<String, String> {
    let output = std::process::Command::new(command).arg("--version").output();
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        _ => Err(format!("`{command}` is not there; {advice}")),
    }
}
