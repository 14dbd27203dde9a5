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
