//! Finding logged models.

use lw_core::Result;
use lw_search::{Condition, LoggedModelOrder, MetricDataset};

use super::LoggedModelData;
use crate::search::{Page, page_of};
use crate::{ExperimentId, Tracking, queries};

/// What is looked for among the logged models that are not deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedModelSearch {
    pub experiments: Vec<ExperimentId>,
    pub filter: Option<Condition>,
    /// Metrics of the filter and of the order count only as far as they were measured on one of these. Without any metric in the filter,
    /// models that were measured on one of them.
    pub datasets: Vec<MetricDataset>,
    /// Then newest first, ties by id.
    pub order_by: Vec<LoggedModelOrder>,
    pub limit: u64,
    pub offset: u64,
}

impl Tracking {
    pub async fn search_logged_models(&self, search: LoggedModelSearch) -> Result<Page<LoggedModelData>> {
        if search.experiments.is_empty() {
            return Ok(Page::empty());
        }
        self.store
            .read(move |reader| {
                let ids = queries::logged_model_ids(reader, &search)?;
                let (ids, next_offset) = page_of(ids, search.offset, search.limit);
                let models = queries::logged_models_by_ids(reader, &ids)?;
                Ok(Page { items: super::with_data(reader, models)?, next_offset })
            })
            .await
    }
}
