//! Whether the gates let a version pass.

use lw_core::Result;
use lw_pipelines::StepOutput;
use lw_registry::Registry;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Step;
use super::register::Registered;

/// What the gates said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gated {
    pub passed: bool,
    pub summary: String,
}

/// Records the decision. A refusal is no failure of the run: the version stays, and nothing goes live.
pub async fn run(step: &Step) -> Result<StepOutput> {
    let model = step.model()?;
    let registered: Registered = step.upstream("register")?;
    let registry = Registry::new(step.workspace.store().clone());
    let decision = registry.decide_gates(&step.context.ctx, &model.model, registered.version, &model.gates).await?;
    let gated = Gated { passed: decision.outcome.has_passed(), summary: decision.outcome.summary() };
    step.log(format!("{}@{}: {}", model.model, registered.version, gated.summary));
    Ok(StepOutput::done(json!(gated)))
}
