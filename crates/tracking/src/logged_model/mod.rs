//! Logged models: what a run made and saved as a model, before anybody registers it.

mod change;
mod search;

use std::collections::BTreeMap;
use std::fmt;

use lw_core::{Change, Result, RunId, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

pub use self::change::NewLoggedModel;
pub(crate) use self::change::{put_params, put_tags};
pub use self::search::LoggedModelSearch;
use crate::key::{quoted, shown};
use crate::{BAD_LOGGED_MODEL, ExperimentId, LOGGED_MODEL_NOT_FOUND, Lifecycle, MetricPoint, Tracking, queries};

/// The id of a logged model: `m-` and 32 hexadecimal digits if we made it, letters, digits, `-` and `_` in any case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoggedModelId(Box<str>);

impl LoggedModelId {
    pub fn parse(text: &str) -> Result<Self> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if is_plain && (1..=64).contains(&text.len()) {
            return Ok(Self(text.into()));
        }
        Err(BAD_LOGGED_MODEL
            .error(format!("`{}` is not the id of a logged model", shown(text)))
            .hint("an id looks like m-0123456789abcdef0123456789abcdef"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How ledger entries name the model.
    pub fn subject(&self) -> Subject {
        Subject::unversioned(SubjectKind::LoggedModel, self.as_str())
    }
}

impl fmt::Display for LoggedModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the files of a logged model are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LoggedModelStatus {
    Unspecified,
    Pending,
    Ready,
    Failed,
}

impl LoggedModelStatus {
    pub const ALL: &[Self] = &[Self::Unspecified, Self::Pending, Self::Ready, Self::Failed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "UNSPECIFIED",
            Self::Pending => "PENDING",
            Self::Ready => "READY",
            Self::Failed => "FAILED",
        }
    }
}

/// A logged model without what was logged about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedModel {
    pub id: LoggedModelId,
    pub experiment: ExperimentId,
    pub name: String,
    /// Such as `Classifier`; may be empty.
    pub model_type: String,
    /// The id of the run that made it, as the client gave it; may be empty.
    pub source_run: String,
    pub status: LoggedModelStatus,
    pub lifecycle: Lifecycle,
    pub artifact_uri: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A logged model with what was logged about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedModelData {
    pub model: LoggedModel,
    pub params: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    /// Every point, by metric, time and step.
    pub metrics: Vec<Measurement>,
}

/// A point of a metric that a run measures of a logged model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelMetric {
    pub model: LoggedModelId,
    pub key: String,
    pub point: MetricPoint,
    /// The dataset on which it was measured.
    pub dataset_name: Option<String>,
    pub dataset_digest: Option<String>,
}

/// A point together with the run that measured it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub run: RunId,
    pub metric: ModelMetric,
}

impl LoggedModel {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        let status = row.text("status")?;
        let status = LoggedModelStatus::ALL.iter().find(|known| known.name() == status).copied();
        Ok(Self {
            id: LoggedModelId::parse(&row.text("id")?)?,
            experiment: ExperimentId::new(row.count("experiment")?),
            name: row.text("name")?,
            model_type: row.text("model_type")?,
            source_run: row.text("source_run")?,
            status: status.ok_or_else(|| lw_core::Error::bug("a logged model is stored with an unknown status"))?,
            lifecycle: Lifecycle::of(&row.text("lifecycle")?),
            artifact_uri: row.text("artifact_uri")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
        })
    }

    pub(crate) fn change(&self) -> Change {
        Change::put("logged_model")
            .key("id", self.id.as_str())
            .set("experiment", self.experiment.number())
            .set("name", &self.name)
            .set("model_type", &self.model_type)
            .set("source_run", &self.source_run)
            .set("status", self.status.name())
            .set("lifecycle", self.lifecycle.name())
            .set("artifact_uri", &self.artifact_uri)
            .set("created_at", self.created_at)
            .set("updated_at", self.updated_at)
    }
}

impl Tracking {
    /// A logged model that is not deleted.
    pub async fn logged_model(&self, id: &LoggedModelId) -> Result<LoggedModelData> {
        self.logged_model_in(id, false).await
    }

    /// A logged model even if it is deleted.
    pub async fn logged_model_or_deleted(&self, id: &LoggedModelId) -> Result<LoggedModelData> {
        self.logged_model_in(id, true).await
    }

    async fn logged_model_in(&self, id: &LoggedModelId, may_be_deleted: bool) -> Result<LoggedModelData> {
        let id = id.clone();
        self.store
            .read(move |reader| {
                let model = found(reader, &id)?;
                if model.lifecycle == Lifecycle::Deleted && !may_be_deleted {
                    return Err(not_found(&id));
                }
                with_data(reader, vec![model])?.pop().ok_or_else(|| not_found(&id))
            })
            .await
    }
}

/// Adds what was logged about the models, with a few statements for all of them.
fn with_data(reader: &mut Reader<'_>, models: Vec<LoggedModel>) -> Result<Vec<LoggedModelData>> {
    let ids: Vec<LoggedModelId> = models.iter().map(|model| model.id.clone()).collect();
    let mut params = queries::model_params_of(reader, &ids)?;
    let mut tags = queries::model_tags_of(reader, &ids)?;
    let mut metrics = queries::model_metrics_of(reader, &ids)?;
    let with_data = |model: LoggedModel| LoggedModelData {
        params: params.remove(&model.id).into_iter().flatten().collect(),
        tags: tags.remove(&model.id).into_iter().flatten().collect(),
        metrics: metrics.remove(&model.id).unwrap_or_default(),
        model,
    };
    Ok(models.into_iter().map(with_data).collect())
}

/// Logs points that a run measured. A point of the same time and step stays as it is.
pub(crate) fn put_metrics(tx: &mut Tx<'_>, run: &RunId, metrics: &[ModelMetric]) -> Result<()> {
    let mut models: Vec<&LoggedModelId> = metrics.iter().map(|metric| &metric.model).collect();
    models.sort_unstable();
    models.dedup();
    for model in models {
        found(tx, model)?;
    }
    queries::insert_model_metrics(tx, run, metrics)
}

pub(crate) fn found(reader: &mut Reader<'_>, id: &LoggedModelId) -> Result<LoggedModel> {
    queries::logged_model(reader, id)?.ok_or_else(|| not_found(id))
}

pub(crate) fn not_found(id: &LoggedModelId) -> lw_core::Error {
    LOGGED_MODEL_NOT_FOUND.error(format!("Logged model with ID '{id}' not found."))
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    const BAD: [char; 6] = ['/', ':', '.', '%', '"', '\''];
    if !name.is_empty() && !name.contains(BAD) {
        return Ok(());
    }
    Err(BAD_LOGGED_MODEL
        .error(format!(
            "Invalid model name ({}) provided. Model name must be a non-empty string and cannot contain the following characters: \
             ('/', ':', '.', '%', '\"', \"'\")",
            quoted(name)
        ))
        .hint("leave the name out to get one"))
}
