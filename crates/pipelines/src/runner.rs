//! What a caller supplies: the code behind the kinds of steps.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lw_core::{Ctx, Digest, Name, Result, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::attempt::Stop;
use crate::{LogSink, PipelineRunId};

/// Runs steps. An attempt may be cut off at any await and tried again, so effects outside the database should be idempotent:
/// name them after `StepContext::idempotency_key`.
#[async_trait]
pub trait StepRunner: Send + Sync {
    /// Does one attempt of a step. A transient error is tried again as the step's retries say.
    async fn run(&self, context: StepContext) -> Result<StepOutput>;

    /// The version of the code behind a kind of step, part of the cache key: another version, no hit.
    fn version(&self, _kind: &str) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    /// Whether what a cached manifest names still exists. If not, the step runs.
    async fn is_available(&self, _manifest: &Manifest) -> bool {
        true
    }
}

/// One attempt of a step.
#[derive(Debug, Clone)]
pub struct StepContext {
    /// The actor is whoever started the run.
    pub ctx: Ctx,
    pub run: PipelineRunId,
    pub pipeline: Name,
    pub step: String,
    pub kind: String,
    pub params: serde_json::Value,
    pub run_params: serde_json::Value,
    /// The outputs of the steps that this one needs, by key.
    pub upstream: BTreeMap<String, Manifest>,
    /// Counts from 1.
    pub attempt: u32,
    /// Grows with every claim of this step. A store that remembers the largest fence it saw can refuse a worker that lost the step.
    pub fence: i64,
    /// The latest signal, for a step that has waited.
    pub signal: Option<serde_json::Value>,
    pub log: LogSink,
    pub cancellation: Cancellation,
}

impl StepContext {
    /// The same for every attempt of this step of this run, and for no other.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}", self.run, self.step)
    }
}

/// How an attempt ended, if not in an error.
#[derive(Debug, Clone, PartialEq)]
pub enum StepOutput {
    Done(Manifest),
    /// There is nothing to do until somebody signals the step, or until a time. It is then run again from the start.
    Waiting {
        /// For people: what it waits for.
        reason: String,
        until: Option<Timestamp>,
    },
}

impl StepOutput {
    pub fn done(outputs: serde_json::Value) -> Self {
        Self::Done(Manifest { outputs, digests: BTreeMap::new() })
    }

    /// Names the content of an output. Steps further down are cached by these digests.
    #[must_use]
    pub fn digest(mut self, name: &str, digest: Digest) -> Self {
        if let Self::Done(manifest) = &mut self {
            manifest.digests.insert(name.to_owned(), digest);
        }
        self
    }

    pub fn waiting(reason: &str) -> Self {
        Self::Waiting { reason: reason.to_owned(), until: None }
    }
}

/// What a step made: a small JSON document for the steps after it, and the digests of what it made elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub outputs: serde_json::Value,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, Digest>,
}

impl Manifest {
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }
}

/// Says when to stop: the run is being cancelled, the attempt took too long, the worker shuts down, or another worker has the step.
#[derive(Debug, Clone)]
pub struct Cancellation(watch::Receiver<Option<Stop>>);

/// Stops what holds the [`Cancellation`].
#[derive(Debug, Clone)]
pub struct Canceller(watch::Sender<Option<Stop>>);

impl Canceller {
    pub fn new() -> (Self, Cancellation) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), Cancellation(receiver))
    }

    pub fn cancel(&self) {
        self.0.send_replace(Some(Stop::ShuttingDown));
    }
}

impl Cancellation {
    pub(crate) fn new(receiver: watch::Receiver<Option<Stop>>) -> Self {
        Self(receiver)
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Returns when it is time to stop; never, if nobody can say so any more.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
