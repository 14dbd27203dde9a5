//! Finding traces.

use axum::Json;
use axum::extract::State;
use lw_search::{Condition, Entity, Grammar, OrderBy, PageToken, parse_filter, parse_order_by};
use lw_traces::{TracePage, TraceSearch};
use lw_tracking::ExperimentId;
use serde_json::{Map, Value, json};

use super::{experiments, required_list, wire};
use crate::face::Face;
use crate::message::{Fields, Message};
use crate::refusal::{Answer, Refusal};

const MAX_RESULTS: i64 = 500;

pub(super) async fn search(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    fields.get("locations").ok_or_else(|| fields.missing("locations"))?;
    let mut places = Vec::new();
    for location in fields.list("locations")? {
        if let Some(place) = location.message("mlflow_experiment")? {
            places.push(ExperimentId::parse(place.text("experiment_id")?.unwrap_or_default())?);
        }
    }
    let page = face.traces()?.search(asked(&fields, places)?).await?;
    Ok(Json(listed(&page, wire::info)))
}

/// What is asked for beside the experiments.
pub(super) fn asked(fields: &Fields<'_>, experiments: Vec<ExperimentId>) -> Answer<TraceSearch> {
    let limit = fields.integer("max_results")?.unwrap_or(100);
    if limit > MAX_RESULTS {
        return Err(fields.mistyped("max_results", &json!(limit)));
    }
    let bad =
        || Refusal::invalid(format!("Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer"));
    let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0).ok_or_else(bad)?;
    Ok(TraceSearch {
        experiments,
        condition: condition(fields, "filter")?,
        order: order(fields)?,
        limit,
        page: PageToken::decode(fields.text("page_token")?.unwrap_or_default())?,
    })
}

fn order(fields: &Fields<'_>) -> Answer<Vec<OrderBy>> {
    let keys = fields.texts("order_by")?;
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    Ok(parse_order_by(Entity::Trace, &keys)?)
}

fn condition(fields: &Fields<'_>, name: &str) -> Answer<Option<Condition>> {
    Ok(parse_filter(Entity::Trace, Grammar::Mlflow, fields.text(name)?.unwrap_or_default())?)
}

/// A page as an answer; MLflow leaves out what is empty.
pub(super) fn listed(page: &TracePage, write: fn(&lw_traces::Trace) -> Value) -> Value {
    let mut answer = Map::new();
    if !page.traces.is_empty() {
        answer.insert("traces".to_owned(), page.traces.iter().map(write).collect());
    }
    if let Some(next) = page.next {
        answer.insert("next_page_token".to_owned(), next.encode().into());
    }
    Value::Object(answer)
}

pub(super) async fn correlate(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let experiments = experiments(required_list(&fields, "experiment_ids")?)?;
    let required = |name: &str| {
        fields.required_text(name)?;
        let everything = || Condition::All(Vec::new());
        Ok::<_, Refusal>(condition(&fields, name)?.unwrap_or_else(everything))
    };
    let (first, second) = (required("filter_string1")?, required("filter_string2")?);
    let base = condition(&fields, "base_filter")?;
    let found = face.traces()?.correlate(&experiments, first, second, base).await?;
    // What is no number is a text in protobuf's JSON.
    let number = |value: f64| if value.is_nan() { json!("NaN") } else { json!(value) };
    Ok(Json(json!({
        "npmi": number(found.npmi),
        "npmi_smoothed": number(found.npmi_smoothed),
        "filter1_count": found.n_first,
        "filter2_count": found.n_second,
        "joint_count": found.n_both,
        "total_count": found.n_all,
    })))
}
