//! The datasets that a run read.

use lw_core::{Ctx, Result, RunId};
use serde::{Deserialize, Serialize};

use crate::batch::check_key;
use crate::{Tracking, queries, run};

/// A dataset as MLflow describes it. A run has it once for each context, such as `training`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetInput {
    pub name: String,
    pub digest: String,
    /// What the run used it for; may be empty.
    pub context: String,
    /// Where it is kept, such as `delta` or `local`.
    pub source_type: String,
    /// How to find it: a URI, or JSON as the source type defines it.
    pub source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

impl Tracking {
    /// Says which datasets the run reads. Saying so twice changes nothing.
    pub async fn log_datasets(&self, ctx: &Ctx, run: &RunId, datasets: Vec<DatasetInput>) -> Result<()> {
        datasets.iter().try_for_each(|dataset| check_key(&dataset.name))?;
        let run = run.clone();
        self.store
            .write(ctx, move |tx| {
                run::active(run::found(tx, &run)?)?;
                datasets.iter().try_for_each(|dataset| queries::put_dataset(tx, &run, dataset))
            })
            .await
    }
}
