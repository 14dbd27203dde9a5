//! What a run had logged when it ended, by digest.

use lw_core::{Digest, Result, RunId};
use lw_store::Reader;
use serde::{Deserialize, Serialize};

use crate::{Tracking, queries, run};

/// The digests of everything that a run logged. Whoever edits a metric afterwards cannot make them fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    pub params: Digest,
    /// Over every point of every metric, in the order of key, time, step and value.
    pub metrics: Digest,
    pub n_points: u64,
    pub tags: Digest,
    pub datasets: Digest,
    pub artifacts: Digest,
}

impl Tracking {
    /// The seal that the run would get now. It differs from the one it has if something was logged, or changed, after its end.
    pub async fn seal(&self, id: &RunId) -> Result<Seal> {
        let id = id.clone();
        self.store
            .read(move |reader| {
                run::found(reader, &id)?;
                of(reader, &id)
            })
            .await
    }
}

pub(crate) fn of(reader: &mut Reader<'_>, run: &RunId) -> Result<Seal> {
    let of_run = std::slice::from_ref(run);
    let params = Digest::of_json(&queries::params_of(reader, of_run)?.remove(run).unwrap_or_default());
    let tags = Digest::of_json(&queries::tags_of(reader, of_run)?.remove(run).unwrap_or_default());
    let datasets = Digest::of_json(&queries::datasets_of(reader, of_run)?.remove(run).unwrap_or_default());
    let artifacts = Digest::of_json(&queries::artifacts(reader, run, "")?);
    let (metrics, n_points) = queries::digest_points(reader, run)?;
    Ok(Seal { params, metrics, n_points, tags, datasets, artifacts })
}
