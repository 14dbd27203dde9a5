//! Tables read by a reader that knows nothing of us: delta-rs for Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use lw_engine::{WriteMode, WriteOptions};
use serde_json::{Value, json};

use crate::support::{TestEngine, data};

/// The project's Python, with the packages of tests/requirements.txt.
fn python(root: &Path) -> Option<PathBuf> {
    let path = root.join(".venv/bin/python");
    let has_deltalake = Command::new(&path).args(["-c", "import deltalake, pyarrow"]).output();
    has_deltalake.is_ok_and(|output| output.status.success()).then_some(path)
}

#[tokio::test]
async fn a_table_is_readable_where_it_lies() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let Some(python) = python(&root) else {
        eprintln!("skipped: there is no .venv with deltalake and pyarrow (tests/requirements.txt)");
        return;
    };
    let test = TestEngine::new();
    let planes = data("planes");
    test.append(&planes, "SELECT 1 AS id, 'a' AS name, TIMESTAMP '2013-01-01 00:00:00' AS seen_at").await;
    let mut merge = WriteOptions::new(WriteMode::Merge { keys: vec!["id".into()] });
    merge.add_columns = true;
    let sql = "SELECT * FROM (VALUES (1, 'A', TIMESTAMP '2013-01-02 00:00:00', 1.5), (2, 'b', NULL, 2.5)) AS t(id, name, seen_at, seats)";
    test.write(&planes, sql, merge).await.unwrap();

    let script = root.join("tests/oracles/engine_foreign_table.py");
    let output = Command::new(python).arg(script).arg(test.directory.path().join("data/planes")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let want = json!({
        "version": 1,
        "n_rows_at_0": 1,
        "fields": {"id": "int64", "name": "string", "seen_at": "timestamp[us, tz=UTC]", "seats": "double"},
        "rows": [
            {"id": 1, "name": "A", "seen_at": "2013-01-02 00:00:00+00:00", "seats": 1.5},
            {"id": 2, "name": "b", "seen_at": null, "seats": 2.5},
        ],
    });
    assert_eq!(found, want);
}
