//! Artifacts in an object store.

use std::path::Path as FilePath;

use std::ops::Range;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use lw_core::{Digest, Error, IdSource, RandomIds, Result, Timestamp};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, WriteMultipart};
use tokio::io::AsyncReadExt;

use super::directory::not_found;
use super::stream::{Content, Parts, Stored};
use super::sweep::{Inventory, Lying, timestamp};
use super::upload::Upload;
use super::{Hasher, corrupt, digest_at, location};
use crate::ARTIFACTS_UNAVAILABLE;

/// Larger files go up in parts of this size.
const PART_BYTES: usize = 8 * 1024 * 1024;
const MAX_PARTS_IN_FLIGHT: usize = 4;
/// What the protocol copies at once; more is sent through this process.
const MAX_COPY_BYTES: u64 = 5 << 30;
/// An object that was written less than this ago need not be written again: no sweep takes it.
const YOUNG: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Objects {
    store: AmazonS3,
    prefix: Path,
    bucket: String,
}

impl Objects {
    pub(super) fn open(bucket_and_prefix: &str) -> Result<Self> {
        let (bucket, prefix) = bucket_and_prefix.split_once('/').unwrap_or((bucket_and_prefix, ""));
        let is_local = std::env::var("AWS_ENDPOINT").is_ok_and(|endpoint| endpoint.starts_with("http://"));
        let store = AmazonS3Builder::from_env().with_bucket_name(bucket).with_allow_http(is_local).build();
        let store = store.map_err(|error| unavailable(bucket, "open", error))?;
        Ok(Self { store, prefix: Path::from(prefix), bucket: bucket.to_owned() })
    }

    pub(super) async fn put(&self, digest: &Digest, bytes: Bytes) -> Result<()> {
        if self.is_young(digest).await? {
            return Ok(());
        }
        let put = self.store.put(&self.path(digest), bytes.into()).await;
        put.map(|_| ()).map_err(|error| unavailable(&self.bucket, "write to", error))
    }

    /// Reads the file twice: once for its name, once to send it.
    pub(super) async fn put_file(&self, source: &FilePath) -> Result<Digest> {
        let mut hasher = Hasher::default();
        let mut file = open(source).await?;
        while let Some(part) = next_part(&mut file, source).await? {
            hasher.update(&part);
        }
        let digest = hasher.finish();
        if self.is_young(&digest).await? {
            return Ok(digest);
        }
        let mut upload = self.begin(&self.path(&digest)).await?;
        let mut sent = Hasher::default();
        let mut file = open(source).await?;
        while let Some(part) = next_part(&mut file, source).await? {
            sent.update(&part);
            upload.put(part).await?;
        }
        if sent.finish() != digest {
            // Nothing is visible yet; the parts that were sent are dropped by the store.
            drop(upload);
            return Err(ARTIFACTS_UNAVAILABLE
                .error(format!("the file {} changed while it was read", source.display()))
                .hint("put the file when nobody writes to it"));
        }
        upload.finish().await?;
        Ok(digest)
    }

    pub(super) async fn get(&self, digest: &Digest) -> Result<Bytes> {
        let found = self.store.get(&self.path(digest)).await.map_err(|error| self.unreadable(digest, error))?;
        found.bytes().await.map_err(|error| self.unreadable(digest, error))
    }

    pub(super) async fn get_to_file(&self, digest: &Digest, target: &FilePath) -> Result<()> {
        let found = self.store.get(&self.path(digest)).await.map_err(|error| self.unreadable(digest, error))?;
        let mut upload = Upload::begin(target.parent().unwrap_or(FilePath::new(".")))?;
        let mut hasher = Hasher::default();
        let mut parts = found.into_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| self.unreadable(digest, error))?;
            hasher.update(&part);
            upload.write(&part)?;
        }
        let found = hasher.finish();
        if found != *digest {
            return Err(corrupt(digest, &found));
        }
        upload.publish(target)
    }

    /// What is smaller than a part is written at once. More goes to a name of its own first, because the digest, which is its name,
    /// is known only at the end.
    pub(super) async fn put_stream(&self, mut parts: Parts<'_>) -> Result<Stored> {
        let (mut first, mut n_first) = (Vec::<Bytes>::new(), 0);
        while n_first < PART_BYTES {
            let Some(part) = parts.next().await else {
                let bytes: Bytes = first.concat().into();
                let stored = Stored { digest: Digest::of(&bytes), size_bytes: n_first as u64 };
                self.put(&stored.digest, bytes).await?;
                return Ok(stored);
            };
            let part = part?;
            n_first += part.len();
            first.push(part);
        }
        let waiting = self.waiting(&RandomIds.next_hex());
        let mut upload = self.begin(&waiting).await?;
        let (mut hasher, mut size_bytes) = (Hasher::default(), 0);
        let mut parts = futures::stream::iter(first.into_iter().map(Ok)).chain(parts);
        while let Some(part) = parts.next().await {
            let part = part?;
            hasher.update(&part);
            size_bytes += part.len() as u64;
            upload.put(part).await?;
        }
        upload.finish().await?;
        let stored = Stored { digest: hasher.finish(), size_bytes };
        let moved = self.copy(&waiting, &self.path(&stored.digest), size_bytes).await;
        if let Err(error) = self.store.delete(&waiting).await {
            tracing::warn!(%error, "An upload stays behind in the bucket until the next sweep: {error}");
        }
        moved.map(|()| stored)
    }

    pub(super) async fn copy(&self, from: &Path, to: &Path, size_bytes: u64) -> Result<()> {
        let unwritable = |error| unavailable(&self.bucket, "write to", error);
        if size_bytes <= MAX_COPY_BYTES {
            return self.store.copy(from, to).await.map_err(unwritable);
        }
        let mut parts = self.store.get(from).await.map_err(unwritable)?.into_stream();
        let mut upload = self.begin(to).await?;
        while let Some(part) = parts.next().await {
            upload.put(part.map_err(unwritable)?).await?;
        }
        upload.finish().await
    }

    pub(super) async fn read(&self, digest: &Digest, range: Range<u64>) -> Result<Content> {
        if range.is_empty() {
            return Ok(futures::stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.store.get_opts(&self.path(digest), options).await.map_err(|error| self.unreadable(digest, error))?;
        let bucket = self.bucket.clone();
        Ok(found.into_stream().map_err(move |error| unavailable(&bucket, "read from", error)).boxed())
    }

    pub(super) async fn signed_url(&self, digest: &Digest, expires_in: Duration) -> Result<String> {
        // HTTP's default method is GET.
        let url = self.store.signed_url(Default::default(), &self.path(digest), expires_in).await;
        url.map(String::from).map_err(|error| unavailable(&self.bucket, "sign an address in", error))
    }

    pub(super) async fn inventory(&self) -> Result<Inventory> {
        let mut listed = self.store.list(Some(&self.prefix.clone().join("sha256")));
        let mut inventory = Inventory::new();
        while let Some(object) = listed.next().await {
            let object = object.map_err(|error| unavailable(&self.bucket, "list", error))?;
            if let Some(digest) = digest_at(object.location.as_ref()) {
                inventory.insert(digest, Lying { size_bytes: object.size, put_at: put_at(&object) });
            }
        }
        Ok(inventory)
    }

    /// Looks at the object's age once more and deletes it. The protocol cannot do both at once; whoever puts the same content in the
    /// milliseconds between them, and has left it alone for all the time before, must put it again.
    pub(super) async fn remove(&self, digest: &Digest, before: Timestamp) -> Result<bool> {
        let path = self.path(digest);
        match self.store.head(&path).await {
            Ok(object) if put_at(&object) < before => {}
            Ok(_) | Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(unavailable(&self.bucket, "read from", error)),
        }
        self.store.delete(&path).await.map_err(|error| unavailable(&self.bucket, "delete in", error))?;
        Ok(true)
    }

    /// Uploads that broke off, and those in parts that nobody finished.
    pub(super) async fn remove_abandoned(&self, before: Timestamp) -> Result<()> {
        let mut listed = self.store.list(Some(&self.prefix.clone().join("uploads")));
        while let Some(object) = listed.next().await {
            let object = object.map_err(|error| unavailable(&self.bucket, "list", error))?;
            if put_at(&object) >= before {
                continue;
            }
            if let Some(id) = Self::upload_of_note(&object.location) {
                self.forget_parts(id).await?;
            } else {
                self.store.delete(&object.location).await.map_err(|error| unavailable(&self.bucket, "delete in", error))?;
            }
        }
        Ok(())
    }

    async fn begin(&self, path: &Path) -> Result<Sending> {
        let upload = self.store.put_multipart(path).await.map_err(|error| unavailable(&self.bucket, "write to", error))?;
        let upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        Ok(Sending { upload: Some(upload), bucket: self.bucket.clone() })
    }

    /// Whether the object is there and was written so lately that it will stay until its new owner is recorded.
    async fn is_young(&self, digest: &Digest) -> Result<bool> {
        match self.store.head(&self.path(digest)).await {
            Ok(object) => Ok(put_at(&object) > timestamp(SystemTime::now() - YOUNG)),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(unavailable(&self.bucket, "read from", error)),
        }
    }

    pub(super) async fn size(&self, digest: &Digest) -> Result<u64> {
        let found = self.store.head(&self.path(digest)).await;
        found.map(|object| object.size).map_err(|error| self.unreadable(digest, error))
    }

    pub(super) async fn exists(&self, digest: &Digest) -> Result<bool> {
        match self.store.head(&self.path(digest)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(unavailable(&self.bucket, "read from", error)),
        }
    }

    pub(super) fn store(&self) -> &AmazonS3 {
        &self.store
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Where something lies until its digest is known.
    pub(super) fn waiting(&self, name: &str) -> Path {
        self.prefix.clone().join("uploads").join(name)
    }

    pub(super) fn path(&self, digest: &Digest) -> Path {
        location(digest).split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn unreadable(&self, digest: &Digest, error: object_store::Error) -> Error {
        match error {
            object_store::Error::NotFound { .. } => not_found(digest),
            error => unavailable(&self.bucket, "read from", error),
        }
    }
}

/// An object on its way in parts. If it is given up, the store is told to forget the parts.
struct Sending {
    upload: Option<WriteMultipart>,
    bucket: String,
}

impl Sending {
    async fn put(&mut self, part: Bytes) -> Result<()> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        let waited = upload.wait_for_capacity(MAX_PARTS_IN_FLIGHT).await;
        waited.map_err(|error| unavailable(&self.bucket, "write to", error))?;
        upload.put(part);
        Ok(())
    }

    async fn finish(mut self) -> Result<()> {
        let Some(upload) = self.upload.take() else { return Ok(()) };
        upload.finish().await.map(|_| ()).map_err(|error| unavailable(&self.bucket, "write to", error))
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let (Some(upload), Ok(runtime)) = (self.upload.take(), tokio::runtime::Handle::try_current()) {
            // Nothing of it is visible; what cannot be told to the store now, its rules for unfinished uploads remove.
            runtime.spawn(async move { drop(upload.abort().await) });
        }
    }
}

fn put_at(object: &ObjectMeta) -> Timestamp {
    Timestamp::from_micros(object.last_modified.timestamp_micros())
}

async fn open(path: &FilePath) -> Result<tokio::fs::File> {
    tokio::fs::File::open(path).await.map_err(|error| unreadable_file(path, error))
}

async fn next_part(file: &mut tokio::fs::File, path: &FilePath) -> Result<Option<Bytes>> {
    let mut part = Vec::with_capacity(PART_BYTES);
    let read = file.take(PART_BYTES as u64).read_to_end(&mut part).await;
    read.map_err(|error| unreadable_file(path, error))?;
    Ok(if part.is_empty() { None } else { Some(part.into()) })
}

fn unreadable_file(path: &FilePath, error: std::io::Error) -> Error {
    ARTIFACTS_UNAVAILABLE.error(format!("cannot read the file {}: {error}", path.display())).cause(error)
}

pub(super) fn unavailable(bucket: &str, what: &str, error: object_store::Error) -> Error {
    ARTIFACTS_UNAVAILABLE
        .error(format!("cannot {what} the bucket `{bucket}`"))
        .hint("check the bucket's name, AWS_REGION, AWS_ENDPOINT and the AWS credentials in the environment")
        .cause(error)
}
