use lw_core::{Digest, Kind};
use lw_registry::{
    APPROVALS_MISSING, ApprovalState, BAD_GATE, CHAMPION_CHANGED, GATES_REFUSED, NEVER_CHAMPION, Promotion, REPORT_MISSING,
    Registry,
};
use lw_store::testing::both;
use lw_store::{EntryFilter, Store};

use crate::{ctx, facts, gates, model, new_version, promotion, with_model, with_report};

async fn champion(registry: &Registry) -> Option<u64> {
    registry.champion(&model()).await.unwrap().map(|version| version.version)
}

async fn approve(registry: &Registry, version: u64) {
    let report = registry.report(&model(), version).await.unwrap().unwrap().report;
    registry.approve(&ctx("bo"), &model(), version, &report, "read it").await.unwrap();
}

/// A champion, version 1, with log loss 0.5.
async fn with_champion(store: &Store) -> Registry {
    let registry = with_model(store).await;
    with_report(&registry, 1, 0.5, None).await;
    approve(&registry, 1).await;
    registry.promote(&ctx("loopwright:release"), promotion(1, 1, None)).await.unwrap();
    registry
}

#[test]
fn the_first_champion_needs_gates_and_an_approval() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let release = ctx("loopwright:release");
        registry.register(&release, new_version(1)).await.unwrap();
        let promote = async || registry.promote(&release, promotion(1, 1, None)).await;
        assert!(promote().await.unwrap_err().is(REPORT_MISSING));
        with_report(&registry, 1, 0.5, None).await;
        let waiting = promote().await.unwrap_err();
        assert!(waiting.is(APPROVALS_MISSING) && waiting.kind() == Kind::Refused, "{waiting:?}");
        let readiness = registry.readiness(&promotion(1, 1, None)).await.unwrap();
        assert!(!readiness.is_ready() && readiness.gates.has_passed());
        assert_eq!(champion(&registry).await, None, "a refusal changes nothing");
        approve(&registry, 1).await;
        let promoted = promote().await.unwrap();
        assert_eq!((promoted.pointer.version, promoted.previous), (1, None));
        assert_eq!(champion(&registry).await, Some(1));
        let entry = store.entries(EntryFilter::all().action("alias.promote")).await.unwrap().remove(0);
        assert_eq!(entry.payload["gates"], "all 2 gates passed");
        assert_eq!(entry.payload["approvals"]["by"][0], "bo");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_challenger_must_beat_the_champion_of_the_moment() {
    both(|store| async move {
        let registry = with_champion(&store).await;
        let release = ctx("loopwright:release");
        with_report(&registry, 2, 0.52, Some((1, 0.5))).await;
        let error = registry.promote(&release, promotion(2, 0, Some(1))).await.unwrap_err();
        assert!(error.is(GATES_REFUSED), "{error:?}");
        assert!(
            error.message().contains("beats_champion: log_loss is 0.52, not better than the champion's 0.5 (late_arrival@1)")
        );

        with_report(&registry, 3, 0.45, Some((1, 0.5))).await;
        with_report(&registry, 4, 0.46, Some((1, 0.5))).await;
        registry.promote(&release, promotion(3, 0, Some(1))).await.unwrap();
        let again = registry.promote(&release, promotion(3, 0, Some(1))).await.unwrap();
        assert_eq!(again.pointer.version, 3, "promoting the champion again changes nothing");
        let late = registry.promote(&release, promotion(4, 0, Some(1))).await.unwrap_err();
        assert!(late.is(CHAMPION_CHANGED) && late.message().contains("version 3, not version 1"), "{late:?}");
        let stale = registry.promote(&release, promotion(4, 0, Some(3))).await.unwrap_err();
        assert!(stale.message().contains("compares with late_arrival@1, but the champion is late_arrival@3"), "{stale}");
        assert_eq!(champion(&registry).await, Some(3));
    });
}

#[test]
fn of_two_promotions_at_once_one_wins() {
    both(|store| async move {
        let registry = with_champion(&store).await;
        let mut candidates = Vec::new();
        for seed in 2..10 {
            candidates.push(with_report(&registry, seed, 0.4, Some((1, 0.5))).await.version);
        }
        let release = ctx("loopwright:release");
        let promotions = candidates.iter().map(|version| registry.promote(&release, promotion(*version, 0, Some(1))));
        let outcomes = futures_of(promotions).await;
        let n_won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(n_won, 1);
        assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(|error| error.kind() == Kind::Conflict));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

async fn futures_of<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = futures.map(Box::pin).collect();
    // The first poll hands every promotion to the store before any of them is waited for.
    std::future::poll_fn(|context| {
        let polled: Vec<_> = pending.iter_mut().map(|future| future.as_mut().poll(context)).collect();
        assert!(polled.iter().all(std::task::Poll::is_pending));
        std::task::Poll::Ready(())
    })
    .await;
    let mut outcomes = Vec::new();
    for future in pending {
        outcomes.push(future.await);
    }
    outcomes
}

#[test]
fn gate_decisions_are_recorded_whether_they_pass_or_refuse() {
    both(|store| async move {
        let registry = with_champion(&store).await;
        let pipeline = ctx("loopwright:pipeline");
        with_report(&registry, 2, 0.7, Some((1, 0.5))).await;
        let decision = registry.decide_gates(&pipeline, &model(), 2, &gates()).await.unwrap();
        assert!(!decision.outcome.has_passed());
        let again = registry.decide_gates(&pipeline, &model(), 2, &gates()).await.unwrap();
        assert_eq!(again, decision);
        let entries = store.entries(EntryFilter::all().action("gate.decide")).await.unwrap();
        assert_eq!(entries.len(), 1, "the same decision is recorded once");
        assert_eq!(entries[0].payload["verdict"], "refused");
        assert!(
            entries[0].payload["summary"]
                .as_str()
                .unwrap()
                .starts_with("good_enough: log_loss is 0.7, above 0.6; beats_champion:")
        );

        let better = facts(0.4, Some((1, 0.5)));
        registry.attach_facts(&pipeline, &model(), 2, Digest::of_json(&better), better).await.unwrap();
        assert!(registry.decide_gates(&pipeline, &model(), 2, &gates()).await.unwrap().outcome.has_passed());
        assert_eq!(registry.gate_decision(&model(), 2).await.unwrap().unwrap().outcome.outcomes.len(), 2);
        let mut broken = gates();
        broken[0].at_least = Some(0.1);
        assert!(registry.decide_gates(&pipeline, &model(), 2, &broken).await.unwrap_err().is(BAD_GATE));
        assert!(
            registry.promote(&pipeline, Promotion { gates: broken, ..promotion(2, 0, Some(1)) }).await.unwrap_err().is(BAD_GATE)
        );
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_changed_report_voids_what_was_approved() {
    both(|store| async move {
        let registry = with_model(&store).await;
        with_report(&registry, 1, 0.5, None).await;
        approve(&registry, 1).await;
        let changed = facts(0.3, None);
        registry.attach_facts(&ctx("ana"), &model(), 1, Digest::of_json(&changed), changed).await.unwrap();
        let error = registry.promote(&ctx("loopwright:release"), promotion(1, 1, None)).await.unwrap_err();
        assert!(error.is(APPROVALS_MISSING), "{error:?}");
        let readiness = registry.readiness(&promotion(1, 1, None)).await.unwrap();
        assert_eq!(readiness.approvals, ApprovalState::Waiting { granted_by: vec![], n_missing: 1 });
    });
}

#[test]
fn rolling_back_leads_to_an_earlier_champion_only() {
    both(|store| async move {
        let registry = with_champion(&store).await;
        let release = ctx("loopwright:release");
        with_report(&registry, 2, 0.4, Some((1, 0.5))).await;
        with_report(&registry, 3, 0.3, Some((2, 0.4))).await;
        registry.promote(&release, promotion(2, 0, Some(1))).await.unwrap();
        let back = registry.roll_back(&release, &model(), 1, "canary failed").await.unwrap();
        assert_eq!((back.pointer.version, back.previous), (1, Some(2)));
        assert!(registry.roll_back(&release, &model(), 3, "").await.unwrap_err().is(NEVER_CHAMPION));
        assert_eq!(champion(&registry).await, Some(1));
        let entry = store.entries(EntryFilter::all().action("alias.roll_back")).await.unwrap().remove(0);
        assert_eq!((entry.payload["reason"].as_str(), entry.payload["previous"].as_u64()), (Some("canary failed"), Some(2)));
        assert!(store.verify().await.unwrap().is_sound());
    });
}
