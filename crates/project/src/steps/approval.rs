//! Waits for the people who must approve.

use lw_core::Result;
use lw_pipelines::StepOutput;
use lw_registry::ApprovalState;
use serde_json::json;

use super::Step;
use super::gate::Gated;
use super::register::Registered;
use crate::versions::{approvals_needed, readiness, standing};

/// Goes on at once if nobody needs to approve or the gates refused; otherwise waits until the approvals are there, one person
/// said no, or a newer version is the champion.
pub async fn run(step: &Step) -> Result<StepOutput> {
    let model = step.model()?;
    let registered: Registered = step.upstream("register")?;
    let gated: Gated = step.upstream("gate")?;
    let n_needed = approvals_needed(&step.workspace, model, registered.version).await?;
    if !gated.passed || n_needed == 0 {
        return Ok(StepOutput::done(json!({ "approved": gated.passed, "needed": n_needed })));
    }
    let deployment = standing(&step.workspace, &model.model).await?;
    // A newer canary may still be withdrawn, a newer champion has come to stay.
    if deployment.is_some_and(|deployment| deployment.routing.champion.version > registered.version) {
        return Ok(StepOutput::done(json!({ "approved": false, "needed": n_needed })));
    }
    match readiness(&step.workspace, model, registered.version).await?.approvals {
        ApprovalState::Granted { .. } => Ok(StepOutput::done(json!({ "approved": true, "needed": n_needed }))),
        ApprovalState::Refused { .. } => Ok(StepOutput::done(json!({ "approved": false, "needed": n_needed }))),
        ApprovalState::Waiting { n_missing, granted_by } => {
            let more = if granted_by.is_empty() { "" } else { "more " };
            Ok(StepOutput::waiting(&format!("{}@{} waits for {n_missing} {more}approval(s)", model.model, registered.version)))
        }
    }
}
