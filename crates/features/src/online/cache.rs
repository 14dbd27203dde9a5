//! Encoded rows in memory, in front of the disk: many readers at once, a bounded size, never older than the disk.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use parking_lot::RwLock;

const N_SHARDS: usize = 64;
/// What an entry costs beside its bytes: two boxes, the hash table's slot and its slack.
const ENTRY_OVERHEAD_BYTES: usize = 64;

/// Rows by key, split over shards so that readers and the writer seldom meet. A read takes one shard's read lock.
///
/// It remembers absence too, so that entities without a row cost no look-up on disk. When a shard is full it drops entries at
/// random (in the order of the hash table), which needs no bookkeeping on reads.
pub(super) struct RowCache {
    hasher: RandomState,
    shards: Box<[RwLock<Shard>]>,
    shard_limit_bytes: usize,
}

#[derive(Default)]
struct Shard {
    /// `None`: the disk has no row under this key.
    rows: HashMap<Box<[u8]>, Option<Box<[u8]>>>,
    size_bytes: usize,
    /// Counts changes by the writer. A reader that went to the disk keeps what it found only if nothing changed meanwhile.
    generation: u64,
}

pub(super) enum Cached {
    Row,
    Absent,
    /// Ask the disk, then [`RowCache::fill`] with this generation.
    Unknown {
        generation: u64,
    },
}

impl RowCache {
    pub(super) fn new(limit_bytes: usize) -> Self {
        let shards = (0..N_SHARDS).map(|_| RwLock::default()).collect();
        Self { hasher: RandomState::new(), shards, shard_limit_bytes: limit_bytes / N_SHARDS }
    }

    /// Calls `found` with the row, under the shard's read lock, if the cache has it.
    pub(super) fn read(&self, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Cached {
        let shard = self.shard(key).read();
        match shard.rows.get(key) {
            Some(Some(row)) => {
                found(row);
                Cached::Row
            }
            Some(None) => Cached::Absent,
            None => Cached::Unknown { generation: shard.generation },
        }
    }

    /// Keeps what a reader found on disk, unless the writer was in the shard since.
    pub(super) fn fill(&self, key: &[u8], row: Option<&[u8]>, generation: u64) {
        let mut shard = self.shard(key).write();
        if shard.generation == generation {
            shard.insert(key, row, self.shard_limit_bytes);
        }
    }

    /// Keeps a row that the writer has committed.
    pub(super) fn put(&self, key: &[u8], row: &[u8]) {
        let mut shard = self.shard(key).write();
        shard.generation += 1;
        shard.insert(key, Some(row), self.shard_limit_bytes);
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write();
            let generation = shard.generation + 1;
            *shard = Shard { generation, ..Shard::default() };
        }
    }

    fn shard(&self, key: &[u8]) -> &RwLock<Shard> {
        let index = self.hasher.hash_one(key) as usize % N_SHARDS;
        &self.shards[index]
    }
}

impl Shard {
    fn insert(&mut self, key: &[u8], row: Option<&[u8]>, limit_bytes: usize) {
        if let Some(slot) = self.rows.get_mut(key) {
            self.size_bytes -= slot.as_ref().map_or(0, |old| old.len());
            self.size_bytes += row.map_or(0, <[u8]>::len);
            *slot = row.map(Into::into);
        } else {
            self.size_bytes += entry_size(key, row);
            self.rows.insert(key.into(), row.map(Into::into));
        }
        if self.size_bytes > limit_bytes {
            self.evict(limit_bytes - limit_bytes / 4);
        }
    }

    fn evict(&mut self, target_bytes: usize) {
        let mut size_bytes = self.size_bytes;
        self.rows.retain(|key, row| {
            if size_bytes <= target_bytes {
                return true;
            }
            size_bytes -= entry_size(key, row.as_deref());
            false
        });
        self.size_bytes = size_bytes;
    }
}

fn entry_size(key: &[u8], row: Option<&[u8]>) -> usize {
    key.len() + row.map_or(0, <[u8]>::len) + ENTRY_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(cache: &RowCache, key: &[u8]) -> Result<Option<Vec<u8>>, u64> {
        let mut row = None;
        match cache.read(key, &mut |bytes| row = Some(bytes.to_vec())) {
            Cached::Row => Ok(row),
            Cached::Absent => Ok(None),
            Cached::Unknown { generation } => Err(generation),
        }
    }

    #[test]
    fn a_slow_reader_cannot_bring_back_an_old_row() {
        let cache = RowCache::new(1 << 20);
        let generation = get(&cache, b"key").unwrap_err();
        cache.put(b"key", b"new");
        cache.fill(b"key", Some(b"old"), generation);
        assert_eq!(get(&cache, b"key"), Ok(Some(b"new".to_vec())));
    }

    #[test]
    fn absence_is_remembered_until_a_row_comes() {
        let cache = RowCache::new(1 << 20);
        let generation = get(&cache, b"key").unwrap_err();
        cache.fill(b"key", None, generation);
        assert_eq!(get(&cache, b"key"), Ok(None));
        cache.put(b"key", b"row");
        assert_eq!(get(&cache, b"key"), Ok(Some(b"row".to_vec())));
    }

    #[test]
    fn the_size_stays_within_the_limit() {
        let limit = 64 * 1024;
        let cache = RowCache::new(limit);
        for number in 0..10_000_u32 {
            cache.put(&number.to_le_bytes(), &[7; 100]);
        }
        let size: usize = cache.shards.iter().map(|shard| shard.read().size_bytes).sum();
        let counted: usize = cache
            .shards
            .iter()
            .map(|shard| shard.read().rows.iter().map(|(key, row)| entry_size(key, row.as_deref())).sum::<usize>())
            .sum();
        assert_eq!(size, counted);
        assert!(size <= limit && size > limit / 2, "{size}");
    }
}
