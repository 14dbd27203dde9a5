//! A trace as a whole: one request through an application.

use std::collections::BTreeMap;

use lw_core::{Result, Span as TimeSpan, Timestamp};
use lw_store::Row;
use lw_tracking::ExperimentId;

use crate::Assessment;

/// Metadata with a meaning of their own.
pub mod metadata {
    pub const RUN: &str = "mlflow.sourceRun";
    pub const SESSION: &str = "mlflow.trace.session";
    pub const USER: &str = "mlflow.trace.user";
    pub const TOKEN_USAGE: &str = "mlflow.trace.tokenUsage";
    pub const COST: &str = "mlflow.trace.cost";
    /// JSON; its `num_spans` says how many spans belong to the trace.
    pub const SIZE: &str = "mlflow.trace.sizeStats";
}

/// The tag that holds a trace's name.
pub const NAME_TAG: &str = "mlflow.traceName";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceState {
    Unspecified,
    InProgress,
    Ok,
    Error,
}

impl TraceState {
    pub const ALL: [Self; 4] = [Self::Unspecified, Self::InProgress, Self::Ok, Self::Error];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "STATE_UNSPECIFIED",
            Self::InProgress => "IN_PROGRESS",
            Self::Ok => "OK",
            Self::Error => "ERROR",
        }
    }

    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == text)
    }
}

/// What clients and spans tell of a whole trace.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceFacts {
    pub experiment: ExperimentId,
    pub started_at: Timestamp,
    pub duration: Option<TimeSpan>,
    pub state: TraceState,
    pub client_request_id: Option<String>,
    pub request_preview: Option<String>,
    pub response_preview: Option<String>,
    /// Whether the client has told the whole trace's facts: spans that come later leave times and state as they are.
    pub is_final: bool,
    pub metadata: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    pub id: String,
    pub facts: TraceFacts,
    pub assessments: Vec<Assessment>,
    /// Tells this trace from one that had its id before and was deleted.
    pub(crate) incarnation: String,
    /// When the first and the last known span began, in nanoseconds.
    pub(crate) span_range: Option<(i64, i64)>,
}

impl Trace {
    /// Whether spans of the trace are kept.
    pub fn has_spans(&self) -> bool {
        self.span_range.is_some()
    }

    /// How many spans the client says that there are.
    pub fn n_spans_told(&self) -> Option<usize> {
        let size: serde_json::Value = serde_json::from_str(self.facts.metadata.get(metadata::SIZE)?).ok()?;
        usize::try_from(size.get("num_spans")?.as_u64()?).ok()
    }

    /// A row alone: tags, metadata and assessments stand in tables of their own.
    pub(crate) fn of(row: &Row) -> Result<Self> {
        let first = row.opt_int("first_span_ns")?;
        let facts = TraceFacts {
            experiment: ExperimentId::parse(&row.int("experiment")?.to_string())?,
            started_at: row.time("started_at")?,
            duration: row.opt_int("duration")?.map(TimeSpan::from_micros),
            state: TraceState::of(&row.text("state")?).unwrap_or(TraceState::Unspecified),
            client_request_id: row.opt_text("client_request_id")?,
            request_preview: row.opt_text("request_preview")?,
            response_preview: row.opt_text("response_preview")?,
            is_final: row.bool("is_final")?,
            metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
        };
        Ok(Self {
            id: row.text("id")?,
            facts,
            assessments: Vec::new(),
            incarnation: row.text("incarnation")?,
            span_range: first.zip(row.opt_int("last_span_ns")?),
        })
    }
}
