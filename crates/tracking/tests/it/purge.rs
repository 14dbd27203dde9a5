use lw_core::{Digest, Draft, Subject, SubjectKind, Timestamp};
use lw_store::testing::both;
use lw_store::{EntryFilter, Mention, Reader, Store, SweepMode, Tx};
use lw_tracking::{Batch, Circumstances, EXPERIMENT_NOT_FOUND, NewLoggedModel, NewRun, Purge, RUN_NOT_FOUND};

use crate::with_run;

fn later() -> Timestamp {
    Timestamp::parse("2013-06-01").unwrap()
}

#[test]
fn what_was_deleted_long_ago_goes_for_good() {
    both(|store| async move {
        let (tracking, ctx, experiment, run) = with_run(store.clone()).await;
        let kept = tracking.start_run(&ctx, NewRun::of(experiment.id, Circumstances::default())).await.unwrap();
        for id in [&run.id, &kept.id] {
            let batch = Batch::default().param("l2", "1").metric("auc", 0.7, ctx.now(), 0).tag("a", "b");
            tracking.log(&ctx, id, batch).await.unwrap();
            tracking.log_artifact(&ctx, id, "model/a", Digest::of(b"a"), 7).await.unwrap();
        }
        tracking.delete_run(&ctx, &run.id).await.unwrap();

        let early = tracking.purge(&ctx, run.started_at, SweepMode::Remove).await.unwrap();
        assert_eq!(early, Purge::default(), "it was not deleted long enough ago");
        let want = Purge { runs: vec![run.id.clone()], n_artifacts: 1, artifact_bytes: 7, ..Purge::default() };
        assert_eq!(tracking.purge(&ctx, later(), SweepMode::DryRun).await.unwrap(), want);
        assert!(tracking.run(&run.id).await.is_ok(), "a dry run removes nothing");
        assert_eq!(tracking.purge(&ctx, later(), SweepMode::Remove).await.unwrap(), want);

        assert!(tracking.run(&run.id).await.unwrap_err().is(RUN_NOT_FOUND));
        let id = run.id.clone();
        let n_rows = store.read(move |reader| {
            let mut n_rows = 0;
            for table in ["run_param", "run_metric", "run_latest_metric", "run_tag"] {
                n_rows += reader.query(&format!("SELECT * FROM {table} WHERE run NOT IN (SELECT number FROM run)"), &[])?.len();
            }
            for table in ["run_dataset", "run_model_input", "run_model_output"] {
                n_rows += reader.query(&format!("SELECT * FROM {table} WHERE run = $1"), &[(&id).into()])?.len();
            }
            n_rows += reader.query("SELECT * FROM artifact WHERE owner = $1", &[(&id).into()])?.len();
            n_rows += reader.query("SELECT * FROM artifact_folder WHERE owner = $1", &[(&id).into()])?.len();
            Ok(n_rows)
        });
        assert_eq!(n_rows.await.unwrap(), 0, "nothing of it is left");
        let data = tracking.run(&kept.id).await.unwrap();
        assert_eq!((data.metrics.len(), tracking.artifacts(&kept.id, "").await.unwrap().len()), (1, 1));
        let entries = store.entries(EntryFilter::about(run.subject(), Mention::Subject)).await.unwrap();
        assert_eq!(entries.last().unwrap().action, "run.purge", "the ledger keeps that it was there");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_purged_experiment_frees_its_name() {
    both(|store| async move {
        let (tracking, ctx, experiment, run) = with_run(store.clone()).await;
        tracking.tag_experiment(&ctx, experiment.id, "team", "delays").await.unwrap();
        tracking.delete_experiment(&ctx, experiment.id).await.unwrap();
        let want =
            Purge { runs: vec![run.id.clone()], experiments: vec![(experiment.id, experiment.name.clone())], ..Purge::default() };
        assert_eq!(tracking.purge(&ctx, later(), SweepMode::DryRun).await.unwrap(), want);
        assert_eq!(tracking.purge(&ctx, later(), SweepMode::Remove).await.unwrap(), want);
        assert!(tracking.experiment(experiment.id).await.unwrap_err().is(EXPERIMENT_NOT_FOUND));
        let again = tracking.ensure_experiment(&ctx, &experiment.name).await.unwrap();
        assert!(again.tags.is_empty());
        assert_ne!(again.id, experiment.id, "the number of an experiment is never given twice");
        assert_eq!(tracking.purge(&ctx, later(), SweepMode::Remove).await.unwrap(), Purge::default());
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn logged_models_go_with_their_experiment_or_alone() {
    both(|store| async move {
        let (tracking, ctx, experiment, run) = with_run(store.clone()).await;
        let mut models = Vec::new();
        for _ in 0..2 {
            let new = NewLoggedModel {
                experiment: experiment.id,
                name: None,
                model_type: String::new(),
                source_run: run.id.to_string(),
                params: vec![("depth".to_owned(), "3".to_owned())],
                tags: vec![("a".to_owned(), "b".to_owned())],
            };
            let model = tracking.create_logged_model(&ctx, new).await.unwrap().model;
            tracking.log_artifact(&ctx, &model.id, "MLmodel", Digest::of(b"m"), 5).await.unwrap();
            models.push(model.id);
        }
        models.sort();
        tracking.delete_logged_model(&ctx, &models[0]).await.unwrap();
        let want = Purge { models: vec![models[0].clone()], n_artifacts: 1, artifact_bytes: 5, ..Purge::default() };
        assert_eq!(tracking.purge(&ctx, later(), SweepMode::DryRun).await.unwrap(), want);
        assert_eq!(tracking.purge(&ctx, later(), SweepMode::Remove).await.unwrap(), want);
        tracking.delete_experiment(&ctx, experiment.id).await.unwrap();
        let want = Purge {
            runs: vec![run.id.clone()],
            models: vec![models[1].clone()],
            experiments: vec![(experiment.id, experiment.name.clone())],
            n_artifacts: 1,
            artifact_bytes: 5,
            ..Purge::default()
        };
        assert_eq!(tracking.purge(&ctx, later(), SweepMode::DryRun).await.unwrap(), want);
        assert_eq!(tracking.purge(&ctx, later(), SweepMode::Remove).await.unwrap(), want);
        let n_rows = store.read(|reader| {
            let tables =
                ["run", "logged_model", "logged_model_param", "logged_model_tag", "artifact", "artifact_folder", "run_tag"];
            tables.iter().try_fold(0, |n_rows, table| Ok(n_rows + reader.query(&format!("SELECT * FROM {table}"), &[])?.len()))
        });
        assert_eq!(n_rows.await.unwrap(), 0);
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn what_lineage_names_stays() {
    both(|store| async move {
        let (tracking, ctx, experiment, run) = with_run(store.clone()).await;
        let version = Subject::new(SubjectKind::ModelVersion, "late_arrival", 1);
        let draft = Draft::new("model.register", version).input("run", run.subject(), None);
        store.write(&ctx, move |tx| tx.record(draft)).await.unwrap();
        tracking.delete_experiment(&ctx, experiment.id).await.unwrap();
        let want = Purge { kept_runs: vec![run.id.clone()], ..Purge::default() };
        assert_eq!(tracking.purge(&ctx, later(), SweepMode::Remove).await.unwrap(), want);
        tracking.restore_experiment(&ctx, experiment.id).await.unwrap();
        assert!(tracking.run(&run.id).await.is_ok());
    });
}

async fn n_rows_of_purged_runs(store: &Store) -> usize {
    let read = |reader: &mut Reader<'_>| {
        ["run_param", "run_metric", "run_latest_metric", "run_tag"].iter().try_fold(
            reader.query("SELECT number FROM purged_run", &[])?.len(),
            |n_rows, table| {
                let sql = format!("SELECT run FROM {table} WHERE run NOT IN (SELECT number FROM run)");
                Ok(n_rows + reader.query(&sql, &[])?.len())
            },
        )
    };
    store.read(read).await.unwrap()
}

#[test]
fn a_long_run_goes_in_pieces_and_takes_nothing_else_along() {
    both(|store| async move {
        let (tracking, ctx, experiment, run) = with_run(store.clone()).await;
        let kept = tracking.start_run(&ctx, NewRun::of(experiment.id, Circumstances::default())).await.unwrap();
        for id in [&run.id, &kept.id] {
            for part in 0..25 {
                let points = (0..999).fold(Batch::default(), |batch, step| {
                    batch.metric(["loss", "auc", "äuc"][step % 3], step as f64, ctx.now(), (part * 999 + step) as i64)
                });
                tracking.log(&ctx, id, points.tag(&format!("tag-{part}"), "x")).await.unwrap();
            }
        }
        tracking.delete_run(&ctx, &run.id).await.unwrap();
        let purge = tracking.purge(&ctx, later(), SweepMode::Remove).await.unwrap();
        assert_eq!(purge.runs, std::slice::from_ref(&run.id));
        assert_eq!(n_rows_of_purged_runs(&store).await, 0);
        let mut n_points = 0;
        for key in ["loss", "auc", "äuc"] {
            n_points += tracking.history(&kept.id, key, 0, 100_000).await.unwrap().points.len();
        }
        assert_eq!(n_points, 25 * 999, "the other run keeps its own");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn what_a_purge_left_behind_belongs_to_nobody_and_goes_with_the_next() {
    both(|store| async move {
        let (tracking, ctx, experiment, run) = with_run(store.clone()).await;
        let left = move |tx: &mut Tx<'_>| {
            let point = "INSERT INTO run_latest_metric (run, metric_key, logged_at, step, metric_value, is_nan) VALUES (70, 'auc', 1, 1, 1, 0)";
            tx.execute(point, &[])?;
            tx.execute("INSERT INTO purged_run (number) VALUES (70)", &[])
        };
        store.write(&ctx, left).await.unwrap();
        let next = tracking.start_run(&ctx, NewRun::of(experiment.id, Circumstances::default())).await.unwrap();
        assert!(tracking.run(&next.id).await.unwrap().metrics.is_empty(), "its number is not one that was purged");
        tracking.purge(&ctx, run.started_at, SweepMode::DryRun).await.unwrap();
        assert_eq!(n_rows_of_purged_runs(&store).await, 2, "a dry run removes nothing");
        assert_eq!(tracking.purge(&ctx, run.started_at, SweepMode::Remove).await.unwrap(), Purge::default());
        assert_eq!(n_rows_of_purged_runs(&store).await, 0);
    });
}
