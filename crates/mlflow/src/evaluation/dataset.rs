//! Evaluation datasets.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lw_core::{Ctx, Timestamp};
use lw_search::{Entity, Grammar, PageToken, parse_filter, parse_order_by};
use lw_traces::{DatasetRecord, EvaluationDataset};
use serde_json::{Map, Value, json};

use crate::face::Face;
use crate::message::{Fields, Message};
use crate::refusal::{Answer, Refusal};
use crate::route::{Route, both};
use crate::traces::owned;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(both!(POST "3.0/mlflow/datasets/create", Write, "evaluation_dataset", create));
    routes.extend(both!(POST "3.0/mlflow/datasets/search", Read, "evaluation_dataset", search));
    routes.extend(both!(GET "3.0/mlflow/datasets/search", Read, "evaluation_dataset", search));
    routes.extend(both!(GET "3.0/mlflow/datasets/{dataset_id}", Read, "evaluation_dataset", get));
    routes.extend(both!(DELETE "3.0/mlflow/datasets/{dataset_id}", Write, "evaluation_dataset", remove));
    routes.extend(both!(GET "3.0/mlflow/datasets/{dataset_id}/records", Read, "evaluation_dataset", records));
    routes.extend(both!(POST "3.0/mlflow/datasets/{dataset_id}/records", Write, "evaluation_dataset", upsert));
    routes.extend(both!(DELETE "3.0/mlflow/datasets/{dataset_id}/records", Write, "evaluation_dataset", remove_records));
    routes.extend(both!(PATCH "3.0/mlflow/datasets/{dataset_id}/tags", Write, "evaluation_dataset", tag));
    routes.extend(both!(DELETE "3.0/mlflow/datasets/{dataset_id}/tags/{key}", Write, "evaluation_dataset", remove_tag));
    routes.extend(both!(GET "3.0/mlflow/datasets/{dataset_id}/experiment-ids", Read, "evaluation_dataset", experiments));
    routes.extend(both!(POST "3.0/mlflow/datasets/{dataset_id}/add-experiments", Write, "evaluation_dataset", add));
    routes.extend(both!(POST "3.0/mlflow/datasets/{dataset_id}/remove-experiments", Write, "evaluation_dataset", take_out));
    routes
}

async fn create(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let (name, tags) = (fields.required_text("name")?, tags(&fields)?);
    let dataset = face.traces()?.create_dataset(&ctx, name, tags, owned(fields.texts("experiment_ids")?)).await?;
    Ok(Json(json!({"dataset": wire(&dataset)})))
}

async fn get(State(face): State<Face>, Path(id): Path<String>) -> Answer<Json<Value>> {
    let dataset = face.traces()?.dataset(&id).await?;
    Ok(Json(json!({"dataset": wire(&dataset)})))
}

async fn remove(State(face): State<Face>, Extension(ctx): Extension<Ctx>, Path(id): Path<String>) -> Answer<Json<Value>> {
    face.traces()?.remove_dataset(&ctx, &id).await?;
    Ok(Json(json!({})))
}

async fn search(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let limit = fields.integer("max_results")?.unwrap_or(1000);
    let bad =
        || Refusal::invalid(format!("Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer"));
    let limit = u64::try_from(limit).ok().filter(|limit| (1..=50_000).contains(limit)).ok_or_else(bad)?;
    let condition = parse_filter(Entity::EvaluationDataset, Grammar::Mlflow, fields.text("filter_string")?.unwrap_or_default())?;
    let keys = fields.texts("order_by")?;
    let order = if keys.is_empty() { Vec::new() } else { parse_order_by(Entity::EvaluationDataset, &keys)? };
    let token = PageToken::decode(fields.text("page_token")?.unwrap_or_default())?;
    let experiments = owned(fields.texts("experiment_ids")?);
    let page = face.traces()?.search_datasets(experiments, condition, order, limit, token).await?;
    let mut answer = Map::new();
    if !page.datasets.is_empty() {
        answer.insert("datasets".to_owned(), page.datasets.iter().map(wire).collect());
    }
    if let Some(next) = page.next {
        answer.insert("next_page_token".to_owned(), next.encode().into());
    }
    Ok(Json(answer.into()))
}

async fn upsert(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(id): Path<String>,
    message: Message,
) -> Answer<Json<Value>> {
    let fields = message.fields();
    let counts = face.traces()?.upsert_records(&ctx, &id, fields.required_text("records")?).await?;
    Ok(Json(json!({"inserted_count": counts.n_inserted, "updated_count": counts.n_updated})))
}

async fn records(State(face): State<Face>, Path(id): Path<String>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let limit = fields.integer("max_results")?.filter(|limit| *limit > 0).unwrap_or(1000);
    let after = fields.text("page_token")?.filter(|token| !token.is_empty()).map(place).transpose()?;
    let page = face.traces()?.records(&id, limit.unsigned_abs(), after).await?;
    let records: Vec<Value> = page.records.iter().map(|record| wire_record(&id, record)).collect();
    let mut answer = json!({"records": text_of(&Value::Array(records))});
    if let Some((time, last)) = page.next {
        answer["next_page_token"] = STANDARD.encode(format!("{}:{last}", time.micros())).into();
    }
    Ok(Json(answer))
}

/// Where a page of records ended.
fn place(token: &str) -> Answer<(Timestamp, String)> {
    let bad = || Refusal::invalid("Invalid page token, could not base64-decode");
    let text = String::from_utf8(STANDARD.decode(token).map_err(|_| bad())?).map_err(|_| bad())?;
    let (time, id) = text.split_once(':').ok_or_else(bad)?;
    Ok((Timestamp::from_micros(time.parse().map_err(|_| bad())?), id.to_owned()))
}

async fn remove_records(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(id): Path<String>,
    message: Message,
) -> Answer<Json<Value>> {
    let ids = owned(message.fields().texts("dataset_record_ids")?);
    let n_removed = face.traces()?.remove_records(&ctx, &id, ids).await?;
    Ok(Json(json!({"deleted_count": n_removed})))
}

async fn tag(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(id): Path<String>,
    message: Message,
) -> Answer<Json<Value>> {
    let fields = message.fields();
    fields.required_text("tags")?;
    face.traces()?.tag_dataset(&ctx, &id, tags(&fields)?).await?;
    Ok(Json(json!({})))
}

async fn remove_tag(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path((id, key)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    face.traces()?.remove_dataset_tag(&ctx, &id, &key).await?;
    Ok(Json(json!({})))
}

async fn experiments(State(face): State<Face>, Path(id): Path<String>) -> Answer<Json<Value>> {
    let experiments = face.traces()?.dataset_experiments(&id).await?;
    Ok(Json(if experiments.is_empty() { json!({}) } else { json!({"experiment_ids": experiments}) }))
}

async fn add(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(id): Path<String>,
    message: Message,
) -> Answer<Json<Value>> {
    let experiments = owned(message.fields().texts("experiment_ids")?);
    let dataset = face.traces()?.move_dataset(&ctx, &id, experiments, Vec::new()).await?;
    Ok(Json(json!({"dataset": wire(&dataset)})))
}

async fn take_out(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(id): Path<String>,
    message: Message,
) -> Answer<Json<Value>> {
    let experiments = owned(message.fields().texts("experiment_ids")?);
    let dataset = face.traces()?.move_dataset(&ctx, &id, Vec::new(), experiments).await?;
    Ok(Json(json!({"dataset": wire(&dataset)})))
}

/// Tags come as a JSON text. One that is NULL is left as it is.
fn tags(fields: &Fields<'_>) -> Answer<BTreeMap<String, String>> {
    let Some(text) = fields.text("tags")?.filter(|text| !text.is_empty()) else { return Ok(BTreeMap::new()) };
    let Ok(Value::Object(map)) = serde_json::from_str(text) else {
        return Err(Refusal::invalid("Invalid value for parameter 'tags' supplied: it must be the JSON text of an object"));
    };
    let told = map.into_iter().filter(|(_, value)| !value.is_null());
    Ok(told.map(|(key, value)| (key, value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect())
}

/// JSON inside of JSON, as Python writes it.
fn text_of(value: &Value) -> String {
    let text = value.to_string();
    lw_traces::Json::parse(&text).map_or(text, |value| value.dumped())
}

fn wire(dataset: &EvaluationDataset) -> Value {
    let mut wire = json!({
        "dataset_id": dataset.id,
        "name": dataset.name,
        "tags": text_of(&json!(dataset.tags)),
        "digest": dataset.digest,
        "created_time": dataset.created_at.millis(),
        "last_update_time": dataset.updated_at.millis(),
    });
    if dataset.n_records > 0 {
        wire["profile"] = text_of(&json!({"num_records": dataset.n_records})).into();
    }
    let optional = [("schema", &dataset.schema), ("created_by", &dataset.created_by), ("last_updated_by", &dataset.updated_by)];
    for (name, text) in optional {
        if let Some(text) = text {
            wire[name] = json!(text);
        }
    }
    if !dataset.experiments.is_empty() {
        wire["experiment_ids"] = json!(dataset.experiments);
    }
    wire
}

fn wire_record(dataset: &str, record: &DatasetRecord) -> Value {
    let mut wire = json!({
        "dataset_record_id": record.id,
        "dataset_id": dataset,
        "inputs": record.inputs,
        "tags": record.tags,
        "created_time": record.created_at.millis(),
        "last_update_time": record.updated_at.millis(),
    });
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            wire[name] = value;
        }
    };
    set("outputs", record.outputs.as_ref().map(|outputs| json!(outputs)));
    set("expectations", record.expectations.as_ref().map(|expectations| json!(expectations)));
    set("created_by", record.created_by.as_ref().map(|user| json!(user)));
    set("last_updated_by", record.updated_by.as_ref().map(|user| json!(user)));
    if let Some(source) = &record.source {
        let kind = source.get("source_type").and_then(lw_traces::Json::as_text).unwrap_or_default();
        let named = if kind == "TRACE" { "trace_id" } else { "source_id" };
        let id = source.get("source_data").and_then(lw_traces::Json::as_fields).and_then(|data| data.get(named));
        set("source_id", id.and_then(lw_traces::Json::as_text).map(|id| json!(id)));
        set("source_type", Some(json!(kind)));
        set("source", Some(json!(source)));
    }
    wire
}
