//! Files kept by their digest: models, reports, environments.
//!
//! An artifact is visible only when it is complete and on disk, and every read checks the digest: a damaged artifact is refused,
//! never served.

mod directory;
mod mentions;
mod object;
mod parts;
mod signature;
mod stream;
mod sweep;
mod upload;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lw_core::{Digest, Error, Result};
use sha2::Digest as _;

use self::directory::Directory;
use self::object::Objects;
pub use self::parts::{PartsUpload, SentPart};
pub use self::stream::{Content, Stored};
pub use self::sweep::{Garbage, Sweep, SweepMode};
use crate::{ARTIFACT_CORRUPT, BAD_STORE_URL};

/// A store of artifacts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Artifacts(Arc<Backend>);

#[derive(Debug)]
enum Backend {
    Directory(Directory),
    Objects(Objects),
}

impl Artifacts {
    /// Opens `file:///absolute/directory` or `s3://bucket/prefix`. For S3 the usual variables count: `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, and `AWS_ENDPOINT` for other servers that speak the protocol.
    pub fn open(url: &str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("file://").map(Path::new).filter(|path| path.is_absolute()) {
            return Ok(Self(Arc::new(Backend::Directory(Directory::open(path)?))));
        }
        if let Some(bucket_and_prefix) = url.strip_prefix("s3://").filter(|rest| !rest.is_empty()) {
            return Ok(Self(Arc::new(Backend::Objects(Objects::open(bucket_and_prefix)?))));
        }
        let shown: String = url.chars().take(200).collect();
        Err(BAD_STORE_URL
            .error(format!("`{shown}` is not an address for artifacts"))
            .hint("write file:///absolute/directory or s3://bucket/prefix"))
    }

    /// Keeps these bytes. They are durable when this returns.
    pub async fn put(&self, bytes: impl Into<Bytes>) -> Result<Digest> {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        match &*self.0 {
            Backend::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.put(&digest, &bytes)).await?;
            }
            Backend::Objects(objects) => objects.put(&digest, bytes).await?,
        }
        Ok(digest)
    }

    /// Keeps the content of a file, without holding it in memory.
    pub async fn put_file(&self, path: &Path) -> Result<Digest> {
        match &*self.0 {
            Backend::Directory(directory) => {
                let (directory, path) = (directory.clone(), path.to_owned());
                blocking(move || directory.put_file(&path)).await
            }
            Backend::Objects(objects) => objects.put_file(path).await,
        }
    }

    /// The bytes of an artifact, checked against their digest.
    pub async fn get(&self, digest: &Digest) -> Result<Bytes> {
        let digest = *digest;
        let bytes = match &*self.0 {
            Backend::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.get(&digest)).await?
            }
            Backend::Objects(objects) => objects.get(&digest).await?,
        };
        let found = Digest::of(&bytes);
        if found == digest { Ok(bytes) } else { Err(corrupt(&digest, &found)) }
    }

    /// Copies an artifact into a file, which appears only when it is complete and its digest is right.
    pub async fn get_to_file(&self, digest: &Digest, path: &Path) -> Result<()> {
        let (digest, path) = (*digest, path.to_owned());
        match &*self.0 {
            Backend::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.get_to_file(&digest, &path)).await
            }
            Backend::Objects(objects) => objects.get_to_file(&digest, &path).await,
        }
    }

    pub async fn size(&self, digest: &Digest) -> Result<u64> {
        match &*self.0 {
            Backend::Directory(directory) => directory.size(digest),
            Backend::Objects(objects) => objects.size(digest).await,
        }
    }

    pub async fn exists(&self, digest: &Digest) -> Result<bool> {
        match &*self.0 {
            Backend::Directory(directory) => Ok(directory.exists(digest)),
            Backend::Objects(objects) => objects.exists(digest).await,
        }
    }
}

/// Where an artifact lies below the root: two digits make a directory, so that none grows large.
fn location(digest: &Digest) -> String {
    let hex = digest.hex();
    let (head, tail) = hex.split_at(2);
    format!("sha256/{head}/{tail}")
}

/// The digest of the artifact that lies there.
fn digest_at(location: &str) -> Option<Digest> {
    let (rest, tail) = location.rsplit_once('/')?;
    let head = rest.rsplit('/').next()?;
    Digest::parse(&format!("sha256:{head}{tail}")).ok()
}

fn corrupt(digest: &Digest, found: &Digest) -> Error {
    ARTIFACT_CORRUPT
        .error(format!("artifact {digest} is damaged: its bytes have the digest {found}"))
        .hint("restore it from a backup, or run again what made it: the same bytes heal it")
}

/// A digest that is fed piece by piece.
#[derive(Default)]
struct Hasher(sha2::Sha256);

impl Hasher {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self) -> Digest {
        Digest::from_bytes(self.0.finalize().into())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::bug("reading or writing an artifact panicked").cause(error)))
}
