//! Traces: what happened inside an application for one request, what is thought of it, and the sets it is evaluated on.
//!
//! **Where things are.** What is known of a trace as a whole (times, state, previews, tags, metadata, assessments, links) are rows of
//! the metadata database. Its *spans* are not: an application makes hundreds for a request. They go to the Delta table `trace/spans`,
//! by way of a journal on the local disk ([`lw_store::journal`], which the prediction log uses, too):
//!
//! 1. [`Traces::log_spans`] writes the row of the trace, appends the spans to the journal and waits for the sync. From then on they
//!    are acknowledged and can be read: a small index in memory tells where each trace's records stand.
//! 2. [`Traces::deliver`] seals the journal and writes each complete segment into the table, one commit a segment, under the
//!    segment's number. The table keeps the number in the same commit, so that a crash before the segment is removed delivers nothing
//!    twice, and one before the commit loses nothing.
//! 3. Readers unite journal and table. They look into the journal first: whatever leaves it meanwhile is in the table already. A span
//!    that is found twice, because it was sent or is delivered at this moment, counts once, as it was sent last.
//!
//! **Deleting.** Spans carry the *incarnation* of their trace, not just its id. A deleted trace takes its incarnation with it, so its
//! spans are gone for every reader at once; the next delivery removes them from the table. A trace that is sent again under the same
//! id is another incarnation.
//!
//! **Finding a trace in the table.** A trace remembers when its first and last span began. Files of the table hold what came in within
//! one stretch of time, so their statistics leave few files to open.
//!
//! ```
//! use lw_core::{Actor, Ctx};
//! use lw_traces::{Fields, Span, SpanGroup, SpanStatus, TraceOptions, Traces};
//! use lw_tracking::Tracking;
//!
//! lw_store::testing::both(|store| async move {
//!     let directory = tempfile::tempdir().unwrap();
//!     let tables_dir = directory.path().join("tables");
//!     let engine = lw_engine::Engine::open(lw_engine::EngineOptions { tables_dir, memory_limit_bytes: 64 << 20, n_threads: 1 });
//!     let options = TraceOptions { dir: directory.path().join("spans"), journal: "here".to_owned() };
//!     let traces = Traces::open(store.clone(), engine.unwrap(), options).await.unwrap();
//!
//!     let ctx = Ctx::real(Actor::new("ana"), "request-1");
//!     let experiment = Tracking::new(store).ensure_experiment(&ctx, "assistant").await.unwrap();
//!     let span = Span {
//!         id: "00000000000000a1".to_owned(),
//!         parent: None,
//!         name: "answer".to_owned(),
//!         kind: String::new(),
//!         status: SpanStatus::Ok,
//!         status_message: String::new(),
//!         start_ns: 1_000_000,
//!         end_ns: Some(3_000_000),
//!         attributes: Fields::default(),
//!         events: Vec::new(),
//!         links: Vec::new(),
//!     };
//!     let id = format!("tr-{:032x}", 1);
//!     let group = SpanGroup { trace: id.clone(), resource: Fields::default(), spans: vec![span] };
//!     traces.log_spans(&ctx, experiment.id, vec![group]).await.unwrap();
//!     let (trace, spans) = traces.trace_with_spans(&id).await.unwrap();
//!     assert_eq!((trace.facts.state.name(), spans[0].name.as_str()), ("OK", "answer"));
//! });
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod assessment;
mod buffer;
mod change;
mod correlation;
mod dataset;
mod failures;
mod json;
mod label_schema;
mod log;
mod queries;
mod read;
mod removal;
mod scorer;
mod search;
mod span;
mod start;
mod table;
mod trace;
mod written;

pub use assessment::{Assessment, AssessmentError, AssessmentUpdate, AssessmentValue, NewAssessment, SourceType};
pub use correlation::Correlation;
pub use dataset::{DatasetPage, DatasetRecord, EvaluationDataset, RecordPage, Upserted};
pub use failures::*;
pub use json::{Fields, Json};
pub use label_schema::{LabelInput, LabelKind, LabelSchema, LabelSchemaUpdate, NewLabelSchema};
pub use removal::Removal;
pub use scorer::{Sampling, Scorer};
pub use search::{TracePage, TraceSearch};
pub use span::{Span, SpanEvent, SpanGroup, SpanLink, SpanStatus, attribute};
pub use start::NewTrace;
pub use table::{APP_ID, Delivery, span_table};
pub use trace::{NAME_TAG, Trace, TraceFacts, TraceState, metadata};
pub use written::written_span;

use std::path::PathBuf;
use std::sync::Arc;

use lw_core::{Error, Result};
use lw_engine::Engine;
use lw_store::{Reader, Store};

use buffer::Buffer;
use log::Turns;

/// Where spans wait, and under which name this process delivers them.
#[derive(Debug, Clone)]
pub struct TraceOptions {
    /// The folder of the journal.
    pub dir: PathBuf,
    /// Names the journal among all that deliver into the same table; stays the same when the process starts anew.
    pub journal: String,
}

/// Everything about traces. Cheap to clone.
#[derive(Clone)]
pub struct Traces {
    store: Store,
    engine: Engine,
    buffer: Arc<Buffer>,
    turns: Arc<Turns>,
}

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}

impl Traces {
    /// Opens the journal and finds again what waits in it.
    pub async fn open(store: Store, engine: Engine, options: TraceOptions) -> Result<Self> {
        let buffer = Arc::new(Buffer::open(&engine, options).await?);
        Ok(Self { store, engine, buffer, turns: Arc::default() })
    }

    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// A trace's row, or that it is not there.
pub(crate) fn found(reader: &mut Reader<'_>, id: &str) -> Result<Trace> {
    let trace = queries::trace_rows(reader, &[id.to_owned()])?.remove(id);
    trace.ok_or_else(|| not_found(id))
}

pub(crate) fn not_found(id: &str) -> Error {
    let shown: String = id.chars().take(80).collect();
    TRACE_NOT_FOUND.error(format!("Trace with ID '{shown}' not found."))
}
