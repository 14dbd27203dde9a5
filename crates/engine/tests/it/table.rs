use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use lw_engine::failures::{
    BAD_MERGE_KEYS, TABLE_NOT_FOUND, TABLE_SCHEMA_MISMATCH, TABLE_UNAVAILABLE, TABLE_VERSION_NOT_FOUND, UNSUPPORTED_TYPE,
};
use lw_engine::{AppTxn, Area, Binding, Bound, TableId, WriteMode, WriteOptions, canonical_schema};

use crate::support::{TestEngine, check_error, data, in_memory, open, text};

const ALL: &str = "SELECT id, name FROM planes ORDER BY id";

#[tokio::test]
async fn every_write_is_a_version_that_stays_readable() {
    let test = TestEngine::new();
    let planes = data("planes");
    assert_eq!(test.engine.current_version(&planes).await.unwrap(), None);

    let first = test.append(&planes, "SELECT 1 AS id, 'a' AS name").await;
    assert_eq!((first.version, first.n_rows), (0, 1));
    let second = test.append(&planes, "SELECT 2 AS id, 'b' AS name").await;
    let third =
        test.write(&planes, "SELECT 3 AS id, NULL::VARCHAR AS name", WriteOptions::new(WriteMode::Overwrite)).await.unwrap();
    assert_eq!((second.version, third.version), (1, 2));

    let at = async |version| {
        let query = test.engine.query(ALL, vec![Binding::table(&planes, version)]).await.unwrap();
        text(&query.collect().await.unwrap())
    };
    assert_eq!(at(Some(0)).await, "1,a");
    assert_eq!(at(Some(1)).await, "1,a | 2,b");
    assert_eq!(at(None).await, "3,");
    assert_eq!(test.engine.row_count(&planes, Some(1)).await.unwrap(), 2);

    for written in [&first, &second, &third] {
        assert_eq!(test.engine.table_digest(&planes, written.version).await.unwrap(), written.digest);
    }
    assert_ne!(first.digest, second.digest);

    let history = test.engine.history(&planes, 2).await.unwrap();
    let seen: Vec<_> = history.iter().map(|commit| (commit.version, commit.n_rows, commit.operation.as_str())).collect();
    assert_eq!(seen, [(2, Some(1), "WRITE"), (1, Some(1), "WRITE")]);
}

#[tokio::test]
async fn a_second_engine_on_the_same_directory_sees_new_versions() {
    let test = TestEngine::new();
    let planes = data("planes");
    test.append(&planes, "SELECT 1 AS id, 'a' AS name").await;
    let other = open(test.directory.path(), 64 << 20);
    assert_eq!(other.current_version(&planes).await.unwrap(), Some(0));
    test.append(&planes, "SELECT 2 AS id, 'b' AS name").await;
    assert_eq!(other.current_version(&planes).await.unwrap(), Some(1));
}

#[tokio::test]
async fn merging_replaces_rows_with_the_same_keys() {
    let test = TestEngine::new();
    let planes = data("planes");
    let merge = || WriteOptions::new(WriteMode::Merge { keys: vec!["id".into()] });
    test.write(&planes, "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t(id, name)", merge()).await.unwrap();
    let written = test.write(&planes, "SELECT * FROM (VALUES (2, 'B'), (3, 'c')) AS t(id, name)", merge()).await.unwrap();
    assert_eq!((written.version, written.n_rows), (1, 2));
    assert_eq!(test.text(ALL, &[&planes]).await, "1,a | 2,B | 3,c");

    let twice = test.write(&planes, "SELECT * FROM (VALUES (4, 'x'), (4, 'y')) AS t(id, name)", merge()).await.unwrap_err();
    check_error(&twice, BAD_MERGE_KEYS, "two rows have the same id", "one row");
    let null = test.write(&planes, "SELECT NULL::BIGINT AS id, 'x' AS name", merge()).await.unwrap_err();
    check_error(&null, BAD_MERGE_KEYS, "`id` has a NULL", "");
    assert_eq!(test.engine.current_version(&planes).await.unwrap(), Some(1));
}

#[tokio::test]
async fn merging_can_add_columns() {
    let test = TestEngine::new();
    let planes = data("planes");
    test.append(&planes, "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t(id, name)").await;
    let mut options = WriteOptions::new(WriteMode::Merge { keys: vec!["id".into()] });
    options.add_columns = true;
    test.write(&planes, "SELECT 2 AS id, 'B' AS name, 1.5 AS seats", options).await.unwrap();
    assert_eq!(test.text("SELECT id, name, seats FROM planes ORDER BY id", &[&planes]).await, "1,a, | 2,B,1.5");
}

#[tokio::test]
async fn another_schema_is_refused_with_both_types() {
    let test = TestEngine::new();
    let planes = data("planes");
    test.append(&planes, "SELECT 1 AS id, 'a' AS name").await;
    let append = || WriteOptions::new(WriteMode::Append);

    let error = test.write(&planes, "SELECT '2' AS id, 'b' AS name", append()).await.unwrap_err();
    check_error(&error, TABLE_SCHEMA_MISMATCH, "column `id` is int64 in table `data/planes` and string in the rows", "CAST");
    let error = test.write(&planes, "SELECT 2 AS id, 'b' AS nam", append()).await.unwrap_err();
    check_error(&error, TABLE_SCHEMA_MISMATCH, "column `name` (string) of table `data/planes` is missing", "`nam`");
    let error = test.write(&planes, "SELECT 2 AS id, 'b' AS name, 1.5 AS seats", append()).await.unwrap_err();
    check_error(&error, TABLE_SCHEMA_MISMATCH, "column `seats` (float64) is not in", "additive");
    assert_eq!(test.engine.current_version(&planes).await.unwrap(), Some(0));

    let mut additive = append();
    additive.add_columns = true;
    test.write(&planes, "SELECT 1.5 AS seats, 'b' AS name, 2 AS id", additive).await.unwrap();
    assert_eq!(test.text("SELECT * FROM planes ORDER BY id", &[&planes]).await, "1,a, | 2,b,1.5");
}

#[tokio::test]
async fn types_that_a_table_cannot_hold_are_refused() {
    let test = TestEngine::new();
    let naive = Schema::new(vec![Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true)]);
    let options = WriteOptions::new(WriteMode::Append);
    let error = test.engine.write(&data("times"), Arc::new(naive), vec![], options.clone()).await.unwrap_err();
    check_error(&error, UNSUPPORTED_TYPE, "cannot be a timestamp without a zone", "AT TIME ZONE");
    let error = test.write(&data("times"), "SELECT NULL AS nothing", options).await.unwrap_err();
    check_error(&error, UNSUPPORTED_TYPE, "column `nothing`", "CAST");
    assert_eq!(test.engine.current_version(&data("times")).await.unwrap(), None);
}

#[tokio::test]
async fn all_types_survive_the_table() {
    let test = TestEngine::new();
    let sql =
        "SELECT true AS b, CAST(1 AS INT) AS i, 2 AS l, CAST(1.5 AS REAL) AS f, 2.5 AS d, 'é' AS s, DATE '2013-01-02' AS day,
        TIMESTAMP '2013-01-02 03:04:05.000006' AS t";
    let kinds = data("kinds");
    test.append(&kinds, sql).await;
    let query = test.engine.query("SELECT * FROM kinds", vec![Binding::table(&kinds, None)]).await.unwrap();
    let types: Vec<String> = query.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Boolean", "Int32", "Int64", "Float32", "Float64", "Utf8", "Date32", "Timestamp(µs, \"UTC\")"]);
    let rows = query.collect().await.unwrap();
    assert_eq!(rows[0].schema().as_ref(), canonical_schema(&test.engine.schema(&kinds, None).await.unwrap()).as_ref());
    assert_eq!(text(&rows), "true,1,2,1.5,2.5,é,2013-01-02,2013-01-02T03:04:05.000006Z");
}

#[tokio::test]
async fn a_write_without_rows_makes_a_version_with_columns() {
    let test = TestEngine::new();
    let planes = data("planes");
    let empty = "SELECT 1 AS id, 'a' AS name WHERE false";
    let mut options = WriteOptions::new(WriteMode::Append);
    options.app_txn = Some(AppTxn { app_id: "ingest".into(), version: 1 });
    let written = test.write(&planes, empty, options).await.unwrap();
    assert_eq!((written.version, written.n_rows), (0, 0));
    assert_eq!(test.text(ALL, &[&planes]).await, "");
    assert_eq!(test.engine.app_version(&planes, "ingest").await.unwrap(), Some(1));
    test.append(&planes, "SELECT 1 AS id, 'a' AS name").await;
    assert_eq!(test.text(ALL, &[&planes]).await, "1,a");
}

#[tokio::test]
async fn an_application_transaction_is_written_once() {
    let test = TestEngine::new();
    let planes = data("planes");
    let options = |version| WriteOptions {
        mode: WriteMode::Append,
        add_columns: false,
        app_txn: Some(AppTxn { app_id: "ingest".into(), version }),
    };
    let sql = "SELECT 1 AS id, 'a' AS name";
    let first = test.write(&planes, sql, options(1)).await.unwrap();
    let second = test.write(&planes, "SELECT 2 AS id, 'b' AS name", options(2)).await.unwrap();
    // A process that crashed before it could note its success tries again.
    assert_eq!(test.write(&planes, sql, options(1)).await.unwrap(), first);
    assert_eq!(test.write(&planes, sql, options(2)).await.unwrap(), second);
    assert_eq!(test.engine.current_version(&planes).await.unwrap(), Some(1));
    assert_eq!(test.engine.app_version(&planes, "ingest").await.unwrap(), Some(2));
    assert_eq!(test.engine.app_version(&planes, "other").await.unwrap(), None);
    assert_eq!(test.text(ALL, &[&planes]).await, "1,a | 2,b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_lose_nothing() {
    let test = TestEngine::new();
    let planes = data("planes");
    test.append(&planes, "SELECT 0 AS id, 'first' AS name").await;
    let rows = test.rows("SELECT 1 AS id, 'a' AS name").await;
    // Two engines stand for two processes: nothing but the table's own log is between them.
    let engines = [open(test.directory.path(), 64 << 20), open(test.directory.path(), 64 << 20)];
    let mut writers = tokio::task::JoinSet::new();
    for index in 0..8 {
        let (engine, planes, rows) = (engines[index % 2].clone(), planes.clone(), rows.clone());
        writers.spawn(async move { engine.write(&planes, rows[0].schema(), rows, WriteOptions::new(WriteMode::Append)).await });
    }
    let mut versions: Vec<u64> = writers.join_all().await.into_iter().map(|written| written.unwrap().version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=8).collect::<Vec<u64>>());
    assert_eq!(test.text("SELECT count(*), sum(id) FROM planes", &[&planes]).await, "9,8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_merges_of_one_key_leave_one_row() {
    let test = TestEngine::new();
    let planes = data("planes");
    test.append(&planes, "SELECT 1 AS id, 'first' AS name").await;
    let engines = [open(test.directory.path(), 64 << 20), open(test.directory.path(), 64 << 20)];
    let mut writers = tokio::task::JoinSet::new();
    for (index, engine) in engines.into_iter().enumerate() {
        let rows = test.rows(&format!("SELECT 1 AS id, 'writer {index}' AS name")).await;
        let planes = planes.clone();
        let options = WriteOptions::new(WriteMode::Merge { keys: vec!["id".into()] });
        writers.spawn(async move { engine.write(&planes, rows[0].schema(), rows, options).await });
    }
    for written in writers.join_all().await {
        written.unwrap();
    }
    assert_eq!(test.text("SELECT count(*) FROM planes", &[&planes]).await, "1");
    assert_eq!(test.engine.current_version(&planes).await.unwrap(), Some(2));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let test = TestEngine::new();
    let planes = data("planes");
    let error = test.engine.schema(&planes, None).await.unwrap_err();
    check_error(&error, TABLE_NOT_FOUND, "`data/planes`", "ingestion");
    test.append(&planes, "SELECT 1 AS id, 'a' AS name").await;
    check_error(&test.engine.schema(&data("plane"), None).await.unwrap_err(), TABLE_NOT_FOUND, "data/plane", "`data/planes`");
    let error = test.engine.table_digest(&planes, 7).await.unwrap_err();
    check_error(&error, TABLE_VERSION_NOT_FOUND, "no version 7", "newest version is 0");
    let binding = Binding::new("p", Bound::Table { table: planes, version: Some(9) });
    assert!(test.engine.query("SELECT * FROM p", vec![binding]).await.err().unwrap().is(TABLE_VERSION_NOT_FOUND));
}

#[tokio::test]
async fn a_lost_file_is_an_error_and_not_fewer_rows() {
    let test = TestEngine::new();
    let planes = data("planes");
    test.append(&planes, "SELECT 1 AS id, 'a' AS name").await;
    let directory = test.directory.path().join("data/planes");
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let error = test.query(ALL, &[&planes]).await.unwrap_err();
    assert!(error.is(TABLE_UNAVAILABLE), "{error:?}");
}

#[tokio::test]
async fn areas_are_directories_and_sql_schemas() {
    let test = TestEngine::new();
    let flights = data("flights");
    let quarantined = TableId::parse("quarantine/flights").unwrap();
    assert_eq!(TableId::parse("flights").unwrap(), flights);
    assert_eq!((quarantined.area, quarantined.to_string()), (Area::Quarantine, "quarantine/flights".to_owned()));
    assert!(TableId::parse("../flights").is_err() && TableId::parse("data/../flights").is_err());
    test.append(&flights, "SELECT 1 AS id").await;
    test.append(&quarantined, "SELECT 2 AS id").await;
    let sql = "SELECT id FROM flights UNION ALL SELECT id FROM quarantine.flights ORDER BY id";
    assert_eq!(test.text(sql, &[&flights, &quarantined]).await, "1 | 2");
    assert_eq!(test.text("SELECT id FROM data.flights", &[&flights]).await, "1");
    let rows = test.rows("SELECT 3 AS id").await;
    let query = test.engine.query("SELECT id FROM feature.f", vec![in_memory("feature.f", rows)]).await.unwrap();
    assert_eq!(text(&query.collect().await.unwrap()), "3");
}
