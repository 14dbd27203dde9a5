//! `logged-models/search`, whose page tokens belong to one request.

use axum::extract::{Extension, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lw_core::Ctx;
use lw_search::{Entity, Grammar, LoggedModelOrderText, MetricDataset, parse_filter, parse_logged_model_order};
use lw_tracking::{ExperimentId, LoggedModelSearch};
use serde::{Deserialize, Serialize};

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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OrderKey {
    field_name: String,
    ascending: bool,
    dataset_name: Option<String>,
    dataset_digest: Option<String>,
}

/// A page token: where the next page starts, and what was looked for.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Token {
    experiment_ids: Vec<String>,
    filter_string: Option<String>,
    order_by: Option<Vec<OrderKey>>,
    offset: u64,
}

impl Token {
    fn decode(text: &str) -> Answer<Self> {
        let bytes = STANDARD.decode(text).map_err(|_| Refusal::invalid("Invalid page token, could not base64-decode"))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Refusal::invalid(format!("Invalid page token: {}. {error}", String::from_utf8_lossy(&bytes))))
    }

    fn encode(&self) -> String {
        STANDARD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Whether the token comes from a search for the same.
    fn check(&self, asked: &Self) -> Answer<()> {
        let differs = |what: &str, short: &str, expected: String, found: String| {
            Err(Refusal::invalid(format!(
                "{what} in the page token {} not match the requested {short}. Expected: {expected}. Found: {found}",
                if short == "experiment IDs" { "do" } else { "does" },
            )))
        };
        if self.experiment_ids != asked.experiment_ids {
            let shown = |ids: &[String]| format!("{ids:?}").replace('"', "'");
            return differs("Experiment IDs", "experiment IDs", shown(&asked.experiment_ids), shown(&self.experiment_ids));
        }
        if self.filter_string != asked.filter_string {
            let shown = |filter: &Option<String>| filter.clone().unwrap_or_else(|| "None".to_owned());
            return differs("Filter string", "filter string", shown(&asked.filter_string), shown(&self.filter_string));
        }
        if self.order_by != asked.order_by {
            let shown = |order: &Option<Vec<OrderKey>>| serde_json::to_string(order).unwrap_or_default();
            return differs("Order by", "order by", shown(&asked.order_by), shown(&self.order_by));
        }
        Ok(())
    }
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
    let asked = Token { experiment_ids, filter_string, order_by: (!order_by.is_empty()).then_some(order_by), offset: 0 };
    let offset = match fields.text("page_token")?.filter(|token| !token.is_empty()) {
        Some(text) => {
            let token = Token::decode(text)?;
            token.check(&asked)?;
            token.offset
        }
        None => 0,
    };
    let keys: Vec<LoggedModelOrderText<'_>> = asked.order_by.iter().flatten().map(order_text).collect();
    let ids = asked.experiment_ids.iter().map(|id| ExperimentId::parse(id)).collect::<lw_core::Result<Vec<_>>>()?;
    let search = LoggedModelSearch {
        experiments: ids,
        filter: parse_filter(Entity::LoggedModel, Grammar::Mlflow, asked.filter_string.as_deref().unwrap_or_default())?,
        datasets,
        order_by: parse_logged_model_order(&keys)?,
        limit,
        offset,
    };
    let found = face.ready_tracking(&ctx).await?.search_logged_models(search).await?;
    let next_page_token = found.next_offset.map(|offset| Token { offset, ..asked }.encode());
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
        dataset_digest: key.dataset_digest.as_deref(),
    }
}
