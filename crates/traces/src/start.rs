//! What a client tells of a whole trace.

use std::collections::BTreeMap;

use lw_core::{Ctx, Result, Timestamp};
use lw_store::{Reader, Tx};
use lw_tracking::{EXPERIMENT_DELETED, EXPERIMENT_NOT_FOUND, ExperimentId};

use crate::assessment::{self, NewAssessment};
use crate::trace::metadata;
use crate::{BAD_TRACE, NAME_TAG, Trace, TraceFacts, TraceState, Traces, queries};

const MAX_ID_BYTES: usize = 250;
const MAX_KEY_CHARS: usize = 250;
const MAX_TAG_CHARS: usize = 8000;
const MAX_NAME_CHARS: usize = 4096;
pub(crate) const RUN_LINK: &str = "run";

/// A whole trace as a client tells it, when it has ended or, from old clients, when it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTrace {
    pub id: String,
    pub facts: TraceFacts,
    pub assessments: Vec<NewAssessment>,
}

impl Traces {
    /// Keeps what a client tells of a trace. Told again, or told after spans came in, it replaces times and state and adds the rest.
    pub async fn start(&self, ctx: &Ctx, new: NewTrace) -> Result<Trace> {
        check_id(&new.id)?;
        let facts = TraceFacts { tags: checked_tags(new.facts.tags)?, ..new.facts };
        let assessments: Vec<_> = new.assessments.into_iter().map(|it| it.made(&new.id, ctx)).collect();
        let (incarnation, id) = (ctx.ids.next_hex(), new.id);
        let trace = Trace { id, facts, assessments: Vec::new(), incarnation, span_range: None };
        self.store
            .write(ctx, move |tx| {
                check_experiment(tx, trace.facts.experiment)?;
                let id = trace.id.clone();
                put(tx, trace)?;
                assessments.iter().try_for_each(|it| assessment::add(tx, it))?;
                whole(tx, &id)
            })
            .await
    }

    /// Ends a trace that an old client has begun.
    pub async fn end(
        &self,
        ctx: &Ctx,
        id: &str,
        ended_at: Timestamp,
        state: TraceState,
        metadata: BTreeMap<String, String>,
        tags: BTreeMap<String, String>,
    ) -> Result<Trace> {
        let (id, tags) = (id.to_owned(), checked_tags(tags)?);
        self.store
            .write(ctx, move |tx| {
                let trace = crate::found(tx, &id)?;
                let duration = Some(ended_at - trace.facts.started_at);
                let facts = TraceFacts { duration, state, metadata, tags, ..trace.facts };
                put(tx, Trace { facts, ..trace })?;
                whole(tx, &id)
            })
            .await
    }
}

fn put(tx: &mut Tx<'_>, mut trace: Trace) -> Result<()> {
    if let Some(known) = queries::trace_rows(tx, std::slice::from_ref(&trace.id))?.remove(&trace.id) {
        trace.facts.request_preview = trace.facts.request_preview.or(known.facts.request_preview);
        trace.facts.response_preview = trace.facts.response_preview.or(known.facts.response_preview);
        trace.facts.is_final |= known.facts.is_final;
        trace.span_range = known.span_range;
    }
    queries::put_trace(tx, &trace)?;
    queries::put_tags(tx, &trace.id, &trace.facts.tags)?;
    queries::put_metadata(tx, &trace.id, &trace.facts.metadata, true)?;
    if let Some(session) = trace.facts.metadata.get(metadata::SESSION) {
        queries::set_session(tx, &trace.id, session, true)?;
    }
    if let Some(run) = trace.facts.metadata.get(metadata::RUN) {
        queries::link(tx, RUN_LINK, run, std::slice::from_ref(&trace.id))?;
    }
    Ok(())
}

/// The trace with all that is known of it.
pub(crate) fn whole(reader: &mut Reader<'_>, id: &str) -> Result<Trace> {
    let trace = crate::found(reader, id)?;
    queries::complete(reader, vec![trace])?.pop().ok_or_else(|| crate::not_found(id))
}

pub(crate) fn check_id(id: &str) -> Result<()> {
    if (1..=MAX_ID_BYTES).contains(&id.len()) {
        return Ok(());
    }
    Err(BAD_TRACE.error(format!("a trace's id has 1 to {MAX_ID_BYTES} bytes, this one {}", id.len())))
}

pub(crate) fn check_experiment(reader: &mut Reader<'_>, id: ExperimentId) -> Result<()> {
    match queries::experiment_lifecycle(reader, id)?.as_deref() {
        Some("deleted") => Err(EXPERIMENT_DELETED
            .error(format!("The experiment {id} must be in the 'active' state. Current state is deleted."))
            .hint("restore it first, or use another one")),
        Some(_) => Ok(()),
        None => Err(EXPERIMENT_NOT_FOUND.error(format!("No Experiment with id={id} exists"))),
    }
}

pub(crate) fn checked_tags(tags: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    tags.into_iter().map(|(key, value)| checked_tag(&key, &value)).collect()
}

/// A tag whose key can be kept. Its value is cut to what can be; a name is not cut but refused.
pub(crate) fn checked_tag(key: &str, value: &str) -> Result<(String, String)> {
    if key.chars().nth(MAX_KEY_CHARS).is_some() {
        return Err(BAD_TRACE.error(format!("'key' exceeds the maximum length of {MAX_KEY_CHARS} characters")));
    }
    if key == NAME_TAG && value.chars().nth(MAX_NAME_CHARS).is_some() {
        return Err(BAD_TRACE.error(format!("'Trace name' exceeds the maximum length of {MAX_NAME_CHARS} characters")));
    }
    Ok((key.to_owned(), value.chars().take(MAX_TAG_CHARS).collect()))
}
