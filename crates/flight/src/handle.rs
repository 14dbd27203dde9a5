//! What this server keeps for its clients between two calls: prepared statements, and queries that were planned, or run.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use lw_core::{Actor, Ctx, Error, Result, Span, Timestamp};
use lw_engine::Query;
use lw_query::{Canceller, Statement};
use parking_lot::Mutex;

use crate::failures::{FLIGHT_HANDLE_UNKNOWN, FLIGHT_HANDLES_EXHAUSTED};

/// Statements, tickets and running queries at one time, of all clients.
const MAX_KEPT: usize = 1000;
/// A ticket that nobody uses is taken back after this time.
pub const TICKET_LIFE: Span = Span::from_secs(300);
/// A prepared statement that nobody uses is taken back after this time.
const STATEMENT_LIFE: Span = Span::from_secs(3600);

/// Everything that is kept. Cheap to clone; the clones are one.
#[derive(Clone, Default)]
pub struct Handles(Arc<Mutex<HashMap<Bytes, Kept>>>);

struct Kept {
    owner: Actor,
    /// `None` while it is in use.
    ends_at: Option<Timestamp>,
    what: What,
}

enum What {
    Statement { statement: Statement, values: Option<RecordBatch> },
    Planned(Box<Query>),
    Running(Canceller),
}

impl Handles {
    pub fn keep_statement(&self, ctx: &Ctx, statement: Statement) -> Result<Bytes> {
        self.keep(ctx, What::Statement { statement, values: None }, STATEMENT_LIFE)
    }

    pub fn keep_query(&self, ctx: &Ctx, query: Query) -> Result<Bytes> {
        self.keep(ctx, What::Planned(Box::new(query)), TICKET_LIFE)
    }

    fn keep(&self, ctx: &Ctx, what: What, life: Span) -> Result<Bytes> {
        let (now, mut kept) = (ctx.now(), self.0.lock());
        kept.retain(|_, kept| kept.ends_at.is_none_or(|ends_at| now < ends_at));
        if kept.len() >= MAX_KEPT {
            return Err(FLIGHT_HANDLES_EXHAUSTED
                .error(format!("{MAX_KEPT} statements and tickets are open"))
                .hint("close statements and read answers to their end; what nobody uses is taken back by itself"));
        }
        let handle = Bytes::from(ctx.ids.next_hex());
        kept.insert(handle.clone(), Kept { owner: ctx.actor.clone(), ends_at: Some(now + life), what });
        Ok(handle)
    }

    /// A prepared statement with the values that were bound to it.
    pub fn statement(&self, ctx: &Ctx, handle: &Bytes) -> Result<(Statement, Option<RecordBatch>)> {
        let mut kept = self.0.lock();
        match kept.get_mut(handle).filter(|kept| kept.is_for(ctx)) {
            Some(Kept { what: What::Statement { statement, values }, ends_at, .. }) => {
                *ends_at = Some(ctx.now() + STATEMENT_LIFE);
                Ok((statement.clone(), values.clone()))
            }
            _ => Err(unknown("prepared statement", "prepare it again")),
        }
    }

    pub fn bind(&self, ctx: &Ctx, handle: &Bytes, row: Option<RecordBatch>) -> Result<()> {
        match self.0.lock().get_mut(handle).filter(|kept| kept.is_for(ctx)) {
            Some(Kept { what: What::Statement { values, .. }, .. }) => {
                *values = row;
                Ok(())
            }
            _ => Err(unknown("prepared statement", "prepare it again")),
        }
    }

    /// Gives up a prepared statement; one that is gone already is no error.
    pub fn close(&self, ctx: &Ctx, handle: &Bytes) {
        let mut kept = self.0.lock();
        if kept.get(handle).is_some_and(|kept| kept.is_for(ctx)) {
            kept.remove(handle);
        }
    }

    /// The query of a ticket, which is used up.
    pub fn take_query(&self, ctx: &Ctx, handle: &Bytes) -> Result<Query> {
        let mut kept = self.0.lock();
        let is_planned = |kept: &Kept| kept.is_for(ctx) && matches!(kept.what, What::Planned(_));
        match kept.get(handle).is_some_and(is_planned).then(|| kept.remove(handle)) {
            Some(Some(Kept { what: What::Planned(query), .. })) => Ok(*query),
            _ => Err(unknown("ticket", "a ticket is for one reading, within five minutes; run the query again")),
        }
    }

    /// Notes that a query runs, so that it can be cancelled until the returned guard goes.
    pub fn running(&self, ctx: &Ctx, handle: Bytes, canceller: Canceller) -> Running {
        let kept = Kept { owner: ctx.actor.clone(), ends_at: None, what: What::Running(canceller) };
        self.0.lock().insert(handle.clone(), kept);
        Running { handles: self.clone(), handle }
    }

    /// Stops a query, whether it waits or runs. False if there is nothing to stop.
    pub fn cancel(&self, ctx: &Ctx, handle: &Bytes) -> bool {
        let mut kept = self.0.lock();
        if !kept.get(handle).is_some_and(|kept| kept.is_for(ctx)) {
            return false;
        }
        match kept.remove(handle).map(|kept| kept.what) {
            Some(What::Running(canceller)) => {
                canceller.cancel();
                true
            }
            Some(What::Planned(_)) => true,
            Some(What::Statement { .. }) | None => false,
        }
    }
}

impl Kept {
    /// What somebody asked for is nobody else's.
    fn is_for(&self, ctx: &Ctx) -> bool {
        self.owner == ctx.actor
    }
}

/// A query that runs.
pub struct Running {
    handles: Handles,
    handle: Bytes,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handles.0.lock().remove(&self.handle);
    }
}

fn unknown(what: &str, hint: &str) -> Error {
    FLIGHT_HANDLE_UNKNOWN.error(format!("there is no such {what}, or it is not yours")).hint(hint)
}
