//! Several workers on one database: no step runs twice at once, and the work of the dead is taken over.

use std::sync::Arc;
use std::time::Duration;

use lw_core::{SimulatedClock, Span, Timestamp};
use lw_pipelines::*;
use lw_store::testing::both;
use serde_json::{Value, json};

use crate::runner::*;

#[test]
fn two_workers_never_run_one_step_at_once() {
    both(|store| async move {
        let bench = Bench::new(store.clone());
        let mut steps: Vec<StepDefinition> = (0..40).map(|n| step(&format!("s{n}"), "sleep", json!({"ms": 3}), &[])).collect();
        let keys: Vec<String> = steps.iter().map(|step| step.key.clone()).collect();
        steps.push(step("last", "noop", json!({}), &keys.iter().map(String::as_str).collect::<Vec<_>>()));
        let run = bench.start(pipeline("wide", steps)).await;

        // Each has its own memory of the database, as another process would; the runner is shared and checks.
        let other = Worker::new(&bench.ctx, Pipelines::new(store), bench.runner.clone(), WorkerOptions::new("other", 4));
        let (one, two) = tokio::join!(bench.worker.drain(&bench.ctx), other.drain(&bench.ctx));
        let (one, two) = (one.unwrap().n_attempts, two.unwrap().n_attempts);
        let (stop, shutdown) = Canceller::new();
        let (view, _) = tokio::join!(
            async {
                let view = bench.pipelines.wait(&run, Duration::from_secs(20)).await.unwrap();
                stop.cancel();
                view
            },
            bench.worker.run(&bench.ctx, shutdown),
        );
        assert_eq!(view.summary.state, RunState::Succeeded);
        assert!(bench.runner.n_runs.lock().unwrap().values().all(|n| *n == 1));
        assert!(one > 0 && two > 0, "one worker did {one} steps, the other {two}");
    });
}

/// A worker whose process is gone: it has claimed the step and will never report.
async fn die_during(bench: &Bench, name: &str, lease: Span) {
    let options = WorkerOptions { lease, ..WorkerOptions::new(name, 1) };
    let doomed = Worker::new(&bench.ctx, bench.pipelines.clone(), bench.runner.clone(), options);
    let n_before = bench.runner.n_runs("long");
    tokio::select! {
        _ = doomed.drain(&bench.ctx) => panic!("the step was to go on"),
        () = async {
            while bench.runner.n_runs("long") == n_before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        } => {}
    }
}

#[test]
fn a_restarted_worker_takes_its_work_back_at_once() {
    both(|store| async move {
        let bench = Bench::new(store);
        let run = bench.start(pipeline("long", vec![step("long", "sleep", json!({"ms": 50}), &[])])).await;
        die_during(&bench, "machine-1", Span::from_hours(1)).await;
        assert_eq!(bench.worker.drain(&bench.ctx).await.unwrap().n_attempts, 0, "the lease of another worker holds");

        let reborn =
            Worker::new(&bench.ctx, bench.pipelines.clone(), Arc::<TestRunner>::default(), WorkerOptions::new("machine-1", 1));
        assert_eq!(reborn.drain(&bench.ctx).await.unwrap().n_attempts, 1);
        let view = bench.pipelines.run(&run).await.unwrap();
        assert_eq!((view.summary.state, view.steps[0].fence, view.steps[0].attempt), (RunState::Succeeded, 2, 2));
    });
}

#[test]
fn workers_of_one_process_leave_each_other_alone_whatever_their_names() {
    both(|store| async move {
        let bench = Bench::new(store);
        let steps = (0..12).map(|n| step(&format!("s{n}"), "sleep", json!({"ms": 10}), &[])).collect();
        let run = bench.start(pipeline("shared", steps)).await;
        let namesake = || Worker::new(&bench.ctx, bench.pipelines.clone(), bench.runner.clone(), WorkerOptions::new("bench", 2));
        let (one, two, three) = (namesake(), namesake(), namesake());
        let (one, two, three) = tokio::join!(one.drain(&bench.ctx), two.drain(&bench.ctx), three.drain(&bench.ctx));
        assert_eq!(one.unwrap().n_attempts + two.unwrap().n_attempts + three.unwrap().n_attempts, 12);
        let view = bench.pipelines.run(&run).await.unwrap();
        assert!(view.summary.state == RunState::Succeeded && view.steps.iter().all(|step| step.fence == 1), "{view:?}");
    });
}

#[test]
fn an_expired_lease_is_taken_over_and_the_old_holder_is_locked_out() {
    both(|store| async move {
        let clock = Arc::new(SimulatedClock::at(Timestamp::from_millis(0)));
        let bench = Bench::with_ctx(store, lw_core::Ctx { clock: clock.clone(), ..ctx() });
        let run = bench.start(pipeline("long", vec![step("long", "sleep", json!({"ms": 300}), &[])])).await;
        let slow =
            Worker::new(&bench.ctx, Pipelines::new(bench.store.clone()), bench.runner.clone(), WorkerOptions::new("slow", 1));

        let taken_over = async {
            while bench.runner.n_runs("long") == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            // The slow worker sends no heartbeat for a minute of its clock: its lease passes.
            clock.set(Timestamp::from_millis(60_000));
            let runner = Arc::<TestRunner>::default();
            let quick = Worker::new(&bench.ctx, Pipelines::new(bench.store.clone()), runner, WorkerOptions::new("quick", 1));
            let (stop, shutdown) = Canceller::new();
            let watch = async {
                while bench.pipelines.run(&run).await.unwrap().steps[0].fence < 2 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                let view = bench.pipelines.wait(&run, Duration::from_secs(20)).await.unwrap();
                stop.cancel();
                view
            };
            tokio::join!(watch, quick.run(&bench.ctx, shutdown)).0
        };
        let (view, _) = tokio::join!(taken_over, slow.drain(&bench.ctx));
        assert_eq!((view.summary.state, view.steps[0].fence), (RunState::Succeeded, 2));
    });
}

#[test]
fn a_worker_that_shuts_down_gives_its_steps_back() {
    both(|store| async move {
        let bench = Bench::new(store);
        let run = bench.start(pipeline("kept", vec![step("long", "polite", Value::Null, &[])])).await;
        let (stop, shutdown) = Canceller::new();
        let (_, done) = tokio::join!(
            async {
                while bench.runner.n_runs("long") == 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                stop.cancel();
            },
            bench.worker.run(&bench.ctx, shutdown),
        );
        done.unwrap();
        let view = bench.pipelines.run(&run).await.unwrap();
        assert_eq!((view.summary.state, view.steps[0].state.as_str(), view.steps[0].attempt), (RunState::Running, "ready", 0));
    });
}
