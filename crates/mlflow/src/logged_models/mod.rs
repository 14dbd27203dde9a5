//! Logged models: `/mlflow/logged-models/…`.

mod document;
mod search;

use axum::extract::{Extension, Path, State};
use axum::response::Response;
use lw_core::Ctx;
use lw_tracking::{LoggedModelData, LoggedModelStatus, NewLoggedModel};
use serde::Serialize;

use self::document::{ModelDocument, STATUSES};
use crate::document::{Done, json};
use crate::experiments::{ConcatAll as _, experiment_id};
use crate::refusal::Answer;
use crate::route::{Route, both};
use crate::runs::{model_id, pairs_of};
use crate::{Face, Message};

pub(crate) fn routes() -> Vec<Route> {
    [
        both!(POST "2.0/mlflow/logged-models", Write, "logged_model", create),
        both!(POST "2.0/mlflow/logged-models/search", Read, "logged_model", search::search),
        both!(GET "2.0/mlflow/logged-models/{model_id}", Read, "logged_model", get),
        both!(PATCH "2.0/mlflow/logged-models/{model_id}", Write, "logged_model", finalize),
        both!(DELETE "2.0/mlflow/logged-models/{model_id}", Write, "logged_model", delete),
        both!(POST "2.0/mlflow/logged-models/{model_id}/params", Write, "logged_model", log_params),
        both!(PATCH "2.0/mlflow/logged-models/{model_id}/tags", Write, "logged_model", set_tags),
        both!(DELETE "2.0/mlflow/logged-models/{model_id}/tags/{tag_key}", Write, "logged_model", delete_tag),
    ]
    .concat_all()
}

fn found(data: &LoggedModelData) -> Response {
    #[derive(Serialize)]
    struct Found<'a> {
        model: ModelDocument<'a>,
    }
    json(&Found { model: ModelDocument::of(data) })
}

async fn create(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let experiment = experiment_id(&fields)?;
    let text = |name: &str| fields.text(name).map(|text| text.unwrap_or_default().to_owned());
    let new = NewLoggedModel {
        experiment,
        name: fields.text("name")?.filter(|name| !name.is_empty()).map(str::to_owned),
        model_type: text("model_type")?,
        source_run: text("source_run_id")?,
        params: pairs_of(&fields, "params")?,
        tags: pairs_of(&fields, "tags")?,
    };
    Ok(found(&face.ready_tracking(&ctx).await?.create_logged_model(&ctx, new).await?))
}

async fn get(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(id): Path<String>,
    message: Message,
) -> Answer<Response> {
    let id = model_id(&id)?;
    let may_be_deleted = message.fields().text("allow_deleted")?.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let tracking = face.ready_tracking(&ctx).await?;
    let data = if may_be_deleted { tracking.logged_model_or_deleted(&id).await? } else { tracking.logged_model(&id).await? };
    Ok(found(&data))
}

async fn finalize(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(id): Path<String>,
    message: Message,
) -> Answer<Response> {
    let fields = message.fields();
    let status = fields.enumeration("status", &STATUSES.map(|(name, number, _)| (name, number)))?;
    let status = STATUSES.into_iter().find(|(_, number, _)| Some(*number) == status).map(|(_, _, status)| status);
    let status = match (status, fields.get("status")) {
        (Some(status), _) => status,
        (None, None) => return Err(fields.missing("status")),
        // As in MLflow a status that nobody knows is none.
        (None, Some(_)) => LoggedModelStatus::Unspecified,
    };
    Ok(found(&face.ready_tracking(&ctx).await?.finalize_logged_model(&ctx, &model_id(&id)?, status).await?))
}

async fn delete(State(face): State<Face>, Extension(ctx): Extension<Ctx>, Path(id): Path<String>) -> Answer<Response> {
    face.ready_tracking(&ctx).await?.delete_logged_model(&ctx, &model_id(&id)?).await?;
    Ok(json(&Done {}))
}

async fn log_params(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(id): Path<String>,
    message: Message,
) -> Answer<Response> {
    let params = pairs_of(&message.fields(), "params")?;
    face.ready_tracking(&ctx).await?.log_model_params(&ctx, &model_id(&id)?, params).await?;
    Ok(json(&Done {}))
}

async fn set_tags(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path(id): Path<String>,
    message: Message,
) -> Answer<Response> {
    let tags = pairs_of(&message.fields(), "tags")?;
    face.ready_tracking(&ctx).await?.tag_logged_model(&ctx, &model_id(&id)?, tags).await?;
    Ok(json(&Done {}))
}

async fn delete_tag(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    Path((id, key)): Path<(String, String)>,
) -> Answer<Response> {
    face.ready_tracking(&ctx).await?.remove_logged_model_tag(&ctx, &model_id(&id)?, &key).await?;
    Ok(json(&Done {}))
}
