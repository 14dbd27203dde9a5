//! Shadows score behind the answer: on a thread of their own, for the log only.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use lw_core::{Name, Timestamp};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::oneshot;

use crate::Rows;
use crate::endpoint::Routes;
use crate::log::PredictionLog;

/// Requests that may wait for the shadows. More go unshadowed: a shadow never holds up an answer.
const MAX_WAITING: usize = 256;

enum Job {
    Score { routes: Arc<Routes>, rows: Rows, at: Timestamp, request_id: String },
    Flush(oneshot::Sender<()>),
}

/// The thread that scores for shadows. It ends when the endpoint is dropped.
pub struct ShadowWorker {
    queue: SyncSender<Job>,
    n_skipped: Counter,
}

impl ShadowWorker {
    pub fn start(endpoint: &Name, log: Arc<PredictionLog>, n_skipped: Counter) -> Self {
        let (queue, jobs) = sync_channel(MAX_WAITING);
        let spawned = std::thread::Builder::new().name(format!("shadow-{endpoint}")).spawn(move || run(&jobs, &log));
        if let Err(error) = spawned {
            tracing::error!(%error, "Shadows of endpoint `{endpoint}` cannot run: {error}");
        }
        Self { queue, n_skipped }
    }

    pub fn submit(&self, routes: Arc<Routes>, rows: Rows, at: Timestamp, request_id: &str) {
        let job = Job::Score { routes, rows, at, request_id: request_id.to_owned() };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(job) {
            let n_skipped = self.n_skipped.inc() + 1;
            if n_skipped.is_power_of_two() {
                tracing::warn!(n_skipped, "Shadows cannot keep up: {n_skipped} requests went unshadowed");
            }
        }
    }

    /// Waits until the shadows have scored everything submitted so far.
    pub async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        let queue = self.queue.clone();
        let sent = tokio::task::spawn_blocking(move || queue.send(Job::Flush(done)).is_ok()).await;
        if sent.unwrap_or(false) {
            drop(is_done.await);
        }
    }
}

fn run(jobs: &Receiver<Job>, log: &PredictionLog) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Score { routes, rows, at, request_id } => score(&routes, &rows, at, &request_id, log),
            Job::Flush(done) => drop(done.send(())),
        }
    }
}

fn score(routes: &Routes, rows: &Rows, at: Timestamp, request_id: &str, log: &PredictionLog) {
    for route in routes.shadows() {
        let started = Instant::now();
        let logged = log.reserve(rows.len()).and_then(|reservation| {
            let scored = route.score(rows, at)?;
            reservation.append(&[route.record(rows, &scored, at, started, request_id)])
        });
        if let Err(error) = logged {
            tracing::warn!(version = %route.served(), ?error, "Shadow {} did not score a request", route.served());
        }
    }
}
