//! Where tables lie and how they are opened.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::execution::session_state::SessionState;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use lw_core::{Digest, Error, Name, Result, nearest};
use serde::Serialize;

use super::{Area, TableId};
use crate::column_type::canonical_schema;
use crate::failures::{QUERY_EXHAUSTED, TABLE_CONFLICT, TABLE_NOT_FOUND, TABLE_UNAVAILABLE, TABLE_VERSION_NOT_FOUND};
use crate::sql::{Session, diagnose};

/// The tables below one directory. Opened tables are kept, so that looking again costs one listing of the log.
pub(crate) struct Tables {
    directory: PathBuf,
    read: Arc<SessionState>,
    pub(super) write: Arc<SessionState>,
    opened: Mutex<HashMap<TableId, DeltaTable>>,
    /// One turn a table: writers of one process wait for each other instead of colliding.
    turns: Mutex<HashMap<TableId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Tables {
    pub fn new(directory: PathBuf, session: &Session) -> Self {
        Self {
            directory,
            read: session.query().clone(),
            write: session.write().clone(),
            opened: Mutex::default(),
            turns: Mutex::default(),
        }
    }

    pub async fn provider(&self, table: &TableId, version: Option<u64>) -> Result<Arc<dyn TableProvider>> {
        let delta = self.at(table, version).await?;
        delta.update_datafusion_session(self.read.as_ref()).map_err(|error| delta_error(error, table))?;
        let builder = delta.table_provider().with_session(self.read.clone());
        builder.await.map_err(|error| diagnose(&error, "").context(format_args!("table `{table}`")))
    }

    pub async fn current_version(&self, table: &TableId) -> Result<Option<u64>> {
        Ok(self.latest(table).await?.and_then(|delta| delta.version()))
    }

    pub async fn schema(&self, table: &TableId, version: Option<u64>) -> Result<SchemaRef> {
        let delta = self.at(table, version).await?;
        schema_of(&delta, table)
    }

    pub async fn app_version(&self, table: &TableId, app_id: &str) -> Result<Option<i64>> {
        match self.latest(table).await? {
            None => Ok(None),
            Some(delta) => app_version_of(&delta, table, app_id).await,
        }
    }

    pub async fn digest(&self, table: &TableId, version: u64) -> Result<Digest> {
        let delta = self.at(table, Some(version)).await?;
        digest_of(&delta, table)
    }

    pub async fn row_count(&self, table: &TableId, version: Option<u64>) -> Result<u64> {
        let delta = self.at(table, version).await?;
        let state = delta.snapshot().map_err(|error| delta_error(error, table))?;
        let files = state.log_data();
        let total: Option<usize> = files.iter().map(|file| file.num_records()).sum();
        let missing = || TABLE_UNAVAILABLE.error(format!("table `{table}` has a file without statistics"));
        Ok(total.ok_or_else(missing)? as u64)
    }

    /// The tables that lie in the directory, by area and name.
    pub async fn list(&self) -> Result<Vec<TableId>> {
        let directory = self.directory.clone();
        let listing = move || {
            let mut found: Vec<TableId> = Area::ALL.into_iter().flat_map(|area| tables_in(&directory, area)).collect();
            found.sort_unstable();
            found
        };
        tokio::task::spawn_blocking(listing).await.map_err(|error| Error::bug("listing the tables panicked").cause(error))
    }

    /// The table as it is now, or `None` when it was never written.
    pub async fn latest(&self, table: &TableId) -> Result<Option<DeltaTable>> {
        let known = self.opened().get(table).cloned();
        if let Some(mut delta) = known
            && delta.update_state().await.is_ok()
        {
            self.remember(table, &delta);
            return Ok(Some(delta));
        }
        self.forget(table);
        if !self.path(table).join("_delta_log").is_dir() {
            return Ok(None);
        }
        let mut delta = self.unopened(table)?;
        match delta.load().await {
            Ok(()) => {
                self.remember(table, &delta);
                Ok(Some(delta))
            }
            Err(DeltaTableError::NotATable(_)) => Ok(None),
            Err(error) => Err(delta_error(error, table)),
        }
    }

    /// The table at a version, or now.
    pub async fn at(&self, table: &TableId, version: Option<u64>) -> Result<DeltaTable> {
        let Some(mut delta) = self.latest(table).await? else {
            return Err(self.not_found(table));
        };
        let newest = delta.version();
        let Some(version) = version.filter(|version| Some(*version) != newest) else {
            return Ok(delta);
        };
        let newest = newest.unwrap_or_default();
        if version > newest {
            return Err(TABLE_VERSION_NOT_FOUND
                .error(format!("table `{table}` has no version {version}"))
                .hint(format!("its newest version is {newest}")));
        }
        delta.load_version(version).await.map_err(|error| delta_error(error, table))?;
        Ok(delta)
    }

    /// The table's place, made if it is not there, with nothing read.
    pub fn unopened(&self, table: &TableId) -> Result<DeltaTable> {
        let path = self.path(table);
        let url = deltalake::ensure_table_uri(path.to_string_lossy()).map_err(|error| delta_error(error, table))?;
        DeltaTableBuilder::from_url(url).and_then(DeltaTableBuilder::build).map_err(|error| delta_error(error, table))
    }

    pub fn turn(&self, table: &TableId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(table.clone()).or_default().clone()
    }

    pub fn remember(&self, table: &TableId, delta: &DeltaTable) {
        self.opened().insert(table.clone(), delta.clone());
    }

    pub fn forget(&self, table: &TableId) {
        self.opened().remove(table);
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<TableId, DeltaTable>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, table: &TableId) -> PathBuf {
        self.directory.join(table.area.as_str()).join(table.name.as_str())
    }

    fn not_found(&self, table: &TableId) -> Error {
        let error = TABLE_NOT_FOUND.error(format!("there is no table `{table}`"));
        let known = self.names_in(table.area);
        match nearest(table.name.as_str(), known.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{}/{near}`?", table.area.as_str())),
            None => error.hint("a table exists once rows have been written to it; run the ingestion first"),
        }
    }

    fn names_in(&self, area: Area) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.directory.join(area.as_str())) else {
            return Vec::new();
        };
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    }
}

/// The tables of one area. What has no log was never written.
fn tables_in(directory: &Path, area: Area) -> Vec<TableId> {
    let Ok(entries) = std::fs::read_dir(directory.join(area.as_str())) else {
        return Vec::new();
    };
    let table = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok().filter(|_| entry.path().join("_delta_log").is_dir())?;
        Some(TableId::new(area, Name::parse(&name).ok()?))
    };
    entries.filter_map(|entry| table(entry.ok()?)).collect()
}

pub(super) fn schema_of(delta: &DeltaTable, table: &TableId) -> Result<SchemaRef> {
    let state = delta.snapshot().map_err(|error| delta_error(error, table))?;
    Ok(canonical_schema(&state.snapshot().arrow_schema()))
}

pub(super) async fn app_version_of(delta: &DeltaTable, table: &TableId, app_id: &str) -> Result<Option<i64>> {
    let state = delta.snapshot().map_err(|error| delta_error(error, table))?;
    let log_store = delta.log_store();
    state.transaction_version(log_store.as_ref(), app_id).await.map_err(|error| delta_error(error, table))
}

/// What the digest of a version is taken over.
#[derive(Serialize)]
struct Manifest {
    columns: Vec<(String, String)>,
    files: Vec<ManifestFile>,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct ManifestFile {
    path: String,
    size_bytes: i64,
    n_rows: Option<usize>,
    deletions: Option<String>,
}

pub(super) fn digest_of(delta: &DeltaTable, table: &TableId) -> Result<Digest> {
    let schema = schema_of(delta, table)?;
    let columns = schema.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect();
    let state = delta.snapshot().map_err(|error| delta_error(error, table))?;
    let file = |file: deltalake::kernel::LogicalFileView| ManifestFile {
        path: file.path().into_owned(),
        size_bytes: file.size(),
        n_rows: file.num_records(),
        deletions: file.deletion_vector_descriptor().map(|vector| format!("{vector:?}")),
    };
    let mut files: Vec<ManifestFile> = state.log_data().iter().map(file).collect();
    files.sort_unstable();
    Ok(Digest::of_json(&Manifest { columns, files }))
}

pub(super) fn delta_error(error: DeltaTableError, table: &TableId) -> Error {
    use deltalake::kernel::transaction::TransactionError;
    let described = match &error {
        DeltaTableError::Transaction { source: TransactionError::CommitConflict(_) | TransactionError::MaxCommitAttempts(_) }
        | DeltaTableError::VersionAlreadyExists(_)
        | DeltaTableError::VersionMismatch(..) => TABLE_CONFLICT
            .error(format!("table `{table}` was changed by another writer at the same time"))
            .hint("run the same command again"),
        DeltaTableError::InvalidVersion(version) => {
            TABLE_VERSION_NOT_FOUND.error(format!("table `{table}` has no version {version}"))
        }
        other if mentions_exhaustion(other) => QUERY_EXHAUSTED
            .error(format!("writing table `{table}` needs more memory than the engine may use"))
            .hint("write fewer rows at a time, or raise the memory limit"),
        other => TABLE_UNAVAILABLE
            .error(format!("table `{table}` cannot be read or written: {}", other.to_string().lines().next().unwrap_or_default()))
            .hint("check that its directory is readable and writable, that the disk is not full, and that no file was removed by hand"),
    };
    described.cause(error)
}

fn mentions_exhaustion(error: &DeltaTableError) -> bool {
    let DeltaTableError::GenericError { source } = error else {
        return false;
    };
    let inner = source.downcast_ref::<datafusion::error::DataFusionError>();
    inner.is_some_and(|inner| matches!(inner.find_root(), datafusion::error::DataFusionError::ResourcesExhausted(_)))
}
