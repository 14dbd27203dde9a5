//! Starting runs.

use std::collections::BTreeMap;

use lw_core::{Ctx, Digest, Draft, Result, RunId, Subject, Timestamp};
use lw_store::Tx;

use super::{NAME_TAG, Run, RunStatus};
use crate::batch::MAX_TAG_CHARS;
use crate::key::{MAX_KEY_CHARS, check_length, truncated};
use crate::{Circumstances, ExperimentId, Lifecycle, RUN_NAME_MISMATCH, Tracking, experiment, location, names, queries};

/// A run that shall start.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub experiment: ExperimentId,
    /// Without a name here or in the tag `mlflow.runName`, the run gets one such as `plucky-otter-417`.
    pub name: Option<String>,
    /// Whom the client says it works for; may be empty.
    pub user_id: String,
    /// Now, unless the run began elsewhere.
    pub started_at: Option<Timestamp>,
    pub tags: Vec<(String, String)>,
    /// What they leave open is filled from the tags with which MLflow's clients tell of their code.
    pub circumstances: Circumstances,
    /// The versions that the run reads, for lineage: role and subject.
    pub inputs: Vec<lw_core::Reference>,
}

impl NewRun {
    pub fn of(experiment: ExperimentId, circumstances: Circumstances) -> Self {
        Self {
            experiment,
            name: None,
            user_id: String::new(),
            started_at: None,
            tags: Vec::new(),
            circumstances,
            inputs: Vec::new(),
        }
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
        // Drawn for every run, so that the ids of the next ones do not depend on who was named.
        let spare_name = names::random(ctx);
        self.store.write(ctx, move |tx| start(tx, id, spare_name, new)).await
    }
}

fn start(tx: &mut Tx<'_>, id: RunId, spare_name: String, new: NewRun) -> Result<Run> {
    let experiment = experiment::home(tx, new.experiment)?;
    let tagged = new.tags.iter().find(|(key, _)| key == NAME_TAG).map(|(_, name)| name).filter(|name| !name.is_empty());
    let name = match (new.name.filter(|name| !name.is_empty()), tagged) {
        (Some(name), Some(tagged)) if name != *tagged => {
            return Err(RUN_NAME_MISMATCH
                .error(format!(
                    "Both 'run_name' argument and '{NAME_TAG}' tag are specified, but with different values (run_name='{name}', \
                     {NAME_TAG}='{tagged}')."
                ))
                .hint("give the name once, or the same one twice"));
        }
        (Some(name), _) => name,
        (None, Some(tagged)) => tagged.clone(),
        (None, None) => spare_name,
    };
    let mut tags: BTreeMap<&str, &str> = BTreeMap::new();
    for (key, value) in &new.tags {
        check_length(|| "key".to_owned(), key, MAX_KEY_CHARS)?;
        tags.insert(key, truncated(value, MAX_TAG_CHARS));
    }
    tags.insert(NAME_TAG, &name);
    let artifact_uri = location::below(&experiment.artifact_location, &[id.as_str(), "artifacts"]);
    let run = Run {
        id,
        number: queries::next_run_number(tx)?,
        experiment: experiment.id,
        name: name.clone(),
        started_by: tx.actor().clone(),
        user_id: new.user_id,
        status: RunStatus::Running,
        lifecycle: Lifecycle::Active,
        started_at: new.started_at.unwrap_or(tx.now()),
        ended_at: None,
        deleted_at: None,
        artifact_uri,
        circumstances: new.circumstances.or_of_tags(|key| tags.get(key).copied()),
        seal: None,
    };
    queries::put_tags(tx, run.number, tags.into_iter())?;
    let payload = serde_json::json!({"name": run.name, "experiment": experiment.name});
    let mut draft = Draft::new("run.start", run.subject()).payload(payload).change(run.change());
    draft.inputs = new.inputs;
    tx.record(draft)?;
    Ok(run)
}
