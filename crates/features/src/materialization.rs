//! Keeping the online store up to date: rows that have become available since last time, and no others.

use std::sync::Arc;

use lw_core::{Change, Ctx, Draft, Error, Result, Timestamp};
use lw_store::Store;
use serde_json::json;

use crate::online::{OnlineStore, OnlineView, PutBatch, PutSummary, ViewPut, ViewState};
use crate::{AvailableRange, RegisteredView, Sources, ViewComputer};

/// Brings views up to date in an online store.
///
/// The watermark of a view stands in the online store and moves in the commit that writes the rows, so a crash at any moment
/// leaves a state from which the same call goes on. The ledger gets one entry a call that found rows, or
/// was the first, after they are durable.
#[derive(Clone)]
pub struct Materializer {
    pub store: Store,
    pub computer: ViewComputer,
    pub online: Arc<dyn OnlineStore>,
}

/// What a call to [`Materializer::materialize`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Materialized {
    /// Rows that had become available.
    pub n_read: u64,
    /// Entities whose row is new or newer than before.
    pub n_written: u64,
    pub watermark: Timestamp,
}

impl Materializer {
    /// Puts the rows of a view that became available after its watermark, up to a time. Does nothing if that time is not later
    /// than the watermark.
    pub async fn materialize(
        &self,
        ctx: &Ctx,
        view: &RegisteredView,
        sources: &Sources,
        until: Timestamp,
    ) -> Result<Materialized> {
        let online = OnlineView::new(self.online.clone(), view);
        let after = online.state()?.map(|state| state.watermark);
        if let Some(watermark) = after.filter(|watermark| *watermark >= until) {
            return Ok(Materialized { n_read: 0, n_written: 0, watermark });
        }
        let rows = self.computer.rows(&view.definition, sources, AvailableRange { after, until }).await?;
        let mut put = ViewPut::new(online.id(), until);
        for batch in &rows {
            online.encode(batch, 0..batch.num_rows(), &mut put)?;
        }
        let summary = put_off_thread(self.online.clone(), PutBatch::of(vec![put])).await?;
        if summary.n_given > 0 || after.is_none() {
            self.record(ctx, view, sources, summary).await?;
        }
        Ok(Materialized { n_read: summary.n_given, n_written: summary.n_written, watermark: until })
    }

    /// Writes into the ledger how far a view has come. [`Materializer::materialize`] does so by itself; after a
    /// [`crate::MaterializationFeed`] has moved on, call it when it is worth an entry.
    pub async fn record(&self, ctx: &Ctx, view: &RegisteredView, sources: &Sources, summary: PutSummary) -> Result<()> {
        let state = self.online.view_state(&view.id())?;
        let state = state.ok_or_else(|| Error::bug(format!("view `{}` was put and has no state", view.id())))?;
        let draft = entry(ctx, view, sources, state, summary);
        self.store.write(ctx, move |tx| tx.record(draft)).await?;
        Ok(())
    }
}

fn entry(ctx: &Ctx, view: &RegisteredView, sources: &Sources, state: ViewState, summary: PutSummary) -> Draft {
    let row = Change::put("materialization")
        .key("view_name", view.name())
        .key("view_version", view.version)
        .set("watermark", state.watermark)
        .set("n_entities", state.n_entities)
        .set("newest_event", state.newest_event)
        .set("materialized_at", ctx.now());
    let draft =
        Draft::new("feature_view.materialize", view.subject()).input("view", view.subject(), view.digest).payload(json!({
            "watermark": state.watermark,
            "n_read": summary.n_given,
            "n_written": summary.n_written,
        }));
    let read = sources.tables.iter().filter(|table| view.reads.contains(&table.table.sql_name()));
    read.fold(draft, |draft, table| draft.input("table", table.subject(), table.digest)).change(row)
}

async fn put_off_thread(online: Arc<dyn OnlineStore>, batch: PutBatch) -> Result<PutSummary> {
    tokio::task::spawn_blocking(move || online.put_batch(&batch))
        .await
        .map_err(|error| Error::bug("the writer of the online store died").cause(error))?
}
