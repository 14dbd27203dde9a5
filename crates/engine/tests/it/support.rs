//! An engine in a directory of its own, rows from SQL, and rows as text.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use lw_core::{Error, Failure, Name};
use lw_engine::{Area, Binding, Bound, Engine, EngineOptions, TableId, WriteMode, WriteOptions, Written};
use tempfile::TempDir;

pub struct TestEngine {
    pub engine: Engine,
    pub directory: TempDir,
}

impl TestEngine {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { engine: open(directory.path(), 256 << 20), directory }
    }

    /// Rows that a query without tables makes, such as `VALUES …`.
    pub async fn rows(&self, sql: &str) -> Vec<RecordBatch> {
        self.engine.query(sql, vec![]).await.unwrap().collect().await.unwrap()
    }

    pub async fn write(&self, table: &TableId, sql: &str, options: WriteOptions) -> Result<Written, Error> {
        let batches = self.rows(sql).await;
        self.engine.write(table, batches[0].schema(), batches, options).await
    }

    pub async fn append(&self, table: &TableId, sql: &str) -> Written {
        self.write(table, sql, WriteOptions::new(WriteMode::Append)).await.unwrap()
    }

    /// The rows of a query over tables at their newest versions.
    pub async fn query(&self, sql: &str, tables: &[&TableId]) -> Result<Vec<RecordBatch>, Error> {
        let bindings = tables.iter().map(|table| Binding::table(table, None)).collect();
        self.engine.query(sql, bindings).await?.collect().await
    }

    pub async fn text(&self, sql: &str, tables: &[&TableId]) -> String {
        text(&self.query(sql, tables).await.unwrap())
    }
}

pub fn open(directory: &Path, memory_limit_bytes: usize) -> Engine {
    Engine::open(EngineOptions { tables_dir: directory.to_owned(), memory_limit_bytes, n_threads: 2 }).unwrap()
}

pub fn data(name: &str) -> TableId {
    TableId::new(Area::Data, Name::parse(name).unwrap())
}

pub fn in_memory(name: &str, batches: Vec<RecordBatch>) -> Binding {
    Binding::new(name, Bound::Batches { schema: batches[0].schema(), batches })
}

/// Values only, one line a row: `1,a | 2,b`.
pub fn text(batches: &[RecordBatch]) -> String {
    let table = pretty_format_batches(batches).unwrap().to_string();
    let lines: Vec<&str> = table.lines().collect();
    let row = |line: &&str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        cells.join(",")
    };
    let rows = if lines.len() > 4 { &lines[3..lines.len() - 1] } else { &[] };
    rows.iter().map(row).collect::<Vec<_>>().join(" | ")
}

#[track_caller]
pub fn check_error(error: &Error, failure: Failure, message: &str, hint: &str) {
    assert!(error.is(failure), "{error:?}");
    assert!(error.message().contains(message), "{error:?}");
    let given = error.hint_text().unwrap_or_default();
    assert!(given.contains(hint), "{error:?}");
}
