//! Runs: one attempt to make something, with its beginning, its end and its outcome.

mod change;
mod start;

use std::collections::BTreeMap;

use lw_core::{Actor, Change, Result, RunId, Subject, SubjectKind, Timestamp, canonical_json};
use lw_store::{Reader, Row};
use serde::{Deserialize, Serialize};

pub use self::change::RunUpdate;
pub(crate) use self::change::{delete_all_of, rename, restore_all_of};
pub use self::start::NewRun;
use crate::batch::MetricPoint;
use crate::experiment::MAX_PAGE;
use crate::{Circumstances, DatasetInput, ExperimentId, Lifecycle, RUN_DELETED, RUN_NOT_FOUND, Seal, Tracking, queries};

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
    pub experiment: ExperimentId,
    pub name: String,
    pub started_by: Actor,
    pub status: RunStatus,
    pub lifecycle: Lifecycle,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub circumstances: Circumstances,
    /// What the run had logged when it ended.
    pub seal: Option<Seal>,
}

/// A run with what it logged: of each metric the latest point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunData {
    pub run: Run,
    pub params: BTreeMap<String, String>,
    pub metrics: BTreeMap<String, MetricPoint>,
    pub tags: BTreeMap<String, String>,
    pub datasets: Vec<DatasetInput>,
}

impl Run {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        let seal = row.opt_text("seal")?.map(|_| row.json("seal")).transpose()?;
        Ok(Self {
            id: RunId::parse(&row.text("id")?)?,
            experiment: ExperimentId::new(row.count("experiment")?),
            name: row.text("name")?,
            started_by: Actor::new(&row.text("started_by")?),
            status: RunStatus::of(&row.text("status")?)?,
            lifecycle: Lifecycle::of(&row.text("lifecycle")?),
            started_at: row.time("started_at")?,
            ended_at: row.opt_time("ended_at")?,
            deleted_at: row.opt_time("deleted_at")?,
            circumstances: row.json("circumstances")?,
            seal,
        })
    }

    /// How ledger entries name the run.
    pub fn subject(&self) -> Subject {
        Subject::unversioned(SubjectKind::Run, self.id.as_str())
    }

    fn change(&self) -> Change {
        // Not canonical JSON, which rounds seeds above 2^53.
        let circumstances = serde_json::to_string(&self.circumstances).expect("circumstances are plain JSON");
        Change::put("run")
            .key("id", &self.id)
            .set("experiment", self.experiment.number())
            .set("name", &self.name)
            .set("started_by", &self.started_by)
            .set("status", self.status.name())
            .set("lifecycle", self.lifecycle.name())
            .set("started_at", self.started_at)
            .set("ended_at", self.ended_at)
            .set("deleted_at", self.deleted_at)
            .set("circumstances", circumstances)
            .set("seal", self.seal.as_ref().map(canonical_json))
    }
}

impl Tracking {
    pub async fn run(&self, id: &RunId) -> Result<RunData> {
        let id = id.clone();
        self.store.read(move |reader| data(reader, &id)).await
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
                with_data(reader, runs)
            })
            .await
    }
}

pub(crate) fn found(reader: &mut Reader<'_>, id: &RunId) -> Result<Run> {
    queries::run(reader, id)?.ok_or_else(|| RUN_NOT_FOUND.error(format!("there is no run with the id {id}")))
}

pub(crate) fn active(run: Run) -> Result<Run> {
    if run.lifecycle == Lifecycle::Active {
        return Ok(run);
    }
    Err(RUN_DELETED.error(format!("the run {} must be in the 'active' state", run.id)).hint("restore the run first"))
}

fn data(reader: &mut Reader<'_>, id: &RunId) -> Result<RunData> {
    let run = found(reader, id)?;
    let missing = || RUN_NOT_FOUND.error(format!("there is no run with the id {id}"));
    with_data(reader, vec![run])?.pop().ok_or_else(missing)
}

/// Adds what the runs logged, with a few statements for all of them.
fn with_data(reader: &mut Reader<'_>, runs: Vec<Run>) -> Result<Vec<RunData>> {
    let ids: Vec<RunId> = runs.iter().map(|run| run.id.clone()).collect();
    let mut params = queries::params_of(reader, &ids)?;
    let mut metrics = queries::latest_points_of(reader, &ids)?;
    let mut tags = queries::tags_of(reader, &ids)?;
    let mut datasets = queries::datasets_of(reader, &ids)?;
    let with_data = |run: Run| RunData {
        params: params.remove(&run.id).unwrap_or_default(),
        metrics: metrics.remove(&run.id).unwrap_or_default(),
        tags: tags.remove(&run.id).unwrap_or_default(),
        datasets: datasets.remove(&run.id).unwrap_or_default(),
        run,
    };
    Ok(runs.into_iter().map(with_data).collect())
}
