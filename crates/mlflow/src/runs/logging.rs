//! What is logged one by one: metrics, parameters, tags and, as old clients do, models.

use axum::extract::{Extension, State};
use axum::response::Response;
use lw_core::Ctx;
use lw_tracking::{Batch, MetricPoint};
use serde_json::{Map, Value};

use super::batch::model_metric;
use super::{run_id_text, run_of, time_of};
use crate::document::{Done, json};
use crate::refusal::Answer;
use crate::{Face, Message, Refusal};

pub(super) async fn log_metric(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let (run, key) = (run_id_text(&fields)?, fields.required_text("key")?);
    let (value, timestamp) = (fields.required_number("value")?, fields.required_integer("timestamp")?);
    let point = MetricPoint { value, at: time_of(timestamp), step: fields.integer("step")?.unwrap_or(0) };
    let mut batch = Batch { metrics: vec![(key.to_owned(), point)], ..Batch::default() };
    if let Some(model) = fields.text("model_id")?.filter(|model| !model.is_empty()) {
        let text = |name: &str| fields.text(name).map(|text| text.map(str::to_owned));
        batch.model_metrics.push(model_metric(model, key, point, text("dataset_name")?, text("dataset_digest")?)?);
    }
    face.ready_tracking(&ctx).await?.log_single(&ctx, &run_of(run)?, batch).await?;
    Ok(json(&Done {}))
}

pub(super) async fn log_param(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let (run, key) = (run_id_text(&fields)?, fields.required_text("key")?);
    let batch = Batch::default().param(key, fields.text("value")?.unwrap_or_default());
    face.ready_tracking(&ctx).await?.log_single(&ctx, &run_of(run)?, batch).await?;
    Ok(json(&Done {}))
}

pub(super) async fn set_tag(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let (run, key) = (run_id_text(&fields)?, fields.required_text("key")?);
    let batch = Batch::default().tag(key, fields.text("value")?.unwrap_or_default());
    face.ready_tracking(&ctx).await?.log_single(&ctx, &run_of(run)?, batch).await?;
    Ok(json(&Done {}))
}

pub(super) async fn delete_tag(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let (run, key) = (run_id_text(&fields)?, fields.required_text("key")?);
    face.ready_tracking(&ctx).await?.remove_tag(&ctx, &run_of(run)?, key).await?;
    Ok(json(&Done {}))
}

/// Adds a model to the tag in which clients before 3.0 keep what they logged.
pub(super) async fn log_model(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    const NEEDED: [&str; 4] = ["artifact_path", "flavors", "run_id", "utc_time_created"];
    let fields = message.fields();
    let (run, text) = (run_id_text(&fields)?, fields.required_text("model_json")?);
    let Ok(Value::Object(model)) = serde_json::from_str(text) else {
        return Err(Refusal::invalid(format!("Malformed model info. \n {text} \n is not a valid JSON.")));
    };
    let missing: Vec<String> = NEEDED.iter().filter(|name| !model.contains_key(**name)).map(|name| format!("'{name}'")).collect();
    if !missing.is_empty() {
        return Err(Refusal::invalid(format!("Model json is missing mandatory fields: {{{}}}", missing.join(", "))));
    }
    face.ready_tracking(&ctx).await?.note_model(&ctx, &run_of(run)?, kept_of(model)).await?;
    Ok(json(&Done {}))
}

/// What the tag keeps of a model: its flavors without their configuration, and where and when it was made.
fn kept_of(model: Map<String, Value>) -> Value {
    const KEPT: [&str; 4] = ["run_id", "utc_time_created", "artifact_path", "model_uuid"];
    let flavors = model.get("flavors").and_then(Value::as_object).cloned().unwrap_or_default();
    let without_configuration = |(name, flavor): (String, Value)| match flavor {
        Value::Object(mut flavor) => {
            flavor.remove("config");
            (name, Value::Object(flavor))
        }
        other => (name, other),
    };
    let flavors: Map<String, Value> = flavors.into_iter().map(without_configuration).collect();
    let mut kept: Map<String, Value> = model.into_iter().filter(|(name, _)| KEPT.contains(&name.as_str())).collect();
    kept.insert("flavors".to_owned(), flavors.into());
    kept.into()
}
