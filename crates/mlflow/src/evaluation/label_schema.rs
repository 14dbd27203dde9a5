//! Label schemas.

use axum::extract::State;
use axum::{Extension, Json};
use lw_core::Ctx;
use lw_search::PageToken;
use lw_traces::{LABEL_SCHEMA_EXISTS, LabelInput, LabelKind, LabelSchema, LabelSchemaUpdate, NewLabelSchema};
use lw_tracking::ExperimentId;
use serde_json::{Value, json};

use crate::face::Face;
use crate::message::{Fields, Message};
use crate::refusal::{Answer, ErrorCode, Refusal};
use crate::route::{Route, both};

const MAX_RESULTS: i64 = 50_000;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(both!(POST "3.0/mlflow/label-schemas/create", Write, "label_schema", create));
    routes.extend(both!(GET "3.0/mlflow/label-schemas/get", Read, "label_schema", get));
    routes.extend(both!(GET "3.0/mlflow/label-schemas/get-by-name", Read, "label_schema", get_by_name));
    routes.extend(both!(GET "3.0/mlflow/label-schemas/list", Read, "label_schema", list));
    routes.extend(both!(PATCH "3.0/mlflow/label-schemas/update", Write, "label_schema", update));
    routes.extend(both!(DELETE "3.0/mlflow/label-schemas/delete", Write, "label_schema", remove));
    routes
}

async fn create(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let (experiment, name) = (fields.required_text("experiment_id")?, fields.required_text("name")?);
    let missing = || Refusal::invalid("Label schema `type` must be one of FEEDBACK or EXPECTATION; got proto enum value 0.");
    let new = NewLabelSchema {
        name: name.to_owned(),
        kind: fields.text("type")?.and_then(LabelKind::of).ok_or_else(missing)?,
        instruction: fields.text("instruction")?.map(str::to_owned),
        takes_comment: fields.boolean("enable_comment")?.unwrap_or_default(),
        input: input(&fields)?.ok_or_else(|| Refusal::invalid("Label schema `input` is required."))?,
    };
    let schema = face.traces()?.create_label_schema(&ctx, ExperimentId::parse(experiment)?, new).await.map_err(taken)?;
    Ok(Json(json!({"label_schema": wire(&schema)})))
}

async fn get(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let schema = face.traces()?.label_schema(message.fields().required_text("schema_id")?).await?;
    Ok(Json(json!({"label_schema": wire(&schema)})))
}

async fn get_by_name(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let (experiment, name) = (fields.required_text("experiment_id")?, fields.required_text("name")?);
    let schema = face.traces()?.label_schema_by_name(ExperimentId::parse(experiment)?, name).await?;
    Ok(Json(json!({"label_schema": wire(&schema)})))
}

async fn list(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let experiment = fields.required_text("experiment_id")?;
    let limit = fields.integer("max_results")?.unwrap_or(100);
    if !(1..=MAX_RESULTS).contains(&limit) {
        return Err(Refusal::invalid(format!("max_results must be between 1 and {MAX_RESULTS}.")));
    }
    let page = PageToken::decode(fields.text("page_token")?.unwrap_or_default())?;
    // An experiment has a handful of questions, so that pages are cut here.
    let all = face.traces()?.label_schemas(&ctx, ExperimentId::parse(experiment)?).await?;
    let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut rest = all.iter().skip(offset);
    let listed: Vec<Value> = rest.by_ref().take(limit).map(wire).collect();
    let next = rest.next().map(|_| PageToken { offset: page.offset + listed.len() as u64 }.encode());
    let mut answer = json!({"next_page_token": next.unwrap_or_default()});
    if !listed.is_empty() {
        answer["label_schemas"] = listed.into();
    }
    Ok(Json(answer))
}

async fn update(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let id = fields.required_text("schema_id")?;
    let update = LabelSchemaUpdate {
        name: fields.text("name")?.map(str::to_owned),
        instruction: fields.text("instruction")?.map(str::to_owned),
        takes_comment: fields.boolean("enable_comment")?,
        input: input(&fields)?,
    };
    let schema = face.traces()?.update_label_schema(&ctx, id, update).await.map_err(taken)?;
    Ok(Json(json!({"label_schema": wire(&schema)})))
}

async fn remove(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    face.traces()?.remove_label_schema(&ctx, message.fields().required_text("schema_id")?).await?;
    Ok(Json(json!({})))
}

fn taken(error: lw_core::Error) -> Refusal {
    match error.is(LABEL_SCHEMA_EXISTS) {
        true => Refusal::new(ErrorCode::ResourceAlreadyExists, error.message()),
        false => error.into(),
    }
}

fn input(fields: &Fields<'_>) -> Answer<Option<LabelInput>> {
    let Some(input) = fields.message("input")? else { return Ok(None) };
    if let Some(given) = input.message("pass_fail")? {
        let label = |name: &str| Ok::<_, Refusal>(given.text(name)?.unwrap_or_default().to_owned());
        let (positive_label, negative_label) = (label("positive_label")?, label("negative_label")?);
        return Ok(Some(LabelInput::PassFail { positive_label, negative_label }));
    }
    if let Some(given) = input.message("categorical")? {
        let options = given.texts("options")?.into_iter().map(str::to_owned).collect();
        return Ok(Some(LabelInput::Categorical { options, multi_select: given.boolean("multi_select")?.unwrap_or_default() }));
    }
    if let Some(given) = input.message("numeric")? {
        return Ok(Some(LabelInput::Numeric { min_value: given.number("min_value")?, max_value: given.number("max_value")? }));
    }
    if let Some(given) = input.message("text")? {
        return Ok(Some(LabelInput::Text { max_length: given.integer("max_length")? }));
    }
    Ok(None)
}

fn wire(schema: &LabelSchema) -> Value {
    let input = match &schema.input {
        LabelInput::PassFail { positive_label, negative_label } => {
            json!({"pass_fail": {"positive_label": positive_label, "negative_label": negative_label}})
        }
        LabelInput::Categorical { options, multi_select } => {
            json!({"categorical": {"options": options, "multi_select": multi_select}})
        }
        LabelInput::Numeric { min_value, max_value } => {
            let mut numeric = json!({});
            for (name, value) in [("min_value", min_value), ("max_value", max_value)] {
                if let Some(value) = value {
                    numeric[name] = json!(value);
                }
            }
            json!({"numeric": numeric})
        }
        LabelInput::Text { max_length: Some(length) } => json!({"text": {"max_length": length}}),
        LabelInput::Text { max_length: None } => json!({"text": {}}),
    };
    let mut wire = json!({
        "schema_id": schema.id,
        "experiment_id": schema.experiment.to_string(),
        "name": schema.name,
        "type": schema.kind.name(),
        "enable_comment": schema.takes_comment,
        "input": input,
        "created_at": schema.created_at.millis(),
        "last_updated_at": schema.updated_at.millis(),
        "is_default": schema.is_default,
    });
    if let Some(instruction) = &schema.instruction {
        wire["instruction"] = json!(instruction);
    }
    wire
}
