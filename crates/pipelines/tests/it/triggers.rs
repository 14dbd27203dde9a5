//! What starts runs: names, schedules, requests; each once.

use std::sync::Arc;

use lw_core::{Ctx, Name, SimulatedClock, Timestamp};
use lw_pipelines::*;
use lw_store::testing::both;
use serde_json::json;

use crate::runner::*;

fn nightly(missed: Missed) -> PipelineDefinition {
    let overlap = if missed == Missed::RunAll { Overlap::Allow } else { Overlap::Skip };
    let schedule = Schedule { missed, overlap, ..Schedule::new("0 3 * * *", "UTC") };
    PipelineDefinition { schedule: Some(schedule), ..pipeline("nightly", vec![step("a", "noop", json!({}), &[])]) }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn simulated(start: &str) -> (Arc<SimulatedClock>, Ctx) {
    let clock = Arc::new(SimulatedClock::at(at(start)));
    (clock.clone(), Ctx { clock, ..ctx() })
}

#[test]
fn a_schedule_fires_each_time_once() {
    both(|store| async move {
        let (clock, ctx) = simulated("2013-04-01T12:00:00Z");
        let bench = Bench::with_ctx(store, ctx);
        bench.pipelines.deploy(&bench.ctx, nightly(Missed::RunOnce)).await.unwrap();
        assert_eq!(bench.worker.drain(&bench.ctx).await.unwrap().next_due, Some(at("2013-04-02T03:00:00Z")));

        clock.set(at("2013-04-02T03:00:00Z"));
        let other = Pipelines::new(bench.store.clone());
        let (one, two) = tokio::join!(bench.pipelines.fire(&bench.ctx), other.fire(&bench.ctx));
        assert_eq!(one.unwrap().len() + two.unwrap().len(), 1);
        assert_eq!(bench.worker.drain(&bench.ctx).await.unwrap().next_due, Some(at("2013-04-03T03:00:00Z")));

        let name = Name::parse("nightly").unwrap();
        let runs = bench.pipelines.runs(Some(&name), at("2014-01-01"), 10).await.unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].cause.as_str(), runs[0].state), ("schedule", RunState::Succeeded));
        assert_eq!(runs[0].params, json!({"scheduled_for": "2013-04-02T03:00:00Z"}));
    });
}

#[test]
fn missed_times_follow_the_policy() {
    for (missed, want) in [(Missed::Skip, 0), (Missed::RunOnce, 1), (Missed::RunAll, 3)] {
        both(|store| async move {
            let (clock, ctx) = simulated("2013-04-01T12:00:00Z");
            let bench = Bench::with_ctx(store, ctx);
            bench.pipelines.deploy(&bench.ctx, nightly(missed)).await.unwrap();
            clock.set(at("2013-04-04T09:00:00Z"));
            assert_eq!(bench.pipelines.fire(&bench.ctx).await.unwrap().len(), want, "{missed:?}");
            assert_eq!(bench.pipelines.fire(&bench.ctx).await.unwrap().len(), 0, "{missed:?}");
        });
    }
}

#[test]
fn deploying_moves_the_name_and_leaves_runs_alone() {
    both(|store| async move {
        let bench = Bench::new(store.clone());
        let name = Name::parse("nightly").unwrap();
        let old = bench.pipelines.deploy(&bench.ctx, nightly(Missed::RunOnce)).await.unwrap();
        let run = bench.pipelines.start(&bench.ctx, &name, Start::by_hand()).await.unwrap().run;
        let new = bench.pipelines.deploy(&bench.ctx, pipeline("nightly", vec![step("b", "noop", json!({}), &[])])).await.unwrap();
        assert_ne!(old, new);
        let deployed = Deployed { pipeline: name.clone(), digest: new, next_fire: None };
        assert_eq!(bench.pipelines.list(None, 10).await.unwrap(), [deployed]);
        assert_eq!(bench.pipelines.list(Some(&name), 10).await.unwrap(), []);
        let drained = bench.worker.drain(&bench.ctx).await.unwrap();
        assert_eq!(drained.next_due, None, "the new definition has no schedule");
        let view = bench.pipelines.run(&run).await.unwrap();
        assert_eq!((view.summary.digest, states(&view)), (old, vec!["a=succeeded".to_owned()]));

        assert_eq!(bench.pipelines.deploy(&bench.ctx, nightly(Missed::RunOnce)).await.unwrap(), old);
        assert_eq!(bench.pipelines.definition(&name).await.unwrap(), nightly(Missed::RunOnce));
        let n_entries = |action: &'static str| {
            store.read(move |db| Ok(db.query("SELECT seq FROM ledger WHERE action = $1", &[action.into()])?.len()))
        };
        bench.pipelines.deploy(&bench.ctx, nightly(Missed::RunOnce)).await.unwrap();
        assert_eq!(n_entries("pipeline.deploy").await.unwrap(), 3, "deploying what is deployed changes nothing");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_dedupe_key_gives_one_run() {
    both(|store| async move {
        let bench = Bench::new(store);
        let start = |key: &str| Start { dedupe_key: Some(key.into()), ..Start::by_hand() };
        let definition = || pipeline("once", vec![step("a", "noop", json!({}), &[])]);
        let first = bench.pipelines.start_definition(&bench.ctx, definition(), start("k")).await.unwrap();
        let again = bench.pipelines.start_definition(&bench.ctx, definition(), start("k")).await.unwrap();
        let other = bench.pipelines.start_definition(&bench.ctx, definition(), start("l")).await.unwrap();
        assert_eq!((first.is_new, again.is_new, other.is_new), (true, false, true));
        assert_eq!(first.run, again.run);
        assert_ne!(first.run, other.run);
    });
}

#[test]
fn a_request_in_the_outbox_starts_exactly_one_run() {
    both(|store| async move {
        let bench = Bench::new(store.clone());
        bench.pipelines.deploy(&bench.ctx, pipeline("retrain", vec![step("a", "noop", json!({}), &[])])).await.unwrap();
        let ask = |pipeline: &'static str, key: &'static str| {
            let request = PipelineRequest {
                pipeline: Name::parse(pipeline).unwrap(),
                cause: "monitor:drift".into(),
                params: json!({"alert": 1}),
            };
            store.write(&bench.ctx, move |tx| tx.outbox(REQUEST_TOPIC, key, &request.to_json()))
        };
        assert!(ask("retrain", "alert-1").await.unwrap());
        assert!(!ask("retrain", "alert-1").await.unwrap());
        assert!(ask("unknown", "alert-2").await.unwrap());
        assert!(store.write(&bench.ctx, |tx| tx.outbox(REQUEST_TOPIC, "alert-3", &json!({"no": "request"}))).await.unwrap());
        assert!(ask("retrain", "alert-4").await.unwrap());

        let other = Pipelines::new(store.clone());
        let (one, two) = tokio::join!(bench.pipelines.fire(&bench.ctx), other.fire(&bench.ctx));
        assert_eq!(one.unwrap().len() + two.unwrap().len(), 2);
        bench.worker.drain(&bench.ctx).await.unwrap();
        let runs = bench.pipelines.runs(None, at("2999-01-01"), 10).await.unwrap();
        assert_eq!(runs.len(), 2);
        assert!(runs.iter().all(|run| run.cause == "monitor:drift" && run.state == RunState::Succeeded), "{runs:?}");
    });
}

#[test]
fn a_time_is_left_out_while_an_earlier_run_goes() {
    for (overlap, want) in [(Overlap::Skip, 1), (Overlap::Allow, 2)] {
        both(|store| async move {
            let (clock, ctx) = simulated("2013-04-01T12:00:00Z");
            let bench = Bench::with_ctx(store, ctx);
            let mut definition = nightly(Missed::RunOnce);
            definition.schedule.as_mut().unwrap().overlap = overlap;
            bench.pipelines.deploy(&bench.ctx, definition).await.unwrap();
            for day in ["2013-04-02T03:00:00Z", "2013-04-03T03:00:00Z"] {
                clock.set(at(day));
                bench.pipelines.fire(&bench.ctx).await.unwrap();
            }
            assert_eq!(bench.pipelines.runs(None, at("2014-01-01"), 10).await.unwrap().len(), want, "{overlap:?}");
            bench.worker.drain(&bench.ctx).await.unwrap();
            clock.set(at("2013-04-04T03:00:00Z"));
            assert_eq!(bench.pipelines.fire(&bench.ctx).await.unwrap().len(), 1, "{overlap:?}: nothing runs any more");
        });
    }
}

#[test]
fn a_retired_pipeline_stops_its_schedule_and_keeps_its_history() {
    both(|store| async move {
        let (clock, ctx) = simulated("2013-04-01T12:00:00Z");
        let bench = Bench::with_ctx(store.clone(), ctx);
        let name = Name::parse("nightly").unwrap();
        bench.pipelines.deploy(&bench.ctx, nightly(Missed::RunOnce)).await.unwrap();
        let run = bench.pipelines.start(&bench.ctx, &name, Start::by_hand()).await.unwrap().run;

        assert!(bench.pipelines.retire(&bench.ctx, &name).await.unwrap());
        assert!(!bench.pipelines.retire(&bench.ctx, &name).await.unwrap(), "there is nothing left to retire");
        assert!(bench.pipelines.start(&bench.ctx, &name, Start::by_hand()).await.unwrap_err().is(UNKNOWN_PIPELINE));
        clock.set(at("2013-04-05T03:00:00Z"));
        assert_eq!(bench.worker.drain(&bench.ctx).await.unwrap().next_due, None);
        let view = bench.pipelines.run(&run).await.unwrap();
        assert_eq!(view.summary.state, RunState::Succeeded, "a run that was under way goes on to its end");

        bench.pipelines.deploy(&bench.ctx, nightly(Missed::RunOnce)).await.unwrap();
        assert_eq!(bench.pipelines.list(None, 10).await.unwrap()[0].next_fire, Some(at("2013-04-06T03:00:00Z")));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_run_is_found_by_the_beginning_of_its_id_or_its_pipeline() {
    both(|store| async move {
        let bench = Bench::new(store);
        let definition = || pipeline("once", vec![step("a", "noop", json!({}), &[])]);
        let run = bench.pipelines.start_definition(&bench.ctx, definition(), Start::by_hand()).await.unwrap().run;
        assert_eq!(bench.pipelines.find(run.as_str()).await.unwrap(), run);
        assert_eq!(bench.pipelines.find(&run.as_str()[..8]).await.unwrap(), run);
        assert_eq!(bench.pipelines.find("once").await.unwrap(), run);
        let views = bench.pipelines.views(None, at("2999-01-01"), 10).await.unwrap();
        assert_eq!(views, [bench.pipelines.run(&run).await.unwrap()]);
        for unknown in ["twice", "ff", "", "0; DROP"] {
            assert!(bench.pipelines.find(unknown).await.unwrap_err().is(UNKNOWN_PIPELINE_RUN), "{unknown}");
        }
    });
}
