//! Tracking at its border, on SQLite and, where the environment names one, on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod adopt;
mod artifacts;
mod circumstances;
mod experiments;
mod history;
mod inputs;
mod logged_models;
mod logging;
mod purge;
mod runs;
mod search;

use std::sync::Arc;

use lw_core::{Actor, Ctx, SeededIds, SimulatedClock, Timestamp};
use lw_store::Store;
use lw_tracking::{Circumstances, Experiment, NewRun, Run, Tracking};

fn ctx() -> Ctx {
    Ctx {
        clock: Arc::new(SimulatedClock::at(Timestamp::parse("2013-04-01").unwrap())),
        ids: Arc::new(SeededIds::new(7)),
        ..Ctx::real(Actor::new("ana"), "request-1")
    }
}

/// A store with one experiment and one run.
async fn with_run(store: Store) -> (Tracking, Ctx, Experiment, Run) {
    let (tracking, ctx) = (Tracking::new(store), ctx());
    let experiment = tracking.ensure_experiment(&ctx, "late_arrival").await.unwrap();
    let run = tracking.start_run(&ctx, NewRun::of(experiment.id, Circumstances::default())).await.unwrap();
    (tracking, ctx, experiment, run)
}
