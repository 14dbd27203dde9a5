//! `check`, `plan` and `apply`.

use lw_core::Result;
use lw_project::{Bundle, Project};
use serde_json::{Value, json};

use super::Failures;
use crate::args::Global;
use crate::client::Client;
use crate::render;

/// Checks the project in this process: it needs no workspace and no server.
pub fn check(global: &Global) -> Result<(), Failures> {
    let bundle = Bundle::read(&global.project).map_err(|error| vec![error])?;
    let project = Project::parse(bundle)?;
    let errors = lw_project::check(&project);
    if !errors.is_empty() {
        return Err(errors);
    }
    let summary = json!({
        "project": project.definition.value.project,
        "digest": project.digest(),
        "sources": project.sources.len(),
        "feature_views": project.views.len(),
        "models": project.models.len(),
        "pipelines": project.pipelines.len(),
        "policies": project.policies.len(),
    });
    if global.json {
        render::json(&summary);
        return Ok(());
    }
    render::out(&format!(
        "{} holds together: {} sources, {} feature views, {} models, {} pipelines, {} policies",
        project.definition.value.project,
        project.sources.len(),
        project.views.len(),
        project.models.len(),
        project.pipelines.len(),
        project.policies.len(),
    ));
    render::next("loopwright plan");
    Ok(())
}

pub async fn plan(client: &Client, global: &Global) -> Result<()> {
    let plan = client.post("/api/v1/project/plan", &bundle_body(global)?).await?;
    if global.json {
        render::json(&plan);
        return Ok(());
    }
    if print_changes(&plan) {
        render::next("loopwright apply")
    } else {
        render::next("loopwright run MODEL")
    }
    Ok(())
}

pub async fn apply(client: &Client, global: &Global) -> Result<()> {
    let applied = client.post("/api/v1/project/apply", &bundle_body(global)?).await?;
    if global.json {
        render::json(&applied);
        return Ok(());
    }
    print_changes(&applied["plan"]);
    render::out(&format!("applied project version {}", render::cell(&applied["version"])));
    render::next("loopwright run MODEL");
    Ok(())
}

fn bundle_body(global: &Global) -> Result<Value> {
    let bundle = Bundle::read(&global.project)?;
    Ok(json!({"root": bundle.root, "files": bundle.files}))
}

/// Whether there was anything to print.
fn print_changes(plan: &Value) -> bool {
    let empty = Vec::new();
    let changes = plan["changes"].as_array().unwrap_or(&empty);
    if changes.is_empty() {
        render::out("nothing to change: the workspace runs these definitions");
        return false;
    }
    for change in changes {
        let sign = match change["change"].as_str() {
            Some("added") => "+",
            Some("removed") => "-",
            _ => "~",
        };
        render::out(&format!("{sign} {}", render::cell(&change["subject"])));
        for line in change["details"].as_array().unwrap_or(&empty) {
            render::out(&format!("    {}", render::cell(line)));
        }
        for line in change["invalidates"].as_array().unwrap_or(&empty) {
            render::out(&format!("    → rebuilds {}", render::cell(line)));
        }
        for line in change["ends"].as_array().unwrap_or(&empty) {
            render::out(&format!("    {}", render::cell(line)));
        }
        if let Some(why) = change["refused"].as_str() {
            render::out(&format!("    ✗ `apply` will refuse: {why}"));
        }
    }
    true
}
