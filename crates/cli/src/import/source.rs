//! What an import reads: the records of an MLflow server, whether they come from the server or from its database.

use std::collections::BTreeMap;
use std::io::Read;

use lw_core::{Result, Timestamp};
use serde_json::Value;

/// Where an import reads. Calls block.
pub trait Source: Send + Sync {
    /// All experiments, deleted ones among them, in the order of their ids.
    fn experiments(&self) -> Result<Vec<Experiment>>;
    /// The runs of an experiment in an order that stays, with what they logged but the histories of their metrics.
    fn runs(&self, experiment: &str, page: Option<String>) -> Result<Page<Run>>;
    /// Every point of a run, some at a time. An error of the sink ends it.
    fn points(&self, run: &Run, sink: &mut dyn FnMut(Vec<Point>) -> Result<()>) -> Result<()>;
    /// The logged models of an experiment with all that was logged about them.
    fn logged_models(&self, experiment: &str, page: Option<String>) -> Result<Page<LoggedModel>>;
    /// Registered models and prompts with their versions.
    fn registered_models(&self, page: Option<String>) -> Result<Page<RegisteredModel>>;
    /// All files below a run's or a logged model's folder.
    fn files(&self, owner: &Owner) -> Result<Vec<File>>;
    fn open(&self, owner: &Owner, path: &str) -> Result<Box<dyn Read + Send>>;
}

/// Some of the things, and how to ask for the next ones.
#[derive(Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl<T> Page<T> {
    pub fn last(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

pub type Texts = BTreeMap<String, String>;

#[derive(Debug, Clone)]
pub struct Experiment {
    pub id: String,
    pub name: String,
    pub is_deleted: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub tags: Texts,
}

#[derive(Debug, Clone)]
pub struct Run {
    pub id: String,
    pub name: String,
    pub user: String,
    /// As MLflow writes it: `FINISHED`.
    pub status: String,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub is_deleted: bool,
    pub deleted_at: Option<Timestamp>,
    /// Where its artifacts lie.
    pub root: String,
    pub params: Vec<(String, String)>,
    pub tags: Texts,
    /// The names of its metrics, if its points are asked for by name.
    pub metrics: Vec<String>,
    /// How many points it has, if that is cheap to tell.
    pub n_points: Option<u64>,
    /// As `runs/log-inputs` takes them.
    pub datasets: Vec<Value>,
    pub model_inputs: Vec<String>,
    /// Logged models with the step at which they were made.
    pub model_outputs: Vec<(String, i64)>,
}

impl Run {
    /// Whether it has ended there, so that nothing is added any more in the ordinary course.
    pub fn has_ended(&self) -> bool {
        self.is_deleted || matches!(self.status.as_str(), "FINISHED" | "FAILED" | "KILLED")
    }
}

/// A point of a metric; NaN is NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub key: String,
    pub value: f64,
    pub timestamp_ms: i64,
    pub step: i64,
}

#[derive(Debug, Clone)]
pub struct LoggedModel {
    pub id: String,
    pub name: String,
    pub model_type: String,
    pub source_run: String,
    /// As MLflow writes it: `READY`.
    pub status: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub is_deleted: bool,
    pub root: String,
    pub params: Texts,
    pub tags: Texts,
    pub metrics: Vec<ModelMetric>,
}

/// A point that a run measured of a logged model.
#[derive(Debug, Clone)]
pub struct ModelMetric {
    pub run: String,
    pub point: Point,
    pub dataset_name: Option<String>,
    pub dataset_digest: Option<String>,
}

#[derive(Debug, Clone)]
pub struct RegisteredModel {
    pub name: String,
    pub description: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub tags: Texts,
    pub aliases: Vec<(String, u64)>,
    /// In the order of their numbers, which may have gaps.
    pub versions: Vec<ModelVersion>,
}

#[derive(Debug, Clone)]
pub struct ModelVersion {
    pub version: u64,
    pub source: String,
    pub run: String,
    pub run_link: String,
    pub logged_model: String,
    pub description: String,
    pub stage: String,
    pub user: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub tags: Texts,
}

/// Whose files are meant.
#[derive(Debug, Clone)]
pub struct Owner {
    pub kind: OwnerKind,
    pub id: String,
    /// Where they lie, as the source says it.
    pub root: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerKind {
    Run,
    LoggedModel,
}

/// A file by its path below its owner's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub path: String,
    pub size_bytes: Option<u64>,
}

/// A time as MLflow writes it. What cannot be one, because somebody wrote it by hand, becomes the nearest that can.
pub fn time(millis: i64) -> Timestamp {
    // The last moment that has a date in every time zone.
    const LAST_MS: i64 = 253_402_207_200_000;
    Timestamp::from_millis(millis.clamp(0, LAST_MS))
}

/// The id of the logged model that a source of a version names: `models:/m-…`.
pub fn logged_model_of(source: &str) -> Option<&str> {
    let id = source.strip_prefix("models:/")?.trim_start_matches('/');
    id.starts_with("m-").then(|| id.split('/').next().unwrap_or(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stay_within_the_calendar() {
        assert_eq!(time(5).millis(), 5);
        assert_eq!(time(-5).millis(), 0);
        assert_eq!(Timestamp::parse(&time(i64::MAX).to_string()).unwrap(), time(i64::MAX));
    }

    #[test]
    fn sources_name_logged_models() {
        for (source, want) in [
            ("models:/m-12", Some("m-12")),
            ("models:/m-12/model", Some("m-12")),
            ("models:/booster/3", None),
            ("runs:/abc/model", None),
        ] {
            assert_eq!(logged_model_of(source), want, "{source}");
        }
    }
}
