//! In which order a search returns its rows.

use lw_core::Result;

use crate::mlflow::{logged_model_attribute, parse_order_key, python_list};
use crate::{BAD_ORDER, Entity, Field};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Ascending,
    Descending,
}

/// One key of an order. Rows without the field come last in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderBy {
    pub field: Field,
    pub direction: Direction,
}

/// One key of the order of logged models, where a metric may be meant on one dataset only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedModelOrder {
    pub order: OrderBy,
    pub dataset: Option<MetricDataset>,
}

/// The dataset on which a metric was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricDataset {
    pub name: String,
    pub digest: Option<String>,
}

/// A key of the order of logged models as a client sends it.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoggedModelOrderText<'a> {
    pub field_name: Option<&'a str>,
    pub ascending: Option<bool>,
    pub dataset_name: Option<&'a str>,
    pub dataset_digest: Option<&'a str>,
}

/// Reads the keys of an order, such as `metrics.auc DESC`; without a direction a key ascends. Logged models have
/// [`parse_logged_model_order`].
///
/// The tie-breakers are the caller's to add, as MLflow adds them: runs `start_time DESC, run_id`, experiments
/// `experiment_id DESC`, registered models `name`, versions `name, version_number DESC`, traces `timestamp_ms DESC, request_id`,
/// evaluation datasets their id descending.
pub fn parse_order_by<S: AsRef<str>>(entity: Entity, texts: &[S]) -> Result<Vec<OrderBy>> {
    let mut keys: Vec<OrderBy> = Vec::new();
    for text in texts {
        let key = parse_order_key(entity, text.as_ref())?;
        if keys.iter().any(|other| other.field == key.field) {
            // Two of the searches of MLflow take the second key for what it is: of no effect.
            if matches!(entity, Entity::Experiment | Entity::EvaluationDataset) {
                continue;
            }
            return Err(BAD_ORDER
                .error(format!("`order_by` contains duplicate fields: {}", python_list(texts)))
                .hint("name each field once"));
        }
        keys.push(key);
    }
    Ok(keys)
}

/// Reads the keys of the order of logged models. The tie-breakers are `creation_timestamp DESC, model_id`.
pub fn parse_logged_model_order(keys: &[LoggedModelOrderText<'_>]) -> Result<Vec<LoggedModelOrder>> {
    keys.iter().map(logged_model_key).collect()
}

fn logged_model_key(key: &LoggedModelOrderText<'_>) -> Result<LoggedModelOrder> {
    let name = key.field_name.ok_or_else(|| BAD_ORDER.error("`field_name` in the `order_by` clause must be specified."))?;
    let field = match name.split_once('.') {
        Some(("metrics", metric)) => Field::Metric(metric.to_owned()),
        Some(_) => return Err(BAD_ORDER.error(format!("Invalid order by field name: {name}. Only metrics are supported."))),
        None => Field::Attribute(
            logged_model_attribute(name).ok_or_else(|| BAD_ORDER.error(format!("Invalid order by field name: {name}")))?,
        ),
    };
    let dataset = key.dataset_name.filter(|name| !name.is_empty());
    let digest = key.dataset_digest.filter(|digest| !digest.is_empty());
    if dataset.is_none() && digest.is_some() {
        let message = "`dataset_digest` can only be specified if `dataset_name` is also specified.";
        return Err(BAD_ORDER.error(message));
    }
    let dataset = dataset.map(|name| MetricDataset { name: name.to_owned(), digest: digest.map(str::to_owned) });
    let direction = if key.ascending.unwrap_or(true) { Direction::Ascending } else { Direction::Descending };
    Ok(LoggedModelOrder { order: OrderBy { field, direction }, dataset })
}
