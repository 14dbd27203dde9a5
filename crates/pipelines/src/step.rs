//! The life of one step as a pure function: a step and an event give the step after it and the effects on its run.

use lw_core::{Span, Timestamp};

use crate::{Retries, RetryOn};

/// A step whose process has died this often has failed, lest it take down one process after the other.
pub const MAX_LOSSES: u32 = 10;

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// Some steps that it needs have not succeeded yet.
    Blocked {
        n_needs: u32,
    },
    /// To be run from a time on: at once, or after a retry's backoff.
    Ready {
        from: Timestamp,
    },
    /// A worker runs it. Only the holder of the step's fence may say how it went.
    Running,
    /// Parked until a signal, or until a time.
    Waiting {
        until: Option<Timestamp>,
    },
    Succeeded,
    Failed,
    /// A step that it needs did not succeed.
    Skipped,
    Cancelled,
}

impl StepState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocked { .. } => "blocked",
            Self::Ready { .. } => "ready",
            Self::Running => "running",
            Self::Waiting { .. } => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing will happen to the step any more, unless its run is resumed.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled)
    }
}

/// A step and what it has been through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub state: StepState,
    /// Counts the claims. A report with an older fence is from a worker that has lost the step.
    pub fence: i64,
    /// Attempts that failed.
    pub n_failures: u32,
    /// Attempts whose process died.
    pub n_losses: u32,
    /// Signals received.
    pub n_signals: u32,
}

impl Step {
    /// A step at the start of its run.
    pub fn new(n_needs: u32, now: Timestamp) -> Self {
        let state = if n_needs == 0 { StepState::Ready { from: now } } else { StepState::Blocked { n_needs } };
        Self { state, fence: 0, n_failures: 0, n_losses: 0, n_signals: 0 }
    }
}

/// What a worker reports of the step it holds, with the fence that its claim gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    Succeeded,
    /// It has nothing to do until a signal or a time. `n_signals` is how many signals it had seen.
    Waiting {
        until: Option<Timestamp>,
        n_signals: u32,
    },
    Failed {
        is_transient: bool,
    },
    /// It was stopped because its run is being cancelled.
    Cancelled,
    /// It was given back because its worker shuts down.
    Released,
}

impl Report {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Waiting { .. } => "waiting",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Released => "released",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A worker takes it.
    Claim,
    Report {
        fence: i64,
        report: Report,
    },
    /// Its worker died.
    Lose {
        fence: i64,
    },
    Signal,
    /// A step that it needs succeeded.
    NeedMet,
    /// A step that it needs will not succeed.
    NeedFailed,
    /// Its run is being cancelled.
    Cancel,
}

/// What the rest of the run has to learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Tell the dependants that a need is met.
    Release,
    /// Tell the dependants that a need has failed.
    Abandon,
    /// One open step less.
    Close,
}

/// What the decision depends on besides the step.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    pub retries: &'a Retries,
    pub is_cancelling: bool,
    pub now: Timestamp,
}

/// The event does not fit: the step is over, or another worker has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale;

/// Decides what becomes of a step.
pub fn transition(step: Step, event: Event, rules: Rules<'_>) -> Result<(Step, &'static [Effect]), Stale> {
    const CLOSED: &[Effect] = &[Effect::Close];
    const RELEASED: &[Effect] = &[Effect::Close, Effect::Release];
    const ABANDONED: &[Effect] = &[Effect::Close, Effect::Abandon];
    let to = |state: StepState, effects: &'static [Effect]| Ok((Step { state, ..step }, effects));

    match (step.state, event) {
        (StepState::Ready { from }, Event::Claim) if from <= rules.now => Ok((claimed(step), &[])),
        (StepState::Waiting { until: Some(until) }, Event::Claim) if until <= rules.now => Ok((claimed(step), &[])),

        (StepState::Running, Event::Report { fence, report }) if fence == step.fence => match report {
            Report::Succeeded => to(StepState::Succeeded, RELEASED),
            Report::Cancelled => to(StepState::Cancelled, ABANDONED),
            Report::Failed { is_transient } => Ok(failed(step, is_transient, rules)),
            _ if rules.is_cancelling => to(StepState::Cancelled, ABANDONED),
            Report::Released => to(StepState::Ready { from: rules.now }, &[]),
            Report::Waiting { n_signals, .. } if n_signals < step.n_signals => to(StepState::Ready { from: rules.now }, &[]),
            Report::Waiting { until, .. } => to(StepState::Waiting { until }, &[]),
        },
        (StepState::Running, Event::Lose { fence }) if fence == step.fence => Ok(lost(step, rules)),

        (StepState::Waiting { .. }, Event::Signal) => {
            Ok((Step { state: StepState::Ready { from: rules.now }, n_signals: step.n_signals + 1, ..step }, &[]))
        }
        (state, Event::Signal) if !state.is_over() => Ok((Step { n_signals: step.n_signals + 1, ..step }, &[])),

        (StepState::Blocked { n_needs: 0 | 1 }, Event::NeedMet) => to(StepState::Ready { from: rules.now }, &[]),
        (StepState::Blocked { n_needs }, Event::NeedMet) => to(StepState::Blocked { n_needs: n_needs - 1 }, &[]),
        (StepState::Blocked { .. }, Event::NeedFailed) => to(StepState::Skipped, ABANDONED),
        // Another need failed before, or the run was cancelled.
        (StepState::Skipped | StepState::Cancelled, Event::NeedMet | Event::NeedFailed) => to(step.state, &[]),

        (StepState::Blocked { .. } | StepState::Ready { .. } | StepState::Waiting { .. }, Event::Cancel) => {
            to(StepState::Cancelled, CLOSED)
        }
        (_, Event::Cancel) => to(step.state, &[]),
        _ => Err(Stale),
    }
}

fn claimed(step: Step) -> Step {
    Step { state: StepState::Running, fence: step.fence + 1, ..step }
}

fn failed(step: Step, is_transient: bool, rules: Rules<'_>) -> (Step, &'static [Effect]) {
    let n_failures = step.n_failures + 1;
    let step = Step { n_failures, ..step };
    if rules.is_cancelling {
        return (Step { state: StepState::Cancelled, ..step }, &[Effect::Close, Effect::Abandon]);
    }
    let is_retried = is_transient || rules.retries.on == RetryOn::Any;
    if is_retried && n_failures < rules.retries.attempts {
        let from = rules.now + backoff(rules.retries, n_failures);
        return (Step { state: StepState::Ready { from }, ..step }, &[]);
    }
    (Step { state: StepState::Failed, ..step }, &[Effect::Close, Effect::Abandon])
}

/// A death is not a failure of the step: it does not use up its retries, up to a limit.
fn lost(step: Step, rules: Rules<'_>) -> (Step, &'static [Effect]) {
    let step = Step { n_losses: step.n_losses + 1, ..step };
    if rules.is_cancelling {
        return (Step { state: StepState::Cancelled, ..step }, &[Effect::Close, Effect::Abandon]);
    }
    if step.n_losses >= MAX_LOSSES {
        return (Step { state: StepState::Failed, ..step }, &[Effect::Close, Effect::Abandon]);
    }
    (Step { state: StepState::Ready { from: rules.now }, ..step }, &[])
}

/// How long to wait after the n-th failure: `backoff · 2^(n-1)`, at most `max_backoff`.
pub fn backoff(retries: &Retries, n_failures: u32) -> Span {
    let doublings = n_failures.saturating_sub(1).min(40);
    let micros = retries.backoff.micros().saturating_mul(1 << doublings);
    Span::from_micros(micros.min(retries.max_backoff.micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn rules(retries: &Retries) -> Rules<'_> {
        Rules { retries, is_cancelling: false, now: NOW }
    }

    fn running() -> Step {
        let retries = Retries::default();
        transition(Step::new(0, NOW), Event::Claim, rules(&retries)).unwrap().0
    }

    #[track_caller]
    fn reports(report: Report, want: StepState, effects: &[Effect]) {
        let retries = Retries::default();
        let (step, got) = transition(running(), Event::Report { fence: 1, report }, rules(&retries)).unwrap();
        assert_eq!((step.state, got), (want, effects));
    }

    #[test]
    fn reports_end_or_park_a_step() {
        reports(Report::Succeeded, StepState::Succeeded, &[Effect::Close, Effect::Release]);
        reports(Report::Failed { is_transient: false }, StepState::Failed, &[Effect::Close, Effect::Abandon]);
        reports(Report::Failed { is_transient: true }, StepState::Ready { from: NOW + Span::from_secs(1) }, &[]);
        reports(Report::Waiting { until: None, n_signals: 0 }, StepState::Waiting { until: None }, &[]);
        reports(Report::Released, StepState::Ready { from: NOW }, &[]);
    }

    #[test]
    fn an_old_fence_is_stale() {
        let retries = Retries::default();
        let event = Event::Report { fence: 0, report: Report::Succeeded };
        assert_eq!(transition(running(), event, rules(&retries)), Err(Stale));
        assert_eq!(transition(running(), Event::Claim, rules(&retries)), Err(Stale));
    }

    #[test]
    fn a_signal_during_the_attempt_is_not_lost() {
        let retries = Retries::default();
        let (step, _) = transition(running(), Event::Signal, rules(&retries)).unwrap();
        let event = Event::Report { fence: 1, report: Report::Waiting { until: None, n_signals: 0 } };
        assert_eq!(transition(step, event, rules(&retries)).unwrap().0.state, StepState::Ready { from: NOW });
    }

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let retries = Retries { attempts: 99, backoff: Span::from_secs(2), max_backoff: Span::from_secs(60), on: RetryOn::Any };
        let waits: Vec<i64> = (1..=7).map(|n| backoff(&retries, n).micros() / 1_000_000).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff(&retries, u32::MAX), Span::from_secs(60));
    }

    #[test]
    fn a_deadly_step_is_given_up() {
        let retries = Retries::default();
        let mut step = Step::new(0, NOW);
        for n in 1..=MAX_LOSSES {
            step = transition(step, Event::Claim, rules(&retries)).unwrap().0;
            step = transition(step, Event::Lose { fence: step.fence }, rules(&retries)).unwrap().0;
            assert_eq!(step.state == StepState::Failed, n == MAX_LOSSES);
        }
    }
}
