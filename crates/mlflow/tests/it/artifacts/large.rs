//! Files larger than memory should be, and uploads that never end.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode};
use futures::StreamExt;
use lw_store::Artifacts;
use lw_store::testing::TestDirectory;

use super::world::{PROXY, World};

const PIECE: usize = 1 << 20;
const N_PIECES: usize = 400;

fn pieces(n_pieces: usize) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> + Send {
    futures::stream::iter((0..n_pieces).map(|number| {
        let mut piece = vec![0_u8; PIECE];
        piece.iter_mut().zip(0_u32..).for_each(|(byte, index)| *byte = (index ^ (number as u32).wrapping_mul(0x9e37_79b9)) as u8);
        Ok(Bytes::from(piece))
    }))
}

/// The greatest memory that the process has ever taken.
#[cfg(target_os = "linux")]
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

/// Up and down through the router, piece by piece.
async fn travel(world: &World, n_pieces: usize) {
    let uri = format!("{PROXY}/{}/large.bin", world.root());
    let request = Request::put(&uri).body(Body::from_stream(pieces(n_pieces))).unwrap();
    assert_eq!(world.send(request).await.status, StatusCode::OK);
    let response = world.open(Request::get(&uri).body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let (mut sent, mut n_bytes) = (pieces(n_pieces).boxed(), 0);
    let mut rest = Bytes::new();
    let mut content = response.into_body().into_data_stream();
    while let Some(part) = content.next().await {
        let mut part = part.unwrap();
        n_bytes += part.len();
        while !part.is_empty() {
            if rest.is_empty() {
                rest = sent.next().await.unwrap().unwrap();
            }
            let n_same = rest.len().min(part.len());
            assert!(rest.split_to(n_same) == part.split_to(n_same), "what comes back is what was sent");
        }
    }
    assert_eq!(n_bytes, n_pieces * PIECE);
}

/// In a process of its own (as `cargo nextest` runs it) nothing else takes memory meanwhile.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn large_files_take_no_memory() {
    let world = World::new().await;
    travel(&world, 20).await;
    let before = peak_kib();
    travel(&world, N_PIECES).await;
    let grown_kib = peak_kib() - before;
    println!("{N_PIECES} MiB up and down raised the peak of {before} KiB by {grown_kib} KiB");
    assert!(grown_kib < 24 << 10, "{N_PIECES} MiB up and down took {grown_kib} KiB more");
}

#[tokio::test]
async fn large_files_pass_through_an_object_store() {
    let Ok(url) = std::env::var("LOOPWRIGHT_TEST_S3") else { return };
    let artifacts = Artifacts::open(&format!("{url}-mlflow")).unwrap();
    let world = World::with(TestDirectory::make(), artifacts).await;
    travel(&world, 40).await;
    let presigned = world.get(&format!("/api/2.0/mlflow-artifacts/presigned/{}/large.bin", world.root())).await;
    let found = presigned.json();
    assert_eq!((presigned.status, &found["file_size"]), (StatusCode::OK, &serde_json::json!(40 * PIECE)));
    assert!(found["url"].as_str().unwrap().contains("X-Amz-Signature="), "{found}");
    assert_eq!(found["headers"], serde_json::json!({}));
    let missing = world.get("/api/2.0/mlflow-artifacts/presigned/none").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

/// Puts a part under a signed address, as a client does, and returns the tag of the answer.
async fn put_part(url: &str, part: &[u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let head = format!("PUT /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", part.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(part).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let tag = answer.lines().find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("etag")));
    tag.unwrap().1.trim().to_owned()
}

/// A route of uploads in parts below a folder of the run.
async fn ask_of_parts(world: &World, what: &str, body: serde_json::Value) -> super::world::Answer {
    let uri = format!("/api/2.0/mlflow-artifacts/mpu/{what}/{}/models", world.root());
    let request = Request::post(&uri).header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
    world.send(request).await
}

#[tokio::test]
async fn a_file_goes_in_parts_past_this_server() {
    use serde_json::json;
    let Ok(url) = std::env::var("LOOPWRIGHT_TEST_S3") else { return };
    let artifacts = Artifacts::open(&format!("{url}-parts-{}", std::process::id())).unwrap();
    let world = World::with(TestDirectory::make(), artifacts).await;
    let info = world.get("/api/3.0/mlflow/server-info").await.json();
    assert_eq!((&info["multipart_uploads_enabled"], &info["multipart_downloads_enabled"]), (&json!(true), &json!(true)));

    let begun = ask_of_parts(&world, "create", json!({"path": "/srv/ana/model.bin", "num_parts": 3})).await.json();
    let parts: Vec<Vec<u8>> = [6 << 20, 5 << 20, 1000].iter().zip(0_u8..).map(|(size, fill)| vec![fill; *size]).collect();
    let mut sent = Vec::new();
    for (credential, part) in begun["credentials"].as_array().unwrap().iter().zip(&parts) {
        let etag = put_part(credential["url"].as_str().unwrap(), part).await;
        sent.push(json!({"part_number": credential["part_number"], "etag": etag, "url": credential["url"]}));
    }
    assert_eq!(sent.len(), 3);
    let finish = |parts: &[serde_json::Value]| json!({"path": "model.bin", "upload_id": begun["upload_id"], "parts": parts});
    let gap = ask_of_parts(&world, "complete", finish(&[sent[0].clone(), sent[2].clone()])).await;
    assert_eq!((gap.status, &gap.json()["error_code"]), (StatusCode::BAD_REQUEST, &json!("INVALID_PARAMETER_VALUE")));
    assert!(world.tracking.artifacts(&world.run.id, "").await.unwrap().is_empty(), "nothing is visible yet");
    let done = ask_of_parts(&world, "complete", finish(&sent)).await;
    assert_eq!((done.status, done.json()), (StatusCode::OK, json!({})));

    let logged = world.tracking.artifacts(&world.run.id, "").await.unwrap();
    let whole = parts.concat();
    let known: Vec<_> = logged.iter().map(|file| (file.path.as_str(), file.digest, file.size_bytes)).collect();
    assert_eq!(known, [("models/model.bin", lw_core::Digest::of(&whole), whole.len() as u64)]);
    let read = world.get(&format!("{PROXY}/{}/models/model.bin", world.root())).await;
    assert!(read.status == StatusCode::OK && read.body == whole);
    let again = ask_of_parts(&world, "complete", finish(&sent)).await;
    assert_eq!((again.status, &again.json()["error_code"]), (StatusCode::NOT_FOUND, &json!("RESOURCE_DOES_NOT_EXIST")));
    assert!(world.store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn uploads_in_parts_that_cannot_be_are_refused_and_unfinished_ones_swept() {
    use serde_json::json;
    let Ok(url) = std::env::var("LOOPWRIGHT_TEST_S3") else { return };
    let artifacts = Artifacts::open(&format!("{url}-unfinished-{}", std::process::id())).unwrap();
    let world = World::with(TestDirectory::make(), artifacts).await;
    for body in
        [json!({"path": "a", "num_parts": 0}), json!({"path": "a", "num_parts": 10_001}), json!({"path": "..", "num_parts": 1})]
    {
        assert_eq!(ask_of_parts(&world, "create", body).await.status, StatusCode::BAD_REQUEST);
    }
    let begin = || ask_of_parts(&world, "create", json!({"path": "a.bin", "num_parts": 1}));
    let (forged, given_up, left) = (begin().await.json(), begin().await.json(), begin().await.json());
    let finish = |upload: &serde_json::Value, etag: &str| json!({"path": "a.bin", "upload_id": upload["upload_id"], "parts": [{"part_number": 1, "etag": etag}]});
    assert_eq!(ask_of_parts(&world, "complete", finish(&forged, "\"none\"")).await.status, StatusCode::BAD_REQUEST);

    let tag = put_part(given_up["credentials"][0]["url"].as_str().unwrap(), b"half").await;
    let abort = json!({"path": "a.bin", "upload_id": given_up["upload_id"]});
    for _ in 0..2 {
        assert_eq!(ask_of_parts(&world, "abort", abort.clone()).await.status, StatusCode::OK);
    }
    assert_eq!(ask_of_parts(&world, "complete", finish(&given_up, &tag)).await.status, StatusCode::NOT_FOUND);

    let tag = put_part(left["credentials"][0]["url"].as_str().unwrap(), b"whole").await;
    let tomorrow = lw_core::Timestamp::from_micros(world.ctx.now().micros() + 86_400_000_000);
    world.artifacts.sweep(&world.store, tomorrow, lw_store::SweepMode::Remove).await.unwrap();
    assert_eq!(ask_of_parts(&world, "complete", finish(&left, &tag)).await.status, StatusCode::NOT_FOUND);
    assert!(world.tracking.artifacts(&world.run.id, "").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_torn_upload_leaves_nothing() {
    let world = World::new().await;
    let uri = format!("{PROXY}/{}/torn.bin", world.root());
    let broken = pieces(5).chain(futures::stream::once(async { Err(std::io::Error::other("the client is gone")) }));
    let answer = world.send(Request::put(&uri).body(Body::from_stream(broken)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let stalled = pieces(5).chain(futures::stream::pending());
    let stalled = world.send(Request::put(&uri).body(Body::from_stream(stalled)).unwrap());
    tokio::time::timeout(Duration::from_millis(500), stalled).await.unwrap_err();
    assert_eq!(world.ask(Method::GET, &uri, Body::empty()).await.status, StatusCode::NOT_FOUND);
    assert!(world.tracking.artifacts(&world.run.id, "").await.unwrap().is_empty());
    let files = |name: &str| std::fs::read_dir(world.directory.path().join("artifacts").join(name)).map_or(0, Iterator::count);
    // The thread that wrote last may still be at it.
    for _ in 0..100 {
        if files("uploads") == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((files("uploads"), files("sha256")), (0, 0));
}

#[tokio::test]
async fn the_same_file_may_come_from_many_at_once() {
    let world = World::new().await;
    let paths: Vec<String> = (0..16).map(|number| format!("{}/{}", world.root(), number % 4)).collect();
    let puts = paths.iter().map(|path| world.put(path, Body::from_stream(pieces(2))));
    for answer in futures::future::join_all(puts).await {
        assert_eq!(answer.status, StatusCode::OK);
    }
    let artifacts = world.tracking.artifacts(&world.run.id, "").await.unwrap();
    assert_eq!(artifacts.len(), 4);
    assert_eq!(world.artifacts.get(&artifacts[0].digest).await.unwrap().len(), 2 * PIECE);
    assert!(world.store.verify().await.unwrap().is_sound());
}
