//! Versions of registered models.

use axum::extract::{Extension, State};
use lw_core::Ctx;
use lw_governance::Caller;
use lw_registry::{Stage, Wanted};
use lw_search::{Entity, Grammar, PageToken, parse_filter, parse_order_by};
use serde_json::{Value, json};

use crate::face::Face;
use crate::message::Message;
use crate::model_intake::{Request, take_in};
use crate::refusal::{Answer, Refusal};
use crate::registry_answer::{self as answer, About};
use crate::route::{Route, both};

type Answered = Answer<axum::Json<Value>>;

pub(crate) fn routes() -> Vec<Route> {
    [
        both!(POST "2.0/mlflow/model-versions/create", Write, "model", create),
        both!(GET "2.0/mlflow/model-versions/get", Read, "model", get),
        both!(PATCH "2.0/mlflow/model-versions/update", Write, "model", update),
        both!(DELETE "2.0/mlflow/model-versions/delete", Write, "model", delete),
        both!(GET "2.0/mlflow/model-versions/search", Read, "model", search),
        both!(GET "2.0/mlflow/model-versions/get-download-uri", Read, "model", download_uri),
        both!(POST "2.0/mlflow/model-versions/transition-stage", Write, "model", transition),
        both!(POST "2.0/mlflow/model-versions/set-tag", Write, "model", set_tag),
        both!(DELETE "2.0/mlflow/model-versions/delete-tag", Write, "model", delete_tag),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn create(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    caller: Option<Extension<Caller>>,
    message: Message,
) -> Answered {
    let fields = message.fields();
    let request = Request {
        name: fields.required_text("name")?,
        source: fields.required_text("source")?,
        run_id: fields.text("run_id")?,
        tags: answer::tags(&fields)?,
        run_link: fields.text("run_link")?.unwrap_or_default(),
        description: fields.text("description")?.unwrap_or_default(),
        model_id: fields.text("model_id")?,
    };
    let is_owner = caller.is_none_or(|Extension(caller)| matches!(caller, Caller::Owner));
    let record = take_in(&face, &ctx, is_owner, request).await?;
    Ok(axum::Json(json!({"model_version": answer::version(&record)})))
}

async fn get(State(face): State<Face>, message: Message) -> Answered {
    let fields = message.fields();
    let (given, version) = (fields.required_text("name")?, fields.required_text("version")?);
    let name = lw_core::ModelName::parse(given)?;
    let version = answer::number(version)?;
    let found = face.registry().version_record(&name, answer::existing(&name, version)?).await;
    let record = found.map_err(|error| About::version(&name, version).refusal(error))?;
    Ok(axum::Json(json!({"model_version": answer::version(&record)})))
}

async fn update(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let (given, version) = (fields.required_text("name")?, fields.required_text("version")?);
    let description = fields.text("description")?.map(str::to_owned);
    let name = lw_core::ModelName::parse(given)?;
    let version = answer::number(version)?;
    let described = face.registry().describe_version(&ctx, &name, answer::existing(&name, version)?, description).await;
    let record = described.map_err(|error| About::version(&name, version).refusal(error))?;
    Ok(axum::Json(json!({"model_version": answer::version(&record)})))
}

async fn delete(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let (given, version) = (fields.required_text("name")?, fields.required_text("version")?);
    let version = answer::number(version)?;
    let name = lw_core::ModelName::parse(given)?;
    let deleted = face.registry().delete_version(&ctx, &name, answer::existing(&name, version)?).await;
    deleted.map_err(|error| About::version(&name, version).refusal(error))?;
    Ok(axum::Json(json!({})))
}

pub(crate) async fn search(State(face): State<Face>, message: Message) -> Answered {
    let fields = message.fields();
    let max_results = answer::max_results(&fields, 200_000, 200_000)?;
    let (filter, order) = (fields.text("filter")?.unwrap_or_default(), fields.texts("order_by")?);
    let Some(limit) = u64::try_from(max_results).ok().filter(|limit| *limit > 0) else {
        let message = format!("Invalid value for max_results. It must be a positive integer, but got {max_results}");
        return Err(Refusal::invalid(message));
    };
    let wanted = Wanted {
        filter: parse_filter(Entity::ModelVersion, Grammar::Mlflow, filter)?,
        order: parse_order_by(Entity::ModelVersion, &order)?,
        offset: PageToken::decode(fields.text("page_token")?.unwrap_or_default())?.offset,
        limit,
    };
    let next = PageToken { offset: wanted.offset + limit };
    let found = face.registry().search_versions(wanted).await?;
    let mut answered = json!({});
    if !found.items.is_empty() {
        answered["model_versions"] = found.items.iter().map(answer::version).collect();
    }
    if found.has_more {
        answered["next_page_token"] = next.encode().into();
    }
    Ok(axum::Json(answered))
}

async fn download_uri(State(face): State<Face>, message: Message) -> Answered {
    let fields = message.fields();
    let name = lw_core::ModelName::parse(fields.text("name")?.unwrap_or_default())?;
    let version = answer::number(fields.text("version")?.unwrap_or_default())?;
    let found = face.registry().version(&name, answer::existing(&name, version)?).await;
    let origin = found.map_err(|error| About::version(&name, version).refusal(error))?.origin;
    let uri = if origin.location.is_empty() { origin.source } else { origin.location };
    Ok(axum::Json(json!({"artifact_uri": uri})))
}

async fn transition(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let (given, version) = (fields.required_text("name")?, fields.required_text("version")?);
    let stage = fields.required_text("stage")?;
    let archives_others = fields.boolean("archive_existing_versions")?.unwrap_or(false);
    let stage = Stage::parse(stage)?;
    let name = lw_core::ModelName::parse(given)?;
    let version = answer::number(version)?;
    let set = face.registry().set_stage(&ctx, &name, answer::existing(&name, version)?, stage, archives_others).await;
    let record = set.map_err(|error| About::version(&name, version).refusal(error))?;
    Ok(axum::Json(json!({"model_version": answer::version(&record)})))
}

async fn set_tag(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let (given, version) = (fields.required_text("name")?, fields.required_text("version")?);
    let (key, value) = (fields.required_text("key")?, fields.text("value")?.unwrap_or_default());
    let name = lw_core::ModelName::parse(given)?;
    let version = answer::number(version)?;
    let set = face.registry().set_version_tag(&ctx, &name, answer::existing(&name, version)?, key, value).await;
    set.map_err(|error| About::version(&name, version).refusal(error))?;
    Ok(axum::Json(json!({})))
}

async fn delete_tag(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let (given, version) = (fields.required_text("name")?, fields.required_text("version")?);
    let key = fields.required_text("key")?;
    let name = lw_core::ModelName::parse(given)?;
    let version = answer::number(version)?;
    let removed = face.registry().remove_version_tag(&ctx, &name, answer::existing(&name, version)?, key).await;
    removed.map_err(|error| About::version(&name, version).refusal(error))?;
    Ok(axum::Json(json!({})))
}
