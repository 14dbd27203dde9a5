use std::collections::BTreeMap;

use lw_core::{Ctx, RunId, Timestamp};
use lw_store::testing::both;
use lw_store::{EntryFilter, Mention};
use lw_tracking::{
    AdoptedExperiment, AdoptedModel, AdoptedRun, Batch, EXPERIMENT_NOT_FOUND, Experiment, ExperimentId, Lifecycle, LoggedModelId,
    LoggedModelStatus, Measurement, MetricPoint, ModelEnd, ModelMetric, NewExperiment, RunEnd, RunStatus, RunUpdate, Tracking,
};

use crate::{ctx, with_run};

const SOURCE: &str = "http://old.example.org:5000";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn id(digit: char) -> RunId {
    RunId::parse(&digit.to_string().repeat(32)).unwrap()
}

fn experiment(name: &str) -> AdoptedExperiment {
    let new = NewExperiment { tags: BTreeMap::from([("team".to_owned(), "air".to_owned())]), ..NewExperiment::named(name) };
    AdoptedExperiment { new, created_at: at(1000), updated_at: at(2000), source: SOURCE.to_owned() }
}

fn run(digit: char, experiment: ExperimentId) -> AdoptedRun {
    AdoptedRun {
        id: id(digit),
        experiment,
        name: "first".to_owned(),
        user_id: "bo".to_owned(),
        started_at: at(5000),
        tags: vec![("mlflow.user".to_owned(), "bo".to_owned()), ("mlflow.runName".to_owned(), "first".to_owned())],
        source: SOURCE.to_owned(),
    }
}

const FINISHED: RunEnd = RunEnd { status: RunStatus::Finished, ended_at: None, is_deleted: false, deleted_at: None };

async fn actions(tracking: &Tracking, store: &lw_store::Store, run: &RunId) -> Vec<String> {
    let subject = tracking.run(run).await.unwrap().run.subject();
    let entries = store.entries(EntryFilter::about(subject, Mention::Subject)).await.unwrap();
    entries.into_iter().map(|entry| entry.action).collect()
}

async fn begun(store: lw_store::Store) -> (Tracking, Ctx, Experiment) {
    let (tracking, ctx) = (Tracking::new(store), ctx());
    let experiment = tracking.adopt_experiment(&ctx, experiment("delays")).await.unwrap();
    assert!(experiment.is_new);
    (tracking, ctx, experiment.item)
}

#[test]
fn an_experiment_is_matched_by_name_and_keeps_its_times() {
    both(|store| async move {
        let (tracking, ctx, first) = begun(store.clone()).await;
        assert_eq!((first.created_at, first.updated_at), (at(1000), at(2000)));
        assert_eq!(tracking.experiment_by_name("delays").await.unwrap(), first);

        tracking.tag_experiment(&ctx, first.id, "team", "rail").await.unwrap();
        let mut again = experiment("delays");
        again.new.tags.insert("goal".to_owned(), "auc".to_owned());
        let again = tracking.adopt_experiment(&ctx, again).await.unwrap();
        assert_eq!((again.is_new, again.item.id, again.item.tags["team"].as_str()), (false, first.id, "rail"));
        assert_eq!(tracking.experiment(first.id).await.unwrap().tags["goal"], "auc");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_deleted_experiment_is_closed_when_nobody_uses_it() {
    both(|store| async move {
        let (tracking, ctx, experiment) = begun(store.clone()).await;
        tracking.adopt_run(&ctx, run('a', experiment.id)).await.unwrap();
        let used = tracking.close_adopted_experiment(&ctx, experiment.id, at(9000)).await.unwrap();
        assert_eq!(used.lifecycle, Lifecycle::Active);

        let end = RunEnd { is_deleted: true, deleted_at: Some(at(8000)), ..FINISHED };
        let deleted = tracking.finish_adopted_run(&ctx, &id('a'), end).await.unwrap();
        assert_eq!((deleted.lifecycle, deleted.deleted_at), (Lifecycle::Deleted, Some(at(8000))));
        let closed = tracking.close_adopted_experiment(&ctx, experiment.id, at(9000)).await.unwrap();
        assert_eq!((closed.lifecycle, closed.updated_at), (Lifecycle::Deleted, at(9000)));

        // A deleted experiment takes what is still to come.
        let late = tracking.adopt_run(&ctx, run('b', experiment.id)).await.unwrap();
        assert!(late.is_new && late.is_open);
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_run_is_brought_once_with_its_own_id_and_times() {
    both(|store| async move {
        let (tracking, ctx, experiment) = begun(store.clone()).await;
        let adopted = tracking.adopt_run(&ctx, run('a', experiment.id)).await.unwrap();
        assert!(adopted.is_new && adopted.is_open);
        assert_eq!(adopted.item.artifact_uri, format!("mlflow-artifacts:/{}/{}/artifacts", experiment.id, id('a')));

        let batch = || Batch::default().param("l2", "1").metric("auc", 0.7, at(5001), -1).metric("auc", f64::NAN, at(5002), 2);
        tracking.log(&ctx, &id('a'), batch()).await.unwrap();
        // The import is killed here and starts again.
        let again = tracking.adopt_run(&ctx, run('a', experiment.id)).await.unwrap();
        assert_eq!((again.is_new, again.is_open), (false, true));
        tracking.log(&ctx, &id('a'), batch()).await.unwrap();
        let end = RunEnd { ended_at: Some(at(6000)), ..FINISHED };
        let finished = tracking.finish_adopted_run(&ctx, &id('a'), end).await.unwrap();
        assert_eq!(finished.seal.as_ref().unwrap().n_points, 2);

        let data = tracking.run(&id('a')).await.unwrap();
        assert_eq!((data.run.name.as_str(), data.run.user_id.as_str(), data.run.started_by.as_str()), ("first", "bo", "ana"));
        assert_eq!((data.run.started_at, data.run.ended_at), (at(5000), Some(at(6000))));
        let complete = tracking.adopt_run(&ctx, run('a', experiment.id)).await.unwrap();
        assert_eq!((complete.is_new, complete.is_open, complete.item.seal), (false, false, finished.seal));
        // A second end changes nothing.
        tracking.finish_adopted_run(&ctx, &id('a'), RunEnd { status: RunStatus::Failed, ..FINISHED }).await.unwrap();
        assert_eq!(actions(&tracking, &store, &id('a')).await, ["run.import", "run.finish"]);
        let error = tracking.adopt_run(&ctx, run('c', ExperimentId::parse("77").unwrap())).await.unwrap_err();
        assert!(error.is(EXPERIMENT_NOT_FOUND));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_run_that_goes_on_elsewhere_stays_open() {
    both(|store| async move {
        let (tracking, ctx, experiment) = begun(store.clone()).await;
        tracking.adopt_run(&ctx, run('a', experiment.id)).await.unwrap();
        let goes_on = RunEnd { status: RunStatus::Running, ..FINISHED };
        for _ in 0..2 {
            let going = tracking.finish_adopted_run(&ctx, &id('a'), goes_on).await.unwrap();
            assert_eq!((going.status, going.seal), (RunStatus::Running, None));
        }
        assert!(tracking.adopt_run(&ctx, run('a', experiment.id)).await.unwrap().is_open);
        assert_eq!(actions(&tracking, &store, &id('a')).await, ["run.import"]);

        // One that never ended and was deleted is complete.
        let deleted = RunEnd { is_deleted: true, ..goes_on };
        assert_eq!(tracking.finish_adopted_run(&ctx, &id('a'), deleted).await.unwrap().deleted_at, Some(ctx.now()));
        assert!(!tracking.adopt_run(&ctx, run('a', experiment.id)).await.unwrap().is_open);
    });
}

#[test]
fn runs_that_belong_to_somebody_here_are_left_alone() {
    both(|store| async move {
        let (tracking, ctx, experiment, own) = with_run(store.clone()).await;
        let wanted = AdoptedRun { id: own.id.clone(), ..run('a', experiment.id) };
        let found = tracking.adopt_run(&ctx, wanted).await.unwrap();
        assert_eq!((found.is_new, found.is_open, found.item), (false, false, own));

        // Somebody goes on with a run that was brought.
        tracking.adopt_run(&ctx, run('a', experiment.id)).await.unwrap();
        tracking.finish_adopted_run(&ctx, &id('a'), FINISHED).await.unwrap();
        let goes_on = RunUpdate { status: Some(RunStatus::Running), ..RunUpdate::default() };
        tracking.update_run(&ctx, &id('a'), goes_on).await.unwrap();
        assert!(!tracking.adopt_run(&ctx, run('a', experiment.id)).await.unwrap().is_open);
    });
}

fn model(experiment: ExperimentId) -> AdoptedModel {
    let id_of_model = LoggedModelId::parse(&format!("m-{}", "0".repeat(32))).unwrap();
    let measured = |value: f64, step: i64| Measurement {
        run: id('a'),
        metric: ModelMetric {
            model: id_of_model.clone(),
            key: "auc".to_owned(),
            point: MetricPoint { value, at: at(7), step },
            dataset_name: Some("flights".to_owned()),
            dataset_digest: Some("d1".to_owned()),
        },
    };
    AdoptedModel {
        experiment,
        name: "booster".to_owned(),
        model_type: "Classifier".to_owned(),
        source_run: id('a').to_string(),
        created_at: at(3000),
        params: vec![("depth".to_owned(), "3".to_owned())],
        tags: vec![("stage".to_owned(), "trial".to_owned())],
        metrics: vec![measured(0.7, 1), measured(f64::NAN, 2)],
        source: SOURCE.to_owned(),
        id: id_of_model.clone(),
    }
}

#[test]
fn a_logged_model_is_brought_once_with_its_measurements() {
    both(|store| async move {
        let (tracking, ctx, experiment) = begun(store.clone()).await;
        let wanted = model(experiment.id);
        let of_model = wanted.id.clone();
        let first = AdoptedModel { metrics: wanted.metrics[..1].to_vec(), ..wanted.clone() };
        assert!(tracking.adopt_logged_model(&ctx, first).await.unwrap().is_new);
        let again = tracking.adopt_logged_model(&ctx, wanted.clone()).await.unwrap();
        assert_eq!((again.is_new, again.is_open), (false, true));

        tracking.adopt_run(&ctx, run('a', experiment.id)).await.unwrap();
        let end = ModelEnd { status: LoggedModelStatus::Ready, updated_at: at(4000), is_deleted: false };
        tracking.finish_adopted_model(&ctx, &of_model, end).await.unwrap();
        let data = tracking.logged_model(&of_model).await.unwrap();
        assert_eq!(
            (data.model.status, data.model.created_at, data.model.updated_at),
            (LoggedModelStatus::Ready, at(3000), at(4000))
        );
        assert_eq!((data.params["depth"].as_str(), data.tags["stage"].as_str()), ("3", "trial"));
        let steps: Vec<_> = data.metrics.iter().map(|m| (m.metric.point.step, m.metric.point.value.is_nan())).collect();
        assert_eq!(steps, [(1, false), (2, true)]);

        assert!(!tracking.adopt_logged_model(&ctx, wanted).await.unwrap().is_open);
        let entries = store.entries(EntryFilter::about(of_model.subject(), Mention::Subject)).await.unwrap();
        assert_eq!(
            entries.iter().map(|e| e.action.as_str()).collect::<Vec<_>>(),
            ["logged_model.import", "logged_model.finalize"]
        );
        assert_eq!(entries[1].inputs.len(), 1, "the run that made it is here by now");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_deleted_logged_model_stays_deleted() {
    both(|store| async move {
        let (tracking, ctx, experiment) = begun(store.clone()).await;
        let wanted = model(experiment.id);
        tracking.adopt_logged_model(&ctx, wanted.clone()).await.unwrap();
        let end = ModelEnd { status: LoggedModelStatus::Pending, updated_at: at(4000), is_deleted: true };
        tracking.finish_adopted_model(&ctx, &wanted.id, end).await.unwrap();
        assert_eq!(tracking.logged_model_or_deleted(&wanted.id).await.unwrap().model.lifecycle, Lifecycle::Deleted);
        assert!(!tracking.adopt_logged_model(&ctx, wanted).await.unwrap().is_open);
    });
}
