//! The examples that a run learns from and is judged by.

use lw_core::{Digest, Result, Timestamp};
use lw_pipelines::StepOutput;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Step;
use crate::features::registered;
use crate::recipe;

/// What later steps need to know of the training set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Built {
    pub version: u64,
    pub content: Digest,
    pub recipe: Digest,
    pub n_rows: u64,
    pub holdout_from: Timestamp,
}

/// Builds the training set of the window that ends with the newest labelled example.
pub async fn run(step: &Step) -> Result<StepOutput> {
    let model = step.model()?;
    let (workspace, ctx) = (&step.workspace, &step.context.ctx);
    let as_of = ctx.now();
    let sources = recipe::sources(workspace.engine(), &step.project, model).await?;
    let examples = sources.tables.iter().find(|version| version.table.sql_name() == model.predicts.from.as_str());
    let examples = examples.ok_or_else(|| lw_core::Error::bug("the table of examples is among the needed sources"))?;
    let newest = recipe::newest_example(workspace.engine(), model, examples, as_of).await?;
    let cut = recipe::cut(model, newest);
    let views = registered(workspace, &step.project).await?;
    let recipe = recipe::recipe(model, &views, sources, cut, as_of)?;
    let built = lw_features::build_training_set(ctx, &workspace.feature_services(), &recipe).await?;
    step.log(format!(
        "{}: {} examples from {} to {}, {} without a known label; the last {} judge",
        built.subject(),
        built.n_rows,
        built.window_from.date_text(),
        built.window_to.date_text(),
        built.n_dropped_unlabelled,
        model.train.holdout,
    ));
    let outputs = Built {
        version: built.version,
        content: built.content,
        recipe: built.recipe,
        n_rows: built.n_rows,
        holdout_from: cut.holdout_from,
    };
    Ok(StepOutput::done(json!(outputs)).digest("training_set", built.content))
}
