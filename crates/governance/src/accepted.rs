//! Tokens that were accepted a moment ago, so that a prediction does not wait for the database.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use lw_core::Digest;

use crate::Credential;

/// More callers than this at one time are looked up anew.
const MAX_REMEMBERED: usize = 1024;

/// What tokens stood for at one moment of the database. The next write makes all of it forgotten, whatever it wrote: so a token that
/// was revoked, or a role that was taken, counts from the next request on.
#[derive(Debug, Default)]
pub(crate) struct Accepted(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    moment: u64,
    by_hash: HashMap<Digest, Credential>,
}

impl Accepted {
    pub(crate) fn find(&self, moment: u64, hash: &Digest) -> Option<Credential> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.by_hash.get(hash).filter(|_| remembered.moment == moment).cloned()
    }

    /// Remembers what was read after `moment`.
    pub(crate) fn insert(&self, moment: u64, hash: Digest, credential: Credential) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.moment > moment {
            return;
        }
        if remembered.moment < moment || remembered.by_hash.len() >= MAX_REMEMBERED {
            remembered.by_hash.clear();
        }
        remembered.moment = moment;
        remembered.by_hash.insert(hash, credential);
    }
}
