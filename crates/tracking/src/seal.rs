//! What a run had logged when it ended, by digest.

use lw_core::{Digest, Result, RunId};
use lw_store::Reader;
use serde::{Deserialize, Serialize};

use crate::{Run, Tracking, artifact, queries, run};

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
        self.store.read(move |reader| run::found(reader, &id).and_then(|run| of(reader, &run))).await
    }
}

fn of(reader: &mut Reader<'_>, run: &Run) -> Result<Seal> {
    let (id, of_run) = (&run.id, std::slice::from_ref(&run.id));
    let params = Digest::of_json(&queries::params_of_one(reader, run.number)?);
    let tags = Digest::of_json(&queries::tags_of_one(reader, run.number)?);
    let datasets = Digest::of_json(&queries::datasets_of(reader, of_run)?.remove(id).unwrap_or_default());
    let artifacts = Digest::of_json(&artifact::queries::below(reader, &id.into(), "")?);
    let (metrics, n_points) = queries::digest_points(reader, run.number)?;
    Ok(Seal { params, metrics, n_points, tags, datasets, artifacts })
}
