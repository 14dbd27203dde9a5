//! Versioned tables: Delta Lake, readable by DuckDB, Polars and Spark where they lie.

mod history;
mod rows;
mod store;
mod write;

use std::fmt;

use lw_core::{Digest, Name, Result, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use store::Tables;

use crate::failures::BAD_TABLE_NAME;

/// What a table is for. The area is the directory, and the SQL schema, in which it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    Data,
    Quarantine,
    Feature,
    TrainingSet,
    Prediction,
    Trace,
}

impl Area {
    pub const ALL: [Self; 6] = [Self::Data, Self::Quarantine, Self::Feature, Self::TrainingSet, Self::Prediction, Self::Trace];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Quarantine => "quarantine",
            Self::Feature => "feature",
            Self::TrainingSet => "training_set",
            Self::Prediction => "prediction",
            Self::Trace => "trace",
        }
    }
}

/// A table of the engine: `data/flights`. It lies in the directory of that name below the tables directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableId {
    pub area: Area,
    pub name: Name,
}

impl TableId {
    pub fn new(area: Area, name: Name) -> Self {
        Self { area, name }
    }

    /// Parses `data/flights`, or `flights`, which is in the area `data`.
    pub fn parse(text: &str) -> Result<Self> {
        let (area, name) = text.split_once(['/', '.']).unwrap_or((Area::Data.as_str(), text));
        let area = Area::ALL.into_iter().find(|known| known.as_str() == area).ok_or_else(|| {
            let areas = Area::ALL.map(Area::as_str).join(", ");
            BAD_TABLE_NAME
                .error(format!("`{text}` does not name a table"))
                .hint(format!("write AREA/NAME; the areas are {areas}"))
        })?;
        Ok(Self { area, name: Name::parse(name)? })
    }

    /// The name in SQL: `flights` in the area `data`, `quarantine.flights` elsewhere.
    pub fn sql_name(&self) -> String {
        match self.area {
            Area::Data => self.name.to_string(),
            area => format!("{}.{}", area.as_str(), self.name),
        }
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.area.as_str(), self.name)
    }
}

impl TryFrom<String> for TableId {
    type Error = lw_core::Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<TableId> for String {
    fn from(table: TableId) -> Self {
        table.to_string()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteMode {
    Append,
    /// Replaces every row. Older versions stay readable.
    Overwrite,
    /// Replaces the rows with the same keys and adds the others. Keys must be unique within the rows and not NULL.
    Merge {
        keys: Vec<String>,
    },
}

/// An application's own count of what it has written, kept by the table itself. A write whose version is not above the recorded
/// one is not repeated: this makes ingestion exactly-once through any crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppTxn {
    pub app_id: String,
    pub version: i64,
}

#[derive(Debug, Clone)]
pub struct WriteOptions {
    pub mode: WriteMode,
    /// Whether columns that the table does not have are added to it (NULL in its older rows) or refused.
    pub add_columns: bool,
    pub app_txn: Option<AppTxn>,
}

impl WriteOptions {
    pub fn new(mode: WriteMode) -> Self {
        Self { mode, add_columns: false, app_txn: None }
    }
}

/// The version that a write made, or had made before when its [`AppTxn`] was already recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub version: u64,
    /// Rows handed to the write.
    pub n_rows: u64,
    /// Equals `Engine::table_digest` of the version.
    pub digest: Digest,
}

/// One version in a table's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Commit {
    pub version: u64,
    pub time: Timestamp,
    /// `WRITE`, `MERGE`, …, as Delta Lake names it.
    pub operation: String,
    /// Rows handed to the write, where the writer told.
    pub n_rows: Option<u64>,
}
