//! Writing a journal: requests append to the tail of the segment, one thread syncs it behind them.
//!
//! An append is one `write` under a lock: from then on the operating system has the rows, and they outlive the process. The sync,
//! which takes a thousand times as long, is shared by all rows of a few milliseconds and never holds the lock.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::segment::Segment;
use super::{JournalOptions, Observer, Place, Record};

/// How long a disk that refuses writes is left alone before it is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// A journal as requests and the syncing thread share it.
pub struct Writer {
    dir: PathBuf,
    max_segment_bytes: u64,
    linger: Duration,
    observer: Arc<dyn Observer>,
    tail: Mutex<Tail>,
    /// Wakes the syncing thread.
    work: Condvar,
    /// Set while the disk refuses writes; nothing is appended then.
    is_failing: AtomicBool,
}

/// The segment that is being written, and what it still owes the disk.
struct Tail {
    segment: Segment,
    /// The headers that the segment has.
    headers: HashSet<u64>,
    unsynced: Unsynced,
    flushes: Vec<oneshot::Sender<()>>,
    seals: Vec<oneshot::Sender<io::Result<u64>>>,
    is_closing: bool,
}

impl Tail {
    /// Whether somebody waits for the sync.
    fn is_urgent(&self) -> bool {
        self.is_closing || !self.flushes.is_empty() || !self.seals.is_empty()
    }

    fn has_work(&self) -> bool {
        self.is_urgent() || !self.unsynced.frames.is_empty()
    }
}

/// Frames that are written and not yet synced. They are kept to write them again should the sync fail.
#[derive(Default)]
struct Unsynced {
    frames: Vec<u8>,
    n_rows: u64,
    /// Places in the queue, free once the rows are durable.
    permits: Vec<OwnedSemaphorePermit>,
}

impl Unsynced {
    fn extend(&mut self, newer: Self) {
        self.frames.extend_from_slice(&newer.frames);
        self.n_rows += newer.n_rows;
        self.permits.extend(newer.permits);
    }
}

impl Writer {
    pub fn new(options: &JournalOptions, segment: Segment, observer: Arc<dyn Observer>) -> Self {
        let tail = Tail {
            segment,
            headers: HashSet::new(),
            unsynced: Unsynced::default(),
            flushes: Vec::new(),
            seals: Vec::new(),
            is_closing: false,
        };
        Self {
            dir: options.dir.clone(),
            max_segment_bytes: options.max_segment_bytes,
            linger: options.linger,
            observer,
            tail: Mutex::new(tail),
            work: Condvar::new(),
            is_failing: AtomicBool::new(false),
        }
    }

    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Hands rows to the operating system. They outlive the process when this returns, and the machine once they are synced.
    ///
    /// # Errors
    /// If the disk takes nothing; the rows are not in the journal then.
    pub fn append(&self, records: &[Record], permit: OwnedSemaphorePermit) -> io::Result<Vec<Place>> {
        let mut tail = self.tail.lock();
        let tail = &mut *tail;
        if self.is_failing() {
            return Err(io::Error::other("the disk has refused the rows before these"));
        }
        let (start, had_work) = (tail.unsynced.frames.len(), tail.has_work());
        let (mut introduced, mut places) = (Vec::new(), Vec::with_capacity(records.len()));
        for record in records {
            if let Some(header) = record.header.as_ref().filter(|header| tail.headers.insert(header.key)) {
                introduced.push(header.key);
                tail.unsynced.frames.extend_from_slice(&header.frame);
            }
            let offset = tail.segment.n_written + (tail.unsynced.frames.len() - start) as u64;
            places.push(Place { segment: tail.segment.number, offset, n_bytes: record.frame.len() });
            tail.unsynced.frames.extend_from_slice(&record.frame);
        }
        if let Err(error) = tail.segment.write(tail.unsynced.frames.get(start..).unwrap_or_default()) {
            tail.unsynced.frames.truncate(start);
            tail.headers.retain(|key| !introduced.contains(key));
            self.fail(&error);
            self.work.notify_one();
            return Err(error);
        }
        tail.unsynced.n_rows += records.iter().map(|record| u64::from(record.n_rows)).sum::<u64>();
        tail.unsynced.permits.push(permit);
        if !had_work {
            self.work.notify_one();
        }
        Ok(places)
    }

    /// Answers when everything before it is durable.
    pub fn flush(&self, answer: oneshot::Sender<()>) {
        self.tail.lock().flushes.push(answer);
        self.work.notify_one();
    }

    /// Closes the segment if it has rows, and answers with the number of the one now being written: all before it are complete.
    pub fn seal(&self, answer: oneshot::Sender<io::Result<u64>>) {
        self.tail.lock().seals.push(answer);
        self.work.notify_one();
    }

    /// Ends the syncing thread once everything is durable, or cannot be.
    pub fn close(&self) {
        self.tail.lock().is_closing = true;
        self.work.notify_one();
    }

    /// Syncs until the journal is closed. Runs on a thread of its own.
    pub fn run(&self) {
        while let Some(round) = self.next_round() {
            if !self.make_durable(round.unsynced) {
                continue;
            }
            for answer in round.flushes {
                // Whoever asked may have stopped waiting.
                let _ = answer.send(());
            }
            if !round.seals.is_empty() || round.is_full {
                let mut sealed = self.begin_segment();
                for answer in round.seals {
                    let again =
                        sealed.as_ref().map(|number| *number).map_err(|error| io::Error::new(error.kind(), error.to_string()));
                    drop(answer.send(std::mem::replace(&mut sealed, again)));
                }
            }
        }
    }

    /// Waits for work, and then a little so that more rows share the sync. None when the journal is closed and owes nothing.
    fn next_round(&self) -> Option<Round> {
        let mut tail = self.tail.lock();
        while !tail.has_work() {
            if self.is_failing() {
                drop(tail);
                self.recover();
                tail = self.tail.lock();
                continue;
            }
            self.work.wait(&mut tail);
        }
        let deadline = Instant::now() + self.linger;
        while !tail.is_urgent() && !self.work.wait_until(&mut tail, deadline).timed_out() {}
        if tail.is_closing && tail.unsynced.frames.is_empty() && tail.flushes.is_empty() && tail.seals.is_empty() {
            return None;
        }
        Some(Round {
            unsynced: std::mem::take(&mut tail.unsynced),
            flushes: std::mem::take(&mut tail.flushes),
            seals: std::mem::take(&mut tail.seals),
            is_full: tail.segment.n_written > self.max_segment_bytes,
        })
    }

    /// Syncs what was written to the segment. While the disk refuses, it tries again; only closing ends the attempts.
    fn make_durable(&self, unsynced: Unsynced) -> bool {
        if unsynced.frames.is_empty() && !self.is_failing() {
            return true;
        }
        let file = self.tail.lock().segment.file();
        let synced = if self.is_failing() { Err(io::ErrorKind::StorageFull.into()) } else { file.sync_data() };
        match synced {
            Ok(()) => {
                self.tail.lock().segment.n_synced += unsynced.frames.len() as u64;
                self.observer.synced(unsynced.n_rows);
                true
            }
            Err(error) => {
                self.fail(&error);
                let mut tail = self.tail.lock();
                let newer = std::mem::replace(&mut tail.unsynced, unsynced);
                tail.unsynced.extend(newer);
                drop(tail);
                self.recover()
            }
        }
    }

    /// Writes again what is not known to be on disk, until the disk takes it. False if the journal was closed before.
    fn recover(&self) -> bool {
        loop {
            if !self.tail.lock().is_closing {
                std::thread::sleep(RETRY_PAUSE);
            }
            let mut tail = self.tail.lock();
            let owed = std::mem::take(&mut tail.unsynced);
            match tail.segment.write_again(&owed.frames) {
                Ok(()) => {
                    self.observer.synced(owed.n_rows);
                }
                Err(error) if tail.is_closing => {
                    self.observer.dropped(owed.n_rows);
                    let dir = self.dir.display();
                    tracing::error!(%error, %dir, "The journal {dir} was closed while it could not be written: {error}");
                    self.is_failing.store(false, Ordering::Relaxed);
                    return false;
                }
                Err(_) => {
                    tail.unsynced = owed;
                    continue;
                }
            }
            self.is_failing.store(false, Ordering::Relaxed);
            return true;
        }
    }

    /// Starts the next segment, and makes the one before complete. Requests go on in the new one meanwhile.
    fn begin_segment(&self) -> io::Result<u64> {
        let number = {
            let tail = self.tail.lock();
            if tail.segment.is_empty() {
                return Ok(tail.segment.number);
            }
            tail.segment.number + 1
        };
        let next = Segment::create(&self.dir, number)?;
        let mut tail = self.tail.lock();
        let before = std::mem::replace(&mut tail.segment, next);
        let unsynced = std::mem::take(&mut tail.unsynced);
        tail.headers.clear();
        drop(tail);
        self.complete(before, unsynced)?;
        Ok(number)
    }

    /// Syncs a segment that nobody writes to any more.
    fn complete(&self, mut segment: Segment, unsynced: Unsynced) -> io::Result<()> {
        if unsynced.frames.is_empty() {
            return Ok(());
        }
        let mut synced = segment.file().sync_data();
        while let Err(error) = synced {
            if self.tail.lock().is_closing {
                self.observer.dropped(unsynced.n_rows);
                return Err(error);
            }
            let dir = self.dir.display();
            tracing::error!(%error, %dir, "The journal {dir} cannot be synced: {error}");
            std::thread::sleep(RETRY_PAUSE);
            synced = segment.write_again(&unsynced.frames);
        }
        self.observer.synced(unsynced.n_rows);
        Ok(())
    }

    fn fail(&self, error: &io::Error) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            let dir = self.dir.display();
            tracing::error!(%error, %dir, "The journal {dir} cannot be written: {error}");
        }
    }
}

/// What one sync makes durable.
struct Round {
    unsynced: Unsynced,
    flushes: Vec<oneshot::Sender<()>>,
    seals: Vec<oneshot::Sender<io::Result<u64>>>,
    is_full: bool,
}

#[cfg(test)]
mod tests;
