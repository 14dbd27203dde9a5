//! An approved version in front of traffic: alone if it is the first, as a canary beside the champion otherwise.

use lw_core::{Ctx, Failure, Result};
use lw_pipelines::StepOutput;
use lw_serving::{Activation, Canary, Routing};
use serde_json::{Value, json};

use super::Step;
use super::gate::Gated;
use super::register::Registered;
use crate::definition::ModelDefinition;
use crate::failures::VERSION_SUPERSEDED;
use crate::features::{materialize, registered};
use crate::project::Project;
use crate::versions::{activate, served, standing, superseded_by};
use crate::workspace::Workspace;

pub async fn run(step: &Step) -> Result<StepOutput> {
    let model = step.model()?;
    let registered: Registered = step.upstream("register")?;
    let gated: Gated = step.upstream("gate")?;
    let approval: Value = step.upstream("approval")?;
    let version = registered.version;
    if !gated.passed {
        return Ok(kept_back(step, model, version, &gated.summary, lw_registry::GATES_REFUSED));
    }
    let deployment = standing(&step.workspace, &model.model).await?;
    if let Some(newer) = deployment.and_then(|deployment| superseded_by(version, &deployment.routing)) {
        let reason = format!("superseded by {}@{newer}, which went live before", model.model);
        return Ok(kept_back(step, model, version, &reason, VERSION_SUPERSEDED));
    }
    if approval["approved"] != true {
        return Ok(kept_back(step, model, version, "refused by its approvers", lw_registry::APPROVALS_MISSING));
    }
    let how = release_version(&step.workspace, &step.context.ctx, &step.project, model, version).await?;
    step.log(&how);
    Ok(StepOutput::done(json!({ "version": version, "released": true, "reason": how })))
}

fn kept_back(step: &Step, model: &ModelDefinition, version: u64, reason: &str, failure: Failure) -> StepOutput {
    step.log(format!("{}@{version} does not go live: {reason}", model.model));
    StepOutput::done(json!({ "version": version, "released": false, "reason": reason, "code": failure.code }))
}

/// Puts a version behind its endpoint and says how.
pub async fn release_version(
    workspace: &Workspace,
    ctx: &Ctx,
    project: &Project,
    model: &ModelDefinition,
    version: u64,
) -> Result<String> {
    for view in registered(workspace, project).await? {
        let is_used = model.features.iter().any(|used| used.view() == view.name());
        // The loop keeps views up to date that are online already; a new one must not be empty when the first request comes.
        let is_online = workspace.online().view_state(&view.id())?.is_some();
        if is_used && !is_online {
            materialize(workspace, ctx, project, Some(view.name())).await?;
        }
    }
    let served = served(workspace, &model.model, version).await?;
    let standing = standing(workspace, &model.model).await?;
    let expected_generation = standing.as_ref().map_or(0, |deployment| deployment.generation);
    let (routing, reason) = match (standing, &model.rollout) {
        (Some(deployment), _) if deployment.routing.champion == served => return Ok(format!("{served} serves already")),
        (Some(deployment), Some(rollout)) => {
            let reason =
                format!("{served} is a canary for {:.0} % beside {}", rollout.canary * 100.0, deployment.routing.champion);
            let canary = Some(Canary { served, share: rollout.canary });
            (Routing { champion: deployment.routing.champion, canary, shadows: deployment.routing.shadows }, reason)
        }
        (standing, _) => {
            let shadows = standing.map(|deployment| deployment.routing.shadows).unwrap_or_default();
            let reason = format!("{served} serves");
            (Routing { champion: served, canary: None, shadows }, reason)
        }
    };
    let activation = Activation { endpoint: model.model.clone(), expected_generation, routing, reason: reason.clone() };
    activate(workspace, ctx, model, activation).await?;
    Ok(reason)
}
