//! The most frequent values of a column in bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};

/// How many values are followed. Up to this many different values the counts are exact.
const CAPACITY: usize = 512;

/// Counts per value, mergeable (Agarwal et al., 2012): where more than `CAPACITY` values compete, all counts shrink together, by
/// `shrunk_by` in total, and a count is at most that much too low.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TopValues {
    counts: BTreeMap<String, u64>,
    shrunk_by: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopValue {
    pub value: String,
    pub count: u64,
}

/// The counts of one batch by hash of the value, with the row that shows the value.
pub type BatchCounts = HashMap<u64, (u64, u32), BuildHasherDefault<AlreadyHashed>>;

impl TopValues {
    /// Adds the counts of a batch. Only values that stay are turned into text.
    pub fn add_batch(&mut self, batch: &BatchCounts, text_of: impl Fn(u32) -> String) {
        let mut sizes: Vec<u64> = batch.values().map(|(count, _)| *count).collect();
        let limit = shrinkage(&mut sizes);
        self.shrunk_by += limit;
        for (count, row_index) in batch.values().filter(|(count, _)| *count > limit) {
            *self.counts.entry(text_of(*row_index)).or_default() += count - limit;
        }
        self.shrink();
    }

    pub fn merge(&mut self, other: &Self) {
        self.shrunk_by += other.shrunk_by;
        for (value, count) in &other.counts {
            *self.counts.entry(value.clone()).or_default() += count;
        }
        self.shrink();
    }

    pub fn is_exact(&self) -> bool {
        self.shrunk_by == 0
    }

    /// The values that are followed with their counts, in the order of the values.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(value, count)| (value.as_str(), *count))
    }

    /// The most frequent values, largest first; equal counts in the order of the values.
    pub fn top(&self, n: usize) -> Vec<TopValue> {
        let mut values: Vec<_> = self.counts.iter().collect();
        values.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        values.into_iter().take(n).map(|(value, count)| TopValue { value: value.clone(), count: *count }).collect()
    }

    fn shrink(&mut self) {
        let mut sizes: Vec<u64> = self.counts.values().copied().collect();
        let limit = shrinkage(&mut sizes);
        if limit > 0 {
            self.shrunk_by += limit;
            self.counts.retain(|_, count| {
                *count = count.saturating_sub(limit);
                *count > 0
            });
        }
    }
}

/// What must be taken off every count so that at most `CAPACITY` stay above zero.
fn shrinkage(sizes: &mut [u64]) -> u64 {
    if sizes.len() <= CAPACITY {
        return 0;
    }
    *sizes.select_nth_unstable_by(CAPACITY, |a, b| b.cmp(a)).1
}

/// Passes a hash through: keys are well mixed already.
#[derive(Debug, Default)]
pub struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u32]) -> TopValues {
        let mut batch = BatchCounts::default();
        for (row_index, value) in values.iter().enumerate() {
            batch.entry(super::super::distinct::hash_bits(u64::from(*value))).or_insert((0, row_index as u32)).0 += 1;
        }
        let mut top = TopValues::default();
        top.add_batch(&batch, |row_index| values[row_index as usize].to_string());
        top
    }

    #[test]
    fn few_values_are_counted_exactly() {
        let values: Vec<u32> = (0..1_000).map(|index| if index % 3 == 0 { 7 } else { index % 10 + 100 }).collect();
        let mut top = of(&values[..400]);
        top.merge(&of(&values[400..]));
        assert!(top.is_exact());
        assert_eq!(top.top(1), [TopValue { value: "7".into(), count: 334 }]);
    }

    #[test]
    fn a_frequent_value_survives_a_crowd_of_rare_ones() {
        let values: Vec<u32> = (0..20_000).map(|index| if index % 5 == 0 { 7 } else { 100 + index }).collect();
        let mut top = TopValues::default();
        values.chunks(4_000).for_each(|part| top.merge(&of(part)));
        let first = &top.top(1)[0];
        assert_eq!(first.value, "7");
        assert!(first.count <= 4_000 && first.count + top.shrunk_by >= 4_000, "{first:?} {}", top.shrunk_by);
        assert!(top.counts.len() <= CAPACITY);
    }
}
