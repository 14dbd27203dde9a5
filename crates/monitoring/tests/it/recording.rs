use lw_core::Span;
use lw_monitoring::{
    Alert, AlertState, Due, Limit, Metric, Monitoring, RETRAIN_TOPIC, Recorded, RetrainDecision, Verdict, Watch, Watched,
};
use lw_store::Store;
use lw_store::testing::both;

use crate::{ctx, day, due, name, observation, quality, watched};

async fn record(store: &Store, watched: &Watched, due: &Due, verdict: Verdict) -> Recorded {
    let monitoring = Monitoring::new(store.clone());
    monitoring.record(&ctx(due.window.end), watched, due, vec![observation(due, 0.6, verdict)]).await.unwrap()
}

async fn n_messages(store: &Store) -> usize {
    let ctx = ctx(day(1_000));
    store.write(&ctx, |tx| tx.outbox_claim(RETRAIN_TOPIC, 100, Span::ZERO)).await.unwrap().len()
}

async fn only_alert(store: &Store) -> Alert {
    let mut alerts = Monitoring::new(store.clone()).alerts(None).await.unwrap();
    assert_eq!(alerts.len(), 1);
    alerts.remove(0)
}

#[test]
fn an_alert_fires_resolves_and_leaves_entries() {
    both(|store| async move {
        let monitor = quality(2);
        let verdicts =
            [Verdict::Healthy, Verdict::Breach, Verdict::Undecided, Verdict::Breach, Verdict::Breach, Verdict::Healthy];
        let mut states = Vec::new();
        for (week, verdict) in (1..).zip(verdicts) {
            states.push(record(&store, &watched(3), &due(&monitor, week * 7), verdict).await.state.name());
        }
        assert_eq!(states, ["ok", "pending", "pending", "firing", "firing", "resolved"]);
        let alert = only_alert(&store).await;
        assert_eq!((alert.state, alert.version), (AlertState::Resolved { at: day(42) }, 3));
        let filter = lw_store::EntryFilter { action: Some("alert.fire".to_owned()), ..lw_store::EntryFilter::all() };
        let fired = store.read(move |reader| reader.entries(&filter)).await.unwrap();
        assert_eq!(fired.len(), 1);
        assert_eq!(fired[0].subject.to_string(), "alert/late_arrival/quality");
        assert_eq!(fired[0].payload["reasons"][0], "log_loss 0.6000 (limit 0.5500)");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_firing_alert_asks_once_and_again_after_the_cooldown() {
    both(|store| async move {
        let monitor = quality(1);
        let mut decisions = Vec::new();
        for week in 1..=4 {
            let due = due(&monitor, week * 7);
            decisions.push(record(&store, &watched(3), &due, Verdict::Breach).await.retrain);
            // The same window again, as after a crash before the answer arrived.
            assert_eq!(record(&store, &watched(3), &due, Verdict::Breach).await.retrain, RetrainDecision::Leave);
        }
        let cooling = |until| RetrainDecision::CoolDown { until: day(until) };
        assert_eq!(decisions, [RetrainDecision::Request, cooling(21), RetrainDecision::Request, cooling(35)]);
        assert_eq!(n_messages(&store).await, 2);
        let requests = Monitoring::new(store.clone()).requests(&name("late_arrival"), 10).await.unwrap();
        let asked: Vec<_> =
            requests.iter().map(|request| (request.window.end, request.version, request.monitor.as_str())).collect();
        assert_eq!(asked, [(day(21), 3, "quality"), (day(7), 3, "quality")]);
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn the_message_carries_the_request() {
    both(|store| async move {
        let due = due(&quality(1), 7);
        record(&store, &watched(3), &due, Verdict::Breach).await;
        let messages = store.write(&ctx(day(8)), |tx| tx.outbox_claim(RETRAIN_TOPIC, 10, Span::from_hours(1))).await.unwrap();
        let request: lw_monitoring::RetrainRequest = serde_json::from_value(messages[0].payload.clone()).unwrap();
        assert_eq!((request.version, request.window, request.requested_at), (3, due.window, day(7)));
        assert_eq!(messages[0].dedupe_key, "late_arrival/quality/2013-04-17T00:00:00Z");
        let stored = Monitoring::new(store).requests(&request.model, 10).await.unwrap();
        assert_eq!(stored, [request]);
    });
}

#[test]
fn monitors_that_start_nothing_ask_for_nothing() {
    both(|store| async move {
        let monitor = lw_monitoring::Monitor { name: name("feature_drift"), ..quality(1) };
        let recorded = record(&store, &watched(3), &due(&monitor, 7), Verdict::Breach).await;
        assert_eq!((recorded.state.is_firing(), recorded.retrain), (true, RetrainDecision::Leave));
        let unbound = Watched { retrain: None, ..watched(3) };
        let recorded = record(&store, &unbound, &due(&quality(1), 7), Verdict::Breach).await;
        assert_eq!((recorded.state.is_firing(), recorded.retrain), (true, RetrainDecision::Leave));
        assert_eq!(n_messages(&store).await, 0);
    });
}

#[test]
fn a_new_version_starts_without_the_old_ones_alert() {
    both(|store| async move {
        let monitor = quality(2);
        record(&store, &watched(3), &due(&monitor, 7), Verdict::Breach).await;
        record(&store, &watched(3), &due(&monitor, 14), Verdict::Breach).await;
        assert!(only_alert(&store).await.state.is_firing());
        let recorded = record(&store, &watched(4), &due(&monitor, 21), Verdict::Breach).await;
        assert_eq!(recorded.state, AlertState::Pending { since: day(21), n_windows: 1 });
        assert_eq!(only_alert(&store).await.version, 4);
        let recorded = record(&store, &watched(5), &due(&monitor, 28), Verdict::Healthy).await;
        assert_eq!((recorded.state, only_alert(&store).await.version), (AlertState::Ok, 5));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn an_undecided_window_is_due_until_a_newer_one_is_judged() {
    both(|store| async move {
        let monitoring = Monitoring::new(store.clone());
        let monitor = quality(1);
        let ends = async |now| -> Vec<i64> {
            let due = monitoring.due(&ctx(day(now)), &watched(3), vec![monitor.clone()], day(0)).await.unwrap();
            due.iter().map(|due| (due.window.end - day(0)).micros() / Span::from_days(1).micros()).collect()
        };
        assert_eq!(ends(6).await, Vec::<i64>::new());
        assert_eq!(ends(14).await, [7, 14]);
        record(&store, &watched(3), &due(&monitor, 7), Verdict::Undecided).await;
        assert_eq!(ends(14).await, [7, 14]);
        record(&store, &watched(3), &due(&monitor, 14), Verdict::Healthy).await;
        assert_eq!(ends(20).await, Vec::<i64>::new());
        assert_eq!(ends(21).await, [21]);
    });
}

#[test]
fn late_labels_refresh_a_judged_window_without_moving_the_alert() {
    both(|store| async move {
        let monitor = quality(1);
        record(&store, &watched(3), &due(&monitor, 7), Verdict::Healthy).await;
        record(&store, &watched(3), &due(&monitor, 14), Verdict::Healthy).await;
        let late = record(&store, &watched(3), &due(&monitor, 7), Verdict::Breach).await;
        assert_eq!((late.state, late.has_changed, late.retrain), (AlertState::Ok, false, RetrainDecision::Leave));
        let observations = Monitoring::new(store.clone()).observations(&name("late_arrival"), day(0), 10).await.unwrap();
        let seen: Vec<_> = observations.iter().map(|(version, seen)| (*version, seen.window.end, seen.verdict)).collect();
        assert_eq!(seen, [(3, day(7), Verdict::Breach), (3, day(14), Verdict::Healthy)]);
        let page = Monitoring::new(store).observations(&name("late_arrival"), day(7), 10).await.unwrap();
        assert_eq!(page[0].1, observation(&due(&monitor, 14), 0.6, Verdict::Healthy));
    });
}

#[test]
fn servers_that_judge_the_same_window_at_once_ask_once() {
    both(|store| async move {
        let due = due(&quality(1), 7);
        let watched = watched(3);
        let at_once = || record(&store, &watched, &due, Verdict::Breach);
        let (first, second) = tokio::join!(at_once(), at_once());
        assert_ne!(first.retrain, second.retrain);
        assert_eq!(n_messages(&store).await, 1);
    });
}

#[test]
fn a_window_without_a_value_is_kept() {
    both(|store| async move {
        let monitor = lw_monitoring::Monitor {
            watch: Watch::Metric { metric: Metric::Auc, limit: Limit::WorseThan(0.5), min_labels: 1 },
            ..quality(1)
        };
        let due = due(&monitor, 7);
        let empty = lw_monitoring::Observation {
            value: None,
            limit: None,
            n_rows: 0,
            n_labels: 0,
            ..observation(&due, 0.0, Verdict::Undecided)
        };
        let monitoring = Monitoring::new(store);
        monitoring.record(&ctx(day(7)), &watched(3), &due, vec![empty.clone()]).await.unwrap();
        assert_eq!(monitoring.observations(&name("late_arrival"), day(0), 10).await.unwrap(), [(3, empty)]);
        assert_eq!(monitoring.alerts(Some(&name("late_arrival"))).await.unwrap(), []);
    });
}
