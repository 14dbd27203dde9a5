//! What another tracking server recorded, brought here with its own ids and times.
//!
//! A run or a logged model comes in three steps: it is adopted, it is filled with the ordinary calls, and it is finished. What a kill
//! leaves between them is open, and whoever brings it once more goes on with it; what is finished stays as it is.

mod experiment;
mod logged_model;
mod run;

use lw_core::{Result, Subject};
use lw_store::{EntryFilter, Mention, Store};

pub use self::experiment::AdoptedExperiment;
pub use self::logged_model::{AdoptedModel, ModelEnd};
pub use self::run::{AdoptedRun, RunEnd};

/// Something that was brought here.
#[derive(Debug, Clone, PartialEq)]
pub struct Adopted<T> {
    pub item: T,
    pub is_new: bool,
    /// Whether it was begun by an import and is not finished: there may be more to bring.
    pub is_open: bool,
}

impl<T> Adopted<T> {
    fn new(item: T) -> Self {
        Self { item, is_new: true, is_open: true }
    }
}

/// Whether an import began the thing and neither an import nor anybody else finished or deleted it since. What was purged and brought
/// once more has older entries, too.
async fn waits_for_its_import(store: &Store, subject: Subject, begun: &str, ended: &[&str]) -> Result<bool> {
    let entries = store.entries(EntryFilter::about(subject, Mention::Subject)).await?;
    let is_told = |action: &str| action == begun || ended.contains(&action);
    let last = entries.iter().rev().map(|entry| entry.action.as_str()).find(|action| is_told(action));
    Ok(last == Some(begun))
}
