//! `runs/create-promptlab-run`: a prompt that somebody tried in MLflow's console, kept as a run.
//!
//! The run has what MLflow's has but the folder `model`, which is a program for MLflow's gateway.

use axum::extract::{Extension, State};
use axum::response::Response;
use lw_core::Ctx;
use lw_tracking::{Batch, Circumstances, ExperimentId, NewRun, RunStatus};
use serde::Serialize;
use serde_json::{Value, json};

use super::document::RunDocument;
use super::{checked_time, pairs_of};
use crate::refusal::Answer;
use crate::{Face, Fields, Message, Refusal};

/// Where the console looks for what came out.
const TABLE: &str = "eval_results_table.json";

/// What was tried: the text of each field.
struct Trial<'a> {
    template: &'a str,
    route: &'a str,
    input: &'a str,
    output: &'a str,
    prompt: Vec<(String, String)>,
    model: Vec<(String, String)>,
    of_output: Vec<(String, String)>,
}

impl<'a> Trial<'a> {
    fn of(fields: &Fields<'a>) -> Answer<Self> {
        let missing = |name: &str| Refusal::invalid(format!("CreatePromptlabRun request must specify {name}."));
        let text = |name: &str| fields.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| missing(name));
        let template = text("prompt_template")?;
        let prompt = texts_of(fields, "prompt_parameters")?;
        if prompt.is_empty() {
            return Err(missing("prompt_parameters"));
        }
        let (route, model) = (text("model_route")?, texts_of(fields, "model_parameters")?);
        let input = text("model_input")?;
        let output = fields.text("model_output")?.unwrap_or_default();
        let of_output = texts_of(fields, "model_output_parameters")?;
        text("mlflow_version")?;
        Ok(Self { template, route, input, output, prompt, model, of_output })
    }

    /// One row: the prompt's parameters, the prompt, the answer and what was told of the answer.
    fn table(&self) -> String {
        let between = [("prompt".to_owned(), self.input.to_owned()), ("output".to_owned(), self.output.to_owned())];
        let cells: Vec<(String, String)> =
            self.prompt.iter().chain(&between).chain(&self.of_output).map(|(key, value)| (key.clone(), value.clone())).collect();
        let (columns, row): (Vec<String>, Vec<String>) = cells.into_iter().unzip();
        json!({"columns": columns, "data": [row]}).to_string()
    }
}

/// Parameters whose values may be anything; they are kept as texts.
fn texts_of(fields: &Fields<'_>, name: &str) -> Answer<Vec<(String, String)>> {
    let text = |item: Fields<'_>| {
        let value = match item.get("value") {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        Ok((item.text("key")?.unwrap_or_default().to_owned(), value))
    };
    fields.list(name)?.into_iter().map(text).collect()
}

pub(super) async fn create(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    #[derive(Serialize)]
    struct Created<'a> {
        run: RunDocument<'a>,
    }
    let fields = message.fields();
    let experiment = fields.text("experiment_id")?.filter(|id| !id.is_empty());
    let experiment = experiment.ok_or_else(|| Refusal::invalid("CreatePromptlabRun request must specify experiment_id."))?;
    let trial = Trial::of(&fields)?;
    let tracking = face.ready_tracking(&ctx).await?;
    let new = NewRun {
        name: fields.text("run_name")?.map(str::to_owned),
        user_id: fields.text("user_id")?.unwrap_or("unknown").to_owned(),
        started_at: checked_time(&fields, "start_time")?,
        tags: pairs_of(&fields, "tags")?,
        ..NewRun::of(ExperimentId::parse(experiment)?, Circumstances::default())
    };
    let run = tracking.start_run(&ctx, new).await?;
    let params = trial.model.iter().fold(Batch::default(), |batch, (key, value)| batch.param(key, value.as_str()));
    let batch = params
        .param("model_route", trial.route)
        .param("prompt_template", trial.template)
        .tag("mlflow.loggedArtifacts", json!([{"path": TABLE, "type": "table"}]).to_string())
        .tag("mlflow.runSourceType", "PROMPT_ENGINEERING");
    tracking.log(&ctx, &run.id, batch).await?;
    let table = trial.table();
    let size_bytes = table.len() as u64;
    let digest = face.artifacts().put(table.into_bytes()).await?;
    tracking.log_artifact(&ctx, &run.id, TABLE, digest, size_bytes).await?;
    tracking.finish_run(&ctx, &run.id, RunStatus::Finished).await?;
    let data = tracking.run(&run.id).await?;
    Ok(crate::document::json(&Created { run: RunDocument::of(&data) }))
}
