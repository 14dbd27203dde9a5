//! How many different values a column has: exact while there are few, estimated beyond.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Up to this many different values the count is exact.
pub const EXACT_LIMIT: usize = 4_096;

/// HyperLogLog with 2^12 registers has a standard error of 1.04 / sqrt(4096) = 1.6 % (Flajolet et al., 2007).
const INDEX_BITS: u32 = 12;
const N_REGISTERS: usize = 1 << INDEX_BITS;

/// Counts different values by their 64-bit hashes. Merging two gives what one over all values would have given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distinct {
    /// The hashes themselves.
    Exact(#[serde(with = "hex_hashes")] BTreeSet<u64>),
    /// HyperLogLog registers: the longest run of leading zeros seen in each part of the hash space.
    Sketch(Registers),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Registers(Box<[u8]>);

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(BTreeSet::new())
    }
}

impl Distinct {
    pub fn add(&mut self, hash: u64) {
        match self {
            Self::Exact(hashes) => {
                hashes.insert(hash);
                if hashes.len() > EXACT_LIMIT {
                    *self = Self::Sketch(Registers::of(hashes));
                }
            }
            Self::Sketch(registers) => registers.add(hash),
        }
    }

    pub fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::Exact(hashes)) => hashes.iter().for_each(|hash| self.add(*hash)),
            (Self::Sketch(registers), Self::Sketch(others)) => registers.merge(others),
            (Self::Exact(hashes), Self::Sketch(others)) => {
                let mut registers = Registers::of(hashes);
                registers.merge(others);
                *self = Self::Sketch(registers);
            }
        }
    }

    pub fn count(&self) -> u64 {
        match self {
            Self::Exact(hashes) => hashes.len() as u64,
            Self::Sketch(registers) => registers.estimate(),
        }
    }

    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }
}

impl Registers {
    fn of(hashes: &BTreeSet<u64>) -> Self {
        let mut registers = Self(vec![0; N_REGISTERS].into());
        hashes.iter().for_each(|hash| registers.add(*hash));
        registers
    }

    fn add(&mut self, hash: u64) {
        let index = (hash >> (u64::BITS - INDEX_BITS)) as usize;
        // The guard bit bounds the run where the rest of the hash is zero.
        let rest = (hash << INDEX_BITS) | (1 << (INDEX_BITS - 1));
        let run = rest.leading_zeros() as u8 + 1;
        self.0[index] = self.0[index].max(run);
    }

    fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = (*mine).max(*theirs);
        }
    }

    fn estimate(&self) -> u64 {
        let n = N_REGISTERS as f64;
        let alpha = 0.7213 / (1.0 + 1.079 / n);
        let sum: f64 = self.0.iter().map(|run| 2_f64.powi(-i32::from(*run))).sum();
        let raw = alpha * n * n / sum;
        let n_empty = self.0.iter().filter(|run| **run == 0).count();
        // Linear counting for small counts, as the paper prescribes.
        let estimate = if raw <= 2.5 * n && n_empty > 0 { n * (n / n_empty as f64).ln() } else { raw };
        estimate.round() as u64
    }
}

impl Serialize for Registers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().map(|run| char::from(b'0' + run)).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Registers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let runs: Option<Box<[u8]>> = text.bytes().map(|byte| byte.checked_sub(b'0')).collect();
        let runs = runs.filter(|runs| runs.len() == N_REGISTERS);
        runs.map(Self).ok_or_else(|| serde::de::Error::custom("a sketch of distinct values has 4096 registers"))
    }
}

/// JSON numbers cannot carry 64 bits, so hashes travel as one text of 16 hexadecimal digits each.
mod hex_hashes {
    use super::{BTreeSet, Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(hashes: &BTreeSet<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = hashes.iter().map(|hash| format!("{hash:016x}")).collect();
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<u64>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = |chunk: &[u8]| std::str::from_utf8(chunk).ok().and_then(|chunk| u64::from_str_radix(chunk, 16).ok());
        let hashes: Option<_> = text.as_bytes().chunks(16).map(digits).collect();
        hashes.ok_or_else(|| serde::de::Error::custom("hashes are hexadecimal"))
    }
}

/// A 64-bit hash that is the same on every machine and in every version: FNV-1a over the bytes, mixed by SplitMix64's finalizer.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    mix(fnv)
}

/// The same for a value that fits into 64 bits.
pub fn hash_bits(bits: u64) -> u64 {
    mix(bits.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = u64>) -> Distinct {
        let mut distinct = Distinct::default();
        values.for_each(|value| distinct.add(hash_bits(value)));
        distinct
    }

    #[test]
    fn few_values_are_counted_exactly_and_many_within_the_known_error() {
        let few = of((0..100_000).map(|value| value % 1_000));
        assert!(few.is_exact());
        assert_eq!(few.count(), 1_000);
        for n in [5_000_u64, 20_000, 300_000] {
            let many = of(0..n);
            assert!(!many.is_exact());
            let error = (many.count() as f64 / n as f64 - 1.0).abs();
            assert!(error < 0.05, "{n}: {error}");
        }
    }

    #[test]
    fn merged_parts_equal_the_whole_and_survive_json() {
        for (left, right) in [(0..50, 25..80), (0..50, 25..9_000), (0..9_000, 25..50), (0..9_000, 5_000..12_000)] {
            let whole = of(left.clone().chain(right.clone()));
            let mut merged = of(left);
            merged.merge(&of(right));
            assert_eq!(merged, whole);
            let text = serde_json::to_string(&merged).unwrap();
            assert_eq!(serde_json::from_str::<Distinct>(&text).unwrap(), merged);
        }
    }
}
