//! How runs go: order, retries, timeouts, waits, cancelling, resuming, the cache, the log and the ledger.

use std::time::Duration;

use lw_core::{Span, Timestamp};
use lw_pipelines::*;
use lw_store::testing::both;
use serde_json::{Value, json};

use crate::runner::*;

#[test]
fn outputs_flow_along_the_needs() {
    both(|store| async move {
        let bench = Bench::new(store);
        let view = bench
            .run(pipeline(
                "diamond",
                vec![
                    step("a", "noop", json!({"add": 1}), &[]),
                    step("b", "noop", json!({"add": 10}), &["a"]),
                    step("c", "noop", json!({"add": 100}), &["a"]),
                    step("d", "noop", json!({"add": 0}), &["b", "c"]),
                ],
            ))
            .await;
        assert_eq!(view.summary.state, RunState::Succeeded);
        assert_eq!(view.step("d").unwrap().manifest.as_ref().unwrap().outputs["sum"], 112);
        assert!(view.steps.iter().all(|step| step.attempt == 1 && step.finished_at >= step.started_at), "{view:?}");
    });
}

#[test]
fn what_was_run_is_in_the_ledger() {
    both(|store| async move {
        let bench = Bench::new(store.clone());
        let view = bench.run(pipeline("audited", vec![step("a", "noop", json!({}), &[])])).await;
        let verification = store.verify().await.unwrap();
        assert!(verification.is_sound(), "{verification:?}");
        let actions = store
            .read(|db| {
                let rows = db.query("SELECT action, payload FROM ledger ORDER BY seq", &[])?;
                rows.iter()
                    .map(|row| Ok((row.text("action")?, row.json::<Value>("payload")?)))
                    .collect::<lw_core::Result<Vec<_>>>()
            })
            .await
            .unwrap();
        assert_eq!(actions[0].0, "pipeline_run.start");
        let (action, payload) = &actions[1];
        assert_eq!(action, "pipeline_run.finish");
        assert_eq!(payload["state"], "succeeded");
        let digest = view.step("a").unwrap().manifest.as_ref().unwrap().digest().to_string();
        assert_eq!(payload["steps"]["a"]["manifest"], digest);
    });
}

#[test]
fn transient_failures_are_tried_again_and_others_are_not() {
    both(|store| async move {
        let bench = Bench::new(store);
        let retries =
            Retries { attempts: 3, backoff: Span::from_millis(5), max_backoff: Span::from_millis(5), on: RetryOn::Transient };
        let with = |mut step: StepDefinition, on| {
            step.retries = Retries { on, ..retries.clone() };
            step
        };
        let definition = pipeline(
            "retries",
            vec![
                with(step("passes", "flaky", json!({"failures": 2}), &[]), RetryOn::Transient),
                with(step("gives_up", "flaky", json!({"failures": 9}), &[]), RetryOn::Transient),
                with(step("is_wrong", "broken", json!({"failures": 9}), &[]), RetryOn::Transient),
                with(step("insists", "broken", json!({"failures": 1}), &[]), RetryOn::Any),
                step("after", "noop", json!({}), &["passes", "is_wrong"]),
                step("after_that", "noop", json!({}), &["after"]),
                step("aside", "noop", json!({}), &["passes"]),
            ],
        );
        let run = bench.start(definition).await;
        let (stop, shutdown) = Canceller::new();
        let (view, _) = tokio::join!(
            async {
                let view = bench.pipelines.wait(&run, Duration::from_secs(20)).await.unwrap();
                stop.cancel();
                view
            },
            bench.worker.run(&bench.ctx, shutdown),
        );
        assert_eq!(view.summary.state, RunState::Failed);
        assert_eq!(
            states(&view),
            [
                "passes=succeeded",
                "gives_up=failed",
                "is_wrong=failed",
                "insists=succeeded",
                "after=skipped",
                "after_that=skipped",
                "aside=succeeded"
            ]
        );
        let n_runs = |key: &str| bench.runner.n_runs(key);
        assert_eq!(
            [n_runs("passes"), n_runs("gives_up"), n_runs("is_wrong"), n_runs("insists"), n_runs("after")],
            [3, 3, 1, 2, 0]
        );
        let error = view.step("is_wrong").unwrap().error.clone().unwrap();
        assert_eq!(error.code, "broken");
        assert_eq!(error.message, "that cannot be (hint: do something else)");
    });
}

#[test]
fn slow_and_panicking_steps_fail_with_a_reason() {
    both(|store| async move {
        let bench = Bench::new(store);
        let mut slow = step("slow", "sleep", json!({"ms": 600_000}), &[]);
        slow.timeout = Span::from_millis(20);
        slow.retries.attempts = 1;
        // The attempt ignores the request to stop, so it is cut off after the grace.
        let view = bench.run(pipeline("bad", vec![slow, step("panics", "panic", json!({}), &[])])).await;
        let code = |key: &str| view.step(key).unwrap().error.clone().unwrap().code;
        assert_eq!([code("slow"), code("panics")], ["step-timed-out", "step-panicked"]);
    });
}

#[test]
fn a_waiting_step_holds_nothing_until_it_is_signalled() {
    both(|store| async move {
        let bench = Bench::new(store);
        let definition = pipeline(
            "approved",
            vec![step("approve", "approval", Value::Null, &[]), step("deploy", "noop", json!({}), &["approve"])],
        );
        let run = bench.start(definition).await;
        let drained = bench.worker.drain(&bench.ctx).await.unwrap();
        assert_eq!(drained.next_due, None);
        let view = bench.pipelines.run(&run).await.unwrap();
        assert_eq!(states(&view), ["approve=waiting", "deploy=blocked"]);
        assert_eq!(view.step("approve").unwrap().reason.as_deref(), Some("an approval of ana"));

        bench.pipelines.signal(&bench.ctx, &run, "approve", json!({"by": "ana"})).await.unwrap();
        bench.worker.drain(&bench.ctx).await.unwrap();
        let view = bench.pipelines.run(&run).await.unwrap();
        assert_eq!(view.summary.state, RunState::Succeeded);
        assert_eq!(view.step("approve").unwrap().manifest.as_ref().unwrap().outputs["by"], "ana");

        let error = bench.pipelines.signal(&bench.ctx, &run, "approve", Value::Null).await.unwrap_err();
        assert!(error.is(RUN_STATE), "{error:?}");
        let error = bench.pipelines.signal(&bench.ctx, &run, "aprove", Value::Null).await.unwrap_err();
        assert!(error.is(UNKNOWN_STEP) && error.hint_text() == Some("did you mean `approve`?"), "{error:?}");
    });
}

#[test]
fn an_early_signal_is_kept() {
    both(|store| async move {
        let bench = Bench::new(store);
        let definition =
            pipeline("early", vec![step("first", "noop", json!({}), &[]), step("approve", "approval", Value::Null, &["first"])]);
        let run = bench.start(definition).await;
        bench.pipelines.signal(&bench.ctx, &run, "approve", json!("yes")).await.unwrap();
        bench.worker.drain(&bench.ctx).await.unwrap();
        assert_eq!(bench.pipelines.run(&run).await.unwrap().summary.state, RunState::Succeeded);
    });
}

#[test]
fn timers_follow_the_clock_that_is_handed_in() {
    both(|store| async move {
        let clock = std::sync::Arc::new(lw_core::SimulatedClock::at(Timestamp::from_millis(0)));
        let bench = Bench::with_ctx(store, lw_core::Ctx { clock: clock.clone(), ..ctx() });
        let run = bench.start(pipeline("later", vec![step("nap", "timer", json!({"at_ms": 86_400_000}), &[])])).await;
        let drained = bench.worker.drain(&bench.ctx).await.unwrap();
        assert_eq!(drained, Drained { n_attempts: 1, next_due: Some(Timestamp::from_millis(86_400_000)) });
        clock.set(Timestamp::from_millis(86_400_000));
        bench.worker.drain(&bench.ctx).await.unwrap();
        assert_eq!(bench.pipelines.run(&run).await.unwrap().summary.state, RunState::Succeeded);
    });
}

#[test]
fn a_cancelled_run_stops_and_can_be_resumed() {
    both(|store| async move {
        let bench = Bench::new(store.clone());
        let definition = pipeline(
            "stopped",
            vec![
                step("done", "noop", json!({}), &[]),
                step("long", "polite", Value::Null, &["done"]),
                step("never", "noop", json!({}), &["long"]),
            ],
        );
        let run = bench.start(definition).await;
        let (view, _) = tokio::join!(
            async {
                while bench.runner.n_runs("long") == 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                bench.pipelines.cancel(&bench.ctx, &run).await.unwrap();
                bench.pipelines.wait(&run, Duration::from_secs(20)).await.unwrap()
            },
            bench.worker.drain(&bench.ctx),
        );
        assert_eq!(view.summary.state, RunState::Cancelled);
        assert_eq!(states(&view), ["done=succeeded", "long=cancelled", "never=cancelled"]);
        assert!(bench.pipelines.cancel(&bench.ctx, &run).await.unwrap_err().is(RUN_STATE));

        bench.pipelines.resume(&bench.ctx, &run).await.unwrap();
        let view = bench.pipelines.run(&run).await.unwrap();
        assert_eq!(states(&view), ["done=succeeded", "long=ready", "never=blocked"]);
        assert!(bench.pipelines.resume(&bench.ctx, &run).await.unwrap_err().is(RUN_STATE));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_failed_run_resumes_at_the_failed_step() {
    both(|store| async move {
        let bench = Bench::new(store);
        let mut fragile = step("fragile", "flaky", json!({"failures": 1}), &["first"]);
        fragile.retries.attempts = 1;
        let definition = pipeline(
            "mended",
            vec![step("first", "noop", json!({}), &[]), fragile, step("last", "noop", json!({}), &["fragile"])],
        );
        let view = bench.run(definition).await;
        assert_eq!(states(&view), ["first=succeeded", "fragile=failed", "last=skipped"]);

        // Attempts count anew, so let the step pass by its own doing: it fails on its first attempt only.
        bench.pipelines.resume(&bench.ctx, &view.summary.run).await.unwrap();
        bench.worker.drain(&bench.ctx).await.unwrap();
        let again = bench.pipelines.run(&view.summary.run).await.unwrap();
        assert_eq!(states(&again), ["first=succeeded", "fragile=failed", "last=skipped"]);
        assert_eq!([bench.runner.n_runs("first"), bench.runner.n_runs("fragile")], [1, 2]);
    });
}

#[test]
fn equal_work_is_copied_unless_its_outputs_are_gone() {
    both(|store| async move {
        let bench = Bench::new(store);
        let definition = |add: u64| {
            let mut expensive = step("expensive", "noop", json!({"add": add}), &["input"]);
            expensive.cache = true;
            pipeline("cached", vec![step("input", "noop", json!({"add": 1}), &[]), expensive])
        };
        let first = bench.run(definition(5)).await;
        let second = bench.run(definition(5)).await;
        let copy = second.step("expensive").unwrap();
        assert_eq!(copy.cached_from.as_ref(), Some(&first.summary.run));
        assert_eq!(copy.manifest, first.step("expensive").unwrap().manifest);
        assert_eq!(bench.runner.n_runs("expensive"), 1);

        let other = bench.run(definition(6)).await;
        assert_eq!(other.step("expensive").unwrap().cached_from, None);
        assert_eq!(bench.runner.n_runs("expensive"), 2);

        let digest = copy.manifest.as_ref().unwrap().digests["sum"];
        bench.runner.gone.lock().unwrap().push(digest);
        let third = bench.run(definition(5)).await;
        assert_eq!(third.step("expensive").unwrap().cached_from, None);
        assert_eq!(bench.runner.n_runs("expensive"), 3);
    });
}

#[test]
fn the_log_is_followed_by_cursor() {
    both(|store| async move {
        let bench = Bench::new(store);
        let steps = (0..10).map(|n| step(&format!("s{n}"), "noop", json!({}), &[])).collect();
        let view = bench.run(pipeline("talkative", steps)).await;
        let run = &view.summary.run;
        let all = bench.pipelines.log(run, None, 0, 100).await.unwrap();
        assert_eq!(all.iter().map(|line| line.cursor).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
        assert!(all.iter().all(|line| line.line == format!("{} begins", line.step)), "{all:?}");
        assert_eq!(bench.pipelines.log(run, None, 7, 2).await.unwrap(), all[7..9]);
        assert!(bench.pipelines.log(run, None, 10, 2).await.unwrap().is_empty());
        let step = all[0].step.clone();
        let of_step = bench.pipelines.log(run, Some(&step), 0, 100).await.unwrap();
        assert_eq!(of_step, all.iter().filter(|line| line.step == step).cloned().collect::<Vec<_>>());
        assert!(bench.pipelines.log(run, Some("none"), 0, 100).await.unwrap().is_empty());
    });
}

#[test]
fn a_live_step_can_be_watched() {
    both(|store| async move {
        let bench = Bench::new(store);
        let run = bench.start(pipeline("watched", vec![step("long", "polite", Value::Null, &[])])).await;
        let (lines, _) = tokio::join!(
            async {
                let lines = loop {
                    let lines = bench.pipelines.log(&run, None, 0, 10).await.unwrap();
                    if !lines.is_empty() {
                        break lines;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                };
                assert_eq!(bench.pipelines.run(&run).await.unwrap().steps[0].state, "running");
                bench.pipelines.cancel(&bench.ctx, &run).await.unwrap();
                lines
            },
            bench.worker.drain(&bench.ctx),
        );
        assert_eq!(lines[0].line, "long begins");
        let all = bench.pipelines.log(&run, None, 0, 10).await.unwrap();
        assert_eq!(all.iter().map(|line| line.line.as_str()).collect::<Vec<_>>(), ["long begins", "stopping"]);
    });
}

#[test]
fn unknown_things_are_not_found() {
    both(|store| async move {
        let bench = Bench::new(store);
        let nobody = PipelineRunId::parse(&"0".repeat(32)).unwrap();
        assert!(bench.pipelines.run(&nobody).await.unwrap_err().is(UNKNOWN_PIPELINE_RUN));
        assert!(bench.pipelines.cancel(&bench.ctx, &nobody).await.unwrap_err().is(UNKNOWN_PIPELINE_RUN));
        let name = lw_core::Name::parse("nothing").unwrap();
        assert!(bench.pipelines.start(&bench.ctx, &name, Start::by_hand()).await.unwrap_err().is(UNKNOWN_PIPELINE));
        for bad in ["", "x", "../x", &"G".repeat(32)] {
            assert!(PipelineRunId::parse(bad).unwrap_err().is(UNKNOWN_PIPELINE_RUN));
        }
        let run = bench.start(pipeline("long", vec![step("a", "approval", Value::Null, &[])])).await;
        let error = bench.pipelines.wait(&run, Duration::from_millis(30)).await.unwrap_err();
        assert!(error.is(RUN_UNFINISHED), "{error:?}");
    });
}
