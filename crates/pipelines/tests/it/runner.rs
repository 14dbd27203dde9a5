//! Steps for the tests: what they do stands in their parameters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lw_core::{Actor, Ctx, Digest, Failure, Kind, Name, Result};
use lw_pipelines::*;
use lw_store::Store;
use serde_json::{Value, json};

pub const FLAKY: Failure = Failure::new("flaky", Kind::Unavailable);
pub const BROKEN: Failure = Failure::new("broken", Kind::Invalid);

/// Counts what it runs, and never lets a step run twice at once.
#[derive(Default)]
pub struct TestRunner {
    pub n_runs: Mutex<HashMap<String, u32>>,
    running: Mutex<HashMap<String, u32>>,
    pub gone: Mutex<Vec<Digest>>,
}

#[async_trait]
impl StepRunner for TestRunner {
    async fn run(&self, context: StepContext) -> Result<StepOutput> {
        let key = context.idempotency_key();
        *self.n_runs.lock().unwrap().entry(context.step.clone()).or_default() += 1;
        let n_at_once = *self.running.lock().unwrap().entry(key.clone()).and_modify(|n| *n += 1).or_insert(1);
        assert_eq!(n_at_once, 1, "{key} runs twice at once");
        let result = act(&context).await;
        self.running.lock().unwrap().remove(&key);
        result
    }

    async fn is_available(&self, manifest: &Manifest) -> bool {
        let gone = self.gone.lock().unwrap();
        !manifest.digests.values().any(|digest| gone.contains(digest))
    }
}

impl TestRunner {
    pub fn n_runs(&self, step: &str) -> u32 {
        self.n_runs.lock().unwrap().get(step).copied().unwrap_or(0)
    }
}

async fn act(context: &StepContext) -> Result<StepOutput> {
    let number = |name: &str| context.params[name].as_u64().unwrap_or(0);
    context.log.line(format!("{} begins", context.step));
    match context.kind.as_str() {
        "noop" => {
            let inputs: u64 = context.upstream.values().filter_map(|manifest| manifest.outputs["sum"].as_u64()).sum();
            let sum = inputs + number("add");
            Ok(StepOutput::done(json!({"sum": sum, "params": context.run_params})).digest("sum", Digest::of_json(&sum)))
        }
        "flaky" if u64::from(context.attempt) <= number("failures") => Err(FLAKY.error("the network blinked")),
        "broken" if u64::from(context.attempt) <= number("failures") => {
            Err(BROKEN.error("that cannot be").hint("do something else"))
        }
        "flaky" | "broken" => Ok(StepOutput::done(json!({"attempt": context.attempt}))),
        "sleep" => {
            tokio::time::sleep(Duration::from_millis(number("ms"))).await;
            Ok(StepOutput::done(Value::Null))
        }
        "polite" => {
            context.cancellation.cancelled().await;
            context.log.line("stopping");
            Err(STEP_CANCELLED.error("stopped"))
        }
        "approval" => match &context.signal {
            Some(signal) => Ok(StepOutput::done(signal.clone())),
            None => Ok(StepOutput::waiting("an approval of ana")),
        },
        "timer" if context.ctx.now() < lw_core::Timestamp::from_millis(number("at_ms") as i64) => Ok(StepOutput::Waiting {
            reason: "the time".into(),
            until: Some(lw_core::Timestamp::from_millis(number("at_ms") as i64)),
        }),
        "timer" => Ok(StepOutput::done(Value::Null)),
        "panic" => panic!("on purpose"),
        other => unreachable!("no such kind: {other}"),
    }
}

pub fn ctx() -> Ctx {
    Ctx::real(Actor::new("ana"), "test")
}

pub fn step(key: &str, kind: &str, params: Value, needs: &[&str]) -> StepDefinition {
    StepDefinition::new(key, kind, params).needs(needs)
}

pub fn pipeline(name: &str, steps: Vec<StepDefinition>) -> PipelineDefinition {
    PipelineDefinition { pipeline: Name::parse(name).unwrap(), description: String::new(), steps, schedule: None }
}

/// An engine with one worker.
pub struct Bench {
    pub ctx: Ctx,
    pub store: Store,
    pub pipelines: Pipelines,
    pub runner: Arc<TestRunner>,
    pub worker: Worker,
}

impl Bench {
    pub fn new(store: Store) -> Self {
        Self::with_ctx(store, ctx())
    }

    pub fn with_ctx(store: Store, ctx: Ctx) -> Self {
        let (pipelines, runner) = (Pipelines::new(store.clone()), Arc::<TestRunner>::default());
        let worker = Worker::new(&ctx, pipelines.clone(), runner.clone(), WorkerOptions::new("bench", 4));
        Self { ctx, store, pipelines, runner, worker }
    }

    pub async fn start(&self, definition: PipelineDefinition) -> PipelineRunId {
        self.pipelines.start_definition(&self.ctx, definition, Start::by_hand()).await.unwrap().run
    }

    /// Runs a definition until nothing more happens.
    pub async fn run(&self, definition: PipelineDefinition) -> RunView {
        let run = self.start(definition).await;
        self.worker.drain(&self.ctx).await.unwrap();
        self.pipelines.run(&run).await.unwrap()
    }
}

/// `key=state` of every step, in order.
pub fn states(view: &RunView) -> Vec<String> {
    view.steps.iter().map(|step| format!("{}={}", step.key, step.state)).collect()
}
