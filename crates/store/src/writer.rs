//! The one thread that writes: it commits all writes that wait, together.
//!
//! A commit costs one wait for the disk (or the network), however many closures it carries. Each closure of a group runs inside its
//! own savepoint, so that one that fails takes only its own changes back. Nobody is told of success before the commit.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use lw_core::{Ctx, Error, Result};
use tokio::sync::oneshot;

use crate::connection::{Connection, Dialect};
use crate::migrations::Governed;
use crate::transaction::{Head, Reader, Tx};

/// The most closures that share one commit.
const MAX_GROUP: usize = 512;

/// A closure that waits for its turn, whatever it returns.
pub(crate) trait Job: Send {
    /// Runs the closure and keeps its result. Returns whether its changes shall stay.
    fn run(&mut self, connection: &mut dyn Connection, governed: &Governed, head: &mut Option<Head>) -> bool;

    /// Tells the caller: the closure's own result if the group was committed, otherwise why it was not.
    fn finish(self: Box<Self>, committed: Result<()>);
}

pub(crate) struct Write<T, F> {
    pub ctx: Ctx,
    pub work: Option<F>,
    pub result: Option<Result<T>>,
    pub reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Write<T, F>
where
    T: Send,
    F: FnOnce(&mut Tx<'_>) -> Result<T> + Send,
{
    fn run(&mut self, connection: &mut dyn Connection, governed: &Governed, head: &mut Option<Head>) -> bool {
        let Some(work) = self.work.take() else { return false };
        let mut tx = Tx::new(Reader::new(connection, governed), head, &self.ctx);
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut tx))).unwrap_or_else(|panic| Err(panicked(&*panic)));
        let swallowed = tx.has_failed() && result.is_ok();
        let result =
            if swallowed { Err(Error::bug("a closure went on after a statement of its transaction failed")) } else { result };
        let keeps = result.is_ok();
        self.result = Some(result);
        keeps
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(Error::bug("a write was never run")),
            // What failed by itself keeps its own reason.
            (Err(_), Some(Err(error))) => Err(error),
            (Err(error), _) => Err(error),
        };
        // Who stopped waiting misses the answer; the change stands all the same.
        let _ = self.reply.send(result);
    }
}

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::bug(format!("a closure panicked: {}", text.unwrap_or("no message")))
}

/// Serves writes until the last [`crate::Store`] is gone. `connect` makes a connection where the last one was lost; `n_groups` counts
/// what was written, before anybody is told of it.
pub(crate) fn serve<C: Connection>(
    jobs: &Receiver<Box<dyn Job>>,
    governed: &Governed,
    n_groups: &AtomicU64,
    mut connect: impl FnMut() -> Result<C>,
    mut open: Option<C>,
) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(MAX_GROUP - 1));
        // A connection that the server closed in the meantime shows it here, before any closure has run.
        let begun = open.take().and_then(|connection| begin(connection).ok());
        match begun.map_or_else(|| connect().and_then(begin), Ok) {
            Ok((mut connection, head)) => {
                let is_usable = commit_group(&mut connection, governed, head, n_groups, group);
                open = is_usable.then_some(connection);
            }
            Err(error) => finish_all(group, Err(error)),
        }
    }
}

/// Runs a group in the transaction that has begun. Returns whether the connection can be used again.
fn commit_group(
    connection: &mut dyn Connection,
    governed: &Governed,
    head: Option<Head>,
    n_groups: &AtomicU64,
    mut group: Vec<Box<dyn Job>>,
) -> bool {
    let committed = run_group(connection, governed, head, &mut group);
    n_groups.fetch_add(1, Ordering::SeqCst);
    // A failing rollback has nothing to add to the failure before it but a reason to reconnect.
    let is_usable = committed.is_ok()
        || if connection.is_in_transaction() {
            connection.batch("ROLLBACK").is_ok()
        } else {
            connection.dialect() == Dialect::Sqlite
        };
    finish_all(group, committed);
    is_usable
}

fn run_group(
    connection: &mut dyn Connection,
    governed: &Governed,
    mut head: Option<Head>,
    group: &mut [Box<dyn Job>],
) -> Result<()> {
    if let [job] = group {
        let keeps = job.run(connection, governed, &mut head);
        return connection.batch(if keeps { "COMMIT" } else { "ROLLBACK" });
    }
    for job in group {
        let head_before = head;
        connection.batch("SAVEPOINT job")?;
        let keeps = job.run(connection, governed, &mut head);
        if !connection.is_in_transaction() {
            return Err(transaction_lost());
        }
        if !keeps {
            head = head_before;
            connection.batch("ROLLBACK TO SAVEPOINT job")?;
        }
        connection.batch("RELEASE SAVEPOINT job")?;
    }
    connection.batch("COMMIT")
}

/// Starts a transaction as the only writer of the database.
fn begin<C: Connection>(mut connection: C) -> Result<(C, Option<Head>)> {
    let head = match connection.dialect() {
        Dialect::Sqlite => {
            connection.batch("BEGIN IMMEDIATE")?;
            None
        }
        // The lock on the chain's end makes all servers take turns, as SQLite's lock on the file does.
        Dialect::Postgres => {
            connection.batch("BEGIN")?;
            Some(crate::ledger::read_head(&mut connection, " FOR UPDATE")?)
        }
    };
    Ok((connection, head))
}

fn transaction_lost() -> Error {
    crate::METADATA_UNWRITABLE
        .error("the metadata database ended the transaction of another write that shared the commit; nothing was changed")
        .hint("try again; if it happens again, look for a full or failing disk")
}

fn finish_all(group: Vec<Box<dyn Job>>, committed: Result<()>) {
    for job in group {
        job.finish(match &committed {
            Ok(()) => Ok(()),
            Err(error) => Err(again(error)),
        });
    }
}

/// The same error for one more caller.
fn again(error: &Error) -> Error {
    let copy = error.failure().error(error.message());
    let copy = match error.hint_text() {
        Some(hint) => copy.hint(hint),
        None => copy,
    };
    match std::error::Error::source(error) {
        Some(cause) => copy.cause(cause.to_string()),
        None => copy,
    }
}
