//! How an event at one step spreads over its run. The rules of `step` decide; this walks the graph.

use lw_core::{Result, Timestamp};

use crate::step::{Effect, Event, Rules, Stale, Step, StepState, transition};
use crate::{Graph, Retries};

/// The steps of one run, wherever they are kept: in the database, or in memory for the tests.
pub trait Steps {
    fn load(&mut self, position: usize) -> Result<Step>;
    fn save(&mut self, position: usize, step: Step) -> Result<()>;
}

/// What an event changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Steps that are over now and were not before.
    pub n_closed: u32,
    /// Of those, the ones that did not succeed.
    pub n_failed: u32,
    /// Steps that can be claimed now.
    pub released: Vec<usize>,
}

/// Applies an event to a step, and what follows from it to the steps that need it. Nothing is saved if the event is stale.
pub fn apply(
    steps: &mut dyn Steps,
    graph: &Graph,
    position: usize,
    event: Event,
    rules: Rules<'_>,
) -> Result<Result<Outcome, Stale>> {
    let mut outcome = Outcome::default();
    let before = steps.load(position)?;
    let Ok((after, effects)) = transition(before, event, rules) else {
        return Ok(Err(Stale));
    };
    steps.save(position, after)?;
    let mut pending = Vec::new();
    note(&mut outcome, &mut pending, graph, (position, after), effects);

    while let Some((position, event)) = pending.pop() {
        let before = steps.load(position)?;
        let retries = Retries::default();
        if let Ok((after, effects)) = transition(before, event, Rules { retries: &retries, ..rules }) {
            if after != before {
                steps.save(position, after)?;
            }
            note(&mut outcome, &mut pending, graph, (position, after), effects);
        }
    }
    Ok(Ok(outcome))
}

fn note(
    outcome: &mut Outcome,
    pending: &mut Vec<(usize, Event)>,
    graph: &Graph,
    (position, step): (usize, Step),
    effects: &[Effect],
) {
    for effect in effects {
        let event = match effect {
            Effect::Close => {
                outcome.n_closed += 1;
                outcome.n_failed += u32::from(step.state != StepState::Succeeded);
                continue;
            }
            Effect::Release => Event::NeedMet,
            Effect::Abandon => Event::NeedFailed,
        };
        pending.extend(graph.dependants(position).iter().map(|dependant| (*dependant, event)));
    }
    if matches!(step.state, StepState::Ready { .. }) {
        outcome.released.push(position);
    }
}

/// The steps of a run that ended without success, as they stand when it is resumed: what succeeded stays, all else starts anew.
/// Fences go on counting, so that a worker from before stays locked out.
pub fn reset(steps: &[Step], graph: &Graph, now: Timestamp) -> Vec<Step> {
    let mut n_needs = vec![0_u32; steps.len()];
    for (position, step) in steps.iter().enumerate() {
        for &dependant in graph.dependants(position) {
            n_needs[dependant] += u32::from(step.state != StepState::Succeeded);
        }
    }
    let renewed = steps.iter().zip(n_needs).map(|(step, n_needs)| match step.state {
        StepState::Succeeded => *step,
        _ => Step { fence: step.fence, n_signals: step.n_signals, ..Step::new(n_needs, now) },
    });
    renewed.collect()
}

#[cfg(test)]
mod tests;
