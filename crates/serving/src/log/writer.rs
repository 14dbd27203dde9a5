//! The thread that makes records durable: it gathers what waits, writes it at once, syncs once.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::layout::Layout;
use super::segment::{self, Segment};
use crate::metrics::LogMetrics;

/// How long a failed write waits before it is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// A record with the layout that it refers to.
pub struct LogRecord {
    pub layout: Arc<Layout>,
    pub layout_number: u64,
    pub payload: Vec<u8>,
    pub n_rows: u32,
}

pub enum Message {
    /// Rows to log. The permit frees their places in the queue once they are durable.
    Rows { records: Vec<LogRecord>, permit: OwnedSemaphorePermit },
    /// Answers when everything before it is durable.
    Flush(oneshot::Sender<()>),
    /// Closes the segment if it has rows, and answers with the number of the one now being written: all before it are complete.
    Seal(oneshot::Sender<io::Result<u64>>),
}

pub struct Writer {
    pub dir: PathBuf,
    pub segment: Segment,
    pub max_segment_bytes: u64,
    pub linger: Duration,
    pub metrics: LogMetrics,
    /// Set while the disk refuses writes.
    pub is_failing: Arc<AtomicBool>,
    /// Set when the log is closed: a write that fails then is given up.
    pub is_closing: Arc<AtomicBool>,
    /// The layouts that the segment has introduced.
    pub layouts: HashSet<u64>,
}

/// What one round writes.
#[derive(Default)]
struct Group {
    frames: Vec<u8>,
    n_rows: u64,
    permits: Vec<OwnedSemaphorePermit>,
    flushes: Vec<oneshot::Sender<()>>,
    seals: Vec<oneshot::Sender<io::Result<u64>>>,
}

impl Group {
    fn is_urgent(&self) -> bool {
        !self.flushes.is_empty() || !self.seals.is_empty()
    }
}

impl Writer {
    /// Runs until every sender is gone and everything sent is written.
    pub fn run(mut self, queue: &Receiver<Message>) {
        while let Ok(first) = queue.recv() {
            let mut group = Group::default();
            self.add(first, &mut group);
            self.gather(queue, &mut group);
            self.write(group);
        }
    }

    /// Takes what else waits. Nobody waits for an ordinary record, so a short pause lets more of them share one sync.
    fn gather(&mut self, queue: &Receiver<Message>, group: &mut Group) {
        const MAX_GROUP_BYTES: usize = 8 << 20;
        let deadline = Instant::now() + self.linger;
        while group.frames.len() < MAX_GROUP_BYTES {
            let wait = if group.is_urgent() { Duration::ZERO } else { deadline.saturating_duration_since(Instant::now()) };
            match queue.recv_timeout(wait) {
                Ok(message) => self.add(message, group),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn add(&mut self, message: Message, group: &mut Group) {
        match message {
            Message::Rows { records, permit } => {
                for record in records {
                    if self.layouts.insert(record.layout_number) {
                        segment::frame(&record.layout.record(), &mut group.frames);
                    }
                    segment::frame(&record.payload, &mut group.frames);
                    group.n_rows += u64::from(record.n_rows);
                }
                group.permits.push(permit);
            }
            Message::Flush(answer) => group.flushes.push(answer),
            Message::Seal(answer) => group.seals.push(answer),
        }
    }

    fn write(&mut self, group: Group) {
        let is_durable = group.frames.is_empty() || self.append(&group.frames);
        if is_durable {
            self.metrics.logged.inc_by(group.n_rows);
        } else {
            self.metrics.dropped.inc_by(group.n_rows);
        }
        drop(group.permits);
        if is_durable {
            for answer in group.flushes {
                // Whoever asked may have stopped waiting.
                let _ = answer.send(());
            }
        }
        if !group.seals.is_empty() || self.segment.n_bytes > self.max_segment_bytes {
            let mut sealed = self.seal();
            for answer in group.seals {
                let again =
                    sealed.as_ref().map(|number| *number).map_err(|error| io::Error::new(error.kind(), error.to_string()));
                drop(answer.send(std::mem::replace(&mut sealed, again)));
            }
        }
    }

    /// Writes until the disk takes it. Only closing ends the attempts.
    fn append(&mut self, frames: &[u8]) -> bool {
        loop {
            match self.segment.append(frames) {
                Ok(()) => {
                    self.is_failing.store(false, Ordering::Relaxed);
                    return true;
                }
                Err(error) => {
                    if !self.is_failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, dir = %self.dir.display(), "The prediction log cannot be written: {error}");
                    }
                    if self.is_closing.load(Ordering::Relaxed) {
                        return false;
                    }
                    std::thread::sleep(RETRY_PAUSE);
                }
            }
        }
    }

    fn seal(&mut self) -> io::Result<u64> {
        if !self.segment.is_empty() {
            self.segment = Segment::create(&self.dir, self.segment.number + 1)?;
            self.layouts.clear();
        }
        Ok(self.segment.number)
    }
}
