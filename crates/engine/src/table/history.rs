//! What was done to a table, from its log.

use deltalake::DeltaTable;
use futures::TryStreamExt;
use lw_core::{Result, Timestamp};
use serde_json::Value;

use super::store::{Tables, delta_error};
use super::{AppTxn, Commit, TableId};

/// Under this key of the commit info a write notes how many rows it was given.
pub(super) const N_ROWS_KEY: &str = "loopwrightRows";

impl Tables {
    pub async fn history(&self, table: &TableId, limit: usize) -> Result<Vec<Commit>> {
        let delta = self.at(table, None).await?;
        let newest = delta.version().unwrap_or_default();
        let infos: Vec<_> = delta.history(Some(limit)).try_collect().await.map_err(|error| delta_error(error, table))?;
        let commits = infos.into_iter().zip(0_u64..).map(|(info, age)| Commit {
            version: newest.saturating_sub(age),
            time: Timestamp::from_millis(info.timestamp.unwrap_or_default()),
            n_rows: info.info.get(N_ROWS_KEY).and_then(Value::as_u64),
            operation: info.operation.unwrap_or_default(),
        });
        Ok(commits.take(limit).collect())
    }
}

/// The version that carries an application's transaction, and the rows it was given; the newest versions are searched first.
pub(super) async fn find_app_commit(delta: &DeltaTable, table: &TableId, txn: &AppTxn) -> Result<Option<(u64, u64)>> {
    let log_store = delta.log_store();
    for version in (0..=delta.version().unwrap_or_default()).rev() {
        let entry = log_store.read_commit_entry(version).await.map_err(|error| delta_error(error, table))?;
        let Some(bytes) = entry else { continue };
        let actions: Vec<Value> = serde_json::Deserializer::from_slice(&bytes).into_iter().filter_map(Result::ok).collect();
        let is_same = |action: &Value| {
            let found = &action["txn"];
            found["appId"] == txn.app_id.as_str() && found["version"] == txn.version
        };
        if actions.iter().any(is_same) {
            let n_rows = actions.iter().find_map(|action| action["commitInfo"][N_ROWS_KEY].as_u64());
            return Ok(Some((version, n_rows.unwrap_or_default())));
        }
    }
    Ok(None)
}
