//! Assessments of traces.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::{Extension, Json as JsonBody};
use lw_core::Ctx;
use lw_traces::{AssessmentError, AssessmentUpdate, AssessmentValue, Json, NewAssessment, SourceType};
use serde_json::{Value, json};

use super::start::time;
use super::{text_map, wire};
use crate::face::Face;
use crate::message::{Fields, Message};
use crate::refusal::{Answer, Refusal};
use crate::route::{Route, both};

pub(super) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(both!(POST "3.0/mlflow/traces/{trace_id}/assessments", Write, "trace", create));
    routes.extend(both!(GET "3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}", Read, "trace", get));
    routes.extend(both!(PATCH "3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}", Write, "trace", update));
    routes.extend(both!(DELETE "3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}", Write, "trace", remove));
    routes
}

async fn create(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(trace): Path<String>,
    message: Message,
) -> Answer<JsonBody<Value>> {
    let fields = message.fields();
    let given = fields.message("assessment")?.ok_or_else(|| fields.missing("assessment"))?;
    let assessment = face.traces()?.assess(&ctx, &trace, new_assessment(&given)?).await?;
    Ok(JsonBody(json!({"assessment": wire::assessment(&assessment)})))
}

async fn get(State(face): State<Face>, Path((trace, id)): Path<(String, String)>) -> Answer<JsonBody<Value>> {
    let assessment = face.traces()?.assessment(&trace, &id).await?;
    Ok(JsonBody(json!({"assessment": wire::assessment(&assessment)})))
}

async fn update(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path((trace, id)): Path<(String, String)>,
    message: Message,
) -> Answer<JsonBody<Value>> {
    let fields = message.fields();
    let given = fields.message("assessment")?.ok_or_else(|| fields.missing("assessment"))?;
    let mask = fields.required_text("update_mask")?;
    let mut update = AssessmentUpdate::default();
    for path in mask.split(',').map(str::trim) {
        match path {
            "assessmentName" | "assessment_name" => update.name = given.text("assessment_name")?.map(str::to_owned),
            "expectation" | "feedback" => {
                if update.value.is_some() {
                    return Err(Refusal::invalid("Cannot specify both `expectation` and `feedback` parameters."));
                }
                update.value = Some(value(&given)?);
            }
            "rationale" => update.rationale = Some(given.text("rationale")?.unwrap_or_default().to_owned()),
            "metadata" => update.metadata = text_map(&given, "metadata")?,
            "valid" => update.is_valid = given.boolean("valid")?,
            // As MLflow's server, which passes over what it does not know.
            _ => {}
        }
    }
    let assessment = face.traces()?.update_assessment(&ctx, &trace, &id, update).await?;
    Ok(JsonBody(json!({"assessment": wire::assessment(&assessment)})))
}

async fn remove(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path((trace, id)): Path<(String, String)>,
) -> Answer<JsonBody<Value>> {
    face.traces()?.remove_assessment(&ctx, &trace, &id).await?;
    Ok(JsonBody(json!({})))
}

pub(super) fn new_assessment(given: &Fields<'_>) -> Answer<NewAssessment> {
    let owned = |name: &str| Ok::<_, Refusal>(given.text(name)?.filter(|text| !text.is_empty()).map(str::to_owned));
    let source = given.message("source")?;
    let (source_type, source_id) = match &source {
        None => (SourceType::Unspecified, None),
        Some(source) => {
            let told = source.text("source_type")?.unwrap_or("SOURCE_TYPE_UNSPECIFIED");
            let known = SourceType::of(told).ok_or_else(|| source.mistyped("source_type", &json!(told)))?;
            (known, source.text("source_id")?.filter(|id| !id.is_empty()).map(str::to_owned))
        }
    };
    let metadata: BTreeMap<String, String> = text_map(given, "metadata")?;
    Ok(NewAssessment {
        id: owned("assessment_id")?,
        name: given.text("assessment_name")?.unwrap_or_default().to_owned(),
        value: value(given)?,
        source_type,
        source_id,
        span: owned("span_id")?,
        rationale: owned("rationale")?,
        metadata,
        overrides: owned("overrides")?,
        created_at: time(given, "create_time")?,
        updated_at: time(given, "last_update_time")?,
    })
}

fn value(given: &Fields<'_>) -> Answer<AssessmentValue> {
    if let Some(feedback) = given.message("feedback")? {
        let error = feedback.message("error")?.map(|error| failed(&error)).transpose()?;
        return Ok(AssessmentValue::Feedback { value: feedback.get("value").map(as_protobuf).unwrap_or_default(), error });
    }
    if let Some(expectation) = given.message("expectation")? {
        return expected(&expectation).map(|value| AssessmentValue::Expectation { value });
    }
    if let Some(issue) = given.message("issue")? {
        return Ok(AssessmentValue::Issue { name: issue.text("issue_name")?.unwrap_or_default().to_owned() });
    }
    Err(Refusal::invalid("Unknown assessment type: None"))
}

fn failed(error: &Fields<'_>) -> Answer<AssessmentError> {
    let owned = |name: &str| Ok::<_, Refusal>(error.text(name)?.filter(|text| !text.is_empty()).map(str::to_owned));
    Ok(AssessmentError {
        error_code: error.text("error_code")?.unwrap_or_default().to_owned(),
        error_message: owned("error_message")?,
        stack_trace: owned("stack_trace")?,
    })
}

fn expected(expectation: &Fields<'_>) -> Answer<Json> {
    let missing = || Refusal::invalid("The `value` field must be specified.");
    let Some(serialized) = expectation.message("serialized_value")? else {
        return expectation.get("value").map(as_protobuf).ok_or_else(missing);
    };
    let format = serialized.text("serialization_format")?.unwrap_or_default();
    if format != "JSON_FORMAT" {
        return Err(Refusal::invalid(format!("Unknown serialization format: {format}. Only JSON_FORMAT is supported.")));
    }
    let text = serialized.text("value")?.unwrap_or_default();
    Json::parse(text).filter(|value| *value != Json::Null).ok_or_else(missing)
}

/// A value that came as protobuf's `Value`, whose numbers are all floats.
fn as_protobuf(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => Json::Float(number.as_f64().unwrap_or_default()),
        Value::String(text) => Json::Text(text.clone()),
        Value::Array(items) => Json::List(items.iter().map(as_protobuf).collect()),
        Value::Object(map) => Json::Object(map.iter().map(|(name, value)| (name.clone(), as_protobuf(value))).collect()),
    }
}
