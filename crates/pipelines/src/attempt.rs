//! One attempt of a step: run the caller's code, watch the clock and those who may stop it, and say how it went.

use std::sync::Arc;
use std::time::Duration;

use lw_core::{Ctx, Error};
use tokio::sync::watch;
use tokio::task::JoinError;

use crate::claim::Claim;
use crate::queries::Ending;
use crate::run::StepError;
use crate::runner::{Cancellation, StepContext, StepOutput, StepRunner};
use crate::step::Report;
use crate::{LogSink, STEP_CANCELLED, STEP_PANICKED, STEP_TIMED_OUT};

/// How long a step that is told to stop may go on before it is cut off.
const GRACE: Duration = Duration::from_secs(5);

/// Why an attempt is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    RunCancelled,
    ShuttingDown,
    LeaseLost,
    TimedOut,
}

/// How an attempt went. `None` if nobody wants to know, as the step has been taken over.
pub type Verdict = Option<(Report, Ending)>;

/// Ends the caller's code when nobody waits for it any more.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs an attempt to its end.
pub async fn attempt(
    ctx: &Ctx,
    runner: &Arc<dyn StepRunner>,
    claim: &Claim,
    log: LogSink,
    stop: &watch::Sender<Option<Stop>>,
) -> Verdict {
    let step = claim.step();
    let ctx = Ctx { request_id: claim.run.as_str().into(), ..ctx.acting_as(claim.started_by.clone()) };
    let context = StepContext {
        ctx,
        run: claim.run.clone(),
        pipeline: claim.compiled.definition.pipeline.clone(),
        step: step.key.clone(),
        kind: step.kind.clone(),
        params: step.params.clone(),
        run_params: claim.run_params.clone(),
        upstream: claim.upstream.clone(),
        attempt: claim.attempt,
        fence: claim.fence,
        signal: claim.signal.clone(),
        log,
        cancellation: Cancellation::new(stop.subscribe()),
    };
    let runner = runner.clone();
    let mut task = tokio::spawn(async move { runner.run(context).await });
    let _aborts = AbortOnDrop(task.abort_handle());
    let mut stopped = stop.subscribe();
    let why = tokio::select! {
        result = &mut task => return conclude(claim, result, *stop.borrow()),
        () = tokio::time::sleep(step.timeout.to_std()) => Stop::TimedOut,
        why = stopped.wait_for(Option::is_some) => why.ok().and_then(|why| *why).unwrap_or(Stop::ShuttingDown),
    };
    stop.send_replace(Some(why));
    let grace = if why == Stop::LeaseLost { Duration::ZERO } else { GRACE };
    if let Ok(result) = tokio::time::timeout(grace, &mut task).await {
        return conclude(claim, result, Some(why));
    }
    task.abort();
    let _ = task.await;
    stopped_by(claim, why)
}

/// What a step that was told to stop did in time counts; that it failed does not, as it may have failed because of that.
fn conclude(claim: &Claim, result: Result<lw_core::Result<StepOutput>, JoinError>, stop: Option<Stop>) -> Verdict {
    match (stop, &result) {
        (Some(Stop::LeaseLost), _) => None,
        // The runtime ended the task because the process ends: nobody stopped the step, and it did not fail.
        (None, Err(ended)) if ended.is_cancelled() => stopped_by(claim, Stop::ShuttingDown),
        (None, _) | (_, Ok(Ok(StepOutput::Done(_)))) => Some(judge(claim, result)),
        (Some(why), _) => stopped_by(claim, why),
    }
}

fn judge(claim: &Claim, result: Result<lw_core::Result<StepOutput>, JoinError>) -> (Report, Ending) {
    match result {
        Ok(Ok(StepOutput::Done(manifest))) => (Report::Succeeded, Ending { manifest: Some(manifest), ..Ending::default() }),
        Ok(Ok(StepOutput::Waiting { reason, until })) => {
            let report = Report::Waiting { until, n_signals: claim.n_signals };
            (report, Ending { reason: Some(reason), ..Ending::default() })
        }
        Ok(Err(error)) => failed(&error),
        Err(panic) => failed(&STEP_PANICKED.error(format!("step `{}` panicked: {panic}", claim.step().key))),
    }
}

fn stopped_by(claim: &Claim, why: Stop) -> Verdict {
    let step = claim.step();
    match why {
        Stop::LeaseLost => None,
        Stop::ShuttingDown => Some((Report::Released, Ending::default())),
        Stop::TimedOut => Some(failed(&STEP_TIMED_OUT.error(format!("step `{}` took longer than {}", step.key, step.timeout)))),
        Stop::RunCancelled => {
            let (_, ending) = failed(&STEP_CANCELLED.error(format!("step `{}` was stopped, as its run is cancelled", step.key)));
            Some((Report::Cancelled, ending))
        }
    }
}

fn failed(error: &Error) -> (Report, Ending) {
    let report = Report::Failed { is_transient: error.kind().is_transient() };
    let hint = error.hint_text().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
    let error = StepError { code: error.code().to_owned(), message: format!("{error}{hint}").replace('\0', "") };
    (report, Ending { error: Some(error), ..Ending::default() })
}
