//! Artifacts that pass piece by piece, and artifacts that nothing mentions any more.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use lw_core::{Actor, Ctx, Digest, Draft, Error, Result, Subject, SubjectKind, Timestamp};
use lw_store::testing::{TestDirectory, both};
use lw_store::{ARTIFACT_CORRUPT, ARTIFACT_NOT_FOUND, Artifacts, Content, Store, SweepMode};

use crate::artifacts::{S3_VARIABLE, url};

fn pieces(bytes: &[u8], size: usize) -> Vec<Result<Bytes>> {
    bytes.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect()
}

fn noise(n_bytes: u32) -> Vec<u8> {
    (0..n_bytes).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

async fn all(content: Content) -> Result<Vec<u8>> {
    Ok(content.try_collect::<Vec<_>>().await?.concat())
}

async fn check_streams(artifacts: &Artifacts) {
    for (n_bytes, piece) in [(0, 1), (1, 1), (100_000, 777), (20_000_000, 65_536)] {
        let bytes = noise(n_bytes);
        let stored = artifacts.put_stream(futures::stream::iter(pieces(&bytes, piece))).await.unwrap();
        assert_eq!((stored.digest, stored.size_bytes), (Digest::of(&bytes), u64::from(n_bytes)));
        assert_eq!(artifacts.size(&stored.digest).await.unwrap(), u64::from(n_bytes));
        let read = async |range| all(artifacts.read(&stored.digest, stored.size_bytes, range).await.unwrap()).await.unwrap();
        assert!(read(None).await == bytes, "{n_bytes} bytes come back");
        let end = u64::from(n_bytes);
        for range in [0..end.min(1), end / 2..end, end.saturating_sub(3)..end, end / 3..end / 2] {
            let want = &bytes[range.start as usize..range.end as usize];
            assert!(read(Some(range.clone())).await == want, "{range:?} of {n_bytes}");
        }
        artifacts.put_stream(futures::stream::iter(pieces(&bytes, piece))).await.unwrap();
    }
    let missing = artifacts.read(&Digest::of(b"missing"), 7, None).await.err().unwrap();
    assert!(missing.is(ARTIFACT_NOT_FOUND), "{missing:?}");
}

/// An upload that fails, and one that is given up, after 12 MB.
async fn check_torn_uploads(artifacts: &Artifacts) {
    let bytes = noise(12_000_000);
    let half = || futures::stream::iter(pieces(&bytes, 65_536));
    let broken = half().chain(futures::stream::once(async { Err(Error::bug("the sender is gone")) }));
    artifacts.put_stream(broken).await.unwrap_err();
    let stalled = half().chain(futures::stream::pending());
    tokio::time::timeout(Duration::from_secs(2), artifacts.put_stream(stalled)).await.unwrap_err();
    assert!(!artifacts.exists(&Digest::of(&bytes)).await.unwrap(), "nothing of it is visible");
}

fn n_files(directory: &TestDirectory, name: &str) -> usize {
    std::fs::read_dir(directory.path().join(name)).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_directory_streams() {
    let directory = TestDirectory::make();
    let artifacts = Artifacts::open(&url(&directory)).unwrap();
    check_streams(&artifacts).await;
    check_torn_uploads(&artifacts).await;
    assert_eq!(n_files(&directory, "uploads"), 0, "no upload stays behind");
    assert!(artifacts.signed_url(&Digest::of(b""), Duration::from_secs(60)).await.unwrap().is_none());
}

#[tokio::test]
async fn an_object_store_streams() {
    let Ok(url) = std::env::var(S3_VARIABLE) else { return };
    let artifacts = Artifacts::open(&format!("{url}-streams")).unwrap();
    check_streams(&artifacts).await;
    check_torn_uploads(&artifacts).await;
    let url = artifacts.signed_url(&Digest::of(b""), Duration::from_secs(60)).await.unwrap().unwrap();
    assert!(url.contains("X-Amz-Signature=") && url.contains("X-Amz-Expires=60"), "{url}");
}

#[tokio::test]
async fn the_last_piece_of_a_damaged_artifact_never_comes() {
    let directory = TestDirectory::make();
    let artifacts = Artifacts::open(&url(&directory)).unwrap();
    let mut bytes = noise(3_000_000);
    let stored = artifacts.put_stream(futures::stream::iter(pieces(&bytes, 4096))).await.unwrap();
    let hex = stored.digest.hex();
    let path = directory.path().join("sha256").join(&hex[..2]).join(&hex[2..]);
    bytes[5] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let mut content = artifacts.read(&stored.digest, stored.size_bytes, None).await.unwrap();
    let (mut n_bytes, mut error) = (0, None);
    while let Some(piece) = content.next().await {
        match piece {
            Ok(piece) => n_bytes += piece.len(),
            Err(found) => error = Some(found),
        }
    }
    assert!(error.unwrap().is(ARTIFACT_CORRUPT));
    assert!(n_bytes < bytes.len(), "whoever counts the bytes sees that some are missing");
    std::fs::write(&path, &bytes[..1000]).unwrap();
    let short = all(artifacts.read(&stored.digest, stored.size_bytes, Some(500..2000)).await.unwrap()).await;
    assert!(short.unwrap_err().is(ARTIFACT_CORRUPT));
}

fn ctx() -> Ctx {
    Ctx::real(Actor::new("ana"), "request-1")
}

/// Later than everything that was put, so that nothing is too young.
fn tomorrow() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap() + 86_400_000_000)
}

async fn execute(store: &Store, sql: &'static str, digest: &str) {
    let digest = digest.to_owned();
    store.write(&ctx(), move |tx| tx.execute(sql, &[digest.into()])).await.unwrap();
}

/// What any table or any entry of the ledger mentions stays, and what a document that stays names.
async fn check_sweep(artifacts: &Artifacts, store: &Store) {
    let put = async |text: &str| artifacts.put(text.to_owned().into_bytes()).await.unwrap();
    let of_run = put("a file of a run").await;
    execute(store, "INSERT INTO ingest_intent (source, ingest_id, plan) VALUES ('s', 'i', $1)", &of_run.to_string()).await;
    let in_json = put("a report").await;
    let manifest = format!(r#"{{"outputs": {{"report": "{in_json}"}}}}"#);
    let sql = "INSERT INTO pipeline_cache (cache_key, run, step, manifest, created_at) VALUES ('k', 'r', 's', $1, 0)";
    execute(store, sql, &manifest).await;
    let named = put("a model that only the bundle of an endpoint names").await;
    let bundle = put(&format!(r#"{{"artifact": "{named}", "model": "late_arrival"}}"#)).await;
    let outer = put(&format!(r#"["{bundle}"]"#)).await;
    let entry = Draft::new("project.note", Subject::unversioned(SubjectKind::Artifact, outer.hex()));
    store.write(&ctx(), move |tx| tx.record(entry)).await.unwrap();
    let quarantine = put("rows that the ledger alone knows").await;
    let entry = Draft::new("project.note", Subject::unversioned(SubjectKind::Project, "flights"))
        .payload(serde_json::json!({"rows": quarantine}));
    store.write(&ctx(), move |tx| tx.record(entry)).await.unwrap();
    let text = put(&format!("no document, though it says {}", Digest::of(b"x"))).await;
    let orphan = put("an orphan").await;
    let kept = [of_run, in_json, named, bundle, outer, quarantine];

    let nothing = artifacts.sweep(store, Timestamp::from_micros(0), SweepMode::Remove).await.unwrap();
    assert_eq!((nothing.n_stored, nothing.garbage.len()), (8, 0), "what is young stays");
    let dry = artifacts.sweep(store, tomorrow(), SweepMode::DryRun).await.unwrap();
    let mut garbage: Vec<Digest> = dry.garbage.iter().map(|garbage| garbage.digest).collect();
    garbage.sort_unstable();
    let mut want = vec![text, orphan];
    want.sort_unstable();
    assert_eq!(garbage, want);
    assert_eq!(dry.garbage_bytes(), dry.garbage.iter().map(|garbage| garbage.size_bytes).sum::<u64>());
    assert!(artifacts.exists(&orphan).await.unwrap(), "a dry run removes nothing");
    let swept = artifacts.sweep(store, tomorrow(), SweepMode::Remove).await.unwrap();
    assert_eq!(swept, dry);
    assert!(!artifacts.exists(&orphan).await.unwrap() && !artifacts.exists(&text).await.unwrap());
    for digest in kept {
        artifacts.get(&digest).await.unwrap();
    }
    assert_eq!(artifacts.sweep(store, tomorrow(), SweepMode::Remove).await.unwrap().garbage, []);
    assert_eq!(put("an orphan").await, orphan);
    assert!(artifacts.exists(&orphan).await.unwrap(), "what was removed can be put again");
}

#[test]
fn a_sweep_of_a_directory_keeps_what_anything_mentions() {
    both(|store| async move {
        let directory = TestDirectory::make();
        check_sweep(&Artifacts::open(&url(&directory)).unwrap(), &store).await;
        assert_eq!(n_files(&directory, "condemned"), 0);
    });
}

#[test]
fn a_sweep_of_an_object_store_keeps_what_anything_mentions() {
    let Ok(url) = std::env::var(S3_VARIABLE) else { return };
    let backend = std::cell::Cell::new(0);
    both(|store| {
        backend.set(backend.get() + 1);
        let url = format!("{url}-sweep-{}-{}", std::process::id(), backend.get());
        async move { check_sweep(&Artifacts::open(&url).unwrap(), &store).await }
    });
}

#[test]
fn a_long_table_is_searched_to_its_end() {
    both(|store| async move {
        let directory = TestDirectory::make();
        let artifacts = Artifacts::open(&url(&directory)).unwrap();
        let digests: Vec<Digest> =
            futures::future::try_join_all((0..50).map(|n: u32| artifacts.put(format!("file {n}").into_bytes()))).await.unwrap();
        let ctx = ctx();
        let write = store.write(&ctx, move |tx| {
            (0..5_000_usize).try_for_each(|n| {
                let digest = if n % 100 == 99 { digests[n / 100] } else { Digest::of(format!("{n}").as_bytes()) };
                let sql = "INSERT INTO ingest_intent (source, ingest_id, plan) VALUES ($1, 'i', $2)";
                tx.execute(sql, &[format!("source {n}").into(), digest.into()]).map(drop)
            })
        });
        write.await.unwrap();
        let swept = artifacts.sweep(&store, tomorrow(), SweepMode::DryRun).await.unwrap();
        assert_eq!((swept.n_stored, swept.garbage), (50, Vec::new()));
    });
}

#[tokio::test]
async fn what_is_put_again_is_young_again() {
    let directory = TestDirectory::make();
    let artifacts = Artifacts::open(&url(&directory)).unwrap();
    let digest = artifacts.put(&b"a model"[..]).await.unwrap();
    let hex = digest.hex();
    let path = directory.path().join("sha256").join(&hex[..2]).join(&hex[2..]);
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(90 * 86_400);
    let age = || std::fs::metadata(&path).unwrap().modified().unwrap().elapsed().unwrap();
    let put_long_ago = || std::fs::File::open(&path).unwrap().set_modified(long_ago).unwrap();
    let source = directory.path().join("source");
    std::fs::write(&source, b"a model").unwrap();

    put_long_ago();
    artifacts.put(&b"a model"[..]).await.unwrap();
    assert!(age() < Duration::from_secs(60));
    put_long_ago();
    artifacts.put_file(&source).await.unwrap();
    assert!(age() < Duration::from_secs(60));
    put_long_ago();
    artifacts.put_stream(futures::stream::iter(pieces(b"a model", 3))).await.unwrap();
    assert!(age() < Duration::from_secs(60));
}

#[tokio::test]
async fn a_removal_that_broke_off_is_undone() {
    let directory = TestDirectory::make();
    let digest = Artifacts::open(&url(&directory)).unwrap().put(&b"a model"[..]).await.unwrap();
    let hex = digest.hex();
    let condemned = directory.path().join("condemned");
    std::fs::create_dir_all(&condemned).unwrap();
    std::fs::rename(directory.path().join("sha256").join(&hex[..2]).join(&hex[2..]), condemned.join(&hex)).unwrap();
    let artifacts = Artifacts::open(&url(&directory)).unwrap();
    assert_eq!(artifacts.get(&digest).await.unwrap(), &b"a model"[..]);
    assert_eq!(n_files(&directory, "condemned"), 0);
}
