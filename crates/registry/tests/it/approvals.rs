use lw_core::{Actor, Digest};
use lw_registry::{
    APPROVAL_FORBIDDEN, APPROVAL_REFUSED, ApprovalState, GATES_REFUSED, Hand, Hands, NewVersion, REASON_MISSING, REPORT_CHANGED,
    REPORT_MISSING, Registry, standing,
};
use lw_store::EntryFilter;
use lw_store::testing::both;
use proptest::prelude::*;

use crate::{ctx, facts, gates, model, new_version, with_model, with_report};

#[test]
fn only_other_people_approve_and_each_counts_once() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let version = with_report(&registry, 1, 0.5, None).await;
        let report = registry.report(&model(), 1).await.unwrap().unwrap().report;
        for actor in ["ana", "service:ci", "loopwright:pipeline"] {
            let error = registry.approve(&ctx(actor), &model(), 1, &report, "fine").await.unwrap_err();
            assert!(error.is(APPROVAL_FORBIDDEN), "{actor}: {error:?}");
        }
        let bo = ctx("bo");
        let first = registry.approve(&bo, &model(), 1, &report, "fine").await.unwrap();
        assert_eq!(registry.approve(&bo, &model(), 1, &report, "still fine").await.unwrap(), first);
        let approvals = registry.approvals(&model(), 1).await.unwrap();
        assert_eq!(approvals.len(), 1);
        let by = vec![Actor::new("bo")];
        assert_eq!(standing(&version, &report, &approvals, 1), ApprovalState::Granted { by: by.clone() });
        assert_eq!(standing(&version, &report, &approvals, 2), ApprovalState::Waiting { granted_by: by, n_missing: 1 });
        registry.refuse(&ctx("cy"), &model(), 1, &report, "biased").await.unwrap();
        let approvals = registry.approvals(&model(), 1).await.unwrap();
        let refused = ApprovalState::Refused { by: Actor::new("cy"), reason: "biased".to_owned() };
        assert_eq!(standing(&version, &report, &approvals, 1), refused);
        let actions = store.entries(EntryFilter::all().action("approval.*")).await.unwrap();
        assert_eq!(
            actions.iter().map(|entry| entry.actor.as_str()).collect::<Vec<_>>(),
            ["bo", "cy"],
            "a repeated approval is not recorded again"
        );
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn the_owner_may_approve_what_somebody_else_has_made() {
    both(|store| async move {
        let registry = Registry::new(store.clone());
        registry.put_model(&ctx("ana"), &model(), "Will it be late?", &Actor::new("olga")).await.unwrap();
        with_report(&registry, 1, 0.5, None).await;
        let report = registry.report(&model(), 1).await.unwrap().unwrap().report;
        registry.approve(&ctx("olga"), &model(), 1, &report, "mine, made by ana").await.unwrap();
    });
}

#[test]
fn nobody_with_a_hand_in_a_version_approves_it() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let hands = Hands::from([(Hand::Applied, Actor::new("bo")), (Hand::Started, Actor::new("cy"))]);
        let new = NewVersion { hands, ..new_version(1) };
        let version = registry.register(&ctx("dee"), new).await.unwrap();
        assert_eq!(registry.version(&model(), 1).await.unwrap(), version);
        let facts = facts(0.5, None);
        let report = Digest::of_json(&facts);
        registry.attach_facts(&ctx("dee"), &model(), 1, report, facts).await.unwrap();
        for (actor, words) in [
            ("ana", "`ana` is the author of late_arrival@1"),
            ("Ana", "`Ana` is the author of late_arrival@1"),
            ("bo", "`bo` applied the project of late_arrival@1"),
            ("BO", "`BO` applied the project of late_arrival@1"),
            ("cy", "`cy` started the run of late_arrival@1"),
            ("dee", "`dee` registered late_arrival@1"),
        ] {
            let error = registry.approve(&ctx(actor), &model(), 1, &report, "fine").await.unwrap_err();
            assert!(error.is(APPROVAL_FORBIDDEN) && error.message().starts_with(words), "{actor}: {error:?}");
            let error = registry.refuse(&ctx(actor), &model(), 1, &report, "poor").await.unwrap_err();
            assert!(error.is(APPROVAL_FORBIDDEN), "{actor}: {error:?}");
        }
        for name in ["eve", "Eve", "EVE"] {
            registry.approve(&ctx(name), &model(), 1, &report, "fine").await.unwrap();
        }
        let approvals = registry.approvals(&model(), 1).await.unwrap();
        let waiting = standing(&version, &report, &approvals, 2);
        assert!(matches!(waiting, ApprovalState::Waiting { n_missing: 1, .. }), "one person by three names: {waiting:?}");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_decision_gives_its_reason() {
    both(|store| async move {
        let registry = with_model(&store).await;
        with_report(&registry, 1, 0.5, None).await;
        let report = registry.report(&model(), 1).await.unwrap().unwrap().report;
        for reason in ["", "  \n"] {
            let error = registry.approve(&ctx("bo"), &model(), 1, &report, reason).await.unwrap_err();
            assert!(error.is(REASON_MISSING), "{error:?}");
            assert!(registry.refuse(&ctx("bo"), &model(), 1, &report, reason).await.unwrap_err().is(REASON_MISSING));
        }
        assert!(registry.approvals(&model(), 1).await.unwrap().is_empty());
    });
}

#[test]
fn an_approval_that_could_have_no_effect_is_refused() {
    both(|store| async move {
        let registry = with_model(&store).await;
        with_report(&registry, 1, 0.9, None).await;
        let report = registry.report(&model(), 1).await.unwrap().unwrap().report;
        registry.decide_gates(&ctx("loopwright:pipeline"), &model(), 1, &gates()).await.unwrap();
        let error = registry.approve(&ctx("bo"), &model(), 1, &report, "read it").await.unwrap_err();
        assert!(error.is(GATES_REFUSED) && error.message().contains("log_loss is 0.9, above 0.6"), "{error:?}");
        registry.refuse(&ctx("bo"), &model(), 1, &report, "too weak").await.unwrap();

        let (bo, cy) = (ctx("bo"), ctx("cy"));
        with_report(&registry, 2, 0.5, None).await;
        let report = registry.report(&model(), 2).await.unwrap().unwrap().report;
        registry.refuse(&cy, &model(), 2, &report, "biased").await.unwrap();
        let error = registry.approve(&bo, &model(), 2, &report, "read it").await.unwrap_err();
        assert!(error.is(APPROVAL_REFUSED) && error.message().contains("`cy` refused late_arrival@2"), "{error:?}");
        assert!(registry.approvals(&model(), 2).await.unwrap().iter().all(|approval| approval.approver == Actor::new("cy")));
        registry.approve(&cy, &model(), 2, &report, "I was wrong").await.unwrap();
        registry.approve(&bo, &model(), 2, &report, "read it").await.unwrap();
        let approvals = registry.approvals(&model(), 2).await.unwrap();
        let by = vec![Actor::new("bo"), Actor::new("cy")];
        let of = registry.version(&model(), 2).await.unwrap();
        assert_eq!(standing(&of, &report, &approvals, 2), ApprovalState::Granted { by });
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn an_approval_is_for_the_report_that_was_seen() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let bo = ctx("bo");
        registry.register(&ctx("cy"), new_version(9)).await.unwrap();
        let unseen = Digest::of(b"another report");
        assert!(registry.approve(&bo, &model(), 1, &unseen, "read it").await.unwrap_err().is(REPORT_MISSING));
        let version = with_report(&registry, 1, 0.5, None).await;
        assert!(registry.approve(&bo, &model(), 2, &unseen, "read it").await.unwrap_err().is(REPORT_CHANGED));

        let report = registry.report(&model(), 2).await.unwrap().unwrap().report;
        registry.approve(&bo, &model(), 2, &report, "read it").await.unwrap();
        let changed = facts(0.4, None);
        let new_report = Digest::of_json(&changed);
        registry.attach_facts(&bo, &model(), 2, new_report, changed).await.unwrap();
        let approvals = registry.approvals(&model(), 2).await.unwrap();
        let void = ApprovalState::Waiting { granted_by: vec![], n_missing: 1 };
        assert_eq!(standing(&version, &new_report, &approvals, 1), void);
    });
}

proptest! {
    /// Whatever is in the table, an approval by the author or by whoever had a hand in the version, by a machine, or for another digest never counts.
    #[test]
    fn no_mix_of_void_approvals_counts(kinds in proptest::collection::vec(0_usize..6, 0..20), n_needed in 1_u64..4) {
        let report = Digest::of(b"report");
        let new = new_version(1);
        let version = lw_registry::ModelVersion {
            model: new.model.clone(),
            version: 1,
            digest: new.digest(),
            recipe: new.recipe,
            signature: new.signature,
            lineage: new.lineage,
            artifacts: new.artifacts,
            run: None,
            author: new.author,
            hands: lw_registry::Hands::from([(lw_registry::Hand::Started, Actor::new("dee"))]),
            registered_at: lw_core::Timestamp::from_micros(0),
            origin: lw_registry::Origin::default(),
        };
        let approvals: Vec<lw_registry::Approval> = kinds.iter().map(|kind| {
            let good = lw_registry::Approval {
                approver: Actor::new("bo"),
                verdict: lw_registry::Verdict::Granted,
                version_digest: version.digest,
                report,
                reason: String::new(),
                decided_at: version.registered_at,
            };
            match kind {
                0 => lw_registry::Approval { approver: version.author.clone(), ..good },
                1 => lw_registry::Approval { approver: Actor::new("service:ci"), ..good },
                4 => lw_registry::Approval { approver: Actor::new("dee"), ..good },
                5 => lw_registry::Approval { approver: Actor::new("ANA"), ..good },
                2 => lw_registry::Approval { report: Digest::of(b"other"), ..good },
                _ => lw_registry::Approval { version_digest: Digest::of(b"other"), ..good },
            }
        }).collect();
        let waiting = ApprovalState::Waiting { granted_by: vec![], n_missing: n_needed };
        prop_assert_eq!(standing(&version, &report, &approvals, n_needed), waiting);
    }
}
