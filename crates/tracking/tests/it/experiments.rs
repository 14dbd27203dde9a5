use std::collections::BTreeMap;

use lw_store::testing::both;
use lw_tracking::{
    BAD_LOG_KEY, Circumstances, EXPERIMENT_DELETED, EXPERIMENT_EXISTS, EXPERIMENT_NOT_FOUND, ExperimentId, Lifecycle, NewRun,
    Tracking,
};

use crate::{ctx, with_run};

#[test]
fn experiments_are_made_found_listed_and_renamed() {
    both(|store| async move {
        let (tracking, ctx) = (Tracking::new(store.clone()), ctx());
        let tags = BTreeMap::from([("team".to_owned(), "ops".to_owned())]);
        let first = tracking.create_experiment(&ctx, "first", tags).await.unwrap();
        let second = tracking.ensure_experiment(&ctx, "second").await.unwrap();
        assert_eq!(tracking.ensure_experiment(&ctx, "second").await.unwrap(), second);
        assert_eq!((first.id.number(), second.id.number()), (1, 2));
        tracking.tag_experiment(&ctx, second.id, "team", "research").await.unwrap();

        assert_eq!(tracking.experiment_by_name("first").await.unwrap(), first);
        assert_eq!(tracking.experiment(second.id).await.unwrap().tags["team"], "research");
        let listed = tracking.experiments(None, Some(first.id), 10).await.unwrap();
        assert_eq!(listed.iter().map(|experiment| experiment.id).collect::<Vec<_>>(), [second.id]);

        let taken = tracking.create_experiment(&ctx, "first", BTreeMap::new()).await.unwrap_err();
        assert!(taken.is(EXPERIMENT_EXISTS));
        assert!(tracking.rename_experiment(&ctx, second.id, "first").await.unwrap_err().is(EXPERIMENT_EXISTS));
        assert_eq!(tracking.rename_experiment(&ctx, second.id, "renamed").await.unwrap().name, "renamed");
        assert!(tracking.experiment_by_name("second").await.unwrap_err().is(EXPERIMENT_NOT_FOUND));
        assert!(ExperimentId::parse("abc").unwrap_err().is(EXPERIMENT_NOT_FOUND));
        assert!(tracking.ensure_experiment(&ctx, "  ").await.unwrap_err().is(BAD_LOG_KEY));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn deleting_an_experiment_takes_its_runs_along() {
    both(|store| async move {
        let (tracking, ctx, experiment, run) = with_run(store.clone()).await;
        let lifecycle_of_run = async || tracking.run(&run.id).await.unwrap().run.lifecycle;
        tracking.delete_experiment(&ctx, experiment.id).await.unwrap();
        assert_eq!(lifecycle_of_run().await, Lifecycle::Deleted);
        assert!(tracking.delete_experiment(&ctx, experiment.id).await.unwrap_err().is(EXPERIMENT_DELETED));
        let name_stays = tracking.create_experiment(&ctx, "late_arrival", BTreeMap::new()).await.unwrap_err();
        assert!(name_stays.is(EXPERIMENT_EXISTS));
        let new = NewRun::of(experiment.id, Circumstances::default());
        assert!(tracking.start_run(&ctx, new).await.unwrap_err().is(EXPERIMENT_DELETED));
        assert!(tracking.rename_experiment(&ctx, experiment.id, "x").await.unwrap_err().is(EXPERIMENT_DELETED));
        assert_eq!(tracking.experiments(Some(Lifecycle::Deleted), None, 10).await.unwrap().len(), 1);

        tracking.restore_experiment(&ctx, experiment.id).await.unwrap();
        assert_eq!(lifecycle_of_run().await, Lifecycle::Active);
        assert!(tracking.restore_experiment(&ctx, experiment.id).await.is_err());
        assert!(store.verify().await.unwrap().is_sound());
    });
}
