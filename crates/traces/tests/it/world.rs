//! A store, an engine and a journal of their own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lw_core::{Actor, Ctx, SeededIds, SimulatedClock, Span as TimeSpan, Timestamp};
use lw_engine::{Engine, EngineOptions};
use lw_store::Store;
use lw_traces::{Fields, Json, NewTrace, Span, SpanGroup, SpanStatus, TraceFacts, TraceOptions, TraceState, Traces};
use lw_tracking::{ExperimentId, Tracking};

pub const SECOND_NS: i64 = 1_000_000_000;
/// 2013-06-01 12:00 UTC.
pub const NOON_NS: i64 = 1_370_088_000 * SECOND_NS;

pub struct World {
    pub directory: tempfile::TempDir,
    pub store: Store,
    pub engine: Engine,
    pub traces: Traces,
    pub clock: Arc<SimulatedClock>,
    pub ctx: Ctx,
    pub experiment: ExperimentId,
}

pub fn engine(directory: &Path) -> Engine {
    let tables_dir = directory.join("tables");
    Engine::open(EngineOptions { tables_dir, memory_limit_bytes: 512 << 20, n_threads: 2 }).unwrap()
}

pub async fn open(store: &Store, engine: &Engine, directory: &Path) -> Traces {
    let options = TraceOptions { dir: directory.join("spans"), journal: "test".to_owned() };
    Traces::open(store.clone(), engine.clone(), options).await.unwrap()
}

impl World {
    pub async fn make(store: Store) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimulatedClock::at(Timestamp::parse("2013-06-01T12:00:00Z").unwrap()));
        let ids = Arc::new(SeededIds::new(7));
        let ctx = Ctx { clock: clock.clone(), ids, ..Ctx::real(Actor::new("ana"), "request-1") };
        let experiment = Tracking::new(store.clone()).ensure_experiment(&ctx, "assistant").await.unwrap().id;
        let engine = engine(directory.path());
        let traces = open(&store, &engine, directory.path()).await;
        Self { directory, store, engine, traces, clock, ctx, experiment }
    }

    /// The same workspace after its process has ended.
    pub async fn reopened(self) -> Self {
        let Self { directory, store, engine, traces, clock, ctx, experiment } = self;
        drop(traces);
        drop(engine);
        let engine = self::engine(directory.path());
        let traces = open(&store, &engine, directory.path()).await;
        Self { directory, store, engine, traces, clock, ctx, experiment }
    }

    pub async fn log(&self, trace: &str, spans: Vec<Span>) {
        self.traces.log_spans(&self.ctx, self.experiment, vec![group(trace, spans)]).await.unwrap();
    }

    pub async fn spans(&self, trace: &str) -> Vec<String> {
        let (_, spans) = self.traces.trace_with_spans(trace).await.unwrap();
        spans.into_iter().map(|span| span.name).collect()
    }

    /// `SELECT count(*)` over the table of spans, and how many different spans there are.
    pub async fn in_table(&self) -> (i64, i64) {
        let table = lw_traces::span_table().unwrap();
        if self.engine.current_version(&table).await.unwrap().is_none() {
            return (0, 0);
        }
        let sql = "SELECT count(*) AS n, count(DISTINCT span_id || trace_id) AS m FROM trace.spans";
        let query = self.engine.query(sql, vec![lw_engine::Binding::table(&table, None)]).await.unwrap();
        let batch = query.collect().await.unwrap().remove(0);
        let number = |column: usize| match lw_engine::scalar_at(batch.column(column), 0).unwrap() {
            lw_core::Scalar::Int(number) => number,
            other => panic!("{other:?}"),
        };
        (number(0), number(1))
    }

    pub fn new_trace(&self, id: &str) -> NewTrace {
        NewTrace {
            id: id.to_owned(),
            facts: TraceFacts {
                experiment: self.experiment,
                started_at: Timestamp::parse("2013-06-01T12:00:00.123Z").unwrap(),
                duration: Some(TimeSpan::from_millis(1500)),
                state: TraceState::Ok,
                client_request_id: Some("cr-1".to_owned()),
                request_preview: Some("hello".to_owned()),
                response_preview: None,
                is_final: true,
                metadata: BTreeMap::new(),
                tags: BTreeMap::new(),
            },
            assessments: Vec::new(),
        }
    }
}

pub fn group(trace: &str, spans: Vec<Span>) -> SpanGroup {
    SpanGroup { trace: trace.to_owned(), resource: Fields::default(), spans }
}

/// A span that begins `n` milliseconds after noon and takes a second. Number 1 is the root of the others.
pub fn span(n: u64) -> Span {
    let start_ns = NOON_NS + n as i64 * 1_000_000;
    Span {
        id: format!("{n:016x}"),
        parent: (n != 1).then(|| format!("{:016x}", 1)),
        name: format!("span{n}"),
        kind: String::new(),
        status: SpanStatus::Ok,
        status_message: String::new(),
        start_ns,
        end_ns: Some(start_ns + SECOND_NS),
        attributes: Fields::default(),
        events: Vec::new(),
        links: Vec::new(),
    }
}

pub fn with(span: Span, attributes: &str) -> Span {
    let Some(Json::Object(attributes)) = Json::parse(attributes) else { panic!("{attributes}") };
    Span { attributes, ..span }
}

pub fn id(n: u64) -> String {
    format!("tr-{n:032x}")
}
