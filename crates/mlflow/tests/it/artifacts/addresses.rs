//! Paths that lead elsewhere, in every form.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::json;

use super::check_refused;
use super::world::{API, PROXY, World};

/// As they stand in an address.
const ATTACKS: &[&str] = &[
    "../../etc/passwd",
    "..",
    "zz/..",
    "zz/../../x",
    "%2e%2e/%2e%2e/etc/passwd",
    "%2E%2E%2Fx",
    "%252e%252e%252fx",
    "%25252e%25252e/x",
    "..%2fx",
    "..%5cx",
    "..%255cx",
    "zz%5c..%5cx",
    "%5c%5chost%5cshare",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "%252fetc/passwd",
    "//etc/passwd",
    "zz//x",
    "zz/./x",
    "./x",
    "C:/x",
    "C%3A/x",
    "c:%5Cx",
    "file:///etc/passwd",
    "FILE:/etc/passwd",
    "file:x",
    "s3://other-bucket/../x",
    "mlflow-artifacts:/../x",
    "zz/x%00.txt",
    "zz/x%2500.txt",
    "zz/%00",
    "zz/x%23y",
];

#[tokio::test]
async fn no_path_leads_elsewhere() {
    let world = World::new().await;
    let (root, run) = (world.root(), &world.run.id);
    let long = ["x".repeat(300), ["x".repeat(200).as_str(); 6].join("/")];
    let attacks = ATTACKS.iter().map(|attack| (*attack).to_owned()).chain(long);
    for attack in attacks {
        // In a query a `%` of the path is escaped once more.
        for (prefix, below) in [("", ""), (root.as_str(), "/")] {
            let path = format!("{prefix}{below}{attack}");
            for method in [Method::GET, Method::PUT, Method::DELETE] {
                let answer = world.ask(method.clone(), &format!("{PROXY}/{path}"), "x").await;
                check_refused(&answer, 400, "INVALID_PARAMETER_VALUE", "Invalid path");
            }
            check_refused(&world.get(&format!("{PROXY}?path={path}")).await, 400, "INVALID_PARAMETER_VALUE", "Invalid path");
            let presigned = world.get(&format!("/api/2.0/mlflow-artifacts/presigned/{path}")).await;
            check_refused(&presigned, 400, "INVALID_PARAMETER_VALUE", "Invalid path");
        }
        for uri in [
            format!("/get-artifact?run_id={run}&path={attack}"),
            format!("{API}/artifacts/list?run_id={run}&path={attack}"),
            format!("/model-versions/get-artifact?name=m&version=1&path={attack}"),
        ] {
            check_refused(&world.get(&uri).await, 400, "INVALID_PARAMETER_VALUE", "Invalid path");
        }
        let upload = format!("/ajax-api/2.0/mlflow/upload-artifact?run_id={run}&path={attack}");
        check_refused(&world.ask(Method::POST, &upload, "x").await, 400, "INVALID_PARAMETER_VALUE", "Invalid path");
    }
    assert!(world.tracking.artifacts(run, "").await.unwrap().is_empty(), "nothing was kept");
}

#[tokio::test]
async fn a_folder_is_no_file_to_put() {
    let world = World::new().await;
    let answer = world.put("zz/a/", "x").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json(), json!({"detail": "Artifact path must include a filename (cannot end with '/')."}));
    let answer = world.put(&world.root(), "x").await;
    check_refused(&answer, 400, "INVALID_PARAMETER_VALUE", "Invalid path");
}

#[tokio::test]
async fn strange_names_are_kept_as_they_are() {
    let world = World::new().await;
    let root = world.root();
    for (sent, kept) in [
        ("50%25.txt", "50%.txt"),
        ("a%20b", "a b"),
        ("a%2520b", "a b"),
        ("a+b", "a+b"),
        ("%C3%A4", "ä"),
        ("a%25step%253%25timestamp%251764.png", "a%step%3%timestamp%1764.png"),
        ("x?y=1", "x"),
        ("q%3Fy", "q?y"),
        ("tab%09", "tab%09"),
        ("...", "..."),
        ("~", "~"),
    ] {
        assert_eq!(world.put(&format!("{root}/{sent}"), sent).await.status, StatusCode::OK, "{sent}");
        let file = world.get(&format!("{PROXY}/{root}/{sent}")).await;
        assert_eq!(&file.body[..], sent.as_bytes());
        let artifacts = world.tracking.artifacts(&world.run.id, "").await.unwrap();
        assert!(artifacts.iter().any(|artifact| artifact.path == kept), "{kept}: {artifacts:?}");
    }
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let world = World::new().await;
    let missing = world.get(&format!("{API}/artifacts/list")).await;
    let message =
        "Missing value for required parameter 'run_id'. See the API docs for more information about request parameters.";
    check_refused(&missing, 400, "INVALID_PARAMETER_VALUE", message);
    for id in ["0".repeat(32), "abc".to_owned()] {
        let unknown = world.get(&format!("{API}/artifacts/list?run_id={id}")).await;
        check_refused(&unknown, 404, "RESOURCE_DOES_NOT_EXIST", &format!("Run with id={id} not found"));
    }
    assert_eq!(world.get("/get-artifact?run_id=abc").await.status, StatusCode::BAD_REQUEST);
    let missing = world.get("/model-versions/get-artifact?name=nope&version=1&path=a").await;
    check_refused(&missing, 404, "RESOURCE_DOES_NOT_EXIST", "Model Version (name=nope, version=1) not found");
}

#[tokio::test]
async fn a_head_says_what_a_get_would() {
    let world = World::new().await;
    let request = Request::builder().method(Method::HEAD).uri(format!("{PROXY}/none")).body(Body::empty()).unwrap();
    assert_eq!(world.send(request).await.status, StatusCode::NOT_FOUND);
}
