//! Deleting traces.

use lw_core::{Ctx, Result, Timestamp};
use lw_tracking::ExperimentId;

use crate::{Traces, queries};

/// Which traces of an experiment shall go.
#[derive(Debug, Clone, PartialEq)]
pub enum Removal {
    Traces(Vec<String>),
    /// Those that began at this time or before, the oldest first.
    Until {
        time: Timestamp,
        limit: Option<u64>,
    },
}

impl Traces {
    /// Deletes traces with all that is known of them, and returns how many. Their spans are gone for readers at once.
    pub async fn remove(&self, ctx: &Ctx, experiment: ExperimentId, removal: Removal) -> Result<u64> {
        self.store
            .write(ctx, move |tx| {
                let ids = match removal {
                    Removal::Traces(ids) => ids,
                    Removal::Until { time, limit } => queries::traces_until(tx, experiment, time.micros(), limit)?,
                };
                queries::remove_traces(tx, experiment, &ids)
            })
            .await
    }
}
