//! Quantiles of a stream in bounded memory: the KLL sketch of Karnin, Lang and Liberty (2016), without randomness.

use serde::{Deserialize, Serialize};

/// How many values the top level keeps. Up to this many values everything is exact; beyond, ranks are off by about
/// 1.7 / 1,024 = 0.2 % at the most.
const CAPACITY: usize = 1_024;
const SMALLEST_LEVEL: usize = 16;

/// Values in levels: one of level `l` stands for `2^l` values. A full level is sorted and every other value moves up; which of
/// the two halves stays alternates, so that equal inputs give equal sketches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    n_values: u64,
    levels: Vec<Vec<f64>>,
    keeps_odd: Vec<bool>,
}

impl Default for Quantiles {
    fn default() -> Self {
        Self { n_values: 0, levels: vec![Vec::new()], keeps_odd: vec![false] }
    }
}

impl Quantiles {
    /// Adds a value, which must be finite.
    pub fn add(&mut self, value: f64) {
        self.n_values += 1;
        self.levels[0].push(value);
        if self.levels[0].len() >= self.capacity(0) {
            self.compact();
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.n_values += other.n_values;
        for (level, values) in other.levels.iter().enumerate() {
            if level == self.levels.len() {
                self.push_level();
            }
            self.levels[level].extend_from_slice(values);
        }
        self.compact();
    }

    pub fn is_exact(&self) -> bool {
        self.levels.len() == 1
    }

    /// All kept values with the number of values that each stands for, in order. The work of [`Self::at`], done once.
    pub fn ranked(&self) -> Ranked {
        let weighted =
            self.levels.iter().enumerate().flat_map(|(level, values)| values.iter().map(move |value| (*value, 1_u64 << level)));
        let mut values: Vec<(f64, u64)> = weighted.collect();
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut below = 0;
        for (_, weight) in &mut values {
            below += *weight;
            *weight = below;
        }
        Ranked { values }
    }

    /// Lower levels are smaller: two thirds of the next.
    fn capacity(&self, level: usize) -> usize {
        let depth = self.levels.len() - 1 - level;
        let capacity = CAPACITY as f64 * (2.0_f64 / 3.0).powi(i32::try_from(depth).unwrap_or(i32::MAX));
        (capacity.ceil() as usize).max(SMALLEST_LEVEL)
    }

    fn push_level(&mut self) {
        self.levels.push(Vec::new());
        self.keeps_odd.push(false);
    }

    fn compact(&mut self) {
        let mut level = 0;
        while level < self.levels.len() {
            if self.levels[level].len() >= self.capacity(level) {
                if level + 1 == self.levels.len() {
                    self.push_level();
                }
                self.halve(level);
            }
            level += 1;
        }
    }

    fn halve(&mut self, level: usize) {
        let mut values = std::mem::take(&mut self.levels[level]);
        values.sort_unstable_by(f64::total_cmp);
        // An odd one out stays, so that weights add up to the number of values.
        if values.len() % 2 == 1 {
            self.levels[level].extend(values.pop());
        }
        let start = usize::from(self.keeps_odd[level]);
        self.keeps_odd[level] = !self.keeps_odd[level];
        self.levels[level + 1].extend(values.iter().skip(start).step_by(2));
    }
}

/// Kept values in order, each with how many values are not above it.
#[derive(Debug)]
pub struct Ranked {
    values: Vec<(f64, u64)>,
}

impl Ranked {
    fn n_values(&self) -> u64 {
        self.values.last().map_or(0, |(_, below)| *below)
    }

    /// The smallest kept value that has at least a share (0 to 1) of all values at or below it. None without values.
    pub fn at(&self, share: f64) -> Option<f64> {
        let rank = (share.clamp(0.0, 1.0) * self.n_values() as f64).ceil().max(1.0) as u64;
        let index = self.values.partition_point(|(_, below)| *below < rank);
        self.values.get(index).map(|(value, _)| *value)
    }

    /// How many values lie at or below a limit.
    pub fn count_to(&self, limit: f64) -> u64 {
        let index = self.values.partition_point(|(value, _)| *value <= limit);
        if index == 0 { 0 } else { self.values[index - 1].1 }
    }

    /// How many values lie below a limit.
    pub fn count_below(&self, limit: f64) -> u64 {
        let index = self.values.partition_point(|(value, _)| *value < limit);
        if index == 0 { 0 } else { self.values[index - 1].1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = u64>) -> Quantiles {
        let mut quantiles = Quantiles::default();
        values.for_each(|value| quantiles.add(value as f64));
        quantiles
    }

    /// A permutation of 0..n, so that rank and value are the same.
    fn shuffled(n: u64) -> impl Iterator<Item = u64> {
        (0..n).map(move |index| index * 7_919 % n)
    }

    #[track_caller]
    fn check(quantiles: &Quantiles, n: u64, tolerance: f64) {
        let ranked = quantiles.ranked();
        assert_eq!(ranked.n_values(), n);
        for share in [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99] {
            let error = (ranked.at(share).unwrap() / n as f64 - share).abs();
            assert!(error <= tolerance, "{share}: {error}");
        }
    }

    #[test]
    fn quantiles_are_exact_for_few_values_and_close_for_many() {
        let few = of(shuffled(1_000));
        assert!(few.is_exact());
        check(&few, 1_000, 0.0011);
        for n in [10_000, 300_000] {
            check(&of(shuffled(n)), n, 0.005);
        }
        assert_eq!(Quantiles::default().ranked().at(0.5), None);
    }

    #[test]
    fn merged_sketches_keep_the_promise() {
        let mut merged = Quantiles::default();
        for part in 0..12 {
            merged.merge(&of((0..20_000).map(|index| (index * 7_919 % 20_000) * 12 + part)));
        }
        check(&merged, 240_000, 0.006);
        let text = serde_json::to_string(&merged).unwrap();
        assert_eq!(serde_json::from_str::<Quantiles>(&text).unwrap(), merged);
    }
}
