use std::collections::BTreeMap;

use lw_store::testing::both;
use lw_tracking::{
    BAD_ARTIFACT_LOCATION, BAD_EXPERIMENT_ID, BAD_EXPERIMENT_NAME, BAD_LOG_KEY, Circumstances, EXPERIMENT_DELETED,
    EXPERIMENT_EXISTS, EXPERIMENT_NOT_FOUND, ExperimentId, Lifecycle, NewExperiment, NewRun, TAG_NOT_FOUND, Tracking,
};

use crate::{ctx, with_run};

#[test]
fn experiments_are_made_found_listed_and_renamed() {
    both(|store| async move {
        let (tracking, ctx) = (Tracking::new(store.clone()), ctx());
        let tags = BTreeMap::from([("team".to_owned(), "ops".to_owned())]);
        let first = tracking.create_experiment(&ctx, NewExperiment { tags, ..NewExperiment::named("first") }).await.unwrap();
        let second = tracking.ensure_experiment(&ctx, "second").await.unwrap();
        assert_eq!(tracking.ensure_experiment(&ctx, "second").await.unwrap(), second);
        assert_eq!((first.id.number(), second.id.number()), (1, 2));
        tracking.tag_experiment(&ctx, second.id, "team", "research").await.unwrap();

        assert_eq!(tracking.experiment_by_name("first").await.unwrap(), first);
        assert_eq!(tracking.experiment(second.id).await.unwrap().tags["team"], "research");
        let listed = tracking.experiments(None, Some(first.id), 10).await.unwrap();
        assert_eq!(listed.iter().map(|experiment| experiment.id).collect::<Vec<_>>(), [second.id]);

        let taken = tracking.create_experiment(&ctx, NewExperiment::named("first")).await.unwrap_err();
        assert!(taken.is(EXPERIMENT_EXISTS));
        assert!(tracking.rename_experiment(&ctx, second.id, "first").await.unwrap_err().is(EXPERIMENT_EXISTS));
        assert_eq!(tracking.rename_experiment(&ctx, second.id, "renamed").await.unwrap().name, "renamed");
        assert!(tracking.experiment_by_name("second").await.unwrap_err().is(EXPERIMENT_NOT_FOUND));
        assert!(tracking.ensure_experiment(&ctx, "  ").await.unwrap_err().is(BAD_EXPERIMENT_NAME));
        assert!(tracking.ensure_experiment(&ctx, &"x".repeat(501)).await.unwrap_err().is(BAD_LOG_KEY));
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
        assert!(tracking.delete_experiment(&ctx, experiment.id).await.unwrap_err().is(EXPERIMENT_NOT_FOUND));
        let name_stays = tracking.create_experiment(&ctx, NewExperiment::named("late_arrival")).await.unwrap_err();
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

/// More than change in one transaction.
const N_MANY: usize = 450;

#[test]
fn an_experiment_with_many_runs_goes_and_returns_while_others_write() {
    both(|store| async move {
        let (tracking, ctx, experiment, first) = with_run(store.clone()).await;
        let other = tracking.ensure_experiment(&ctx, "other").await.unwrap();
        for _ in 1..N_MANY {
            tracking.start_run(&ctx, NewRun::of(experiment.id, Circumstances::default())).await.unwrap();
        }
        let n_of = async |lifecycle| tracking.runs(&[experiment.id], Some(lifecycle), None, 1000).await.unwrap().len();
        // The second write waits for the experiment and not for its runs.
        let new = NewRun::of(other.id, Circumstances::default());
        let (deleted, started) = tokio::join!(tracking.delete_experiment(&ctx, experiment.id), tracking.start_run(&ctx, new));
        assert_eq!((deleted.unwrap().lifecycle, n_of(Lifecycle::Deleted).await), (Lifecycle::Deleted, N_MANY));
        let all = lw_store::EntryFilter { limit: 1000, ..lw_store::EntryFilter::all() };
        let mut entries = store.entries(all).await.unwrap();
        entries.sort_by_key(|entry| entry.seq);
        let place = |action: &str, name: &str| {
            entries.iter().rposition(|entry| entry.action == action && (name.is_empty() || entry.subject.name == name))
        };
        let gone = place("experiment.delete", "").unwrap();
        let last_run = place("run.delete", "").unwrap();
        assert!(gone < last_run && place("run.start", started.unwrap().id.as_str()).unwrap() < last_run);

        // As if the deletion had broken off before one of the runs.
        tracking.restore_run(&ctx, &first.id).await.unwrap();
        tracking.delete_experiment(&ctx, experiment.id).await.unwrap();
        assert_eq!(n_of(Lifecycle::Active).await, 0);
        assert!(tracking.delete_experiment(&ctx, experiment.id).await.unwrap_err().is(EXPERIMENT_NOT_FOUND));

        // As if a restoration had broken off after one of the runs.
        tracking.restore_run(&ctx, &first.id).await.unwrap();
        tracking.restore_experiment(&ctx, experiment.id).await.unwrap();
        assert_eq!(n_of(Lifecycle::Active).await, N_MANY);
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn the_default_experiment_is_made_once_and_by_the_platform() {
    both(|store| async move {
        let (tracking, ctx) = (Tracking::new(store.clone()), ctx());
        let named = tracking.ensure_experiment(&ctx, "mine").await.unwrap();
        for _ in 0..2 {
            tracking.ensure_default_experiment(&ctx).await.unwrap();
        }
        let default = tracking.experiment(ExperimentId::DEFAULT).await.unwrap();
        assert_eq!((default.name.as_str(), default.artifact_location.as_str()), ("Default", "mlflow-artifacts:/0"));
        assert_eq!(named.id.number(), 1);
        let entries = store.entries(lw_store::EntryFilter::all()).await.unwrap();
        let made: Vec<_> = entries.iter().filter(|entry| entry.subject.name == "0").collect();
        assert_eq!((made.len(), made[0].actor.as_str()), (1, "loopwright:tracking"));
    });
}

#[test]
fn artifacts_lie_below_the_location_of_their_experiment() {
    both(|store| async move {
        let (tracking, ctx) = (Tracking::new(store), ctx());
        let create = async |location: Option<&str>| {
            let new = NewExperiment { artifact_location: location.map(str::to_owned), ..NewExperiment::named("located") };
            tracking.create_experiment(&ctx, new).await
        };
        for refused in ["http://host/x", "runs:/a/b", "s3://b/k#f"] {
            assert!(create(Some(refused)).await.unwrap_err().is(BAD_ARTIFACT_LOCATION), "{refused}");
        }
        let experiment = create(Some("s3://bucket/folder/")).await.unwrap();
        let run = tracking.start_run(&ctx, NewRun::of(experiment.id, Circumstances::default())).await.unwrap();
        assert_eq!(run.artifact_uri, format!("s3://bucket/folder/{}/artifacts", run.id));
    });
}

#[test]
fn tags_of_experiments_come_and_go() {
    both(|store| async move {
        let (tracking, ctx, experiment, _) = with_run(store).await;
        tracking.tag_experiment(&ctx, experiment.id, "note", &"x".repeat(20_000)).await.unwrap();
        assert!(tracking.tag_experiment(&ctx, experiment.id, "note", &"x".repeat(20_001)).await.unwrap_err().is(BAD_LOG_KEY));
        assert!(tracking.tag_experiment(&ctx, experiment.id, "a//b", "x").await.unwrap_err().is(BAD_LOG_KEY));
        tracking.remove_experiment_tag(&ctx, experiment.id, "note").await.unwrap();
        assert!(tracking.remove_experiment_tag(&ctx, experiment.id, "note").await.unwrap_err().is(TAG_NOT_FOUND));
    });
}

#[test]
fn ids_are_whole_numbers() {
    assert_eq!(ExperimentId::parse(" 17 ").unwrap().number(), 17);
    assert!(ExperimentId::parse("abc").unwrap_err().is(BAD_EXPERIMENT_ID));
    assert!(ExperimentId::parse("1.5").unwrap_err().is(BAD_EXPERIMENT_ID));
    assert!(ExperimentId::parse("-1").unwrap_err().is(EXPERIMENT_NOT_FOUND));
    assert!(ExperimentId::parse("99999999999999999999").unwrap_err().is(EXPERIMENT_NOT_FOUND));
}
