//! Feature views into the online store.

use lw_core::{Name, Result};
use lw_pipelines::StepOutput;
use serde_json::json;

use super::Step;
use crate::features::materialize;

/// Brings one view up to date as of now.
pub async fn run(step: &Step) -> Result<StepOutput> {
    let view: Name = step.param("view")?;
    let materialized = materialize(&step.workspace, &step.context.ctx, &step.project, Some(&view)).await?;
    for item in &materialized {
        step.log(format!("{}: {} entities written, up to {}", item.view, item.n_written, item.watermark));
    }
    Ok(StepOutput::done(json!({ "views": materialized })))
}
