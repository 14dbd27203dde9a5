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

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lw_core::{Name, Result};
use lw_engine::Engine;
use lw_store::journal::{self, Journal, JournalNames, JournalOptions, Observer};

pub use delivery::{APP_ID, Delivery, table as prediction_table};
pub use layout::{FIXED_COLUMNS, Layout, LoggedColumn, ScoredRows};
pub use lw_store::journal::Record as LogRecord;

use crate::failures::{LOG_CORRUPT, LOG_FULL, LOG_UNAVAILABLE};
use crate::metrics::LogMetrics;

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
        let JournalOptions { dir, max_queued_rows, max_segment_bytes, linger } = JournalOptions::in_dir(dir);
        Self { dir, max_queued_rows, max_segment_bytes, linger }
    }
}

/// The log of one endpoint. Dropping it writes what still waits.
pub struct PredictionLog {
    endpoint: Name,
    journal: Journal,
    metrics: LogMetrics,
    /// One delivery at a time.
    delivering: tokio::sync::Mutex<()>,
}

/// Places in the queue, taken before a request is answered.
pub struct Reservation<'a> {
    log: &'a PredictionLog,
    reservation: journal::Reservation<'a>,
}

impl Reservation<'_> {
    /// Puts the rows into the log. They outlive the process when this returns, and count as logged once they are synced.
    ///
    /// # Errors
    /// `prediction-log-unavailable` if the disk takes nothing; the answer must not be given then.
    pub fn append(self, records: &[LogRecord]) -> Result<()> {
        let n_rows = self.reservation.n_rows();
        let appended = self.reservation.append(records).map(drop);
        appended.inspect_err(|_| {
            self.log.metrics.refused.inc_by(n_rows);
        })
    }
}

impl Observer for LogMetrics {
    fn synced(&self, n_rows: u64) {
        self.logged.inc_by(n_rows);
    }

    fn dropped(&self, n_rows: u64) {
        self.dropped.inc_by(n_rows);
    }
}

impl PredictionLog {
    /// Opens the log, cuts torn tails off its newest segments and starts a new one.
    ///
    /// `engine` tells how far the table has come, so that numbers of segments never repeat, even in a new folder.
    pub async fn open(options: LogOptions, endpoint: Name, engine: &Engine, metrics: LogMetrics) -> Result<Self> {
        let delivered = engine.app_version(&prediction_table(&endpoint), APP_ID).await?;
        let LogOptions { dir, max_queued_rows, max_segment_bytes, linger } = options;
        let options = JournalOptions { dir, max_queued_rows, max_segment_bytes, linger };
        let names = JournalNames {
            journal: format!("the prediction log of endpoint `{endpoint}`"),
            rows: "predictions",
            full: LOG_FULL,
            unavailable: LOG_UNAVAILABLE,
            corrupt: LOG_CORRUPT,
        };
        let delivered = delivered.map_or(0, i64::unsigned_abs);
        let journal = Journal::open(options, names, delivered, Arc::new(metrics.clone()))?;
        Ok(Self { endpoint, journal, metrics, delivering: tokio::sync::Mutex::new(()) })
    }

    /// Takes places for a request's rows, or refuses it.
    ///
    /// # Errors
    /// `prediction-log-full` if too many rows wait; `prediction-log-unavailable` if they wait for a disk that takes nothing.
    pub fn reserve(&self, n_rows: usize) -> Result<Reservation<'_>> {
        match self.journal.reserve(n_rows) {
            Ok(reservation) => Ok(Reservation { log: self, reservation }),
            Err(error) => {
                self.metrics.refused.inc_by(n_rows as u64);
                Err(error)
            }
        }
    }

    /// Waits until everything answered so far is on disk.
    pub async fn flush(&self) -> Result<()> {
        self.journal.flush().await
    }

    /// Moves everything logged so far into the table, exactly once, and returns what was moved.
    pub async fn deliver(&self, engine: &Engine) -> Result<Delivery> {
        let _one_at_a_time = self.delivering.lock().await;
        let mut delivery = Delivery::default();
        for number in self.journal.seal().await? {
            let one = delivery::deliver_segment(engine, &self.journal, number, &self.endpoint).await?;
            self.journal.remove(number)?;
            delivery.n_segments += one.n_segments;
            delivery.n_rows += one.n_rows;
            delivery.table_version = one.table_version.or(delivery.table_version);
            self.metrics.delivered.inc_by(one.n_rows);
        }
        Ok(delivery)
    }

    pub fn dir(&self) -> &Path {
        self.journal.dir()
    }

    pub fn metrics(&self) -> &LogMetrics {
        &self.metrics
    }

    /// Rows that wait for the disk.
    pub fn n_waiting(&self) -> u64 {
        self.journal.n_waiting()
    }
}
