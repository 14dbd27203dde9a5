//! The prediction log: every answer is kept, first on the local disk, then in a Delta table.
//!
//! What is promised when:
//! - **Answered**: the rows are in the segment file. The process may be killed at any moment; what it has answered is in the log.
//! - **Logged** (counted, or flushed): the segment is synced, [`LogOptions::linger`] and one sync later. Only a failure of the whole
//!   machine within that time can lose an answer.
//! - **Delivered**: the rows are in the table `prediction/<endpoint>`, each exactly once.
//!
//! A request reserves places in a bounded queue before it is answered and frees them once its rows are synced. When the queue is
//! full, because the disk is slow, requests are refused (`prediction-log-full`); when the disk takes nothing, likewise
//! (`prediction-log-unavailable`): an answer that nobody can account for is not given.

mod delivery;
mod layout;
mod record;
mod segment;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use lw_core::{Error, Name, Result};
use lw_engine::Engine;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

pub use delivery::{APP_ID, Delivery, table as prediction_table};
pub use layout::{FIXED_COLUMNS, Layout, LoggedColumn, ScoredRows};
pub use record::LogRecord;

use crate::failures::{LOG_FULL, LOG_UNAVAILABLE};
use crate::metrics::LogMetrics;
use segment::Segment;
use writer::Writer;

/// How a log behaves.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The folder of this endpoint's segments.
    pub dir: PathBuf,
    /// Rows that may wait for a sync. More are refused.
    pub max_queued_rows: u32,
    /// A segment that grows beyond this is closed.
    pub max_segment_bytes: u64,
    /// How long written rows wait for more to share their sync.
    pub linger: Duration,
}

impl LogOptions {
    /// 65,536 waiting rows, segments of 64 MiB, 5 ms.
    pub fn in_dir(dir: PathBuf) -> Self {
        Self { dir, max_queued_rows: 65_536, max_segment_bytes: 64 << 20, linger: Duration::from_millis(5) }
    }
}

/// The log of one endpoint. Dropping it writes what still waits.
pub struct PredictionLog {
    endpoint: Name,
    dir: PathBuf,
    max_queued_rows: u32,
    places: Arc<Semaphore>,
    writer: Arc<Writer>,
    thread: Option<JoinHandle<()>>,
    metrics: LogMetrics,
    /// One delivery at a time.
    delivering: tokio::sync::Mutex<()>,
}

/// Places in the queue, taken before a request is answered.
pub struct Reservation<'a> {
    log: &'a PredictionLog,
    permit: OwnedSemaphorePermit,
}

impl Reservation<'_> {
    /// Puts the rows into the log. They outlive the process when this returns, and count as logged once they are synced.
    ///
    /// # Errors
    /// `prediction-log-unavailable` if the disk takes nothing; the answer must not be given then.
    pub fn append(self, records: &[LogRecord]) -> Result<()> {
        let n_rows = u64::from(self.permit.num_permits() as u32);
        self.log.writer.append(records, self.permit).map_err(|error| {
            self.log.metrics.refused.inc_by(n_rows);
            self.log.unavailable().cause(error)
        })
    }
}

impl PredictionLog {
    /// Opens the log, cuts torn tails off its newest segments and starts a new one.
    ///
    /// `engine` tells how far the table has come, so that numbers of segments never repeat, even in a new folder.
    pub async fn open(options: LogOptions, endpoint: Name, engine: &Engine, metrics: LogMetrics) -> Result<Self> {
        let delivered = engine.app_version(&prediction_table(&endpoint), APP_ID).await?;
        Self::start(options, endpoint, delivered.map_or(0, i64::unsigned_abs), metrics)
    }

    fn start(options: LogOptions, endpoint: Name, delivered: u64, metrics: LogMetrics) -> Result<Self> {
        let unavailable = |error| segment::unavailable(&options.dir, error);
        std::fs::create_dir_all(&options.dir).map_err(unavailable)?;
        let segments = segment::list(&options.dir)?;
        for number in segments.iter().rev().take(2) {
            segment::repair(&options.dir, *number)?;
        }
        let number = segments.last().copied().unwrap_or(0).max(delivered) + 1;
        let segment = Segment::create(&options.dir, number).map_err(unavailable)?;
        let writer = Arc::new(Writer::new(&options, segment, metrics.clone()));
        let syncing = Arc::clone(&writer);
        let thread = std::thread::Builder::new().name(format!("log-{endpoint}")).spawn(move || syncing.run());
        Ok(Self {
            thread: Some(thread.map_err(unavailable)?),
            places: Arc::new(Semaphore::new(options.max_queued_rows as usize)),
            max_queued_rows: options.max_queued_rows,
            writer,
            dir: options.dir,
            endpoint,
            metrics,
            delivering: tokio::sync::Mutex::new(()),
        })
    }

    /// Takes places for a request's rows, or refuses it.
    ///
    /// # Errors
    /// `prediction-log-full` if too many rows wait; `prediction-log-unavailable` if they wait for a disk that takes nothing.
    pub fn reserve(&self, n_rows: usize) -> Result<Reservation<'_>> {
        let n_places = u32::try_from(n_rows).unwrap_or(u32::MAX).min(self.max_queued_rows);
        if !self.writer.is_failing()
            && let Ok(permit) = Arc::clone(&self.places).try_acquire_many_owned(n_places)
        {
            return Ok(Reservation { log: self, permit });
        }
        self.metrics.refused.inc_by(n_rows as u64);
        Err(self.full())
    }

    fn full(&self) -> Error {
        if self.writer.is_failing() {
            return self.unavailable();
        }
        LOG_FULL
            .error(format!("{} predictions of endpoint `{}` wait for the disk", self.max_queued_rows, self.endpoint))
            .hint("repeat the request in a second; if this stays, the disk is too slow for the load")
    }

    fn unavailable(&self) -> Error {
        LOG_UNAVAILABLE
            .error(format!("the prediction log of endpoint `{}` cannot be written", self.endpoint))
            .hint("free space on the disk of the workspace; requests are answered again as soon as the log can be written")
    }

    /// Waits until everything answered so far is on disk.
    pub async fn flush(&self) -> Result<()> {
        let (answer, written) = oneshot::channel();
        self.writer.flush(answer);
        written.await.map_err(|_| self.full())
    }

    /// Moves everything logged so far into the table, exactly once, and returns what was moved.
    pub async fn deliver(&self, engine: &Engine) -> Result<Delivery> {
        let _one_at_a_time = self.delivering.lock().await;
        let (answer, sealed) = oneshot::channel();
        self.writer.seal(answer);
        let active = sealed.await.map_err(|_| self.full())?.map_err(|error| segment::unavailable(&self.dir, error))?;
        let mut delivery = Delivery::default();
        for number in segment::list(&self.dir)?.into_iter().filter(|number| *number < active) {
            let one = delivery::deliver_segment(engine, &self.dir, number, &self.endpoint).await?;
            segment::remove(&self.dir, number)?;
            delivery.n_segments += one.n_segments;
            delivery.n_rows += one.n_rows;
            delivery.table_version = one.table_version.or(delivery.table_version);
            self.metrics.delivered.inc_by(one.n_rows);
        }
        Ok(delivery)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn metrics(&self) -> &LogMetrics {
        &self.metrics
    }

    /// Rows that wait for the disk.
    pub fn n_waiting(&self) -> u64 {
        u64::from(self.max_queued_rows).saturating_sub(self.places.available_permits() as u64)
    }
}

impl Drop for PredictionLog {
    fn drop(&mut self) {
        self.writer.close();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
