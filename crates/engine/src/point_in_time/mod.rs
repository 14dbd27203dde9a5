//! The point-in-time join: what was known about an entity at the moment a prediction was, or would have been, made.

mod key;
mod merge;
mod operator;
mod partition;
mod prepare;
mod rule;
mod run;

use arrow::array::RecordBatch;
use lw_core::Span;

pub use rule::is_within_ttl;
pub(crate) use run::run;

/// For each row of the spine, the newest row of each view that was known at the spine row's time.
///
/// Per view and spine row, the answer is the row with equal keys and the latest event time at or before the spine's time (before
/// it, with `strictly_before`), among the rows whose known time is at or before the spine's time. Between rows of one event time
/// the later known time wins, then the later row of the input. When that one row is older than the TTL, or there is none, the
/// output columns are NULL; a NULL in it stays NULL and is never filled from an older row. NULL keys and NULL times match nothing.
/// Every spine row comes back exactly once and in order.
#[derive(Debug, Clone)]
pub struct PointInTime {
    pub spine: Vec<RecordBatch>,
    /// The spine's column with the moment to look back from.
    pub time_column: String,
    pub views: Vec<PitView>,
}

#[derive(Debug, Clone)]
pub struct PitView {
    /// For messages.
    pub name: String,
    /// At least one batch, which may be empty: it tells the columns.
    pub rows: Vec<RecordBatch>,
    pub keys: Vec<KeyPair>,
    pub event_time: String,
    /// When a row became known, for rows that arrive late or are corrected. Without it a row is known at its event time.
    pub known_time: Option<String>,
    /// How old the answer may be, inclusive. `None`: any age.
    pub ttl: Option<Span>,
    /// Whether a row whose event time equals the spine's time is too late to be used.
    pub strictly_before: bool,
    pub columns: Vec<OutputColumn>,
}

/// A key column of the spine and the view's column that must equal it.
#[derive(Debug, Clone)]
pub struct KeyPair {
    pub spine: String,
    pub view: String,
}

/// A column of the view and its name in the result.
#[derive(Debug, Clone)]
pub struct OutputColumn {
    pub column: String,
    pub name: String,
}
