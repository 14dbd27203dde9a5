use lw_core::Digest;
use lw_store::testing::TestDirectory;
use lw_store::{ARTIFACT_CORRUPT, ARTIFACT_NOT_FOUND, ARTIFACTS_UNAVAILABLE, Artifacts, BAD_STORE_URL};

/// Names a bucket of a running S3 server, like `s3://bucket/prefix`, with AWS_ENDPOINT and credentials beside it.
pub(crate) const S3_VARIABLE: &str = "LOOPWRIGHT_TEST_S3";

async fn check(artifacts: Artifacts) {
    let files = TestDirectory::make();
    let small = artifacts.put(&b"a model"[..]).await.unwrap();
    assert_eq!(small, Digest::of(b"a model"));
    assert_eq!(artifacts.put(&b"a model"[..]).await.unwrap(), small, "putting the same bytes again is no error");
    assert_eq!(artifacts.get(&small).await.unwrap(), &b"a model"[..]);
    assert!(artifacts.exists(&small).await.unwrap());

    let large: Vec<u8> = (0..20_000_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let source = files.path().join("source");
    std::fs::write(&source, &large).unwrap();
    let digest = artifacts.put_file(&source).await.unwrap();
    assert_eq!(digest, Digest::of(&large));
    let target = files.path().join("target");
    artifacts.get_to_file(&digest, &target).await.unwrap();
    assert!(std::fs::read(&target).unwrap() == large);

    let missing = Digest::of(b"missing");
    assert!(!artifacts.exists(&missing).await.unwrap());
    assert!(artifacts.get(&missing).await.unwrap_err().is(ARTIFACT_NOT_FOUND));
    let untouched = files.path().join("untouched");
    assert!(artifacts.get_to_file(&missing, &untouched).await.unwrap_err().is(ARTIFACT_NOT_FOUND));
    assert!(!untouched.exists());
    assert!(artifacts.put_file(&files.path().join("nowhere")).await.unwrap_err().is(ARTIFACTS_UNAVAILABLE));
}

pub(crate) fn url(directory: &TestDirectory) -> String {
    format!("file://{}", directory.path().display())
}

#[tokio::test]
async fn a_directory_keeps_artifacts() {
    let directory = TestDirectory::make();
    check(Artifacts::open(&url(&directory)).unwrap()).await;
    let n_uploads = std::fs::read_dir(directory.path().join("uploads")).unwrap().count();
    assert_eq!(n_uploads, 0, "no upload stays behind");
}

#[tokio::test]
async fn an_object_store_keeps_artifacts() {
    let Ok(url) = std::env::var(S3_VARIABLE) else { return };
    check(Artifacts::open(&url).unwrap()).await;
}

#[tokio::test]
async fn a_damaged_artifact_is_refused_and_healed_by_the_same_bytes() {
    let directory = TestDirectory::make();
    let artifacts = Artifacts::open(&url(&directory)).unwrap();
    let digest = artifacts.put(&b"a model"[..]).await.unwrap();
    let hex = digest.hex();
    let path = directory.path().join("sha256").join(&hex[..2]).join(&hex[2..]);
    std::fs::write(&path, b"a mode1").unwrap();
    assert!(artifacts.get(&digest).await.unwrap_err().is(ARTIFACT_CORRUPT));
    let target = directory.path().join("target");
    assert!(artifacts.get_to_file(&digest, &target).await.unwrap_err().is(ARTIFACT_CORRUPT));
    assert!(!target.exists());
    artifacts.put(&b"a model"[..]).await.unwrap();
    assert_eq!(artifacts.get(&digest).await.unwrap(), &b"a model"[..]);
}

#[tokio::test]
async fn many_at_once_put_the_same_bytes() {
    let directory = TestDirectory::make();
    let artifacts = Artifacts::open(&url(&directory)).unwrap();
    let puts = (0..32).map(|_| artifacts.put(vec![7_u8; 100_000]));
    let digests = futures::future::try_join_all(puts).await.unwrap();
    assert_eq!(artifacts.get(&digests[0]).await.unwrap().len(), 100_000);
}

#[test]
fn addresses_are_checked() {
    for bad in ["", "artifacts", "file://relative", "s3://", "gs://bucket", "http://host"] {
        assert!(Artifacts::open(bad).unwrap_err().is(BAD_STORE_URL), "{bad}");
    }
}
