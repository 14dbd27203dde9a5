//! Experiments: what runs are grouped by.

use std::collections::BTreeMap;
use std::fmt;

use lw_core::{Change, Ctx, Draft, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::batch::{check_key, truncated};
use crate::{BAD_LOG_KEY, EXPERIMENT_DELETED, EXPERIMENT_EXISTS, EXPERIMENT_NOT_FOUND, Tracking, queries, run};

/// The number of an experiment. MLflow writes it as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExperimentId(u64);

impl ExperimentId {
    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }

    pub fn parse(text: &str) -> Result<Self> {
        let shown: String = text.chars().take(80).collect();
        let number = text.parse().map_err(|_| {
            EXPERIMENT_NOT_FOUND.error(format!("`{shown}` is not an experiment id")).hint("an experiment id is a whole number")
        })?;
        Ok(Self(number))
    }

    pub fn number(self) -> u64 {
        self.0
    }

    fn subject(self) -> Subject {
        Subject::unversioned(SubjectKind::Experiment, self.to_string())
    }
}

impl fmt::Display for ExperimentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Deleted things stay where they are until they are restored or collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    Active,
    Deleted,
}

impl Lifecycle {
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deleted => "deleted",
        }
    }

    pub(crate) fn of(text: &str) -> Self {
        if text == "deleted" { Self::Deleted } else { Self::Active }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    pub id: ExperimentId,
    pub name: String,
    pub lifecycle: Lifecycle,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub tags: BTreeMap<String, String>,
}

impl Experiment {
    pub(crate) fn of(row: &Row, tags: BTreeMap<String, String>) -> Result<Self> {
        Ok(Self {
            id: ExperimentId(row.count("id")?),
            name: row.text("name")?,
            lifecycle: Lifecycle::of(&row.text("lifecycle")?),
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            tags,
        })
    }

    fn change(&self) -> Change {
        Change::put("experiment")
            .key("id", self.id.0)
            .set("name", &self.name)
            .set("lifecycle", self.lifecycle.name())
            .set("created_at", self.created_at)
            .set("updated_at", self.updated_at)
    }
}

/// The page size of lists.
pub(crate) const MAX_PAGE: u64 = 50_000;

impl Tracking {
    /// Makes an experiment. A name stays taken even after its experiment is deleted.
    pub async fn create_experiment(&self, ctx: &Ctx, name: &str, tags: BTreeMap<String, String>) -> Result<Experiment> {
        let name = checked_name(name)?;
        tags.keys().try_for_each(|key| check_key(key))?;
        self.store.write(ctx, move |tx| create(tx, name, &tags)).await
    }

    /// The active experiment with this name, made if it is missing.
    pub async fn ensure_experiment(&self, ctx: &Ctx, name: &str) -> Result<Experiment> {
        let name = checked_name(name)?;
        self.store
            .write(ctx, move |tx| match queries::experiment_by_name(tx, &name)? {
                Some(experiment) => active(experiment),
                None => create(tx, name, &BTreeMap::new()),
            })
            .await
    }

    pub async fn experiment(&self, id: ExperimentId) -> Result<Experiment> {
        self.store.read(move |reader| found(reader, id)).await
    }

    pub async fn experiment_by_name(&self, name: &str) -> Result<Experiment> {
        let name = name.to_owned();
        let missing = EXPERIMENT_NOT_FOUND.error(format!("there is no experiment named `{}`", shown(&name)));
        self.store.read(move |reader| queries::experiment_by_name(reader, &name)).await?.ok_or(missing)
    }

    /// Experiments in the order of their ids, after the given one. `lifecycle: None` lists all.
    pub async fn experiments(
        &self,
        lifecycle: Option<Lifecycle>,
        after: Option<ExperimentId>,
        limit: u64,
    ) -> Result<Vec<Experiment>> {
        self.store.read(move |reader| queries::experiments(reader, lifecycle, after, limit.clamp(1, MAX_PAGE))).await
    }

    pub async fn rename_experiment(&self, ctx: &Ctx, id: ExperimentId, name: &str) -> Result<Experiment> {
        let name = checked_name(name)?;
        self.store
            .write(ctx, move |tx| {
                let experiment = active(found(tx, id)?)?;
                if queries::experiment_by_name(tx, &name)?.is_some_and(|other| other.id != id) {
                    return Err(taken(&name));
                }
                change(tx, "experiment.rename", Experiment { name, ..experiment })
            })
            .await
    }

    /// Deletes an experiment with its runs, so that they can be restored. Deleting it twice is refused.
    pub async fn delete_experiment(&self, ctx: &Ctx, id: ExperimentId) -> Result<Experiment> {
        self.store
            .write(ctx, move |tx| {
                let experiment = active(found(tx, id)?)?;
                run::delete_all_of(tx, id)?;
                change(tx, "experiment.delete", Experiment { lifecycle: Lifecycle::Deleted, ..experiment })
            })
            .await
    }

    /// Restores an experiment and its runs.
    pub async fn restore_experiment(&self, ctx: &Ctx, id: ExperimentId) -> Result<Experiment> {
        self.store
            .write(ctx, move |tx| {
                let experiment = found(tx, id)?;
                if experiment.lifecycle == Lifecycle::Active {
                    return Err(EXPERIMENT_NOT_FOUND.error(format!("experiment {id} is not deleted")));
                }
                run::restore_all_of(tx, id)?;
                change(tx, "experiment.restore", Experiment { lifecycle: Lifecycle::Active, ..experiment })
            })
            .await
    }

    pub async fn tag_experiment(&self, ctx: &Ctx, id: ExperimentId, key: &str, value: &str) -> Result<()> {
        check_key(key)?;
        let (key, value) = (key.to_owned(), truncated(value, 5000).to_owned());
        self.store
            .write(ctx, move |tx| {
                active(found(tx, id)?)?;
                queries::put_experiment_tag(tx, id, &key, &value)
            })
            .await
    }
}

fn create(tx: &mut Tx<'_>, name: String, tags: &BTreeMap<String, String>) -> Result<Experiment> {
    if queries::experiment_by_name(tx, &name)?.is_some() {
        return Err(taken(&name));
    }
    let id = ExperimentId(queries::next_experiment(tx)?);
    let now = tx.now();
    let experiment = Experiment { id, name, lifecycle: Lifecycle::Active, created_at: now, updated_at: now, tags: tags.clone() };
    for (key, value) in tags {
        queries::put_experiment_tag(tx, id, key, value)?;
    }
    change(tx, "experiment.create", experiment)
}

fn change(tx: &mut Tx<'_>, action: &'static str, experiment: Experiment) -> Result<Experiment> {
    let experiment = Experiment { updated_at: tx.now(), ..experiment };
    let payload = serde_json::json!({"name": experiment.name});
    tx.record(Draft::new(action, experiment.id.subject()).payload(payload).change(experiment.change()))?;
    Ok(experiment)
}

pub(crate) fn found(reader: &mut Reader<'_>, id: ExperimentId) -> Result<Experiment> {
    let missing = || EXPERIMENT_NOT_FOUND.error(format!("there is no experiment with the id {id}"));
    queries::experiment(reader, id)?.ok_or_else(missing)
}

pub(crate) fn active(experiment: Experiment) -> Result<Experiment> {
    if experiment.lifecycle == Lifecycle::Active {
        return Ok(experiment);
    }
    Err(EXPERIMENT_DELETED
        .error(format!("experiment {} (`{}`) is deleted", experiment.id, experiment.name))
        .hint("restore it first, or use another name"))
}

fn checked_name(name: &str) -> Result<String> {
    if name.trim().is_empty() || name.len() > 500 {
        return Err(BAD_LOG_KEY.error(format!("`{}` cannot name an experiment", shown(name))).hint("a name has 1 to 500 bytes"));
    }
    Ok(name.to_owned())
}

fn taken(name: &str) -> lw_core::Error {
    EXPERIMENT_EXISTS
        .error(format!("an experiment named `{}` exists already", shown(name)))
        .hint("use it, choose another name, or restore it if it is deleted: deleted experiments keep their names")
}

fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}
