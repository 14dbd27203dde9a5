//! The store: one thread that writes, a few that read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use lw_core::{Ctx, Entry, Error, Result};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::connection::{Connection, Dialect};
use crate::lock::WorkspaceLock;
use crate::metadata_url::Address;
use crate::migrations::{Governed, MIGRATIONS, migrate};
use crate::postgresql::Postgres;
use crate::sqlite::Sqlite;
use crate::writer::{Job, Write, panicked, serve};
use crate::{ChainPart, EntryFilter, METADATA_BUSY, METADATA_UNWRITABLE, MetadataUrl, Reader, Tx, Verification};

/// How many reads or writes may wait. More are refused with `metadata-busy`, which clients repeat.
const MAX_WAITING: usize = 4096;
const N_READERS: usize = 3;

/// The metadata database. Cheap to clone; the last clone to go closes it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// Groups of writes so far; none where other processes write, too.
    n_groups: Option<Arc<AtomicU64>>,
    writes: Option<SyncSender<Box<dyn Job>>>,
    reads: Option<SyncSender<Read>>,
    threads: Vec<JoinHandle<()>>,
}

type Read = Box<dyn FnOnce(Result<(&mut dyn Connection, &Governed)>) + Send>;

impl Store {
    /// Opens the database, makes it if it is missing, and applies the migrations that it lacks. A SQLite database belongs to one
    /// process at a time.
    pub fn open(url: &MetadataUrl) -> Result<Self> {
        match url.address().clone() {
            Address::Sqlite(path) => {
                let directory = path.parent().map_or_else(PathBuf::new, Path::to_owned);
                std::fs::create_dir_all(&directory).map_err(|error| unmade(&directory, error))?;
                let lock = WorkspaceLock::acquire(&directory)?;
                let (writer, reader) = (path.clone(), path);
                Self::start(move || Sqlite::open_writer(&writer), move || Sqlite::open_reader(&reader), Some(lock))
            }
            Address::Postgres(address) => {
                let url = url.clone();
                let connect = move || Postgres::connect(&url, &address);
                Self::start(connect.clone(), connect, None)
            }
        }
    }

    fn start<C: Connection + 'static>(
        open_writer: impl FnMut() -> Result<C> + Send + 'static,
        open_reader: impl FnMut() -> Result<C> + Clone + Send + 'static,
        lock: Option<WorkspaceLock>,
    ) -> Result<Self> {
        // A lock means that no other process writes.
        let (n_groups, is_alone) = (Arc::new(AtomicU64::new(0)), lock.is_some());
        let counter = Arc::clone(&n_groups);
        let (writes, waiting_writes) = sync_channel(MAX_WAITING);
        let (started, has_started) = sync_channel(1);
        let writer = spawn("metadata-writer", move || write_all(open_writer, &waiting_writes, &started, &counter, lock))?;
        let governed = has_started.recv().map_err(|_| Error::bug("the writer of the metadata database died at its start"))??;
        let (reads, waiting_reads) = sync_channel(MAX_WAITING);
        let waiting_reads = Arc::new(Mutex::new(waiting_reads));
        let mut threads = vec![writer];
        for index in 0..N_READERS {
            let (open, waiting, governed) = (open_reader.clone(), waiting_reads.clone(), governed.clone());
            threads.push(spawn(&format!("metadata-reader-{index}"), move || read_all(open, &waiting, &governed))?);
        }
        let n_groups = is_alone.then_some(n_groups);
        Ok(Self(Arc::new(Inner { n_groups, writes: Some(writes), reads: Some(reads), threads })))
    }

    /// Runs a closure in a transaction. Returns once its changes are on disk, together with those of others that waited. A closure
    /// that returns an error or panics changes nothing. If the caller stops waiting, the closure runs all the same.
    pub async fn write<T, F>(&self, ctx: &Ctx, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Write { ctx: ctx.clone(), work: Some(work), result: None, reply };
        send(self.0.writes.as_ref(), Box::new(job))?;
        answer.await.unwrap_or_else(|_| Err(Error::bug("the writer of the metadata database died")))
    }

    /// Runs a closure on a consistent view of the database. It sees every write that was acknowledged before.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |ready| {
            let run = |(connection, governed): (&mut dyn Connection, &Governed)| {
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&mut Reader::new(connection, governed))))
                    .unwrap_or_else(|panic| Err(panicked(&*panic)))
            };
            let _ = reply.send(ready.and_then(run));
        });
        send(self.0.reads.as_ref(), read)?;
        answer.await.unwrap_or_else(|_| Err(Error::bug("the readers of the metadata database died")))
    }

    /// A number that grows with every write, before the write is acknowledged: while it stands, what was read before still holds.
    /// None if other processes may write, too.
    pub fn moment(&self) -> Option<u64> {
        self.0.n_groups.as_ref().map(|n_groups| n_groups.load(Ordering::SeqCst))
    }

    /// [`Store::write`] for a thread that may wait.
    pub fn write_blocking<T, F>(&self, ctx: &Ctx, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        futures::executor::block_on(self.write(ctx, work))
    }

    /// [`Store::read`] for a thread that may wait.
    pub fn read_blocking<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T> + Send + 'static,
    {
        futures::executor::block_on(self.read(work))
    }

    /// Checks the whole ledger: sequence, hashes, chain, links, and that every governed row is the one the ledger knows.
    pub async fn verify(&self) -> Result<Verification> {
        self.read(|reader| reader.verify()).await
    }

    /// A page of a stretch of the chain, for whoever verifies it elsewhere.
    pub async fn chain(&self, part: ChainPart) -> Result<Vec<Entry>> {
        self.read(move |reader| reader.chain(part)).await
    }

    /// A page of ledger entries.
    pub async fn entries(&self, filter: EntryFilter) -> Result<Vec<Entry>> {
        self.read(move |reader| reader.entries(&filter)).await
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Drop for Inner {
    /// Lets the threads finish what waits, so that the workspace is free when the last clone is gone.
    fn drop(&mut self) {
        self.writes = None;
        self.reads = None;
        let this_thread = std::thread::current().id();
        for thread in self.threads.drain(..).filter(|thread| thread.thread().id() != this_thread) {
            // A panic of the thread was answered to whoever waited for it.
            let _ = thread.join();
        }
    }
}

fn send<T>(queue: Option<&SyncSender<T>>, job: T) -> Result<()> {
    let queue = queue.ok_or_else(|| Error::bug("the metadata database is closed"))?;
    queue.try_send(job).map_err(|error| match error {
        TrySendError::Full(_) => METADATA_BUSY
            .error(format!("{MAX_WAITING} operations wait for the metadata database already"))
            .hint("try again in a second; a slow disk or a very long transaction is the usual cause"),
        TrySendError::Disconnected(_) => Error::bug("a thread of the metadata database died"),
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|error| Error::bug(format!("thread `{name}` cannot be started")).cause(error))
}

/// The writer's life: migrate, report, serve. It holds the workspace's lock to the end.
fn write_all<C: Connection>(
    mut open: impl FnMut() -> Result<C>,
    jobs: &Receiver<Box<dyn Job>>,
    started: &SyncSender<Result<Governed>>,
    n_groups: &AtomicU64,
    lock: Option<WorkspaceLock>,
) {
    let opened = open().and_then(|mut connection| {
        let governed = migrate(&mut connection, MIGRATIONS)?;
        Ok((connection, governed))
    });
    match opened {
        Ok((connection, governed)) => {
            if started.send(Ok(governed.clone())).is_ok() {
                serve(jobs, &governed, n_groups, open, Some(connection));
            }
        }
        Err(error) => {
            drop(lock);
            let _ = started.send(Err(error));
        }
    }
}

fn read_all<C: Connection>(mut open: impl FnMut() -> Result<C>, jobs: &Mutex<Receiver<Read>>, governed: &Governed) {
    let mut connection = None;
    loop {
        // The lock is held while waiting: whoever has it takes the next job.
        let Ok(job) = jobs.lock().recv() else { return };
        let begun = connection.take().and_then(|ready| begin_read(ready).ok());
        let begun = begun.map_or_else(|| open().and_then(begin_read), Ok);
        match begun {
            Ok(mut ready) => {
                job(Ok((&mut ready, governed)));
                connection = ready.batch("ROLLBACK").is_ok().then_some(ready);
            }
            Err(error) => job(Err(error)),
        }
    }
}

fn begin_read<C: Connection>(mut connection: C) -> Result<C> {
    connection.batch(match connection.dialect() {
        Dialect::Sqlite => "BEGIN",
        Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    })?;
    Ok(connection)
}

fn unmade(directory: &Path, error: std::io::Error) -> Error {
    METADATA_UNWRITABLE
        .error(format!("the workspace {} cannot be made: {error}", directory.display()))
        .hint("name a directory that you may write to with --workspace")
        .cause(error)
}
