//! Runs: one attempt to make something, with its beginning, its end and its outcome.

mod change;
mod data;
mod start;

use lw_core::{Actor, Change, Result, RunId, Subject, SubjectKind, Timestamp, canonical_json};
use lw_store::{Reader, Row};
use serde::{Deserialize, Serialize};

pub use self::change::RunUpdate;
pub(crate) use self::change::{delete_some_of, has_active, rename, restore_some_of};
pub(crate) use self::data::with_data;
pub use self::data::{Projection, RunData};
pub use self::start::NewRun;
use crate::experiment::MAX_PAGE;
use crate::{Circumstances, ExperimentId, Lifecycle, RUN_DELETED, RUN_NOT_FOUND, Seal, Tracking, queries};

/// The tag in which MLflow's clients keep a run's name.
pub(crate) const NAME_TAG: &str = "mlflow.runName";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    Running,
    Scheduled,
    Finished,
    Failed,
    Killed,
}

impl RunStatus {
    pub const ALL: &[Self] = &[Self::Running, Self::Scheduled, Self::Finished, Self::Failed, Self::Killed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Scheduled => "scheduled",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Killed => "killed",
        }
    }

    /// Whether the run has ended with this status.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }

    fn of(text: &str) -> Result<Self> {
        let status = Self::ALL.iter().find(|status| status.name() == text);
        status.copied().ok_or_else(|| lw_core::Error::bug(format!("`{text}` is stored as the status of a run")))
    }
}

/// A run without what it logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
    /// Short for the id, in the tables of what runs log.
    #[serde(skip)]
    pub(crate) number: u64,
    pub experiment: ExperimentId,
    pub name: String,
    pub started_by: Actor,
    /// Whom the client says it works for; empty if it says nothing. Not to be trusted, unlike `started_by`.
    pub user_id: String,
    pub status: RunStatus,
    pub lifecycle: Lifecycle,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub artifact_uri: String,
    pub circumstances: Circumstances,
    /// What the run had logged when it ended.
    pub seal: Option<Seal>,
}

/// What logging needs to know of a run.
pub(crate) struct Target {
    pub number: u64,
    pub name: String,
    pub lifecycle: Lifecycle,
    /// Whether the run has ended with a seal, which must be renewed then.
    pub is_sealed: bool,
}

impl Run {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        let seal = row.opt_text("seal")?.map(|_| row.json("seal")).transpose()?;
        Ok(Self {
            id: RunId::parse(&row.text("id")?)?,
            number: row.count("number")?,
            experiment: ExperimentId::new(row.count("experiment")?),
            name: row.text("name")?,
            started_by: Actor::new(&row.text("started_by")?),
            user_id: row.text("user_id")?,
            status: RunStatus::of(&row.text("status")?)?,
            lifecycle: Lifecycle::of(&row.text("lifecycle")?),
            started_at: row.time("started_at")?,
            ended_at: row.opt_time("ended_at")?,
            deleted_at: row.opt_time("deleted_at")?,
            artifact_uri: row.text("artifact_uri")?,
            circumstances: row.json("circumstances")?,
            seal,
        })
    }

    /// How ledger entries name the run.
    pub fn subject(&self) -> Subject {
        Subject::unversioned(SubjectKind::Run, self.id.as_str())
    }

    pub(crate) fn change(&self) -> Change {
        // Not canonical JSON, which rounds seeds above 2^53.
        let circumstances = serde_json::to_string(&self.circumstances).expect("circumstances are plain JSON");
        Change::put("run")
            .key("id", &self.id)
            .set("number", self.number)
            .set("experiment", self.experiment.number())
            .set("name", &self.name)
            .set("started_by", &self.started_by)
            .set("user_id", &self.user_id)
            .set("status", self.status.name())
            .set("lifecycle", self.lifecycle.name())
            .set("started_at", self.started_at)
            .set("ended_at", self.ended_at)
            .set("deleted_at", self.deleted_at)
            .set("artifact_uri", &self.artifact_uri)
            .set("circumstances", circumstances)
            .set("seal", self.seal.as_ref().map(canonical_json))
    }
}

impl Tracking {
    pub async fn run(&self, id: &RunId) -> Result<RunData> {
        let id = id.clone();
        self.store
            .read(move |reader| {
                let run = found(reader, &id)?;
                let data = with_data(reader, vec![run], &Projection::All)?.pop();
                data.ok_or_else(|| not_found(&id))
            })
            .await
    }

    /// A run without what it logged.
    pub async fn run_info(&self, id: &RunId) -> Result<Run> {
        let id = id.clone();
        self.store.read(move |reader| found(reader, &id)).await
    }

    /// The runs of experiments, newest first; ties by id. `before` continues after that run of the page before.
    pub async fn runs(
        &self,
        experiments: &[ExperimentId],
        lifecycle: Option<Lifecycle>,
        before: Option<(Timestamp, RunId)>,
        limit: u64,
    ) -> Result<Vec<RunData>> {
        let experiments = experiments.to_vec();
        self.store
            .read(move |reader| {
                let runs = queries::runs(reader, &experiments, lifecycle, before.as_ref(), limit.clamp(1, MAX_PAGE))?;
                with_data(reader, runs, &Projection::All)
            })
            .await
    }
}

pub(crate) fn found(reader: &mut Reader<'_>, id: &RunId) -> Result<Run> {
    queries::run(reader, id)?.ok_or_else(|| not_found(id))
}

/// The run that something is logged to. It is active.
pub(crate) fn target(reader: &mut Reader<'_>, id: &RunId) -> Result<Target> {
    let target = queries::target(reader, id)?.ok_or_else(|| not_found(id))?;
    check_active(id, target.lifecycle)?;
    Ok(target)
}

pub(crate) fn active(run: Run) -> Result<Run> {
    check_active(&run.id, run.lifecycle)?;
    Ok(run)
}

fn check_active(id: &RunId, lifecycle: Lifecycle) -> Result<()> {
    if lifecycle == Lifecycle::Active {
        return Ok(());
    }
    Err(RUN_DELETED
        .error(format!("The run {id} must be in the 'active' state. Current state is deleted."))
        .hint("restore the run first"))
}

fn not_found(id: &RunId) -> lw_core::Error {
    RUN_NOT_FOUND.error(format!("Run with id={id} not found"))
}
