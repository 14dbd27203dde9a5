//! The prediction log: every answer is kept, first on the local disk, then in a Delta table.
//!
//! A request reserves places in a bounded queue before it is answered, and puts its rows there afterwards. A thread writes
//! them into an append-only segment and syncs it; from then on they count as logged. Deliveries move complete segments into
//! the table `prediction/<endpoint>`. When the queue is full, because the disk is slow or full, requests are refused
//! (`prediction-log-full`): an answer that nobody can account for is not given.

mod delivery;
mod layout;
mod segment;
mod writer;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use lw_core::{Error, Name, Result};
use lw_engine::Engine;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

pub use delivery::{APP_ID, Delivery, table as prediction_table};
pub use layout::{FIXED_COLUMNS, Layout, LoggedColumn, ScoredRows};
pub use writer::LogRecord;

use crate::failures::{LOG_FULL, LOG_UNAVAILABLE};
use crate::metrics::LogMetrics;
use segment::Segment;
use writer::{Message, Writer};

/// How a log behaves.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The folder of this endpoint's segments.
    pub dir: PathBuf,
    /// Rows that may wait for the disk. More are refused.
    pub max_queued_rows: u32,
    /// A segment that grows beyond this is closed.
    pub max_segment_bytes: u64,
    /// How long the writer waits for more rows to share a sync.
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
    /// None only while the log is dropped.
    queue: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    is_failing: Arc<AtomicBool>,
    is_closing: Arc<AtomicBool>,
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
    /// Hands the rows over. They are counted as logged once they are on disk.
    pub fn append(self, records: Vec<LogRecord>) {
        let Some(queue) = &self.log.queue else { return };
        // The writer ends only after the queue is gone.
        drop(queue.send(Message::Rows { records, permit: self.permit }));
    }
}

impl PredictionLog {
    /// Opens the log, cuts a torn tail off its newest segment and starts a new one.
    ///
    /// `engine` tells how far the table has come, so that numbers of segments never repeat, even in a new folder.
    pub async fn open(options: LogOptions, endpoint: Name, engine: &Engine, metrics: LogMetrics) -> Result<Self> {
        let delivered = engine.app_version(&prediction_table(&endpoint), APP_ID).await?;
        Self::start(options, endpoint, delivered.map_or(0, i64::unsigned_abs), metrics)
    }

    fn start(options: LogOptions, endpoint: Name, delivered: u64, metrics: LogMetrics) -> Result<Self> {
        let unavailable = |error| segment::unavailable(&options.dir, error);
        std::fs::create_dir_all(&options.dir).map_err(unavailable)?;
        let newest = segment::list(&options.dir)?.last().copied();
        if let Some(newest) = newest {
            segment::repair(&options.dir, newest)?;
        }
        let number = newest.unwrap_or(0).max(delivered) + 1;
        let segment = Segment::create(&options.dir, number).map_err(unavailable)?;
        let (is_failing, is_closing) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let writer = Writer {
            dir: options.dir.clone(),
            segment,
            max_segment_bytes: options.max_segment_bytes,
            linger: options.linger,
            metrics: metrics.clone(),
            is_failing: Arc::clone(&is_failing),
            is_closing: Arc::clone(&is_closing),
            layouts: HashSet::new(),
        };
        let (queue, receiver): (Sender<Message>, Receiver<Message>) = channel();
        let thread = std::thread::Builder::new().name(format!("log-{endpoint}")).spawn(move || writer.run(&receiver));
        Ok(Self {
            thread: Some(thread.map_err(unavailable)?),
            places: Arc::new(Semaphore::new(options.max_queued_rows as usize)),
            max_queued_rows: options.max_queued_rows,
            queue: Some(queue),
            dir: options.dir,
            endpoint,
            is_failing,
            is_closing,
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
        match Arc::clone(&self.places).try_acquire_many_owned(n_places) {
            Ok(permit) => Ok(Reservation { log: self, permit }),
            Err(_) => {
                self.metrics.refused.inc_by(n_rows as u64);
                Err(self.full())
            }
        }
    }

    fn full(&self) -> Error {
        if self.is_failing.load(Ordering::Relaxed) {
            return LOG_UNAVAILABLE
                .error(format!("the prediction log of endpoint `{}` cannot be written", self.endpoint))
                .hint("free space on the disk of the workspace; requests are answered again as soon as the log can be written");
        }
        LOG_FULL
            .error(format!("{} predictions of endpoint `{}` wait for the disk", self.max_queued_rows, self.endpoint))
            .hint("repeat the request in a second; if this stays, the disk is too slow for the load")
    }

    /// Waits until everything logged so far is on disk.
    pub async fn flush(&self) -> Result<()> {
        let (answer, written) = oneshot::channel();
        self.send(Message::Flush(answer))?;
        written.await.map_err(|_| self.full())
    }

    /// Moves everything logged so far into the table, exactly once, and returns what was moved.
    pub async fn deliver(&self, engine: &Engine) -> Result<Delivery> {
        let _one_at_a_time = self.delivering.lock().await;
        let (answer, sealed) = oneshot::channel();
        self.send(Message::Seal(answer))?;
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

    fn send(&self, message: Message) -> Result<()> {
        let sent = self.queue.as_ref().is_some_and(|queue| queue.send(message).is_ok());
        if sent { Ok(()) } else { Err(self.full()) }
    }
}

impl Drop for PredictionLog {
    fn drop(&mut self) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
