//! What runs in this process right now.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::attempt::Stop;
use crate::run::PipelineRunId;
use crate::{LogSink, Worker, queries};

/// The steps that one worker runs right now.
#[derive(Clone, Default)]
pub(crate) struct Active(Arc<Mutex<ActiveSteps>>);

#[derive(Default)]
struct ActiveSteps {
    steps: HashMap<(PipelineRunId, String), Arc<Running>>,
    is_closing: bool,
}

/// The steps that all workers of this process run, by run, key and fence: what is in here is not dead.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alive(Arc<Mutex<HashSet<Holding>>>);

type Holding = (PipelineRunId, String, i64);

impl Alive {
    pub fn holds(&self, leased: &queries::Leased) -> bool {
        self.lock().contains(&(leased.run.clone(), leased.key.clone(), leased.fence))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Holding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a step off the lists when its attempt ends in whatever way.
pub(crate) struct Entered<'a> {
    worker: &'a Worker,
    running: Arc<Running>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let Running { run, key, fence, .. } = &*self.running;
        self.worker.active.lock().steps.remove(&(run.clone(), key.clone()));
        self.worker.pipelines.alive.lock().remove(&(run.clone(), key.clone(), *fence));
    }
}

/// A step that runs here.
pub(crate) struct Running {
    pub run: PipelineRunId,
    pub key: String,
    pub fence: i64,
    pub attempt: u32,
    pub log: LogSink,
    pub stop: watch::Sender<Option<Stop>>,
    /// Held while lines are being written, so that they keep their order.
    pub writing: tokio::sync::Mutex<()>,
}

impl Active {
    pub fn all(&self) -> Vec<Arc<Running>> {
        self.lock().steps.values().cloned().collect()
    }

    pub fn open(&self) {
        self.lock().is_closing = false;
    }

    /// Tells all steps, and those still to come, to stop.
    pub fn close(&self) {
        let mut active = self.lock();
        active.is_closing = true;
        for running in active.steps.values() {
            running.stop.send_replace(Some(Stop::ShuttingDown));
        }
    }

    pub fn is_closing(&self) -> bool {
        self.lock().is_closing
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ActiveSteps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    /// Puts a step on the lists. If the worker is closing, the step is told to stop at once.
    pub(crate) fn enter(&self, running: Arc<Running>) -> Entered<'_> {
        self.pipelines.alive.lock().insert((running.run.clone(), running.key.clone(), running.fence));
        let mut active = self.active.lock();
        if active.is_closing {
            running.stop.send_replace(Some(Stop::ShuttingDown));
        }
        active.steps.insert((running.run.clone(), running.key.clone()), running.clone());
        drop(active);
        Entered { worker: self, running }
    }
}
