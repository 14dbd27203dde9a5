use lw_core::{Draft, Subject, SubjectKind};
use lw_registry::{Alias, MODEL_PROTECTED, NEVER_CHAMPION, Protection, Stage, protect_in, retire_champion_in};
use lw_store::testing::both;
use lw_store::{EntryFilter, Store};

use crate::{ctx, model, new_version, promotion, with_model, with_report};

async fn protect(store: &Store, protections: Vec<(lw_core::ModelName, Protection)>) {
    store.write(&ctx("ana"), move |tx| protect_in(tx, &protections)).await.unwrap();
}

#[test]
fn what_a_project_protects_is_not_set_around_it() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let ana = ctx("ana");
        registry.register(&ana, new_version(1)).await.unwrap();
        let production = Alias::parse("production").unwrap();
        let gated = Protection::defined(true, [production.clone()]);
        protect(&store, vec![(model(), gated.clone())]).await;
        protect(&store, vec![(model(), gated)]).await;
        for alias in [&production, &Alias::champion()] {
            let refused = registry.set_alias(&ana, model(), alias, 1).await.unwrap_err();
            assert!(refused.is(MODEL_PROTECTED), "{refused:?}");
            assert!(refused.hint_text().unwrap().contains("loopwright approve late_arrival@VERSION"), "{refused:?}");
        }
        let refused = registry.set_stage(&ana, model(), 1, Stage::Production, true).await.unwrap_err();
        assert_eq!(refused.message(), "the stage `Production` of model `late_arrival` is protected and not set by hand");
        registry.set_stage(&ana, model(), 1, Stage::Staging, false).await.unwrap();
        assert!(registry.delete_model(&ana, model()).await.unwrap_err().is(MODEL_PROTECTED));
        let other = lw_core::ModelName::parse("other").unwrap();
        assert!(registry.rename_model(&ana, model(), &other).await.unwrap_err().is(MODEL_PROTECTED));
        // A project that has the model no more lets it go.
        protect(&store, Vec::new()).await;
        for alias in [&production, &Alias::champion()] {
            registry.set_alias(&ana, model(), alias, 1).await.unwrap();
        }
        registry.set_stage(&ana, model(), 1, Stage::Production, true).await.unwrap();
        registry.delete_model(&ana, model()).await.unwrap();
        let entries = store.entries(EntryFilter::all().action("model.*")).await.unwrap();
        let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["model.create", "model.protect", "model.free", "model.delete"]);
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_champion_named_by_hand_is_none_to_a_project() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let ana = ctx("ana");
        registry.register(&ana, new_version(1)).await.unwrap();
        registry.set_alias(&ana, model(), &Alias::champion(), 1).await.unwrap();
        protect(&store, vec![(model(), Protection::defined(true, []))]).await;
        assert!(registry.champion(&model()).await.unwrap().is_none());
        assert!(registry.roll_back(&ana, model(), 1, "sneaky").await.unwrap_err().is(NEVER_CHAMPION));
        // One that went through gates stays, whatever becomes of the project, and is not replaced by hand.
        with_report(&registry, 2, 0.5, None).await;
        registry.promote(&ana, promotion(2, 0, None)).await.unwrap();
        protect(&store, Vec::new()).await;
        let refused = registry.set_alias(&ana, model(), &Alias::champion(), 1).await.unwrap_err();
        assert!(refused.is(MODEL_PROTECTED) && refused.hint_text().unwrap().contains("Define the model"), "{refused:?}");
        assert!(registry.remove_alias(&ana, model(), &Alias::champion()).await.unwrap_err().is(MODEL_PROTECTED));
        protect(&store, vec![(model(), Protection::defined(true, []))]).await;
        assert_eq!(registry.champion(&model()).await.unwrap().unwrap().version, 2);
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_name_that_a_project_defines_is_not_taken_by_a_rename() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let reserved = lw_core::ModelName::parse("reserved").unwrap();
        protect(&store, vec![(reserved.clone(), Protection::defined(false, []))]).await;
        assert!(registry.rename_model(&ctx("ana"), model(), &reserved).await.unwrap_err().is(MODEL_PROTECTED));
    });
}

#[test]
fn what_serves_or_is_champion_is_not_deleted() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let ana = ctx("ana");
        for seed in 1..=2 {
            with_report(&registry, seed, 0.5, None).await;
        }
        registry.promote(&ana, promotion(1, 0, None)).await.unwrap();
        assert!(registry.delete_version(&ana, model(), 1).await.unwrap_err().is(MODEL_PROTECTED));
        assert!(registry.delete_model(&ana, model()).await.unwrap_err().is(MODEL_PROTECTED));
        // An endpoint that serves the other version as its canary.
        deploy(&store, 1, &[1, 2]).await;
        let refused = registry.delete_version(&ana, model(), 2).await.unwrap_err();
        assert_eq!(refused.message(), "endpoint `late_arrival` serves version 2 of model `late_arrival`");
        deploy(&store, 2, &[]).await;
        registry.delete_version(&ana, model(), 2).await.unwrap();
        store.write(&ana, |tx| retire_champion_in(tx, &model(), "over").map(drop)).await.unwrap();
        registry.delete_model(&ana, model()).await.unwrap();
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_number_that_a_deleted_champion_had_is_not_rolled_back_to() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let ana = ctx("ana");
        with_report(&registry, 1, 0.5, None).await;
        registry.promote(&ana, promotion(1, 0, None)).await.unwrap();
        store.write(&ana, |tx| retire_champion_in(tx, &model(), "over").map(drop)).await.unwrap();
        registry.delete_model(&ana, model()).await.unwrap();
        with_model(&store).await;
        assert_eq!(registry.register(&ana, new_version(2)).await.unwrap().version, 1);
        let refused = registry.roll_back(&ana, model(), 1, "sneaky").await.unwrap_err();
        assert!(refused.is(NEVER_CHAMPION), "{refused:?}");
    });
}

/// A deployment as serving records it.
async fn deploy(store: &Store, generation: u64, versions: &[u64]) {
    let mut draft = Draft::new("deployment.activate", Subject::new(SubjectKind::Deployment, "late_arrival", generation));
    for version in versions {
        draft = draft.input("version", Subject::new(SubjectKind::ModelVersion, model(), *version), None);
    }
    store.write(&ctx("ana"), move |tx| tx.record(draft).map(drop)).await.unwrap();
}
