//! `logged-models/search`, whose page tokens belong to one request.

use axum::extract::{Extension, State};
use axum::response::Response;
use lw_core::Ctx;
use lw_search::{
    Entity, Grammar, LoggedModelOrderText, LoggedModelPageToken, MetricDataset, parse_filter, parse_logged_model_order,
};
use lw_tracking::{ExperimentId, LoggedModelSearch};
use serde::Serialize;

use super::document::ModelDocument;
use crate::document::json;
use crate::refusal::Answer;
use crate::{Face, Fields, Message, Refusal};

const DEFAULT_RESULTS: i64 = 50;

#[derive(Serialize)]
struct Page<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    models: Vec<ModelDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// As it stands in page tokens.
#[derive(Debug, Serialize)]
struct OrderKey {
    field_name: String,
    ascending: bool,
    dataset_name: Option<String>,
    dataset_digest: Option<String>,
}

pub(super) async fn search(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    if fields.get("experiment_ids").is_none() {
        return Err(fields.missing("experiment_ids"));
    }
    let experiment_ids: Vec<String> = fields.texts("experiment_ids")?.into_iter().map(str::to_owned).collect();
    let filter_string = fields.text("filter")?.filter(|filter| !filter.is_empty()).map(str::to_owned);
    let datasets = fields.list("datasets")?.iter().map(dataset_of).collect::<Answer<Vec<_>>>()?;
    let limit = match fields.integer("max_results")?.unwrap_or(DEFAULT_RESULTS) {
        0 => DEFAULT_RESULTS,
        given => given,
    };
    let limit = crate::experiments::checked_limit(limit)?;
    let order_by = fields.list("order_by")?.iter().map(order_key_of).collect::<Answer<Vec<_>>>()?;
    let order_value = if order_by.is_empty() { None } else { serde_json::to_value(&order_by).ok() };
    let asked =
        LoggedModelPageToken { experiment_ids, filter: filter_string, order_by: order_value.unwrap_or_default(), offset: 0 };
    let offset = match fields.text("page_token")?.filter(|token| !token.is_empty()) {
        Some(text) => LoggedModelPageToken::decode(text, &asked)?.offset,
        None => 0,
    };
    let keys: Vec<LoggedModelOrderText<'_>> = order_by.iter().map(order_text).collect();
    let ids = asked.experiment_ids.iter().map(|id| ExperimentId::parse(id)).collect::<lw_core::Result<Vec<_>>>()?;
    let search = LoggedModelSearch {
        experiments: ids,
        filter: parse_filter(Entity::LoggedModel, Grammar::Mlflow, asked.filter.as_deref().unwrap_or_default())?,
        datasets,
        order_by: parse_logged_model_order(&keys)?,
        limit,
        offset,
    };
    let found = face.ready_tracking(&ctx).await?.search_logged_models(search).await?;
    let next_page_token = found.next_offset.map(|offset| LoggedModelPageToken { offset, ..asked }.encode());
    Ok(json(&Page { models: found.items.iter().map(ModelDocument::of).collect(), next_page_token }))
}

fn dataset_of(dataset: &Fields<'_>) -> Answer<MetricDataset> {
    let text = |name: &str| dataset.text(name).map(|text| text.filter(|text| !text.is_empty()).map(str::to_owned));
    let Some(name) = text("dataset_name")? else {
        return Err(Refusal::invalid("`dataset_name` in the `datasets` clause must be specified."));
    };
    Ok(MetricDataset { name, digest: text("dataset_digest")? })
}

fn order_key_of(key: &Fields<'_>) -> Answer<OrderKey> {
    let text = |name: &str| key.text(name).map(|text| text.filter(|text| !text.is_empty()).map(str::to_owned));
    Ok(OrderKey {
        field_name: key.text("field_name")?.unwrap_or_default().to_owned(),
        ascending: key.boolean("ascending")?.unwrap_or(true),
        dataset_name: text("dataset_name")?,
        dataset_digest: text("dataset_digest")?,
    })
}

fn order_text(key: &OrderKey) -> LoggedModelOrderText<'_> {
    LoggedModelOrderText {
        field_name: Some(&key.field_name),
        ascending: Some(key.ascending),
        dataset_name: key.dataset_name.as_deref(),
        // A digest says nothing without its data set's name, and MLflow's server passes over it.
        dataset_digest: key.dataset_name.as_ref().and(key.dataset_digest.as_deref()),
    }
}
