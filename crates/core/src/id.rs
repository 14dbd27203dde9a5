//! Identifiers, and where they come from. Below the binary nobody makes an id out of thin air.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::{BAD_NAME, Result};

/// The id of a tracked run: 32 lower-case hexadecimal digits, as MLflow writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Box<str>);

impl RunId {
    pub fn parse(text: &str) -> Result<Self> {
        let is_hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() == 32 && is_hex {
            return Ok(Self(text.into()));
        }
        let shown: String = text.chars().take(80).collect();
        Err(BAD_NAME.error(format!("`{shown}` is not a run id")).hint("a run id is 32 lower-case hexadecimal digits"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes unique 128-bit ids. Two implementations: random ones for real, seeded ones for `replay` and the tests.
pub trait IdSource: Send + Sync {
    fn next(&self) -> u128;

    fn next_hex(&self) -> String {
        format!("{:032x}", self.next())
    }

    fn next_run(&self) -> RunId {
        RunId(self.next_hex().into())
    }
}

/// Time-ordered random ids (UUID version 7, RFC 9562).
#[derive(Debug, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn next(&self) -> u128 {
        uuid::Uuid::now_v7().as_u128()
    }
}

/// Ids that are the same in every run with the same seed.
#[derive(Debug)]
pub struct SeededIds {
    seed: u64,
    count: AtomicU64,
}

impl SeededIds {
    pub fn new(seed: u64) -> Self {
        Self { seed, count: AtomicU64::new(0) }
    }
}

impl IdSource for SeededIds {
    fn next(&self) -> u128 {
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        let digest = crate::Digest::of(format!("{}/{count}", self.seed).as_bytes());
        let (bytes, _) = digest.as_bytes().split_first_chunk::<16>().expect("a digest has 32 bytes");
        u128::from_be_bytes(*bytes)
    }
}
