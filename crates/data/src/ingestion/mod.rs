//! From files to a version of a table, exactly once.
//!
//! A batch is written in four steps, each of which a crash may cut off:
//!
//! 1. *intend*: what will be written goes into the metadata database; profile and quarantined rows go to the artifacts;
//! 2. *append*: the rows become a version of the Delta table, whose commit carries the source and the batch's sequence number;
//! 3. *quarantine*: the rows that broke the contract become a version of the quarantine table, under the same number;
//! 4. *record*: the version, its files and the ledger entry become durable together, and the intent goes.
//!
//! The next ingestion finds an intent that was left. If its rows are in the table, it carries out steps 3 and 4; if not, nobody
//! has seen anything of the batch, so the intent goes and its files are read anew.

mod batch;
mod chunk;
mod commit;
mod facts;
mod intake;
mod judge;
mod keys;
mod quarantine;
mod references;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use lw_core::{Ctx, Name, Result, Timestamp};
use lw_engine::Engine;
use lw_store::{Artifacts, Store};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Mutex as Turn;

pub(crate) use chunk::{Chunk, Origin};
pub use quarantine::quarantine_schema;
pub(crate) use tally::Counts;

use crate::contract::compiled;
use crate::queries::TableVersion;
use crate::{Freshness, SourceDefinition, freshness, queries};

/// What ingestion works with. Clones share the turns that ingestions of one source take, so make one and clone it.
#[derive(Clone)]
pub struct Services {
    pub store: Store,
    pub engine: Engine,
    pub artifacts: Artifacts,
    turns: Arc<Mutex<HashMap<Name, Arc<Turn<()>>>>>,
}

impl Services {
    pub fn new(store: Store, engine: Engine, artifacts: Artifacts) -> Self {
        Self { store, engine, artifacts, turns: Arc::default() }
    }

    fn turn(&self, source: &Name) -> Arc<Turn<()>> {
        self.turns.lock().entry(source.clone()).or_default().clone()
    }
}

/// What one ingestion did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IngestReport {
    pub source: Name,
    /// The version of the definition.
    pub source_version: u64,
    /// The versions that were made, oldest first; none when there was nothing new.
    pub commits: Vec<TableVersion>,
    /// Whether the first of them was begun by an ingestion that a crash cut off.
    pub has_recovered: bool,
    /// Files that had been ingested before.
    pub n_unchanged_files: usize,
    /// When the next period begins for which a file lies ready.
    pub next_period: Option<Timestamp>,
    pub freshness: Freshness,
}

impl IngestReport {
    /// The rows that were added to the table.
    pub fn n_rows(&self) -> u64 {
        self.commits.iter().map(|commit| commit.n_rows).sum()
    }

    pub fn n_quarantined(&self) -> u64 {
        self.commits.iter().map(|commit| commit.n_quarantined).sum()
    }
}

/// Takes all files of a source that have landed and were not taken before.
///
/// Files are read in batches of bounded size, oldest period first, and each batch becomes one version. When a batch is refused, the
/// versions before it stand and the table is as they left it.
///
/// # Errors
/// See [`crate::failures`]. Nothing of a batch that fails is in any table; what the rules said of one that the contract refuses is
/// kept (see [`crate::refusals`]).
pub async fn ingest(ctx: &Ctx, services: &Services, definition: &SourceDefinition, project_dir: &Path) -> Result<IngestReport> {
    let source = Arc::new(compiled(definition)?);
    let source_version = register(ctx, &services.store, definition).await?;
    let name = &definition.name;
    let turn = services.turn(name);
    let _turn = turn.lock().await;

    let recovered = commit::recover(ctx, services, name).await?;
    let has_recovered = recovered.is_some();
    let mut commits: Vec<TableVersion> = recovered.into_iter().collect();
    let landing = source.pattern.list(project_dir, ctx.now())?;
    let n_landed = landing.landed.len();
    let known = queries::known_files(&services.store, name).await?;
    let groups = intake::groups(landing.landed, &known, project_dir)?;
    let mut n_taken = 0;
    for group in groups {
        let read = intake::read(&source, group, &known, project_dir, ctx.now()).await?;
        if read.files.is_empty() {
            continue;
        }
        n_taken += read.files.len();
        let prepared = batch::prepare(ctx, services, &source, source_version, read).await?;
        commits.push(commit::commit(ctx, services, prepared).await?);
    }
    let newest = queries::latest_version(&services.store, name).await?;
    let newest_event = newest.and_then(|version| version.event_watermark);
    Ok(IngestReport {
        source: name.clone(),
        source_version,
        commits,
        has_recovered,
        n_unchanged_files: n_landed - n_taken,
        next_period: landing.ahead.iter().filter_map(|file| file.period_start).min(),
        freshness: freshness(newest_event, ctx.now(), definition.contract.freshness),
    })
}

/// Records a definition as a version of its source, unless the newest version says the same. Gives the version.
///
/// # Errors
/// `source-invalid` and the engine's errors about SQL, for a definition that cannot work.
pub async fn register(ctx: &Ctx, store: &Store, definition: &SourceDefinition) -> Result<u64> {
    compiled(definition)?;
    queries::register(ctx, store, definition).await
}
