//! Removing artifacts that nothing mentions any more.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::TryStreamExt;
use lw_core::{Digest, Result, Timestamp};

use super::mentions::mentions;
use super::{Artifacts, Backend, blocking};
use crate::Store;

/// Larger artifacts are no documents of ours, which name other artifacts.
const MAX_DOCUMENT_BYTES: u64 = 16 << 20;

/// An artifact that nothing mentions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garbage {
    pub digest: Digest,
    pub size_bytes: u64,
    /// When it was put last.
    pub put_at: Timestamp,
}

/// What a sweep found, and what it removed unless it was a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    pub n_stored: u64,
    pub stored_bytes: u64,
    /// By digest.
    pub garbage: Vec<Garbage>,
}

impl Sweep {
    pub fn garbage_bytes(&self) -> u64 {
        self.garbage.iter().map(|garbage| garbage.size_bytes).sum()
    }
}

/// Whether a sweep removes what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepMode {
    DryRun,
    Remove,
}

/// An artifact as it lies in the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lying {
    pub size_bytes: u64,
    pub put_at: Timestamp,
}

/// All that the store holds.
pub(super) type Inventory = HashMap<Digest, Lying>;

impl Artifacts {
    /// Removes the artifacts that were put before a time and that nothing mentions: no row of the metadata, no entry of the ledger,
    /// and no document among the artifacts that are mentioned themselves.
    ///
    /// The store is listed before the metadata is read, so that whatever is recorded meanwhile counts. An artifact that somebody puts
    /// again meanwhile is young again and stays. `before` must lie so far back that whoever put an artifact then has recorded it.
    pub async fn sweep(&self, store: &Store, before: Timestamp, mode: SweepMode) -> Result<Sweep> {
        let inventory = self.inventory().await?;
        let (n_stored, stored_bytes) = (inventory.len() as u64, inventory.values().map(|lying| lying.size_bytes).sum());
        let mut garbage = self.unmentioned(store, inventory, before).await?;
        garbage.sort_unstable_by_key(|garbage| garbage.digest);
        if mode == SweepMode::Remove {
            let mut removed = Vec::with_capacity(garbage.len());
            for garbage in garbage {
                if self.remove(&garbage.digest, before).await? {
                    removed.push(garbage);
                }
            }
            garbage = removed;
            self.remove_abandoned(before).await?;
        }
        Ok(Sweep { n_stored, stored_bytes, garbage })
    }

    async fn unmentioned(&self, store: &Store, mut inventory: Inventory, before: Timestamp) -> Result<Vec<Garbage>> {
        let mut waiting = Vec::new();
        let keep = |inventory: &mut Inventory, waiting: &mut Vec<(Digest, u64)>, digest: Digest| {
            if let Some(lying) = inventory.remove(&digest) {
                waiting.push((digest, lying.size_bytes));
            }
        };
        // What is young may not be recorded yet, and may name what is old.
        let young: Vec<Digest> =
            inventory.iter().filter(|(_, lying)| lying.put_at >= before).map(|(digest, _)| *digest).collect();
        young.into_iter().for_each(|digest| keep(&mut inventory, &mut waiting, digest));
        let candidates: std::collections::HashSet<Digest> = inventory.keys().copied().collect();
        for digest in store.mentioned(candidates).await? {
            keep(&mut inventory, &mut waiting, digest);
        }
        while let Some((digest, size_bytes)) = waiting.pop() {
            for named in self.named_in(&digest, size_bytes).await? {
                keep(&mut inventory, &mut waiting, named);
            }
        }
        let garbage = |(digest, lying): (Digest, Lying)| Garbage { digest, size_bytes: lying.size_bytes, put_at: lying.put_at };
        Ok(inventory.into_iter().map(garbage).collect())
    }

    /// The digests that a document names. What is no JSON names none.
    async fn named_in(&self, digest: &Digest, size_bytes: u64) -> Result<Vec<Digest>> {
        if !(64..=MAX_DOCUMENT_BYTES).contains(&size_bytes) {
            return Ok(Vec::new());
        }
        // Read unchecked: what a damaged document names is still needed.
        let document = match self.read(digest, size_bytes, Some(0..size_bytes)).await {
            Ok(content) => content.try_collect::<Vec<_>>().await,
            Err(error) => Err(error),
        };
        match document {
            Ok(parts) if matches!(parts.first().and_then(|part| part.first()), Some(b'{' | b'[')) => {
                Ok(mentions(&parts.concat()).collect())
            }
            Ok(_) => Ok(Vec::new()),
            // Somebody else sweeps, too.
            Err(error) if error.is(crate::ARTIFACT_NOT_FOUND) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn inventory(&self) -> Result<Inventory> {
        match &*self.0 {
            Backend::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.inventory()).await
            }
            Backend::Objects(objects) => objects.inventory().await,
        }
    }

    /// Removes an artifact unless somebody put it again. Says whether it is gone.
    async fn remove(&self, digest: &Digest, before: Timestamp) -> Result<bool> {
        let digest = *digest;
        match &*self.0 {
            Backend::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.remove(&digest, before)).await
            }
            Backend::Objects(objects) => objects.remove(&digest, before).await,
        }
    }

    /// Removes uploads that broke off. A directory does so when it is opened.
    async fn remove_abandoned(&self, before: Timestamp) -> Result<()> {
        match &*self.0 {
            Backend::Directory(_) => Ok(()),
            Backend::Objects(objects) => objects.remove_abandoned(before).await,
        }
    }
}

/// A time of a file system or object store. Times before 1970 count as 1970, which is long ago as well.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
