//! Artifacts in an object store.

use std::path::Path as FilePath;

use bytes::Bytes;
use futures::StreamExt;
use lw_core::{Digest, Error, Result};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStoreExt, WriteMultipart};
use tokio::io::AsyncReadExt;

use super::directory::{Upload, not_found};
use super::{Hasher, corrupt, location};
use crate::ARTIFACTS_UNAVAILABLE;

/// Larger files go up in parts of this size.
const PART_BYTES: usize = 8 * 1024 * 1024;
const MAX_PARTS_IN_FLIGHT: usize = 4;

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
        if self.exists(digest).await? {
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
        if self.exists(&digest).await? {
            return Ok(digest);
        }
        let upload = self.store.put_multipart(&self.path(&digest)).await;
        let upload = upload.map_err(|error| unavailable(&self.bucket, "write to", error))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let mut sent = Hasher::default();
        let mut file = open(source).await?;
        while let Some(part) = next_part(&mut file, source).await? {
            sent.update(&part);
            upload.wait_for_capacity(MAX_PARTS_IN_FLIGHT).await.map_err(|error| unavailable(&self.bucket, "write to", error))?;
            upload.put(part);
        }
        if sent.finish() != digest {
            // Nothing is visible yet; the parts that were sent are dropped by the store.
            let _ = upload.abort().await;
            return Err(ARTIFACTS_UNAVAILABLE
                .error(format!("the file {} changed while it was read", source.display()))
                .hint("put the file when nobody writes to it"));
        }
        upload.finish().await.map_err(|error| unavailable(&self.bucket, "write to", error))?;
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

    pub(super) async fn exists(&self, digest: &Digest) -> Result<bool> {
        match self.store.head(&self.path(digest)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(unavailable(&self.bucket, "read from", error)),
        }
    }

    fn path(&self, digest: &Digest) -> Path {
        location(digest).split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn unreadable(&self, digest: &Digest, error: object_store::Error) -> Error {
        match error {
            object_store::Error::NotFound { .. } => not_found(digest),
            error => unavailable(&self.bucket, "read from", error),
        }
    }
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

fn unavailable(bucket: &str, what: &str, error: object_store::Error) -> Error {
    ARTIFACTS_UNAVAILABLE
        .error(format!("cannot {what} the bucket `{bucket}`"))
        .hint("check the bucket's name, AWS_REGION, AWS_ENDPOINT and the AWS credentials in the environment")
        .cause(error)
}
