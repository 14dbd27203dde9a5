//! What a worker does besides: heartbeats, log lines, schedules and requests, and the steps of workers that died.

use std::time::Duration;

use lw_core::{Ctx, Result};
use tokio::time::{Interval, MissedTickBehavior};

use crate::active::Running;
use crate::attempt::Stop;
use crate::trouble::Duty;
use crate::worker::Worker;
use crate::{claim, queries};

const FLUSH: Duration = Duration::from_millis(200);

/// Ticks now and then at the pace; a turn that takes too long delays the next one.
fn every(pace: Duration) -> Interval {
    let mut interval = tokio::time::interval(pace);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

impl Worker {
    /// Never returns. Failures are logged and tried again at the next turn. Starts what is due if asked how often to look.
    pub(crate) async fn keep_house(&self, ctx: &Ctx, fire_every: Option<Duration>) {
        let third = (self.lease.to_std() / 3).max(Duration::from_millis(10));
        let mut beats = every(third);
        let mut flushes = every(FLUSH);
        let mut fires = every(fire_every.unwrap_or(FLUSH));
        let mut news = self.pipelines.subscribe();
        loop {
            let (duty, done) = tokio::select! {
                _ = beats.tick() => (Duty::Heartbeat, self.beat(ctx).await.map(|()| true)),
                _ = flushes.tick() => (Duty::Log, self.flush(ctx).await),
                _ = fires.tick(), if fire_every.is_some() => (Duty::Schedule, self.pipelines.fire(ctx).await.map(|_| true)),
                _ = news.changed() => (Duty::Heartbeat, self.stop_cancelled().await.map(|()| false)),
            };
            // Having had nothing to do does not show that the trouble is over.
            if !matches!(done, Ok(false)) {
                self.pipelines.troubles.note(duty, done.as_ref());
            }
        }
    }

    /// Frees what an earlier life of this worker held.
    pub(crate) async fn take_back(&self, ctx: &Ctx) -> Result<()> {
        let (holder, definitions) = (self.holder.clone(), self.pipelines.definitions.clone());
        let mut orphans = self.pipelines.store.read(move |db| queries::orphans(db, &holder)).await?;
        orphans.retain(|leased| !self.pipelines.alive.holds(leased));
        if orphans.is_empty() {
            return Ok(());
        }
        tracing::info!(n_steps = orphans.len(), "Taking back {} steps that ran when the process ended", orphans.len());
        self.pipelines.store.write(ctx, move |tx| claim::free(tx, &definitions, &orphans)).await?;
        self.pipelines.announce();
        Ok(())
    }

    /// Extends the leases of what runs here, stops what was taken away, and frees what others let go.
    async fn beat(&self, ctx: &Ctx) -> Result<()> {
        let active = self.active.all();
        if !active.is_empty() {
            let until = ctx.now() + self.lease;
            let held: Vec<_> = active.iter().map(|running| (running.run.clone(), running.key.clone(), running.fence)).collect();
            let extend = move |tx: &mut lw_store::Tx<'_>| {
                held.iter()
                    .map(|(run, key, fence)| queries::extend_lease(tx, run, key, *fence, until))
                    .collect::<Result<Vec<bool>>>()
            };
            let kept = self.pipelines.store.write(ctx, extend).await?;
            for (running, _) in active.iter().zip(kept).filter(|(_, is_kept)| !is_kept) {
                // It may also have reported in the meantime; then nobody listens any more.
                running.stop.send_replace(Some(Stop::LeaseLost));
            }
            self.stop_cancelled().await?;
        }
        let now = ctx.now();
        let mut expired = self.pipelines.store.read(move |db| queries::expired(db, now)).await?;
        expired.retain(|leased| !self.pipelines.alive.holds(leased));
        if !expired.is_empty() {
            let definitions = self.pipelines.definitions.clone();
            self.pipelines.store.write(ctx, move |tx| claim::free(tx, &definitions, &expired)).await?;
            self.pipelines.announce();
        }
        Ok(())
    }

    /// Tells steps of runs that are being cancelled to stop.
    async fn stop_cancelled(&self) -> Result<()> {
        for running in self.active.all() {
            let run = running.run.clone();
            if self.pipelines.store.read(move |db| queries::is_cancelling(db, &run)).await? {
                running.stop.send_if_modified(|stop| stop.is_none().then(|| *stop = Some(Stop::RunCancelled)).is_some());
            }
        }
        Ok(())
    }

    /// Writes the lines that the steps have printed since the last time. Says whether there were any.
    async fn flush(&self, ctx: &Ctx) -> Result<bool> {
        let mut has_written = false;
        for running in self.active.all() {
            has_written |= self.flush_one(ctx, &running).await?;
        }
        Ok(has_written)
    }

    async fn flush_one(&self, ctx: &Ctx, running: &Running) -> Result<bool> {
        let Ok(_writing) = running.writing.try_lock() else {
            return Ok(false);
        };
        let lines = running.log.take();
        if lines.is_empty() {
            return Ok(false);
        }
        let (run, key, attempt) = (running.run.clone(), running.key.clone(), running.attempt);
        let write = move |tx: &mut lw_store::Tx<'_>| {
            if let Some(progress) = queries::take_progress(tx, &run, lines.len())? {
                queries::insert_lines(tx, &run, (&key, attempt), &lines, progress.n_lines)?;
            }
            Ok(true)
        };
        self.pipelines.store.write(ctx, write).await
    }
}
