//! Artifacts that pass piece by piece, so that their size costs no memory.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::{BoxStream, unfold};
use futures::{Stream, StreamExt};
use lw_core::{Digest, Result};

use super::{Artifacts, Backend, Hasher, corrupt};

/// What was put: its digest, which names it, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub digest: Digest,
    pub size_bytes: u64,
}

/// The bytes of an artifact on their way.
pub type Content = BoxStream<'static, Result<Bytes>>;

/// Bytes that arrive from somewhere else.
pub(super) type Parts<'a> = BoxStream<'a, Result<Bytes>>;

impl Artifacts {
    /// Keeps the bytes of a stream. They are visible and durable when this returns; if the stream fails or the caller stops waiting,
    /// nothing is kept.
    pub async fn put_stream(&self, parts: impl Stream<Item = Result<Bytes>> + Send) -> Result<Stored> {
        let parts = parts.boxed();
        match &*self.0 {
            Backend::Directory(directory) => directory.put_stream(parts).await,
            Backend::Objects(objects) => objects.put_stream(parts).await,
        }
    }

    /// The bytes of an artifact of this size, or a stretch of them. All of them are checked against the digest: the last piece of a
    /// damaged artifact never comes. A stretch cannot be checked.
    pub async fn read(&self, digest: &Digest, size_bytes: u64, stretch: Option<Range<u64>>) -> Result<Content> {
        let range = stretch.clone().unwrap_or(0..size_bytes);
        let parts = match &*self.0 {
            Backend::Directory(directory) => directory.read(digest, range).await?,
            Backend::Objects(objects) => objects.read(digest, range).await?,
        };
        Ok(if stretch.is_some() { parts } else { checked(*digest, parts) })
    }

    /// An address under which the artifact can be read without further credentials for a while, if the store can give one.
    pub async fn signed_url(&self, digest: &Digest, expires_in: std::time::Duration) -> Result<Option<String>> {
        match &*self.0 {
            Backend::Directory(_) => Ok(None),
            Backend::Objects(objects) => objects.signed_url(digest, expires_in).await.map(Some),
        }
    }
}

struct Checking {
    parts: Content,
    hasher: Hasher,
    held: Option<Bytes>,
}

/// Holds each piece back until the next one is there, and the last one until the digest is known to be right.
fn checked(digest: Digest, parts: Content) -> Content {
    let start = Checking { parts, hasher: Hasher::default(), held: None };
    unfold(Some(start), move |checking| async move {
        let mut checking = checking?;
        loop {
            match checking.parts.next().await {
                Some(Ok(part)) => {
                    checking.hasher.update(&part);
                    if let Some(before) = checking.held.replace(part) {
                        return Some((Ok(before), Some(checking)));
                    }
                }
                Some(Err(error)) => return Some((Err(error), None)),
                None => {
                    let found = checking.hasher.finish();
                    return if found == digest {
                        Some((Ok(checking.held?), None))
                    } else {
                        Some((Err(corrupt(&digest, &found)), None))
                    };
                }
            }
        }
    })
    .boxed()
}
