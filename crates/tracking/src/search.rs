//! Finding runs and experiments.

use lw_core::Result;
use lw_search::{Condition, OrderBy};

use crate::run::with_data;
use crate::{Experiment, ExperimentId, Lifecycle, Projection, RunData, Tracking, queries};

/// Some of the things that were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page starts, if there is one.
    pub next_offset: Option<u64>,
}

impl<T> Page<T> {
    pub(crate) fn empty() -> Self {
        Self { items: Vec::new(), next_offset: None }
    }
}

/// Which things are looked at: by whether they are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    #[default]
    Active,
    Deleted,
    All,
}

impl View {
    pub(crate) fn lifecycles(self) -> &'static [Lifecycle] {
        match self {
            Self::Active => &[Lifecycle::Active],
            Self::Deleted => &[Lifecycle::Deleted],
            Self::All => &[Lifecycle::Active, Lifecycle::Deleted],
        }
    }
}

/// What is looked for among runs.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSearch {
    pub experiments: Vec<ExperimentId>,
    pub filter: Option<Condition>,
    /// Then newest first, ties by id.
    pub order_by: Vec<OrderBy>,
    pub view: View,
    pub limit: u64,
    pub offset: u64,
    pub projection: Projection,
}

/// What is looked for among experiments.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentSearch {
    pub filter: Option<Condition>,
    /// Newest first if empty, ties by id; otherwise ties by id from the greatest, as in MLflow.
    pub order_by: Vec<OrderBy>,
    pub view: View,
    pub limit: u64,
    pub offset: u64,
}

impl Tracking {
    pub async fn search_runs(&self, search: RunSearch) -> Result<Page<RunData>> {
        if search.experiments.is_empty() {
            return Ok(Page::empty());
        }
        self.store
            .read(move |reader| {
                let ids = queries::run_ids(reader, &search)?;
                let (ids, next_offset) = page_of(ids, search.offset, search.limit);
                let runs = queries::runs_by_ids(reader, &ids)?;
                Ok(Page { items: with_data(reader, runs, &search.projection)?, next_offset })
            })
            .await
    }

    pub async fn search_experiments(&self, search: ExperimentSearch) -> Result<Page<Experiment>> {
        self.store
            .read(move |reader| {
                let ids = queries::experiment_ids(reader, &search)?;
                let (ids, next_offset) = page_of(ids, search.offset, search.limit);
                Ok(Page { items: queries::experiments_by_ids(reader, &ids)?, next_offset })
            })
            .await
    }
}

/// Cuts the one item more that was read to see whether there is a next page.
pub(crate) fn page_of<T>(mut items: Vec<T>, offset: u64, limit: u64) -> (Vec<T>, Option<u64>) {
    let limit_items = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = items.len() > limit_items;
    items.truncate(limit_items);
    (items, has_more.then_some(offset + limit))
}
