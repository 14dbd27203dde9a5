//! Runs of pipelines, as callers ask for them and see them.

use std::fmt;

use lw_core::{Actor, Digest, Name, Result, Scalar, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Manifest, UNKNOWN_PIPELINE_RUN};

/// The id of a run of a pipeline: 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PipelineRunId(Box<str>);

impl PipelineRunId {
    pub(crate) fn from_u128(id: u128) -> Self {
        Self(format!("{id:032x}").into())
    }

    pub fn parse(text: &str) -> Result<Self> {
        let is_hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() == 32 && is_hex {
            return Ok(Self(text.into()));
        }
        let shown: String = text.chars().take(80).collect();
        let error = UNKNOWN_PIPELINE_RUN.error(format!("`{}` is not the id of a pipeline run", shown.escape_debug()));
        Err(error.hint("an id has 32 lower-case hexadecimal digits; list the runs to find it"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PipelineRunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&PipelineRunId> for Scalar {
    fn from(id: &PipelineRunId) -> Self {
        Self::Text(id.as_str().to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    Running,
    /// Steps that run are being stopped; no new one starts.
    Cancelling,
    Succeeded,
    Failed,
    Cancelled,
}

impl RunState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn is_over(self) -> bool {
        !matches!(self, Self::Running | Self::Cancelling)
    }
}

/// What a run is asked for.
#[derive(Debug, Clone)]
pub struct Start {
    /// Who or what asks: `person`, `schedule`, `monitor:feature_drift`.
    pub cause: String,
    /// Asking again with the same cause and key gives the run that the first time started.
    pub dedupe_key: Option<String>,
    /// Handed to every step.
    pub params: serde_json::Value,
}

impl Start {
    pub fn by_hand() -> Self {
        Self { cause: "person".to_owned(), dedupe_key: None, params: serde_json::Value::Null }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    pub run: PipelineRunId,
    /// Whether this call started it.
    pub is_new: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSummary {
    pub run: PipelineRunId,
    pub pipeline: Name,
    /// The definition that the run is pinned to.
    pub digest: Digest,
    pub cause: String,
    pub params: serde_json::Value,
    pub started_by: Actor,
    pub state: RunState,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

/// A run with its steps, in the order of the definition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunView {
    #[serde(flatten)]
    pub summary: RunSummary,
    pub steps: Vec<StepView>,
}

impl RunView {
    pub fn step(&self, key: &str) -> Option<&StepView> {
        self.steps.iter().find(|step| step.key == key)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepView {
    pub key: String,
    /// blocked, ready, running, waiting, succeeded, failed, skipped or cancelled.
    pub state: String,
    /// Attempts begun, the one that runs included; waking up and being given back do not count.
    pub attempt: u32,
    /// How often a worker has taken it.
    pub fence: i64,
    /// Why it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
    /// The run whose outputs were copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_from: Option<PipelineRunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepError {
    pub code: String,
    pub message: String,
}
