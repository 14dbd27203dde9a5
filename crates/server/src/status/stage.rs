//! The stages of a model's loop, decided from its facts.

use lw_core::{Entry, Timestamp};
use lw_pipelines::StepView;
use lw_registry::{ApprovalState, standing};

use super::facts::ModelFacts;

/// One stage of the loop, as it stands now.
#[derive(Debug, PartialEq)]
pub struct Stage {
    pub name: &'static str,
    pub state: State,
    /// What it has come to, such as `late_arrival@3`.
    pub what: String,
    /// One more sentence, or nothing.
    pub detail: String,
    pub at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Idle,
    Done,
    Running,
    /// A person must decide.
    Waiting,
    /// Something was refused, has failed or fires.
    Attention,
}

impl State {
    /// For people, and as the name of a style.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Idle => ("nothing yet", "idle"),
            Self::Done => ("done", "done"),
            Self::Running => ("running", "running"),
            Self::Waiting => ("waiting", "waiting"),
            Self::Attention => ("attention", "attention"),
        }
    }
}

impl Stage {
    fn idle(name: &'static str) -> Self {
        Self { name, state: State::Idle, what: String::new(), detail: String::new(), at: None }
    }

    fn done(name: &'static str, what: String, detail: String, at: Timestamp) -> Self {
        Self { name, state: State::Done, what, detail, at: Some(at) }
    }
}

/// The whole loop: data, features, training, evaluation, gates, approval, deployment, serving, monitoring, retraining.
pub fn stages(facts: &ModelFacts) -> Vec<Stage> {
    let from_ledger = [
        (made_from("data", &facts.data), "ingest"),
        (made_from("features", &facts.features), "training_set"),
        (training(facts), "train"),
        (evaluation(facts), "evaluate"),
        (gates(facts), "gate"),
        (approval(facts), "approval"),
        (deployment(facts), "release"),
    ];
    let mut stages: Vec<Stage> = from_ledger.into_iter().map(|(stage, step)| with_run(stage, facts, step)).collect();
    stages.extend([serving(facts), monitoring(facts), retraining(facts)]);
    stages
}

/// The tables or views behind the newest version, each as it stands now.
fn made_from(name: &'static str, newest: &[Entry]) -> Stage {
    let Some(at) = newest.iter().map(|entry| entry.at).max() else { return Stage::idle(name) };
    let label = |entry: &Entry| match entry.subject.version {
        Some(version) => format!("{}@{version}", entry.subject.name),
        None => entry.subject.name.clone(),
    };
    Stage::done(name, newest.iter().map(label).collect::<Vec<_>>().join(", "), String::new(), at)
}

fn training(facts: &ModelFacts) -> Stage {
    let Some(version) = &facts.newest else { return Stage::idle("training") };
    let trainer = version.recipe["trainer"].as_str().map(str::to_owned);
    let trainer = trainer.or_else(|| version.recipe["trainer"]["name"].as_str().map(str::to_owned));
    let detail = match trainer {
        Some(trainer) => format!("{trainer}, by {}", version.author),
        None => format!("by {}", version.author),
    };
    Stage::done("training", version.label(), detail, version.registered_at)
}

fn evaluation(facts: &ModelFacts) -> Stage {
    let Some(report) = &facts.report else { return Stage::idle("evaluation") };
    let metrics = report.facts.metrics.iter().take(3).map(|(metric, value)| format!("{metric} {value:.3}"));
    Stage::done(
        "evaluation",
        metrics.collect::<Vec<_>>().join(", "),
        format!("report {}", report.report.short()),
        report.attached_at,
    )
}

fn gates(facts: &ModelFacts) -> Stage {
    let Some(decision) = &facts.gates else { return Stage::idle("gates") };
    let has_passed = decision.outcome.has_passed();
    Stage {
        name: "gates",
        state: if has_passed { State::Done } else { State::Attention },
        what: if has_passed { "passed".to_owned() } else { "refused".to_owned() },
        detail: decision.outcome.summary(),
        at: Some(decision.decided_at),
    }
}

fn approval(facts: &ModelFacts) -> Stage {
    let idle = Stage::idle("approval");
    let (Some(version), Some(report)) = (&facts.newest, &facts.report) else { return idle };
    let at = facts.approvals.iter().map(|approval| approval.decided_at).max();
    match standing(version, &report.report, &facts.approvals, facts.n_approvals) {
        ApprovalState::Granted { by } => {
            let by: Vec<String> = by.iter().map(ToString::to_string).collect();
            Stage { state: State::Done, what: format!("granted by {}", by.join(", ")), at, ..idle }
        }
        ApprovalState::Refused { by, reason } => {
            Stage { state: State::Attention, what: format!("refused by {by}"), detail: reason, at, ..idle }
        }
        ApprovalState::Waiting { granted_by, n_missing } if !granted_by.is_empty() => {
            let by: Vec<String> = granted_by.iter().map(ToString::to_string).collect();
            let detail = format!("{n_missing} more needed");
            Stage { state: State::Waiting, what: format!("granted by {}", by.join(", ")), detail, at, ..idle }
        }
        ApprovalState::Waiting { .. } => {
            let step = facts.run.as_ref().and_then(|run| run.step("approval"));
            let needs_nobody = step.filter(|step| step.state == "succeeded" && is_of(facts, version.version));
            let stands = facts.gates.as_ref().is_some_and(|decision| decision.outcome.has_passed());
            match needs_nobody.filter(|_| stands) {
                Some(step) => Stage { state: State::Done, what: "none needed".to_owned(), at: step.finished_at, ..idle },
                None => idle,
            }
        }
    }
}

/// Whether the newest run made a version.
fn is_of(facts: &ModelFacts, version: u64) -> bool {
    let registered = facts.run.as_ref().and_then(|run| run.step("register")?.manifest.as_ref());
    registered.is_some_and(|manifest| manifest.outputs["version"].as_u64() == Some(version))
}

fn deployment(facts: &ModelFacts) -> Stage {
    let Some(deployment) = &facts.deployment else { return Stage::idle("deployment") };
    let canary = deployment.routing.canary.as_ref();
    let what = match canary {
        Some(canary) => {
            format!("{} and canary {} ({:.0} %)", deployment.routing.champion, canary.served, 100.0 * canary.share)
        }
        None => deployment.routing.champion.to_string(),
    };
    let because = if deployment.reason.is_empty() { String::new() } else { format!(": {}", deployment.reason) };
    let detail = format!("generation {}, by {}{because}", deployment.generation, deployment.activated_by);
    Stage::done("deployment", what, detail, deployment.activated_at)
}

fn serving(facts: &ModelFacts) -> Stage {
    let idle = Stage::idle("serving");
    let Some(deployment) = &facts.deployment else { return idle };
    let Some(live) = &facts.live else {
        return Stage { state: State::Attention, what: "not loaded in this process".to_owned(), ..idle };
    };
    if live.generation != deployment.generation {
        let what = format!("still generation {}", live.generation);
        return Stage { state: State::Running, what, detail: "the new one is being loaded".to_owned(), ..idle };
    }
    let (answered, failed) =
        live.tallies.iter().fold((0, 0), |(answered, failed), tally| (answered + tally.n_answered, failed + tally.n_failed));
    let waits = if live.n_waiting > 0 { format!(", {} on their way to the disk", live.n_waiting) } else { String::new() };
    let detail = format!("{failed} failed{waits}, since this process loaded it");
    Stage { state: if failed > 0 { State::Attention } else { State::Done }, what: format!("{answered} answered"), detail, ..idle }
}

fn monitoring(facts: &ModelFacts) -> Stage {
    let idle = Stage::idle("monitoring");
    let Some(last) = facts.alerts.iter().max_by_key(|alert| alert.changed_at) else { return idle };
    let firing: Vec<&str> =
        facts.alerts.iter().filter(|alert| alert.state.is_firing()).map(|alert| alert.monitor.as_str()).collect();
    let reasons = match last.reasons.as_slice() {
        [] => String::new(),
        [only] => format!(": {only}"),
        [first, rest @ ..] => format!(": {first}, and {} more", rest.len()),
    };
    let detail = format!("last: {} {}{reasons}", last.monitor, last.state.name());
    if firing.is_empty() {
        return Stage { state: State::Done, what: "no alert fires".to_owned(), detail, at: Some(last.changed_at), ..idle };
    }
    Stage { state: State::Attention, what: format!("{} firing", firing.join(", ")), detail, at: Some(last.changed_at), ..idle }
}

fn retraining(facts: &ModelFacts) -> Stage {
    let idle = Stage::idle("retraining");
    let run = facts.run.as_ref().filter(|run| !run.summary.state.is_over());
    let asked = facts.retraining.as_ref();
    let detail = asked.map_or_else(String::new, |request| match request.reasons.first() {
        Some(reason) => format!("last asked for by {}: {reason}", request.monitor),
        None => format!("last asked for by {}", request.monitor),
    });
    match run.filter(|run| run.summary.cause != "person") {
        Some(run) => {
            let what = format!("started by {}", run.summary.cause.replace(':', " "));
            Stage { state: State::Running, what, detail, at: Some(run.summary.started_at), ..idle }
        }
        None => match asked {
            Some(request) => {
                let what = format!("because of version {}", request.version);
                Stage { state: State::Done, what, detail, at: Some(request.requested_at), ..idle }
            }
            None => idle,
        },
    }
}

/// Puts the run that is under way, or has failed, over what the ledger says.
fn with_run(stage: Stage, facts: &ModelFacts, prefix: &str) -> Stage {
    let Some(run) = &facts.run else { return stage };
    let is_mine =
        |step: &&StepView| step.key == prefix || step.key.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(':'));
    let steps = || run.steps.iter().filter(is_mine);
    if let Some(failed) = steps().find(|step| step.state == "failed") {
        let error = failed.error.as_ref().map_or_else(String::new, |error| error.message.clone());
        return Stage {
            state: State::Attention,
            what: format!("{} failed", failed.key),
            detail: error,
            at: failed.finished_at,
            ..stage
        };
    }
    if run.summary.state.is_over() {
        return stage;
    }
    if let Some(waiting) = steps().find(|step| step.state == "waiting") {
        let what = waiting.reason.clone().unwrap_or_else(|| "waits for a person".to_owned());
        return Stage { state: State::Waiting, what, detail: asks(facts, prefix), at: waiting.started_at, ..stage };
    }
    let busy: Vec<&StepView> = steps().filter(|step| matches!(step.state.as_str(), "ready" | "running")).collect();
    match busy.first() {
        Some(first) => {
            let keys: Vec<&str> = busy.iter().map(|step| step.key.as_str()).collect();
            let detail = if first.attempt > 1 { format!("attempt {}", first.attempt) } else { String::new() };
            Stage { state: State::Running, what: keys.join(", "), detail, at: first.started_at, ..stage }
        }
        None => stage,
    }
}

/// What a person can do about a step that waits.
fn asks(facts: &ModelFacts, prefix: &str) -> String {
    match &facts.newest {
        Some(version) if prefix == "approval" => format!("loopwright approve {} --reason …", version.label()),
        _ => String::new(),
    }
}
