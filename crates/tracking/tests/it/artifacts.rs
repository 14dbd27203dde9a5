use lw_core::Digest;
use lw_store::testing::{TestDirectory, both};
use lw_store::{Artifacts, SweepMode};
use lw_tracking::{
    ARTIFACT_PATH_TAKEN, ArtifactOwner, ArtifactPlace, BAD_ARTIFACT_PATH, Circumstances, ExperimentId, LOGGED_MODEL_NOT_FOUND,
    LoggedModel, NewExperiment, NewLoggedModel, NewRun, RUN_DELETED, RUN_NOT_FOUND, RunStatus, Tracking,
};

use crate::{ctx, with_run};

async fn log(tracking: &Tracking, owner: &ArtifactOwner, paths: &[&str]) {
    for path in paths {
        tracking.log_artifact(&ctx(), owner, path, Digest::of(path.as_bytes()), path.len() as u64).await.unwrap();
    }
}

async fn paths(tracking: &Tracking, owner: &ArtifactOwner, folder: &str) -> Vec<String> {
    tracking.artifacts(owner, folder).await.unwrap().into_iter().map(|artifact| artifact.path).collect()
}

async fn logged_model(tracking: &Tracking, experiment: ExperimentId) -> LoggedModel {
    let new = NewLoggedModel {
        experiment,
        name: None,
        model_type: String::new(),
        source_run: String::new(),
        params: Vec::new(),
        tags: Vec::new(),
    };
    tracking.create_logged_model(&ctx(), new).await.unwrap().model
}

#[test]
fn a_folder_lists_its_files_and_folders_alone() {
    both(|store| async move {
        let (tracking, _, _, run) = with_run(store).await;
        let owner = ArtifactOwner::from(&run.id);
        log(&tracking, &owner, &["model/b.onnx", "model/a/x", "model/a/y/z", "model-2/x", "modelb", "a ä.txt", "Z", "model/Z"])
            .await;
        let list = async |folder: &str| {
            let found = tracking.artifact_folder(&owner, folder).await.unwrap()?;
            Some((found.files.into_iter().map(|file| file.path).collect::<Vec<_>>(), found.folders))
        };
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(list("").await.unwrap(), (owned(&["Z", "a ä.txt", "modelb"]), owned(&["model", "model-2"])));
        assert_eq!(list("model").await.unwrap(), (owned(&["model/Z", "model/b.onnx"]), owned(&["model/a"])));
        assert_eq!(list("model/a").await.unwrap(), (owned(&["model/a/x"]), owned(&["model/a/y"])));
        assert_eq!(list("modelb").await, None, "a file is no folder");
        assert_eq!(list("nothing").await, None);
        assert_eq!(paths(&tracking, &owner, "model/a").await, ["model/a/x", "model/a/y/z"]);
        assert_eq!(paths(&tracking, &owner, "").await.len(), 8);
        let file = tracking.artifact(&owner, "model/a/x").await.unwrap().unwrap();
        assert_eq!((file.digest, file.size_bytes), (Digest::of(b"model/a/x"), 9));
        assert_eq!(tracking.artifact(&owner, "model/a").await.unwrap(), None);
    });
}

#[test]
fn a_path_is_a_file_or_a_folder() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store).await;
        let owner = ArtifactOwner::from(&run.id);
        log(&tracking, &owner, &["a/b/c"]).await;
        for path in ["a", "a/b", "a/b/c/d", "a/b/c/d/e"] {
            let error = tracking.log_artifact(&ctx, &owner, path, Digest::of(b""), 0).await.unwrap_err();
            assert!(error.is(ARTIFACT_PATH_TAKEN), "{path}");
            assert!(tracking.may_log_artifact(&owner, path).await.unwrap_err().is(ARTIFACT_PATH_TAKEN), "{path}");
        }
        for path in ["a/b/c", "a/b/d", "a/c/d/e", "b"] {
            tracking.may_log_artifact(&owner, path).await.unwrap();
            log(&tracking, &owner, &[path]).await;
        }
    });
}

#[test]
fn removing_takes_folders_that_are_empty_along() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store).await;
        let owner = ArtifactOwner::from(&run.id);
        log(&tracking, &owner, &["a/b/c", "a/b/d/e", "a/x", "ab/c"]).await;
        let remove = async |path: &str| tracking.remove_artifacts(&ctx, &owner, path).await.unwrap();
        assert_eq!(remove("nothing/at/all").await, 0);
        assert_eq!(remove("a/b").await, 2);
        assert_eq!(paths(&tracking, &owner, "").await, ["a/x", "ab/c"]);
        assert_eq!(tracking.artifact_folder(&owner, "a").await.unwrap().unwrap().folders, [""; 0]);
        assert_eq!(remove("a/x").await, 1);
        assert_eq!(tracking.artifact_folder(&owner, "a").await.unwrap(), None);
        log(&tracking, &owner, &["a"]).await;
        assert_eq!(remove("").await, 2);
        let top = tracking.artifact_folder(&owner, "").await.unwrap().unwrap();
        assert!(top.files.is_empty() && top.folders.is_empty());
    });
}

#[test]
fn a_deleted_run_takes_no_artifacts_but_shows_its_own() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store).await;
        let owner = ArtifactOwner::from(&run.id);
        log(&tracking, &owner, &["a"]).await;
        tracking.delete_run(&ctx, &run.id).await.unwrap();
        assert!(tracking.log_artifact(&ctx, &owner, "b", Digest::of(b""), 0).await.unwrap_err().is(RUN_DELETED));
        assert!(tracking.may_log_artifact(&owner, "b").await.unwrap_err().is(RUN_DELETED));
        assert_eq!(paths(&tracking, &owner, "").await, ["a"]);
        let unknown = ArtifactOwner::Run(lw_core::RunId::parse(&"f".repeat(32)).unwrap());
        assert!(tracking.artifacts(&unknown, "").await.unwrap_err().is(RUN_NOT_FOUND));
        assert!(tracking.artifact(&owner, "../a").await.unwrap_err().is(BAD_ARTIFACT_PATH));
        assert!(tracking.remove_artifacts(&ctx, &owner, "..").await.unwrap_err().is(BAD_ARTIFACT_PATH));
        assert!(tracking.artifact_folder(&owner, "a/").await.unwrap_err().is(BAD_ARTIFACT_PATH));
    });
}

#[test]
fn the_seal_of_a_run_covers_its_artifacts() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store).await;
        let owner = ArtifactOwner::from(&run.id);
        log(&tracking, &owner, &["model/a", "b"]).await;
        let seal = tracking.finish_run(&ctx, &run.id, RunStatus::Finished).await.unwrap().seal.unwrap();
        log(&tracking, &ArtifactOwner::Nobody, &["model/a"]).await;
        assert_eq!(tracking.seal(&run.id).await.unwrap(), seal, "what belongs to others does not count");
        tracking.log_artifact(&ctx, &owner, "b", Digest::of(b"other"), 5).await.unwrap();
        assert_ne!(tracking.seal(&run.id).await.unwrap().artifacts, seal.artifacts);
    });
}

#[test]
fn paths_of_the_whole_store_lead_to_their_owners() {
    both(|store| async move {
        let (tracking, ctx, experiment, run) = with_run(store).await;
        let check = async |path: String, owner: ArtifactOwner, below: &str| {
            let want = ArtifactPlace { owner, path: below.to_owned() };
            assert_eq!(tracking.artifact_place(&path).await.unwrap(), want, "{path}");
        };
        let (id, experiment) = (&run.id, experiment.id);
        let of_run = || ArtifactOwner::from(id);
        assert_eq!(run.artifact_root(), Some(format!("{experiment}/{id}/artifacts").as_str()));
        check(format!("{experiment}/{id}/artifacts/model/a"), of_run(), "model/a").await;
        check(format!("{experiment}/{id}/artifacts"), of_run(), "").await;
        check(format!("{experiment}/{id}/artifacts/artifacts/x"), of_run(), "artifacts/x").await;
        let model = logged_model(&tracking, experiment).await;
        let of_model = ArtifactOwner::from(&model.id);
        assert_eq!(model.artifact_root(), Some(format!("{experiment}/models/{}/artifacts", model.id).as_str()));
        check(format!("{experiment}/models/{}/artifacts/MLmodel", model.id), of_model, "MLmodel").await;
        let trace = ArtifactOwner::trace("tr-0a").unwrap();
        check(format!("{experiment}/traces/tr-0a/artifacts/traces.json"), trace, "traces.json").await;
        let strange = [
            "zz/a.txt".to_owned(),
            format!("99/{id}/artifacts/a"),
            format!("{experiment}/{}/artifacts/a", "f".repeat(32)),
            format!("{experiment}/models/m-0a/artifacts/a"),
            format!("99/models/{}/artifacts/a", model.id),
            format!("{experiment}/{id}"),
            format!("{experiment}/{id}/other/a"),
            format!("{experiment}/{}/artifacts/a", model.id),
            format!("x/{experiment}/{id}/artifacts/a"),
            String::new(),
        ];
        for path in strange {
            check(path.clone(), ArtifactOwner::Nobody, &path).await;
        }
        assert!(tracking.artifact_place("zz/../a").await.unwrap_err().is(BAD_ARTIFACT_PATH));
        assert_eq!(ArtifactOwner::trace("m-0a"), None);

        let of = async |uri: String| tracking.artifact_place_of(&uri).await.unwrap().map(|place| (place.owner, place.path));
        assert_eq!(of(format!("{}/model", run.artifact_uri)).await, Some((of_run(), "model".to_owned())));
        assert_eq!(
            of(format!("mlflow-artifacts://host:5000/{experiment}/{id}/artifacts")).await,
            Some((of_run(), String::new()))
        );
        assert_eq!(of(format!("runs:/{id}/model/a")).await, Some((of_run(), "model/a".to_owned())));
        assert_eq!(of(format!("models:/{}", model.id)).await, Some((ArtifactOwner::from(&model.id), String::new())));
        assert_eq!(of("s3://bucket/model".to_owned()).await, None);
        assert_eq!(of("models:/flights/3".to_owned()).await, None);

        let location = Some("mlflow-artifacts:/team/one".to_owned());
        let elsewhere = NewExperiment { artifact_location: location, ..NewExperiment::named("elsewhere") };
        let elsewhere = tracking.create_experiment(&ctx, elsewhere).await.unwrap();
        let run = tracking.start_run(&ctx, NewRun::of(elsewhere.id, Circumstances::default())).await.unwrap();
        let owner = ArtifactOwner::from(&run.id);
        check(format!("team/one/{}/artifacts/a", run.id), owner, "a").await;
    });
}

#[test]
fn a_deleted_model_takes_no_artifacts() {
    both(|store| async move {
        let (tracking, ctx, experiment, _) = with_run(store).await;
        let model = logged_model(&tracking, experiment.id).await;
        let owner = ArtifactOwner::from(&model.id);
        log(&tracking, &owner, &["MLmodel"]).await;
        tracking.delete_logged_model(&ctx, &model.id).await.unwrap();
        assert!(tracking.may_log_artifact(&owner, "b").await.unwrap_err().is(LOGGED_MODEL_NOT_FOUND));
        assert_eq!(paths(&tracking, &owner, "").await, ["MLmodel"]);
    });
}

#[test]
fn folders_of_a_hundred_thousand_files_are_listed_at_once() {
    let directory = TestDirectory::make();
    let store = lw_store::Store::open(&lw_store::MetadataUrl::sqlite(directory.path().join("metadata.db"))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (tracking, ctx, _, run) = with_run(store.clone()).await;
        let id = run.id.clone();
        let fill = store.write(&ctx, move |tx| {
            let sql =
                "INSERT INTO artifact (owner, folder, name, digest, size_bytes, logged_at) VALUES ($1, 'many', $2, $3, 1, 0)";
            let digest = Digest::of(b"");
            (0..100_000).try_for_each(|n| tx.execute(sql, &[(&id).into(), format!("{n}").into(), digest.into()]).map(drop))?;
            let sql = "INSERT INTO artifact_folder (owner, folder, name) VALUES ($1, '', 'many')";
            tx.execute(sql, &[(&id).into()]).map(drop)
        });
        fill.await.unwrap();
        let owner = ArtifactOwner::from(&run.id);
        log(&tracking, &owner, &["few/a"]).await;
        let start = std::time::Instant::now();
        for _ in 0..100 {
            assert_eq!(tracking.artifact_folder(&owner, "").await.unwrap().unwrap().folders, ["few", "many"]);
            assert_eq!(tracking.artifact_folder(&owner, "few").await.unwrap().unwrap().files.len(), 1);
        }
        let beside = start.elapsed();
        assert!(beside.as_millis() < 1_000, "200 listings beside a large folder took {beside:?}");
        let start = std::time::Instant::now();
        assert_eq!(tracking.artifact_folder(&owner, "many").await.unwrap().unwrap().files.len(), 100_000);
        let whole = start.elapsed();
        assert!(whole.as_secs() < 5, "a folder of 100,000 files took {whole:?}");
        println!("200 listings beside it: {beside:?}; the folder of 100,000 files: {whole:?}");
    });
}

#[test]
fn a_sweep_takes_what_was_overwritten_and_removed() {
    both(|store| async move {
        let directory = TestDirectory::make();
        let artifacts = Artifacts::open(&format!("file://{}", directory.path().display())).unwrap();
        let (tracking, ctx, _, run) = with_run(store.clone()).await;
        let owner = ArtifactOwner::from(&run.id);
        let put = async |path: &str, text: &'static str| {
            let digest = artifacts.put(text.as_bytes()).await.unwrap();
            tracking.log_artifact(&ctx, &owner, path, digest, text.len() as u64).await.unwrap();
            digest
        };
        let old = put("a", "old").await;
        let new = put("a", "new").await;
        let removed = put("folder/b", "removed").await;
        put("folder/c", "new").await;
        tracking.remove_artifacts(&ctx, &owner, "folder").await.unwrap();
        let far = lw_core::Timestamp::parse("2200-01-01").unwrap();
        let swept = artifacts.sweep(&store, far, SweepMode::Remove).await.unwrap();
        let mut want = vec![old, removed];
        want.sort_unstable();
        assert_eq!(swept.garbage.iter().map(|garbage| garbage.digest).collect::<Vec<_>>(), want);
        assert_eq!(swept.garbage_bytes(), 10);
        assert_eq!(artifacts.get(&new).await.unwrap(), &b"new"[..]);
    });
}
