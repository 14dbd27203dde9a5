use lw_core::{Digest, Subject, SubjectKind, Timestamp};
use lw_store::testing::both;
use lw_store::{EntryFilter, Finding, Mention, Verification};
use lw_tracking::{Batch, Circumstances, Lifecycle, NewRun, RUN_NAME_MISMATCH, RUN_NOT_FOUND, RunStatus, RunUpdate, Tracking};

use crate::with_run;

#[test]
fn the_name_of_a_run_and_its_tag_agree() {
    both(|store| async move {
        let (tracking, ctx, experiment, unnamed) = with_run(store).await;
        let parts: Vec<&str> = unnamed.name.split('-').collect();
        assert!(matches!(parts[..], [_, _, number] if number.parse::<u32>().is_ok()), "{}", unnamed.name);
        let new = |name: Option<&str>, tag: Option<&str>| {
            let mut new = NewRun::of(experiment.id, Circumstances::default());
            new.name = name.map(str::to_owned);
            new.tags = tag.map(|tag| ("mlflow.runName".to_owned(), tag.to_owned())).into_iter().collect();
            new
        };
        for (name, tag, want) in
            [(Some("a"), None, "a"), (None, Some("b"), "b"), (Some("c"), Some("c"), "c"), (Some(""), Some("d"), "d")]
        {
            let run = tracking.start_run(&ctx, new(name, tag)).await.unwrap();
            let data = tracking.run(&run.id).await.unwrap();
            assert_eq!((data.run.name.as_str(), data.tags["mlflow.runName"].as_str()), (want, want));
        }
        let error = tracking.start_run(&ctx, new(Some("a"), Some("b"))).await.unwrap_err();
        assert!(error.is(RUN_NAME_MISMATCH));
    });
}

#[test]
fn finishing_a_run_seals_what_it_logged() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store.clone()).await;
        let batch = Batch::default().param("l2", "1").metric("auc", 0.7, ctx.now(), 0).metric("auc", f64::NAN, ctx.now(), 1);
        tracking.log(&ctx, &run.id, batch).await.unwrap();
        let run = tracking.finish_run(&ctx, &run.id, RunStatus::Finished).await.unwrap();
        let seal = run.seal.clone().unwrap();
        assert_eq!((run.status, run.ended_at, seal.n_points), (RunStatus::Finished, Some(ctx.now()), 2));
        assert_eq!(tracking.seal(&run.id).await.unwrap(), seal);

        let entries = store.entries(EntryFilter::about(run.subject(), Mention::Subject)).await.unwrap();
        assert_eq!(entries.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["run.start", "run.finish"]);
        assert_eq!(entries[1].payload["seal"], serde_json::to_value(&seal).unwrap());

        // Somebody edits a metric behind the ledger's back: the rows are plain, but the seal no longer fits.
        let edit = "UPDATE run_metric SET metric_value = 0.9 WHERE is_nan = 0";
        store.write(&ctx, |tx| tx.execute(edit, &[])).await.unwrap();
        assert_ne!(tracking.seal(&run.id).await.unwrap().metrics, seal.metrics);
        let found = verified(&store, &tracking).await;
        let (subject, parts) = (run.subject(), vec!["metrics".to_owned()]);
        assert_eq!((found.n_seals, found.findings), (1, vec![Finding::SealBroken { subject, parts }]));
    });
}

async fn verified(store: &lw_store::Store, tracking: &Tracking) -> Verification {
    let mut verification = store.verify().await.unwrap();
    tracking.verify_seals(&mut verification).await.unwrap();
    verification
}

#[test]
fn edits_behind_our_back_are_found_in_every_part() {
    for (edit, part) in [
        ("UPDATE run_param SET param_value = '2'", "parameters"),
        ("UPDATE run_latest_metric SET metric_value = 0.9", "metrics"),
        ("DELETE FROM run_metric", "metrics"),
        ("DELETE FROM run_tag WHERE tag_key = 'owner'", "tags"),
        ("DELETE FROM artifact", "artifacts"),
    ] {
        both(move |store| async move {
            let (tracking, ctx, _, run) = with_run(store.clone()).await;
            let batch = Batch::default().param("l2", "1").metric("auc", 0.7, ctx.now(), 0).metric("auc", 0.8, ctx.now(), 1);
            tracking.log(&ctx, &run.id, batch.tag("owner", "ana")).await.unwrap();
            tracking.log_artifact(&ctx, &run.id, "a.txt", Digest::of(b"a"), 1).await.unwrap();
            tracking.finish_run(&ctx, &run.id, RunStatus::Finished).await.unwrap();
            assert!(verified(&store, &tracking).await.is_sound());
            assert!(store.write(&ctx, move |tx| tx.execute(edit, &[])).await.unwrap() > 0, "{edit}");
            let findings = verified(&store, &tracking).await.findings;
            let want = Finding::SealBroken { subject: run.subject(), parts: vec![part.to_owned()] };
            assert_eq!(findings, [want], "{edit}");
        });
    }
}

#[test]
fn what_is_logged_after_the_end_renews_the_seal() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store.clone()).await;
        let first = Batch::default().metric("auc", 0.7, ctx.now(), 0);
        tracking.log(&ctx, &run.id, first.clone()).await.unwrap();
        let update = RunUpdate { status: Some(RunStatus::Finished), name: Some("named at its end".to_owned()), ended_at: None };
        tracking.update_run(&ctx, &run.id, update).await.unwrap();
        assert!(verified(&store, &tracking).await.is_sound(), "a name given with the end is sealed");

        // Repeating what stands changes nothing.
        tracking.log(&ctx, &run.id, first).await.unwrap();
        tracking.log(&ctx, &run.id, Batch::default().tag("best", "yes").param("note", "late")).await.unwrap();
        tracking.log(&ctx, &run.id, Batch::default().metric("auc", 0.9, ctx.now(), 5)).await.unwrap();
        tracking.remove_tag(&ctx, &run.id, "best").await.unwrap();
        tracking.log_artifact(&ctx, &run.id, "late.txt", Digest::of(b"late"), 4).await.unwrap();
        tracking.update_run(&ctx, &run.id, RunUpdate { name: Some("renamed".to_owned()), ..RunUpdate::default() }).await.unwrap();
        tracking.log(&ctx, &run.id, Batch::default().tag("mlflow.runName", "again")).await.unwrap();
        let found = verified(&store, &tracking).await;
        assert!(found.is_sound() && found.n_seals == 1, "{found:?}");
        let filter = EntryFilter::about(run.subject(), Mention::Subject).action("run.reseal");
        let parts: Vec<String> =
            store.entries(filter).await.unwrap().iter().map(|entry| entry.payload["parts"].to_string()).collect();
        let want =
            [r#"["parameters","tags"]"#, r#"["metrics"]"#, r#"["tags"]"#, r#"["artifacts"]"#, r#"["tags"]"#, r#"["tags"]"#];
        assert_eq!(parts, want);

        store.write(&ctx, |tx| tx.execute("UPDATE run_latest_metric SET metric_value = 1.0", &[])).await.unwrap();
        assert_eq!(verified(&store, &tracking).await.n_findings, 1, "a renewed seal still protects");
    });
}

#[test]
fn a_long_history_is_open_after_late_points_until_the_run_ends_again() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store.clone()).await;
        for batch in 0..11_i64 {
            let points = (0..1000).map(|step| {
                ("loss".to_owned(), lw_tracking::MetricPoint { value: 0.5, at: ctx.now(), step: batch * 1000 + step })
            });
            tracking.log(&ctx, &run.id, Batch { metrics: points.collect(), ..Batch::default() }).await.unwrap();
        }
        tracking.finish_run(&ctx, &run.id, RunStatus::Finished).await.unwrap();
        for step in 20_000..20_003 {
            tracking.log(&ctx, &run.id, Batch::default().metric("loss", 0.4, ctx.now(), step)).await.unwrap();
        }
        assert_eq!(tracking.run_info(&run.id).await.unwrap().seal.unwrap().metrics, None);
        let filter = EntryFilter::about(run.subject(), Mention::Subject).action("run.reseal");
        assert_eq!(store.entries(filter).await.unwrap().len(), 1, "it is opened once");
        assert!(verified(&store, &tracking).await.is_sound());
        tracking.finish_run(&ctx, &run.id, RunStatus::Finished).await.unwrap();
        assert!(tracking.run_info(&run.id).await.unwrap().seal.unwrap().metrics.is_some());
        assert!(verified(&store, &tracking).await.is_sound());
    });
}

#[test]
fn runs_start_update_and_list_newest_first() {
    both(|store| async move {
        let (tracking, ctx, experiment, first) = with_run(store.clone()).await;
        let mut ids = vec![first.id.clone()];
        for hour in 1..5 {
            let table = Subject::new(SubjectKind::Table, "flights", 3);
            let mut new =
                NewRun::of(experiment.id, Circumstances::default().seed("trainer", u64::MAX)).input("table", table, None);
            new.started_at = Some(Timestamp::parse(&format!("2013-04-02T0{hour}:00:00Z")).unwrap());
            ids.push(tracking.start_run(&ctx, new).await.unwrap().id);
        }
        let page = tracking.runs(&[experiment.id], None, None, 2).await.unwrap();
        assert_eq!(page.iter().map(|data| &data.run.id).collect::<Vec<_>>(), [&ids[4], &ids[3]]);
        let last = &page[1].run;
        let rest = tracking.runs(&[experiment.id], None, Some((last.started_at, last.id.clone())), 10).await.unwrap();
        assert_eq!(rest.iter().map(|data| &data.run.id).collect::<Vec<_>>(), [&ids[2], &ids[1], &ids[0]]);
        assert_eq!(rest[0].run.circumstances.seeds["trainer"], u64::MAX);
        assert!(tracking.runs(&[], None, None, 10).await.unwrap().is_empty());

        let ended_at = Some(Timestamp::from_millis(5));
        let update = RunUpdate { status: Some(RunStatus::Scheduled), ended_at, name: Some("renamed".to_owned()) };
        let run = tracking.update_run(&ctx, &ids[0], update).await.unwrap();
        assert_eq!((run.status, run.ended_at, run.name.as_str(), run.seal), (RunStatus::Scheduled, ended_at, "renamed", None));
        let update = RunUpdate { status: Some(RunStatus::Failed), ..RunUpdate::default() };
        let run = tracking.update_run(&ctx, &ids[0], update).await.unwrap();
        assert!(run.ended_at == ended_at && run.seal.is_some(), "what is not given stays");
        let update = RunUpdate { status: Some(RunStatus::Running), ..RunUpdate::default() };
        let run = tracking.update_run(&ctx, &ids[0], update).await.unwrap();
        assert!(run.ended_at == ended_at && run.seal.is_none(), "a run that goes on is not sealed");

        tracking.delete_run(&ctx, &ids[0]).await.unwrap();
        tracking.delete_run(&ctx, &ids[0]).await.unwrap();
        assert_eq!(tracking.runs(&[experiment.id], Some(Lifecycle::Active), None, 10).await.unwrap().len(), 4);
        tracking.restore_run(&ctx, &ids[0]).await.unwrap();
        assert_eq!(tracking.runs(&[experiment.id], Some(Lifecycle::Active), None, 10).await.unwrap().len(), 5);
        let unknown = lw_core::RunId::parse(&"f".repeat(32)).unwrap();
        assert!(tracking.run(&unknown).await.unwrap_err().is(RUN_NOT_FOUND));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn what_clients_tell_of_their_code_becomes_the_circumstances() {
    both(|store| async move {
        let (tracking, ctx, experiment, _) = with_run(store).await;
        let tags = [
            ("mlflow.source.git.commit", "0123456789abcdef0123456789abcdef01234567"),
            ("mlflow.source.git.repoURL", "https://ana:secret@host/a.git"),
            ("mlflow.source.name", "train.py"),
            ("mlflow.source.type", "LOCAL"),
            ("odd;key", "is taken at the start, as MLflow does"),
        ];
        let mut new = NewRun::of(experiment.id, Circumstances::default());
        new.tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let run = tracking.start_run(&ctx, new).await.unwrap();
        let circumstances = tracking.run(&run.id).await.unwrap().run.circumstances;
        let code = circumstances.code.unwrap();
        assert_eq!((code.commit.len(), code.remote.as_deref()), (40, Some("https://host/a.git")));
        let source = circumstances.source.unwrap();
        assert_eq!((source.name.as_str(), source.kind.as_deref()), ("train.py", Some("LOCAL")));
    });
}
