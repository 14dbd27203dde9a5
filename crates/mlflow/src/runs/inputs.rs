//! What runs read and made: `runs/log-inputs` and `runs/outputs`.

use axum::extract::{Extension, State};
use axum::response::Response;
use lw_core::Ctx;
use lw_tracking::{DatasetInput, ModelOutput};

use super::batch::model_id;
use super::{pairs_of, run_id, run_id_text, run_of};
use crate::document::{Done, json};
use crate::refusal::Answer;
use crate::{Face, Fields, Message, Refusal};

pub(super) async fn log_inputs(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let run = run_id_text(&fields)?;
    let datasets = fields.list("datasets")?.iter().map(dataset_of).collect::<Answer<Vec<_>>>()?;
    let model = |model: &Fields<'_>| model_id(model.text("model_id")?.unwrap_or_default());
    let models = fields.list("models")?.iter().map(model).collect::<Answer<Vec<_>>>()?;
    face.ready_tracking(&ctx).await?.log_inputs(&ctx, &run_of(run)?, datasets, models).await?;
    Ok(json(&Done {}))
}

fn dataset_of(input: &Fields<'_>) -> Answer<DatasetInput> {
    let Some(dataset) = input.message("dataset")? else {
        return Err(Refusal::invalid("Dataset cannot be None"));
    };
    let text = |name: &str| Ok::<_, Refusal>(dataset.text(name)?.unwrap_or_default().to_owned());
    let optional = |name: &str| Ok::<_, Refusal>(dataset.text(name)?.filter(|text| !text.is_empty()).map(str::to_owned));
    Ok(DatasetInput {
        name: text("name")?,
        digest: text("digest")?,
        tags: pairs_of(input, "tags")?,
        source_type: text("source_type")?,
        source: text("source")?,
        schema: optional("schema")?,
        profile: optional("profile")?,
    })
}

pub(super) async fn log_outputs(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    run_id_text(&fields)?;
    if fields.get("models").is_none() {
        return Err(fields.missing("models"));
    }
    let output = |output: &Fields<'_>| {
        let model = model_id(output.text("model_id")?.unwrap_or_default())?;
        Ok(ModelOutput { model, step: output.integer("step")?.unwrap_or(0) })
    };
    let outputs = fields.list("models")?.iter().map(output).collect::<Answer<Vec<_>>>()?;
    face.ready_tracking(&ctx).await?.log_outputs(&ctx, &run_id(&fields)?, outputs).await?;
    Ok(json(&Done {}))
}
