//! An answer on its way: rows as they are made, within limits, for as long as somebody reads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::{Stream, TryStreamExt};
use lw_core::{Error, Result};
use lw_engine::Query;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::AbortHandle;

use crate::failures::{QUERY_CANCELLED, QUERY_TIMEOUT};

/// Batches that are made ahead of the reader. More would only hold memory.
const N_AHEAD: usize = 2;

/// What an answer may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// No more rows than these. `None`: all of them.
    pub n_rows: Option<u64>,
    /// How long the query may run, reading included.
    pub timeout: Duration,
}

impl Limits {
    /// All rows, within five minutes.
    pub const STANDARD: Self = Self { n_rows: None, timeout: Duration::from_secs(300) };
    /// The longest time that may be asked for.
    pub const LONGEST: Duration = Duration::from_secs(3600);
}

/// The rows of a query. Dropping it stops the query, whatever it does at that moment.
pub struct Answer {
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch>>,
    is_complete: Arc<AtomicBool>,
    work: AbortHandle,
    is_over: bool,
}

impl Answer {
    /// Starts a query on the threads of `runtime`. The work, not only the reading, stands under the deadline: a reader who stops
    /// reading does not hold a query for ever.
    pub(crate) fn start(query: Query, limits: Limits, place: OwnedSemaphorePermit, runtime: &Handle) -> Self {
        let schema = query.schema();
        let (sender, batches) = mpsc::channel(N_AHEAD);
        let is_complete = Arc::new(AtomicBool::new(false));
        let complete = Arc::clone(&is_complete);
        let work = runtime.spawn(async move {
            let outcome = tokio::time::timeout(limits.timeout, pump(query, limits.n_rows, &sender)).await;
            // The query is gone by now; what is left to do needs no place among those that run.
            drop(place);
            let failed = outcome.unwrap_or_else(|_| Err(timed_out(limits.timeout))).err();
            if let Some(error) = failed
                && sender.send(Err(error)).await.is_err()
            {
                tracing::debug!("Nobody reads any more why a query failed");
            }
            complete.store(true, Ordering::Release);
        });
        Self { schema, batches, is_complete, work: work.abort_handle(), is_over: false }
    }

    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// What stops this answer from elsewhere.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.work.clone())
    }

    fn end(&mut self) -> Option<Result<RecordBatch>> {
        if self.is_over || self.is_complete.load(Ordering::Acquire) {
            return None;
        }
        self.is_over = true;
        Some(Err(QUERY_CANCELLED.error("the query was cancelled").hint("run it again if that was not meant")))
    }
}

impl Stream for Answer {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.batches.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(batch)) => Poll::Ready(Some(batch)),
            Poll::Ready(None) => Poll::Ready(self.end()),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Stops an answer that somebody else reads.
#[derive(Debug, Clone)]
pub struct Canceller(AbortHandle);

impl Canceller {
    /// Stops it. Its reader then finds that the query was cancelled.
    pub fn cancel(&self) {
        self.0.abort();
    }

    /// Whether nothing of the query runs any more.
    pub fn is_done(&self) -> bool {
        self.0.is_finished()
    }
}

/// Hands on the rows of a query, as fast as they are taken, until they or the limit end.
async fn pump(query: Query, n_rows: Option<u64>, sender: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
    let mut left = n_rows.map(|n_rows| usize::try_from(n_rows).unwrap_or(usize::MAX));
    let mut batches = query.stream()?;
    while left != Some(0) {
        let Some(batch) = batches.try_next().await? else { break };
        let n_kept = left.map_or(batch.num_rows(), |left| left.min(batch.num_rows()));
        left = left.map(|left| left - n_kept);
        if sender.send(Ok(batch.slice(0, n_kept))).await.is_err() {
            break;
        }
    }
    Ok(())
}

pub(crate) fn timed_out(timeout: Duration) -> Error {
    QUERY_TIMEOUT
        .error(format!("the query was stopped after {} s", timeout.as_secs_f64()))
        .hint("read less (columns, rows, a shorter time), aggregate, or ask for a longer timeout")
}
