//! Experiments: `/mlflow/experiments/…`.

use std::collections::BTreeMap;

use axum::extract::{Extension, State};
use axum::response::Response;
use lw_core::Ctx;
use lw_search::{Entity, Grammar, PageToken, parse_filter, parse_order_by};
use lw_tracking::{Experiment, ExperimentId, ExperimentSearch, NewExperiment, View};
use serde::Serialize;

use crate::document::{Done, Pair, json, pairs};
use crate::refusal::Answer;
use crate::route::{Route, both};
use crate::{Face, Fields, Message, Refusal};

pub(crate) fn routes() -> Vec<Route> {
    [
        both!(POST "2.0/mlflow/experiments/create", Write, "experiment", create),
        both!(GET "2.0/mlflow/experiments/get", Read, "experiment", get),
        both!(GET "2.0/mlflow/experiments/get-by-name", Read, "experiment", get_by_name),
        both!(POST "2.0/mlflow/experiments/delete", Write, "experiment", delete),
        both!(POST "2.0/mlflow/experiments/restore", Write, "experiment", restore),
        both!(POST "2.0/mlflow/experiments/update", Write, "experiment", update),
        both!(POST "2.0/mlflow/experiments/set-experiment-tag", Write, "experiment", set_tag),
        both!(POST "2.0/mlflow/experiments/delete-experiment-tag", Write, "experiment", delete_tag),
        both!(POST "2.0/mlflow/experiments/search", Read, "experiment", search),
        both!(GET "2.0/mlflow/experiments/search", Read, "experiment", search),
        both!(POST "2.0/mlflow/experiments/search-datasets", Read, "experiment", search_datasets),
        // The official route lacks a slash.
        both!(POST "2.0mlflow/experiments/search-datasets", Read, "experiment", search_datasets),
    ]
    .concat_all()
}

/// Pairs of routes as one list.
pub(crate) trait ConcatAll {
    fn concat_all(self) -> Vec<Route>;
}

impl<const N: usize> ConcatAll for [[Route; 2]; N] {
    fn concat_all(self) -> Vec<Route> {
        self.into_iter().flatten().collect()
    }
}

#[derive(Serialize)]
struct Document<'a> {
    experiment_id: String,
    name: &'a str,
    artifact_location: &'a str,
    lifecycle_stage: &'a str,
    last_update_time: i64,
    creation_time: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair<'a>>,
    workspace: &'a str,
}

impl<'a> Document<'a> {
    fn of(experiment: &'a Experiment) -> Self {
        Self {
            experiment_id: experiment.id.to_string(),
            name: &experiment.name,
            artifact_location: &experiment.artifact_location,
            lifecycle_stage: experiment.lifecycle.name(),
            last_update_time: experiment.updated_at.millis(),
            creation_time: experiment.created_at.millis(),
            tags: pairs(&experiment.tags),
            workspace: "default",
        }
    }
}

#[derive(Serialize)]
struct Created {
    experiment_id: String,
}

#[derive(Serialize)]
struct Found<'a> {
    experiment: Document<'a>,
}

/// The tags of a message, of which the last with a key counts.
fn tags_of(fields: &Fields<'_>) -> Answer<BTreeMap<String, String>> {
    let tag = |tag: Fields<'_>| {
        Ok((tag.text("key")?.unwrap_or_default().to_owned(), tag.text("value")?.unwrap_or_default().to_owned()))
    };
    fields.list("tags")?.into_iter().map(tag).collect()
}

/// The id that a message must name.
pub(crate) fn experiment_id(fields: &Fields<'_>) -> Answer<ExperimentId> {
    Ok(ExperimentId::parse(fields.required_text("experiment_id")?)?)
}

async fn create(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let name = fields.required_text("name")?.to_owned();
    let artifact_location = fields.text("artifact_location")?.filter(|location| !location.is_empty()).map(str::to_owned);
    let new = NewExperiment { name, artifact_location, tags: tags_of(&fields)? };
    let experiment = face.ready_tracking(&ctx).await?.create_experiment(&ctx, new).await?;
    Ok(json(&Created { experiment_id: experiment.id.to_string() }))
}

pub(crate) async fn get(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let id = experiment_id(&message.fields())?;
    let experiment = face.ready_tracking(&ctx).await?.experiment(id).await?;
    Ok(json(&Found { experiment: Document::of(&experiment) }))
}

async fn get_by_name(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let name = fields.required_text("experiment_name")?;
    let experiment = face.ready_tracking(&ctx).await?.experiment_by_name(name).await?;
    Ok(json(&Found { experiment: Document::of(&experiment) }))
}

async fn delete(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let id = experiment_id(&message.fields())?;
    face.ready_tracking(&ctx).await?.delete_experiment(&ctx, id).await?;
    Ok(json(&Done {}))
}

async fn restore(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let id = experiment_id(&message.fields())?;
    face.ready_tracking(&ctx).await?.restore_experiment(&ctx, id).await?;
    Ok(json(&Done {}))
}

async fn update(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let (id, name) = (fields.required_text("experiment_id")?, fields.required_text("new_name")?);
    face.ready_tracking(&ctx).await?.rename_experiment(&ctx, ExperimentId::parse(id)?, name).await?;
    Ok(json(&Done {}))
}

async fn set_tag(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let (id, key) = (fields.required_text("experiment_id")?, fields.required_text("key")?);
    let value = fields.text("value")?.unwrap_or_default();
    face.ready_tracking(&ctx).await?.tag_experiment(&ctx, ExperimentId::parse(id)?, key, value).await?;
    Ok(json(&Done {}))
}

async fn delete_tag(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let (id, key) = (fields.required_text("experiment_id")?, fields.required_text("key")?);
    face.ready_tracking(&ctx).await?.remove_experiment_tag(&ctx, ExperimentId::parse(id)?, key).await?;
    Ok(json(&Done {}))
}

/// Which things a search looks at; the active ones if it says nothing.
pub(crate) fn view_of(fields: &Fields<'_>, name: &str) -> Answer<View> {
    let number = fields.enumeration(name, &[("ACTIVE_ONLY", 1), ("DELETED_ONLY", 2), ("ALL", 3)])?;
    Ok(match number {
        Some(2) => View::Deleted,
        Some(3) => View::All,
        _ => View::Active,
    })
}

/// The greatest number of results that a search gives at once.
pub(crate) const MOST_RESULTS: i64 = 50_000;

/// The number of results, which must be positive.
pub(crate) fn checked_limit(max_results: i64) -> Answer<u64> {
    let refused = |how: &str| {
        Refusal::invalid(format!("Invalid value {max_results} for parameter 'max_results' supplied. It must be {how}"))
    };
    match u64::try_from(max_results) {
        Ok(0) | Err(_) => Err(refused("a positive integer")),
        Ok(_) if max_results > MOST_RESULTS => Err(refused(&format!("at most {MOST_RESULTS}"))),
        Ok(limit) => Ok(limit),
    }
}

async fn search(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    #[derive(Serialize)]
    struct Page<'a> {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        experiments: Vec<Document<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_page_token: Option<String>,
    }
    let fields = message.fields();
    let view = view_of(&fields, "view_type")?;
    let max_results = fields.integer("max_results")?.unwrap_or(0);
    let (order_by, filter) = (fields.texts("order_by")?, fields.text("filter")?.unwrap_or_default());
    let token = fields.text("page_token")?.unwrap_or_default();
    let limit = checked_limit(max_results)?;
    let filter = parse_filter(Entity::Experiment, Grammar::Mlflow, filter)?;
    let order_by = parse_order_by(Entity::Experiment, &order_by)?;
    let offset = PageToken::decode(token)?.offset;
    let search = ExperimentSearch { filter, order_by, view, limit, offset };
    let found = face.ready_tracking(&ctx).await?.search_experiments(search).await?;
    Ok(json(&Page {
        experiments: found.items.iter().map(Document::of).collect(),
        next_page_token: found.next_offset.map(|offset| PageToken { offset }.encode()),
    }))
}

pub(crate) async fn search_datasets(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    message: Message,
) -> Answer<Response> {
    const MOST_EXPERIMENTS: usize = 20;
    #[derive(Serialize)]
    struct Summary {
        experiment_id: String,
        name: String,
        digest: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<String>,
    }
    #[derive(Serialize)]
    struct Page {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        dataset_summaries: Vec<Summary>,
    }
    let fields = message.fields();
    let ids = fields.texts("experiment_ids")?;
    if ids.is_empty() {
        return Err(Refusal::invalid("SearchDatasets request must specify at least one experiment_id."));
    }
    if ids.len() > MOST_EXPERIMENTS {
        let n_ids = ids.len();
        return Err(Refusal::invalid(format!(
            "SearchDatasets request cannot specify more than {MOST_EXPERIMENTS} experiment_ids. Received {n_ids} experiment_ids."
        )));
    }
    let ids = ids.into_iter().map(ExperimentId::parse).collect::<lw_core::Result<Vec<_>>>()?;
    let datasets = face.ready_tracking(&ctx).await?.datasets(&ids).await?;
    let summary = |dataset: lw_tracking::DatasetSummary| Summary {
        experiment_id: dataset.experiment.to_string(),
        name: dataset.name,
        digest: dataset.digest,
        context: dataset.context.filter(|context| !context.is_empty()),
    };
    Ok(json(&Page { dataset_summaries: datasets.into_iter().map(summary).collect() }))
}
