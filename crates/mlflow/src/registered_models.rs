//! Registered models: what they are, their aliases and tags. Prompts are models with a tag.

use axum::extract::{Extension, State};
use lw_core::Ctx;
use lw_registry::{ALIAS_NOT_FOUND, Alias, MODEL_EXISTS, PROMPT_TAG, Stage, Wanted};
use lw_search::{Entity, Grammar, PageToken, parse_filter, parse_order_by};
use serde_json::{Value, json};

use crate::face::Face;
use crate::message::Message;
use crate::refusal::{Answer, ErrorCode, Refusal};
use crate::registry_answer::{self as answer, About};
use crate::route::{Route, both};

type Answered = Answer<axum::Json<Value>>;

pub(crate) fn routes() -> Vec<Route> {
    [
        both!(POST "2.0/mlflow/registered-models/create", Write, "model", create),
        both!(GET "2.0/mlflow/registered-models/get", Read, "model", get),
        both!(PATCH "2.0/mlflow/registered-models/update", Write, "model", update),
        both!(POST "2.0/mlflow/registered-models/rename", Write, "model", rename),
        both!(DELETE "2.0/mlflow/registered-models/delete", Write, "model", delete),
        both!(GET "2.0/mlflow/registered-models/search", Read, "model", search),
        both!(GET "2.0/mlflow/registered-models/get-latest-versions", Read, "model", latest),
        both!(POST "2.0/mlflow/registered-models/get-latest-versions", Read, "model", latest),
        both!(POST "2.0/mlflow/registered-models/set-tag", Write, "model", set_tag),
        both!(DELETE "2.0/mlflow/registered-models/delete-tag", Write, "model", delete_tag),
        both!(POST "2.0/mlflow/registered-models/alias", Write, "model", set_alias),
        both!(GET "2.0/mlflow/registered-models/alias", Read, "model", by_alias),
        both!(DELETE "2.0/mlflow/registered-models/alias", Write, "model", delete_alias),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn create(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let given = fields.required_text("name")?;
    let tags = answer::tags(&fields)?;
    let description = fields.text("description")?.unwrap_or_default();
    let name = lw_core::ModelName::parse(given)?;
    let is_prompt = tags.contains_key(PROMPT_TAG);
    match face.registry().create_model(&ctx, &name, description, tags).await {
        Ok(_) => {}
        Err(error) if error.is(MODEL_EXISTS) => {
            let standing = face.registry().model_record(&name).await?;
            return Err(taken(given, standing.tags.contains_key(PROMPT_TAG), is_prompt));
        }
        Err(error) => return Err(About::model(&name).refusal(error)),
    }
    let record = face.registry().model_record(&name).await?;
    Ok(axum::Json(json!({"registered_model": answer::model(&record)})))
}

/// Models and prompts share their names.
fn taken(name: &str, standing_is_prompt: bool, new_is_prompt: bool) -> Refusal {
    let kind = |is_prompt| if is_prompt { "Prompt" } else { "Registered Model" };
    let (standing, new) = (kind(standing_is_prompt), kind(new_is_prompt));
    let message = if standing == new {
        format!("{new} (name={name}) already exists.")
    } else {
        format!(
            "Tried to create a {} with name '{name}', but the name is already taken by a {}. MLflow does not allow creating a model \
             and a prompt with the same name.",
            new.to_lowercase(),
            standing.to_lowercase()
        )
    };
    Refusal::new(ErrorCode::ResourceAlreadyExists, message)
}

async fn get(State(face): State<Face>, message: Message) -> Answered {
    let name = answer::name(&message.fields())?;
    let record = face.registry().model_record(&name).await.map_err(|error| About::model(&name).refusal(error))?;
    Ok(axum::Json(json!({"registered_model": answer::model(&record)})))
}

async fn update(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let name = answer::name(&fields)?;
    let description = fields.text("description")?.unwrap_or_default();
    let refusal = |error| About::model(&name).refusal(error);
    face.registry().describe_model(&ctx, &name, description).await.map_err(refusal)?;
    let record = face.registry().model_record(&name).await.map_err(refusal)?;
    Ok(axum::Json(json!({"registered_model": answer::model(&record)})))
}

async fn rename(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let (given, to) = (fields.required_text("name")?, fields.required_text("new_name")?);
    if to.trim().is_empty() {
        return Err(Refusal::invalid("Missing value for required parameter 'new_name'."));
    }
    let (to, name) = (lw_core::ModelName::parse(to)?, lw_core::ModelName::parse(given)?);
    let renamed = face.registry().rename_model(&ctx, &name, &to).await;
    let record = renamed.map_err(|error| About::model(&name).refusal(error))?;
    Ok(axum::Json(json!({"registered_model": answer::model(&record)})))
}

async fn delete(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let name = answer::name(&message.fields())?;
    face.registry().delete_model(&ctx, &name).await.map_err(|error| About::model(&name).refusal(error))?;
    Ok(axum::Json(json!({})))
}

async fn search(State(face): State<Face>, message: Message) -> Answered {
    let fields = message.fields();
    let max_results = answer::max_results(&fields, 100, 1000)?;
    let (filter, order) = (fields.text("filter")?.unwrap_or_default(), fields.texts("order_by")?);
    let limit = u64::try_from(max_results).unwrap_or(0);
    let wanted = Wanted {
        filter: parse_filter(Entity::RegisteredModel, Grammar::Mlflow, filter)?,
        order: parse_order_by(Entity::RegisteredModel, &order)?,
        offset: PageToken::decode(fields.text("page_token")?.unwrap_or_default())?.offset,
        limit,
    };
    let next = PageToken { offset: wanted.offset + limit };
    let found = face.registry().search_models(wanted).await?;
    let mut answered = json!({});
    if !found.items.is_empty() {
        answered["registered_models"] = found.items.iter().map(answer::model).collect();
    }
    if found.has_more {
        answered["next_page_token"] = next.encode().into();
    }
    Ok(axum::Json(answered))
}

async fn latest(State(face): State<Face>, message: Message) -> Answered {
    let fields = message.fields();
    let name = answer::name(&fields)?;
    let stages = fields.texts("stages")?;
    face.registry().model(&name).await.map_err(|error| About::model(&name).refusal(error))?;
    let stages = stages.into_iter().map(Stage::parse).collect::<lw_core::Result<Vec<_>>>()?;
    let versions = face.registry().latest_in_stages(&name, &stages).await;
    let versions = versions.map_err(|error| About::model(&name).refusal(error))?;
    if versions.is_empty() {
        return Ok(axum::Json(json!({})));
    }
    Ok(axum::Json(json!({"model_versions": versions.iter().map(answer::version).collect::<Vec<_>>()})))
}

async fn set_tag(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let (given, key) = (fields.required_text("name")?, fields.required_text("key")?);
    let value = fields.text("value")?.unwrap_or_default();
    let name = lw_core::ModelName::parse(given)?;
    let set = face.registry().set_model_tag(&ctx, &name, key, value).await;
    set.map_err(|error| About::model(&name).refusal(error))?;
    Ok(axum::Json(json!({})))
}

async fn delete_tag(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let (given, key) = (fields.required_text("name")?, fields.required_text("key")?);
    let name = lw_core::ModelName::parse(given)?;
    let removed = face.registry().remove_model_tag(&ctx, &name, key).await;
    removed.map_err(|error| About::model(&name).refusal(error))?;
    Ok(axum::Json(json!({})))
}

async fn set_alias(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let (given, alias) = (fields.required_text("name")?, fields.required_text("alias")?);
    let version = fields.required_text("version")?;
    let (name, alias) = (lw_core::ModelName::parse(given)?, Alias::parse(alias)?);
    let version = answer::number(version)?;
    let set = face.registry().set_alias(&ctx, &name, &alias, answer::existing(&name, version)?).await;
    set.map_err(|error| About::version(&name, version).refusal(error))?;
    Ok(axum::Json(json!({})))
}

async fn by_alias(State(face): State<Face>, message: Message) -> Answered {
    let fields = message.fields();
    let (given, alias) = (fields.required_text("name")?, fields.required_text("alias")?);
    let (name, parsed) = (lw_core::ModelName::parse(given)?, Alias::parse_reserved(alias)?);
    let found = face.registry().record_by_alias(&name, &parsed).await;
    let record = found.map_err(|error| About::alias(&name, alias).refusal(error))?;
    Ok(axum::Json(json!({"model_version": answer::version(&record)})))
}

/// Clients may take away an alias that is not there.
async fn delete_alias(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let (given, alias) = (fields.required_text("name")?, fields.required_text("alias")?);
    let (name, parsed) = (lw_core::ModelName::parse(given)?, Alias::parse_reserved(alias)?);
    match face.registry().remove_alias(&ctx, &name, &parsed).await {
        Err(error) if !error.is(ALIAS_NOT_FOUND) => Err(About::alias(&name, alias).refusal(error)),
        _ => Ok(axum::Json(json!({}))),
    }
}
