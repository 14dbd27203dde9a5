//! Experiments of another server.

use lw_core::{Ctx, Draft, Result, Timestamp};
use lw_store::Tx;

use super::Adopted;
use crate::{Experiment, ExperimentId, Lifecycle, NewExperiment, Tracking, experiment, queries};

/// An experiment that another server has.
#[derive(Debug, Clone, PartialEq)]
pub struct AdoptedExperiment {
    pub new: NewExperiment,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The other server, as the ledger names it.
    pub source: String,
}

impl Tracking {
    /// The experiment with this name, made with the times of the other server if it is missing. One that is there, deleted or not,
    /// stays as it is, except that it gets the tags that it has not.
    ///
    /// # Errors
    /// `bad-experiment-name`, `bad-artifact-location`, `bad-log-key`.
    pub async fn adopt_experiment(&self, ctx: &Ctx, wanted: AdoptedExperiment) -> Result<Adopted<Experiment>> {
        let wanted = AdoptedExperiment { new: wanted.new.checked()?, ..wanted };
        self.store.write(ctx, move |tx| adopt(tx, wanted)).await
    }

    /// Deletes an experiment as the other server did, unless it has a run that is not deleted: then somebody uses it here.
    ///
    /// # Errors
    /// `experiment-not-found`.
    pub async fn close_adopted_experiment(&self, ctx: &Ctx, id: ExperimentId, updated_at: Timestamp) -> Result<Experiment> {
        self.store
            .write(ctx, move |tx| {
                let found = experiment::found(tx, id)?;
                let is_in_use = !queries::runs(tx, &[id], Some(Lifecycle::Active), None, 1)?.is_empty();
                if is_in_use || found.lifecycle == Lifecycle::Deleted {
                    return Ok(found);
                }
                let deleted = Experiment { lifecycle: Lifecycle::Deleted, updated_at, ..found };
                let payload = serde_json::json!({"name": deleted.name, "imported": true});
                tx.record(Draft::new("experiment.delete", deleted.id.subject()).payload(payload).change(deleted.change()))?;
                Ok(deleted)
            })
            .await
    }
}

fn adopt(tx: &mut Tx<'_>, wanted: AdoptedExperiment) -> Result<Adopted<Experiment>> {
    let AdoptedExperiment { new, created_at, updated_at, source } = wanted;
    if let Some(mut found) = queries::experiment_by_name(tx, &new.name)? {
        for (key, value) in new.tags {
            if !found.tags.contains_key(&key) {
                queries::put_experiment_tag(tx, found.id, &key, &value)?;
                found.tags.insert(key, value);
            }
        }
        let is_open = found.lifecycle == Lifecycle::Active;
        return Ok(Adopted { item: found, is_new: false, is_open });
    }
    let id = ExperimentId::new(queries::next_experiment(tx)?);
    for (key, value) in &new.tags {
        queries::put_experiment_tag(tx, id, key, value)?;
    }
    let experiment = Experiment {
        id,
        artifact_location: new.artifact_location.unwrap_or_else(|| format!("mlflow-artifacts:/{id}")),
        name: new.name,
        lifecycle: Lifecycle::Active,
        created_at,
        updated_at,
        tags: new.tags,
    };
    let payload = serde_json::json!({"name": experiment.name, "source": source});
    tx.record(Draft::new("experiment.import", id.subject()).payload(payload).change(experiment.change()))?;
    Ok(Adopted::new(experiment))
}
