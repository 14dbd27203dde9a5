//! Spans: what happened within a trace.

mod convention;
mod preview;
mod usage;

use serde::{Deserialize, Serialize};

pub(crate) use convention::translate;
pub(crate) use preview::preview;
pub(crate) use usage::{COST_KEYS, TOKEN_KEYS, UsageNode, total};

use crate::json::{Fields, Json};

/// Attributes with a meaning of their own.
pub mod attribute {
    pub const INPUTS: &str = "mlflow.spanInputs";
    pub const OUTPUTS: &str = "mlflow.spanOutputs";
    pub const TYPE: &str = "mlflow.spanType";
    pub const TRACE: &str = "mlflow.traceRequestId";
    pub const TOKEN_USAGE: &str = "mlflow.chat.tokenUsage";
    pub const COST: &str = "mlflow.llm.cost";
    pub const MODEL: &str = "mlflow.llm.model";
    pub const PROVIDER: &str = "mlflow.llm.provider";
    pub const TOOLS: &str = "mlflow.chat.tools";
    /// What follows is a tag of the trace; on root spans alone.
    pub const TRACE_TAG: &str = "mlflow.traceTag.";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SpanStatus {
    Unset,
    Ok,
    Error,
}

impl SpanStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::Unset => "UNSET",
            Self::Ok => "OK",
            Self::Error => "ERROR",
        }
    }

    pub(crate) fn of(text: &str) -> Self {
        match text {
            "OK" => Self::Ok,
            "ERROR" => Self::Error,
            _ => Self::Unset,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpanEvent {
    pub name: String,
    pub at_ns: i64,
    pub attributes: Fields,
}

/// A span of another trace, or of this one, that led to a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpanLink {
    /// 32 hexadecimal digits.
    pub trace: String,
    /// 16 hexadecimal digits.
    pub span: String,
    pub attributes: Fields,
}

/// One step of a trace. Times are nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// 16 hexadecimal digits.
    pub id: String,
    /// None for the root.
    pub parent: Option<String>,
    pub name: String,
    /// OpenTelemetry's kind: `INTERNAL`, `SERVER`, `CLIENT`, `PRODUCER`, `CONSUMER`, or empty.
    pub kind: String,
    pub status: SpanStatus,
    pub status_message: String,
    pub start_ns: i64,
    pub end_ns: Option<i64>,
    pub attributes: Fields,
    pub events: Vec<SpanEvent>,
    pub links: Vec<SpanLink>,
}

impl Span {
    /// What kind of step it is, such as `LLM` or `TOOL`.
    pub fn span_type(&self) -> &str {
        self.attributes.get(attribute::TYPE).and_then(Json::as_text).unwrap_or("UNKNOWN")
    }

    pub(crate) fn is_root(&self) -> bool {
        self.parent.is_none()
    }
}

/// The spans of one trace that came together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpanGroup {
    /// The trace's id: `tr-` and 32 hexadecimal digits.
    pub trace: String,
    /// Attributes of what sent the spans, such as `service.name`.
    pub resource: Fields,
    pub spans: Vec<Span>,
}
