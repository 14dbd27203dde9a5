//! A journal: rows on the local disk, durable at once, on their way to somewhere slower.
//!
//! It is a folder of numbered segments. A request reserves places in a bounded queue, appends its rows and frees the places once they
//! are synced. When an append returns, the rows outlive the process; when [`Journal::flush`] returns, they outlive the machine's power.
//! Whoever takes rows elsewhere seals the current segment, reads the complete ones, and removes each once the other side has it under
//! the segment's number, which never repeats: this makes the way exactly-once.
//!
//! ```
//! use std::sync::Arc;
//! use lw_core::{Failure, Kind};
//! use lw_store::journal::{Frames, Journal, JournalNames, JournalOptions, NoObserver, Record};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> lw_core::Result<()> {
//! # let directory = lw_store::testing::TestDirectory::make();
//! # let directory = directory.path().to_owned();
//! let names = JournalNames {
//!     journal: "the log of answers".to_owned(),
//!     rows: "answers",
//!     full: Failure::new("log-full", Kind::Exhausted),
//!     unavailable: Failure::new("log-unavailable", Kind::Unavailable),
//!     corrupt: Failure::new("log-corrupt", Kind::Unavailable),
//! };
//! let journal = Journal::open(JournalOptions::in_dir(directory), names, 0, Arc::new(NoObserver))?;
//! journal.reserve(1)?.append(&[Record::new(b"42", 1)])?;
//! for number in journal.seal().await? {
//!     let segment = journal.read(number)?;
//!     assert_eq!(Frames::behind_magic(&segment).collect::<Vec<_>>(), [b"42"]);
//!     journal.remove(number)?;
//! }
//! # Ok(())
//! # }
//! ```

mod segment;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use lw_core::{Error, Failure, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

pub use segment::Frames;
use segment::Segment;
use writer::Writer;

/// How a journal behaves.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// The folder of the segments.
    pub dir: PathBuf,
    /// Rows that may wait for a sync. More are refused.
    pub max_queued_rows: u32,
    /// A segment that grows beyond this is closed.
    pub max_segment_bytes: u64,
    /// How long written rows wait for more to share their sync.
    pub linger: Duration,
}

impl JournalOptions {
    /// 65,536 waiting rows, segments of 64 MiB, 5 ms.
    pub fn in_dir(dir: PathBuf) -> Self {
        Self { dir, max_queued_rows: 65_536, max_segment_bytes: 64 << 20, linger: Duration::from_millis(5) }
    }
}

/// What a journal is called in errors, and which failures they are.
#[derive(Debug, Clone)]
pub struct JournalNames {
    /// In a sentence, such as "the prediction log of endpoint `x`".
    pub journal: String,
    /// What it holds, such as `predictions`.
    pub rows: &'static str,
    /// Too many rows wait for the disk.
    pub full: Failure,
    /// The disk takes nothing, or gives nothing back.
    pub unavailable: Failure,
    /// A complete segment does not match its checksums.
    pub corrupt: Failure,
}

/// Counts what becomes of rows.
pub trait Observer: Send + Sync {
    /// Rows that are on disk now.
    fn synced(&self, n_rows: u64);
    /// Rows that could not be written when the journal was closed.
    fn dropped(&self, n_rows: u64);
}

/// For a journal that nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn synced(&self, _: u64) {}
    fn dropped(&self, _: u64) {}
}

/// What every reader of a segment must have met before the records that refer to it: it stands in each segment once.
#[derive(Debug)]
pub struct Header {
    key: u64,
    frame: Vec<u8>,
}

impl Header {
    pub fn new(key: u64, payload: &[u8]) -> Self {
        let mut frame = Vec::with_capacity(payload.len() + segment::FRAME_HEAD_BYTES);
        segment::frame(payload, &mut frame);
        Self { key, frame }
    }
}

/// Rows that go into a journal together.
#[derive(Debug)]
pub struct Record {
    header: Option<Arc<Header>>,
    frame: Vec<u8>,
    n_rows: u32,
}

impl Record {
    /// A payload is not empty.
    pub fn new(payload: &[u8], n_rows: u32) -> Self {
        let mut frame = Vec::with_capacity(payload.len() + segment::FRAME_HEAD_BYTES);
        segment::frame(payload, &mut frame);
        Self { header: None, frame, n_rows }
    }

    #[must_use]
    pub fn behind(self, header: &Arc<Header>) -> Self {
        Self { header: Some(Arc::clone(header)), ..self }
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub segment: u64,
    pub offset: u64,
    pub n_bytes: usize,
}

/// Why a folder of segments could not be used.
#[derive(Debug)]
enum Fault {
    Io { path: PathBuf, error: io::Error },
    Corrupt { path: PathBuf },
}

impl Fault {
    fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }
}

impl JournalNames {
    fn error(&self, fault: Fault) -> Error {
        match fault {
            Fault::Io { path, error } => {
                let hint = match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        "free space on the disk of the workspace; logging resumes by itself"
                    }
                    _ => "check that the workspace is on a healthy disk that this user may write to",
                };
                let text = format!("{} at {} cannot be used: {error}", self.journal, path.display());
                self.unavailable.error(text).hint(hint).cause(error)
            }
            Fault::Corrupt { path } => {
                self.corrupted(&format!("segment {} has a frame whose checksum does not fit", path.display()))
            }
        }
    }

    /// The error for damage that a reader of the payloads found.
    pub fn corrupted(&self, what: &str) -> Error {
        self.corrupt.error(format!("{} is damaged: {what}", self.journal)).hint(
            "move the segment that the message names out of its folder in the workspace and keep it; the rest is delivered then",
        )
    }

    fn failing(&self) -> Error {
        self.unavailable
            .error(format!("{} cannot be written", self.journal))
            .hint("free space on the disk of the workspace; requests are answered again as soon as it can be written")
    }
}

/// A folder of segments, open for writing by this process. Dropping it writes what still waits.
pub struct Journal {
    dir: PathBuf,
    names: JournalNames,
    max_queued_rows: u32,
    places: Arc<Semaphore>,
    writer: Arc<Writer>,
    thread: Option<JoinHandle<()>>,
}

/// Places in the queue, taken before a request is answered.
pub struct Reservation<'a> {
    journal: &'a Journal,
    permit: OwnedSemaphorePermit,
}

impl Reservation<'_> {
    /// Hands the rows to the operating system. They outlive the process when this returns.
    ///
    /// # Errors
    /// The failure for an unavailable journal if the disk takes nothing; the request must not be acknowledged then.
    pub fn append(self, records: &[Record]) -> Result<Vec<Place>> {
        let Self { journal, permit } = self;
        journal.writer.append(records, permit).map_err(|error| journal.names.failing().cause(error))
    }

    /// The rows that places were taken for; fewer if the request has more than the queue.
    pub fn n_rows(&self) -> u64 {
        self.permit.num_permits() as u64
    }
}

impl Journal {
    /// Opens the folder, makes it if it is missing, cuts torn tails off the newest segments and starts a new one, whose number is
    /// above `taken`, the last that the other side has.
    pub fn open(options: JournalOptions, names: JournalNames, taken: u64, observer: Arc<dyn Observer>) -> Result<Self> {
        let (writer, syncing) = start(&options, taken, observer).map_err(|fault| names.error(fault))?;
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || syncing.run());
        let thread = thread.map_err(|error| names.error(Fault::io(&options.dir, error)))?;
        let places = Arc::new(Semaphore::new(options.max_queued_rows as usize));
        let max_queued_rows = options.max_queued_rows;
        Ok(Self { dir: options.dir, names, max_queued_rows, places, writer, thread: Some(thread) })
    }

    /// Takes places for a request's rows, or refuses it.
    ///
    /// # Errors
    /// The failure for a full journal if too many rows wait, for an unavailable one if they wait for a disk that takes nothing.
    pub fn reserve(&self, n_rows: usize) -> Result<Reservation<'_>> {
        let n_places = u32::try_from(n_rows).unwrap_or(u32::MAX).min(self.max_queued_rows);
        if !self.writer.is_failing()
            && let Ok(permit) = Arc::clone(&self.places).try_acquire_many_owned(n_places)
        {
            return Ok(Reservation { journal: self, permit });
        }
        Err(self.full())
    }

    fn full(&self) -> Error {
        if self.writer.is_failing() {
            return self.names.failing();
        }
        let JournalNames { journal, rows, full, .. } = &self.names;
        full.error(format!("{} {rows} wait in {journal} for the disk", self.max_queued_rows))
            .hint("repeat the request in a second; if this stays, the disk is too slow for the load")
    }

    /// Waits until everything appended so far is on disk.
    pub async fn flush(&self) -> Result<()> {
        let (answer, written) = oneshot::channel();
        self.writer.flush(answer);
        written.await.map_err(|_| self.full())
    }

    /// Closes the current segment if it has rows, and returns the numbers of all complete ones, oldest first.
    pub async fn seal(&self) -> Result<Vec<u64>> {
        let (answer, sealed) = oneshot::channel();
        self.writer.seal(answer);
        let active = sealed.await.map_err(|_| self.full())?;
        let active = active.map_err(|error| self.names.error(Fault::io(&self.dir, error)))?;
        Ok(self.segments()?.into_iter().filter(|number| *number < active).collect())
    }

    /// The numbers of the segments, the one being written included, oldest first.
    pub fn segments(&self) -> Result<Vec<u64>> {
        segment::list(&self.dir).map_err(|fault| self.names.error(fault))
    }

    /// The whole content of a complete segment.
    pub fn read(&self, number: u64) -> Result<Vec<u8>> {
        segment::read_complete(&self.dir, number).map_err(|fault| self.names.error(fault))
    }

    /// The payload of one record, or `None` if its segment has been removed.
    pub fn read_at(&self, place: Place) -> Result<Option<Vec<u8>>> {
        match segment::read_frame(&self.dir, place.segment, place.offset, place.n_bytes) {
            Ok(payload) => Ok(Some(payload)),
            Err(Fault::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(self.names.error(fault)),
        }
    }

    pub fn remove(&self, number: u64) -> Result<()> {
        segment::remove(&self.dir, number).map_err(|fault| self.names.error(fault))
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn names(&self) -> &JournalNames {
        &self.names
    }

    /// Rows that wait for the disk.
    pub fn n_waiting(&self) -> u64 {
        u64::from(self.max_queued_rows).saturating_sub(self.places.available_permits() as u64)
    }
}

fn start(options: &JournalOptions, taken: u64, observer: Arc<dyn Observer>) -> Result<(Arc<Writer>, Arc<Writer>), Fault> {
    let failed = |error| Fault::io(&options.dir, error);
    std::fs::create_dir_all(&options.dir).map_err(failed)?;
    let segments = segment::list(&options.dir)?;
    for number in segments.iter().rev().take(2) {
        segment::repair(&options.dir, *number)?;
    }
    let number = segments.last().copied().unwrap_or(0).max(taken) + 1;
    let segment = Segment::create(&options.dir, number).map_err(failed)?;
    let writer = Arc::new(Writer::new(options, segment, observer));
    Ok((Arc::clone(&writer), writer))
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.writer.close();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
