//! The worker: claims steps, runs them, reports, and keeps its leases alive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lw_core::{Ctx, Result, Span, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::active::{Active, Running};
use crate::attempt::attempt;
use crate::cache::cache_key;
use crate::claim::{self, Claim};
use crate::journal::{self, Message, Reported};
use crate::queries::{self, Ending, Holder};
use crate::run::PipelineRunId;
use crate::runner::{Cancellation, StepRunner};
use crate::step::Report;
use crate::trouble::{Duty, Trouble};
use crate::{LEASE_LOST, LogSink, Manifest, Pipelines};

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// A name that stays the same when the process restarts, so that it takes back at once what it held when it died. Two workers
    /// that live at the same time must have different names.
    pub name: String,
    /// How many steps run at the same time.
    pub n_slots: usize,
    /// How long a silent worker keeps its steps. Heartbeats come three times as often.
    pub lease: Span,
}

impl WorkerOptions {
    /// Leases of 30 seconds.
    pub fn new(name: &str, n_slots: usize) -> Self {
        Self { name: name.to_owned(), n_slots, lease: Span::from_secs(30) }
    }
}

/// What a drain left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    pub n_attempts: usize,
    /// When the next thing is due: a retry, a timer or a schedule. A replay sets its clock to it and drains again.
    pub next_due: Option<Timestamp>,
}

/// Runs the steps of all pipelines in a database, with the code of one runner.
#[derive(Clone)]
pub struct Worker {
    pub(crate) pipelines: Pipelines,
    pub(crate) holder: Holder,
    pub(crate) lease: Span,
    pub(crate) active: Active,
    runner: Arc<dyn StepRunner>,
    n_slots: usize,
}

/// How often an idle worker looks for what other processes left to do.
const POLL: Duration = Duration::from_millis(200);
/// How often schedules and requests are looked at.
const FIRE: Duration = Duration::from_secs(1);
/// How often a report is tried while the database cannot be reached.
const REPORT_TRIES: u32 = 6;

impl Worker {
    /// A worker with a new incarnation: what an earlier life of the same name held is taken back when it starts.
    pub fn new(ctx: &Ctx, pipelines: Pipelines, runner: Arc<dyn StepRunner>, options: WorkerOptions) -> Self {
        let WorkerOptions { name, n_slots, lease } = options;
        let holder = Holder { worker: name, incarnation: ctx.ids.next_hex() };
        Self { pipelines, holder, lease, active: Active::default(), runner, n_slots: n_slots.max(1) }
    }

    /// Works until told to stop: steps that run are then told to stop too, and given back if they do not finish within seconds.
    pub async fn run(&self, ctx: &Ctx, shutdown: Cancellation) -> Result<()> {
        self.active.open();
        self.take_back(ctx).await?;
        let mut tasks = JoinSet::new();
        let mut news = self.pipelines.subscribe();
        let housekeeping = self.keep_house(ctx, Some(FIRE));
        tokio::pin!(housekeeping);
        loop {
            news.mark_unchanged();
            let due = self.spawn_due(ctx, &mut tasks).await;
            let trouble = self.pipelines.troubles.note(Duty::Claim, due.as_ref());
            let pause = trouble.as_ref().map_or(due.unwrap_or(POLL), Trouble::pause);
            tokio::select! {
                () = shutdown.cancelled() => break,
                // News cannot shorten the pause after a failure: what failed would fail again.
                _ = news.changed(), if trouble.is_none() => {}
                Some(_) = tasks.join_next() => {}
                () = tokio::time::sleep(pause) => {}
                () = &mut housekeeping => {}
            }
        }
        self.active.close();
        tokio::select! {
            () = async { while tasks.join_next().await.is_some() {} } => {}
            () = housekeeping => {}
        }
        Ok(())
    }

    /// Starts what is due and runs until nothing more can be done at this moment of the context's clock.
    pub async fn drain(&self, ctx: &Ctx) -> Result<Drained> {
        self.active.open();
        self.take_back(ctx).await?;
        let housekeeping = self.keep_house(ctx, None);
        tokio::select! {
            drained = self.drain_now(ctx) => drained,
            () = housekeeping => Err(lw_core::Error::bug("the worker's housekeeping ended")),
        }
    }

    async fn drain_now(&self, ctx: &Ctx) -> Result<Drained> {
        let mut tasks = JoinSet::new();
        let mut news = self.pipelines.subscribe();
        let mut n_attempts = 0;
        loop {
            news.mark_unchanged();
            self.spawn_claimed(ctx, &mut tasks).await?;
            if tasks.is_empty() {
                if self.pipelines.fire(ctx).await?.is_empty() {
                    break;
                }
                continue;
            }
            tokio::select! {
                Some(n_done) = tasks.join_next() => n_attempts += n_done.unwrap_or(0),
                _ = news.changed() => {}
            }
        }
        let next_due = self.pipelines.store.read(|db| {
            let (step, schedule) = (queries::next_available(db)?, queries::next_schedule(db)?);
            Ok(step.into_iter().chain(schedule).min())
        });
        Ok(Drained { n_attempts, next_due: next_due.await? })
    }

    /// Claims as many steps as slots are free, and begins them.
    async fn spawn_claimed(&self, ctx: &Ctx, tasks: &mut JoinSet<usize>) -> Result<()> {
        let n_free = self.n_slots.saturating_sub(tasks.len());
        if n_free == 0 {
            return Ok(());
        }
        let (definitions, holder, lease) = (self.pipelines.definitions.clone(), self.holder.clone(), self.lease);
        let work = move |tx: &mut lw_store::Tx<'_>| claim::claim(tx, &definitions, &holder, lease, n_free);
        for claim in self.pipelines.store.write(ctx, work).await? {
            let (worker, ctx) = (self.clone(), ctx.clone());
            tasks.spawn(async move { worker.follow(&ctx, claim).await });
        }
        Ok(())
    }

    /// Begins what is due, and says how long nothing more will be, as far as this process knows. Reads before it writes, so that an
    /// idle worker costs the database nearly nothing.
    async fn spawn_due(&self, ctx: &Ctx, tasks: &mut JoinSet<usize>) -> Result<Duration> {
        let next = self.pipelines.store.read(queries::next_available).await?;
        let Some(next) = next.filter(|_| tasks.len() < self.n_slots) else {
            return Ok(POLL);
        };
        let until = next - ctx.now();
        if until > Span::ZERO {
            return Ok(until.to_std().min(POLL));
        }
        self.spawn_claimed(ctx, tasks).await?;
        // With a free slot left there is nothing more to claim; without one, the next step to end makes room.
        Ok(POLL)
    }

    /// Runs a step, and then whatever its report lets this slot claim. Returns the number of attempts.
    async fn follow(&self, ctx: &Ctx, claim: Claim) -> usize {
        let mut next = Some(claim);
        let mut n_attempts = 0;
        while let Some(claim) = next {
            n_attempts += 1;
            next = self.work(ctx, claim).await;
        }
        n_attempts
    }

    /// One attempt with its report. Returns the step that this slot has claimed along with it.
    async fn work(&self, ctx: &Ctx, claim: Claim) -> Option<Claim> {
        let running = Arc::new(Running {
            run: claim.run.clone(),
            key: claim.step().key.clone(),
            fence: claim.fence,
            attempt: claim.attempt,
            log: LogSink::new(ctx.clock.clone()),
            stop: watch::channel(None).0,
            writing: tokio::sync::Mutex::new(()),
        });
        let _entered = self.enter(running.clone());
        let cache_key = claim
            .step()
            .cache
            .then(|| cache_key(claim.step(), &self.runner.version(&claim.step().kind), &claim.run_params, &claim.upstream));
        let begun = Instant::now();
        let verdict = match self.look_up(cache_key.as_ref()).await {
            Some((run, manifest)) => {
                running.log.line(format!("outputs copied from run {run}"));
                Some((Report::Succeeded, Ending { manifest: Some(manifest), cached_from: Some(run), ..Ending::default() }))
            }
            None => attempt(ctx, &self.runner, &claim, running.log.clone(), &running.stop).await,
        };
        let (report, ending) = verdict?;
        trace_step(&claim, &report, &ending, begun);
        self.report(ctx, &claim, &running, (report, ending, cache_key)).await
    }

    /// The outputs of an equal step, if what they name still exists.
    async fn look_up(&self, cache_key: Option<&lw_core::Digest>) -> Option<(PipelineRunId, Manifest)> {
        let key = *cache_key?;
        let found = self.pipelines.store.read(move |db| queries::cached(db, &key)).await;
        let (run, manifest) = found.inspect_err(|error| tracing::warn!("The step cache cannot be read: {error:?}")).ok()??;
        self.runner.is_available(&manifest).await.then_some((run, manifest))
    }

    async fn report(
        &self,
        ctx: &Ctx,
        claim: &Claim,
        running: &Running,
        (report, ending, cache_key): (Report, Ending, Option<lw_core::Digest>),
    ) -> Option<Claim> {
        let _writing = running.writing.lock().await;
        let is_copy = ending.cached_from.is_some();
        let message = Arc::new(Message {
            position: claim.position,
            fence: claim.fence,
            attempt: claim.attempt,
            report,
            ending,
            lines: running.log.finish(),
            cache_key: cache_key.filter(|_| !is_copy),
        });
        let may_claim = !self.active.is_closing();
        for n_try in 1..=REPORT_TRIES {
            let (definitions, holder, lease) = (self.pipelines.definitions.clone(), self.holder.clone(), self.lease);
            let (compiled, run, message) = (claim.compiled.clone(), claim.run.clone(), message.clone());
            let work = move |tx: &mut lw_store::Tx<'_>| {
                let reported = journal::report(tx, &compiled, &run, &message)?;
                let next = if may_claim { claim::claim(tx, &definitions, &holder, lease, 1)? } else { Vec::new() };
                Ok((reported, next))
            };
            let written = self.pipelines.store.write(ctx, work).await;
            if !written.as_ref().is_err_and(|error| error.is(LEASE_LOST)) {
                self.pipelines.troubles.note(Duty::Report, written.as_ref());
            }
            match written {
                Ok((reported, mut next)) => {
                    self.tell(&reported, next.len());
                    return next.pop();
                }
                Err(error) if error.is(LEASE_LOST) => {
                    tracing::warn!(step = %running.key, run = %running.run, "{error}");
                    return None;
                }
                Err(error) => {
                    if n_try == REPORT_TRIES {
                        tracing::error!(step = %running.key, run = %running.run, "A step's report was not stored in {n_try} tries: {error:?}");
                    }
                    tokio::time::sleep(Duration::from_millis(50 << n_try)).await;
                }
            }
        }
        None
    }

    /// Wakes others of this process if there is more to do than this slot does, or a run is over.
    fn tell(&self, reported: &Reported, n_claimed: usize) {
        if reported.n_released > n_claimed || reported.finished.is_some() {
            self.pipelines.announce();
        }
    }
}

/// One event an attempt, by the wall clock: a simulated clock stands still while a step runs.
fn trace_step(claim: &Claim, report: &Report, ending: &Ending, begun: Instant) {
    let (pipeline, step) = (&claim.compiled.definition.pipeline, &claim.step().key);
    let outcome = if ending.cached_from.is_some() { "cached" } else { report.name() };
    let wall_seconds = begun.elapsed().as_secs_f64();
    tracing::info!(
        pipeline = %pipeline,
        run = %claim.run,
        step = %step,
        outcome,
        attempt = claim.attempt,
        wall_seconds,
        "Step `{step}` of `{pipeline}` {outcome} after {wall_seconds:.3} s"
    );
}
