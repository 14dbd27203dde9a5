//! What starts runs without a person: schedules whose time has come, and requests that other stages left in the outbox.

use lw_core::{Ctx, Name, Result, Span};
use lw_store::Tx;
use serde::{Deserialize, Serialize};

use crate::compiled::Definitions;
use crate::pipelines::deployed;
use crate::run::{PipelineRunId, Start, Started};
use crate::schedule::Overlap;
use crate::{Pipelines, UNKNOWN_PIPELINE, journal, queries};

/// The outbox topic of [`PipelineRequest`]s. One message is one run, whatever crashes in between.
pub const REQUEST_TOPIC: &str = "pipeline.request";

/// The run parameter that holds the time which a schedule started the run for.
pub const SCHEDULED_FOR: &str = "scheduled_for";

const REQUESTS_AT_ONCE: u64 = 100;

/// Asks for a run of a deployed pipeline. Put it into the outbox in the transaction that calls for the run:
///
/// ```
/// # fn example(tx: &mut lw_store::Tx<'_>) -> lw_core::Result<()> {
/// use lw_pipelines::{PipelineRequest, REQUEST_TOPIC};
///
/// let request = PipelineRequest {
///     pipeline: lw_core::Name::parse("late_arrival")?,
///     cause: "monitor:feature_drift".to_owned(),
///     params: serde_json::json!({"alert": 17}),
/// };
/// tx.outbox(REQUEST_TOPIC, "alert-17", &request.to_json())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineRequest {
    pub pipeline: Name,
    /// Who or what asks, such as `monitor:feature_drift`.
    pub cause: String,
    #[serde(default)]
    pub params: serde_json::Value,
}

impl PipelineRequest {
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a request is plain JSON")
    }
}

impl Pipelines {
    /// Starts the runs that are due now by schedule or by request, each exactly once. Returns those that are new.
    pub async fn fire(&self, ctx: &Ctx) -> Result<Vec<PipelineRunId>> {
        let now = ctx.now();
        let mut new = Vec::new();
        for (pipeline, next_fire) in self.store.read(move |db| queries::schedules_due(db, now)).await? {
            let (definitions, ctx_of_runs) = (self.definitions.clone(), ctx.clone());
            let started = self.store.write(ctx, move |tx| tick(tx, &definitions, &ctx_of_runs, &pipeline, next_fire)).await?;
            new.extend(started.into_iter().map(|started| started.run));
        }
        loop {
            let (definitions, ctx_of_runs) = (self.definitions.clone(), ctx.clone());
            let (n_messages, started) = self.store.write(ctx, move |tx| take_requests(tx, &definitions, &ctx_of_runs)).await?;
            new.extend(started.into_iter().filter(|started| started.is_new).map(|started| started.run));
            if n_messages < REQUESTS_AT_ONCE {
                break;
            }
        }
        if !new.is_empty() {
            self.announce();
        }
        Ok(new)
    }
}

/// Moves a schedule on and starts what was due, in one transaction.
fn tick(
    tx: &mut Tx<'_>,
    definitions: &Definitions,
    ctx: &Ctx,
    pipeline: &Name,
    next_fire: lw_core::Timestamp,
) -> Result<Vec<Started>> {
    let compiled = deployed(tx, definitions, pipeline)?;
    let Some(schedule) = &compiled.definition.schedule else {
        queries::set_schedule(tx, pipeline, None)?;
        return Ok(Vec::new());
    };
    let due = schedule.due(next_fire, tx.now())?;
    if !queries::advance_schedule(tx, pipeline, next_fire, due.next_fire)? {
        return Ok(Vec::new());
    }
    if schedule.overlap == Overlap::Skip && !due.fires.is_empty() && !queries::open_runs(tx, pipeline, 1)?.is_empty() {
        tracing::info!(pipeline = %pipeline, "Pipeline `{pipeline}` is left out this time: an earlier run still goes");
        return Ok(Vec::new());
    }
    let mut started = Vec::new();
    for fire in due.fires {
        let start = Start {
            cause: "schedule".to_owned(),
            dedupe_key: Some(format!("{pipeline}@{fire}")),
            params: serde_json::json!({SCHEDULED_FOR: fire}),
        };
        started.push(journal::begin(tx, &compiled, &start, &PipelineRunId::from_u128(ctx.ids.next()))?);
    }
    started.retain(|started| started.is_new);
    Ok(started)
}

/// Turns messages into runs and marks them delivered, in one transaction.
fn take_requests(tx: &mut Tx<'_>, definitions: &Definitions, ctx: &Ctx) -> Result<(u64, Vec<Started>)> {
    let messages = tx.outbox_claim(REQUEST_TOPIC, REQUESTS_AT_ONCE, Span::ZERO)?;
    let mut started = Vec::new();
    for message in &messages {
        match serde_json::from_value::<PipelineRequest>(message.payload.clone()) {
            Ok(request) => match deployed(tx, definitions, &request.pipeline) {
                Ok(compiled) => {
                    let start =
                        Start { cause: request.cause, dedupe_key: Some(message.dedupe_key.clone()), params: request.params };
                    started.push(journal::begin(tx, &compiled, &start, &PipelineRunId::from_u128(ctx.ids.next()))?);
                }
                Err(error) if error.is(UNKNOWN_PIPELINE) => {
                    tracing::warn!(request = %message.dedupe_key, "Dropped a request for a run: {error}");
                }
                Err(error) => return Err(error),
            },
            Err(error) => tracing::error!(request = %message.dedupe_key, "Dropped a request that is none: {error}"),
        }
        tx.outbox_done(message)?;
    }
    Ok((messages.len() as u64, started))
}
