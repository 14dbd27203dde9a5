//! Random graphs under random events, stale workers and deaths included.

use lw_core::{Name, Span};
use proptest::prelude::*;

use super::*;
use crate::step::Report;
use crate::{PipelineDefinition, RetryOn, StepDefinition};

struct World {
    graph: Graph,
    needs: Vec<Vec<usize>>,
    steps: Vec<Step>,
    retries: Retries,
    now: Timestamp,
    is_cancelling: bool,
    n_open: i64,
    n_failed: i64,
    /// Every claim ever made, and whether it has ended.
    claims: Vec<(usize, i64)>,
}

impl Steps for Vec<Step> {
    fn load(&mut self, position: usize) -> Result<Step> {
        Ok(self[position])
    }

    fn save(&mut self, position: usize, step: Step) -> Result<()> {
        self[position] = step;
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Action {
    Claim(usize),
    /// The n-th claim ever made reports, whether it is still held or not.
    Report(usize, ReportKind),
    Lose(usize),
    Signal(usize),
    Cancel,
    Wait(i64),
}

#[derive(Debug, Clone, Copy)]
enum ReportKind {
    Succeeded,
    Waiting,
    Failed(bool),
    Released,
}

impl World {
    fn new(needs: Vec<Vec<usize>>) -> Self {
        let now = Timestamp::from_millis(0);
        let step = |(position, needs): (usize, &Vec<usize>)| {
            let keys: Vec<String> = needs.iter().map(|need| format!("s{need}")).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            StepDefinition::new(&format!("s{position}"), "noop", serde_json::Value::Null).needs(&keys)
        };
        let definition = PipelineDefinition {
            pipeline: Name::parse("random").unwrap(),
            description: String::new(),
            steps: needs.iter().enumerate().map(step).collect(),
            schedule: None,
        };
        let steps: Vec<Step> = needs.iter().map(|needs| Step::new(needs.len() as u32, now)).collect();
        Self {
            graph: definition.check().unwrap(),
            n_open: steps.len() as i64,
            needs,
            steps,
            retries: Retries {
                attempts: 3,
                backoff: Span::from_secs(1),
                max_backoff: Span::from_secs(8),
                on: RetryOn::Transient,
            },
            now,
            is_cancelling: false,
            n_failed: 0,
            claims: Vec::new(),
        }
    }

    /// Applies an event as the journal does.
    fn apply(&mut self, position: usize, event: Event) -> Result<Outcome, Stale> {
        let rules = Rules { retries: &self.retries, is_cancelling: self.is_cancelling, now: self.now };
        let before = self.steps.clone();
        let outcome = apply(&mut self.steps, &self.graph, position, event, rules).unwrap();
        match &outcome {
            Ok(outcome) => {
                self.n_open -= i64::from(outcome.n_closed);
                self.n_failed += i64::from(outcome.n_failed);
            }
            Err(Stale) => assert_eq!(self.steps, before, "a stale event changed something"),
        }
        for (before, after) in before.iter().zip(&self.steps) {
            assert!(after.fence >= before.fence);
            assert!(!before.state.is_over() || before.state == after.state, "{before:?} became {after:?}");
        }
        outcome
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Claim(n) => self.claim(n % self.steps.len()),
            Action::Report(n, kind) => {
                if let Some(&(position, fence)) = self.claims.get(n % self.claims.len().max(1)) {
                    let step = self.steps[position];
                    let is_held = step.state == StepState::Running && step.fence == fence;
                    let event = Event::Report { fence, report: kind.report(step.n_signals) };
                    assert_eq!(self.apply(position, event).is_ok(), is_held);
                }
            }
            Action::Lose(n) => {
                if let Some(&(position, fence)) = self.claims.get(n % self.claims.len().max(1)) {
                    let _ = self.apply(position, Event::Lose { fence });
                }
            }
            Action::Signal(n) => {
                let _ = self.apply(n % self.steps.len(), Event::Signal);
            }
            Action::Cancel => {
                self.is_cancelling = true;
                for position in 0..self.steps.len() {
                    self.apply(position, Event::Cancel).unwrap();
                }
            }
            Action::Wait(secs) => self.now = self.now + Span::from_secs(*secs),
        }
        self.check();
    }

    fn claim(&mut self, position: usize) {
        if self.apply(position, Event::Claim).is_ok() {
            self.claims.push((position, self.steps[position].fence));
        }
    }

    fn check(&self) {
        let is_met = |position: usize| self.needs[position].iter().all(|need| self.steps[*need].state == StepState::Succeeded);
        for (position, step) in self.steps.iter().enumerate() {
            match step.state {
                StepState::Blocked { n_needs } => {
                    let open =
                        self.needs[position].iter().filter(|need| self.steps[**need].state != StepState::Succeeded).count();
                    assert_eq!(n_needs as usize, open);
                    assert!(n_needs > 0);
                }
                StepState::Skipped | StepState::Cancelled => {}
                _ => assert!(is_met(position), "step {position} is {step:?} before its needs are met"),
            }
            assert!(step.n_failures <= self.retries.attempts);
        }
        let open = self.steps.iter().filter(|step| !step.state.is_over()).count();
        let failed = self.steps.iter().filter(|step| step.state.is_over() && step.state != StepState::Succeeded).count();
        assert_eq!((self.n_open, self.n_failed), (open as i64, failed as i64));
    }

    /// With workers that succeed and people who signal, every run comes to its end.
    fn finish(&mut self) {
        for _ in 0..10 * (self.steps.len() + 1) {
            if self.n_open == 0 {
                return;
            }
            self.now = self.now + Span::from_secs(10);
            for position in 0..self.steps.len() {
                if matches!(self.steps[position].state, StepState::Waiting { .. }) {
                    self.apply(position, Event::Signal).unwrap();
                }
                self.claim(position);
                let fence = self.steps[position].fence;
                let _ = self.apply(position, Event::Report { fence, report: Report::Succeeded });
                self.check();
            }
        }
        assert_eq!(self.n_open, 0, "the run does not end: {:?}", self.steps);
    }
}

impl ReportKind {
    fn report(self, n_signals: u32) -> Report {
        match self {
            Self::Succeeded => Report::Succeeded,
            Self::Waiting => Report::Waiting { until: None, n_signals },
            Self::Failed(is_transient) => Report::Failed { is_transient },
            Self::Released => Report::Released,
        }
    }
}

/// Needs point to earlier steps only, so the graph has no cycle.
fn graphs() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(any::<bool>(), 8), 1..8).prop_map(|rows| {
        let needs = |(position, row): (usize, Vec<bool>)| (0..position).filter(|need| row[*need]).collect();
        rows.into_iter().enumerate().map(needs).collect()
    })
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let kind = prop_oneof![
        4 => Just(ReportKind::Succeeded),
        1 => Just(ReportKind::Waiting),
        2 => any::<bool>().prop_map(ReportKind::Failed),
        1 => Just(ReportKind::Released),
    ];
    let action = prop_oneof![
        8 => (0..8_usize).prop_map(Action::Claim),
        8 => (any::<usize>(), kind).prop_map(|(n, kind)| Action::Report(n, kind)),
        2 => any::<usize>().prop_map(Action::Lose),
        2 => (0..8_usize).prop_map(Action::Signal),
        1 => Just(Action::Cancel),
        4 => (1..10_i64).prop_map(Action::Wait),
    ];
    prop::collection::vec(action, 0..80)
}

proptest! {
    #[test]
    fn every_run_keeps_its_promises(needs in graphs(), actions in actions()) {
        let mut world = World::new(needs);
        for action in &actions {
            world.act(action);
        }
        world.finish();

        let succeeded: Vec<bool> = world.steps.iter().map(|step| step.state == StepState::Succeeded).collect();
        let before = world.steps.clone();
        world.steps = reset(&before, &world.graph, world.now);
        world.is_cancelling = false;
        world.n_open = world.steps.iter().filter(|step| !step.state.is_over()).count() as i64;
        world.n_failed = 0;
        world.check();
        for (position, was_done) in succeeded.iter().enumerate() {
            prop_assert_eq!(*was_done, world.steps[position] == before[position] && before[position].state == StepState::Succeeded);
        }
        world.finish();
        prop_assert!(world.steps.iter().all(|step| step.state == StepState::Succeeded), "{:?}", world.steps);
    }
}
