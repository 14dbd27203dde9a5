//! Sources into tables.

use lw_core::{Name, Result};
use lw_pipelines::{Start, StepOutput};
use serde_json::json;

use super::{Step, model};
use crate::failures::UNKNOWN_REFERENCE;
use crate::start::pinned;

/// Ingests what a source has that its table has not.
pub async fn run(step: &Step) -> Result<StepOutput> {
    let source: Name = step.param("source")?;
    let Some(file) = step.project.sources.get(&source) else {
        return Err(UNKNOWN_REFERENCE
            .error(format!("there is no source `{source}` in the applied project"))
            .hint("`loopwright apply` brings new ones"));
    };
    let root = &step.project.bundle.root;
    let report = lw_data::ingest(&step.context.ctx, step.workspace.data_services(), &file.value, root).await?;
    step.log(format!(
        "{source}: {} rows from {} files, {} to quarantine",
        report.n_rows(),
        report.commits.iter().map(|commit| commit.files.len()).sum::<usize>(),
        report.n_quarantined()
    ));
    // The table's content, whether or not something landed: steps after it that are cached run again when it is another.
    let newest = lw_data::queries::latest_version(step.workspace.store(), &file.value.name).await?;
    let output = StepOutput::done(json!(report));
    Ok(match newest {
        Some(version) => output.digest("table", version.digest),
        None => output,
    })
}

/// Starts a model's own pipeline; it runs by itself.
pub async fn start_model(step: &Step) -> Result<StepOutput> {
    let name: Name = step.param("model")?;
    let definition = crate::compile::model_pipeline(&step.project, model(&step.project, &name)?)?;
    let start = Start {
        cause: format!("pipeline:{}", step.context.pipeline),
        dedupe_key: Some(step.context.idempotency_key()),
        params: json!({}),
    };
    let start = pinned(start, step.project_version);
    let started = step.workspace.pipelines().start_definition(&step.context.ctx, definition, start).await?;
    step.log(format!("started {name} as run {}", started.run));
    Ok(StepOutput::done(json!({ "run": started.run })))
}
