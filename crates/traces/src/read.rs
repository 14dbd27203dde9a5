//! Reading traces by id, with their spans or without.

use std::collections::HashMap;
use std::time::Duration;

use lw_core::Result;
use lw_tracking::ExperimentId;

use crate::buffer::Kept;
use crate::start::whole;
use crate::{Span, TRACE_INCOMPLETE, TRACE_NOT_FOUND, Trace, Traces, queries, table};

/// How often it is looked whether the spans of a trace have come, and how many times.
const PAUSE: Duration = Duration::from_millis(100);
const N_LOOKS: usize = 30;

impl Traces {
    pub async fn trace(&self, id: &str) -> Result<Trace> {
        let id = id.to_owned();
        self.store.read(move |reader| whole(reader, &id)).await
    }

    /// Traces in the order of the ids; those that are not there, or not in the experiments, are left out.
    pub async fn traces(&self, ids: &[String], experiments: Option<Vec<ExperimentId>>) -> Result<Vec<Trace>> {
        let ids = ids.to_vec();
        self.store
            .read(move |reader| {
                let mut found = queries::trace_rows(reader, &ids)?;
                let traces = ids.iter().filter_map(|id| found.remove(id));
                let is_wanted =
                    |trace: &Trace| experiments.as_ref().is_none_or(|wanted| wanted.contains(&trace.facts.experiment));
                queries::complete(reader, traces.filter(is_wanted).collect())
            })
            .await
    }

    /// A trace with the spans that have come so far, the root first, then by time.
    pub async fn trace_with_spans(&self, id: &str) -> Result<(Trace, Vec<Span>)> {
        let short = id.chars().take(80).collect::<String>();
        let trace = self.trace(id).await.map_err(|error| match error.is(TRACE_NOT_FOUND) {
            true => TRACE_NOT_FOUND.error(format!("Trace with ID {short} is not found.")),
            false => error,
        })?;
        if !trace.has_spans() {
            return Err(TRACE_INCOMPLETE.error("Trace data not stored in tracking store"));
        }
        let mut spans = self.spans_of(std::slice::from_ref(&trace)).await?;
        let spans = spans.remove(&trace.id).unwrap_or_default();
        Ok((trace, spans))
    }

    /// A trace with as many spans as its client says that there are. Waits a little for those that are under way.
    pub async fn whole_trace(&self, id: &str) -> Result<(Trace, Vec<Span>)> {
        for _ in 0..N_LOOKS {
            let (trace, spans) = self.trace_with_spans(id).await?;
            if spans.len() >= trace.n_spans_told().unwrap_or(1) {
                return Ok((trace, spans));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(TRACE_INCOMPLETE.error(format!("Trace with ID {id} is not fully exported yet, please try again later.")))
    }

    /// Whole traces in the order of the ids; those whose spans have not all come are left out.
    pub async fn whole_traces(&self, ids: &[String], experiments: Option<Vec<ExperimentId>>) -> Result<Vec<(Trace, Vec<Span>)>> {
        let traces = self.traces(ids, experiments).await?;
        let mut spans = self.spans_of(&traces).await?;
        let with_spans = traces.into_iter().map(|trace| {
            let spans = spans.remove(&trace.id).unwrap_or_default();
            (trace, spans)
        });
        Ok(with_spans.filter(|(trace, spans)| spans.len() >= trace.n_spans_told().unwrap_or(1).max(1)).collect())
    }

    /// The spans of traces by the traces' ids.
    pub(crate) async fn spans_of(&self, traces: &[Trace]) -> Result<HashMap<String, Vec<Span>>> {
        let incarnations: Vec<String> = traces.iter().map(|trace| trace.incarnation.clone()).collect();
        // The journal first: what leaves it from now on is in the table already.
        let mut waiting = self.buffer.spans_of(&incarnations).await?;
        let mut delivered = table::spans_of(&self.engine, traces).await?;
        let united = traces.iter().map(|trace| {
            let kept = delivered.remove(&trace.incarnation).unwrap_or_default();
            let waiting = waiting.remove(&trace.incarnation).unwrap_or_default();
            (trace.id.clone(), united(kept.into_iter().chain(waiting)))
        });
        Ok(united.collect())
    }
}

/// Each span once, as it was sent last.
fn united(kept: impl Iterator<Item = Kept>) -> Vec<Span> {
    let mut newest: HashMap<String, Kept> = HashMap::new();
    for kept in kept {
        match newest.get_mut(&kept.span.id) {
            Some(held) if held.position <= kept.position => *held = kept,
            Some(_) => {}
            None => drop(newest.insert(kept.span.id.clone(), kept)),
        }
    }
    let mut spans: Vec<(i64, Span)> = newest.into_values().map(|kept| (kept.position, kept.span)).collect();
    spans.sort_by_key(|(position, span)| (!span.is_root(), span.start_ns, *position));
    spans.into_iter().map(|(_, span)| span).collect()
}
