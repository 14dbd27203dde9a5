//! Starting runs.

use std::collections::BTreeMap;

use lw_core::{Ctx, Digest, Draft, Result, RunId, Subject, Timestamp};
use lw_store::Tx;

use super::{NAME_TAG, Run, RunStatus};
use crate::batch::{check_key, truncated};
use crate::{Circumstances, ExperimentId, Lifecycle, RUN_NAME_MISMATCH, Tracking, experiment, queries};

/// A run that shall start.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub experiment: ExperimentId,
    /// Without a name here or in the tag `mlflow.runName`, the run is named after its id.
    pub name: Option<String>,
    /// Now, unless the run began elsewhere.
    pub started_at: Option<Timestamp>,
    pub tags: Vec<(String, String)>,
    pub circumstances: Circumstances,
    /// The versions that the run reads, for lineage: role and subject.
    pub inputs: Vec<lw_core::Reference>,
}

impl NewRun {
    pub fn of(experiment: ExperimentId, circumstances: Circumstances) -> Self {
        Self { experiment, name: None, started_at: None, tags: Vec::new(), circumstances, inputs: Vec::new() }
    }

    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    #[must_use]
    pub fn input(mut self, role: &str, subject: Subject, digest: impl Into<Option<Digest>>) -> Self {
        self.inputs.push(lw_core::Reference::new(role, subject, digest));
        self
    }
}

impl Tracking {
    /// Starts a run. Its tag `mlflow.runName` and its name agree: one given fills the other, both given must be the same.
    pub async fn start_run(&self, ctx: &Ctx, new: NewRun) -> Result<Run> {
        let id = ctx.ids.next_run();
        self.store.write(ctx, move |tx| start(tx, id, new)).await
    }
}

fn start(tx: &mut Tx<'_>, id: RunId, new: NewRun) -> Result<Run> {
    let experiment = experiment::active(experiment::found(tx, new.experiment)?)?;
    let tagged = new.tags.iter().find(|(key, _)| key == NAME_TAG).map(|(_, name)| name.clone());
    let name = match (new.name.filter(|name| !name.is_empty()), tagged) {
        (Some(name), Some(tagged)) if name != tagged => {
            return Err(RUN_NAME_MISMATCH
                .error(format!("the run is called `{name}`, but its tag `{NAME_TAG}` says `{tagged}`"))
                .hint("give the name once, or the same one twice"));
        }
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => format!("run-{}", &id.as_str()[24..]),
    };
    let started_at = new.started_at.unwrap_or(tx.now());
    let run = Run {
        id,
        experiment: experiment.id,
        name,
        started_by: tx.actor().clone(),
        status: RunStatus::Running,
        lifecycle: Lifecycle::Active,
        started_at,
        ended_at: None,
        deleted_at: None,
        circumstances: new.circumstances,
        seal: None,
    };
    new.tags.iter().try_for_each(|(key, _)| check_key(key))?;
    let mut tags: BTreeMap<&str, &str> = new.tags.iter().map(|(key, value)| (key.as_str(), truncated(value, 8000))).collect();
    tags.insert(NAME_TAG, &run.name);
    queries::put_tags(tx, &run.id, tags.into_iter())?;
    let payload = serde_json::json!({"name": run.name, "experiment": experiment.name});
    let mut draft = Draft::new("run.start", run.subject()).payload(payload).change(run.change());
    draft.inputs = new.inputs;
    tx.record(draft)?;
    Ok(run)
}
