//! Taking in spans.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use lw_core::{Ctx, Result, Span as TimeSpan, Timestamp};
use lw_store::Tx;
use lw_tracking::ExperimentId;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::buffer::Stored;
use crate::json::{Fields, Json};
use crate::span::{self, COST_KEYS, SpanGroup, SpanStatus, TOKEN_KEYS, UsageNode, attribute, preview, translate};
use crate::start::{check_experiment, check_id, checked_tag};
use crate::trace::metadata;
use crate::{BAD_TRACE, NAME_TAG, Span, Trace, TraceFacts, TraceState, Traces, queries};

const N_TURNS: usize = 256;
/// Spans of open traces whose place in the tree is remembered.
const MAX_REMEMBERED_SPANS: usize = 1_000_000;

/// Batches of one trace take turns, so that each sees the usage that those before it told.
pub(crate) struct Turns {
    locks: Vec<Arc<AsyncMutex<()>>>,
    hasher: RandomState,
    trees: Mutex<Trees>,
}

impl Default for Turns {
    fn default() -> Self {
        let locks = (0..N_TURNS).map(|_| Arc::default()).collect();
        Self { locks, hasher: RandomState::new(), trees: Mutex::default() }
    }
}

/// The spans of traces that still grow, by incarnation.
#[derive(Default)]
struct Trees {
    nodes: HashMap<String, HashMap<String, Node>>,
    oldest_first: VecDeque<String>,
    n_spans: usize,
}

#[derive(Clone)]
struct Node {
    parent: Option<String>,
    tokens: Option<Fields>,
    cost: Option<Fields>,
}

/// One group a trace.
fn merged(groups: Vec<SpanGroup>) -> Vec<SpanGroup> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut merged: Vec<SpanGroup> = Vec::new();
    for group in groups.into_iter().filter(|group| !group.spans.is_empty()) {
        match places.get(&group.trace).and_then(|place| merged.get_mut(*place)) {
            Some(first) => {
                first.spans.extend(group.spans);
                if first.resource.0.is_empty() {
                    first.resource = group.resource;
                }
            }
            None => {
                places.insert(group.trace.clone(), merged.len());
                merged.push(group);
            }
        }
    }
    merged
}

impl Turns {
    /// Taken in the order of the locks, so that two requests never wait for each other.
    async fn take(&self, ids: &[String]) -> Vec<OwnedMutexGuard<()>> {
        let mut indices: Vec<usize> = ids.iter().map(|id| (self.hasher.hash_one(id) % N_TURNS as u64) as usize).collect();
        indices.sort_unstable();
        indices.dedup();
        let mut guards = Vec::with_capacity(indices.len());
        for lock in indices.iter().filter_map(|index| self.locks.get(*index)) {
            guards.push(Arc::clone(lock).lock_owned().await);
        }
        guards
    }
}

impl Trees {
    fn remember(&mut self, incarnation: &str, nodes: HashMap<String, Node>) {
        if !self.nodes.contains_key(incarnation) {
            self.oldest_first.push_back(incarnation.to_owned());
        }
        let tree = self.nodes.entry(incarnation.to_owned()).or_default();
        let n_before = tree.len();
        tree.extend(nodes);
        self.n_spans += tree.len() - n_before;
        while self.n_spans > MAX_REMEMBERED_SPANS {
            let Some(oldest) = self.oldest_first.pop_front() else { break };
            self.n_spans -= self.nodes.remove(&oldest).map_or(0, |tree| tree.len());
        }
    }
}

/// What the spans of one batch tell of their trace.
struct Facts {
    group: SpanGroup,
    first_ns: i64,
    last_ns: i64,
    ended_ns: Option<i64>,
    nodes: HashMap<String, Node>,
    /// What the trace would be called if it were new.
    incarnation: String,
}

impl Traces {
    /// Keeps spans. When this returns they are on disk and can be read; traces that are not there are made. All or nothing.
    pub async fn log_spans(&self, ctx: &Ctx, experiment: ExperimentId, groups: Vec<SpanGroup>) -> Result<()> {
        let groups = merged(groups);
        let n_spans = groups.iter().map(|group| group.spans.len()).sum();
        if n_spans == 0 {
            return Ok(());
        }
        // A journal that takes nothing is told before the traces are made.
        let reservation = self.buffer.reserve(n_spans)?;
        let facts = groups.into_iter().map(|group| Facts::of(group, ctx));
        let mut facts = facts.collect::<Result<Vec<_>>>()?;
        let ids: Vec<String> = facts.iter().map(|facts| facts.group.trace.clone()).collect();
        let _turns = self.turns.take(&ids).await;
        let known = self.store.read(move |reader| queries::trace_rows(reader, &ids)).await?;
        for facts in &facts {
            if let Some(trace) = known.get(&facts.group.trace) {
                self.load_tree(trace, facts).await?;
            }
        }
        let totals: Vec<BTreeMap<String, String>> =
            facts.iter().map(|facts| self.totals(known.get(&facts.group.trace), facts)).collect();
        let written = self
            .store
            .write(ctx, move |tx| {
                for (facts, totals) in facts.iter_mut().zip(&totals) {
                    facts.incarnation = apply(tx, experiment, facts, totals)?;
                }
                Ok(facts)
            })
            .await?;
        let mut stored = Vec::with_capacity(written.len());
        {
            let mut trees = self.turns.trees.lock();
            for facts in written {
                let is_new = !known.contains_key(&facts.group.trace);
                if is_new || trees.nodes.contains_key(&facts.incarnation) {
                    trees.remember(&facts.incarnation, facts.nodes);
                }
                stored.push(Stored { incarnation: facts.incarnation, experiment: experiment.number(), group: facts.group });
            }
        }
        self.buffer.append(reservation, stored).await
    }

    /// Brings the earlier spans of a trace to mind if the new ones tell usage that must be added up with theirs.
    async fn load_tree(&self, trace: &Trace, facts: &Facts) -> Result<()> {
        let tells_usage = facts.nodes.values().any(|node| node.tokens.is_some() || node.cost.is_some());
        let is_known = self.turns.trees.lock().nodes.contains_key(&trace.incarnation);
        if !tells_usage || is_known || !trace.has_spans() {
            return Ok(());
        }
        let spans = self.spans_of(std::slice::from_ref(trace)).await?.remove(&trace.id).unwrap_or_default();
        let nodes = spans.iter().map(|span| (span.id.clone(), Node::of(span))).collect();
        self.turns.trees.lock().remember(&trace.incarnation, nodes);
        Ok(())
    }

    /// Usage of the whole trace as metadata, if the new spans tell any.
    fn totals(&self, known: Option<&Trace>, facts: &Facts) -> BTreeMap<String, String> {
        let trees = self.turns.trees.lock();
        let earlier = known.and_then(|trace| trees.nodes.get(&trace.incarnation));
        let mut all: HashMap<&String, &Node> = earlier.into_iter().flatten().collect();
        all.extend(&facts.nodes);
        let sum = |keys: &[&str], pick: fn(&Node) -> &Option<Fields>| {
            if !facts.nodes.values().any(|node| pick(node).is_some()) {
                return None;
            }
            let node = |(span, node): (&&String, &&Node)| UsageNode {
                span: (*span).clone(),
                parent: node.parent.clone(),
                usage: pick(node).clone(),
            };
            let nodes: Vec<UsageNode> = all.iter().map(node).collect();
            span::total(&nodes.iter().collect::<Vec<_>>(), keys)
        };
        let tokens = sum(TOKEN_KEYS, |node| &node.tokens).map(|total| (metadata::TOKEN_USAGE.to_owned(), total.dumped()));
        let cost = sum(COST_KEYS, |node| &node.cost).map(|total| (metadata::COST.to_owned(), total.dumped()));
        tokens.into_iter().chain(cost).collect()
    }
}

impl Node {
    fn of(span: &Span) -> Self {
        let fields = |name: &str| span.attributes.get(name).and_then(Json::as_fields).cloned();
        Self { parent: span.parent.clone(), tokens: fields(attribute::TOKEN_USAGE), cost: fields(attribute::COST) }
    }
}

impl Facts {
    fn of(mut group: SpanGroup, ctx: &Ctx) -> Result<Self> {
        check_id(&group.trace)?;
        group.spans.iter_mut().for_each(translate);
        if group.spans.iter().any(|span| span.start_ns < 0) {
            return Err(BAD_TRACE.error("a span began before 1970"));
        }
        let starts = || group.spans.iter().map(|span| span.start_ns);
        Ok(Self {
            first_ns: starts().min().unwrap_or_default(),
            last_ns: starts().max().unwrap_or_default(),
            ended_ns: group.spans.iter().filter_map(|span| span.end_ns).max(),
            nodes: group.spans.iter().map(|span| (span.id.clone(), Node::of(span))).collect(),
            incarnation: ctx.ids.next_hex(),
            group,
        })
    }

    fn root(&self) -> Option<&Span> {
        self.group.spans.iter().rev().find(|span| span.is_root())
    }

    fn first_text(&self, names: &[&str]) -> Option<String> {
        let mut spans = self.group.spans.iter();
        spans.find_map(|span| {
            let value = names.iter().find_map(|name| span.attributes.get(name))?;
            value.as_text().map_or_else(|| Some(value.dumped()), |text| Some(text.to_owned())).filter(|text| !text.is_empty())
        })
    }
}

/// Nanoseconds as a time of whole milliseconds, which is what clients tell.
fn whole_millis(ns: i64) -> Timestamp {
    Timestamp::from_millis(ns / 1_000_000)
}

/// Makes or changes the trace that spans came for, and returns its incarnation.
fn apply(tx: &mut Tx<'_>, experiment: ExperimentId, facts: &Facts, totals: &BTreeMap<String, String>) -> Result<String> {
    let id = &facts.group.trace;
    let known = queries::trace_rows(tx, std::slice::from_ref(id))?.remove(id);
    if known.is_none() {
        check_experiment(tx, experiment)?;
    }
    let (started_at, ended_at) = (whole_millis(facts.first_ns), facts.ended_ns.map(whole_millis));
    let is_final = known.as_ref().is_some_and(|trace| trace.facts.is_final);
    let mut trace = known.unwrap_or_else(|| Trace {
        id: id.clone(),
        facts: TraceFacts {
            experiment,
            started_at,
            duration: None,
            state: TraceState::InProgress,
            client_request_id: None,
            request_preview: None,
            response_preview: None,
            is_final: false,
            metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
        },
        incarnation: facts.incarnation.clone(),
        assessments: Vec::new(),
        span_range: None,
    });
    if !is_final {
        let ended_before = trace.facts.duration.map(|duration| trace.facts.started_at + duration);
        trace.facts.started_at = trace.facts.started_at.min(started_at);
        let ended_at = ended_before.into_iter().chain(ended_at).max();
        trace.facts.duration =
            ended_at.map(|ended_at| ended_at - trace.facts.started_at).map(|span| span.max(TimeSpan::from_micros(0)));
    }
    let (first, last) = trace.span_range.unwrap_or((facts.first_ns, facts.last_ns));
    trace.span_range = Some((first.min(facts.first_ns), last.max(facts.last_ns)));
    if let Some(root) = facts.root() {
        let is_open = matches!(trace.facts.state, TraceState::InProgress | TraceState::Unspecified);
        if is_open {
            trace.facts.state = if root.status == SpanStatus::Error { TraceState::Error } else { TraceState::Ok };
        }
        let line = |name: &str, role: &str| root.attributes.get(name).map(|value| preview(value, role).replace('\0', "\u{fffd}"));
        trace.facts.request_preview = trace.facts.request_preview.or_else(|| line(attribute::INPUTS, "user"));
        trace.facts.response_preview = trace.facts.response_preview.or_else(|| line(attribute::OUTPUTS, "assistant"));
    }
    let incarnation = queries::put_trace(tx, &trace)?;
    put_told(tx, facts, totals, is_final)?;
    Ok(incarnation)
}

/// Tags and metadata that spans tell.
fn put_told(tx: &mut Tx<'_>, facts: &Facts, totals: &BTreeMap<String, String>, is_final: bool) -> Result<()> {
    let id = &facts.group.trace;
    // What the client has told of the whole trace stays.
    queries::put_metadata(tx, id, totals, !is_final)?;
    let session = facts.first_text(&["session.id", "gen_ai.conversation.id"]).filter(|text| !text.contains('\0'));
    if let Some(session) = &session {
        queries::set_session(tx, id, session, false)?;
    }
    let user = facts.first_text(&["user.id"]).filter(|text| !text.contains('\0'));
    let told = [(metadata::SESSION, session), (metadata::USER, user)];
    let told = told.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    queries::put_metadata(tx, id, &told.collect(), false)?;
    let resource =
        facts.group.resource.0.iter().filter(|(key, _)| !key.starts_with("telemetry.sdk.") && !key.starts_with("mlflow."));
    let of_root = facts.root().into_iter().flat_map(|root| &root.attributes.0);
    let of_root = of_root.filter_map(|(key, value)| Some((key.strip_prefix(attribute::TRACE_TAG)?, value)));
    let pairs = resource.map(|(key, value)| (key.as_str(), value)).chain(of_root);
    let tags: BTreeMap<String, String> = pairs.filter_map(|(key, value)| tag(key, value)).collect();
    queries::put_tags(tx, id, &tags)
}

/// An attribute as a tag; one that cannot be a tag is left out, since the span keeps it anyway.
fn tag(key: &str, value: &Json) -> Option<(String, String)> {
    let text = value.as_text().map_or_else(|| value.dumped(), str::to_owned);
    let is_reserved = key.starts_with("mlflow.trace.") || key.is_empty();
    if is_reserved || key.contains('\0') || text.contains('\0') {
        return None;
    }
    checked_tag(key, &text).ok().filter(|(key, _)| key == NAME_TAG || !key.starts_with("mlflow.artifact"))
}
