//! Experiments: what runs are grouped by.

use std::collections::BTreeMap;
use std::fmt;

use lw_core::{Change, Ctx, Draft, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::key::{MAX_KEY_CHARS, check_form, check_length, shown};
use crate::{
    BAD_EXPERIMENT_ID, BAD_EXPERIMENT_NAME, EXPERIMENT_DELETED, EXPERIMENT_EXISTS, EXPERIMENT_NOT_FOUND, TAG_NOT_FOUND, Tracking,
    location, queries, run,
};

/// The number of an experiment. MLflow writes it as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExperimentId(u64);

impl ExperimentId {
    /// The experiment of clients that name none.
    pub const DEFAULT: Self = Self(0);

    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }

    /// Reads an id as MLflow's clients write it. A whole number that no experiment can have is the id of an experiment that is not
    /// there.
    pub fn parse(text: &str) -> Result<Self> {
        let number: i128 = text.trim().parse().map_err(|_| {
            BAD_EXPERIMENT_ID
                .error(format!("Invalid experiment ID '{}'. Experiment ID must be a valid integer.", shown(text)))
                .hint("an experiment id is a whole number")
        })?;
        let id = u64::try_from(number).ok().filter(|number| *number <= i64::MAX.unsigned_abs());
        id.map(Self).ok_or_else(|| not_found(number))
    }

    pub fn number(self) -> u64 {
        self.0
    }

    pub(crate) fn subject(self) -> Subject {
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
    /// Where the artifacts of its runs are, by default with the server itself: `mlflow-artifacts:/17`.
    pub artifact_location: String,
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
            artifact_location: row.text("artifact_location")?,
            lifecycle: Lifecycle::of(&row.text("lifecycle")?),
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            tags,
        })
    }

    pub(crate) fn change(&self) -> Change {
        Change::put("experiment")
            .key("id", self.id.0)
            .set("name", &self.name)
            .set("artifact_location", &self.artifact_location)
            .set("lifecycle", self.lifecycle.name())
            .set("created_at", self.created_at)
            .set("updated_at", self.updated_at)
    }
}

/// An experiment that shall be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewExperiment {
    pub name: String,
    /// Where the artifacts of its runs go; with the server itself where none is given.
    pub artifact_location: Option<String>,
    pub tags: BTreeMap<String, String>,
}

impl NewExperiment {
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), artifact_location: None, tags: BTreeMap::new() }
    }

    pub(crate) fn checked(self) -> Result<Self> {
        check_name(&self.name)?;
        self.artifact_location.as_deref().map_or(Ok(()), location::check)?;
        self.tags.iter().try_for_each(|(key, value)| check_tag(key, value))?;
        Ok(self)
    }
}

const MAX_NAME_CHARS: usize = 500;
const MAX_TAG_CHARS: usize = 20_000;

/// How many runs change in one transaction: writes of others wait for some ten milliseconds.
const N_RUNS_AT_ONCE: u64 = 200;

/// The page size of lists.
pub(crate) const MAX_PAGE: u64 = 50_000;

impl Tracking {
    /// Makes an experiment. A name stays taken even after its experiment is deleted.
    pub async fn create_experiment(&self, ctx: &Ctx, new: NewExperiment) -> Result<Experiment> {
        let new = new.checked()?;
        self.store.write(ctx, move |tx| create(tx, None, new)).await
    }

    /// The active experiment with this name, made if it is missing.
    pub async fn ensure_experiment(&self, ctx: &Ctx, name: &str) -> Result<Experiment> {
        let new = NewExperiment::named(name).checked()?;
        self.store
            .write(ctx, move |tx| match queries::experiment_by_name(tx, &new.name)? {
                Some(experiment) => active(experiment),
                None => create(tx, None, new),
            })
            .await
    }

    /// Makes the experiment `0` named `Default`, which clients of MLflow use where they name none, unless it is there.
    pub async fn ensure_default_experiment(&self, ctx: &Ctx) -> Result<()> {
        let ctx = ctx.acting_as(lw_core::Actor::new("loopwright:tracking"));
        let is_there = |reader: &mut Reader<'_>| Ok(queries::experiment(reader, ExperimentId::DEFAULT)?.is_some());
        if self.store.read(is_there).await? {
            return Ok(());
        }
        let make = move |tx: &mut Tx<'_>| match queries::experiment(tx, ExperimentId::DEFAULT)? {
            Some(_) => Ok(()),
            None => create(tx, Some(ExperimentId::DEFAULT), NewExperiment::named("Default")).map(drop),
        };
        self.store.write(&ctx, make).await
    }

    pub async fn experiment(&self, id: ExperimentId) -> Result<Experiment> {
        self.store.read(move |reader| found(reader, id)).await
    }

    pub async fn experiment_by_name(&self, name: &str) -> Result<Experiment> {
        let name = name.to_owned();
        let missing = EXPERIMENT_NOT_FOUND.error(format!("Could not find experiment with name '{}'", shown(&name)));
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
        check_name(name)?;
        let name = name.to_owned();
        self.store
            .write(ctx, move |tx| {
                let experiment = found(tx, id)?;
                if experiment.lifecycle != Lifecycle::Active {
                    return Err(EXPERIMENT_DELETED
                        .error("Cannot rename a non-active experiment.")
                        .hint("restore it first, or use another name"));
                }
                if queries::experiment_by_name(tx, &name)?.is_some_and(|other| other.id != id) {
                    return Err(taken(&name));
                }
                change(tx, "experiment.rename", Experiment { name, ..experiment })
            })
            .await
    }

    /// Deletes an experiment with its runs, so that they can be restored. One that is deleted is not found, unless its deletion broke
    /// off, which goes on then. The experiment goes first and its runs follow in pieces, between which others write.
    pub async fn delete_experiment(&self, ctx: &Ctx, id: ExperimentId) -> Result<Experiment> {
        let delete = move |tx: &mut Tx<'_>| {
            let experiment = found(tx, id)?;
            match experiment.lifecycle {
                Lifecycle::Active => change(tx, "experiment.delete", Experiment { lifecycle: Lifecycle::Deleted, ..experiment }),
                Lifecycle::Deleted if run::has_active(tx, id)? => Ok(experiment),
                Lifecycle::Deleted => Err(not_found(id)),
            }
        };
        let experiment = self.store.write(ctx, delete).await?;
        self.delete_runs_of(ctx, &experiment).await?;
        Ok(experiment)
    }

    /// Deletes the runs that a deleted experiment still has, unless somebody restores it meanwhile.
    pub(crate) async fn delete_runs_of(&self, ctx: &Ctx, experiment: &Experiment) -> Result<()> {
        let (id, deleted_at) = (experiment.id, experiment.updated_at);
        let is_same = move |found: Experiment| found.lifecycle == Lifecycle::Deleted && found.updated_at == deleted_at;
        let mut last = None;
        loop {
            let piece = move |tx: &mut Tx<'_>| match queries::bare_experiment(tx, id)?.is_some_and(is_same) {
                true => run::delete_some_of(tx, id, last.as_ref(), N_RUNS_AT_ONCE),
                false => Ok(None),
            };
            last = self.store.write(ctx, piece).await?;
            if last.is_none() {
                return Ok(());
            }
        }
    }

    /// Restores an experiment and all its runs. One that is not deleted is not found. The runs go first, in pieces between which others
    /// write, and the experiment last: one whose restoration broke off is still deleted, and can be restored again.
    pub async fn restore_experiment(&self, ctx: &Ctx, id: ExperimentId) -> Result<Experiment> {
        loop {
            let piece = move |tx: &mut Tx<'_>| {
                let experiment = found_in(tx, id, Lifecycle::Deleted)?;
                if run::restore_some_of(tx, id, N_RUNS_AT_ONCE)? == N_RUNS_AT_ONCE {
                    return Ok(None);
                }
                change(tx, "experiment.restore", Experiment { lifecycle: Lifecycle::Active, ..experiment }).map(Some)
            };
            if let Some(experiment) = self.store.write(ctx, piece).await? {
                return Ok(experiment);
            }
        }
    }

    pub async fn tag_experiment(&self, ctx: &Ctx, id: ExperimentId, key: &str, value: &str) -> Result<()> {
        check_tag(key, value)?;
        let (key, value) = (key.to_owned(), value.to_owned());
        self.store
            .write(ctx, move |tx| {
                active(found(tx, id)?)?;
                queries::put_experiment_tag(tx, id, &key, &value)
            })
            .await
    }

    pub async fn remove_experiment_tag(&self, ctx: &Ctx, id: ExperimentId, key: &str) -> Result<()> {
        let key = key.to_owned();
        self.store
            .write(ctx, move |tx| {
                active(found(tx, id)?)?;
                if queries::remove_experiment_tag(tx, id, &key)? {
                    return Ok(());
                }
                Err(TAG_NOT_FOUND.error(format!("No tag with name: {key} in experiment with id {id}")))
            })
            .await
    }
}

fn create(tx: &mut Tx<'_>, id: Option<ExperimentId>, new: NewExperiment) -> Result<Experiment> {
    let NewExperiment { name, artifact_location, tags } = new;
    if queries::experiment_by_name(tx, &name)?.is_some() {
        return Err(taken(&name));
    }
    let id = match id {
        Some(id) => id,
        None => ExperimentId(queries::next_experiment(tx)?),
    };
    for (key, value) in &tags {
        queries::put_experiment_tag(tx, id, key, value)?;
    }
    let (now, lifecycle) = (tx.now(), Lifecycle::Active);
    let artifact_location = artifact_location.unwrap_or_else(|| format!("mlflow-artifacts:/{id}"));
    let experiment = Experiment { id, name, artifact_location, lifecycle, created_at: now, updated_at: now, tags };
    change(tx, "experiment.create", experiment)
}

fn change(tx: &mut Tx<'_>, action: &'static str, experiment: Experiment) -> Result<Experiment> {
    let experiment = Experiment { updated_at: tx.now(), ..experiment };
    let payload = serde_json::json!({"name": experiment.name});
    tx.record(Draft::new(action, experiment.id.subject()).payload(payload).change(experiment.change()))?;
    Ok(experiment)
}

pub(crate) fn found(reader: &mut Reader<'_>, id: ExperimentId) -> Result<Experiment> {
    queries::experiment(reader, id)?.ok_or_else(|| not_found(id))
}

/// The active experiment, without its tags, that something new shall belong to.
pub(crate) fn home(reader: &mut Reader<'_>, id: ExperimentId) -> Result<Experiment> {
    active(queries::bare_experiment(reader, id)?.ok_or_else(|| not_found(id))?)
}

fn found_in(reader: &mut Reader<'_>, id: ExperimentId, lifecycle: Lifecycle) -> Result<Experiment> {
    let experiment = found(reader, id)?;
    if experiment.lifecycle == lifecycle { Ok(experiment) } else { Err(not_found(id)) }
}

fn not_found(id: impl fmt::Display) -> lw_core::Error {
    EXPERIMENT_NOT_FOUND.error(format!("No Experiment with id={id} exists"))
}

pub(crate) fn active(experiment: Experiment) -> Result<Experiment> {
    if experiment.lifecycle == Lifecycle::Active {
        return Ok(experiment);
    }
    Err(EXPERIMENT_DELETED
        .error(format!("The experiment {} must be in the 'active' state. Current state is deleted.", experiment.id))
        .hint(format!("restore the experiment `{}` first, or use another one", shown(&experiment.name))))
}

fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(BAD_EXPERIMENT_NAME.error(format!("Invalid experiment name: '{name}'")).hint("a name is not blank"));
    }
    check_length(|| "name".to_owned(), name, MAX_NAME_CHARS)
}

fn check_tag(key: &str, value: &str) -> Result<()> {
    check_form(key, || "key".to_owned())?;
    check_length(|| "key".to_owned(), key, MAX_KEY_CHARS)?;
    check_length(|| "value".to_owned(), value, MAX_TAG_CHARS)
}

fn taken(name: &str) -> lw_core::Error {
    EXPERIMENT_EXISTS
        .error(format!("Experiment(name={}) already exists.", shown(name)))
        .hint("use it, choose another name, or restore it if it is deleted: deleted experiments keep their names")
}
