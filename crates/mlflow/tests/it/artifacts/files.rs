//! Files in and out, by the proxy and by their owners.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use lw_core::Digest;
use serde_json::json;

use super::world::{API, PROXY, World};
use super::{check_json, check_refused};

#[tokio::test]
async fn the_proxy_answers_the_probe_as_mlflow_does() {
    let world = World::new().await;
    let missing = world.get(&format!("{PROXY}/none.txt")).await;
    check_refused(&missing, 404, "RESOURCE_DOES_NOT_EXIST", "No such artifact: 'none.txt'");
    let want = json!({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No such artifact: 'none.txt'", "sqlstate": "KAM00",
        "error_class": "RESOURCE_NOT_FOUND"});
    assert_eq!(missing.json(), want);

    let put = world.put("zz/a.txt", "hi").await;
    assert_eq!((put.status, put.body.len()), (StatusCode::OK, 0));
    check_json(
        &world.get(&format!("{PROXY}?path=zz")).await,
        json!({"files": [{"path": "a.txt", "is_dir": false, "file_size": 2}]}),
    );
    let part = world.get_with(&format!("{PROXY}/zz/a.txt"), "range", "bytes=0-0").await;
    assert_eq!(
        (part.status, &part.body[..], part.header("content-type")),
        (StatusCode::PARTIAL_CONTENT, &b"h"[..], "text/plain")
    );
    assert_eq!((part.header("content-range"), part.header("content-length")), ("bytes 0-0/2", "1"));
    check_json(&world.ask(Method::DELETE, &format!("{PROXY}/zz"), Body::empty()).await, json!({}));
    assert_eq!(world.get(&format!("{PROXY}/zz/a.txt")).await.status, StatusCode::NOT_FOUND);

    let run = &world.run.id;
    let missing = world.get(&format!("/get-artifact?run_id={run}&path=nope")).await;
    check_refused(&missing, 404, "RESOURCE_DOES_NOT_EXIST", &format!("No such artifact: '{}/nope'", world.root()));
    let list = world.get(&format!("{API}/artifacts/list?run_id={run}")).await;
    check_json(&list, json!({"root_uri": format!("mlflow-artifacts:/{}", world.root())}));
}

#[tokio::test]
async fn a_file_of_a_run_is_one_by_every_way() {
    let world = World::new().await;
    let (root, run) = (world.root(), &world.run.id);
    assert_eq!(world.put(&format!("{root}/model/MLmodel"), "flavors: {}").await.status, StatusCode::OK);
    assert_eq!(world.put(&format!("{root}/model/data/model%20%C3%A4.pkl"), "\u{1}\u{2}").await.status, StatusCode::OK);
    assert_eq!(world.put(&format!("{root}/notes.md"), "").await.status, StatusCode::OK);

    let artifacts = world.tracking.artifacts(run, "").await.unwrap();
    let paths: Vec<&str> = artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!(paths, ["model/MLmodel", "model/data/model ä.pkl", "notes.md"]);
    assert_eq!(artifacts[0].digest, Digest::of(b"flavors: {}"));

    let model = json!([{"path": "model/MLmodel", "is_dir": false, "file_size": 11}, {"path": "model/data", "is_dir": true}]);
    let root_uri = json!(format!("mlflow-artifacts:/{root}"));
    for path in ["model", "model/", "model%2F"] {
        let list = world.get(&format!("{API}/artifacts/list?run_id={run}&path={path}")).await;
        check_json(&list, json!({"files": model, "root_uri": root_uri}));
    }
    let top = json!([{"path": "model", "is_dir": true}, {"path": "notes.md", "is_dir": false, "file_size": 0}]);
    check_json(&world.get(&format!("{PROXY}?path={root}")).await, json!({"files": top}));
    check_json(&world.get(&format!("/ajax-api/2.0/mlflow-artifacts/artifacts?path={root}/")).await, json!({"files": top}));
    check_json(&world.get(&format!("{PROXY}?path={root}/notes.md")).await, json!({}));
    check_json(&world.get(&format!("{PROXY}?path={root}/nothing")).await, json!({}));

    for uri in [
        format!("{PROXY}/{root}/model/MLmodel"),
        format!("/ajax-api/2.0/mlflow-artifacts/artifacts/{root}/model/MLmodel"),
        format!("/get-artifact?run_id={run}&path=model/MLmodel"),
        format!("/get-artifact?run_uuid={run}&path=model%2FMLmodel"),
    ] {
        let file = world.get(&uri).await;
        assert_eq!((file.status, &file.body[..]), (StatusCode::OK, &b"flavors: {}"[..]), "{uri}");
        assert_eq!(file.header("content-type"), "text/plain");
        assert_eq!(file.header("content-disposition"), "attachment; filename=MLmodel");
        assert_eq!((file.header("content-length"), file.header("x-content-type-options")), ("11", "nosniff"));
        let head = world.ask(Method::HEAD, &uri, Body::empty()).await;
        assert_eq!((head.status, head.body.len(), head.header("content-length")), (StatusCode::OK, 0, "11"));
    }
    let file = world.get(&format!("{PROXY}/{root}/model/data/model%20%C3%A4.pkl")).await;
    assert_eq!(&file.body[..], b"\x01\x02");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"model .pkl\"; filename*=UTF-8''model%20%C3%A4.pkl");
    assert_eq!(file.header("content-type"), "application/octet-stream");

    let folder = world.get(&format!("{PROXY}/{root}/model")).await;
    assert_eq!(folder.status, StatusCode::BAD_REQUEST);
    assert_eq!(folder.json(), json!({"detail": format!("Artifact path refers to a directory, not a file: '{root}/model'")}));
    let folder = world.get(&format!("/get-artifact?run_id={run}&path=model")).await;
    let message = format!("Artifact path refers to a directory, not a file: '{root}/model'");
    check_refused(&folder, 400, "INVALID_PARAMETER_VALUE", &message);
}

#[tokio::test]
async fn files_are_overwritten_and_removed() {
    let world = World::new().await;
    let root = world.root();
    for text in ["old", "newer"] {
        world.put(&format!("{root}/a/b.txt"), text).await;
    }
    assert_eq!(&world.get(&format!("{PROXY}/{root}/a/b.txt")).await.body[..], b"newer");
    let delete = async |path: &str| world.ask(Method::DELETE, &format!("{PROXY}/{path}"), Body::empty()).await.status;
    assert_eq!(delete(&format!("{root}/nothing")).await, StatusCode::OK);
    assert_eq!(delete(&format!("{root}/a/")).await, StatusCode::OK);
    check_json(&world.get(&format!("{PROXY}?path={root}")).await, json!({}));
    world.put(&format!("{root}/x"), "1").await;
    assert_eq!(delete(&root).await, StatusCode::OK, "as `mlflow gc` does");
    check_json(&world.get(&format!("{PROXY}?path={root}")).await, json!({}));
    let taken = world.put(&format!("{root}/f"), "1").await.status;
    assert_eq!(taken, StatusCode::OK);
    let below = world.put(&format!("{root}/f/g"), "1").await;
    check_refused(&below, 409, "RESOURCE_CONFLICT", "there is a file at `f`");
}

#[tokio::test]
async fn a_deleted_run_takes_no_files() {
    let world = World::new().await;
    let root = world.root();
    world.put(&format!("{root}/a"), "1").await;
    world.tracking.delete_run(&world.ctx, &world.run.id).await.unwrap();
    let refused = world.put(&format!("{root}/b"), "1").await;
    assert_eq!((refused.status, &refused.json()["error_code"]), (StatusCode::BAD_REQUEST, &json!("INVALID_PARAMETER_VALUE")));
    assert_eq!(world.get(&format!("{PROXY}/{root}/a")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_console_uploads_small_files() {
    let world = World::new().await;
    let run = &world.run.id;
    let upload = async |query: &str, body: Vec<u8>| {
        world.ask(Method::POST, &format!("/ajax-api/2.0/mlflow/upload-artifact?{query}"), body).await
    };
    let done = upload(&format!("run_id={run}&path=images/a%25step%251.png"), b"png".to_vec()).await;
    assert_eq!((done.status, done.header("content-type")), (StatusCode::OK, "application/json"));
    assert_eq!(world.tracking.artifacts(run, "images").await.unwrap()[0].path, "images/a%step%1.png");
    let invalid = "INVALID_PARAMETER_VALUE";
    check_refused(&upload("path=a", b"x".to_vec()).await, 400, invalid, "Request must specify run_id or run_uuid.");
    check_refused(&upload(&format!("run_uuid={run}"), b"x".to_vec()).await, 400, invalid, "Request must specify path.");
    check_refused(&upload(&format!("run_id={run}&path=a"), Vec::new()).await, 400, invalid, "Request must specify data.");
    check_refused(&upload(&format!("run_id={run}&path=../a"), b"x".to_vec()).await, 400, invalid, "Invalid path");
    let message = "Artifact size is too large. Max size is 10MB.";
    check_refused(&upload(&format!("run_id={run}&path=a"), vec![0; 10_485_761]).await, 400, invalid, message);
    assert_eq!(upload(&format!("run_id={run}&path=a"), vec![0; 10_485_760]).await.status, StatusCode::OK);
    let unknown = "0".repeat(32);
    let missing = upload(&format!("run_id={unknown}&path=a"), b"x".to_vec()).await;
    check_refused(&missing, 404, "RESOURCE_DOES_NOT_EXIST", &format!("Run with id={unknown} not found"));
}

#[tokio::test]
async fn ranges_and_tags_spare_what_is_known() {
    let world = World::new().await;
    world.put("zz/a.bin", "0123456789").await;
    let uri = format!("{PROXY}/zz/a.bin");
    let ask = async |range: &str| {
        let found = world.get_with(&uri, "range", range).await;
        (found.status.as_u16(), String::from_utf8(found.body.to_vec()).unwrap(), found.header("content-range").to_owned())
    };
    let owned = |status: u16, body: &str, range: &str| (status, body.to_owned(), range.to_owned());
    assert_eq!(ask("bytes=2-4").await, owned(206, "234", "bytes 2-4/10"));
    assert_eq!(ask("bytes=7-").await, owned(206, "789", "bytes 7-9/10"));
    assert_eq!(ask("bytes=-2").await, owned(206, "89", "bytes 8-9/10"));
    assert_eq!(ask("bytes=5-500").await, owned(206, "56789", "bytes 5-9/10"));
    assert_eq!(ask("bytes=10-").await, owned(416, "", "bytes */10"));
    assert_eq!(ask("bytes=0-1,4-5").await, owned(200, "0123456789", ""));
    let whole = world.get(&uri).await;
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let tag = whole.header("etag").to_owned();
    let known = world.get_with(&uri, "if-none-match", &tag).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let ranged = async |if_range: &str| {
        let request = Request::get(&uri).header("range", "bytes=0-1").header("if-range", if_range).body(Body::empty()).unwrap();
        world.send(request).await.status
    };
    assert_eq!(ranged(&tag).await, StatusCode::PARTIAL_CONTENT);
    assert_eq!(ranged("\"another\"").await, StatusCode::OK);
    world.put("zz/empty", "").await;
    let empty = world.get(&format!("{PROXY}/zz/empty")).await;
    assert_eq!((empty.status, empty.header("content-length")), (StatusCode::OK, "0"));
}

#[tokio::test]
async fn files_of_models_go_by_their_model() {
    let world = World::new().await;
    let experiment = world.run.experiment;
    let created =
        world.post(&format!("{API}/logged-models"), json!({"experiment_id": experiment.to_string(), "name": "m"})).await;
    let created = created.json();
    let id = created["model"]["info"]["model_id"].as_str().unwrap();
    assert_eq!(created["model"]["info"]["artifact_uri"], json!(format!("mlflow-artifacts:/{experiment}/models/{id}/artifacts")));
    world.put(&format!("{experiment}/models/{id}/artifacts/MLmodel"), "flavors: {}").await;
    world.put(&format!("{experiment}/models/{id}/artifacts/code/a.py"), "1").await;
    let files = json!([{"path": "MLmodel", "is_dir": false, "file_size": 11}, {"path": "code", "is_dir": true}]);
    let list = world.get(&format!("{API}/logged-models/{id}/artifacts/directories")).await;
    check_json(&list, json!({"files": files, "root_uri": created["model"]["info"]["artifact_uri"]}));
    let list = world.get(&format!("{API}/logged-models/{id}/artifacts/directories?artifact_directory_path=code")).await;
    assert_eq!(list.json()["files"], json!([{"path": "code/a.py", "is_dir": false, "file_size": 1}]));
    let files = |query: &str| format!("/ajax-api/2.0/mlflow/logged-models/{id}/artifacts/files{query}");
    assert_eq!(&world.get(&files("?artifact_file_path=MLmodel")).await.body[..], b"flavors: {}");
    let message = "Request must include the \"artifact_file_path\" query parameter.";
    check_refused(&world.get(&files("")).await, 400, "BAD_REQUEST", message);
    let refused = world.get(&files("?artifact_file_path=..%2Fx")).await;
    check_refused(&refused, 400, "INVALID_PARAMETER_VALUE", "Invalid path");
    let missing = world.get(&format!("{API}/logged-models/m-none/artifacts/directories")).await;
    check_refused(&missing, 404, "RESOURCE_DOES_NOT_EXIST", "Logged model with ID 'm-none' not found.");
    // What is below a model or trace is read back by the proxy, too.
    let trace = format!("{experiment}/traces/tr-1/artifacts/traces.json");
    world.put(&trace, "{}").await;
    assert_eq!(&world.get(&format!("{PROXY}/{trace}")).await.body[..], b"{}");
}

#[tokio::test]
async fn files_of_versions_lie_where_their_runs_put_them() {
    let world = World::new().await;
    let (root, run) = (world.root(), &world.run.id);
    world.put(&format!("{root}/model/MLmodel"), "flavors: {}").await;
    let created = world.post(&format!("{API}/registered-models/create"), json!({"name": "late arrival"})).await;
    assert_eq!(created.status, StatusCode::OK, "{created:?}");
    let source = json!({"name": "late arrival", "source": format!("runs:/{run}/model"), "run_id": run.as_str()});
    let created = world.post(&format!("{API}/model-versions/create"), source).await;
    assert_eq!(created.status, StatusCode::OK, "{created:?}");
    let get =
        async |path: &str| world.get(&format!("/model-versions/get-artifact?name=late+arrival&version=1&path={path}")).await;
    let file = get("MLmodel").await;
    assert_eq!((file.status, &file.body[..]), (StatusCode::OK, &b"flavors: {}"[..]), "{file:?}");
    let missing = get("nothing").await;
    assert_eq!((missing.status, &missing.json()["error_code"]), (StatusCode::NOT_FOUND, &json!("RESOURCE_DOES_NOT_EXIST")));
    check_refused(&get("..%2FMLmodel").await, 400, "INVALID_PARAMETER_VALUE", "Invalid path");
}

#[tokio::test]
async fn what_goes_past_the_server_is_refused_as_clients_expect() {
    let world = World::new().await;
    let (root, run) = (world.root(), &world.run.id);
    world.put(&format!("{root}/a"), "1").await;
    let no_parts = "Multipart upload is not supported for the current artifact repository";
    let mpu = |step: &str, path: &str| format!("/api/2.0/mlflow-artifacts/mpu/{step}/{path}");
    for (step, message) in [
        ("create", json!({"path": "a.bin", "num_parts": 3})),
        ("complete", json!({"path": "a.bin", "upload_id": "1", "parts": [{"part_number": 1, "etag": "e"}]})),
        ("abort", json!({"path": "a.bin", "upload_id": "1"})),
    ] {
        check_refused(&world.post(&mpu(step, &root), message).await, 501, "NOT_IMPLEMENTED", no_parts);
        let missing = world.post(&mpu(step, &root), json!({})).await;
        assert!(missing.json()["message"].as_str().unwrap().starts_with("Missing value for required parameter 'path'."));
        let traversal = world.post(&mpu(step, "a/../../b"), json!({"path": "a", "parts": [{}]})).await;
        check_refused(&traversal, 400, "INVALID_PARAMETER_VALUE", "Invalid path");
        let traversal = world.post(&mpu(step, &root), json!({"path": "a%5C..", "parts": [{}]})).await;
        assert!(traversal.status.is_client_error() || traversal.status == StatusCode::NOT_IMPLEMENTED);
    }
    let presigned = world.get(&format!("/api/2.0/mlflow-artifacts/presigned/{root}/a")).await;
    let no_addresses = "Multipart download is not supported for the current artifact repository";
    check_refused(&presigned, 501, "NOT_IMPLEMENTED", no_addresses);

    let invalid = "INVALID_PARAMETER_VALUE";
    let upload = format!("{API}/artifacts/presigned-upload-url");
    let exactly_one = "Exactly one of run_id and model_id must be provided.";
    check_refused(&world.post(&upload, json!({"path": "a"})).await, 400, invalid, exactly_one);
    let storage = "proxied artifact storage (artifact URI scheme: mlflow-artifacts). This endpoint requires a";
    let message = format!("Presigned upload is not supported for {storage} direct cloud storage artifact URI.");
    check_refused(&world.post(&upload, json!({"path": "a", "run_id": run})).await, 400, invalid, &message);
    let download = format!("{API}/artifacts/presigned-download-url");
    let message =
        format!("Presigned download is not supported for runs with {storage} run with a direct cloud storage artifact URI.");
    check_refused(&world.post(&download, json!({"path": "a", "run_id": run})).await, 400, invalid, &message);
    let late = world.post(&download, json!({"path": "a", "run_id": run, "expiration": 0})).await;
    check_refused(&late, 400, invalid, "expiration must be between 1 and 604800 seconds (got 0).");
}
