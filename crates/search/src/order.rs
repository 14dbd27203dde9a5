//! In which order a search returns its rows.

use lw_core::{Error, Result};

use crate::{Entity, Field};

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

/// Reads the keys of an order. Tie-breakers are the caller's: see [`crate::sql::Order`].
pub fn parse_order_by<S: AsRef<str>>(entity: Entity, texts: &[S]) -> Result<Vec<OrderBy>> {
    let _ = (entity, texts.len());
    Err(Error::bug("orders are not read yet"))
}

/// Reads the keys of the order of logged models.
pub fn parse_logged_model_order(keys: &[LoggedModelOrderText<'_>]) -> Result<Vec<LoggedModelOrder>> {
    let _ = keys.len();
    Err(Error::bug("orders are not read yet"))
}
