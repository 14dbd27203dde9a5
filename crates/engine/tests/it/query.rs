use std::sync::Arc;

use arrow::array::{DictionaryArray, RecordBatch, StringArray, StringViewArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use lw_core::Place;
use lw_engine::failures::{
    BAD_SQL, FILE_UNREADABLE, QUERY_EXHAUSTED, QUERY_FAILED, SQL_NOT_ALLOWED, SQL_TYPE_MISMATCH, UNKNOWN_COLUMN,
    UNKNOWN_FUNCTION, UNKNOWN_TABLE,
};
use lw_engine::{Binding, Bound, plan_schema, references, table_names};

use crate::support::{TestEngine, check_error, in_memory, open, text};

fn flights() -> Vec<(String, SchemaRef)> {
    let schema = Schema::new(vec![
        Field::new("carrier", DataType::Utf8, true),
        Field::new("arr_delay", DataType::Int32, true),
        Field::new("Gate", DataType::Utf8, true),
    ]);
    vec![("flights".to_owned(), Arc::new(schema.clone())), ("quarantine.flights".to_owned(), Arc::new(schema))]
}

#[track_caller]
fn check_refused(sql: &str, failure: lw_core::Failure, message: &str, hint: &str, at: Option<(u32, u32)>) {
    let error = plan_schema(sql, &flights()).unwrap_err();
    check_error(&error, failure, message, hint);
    let place = at.map(|(line, column)| Place { file: "sql".into(), line: Some(line), column: Some(column) });
    assert_eq!(error.place(), place.as_ref(), "{error:?}");
}

#[test]
fn errors_say_what_is_wrong_where_and_what_to_do() {
    check_refused("SELECT ar_delay\nFROM flights", UNKNOWN_COLUMN, "no column `ar_delay`", "`arr_delay`", Some((1, 8)));
    check_refused("SELECT 1,\n  f.x FROM flights f", UNKNOWN_COLUMN, "no column `x` in `f`", "carrier", Some((2, 3)));
    check_refused("SELECT gate FROM flights", UNKNOWN_COLUMN, "no column `gate`", "\"Gate\"", Some((1, 8)));
    check_refused("SELECT 1 FROM flight", UNKNOWN_TABLE, "no table `flight`", "`flights`", Some((1, 15)));
    check_refused("SELECT 1 FROM feature.flights", UNKNOWN_TABLE, "no table `feature.flights`", "", Some((1, 15)));
    check_refused("SELECT averge(arr_delay) FROM flights", UNKNOWN_FUNCTION, "`averge`", "`avg`", Some((1, 8)));
    check_refused("SELECT 1\nFROM flights f g", BAD_SQL, "does not parse", "", Some((2, 16)));
    check_refused("", BAD_SQL, "empty", "SELECT", None);
    check_refused(
        "SELECT carrier - 1 FROM flights WHERE carrier AND 1",
        SQL_TYPE_MISMATCH,
        "types do not fit",
        "CAST",
        Some((1, 8)),
    );
    check_refused("SELECT carrier, arr_delay AS carrier FROM flights", BAD_SQL, "`carrier`", "AS", Some((1, 8)));
    check_refused("SELECT a.carrier, b.carrier FROM flights a, flights b", BAD_SQL, "two columns", "AS", Some((1, 10)));
    check_refused("SELECT carrier FROM flights a, flights b", BAD_SQL, "several columns", "TABLE.carrier", Some((1, 8)));
}

#[test]
fn only_plain_queries_are_allowed() {
    for sql in [
        "CREATE TABLE x AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "COPY flights TO '/tmp/x.parquet'",
        "INSERT INTO flights SELECT * FROM flights",
        "DELETE FROM flights",
        "DROP TABLE flights",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN SELECT 1",
        "SHOW TABLES",
        "SELECT 1; SELECT 2",
        "SELECT * FROM generate_series(1, 10)",
        "SELECT * FROM read_csv('/etc/passwd')",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
        "SELECT * INTO x FROM flights",
    ] {
        let error = plan_schema(sql, &flights()).unwrap_err();
        assert!(error.is(SQL_NOT_ALLOWED), "{sql}: {error:?}");
    }
    for sql in ["SELECT * FROM '/etc/passwd'", "SELECT * FROM \"/etc/passwd\"", "SELECT * FROM information_schema.tables"] {
        let error = plan_schema(sql, &flights()).unwrap_err();
        assert!(error.is(UNKNOWN_TABLE), "{sql}: {error:?}");
    }
}

#[test]
fn the_answer_does_not_depend_on_the_day() {
    for sql in ["now()", "current_timestamp", "current_date", "CURRENT_DATE()", "today()", "current_time", "random()", "uuid()"] {
        let error = plan_schema(&format!("SELECT {sql} AS x"), &[]).unwrap_err();
        check_error(&error, SQL_NOT_ALLOWED, "another day", "from a column");
    }
}

#[test]
fn lineage_of_a_query() {
    let sql = "WITH late AS (SELECT carrier AS c FROM flights WHERE arr_delay > 15) \
               SELECT l.c, (SELECT count(*) FROM quarantine.flights) AS n FROM late l";
    assert_eq!(table_names(sql).unwrap(), ["flights", "quarantine.flights"]);
    let columns = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let want = vec![("flights".to_owned(), columns(&["arr_delay", "carrier"])), ("quarantine.flights".to_owned(), columns(&[]))];
    assert_eq!(references(sql, &flights()).unwrap(), want);
    let all = references("SELECT * FROM flights", &flights()[..1]).unwrap();
    assert_eq!(all[0].1, columns(&["Gate", "arr_delay", "carrier"]));
}

#[tokio::test]
async fn the_planned_schema_is_the_schema_of_the_rows() {
    let test = TestEngine::new();
    let sql = "SELECT carrier, avg(arr_delay) AS mean, count(*) AS n, row_number() OVER (ORDER BY carrier) AS place, \
               max(to_timestamp('2013-01-01T00:00:00Z')) AS t FROM flights GROUP BY carrier";
    let planned = plan_schema(sql, &flights()).unwrap();
    let rows = RecordBatch::new_empty(flights()[0].1.clone());
    let query = test.engine.query(sql, vec![in_memory("flights", vec![rows])]).await.unwrap();
    assert_eq!(query.schema(), planned);
    let types: Vec<String> = planned.fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Utf8", "Float64", "Int64", "Int64", "Timestamp(µs, \"UTC\")"]);
    let collected = query.collect().await.unwrap();
    assert_eq!((collected.len(), collected[0].num_rows()), (1, 0));
    assert_eq!(collected[0].schema(), planned);
}

#[tokio::test]
async fn time_zones() {
    let test = TestEngine::new();
    let check = async |expression: &str, want: &str| {
        let got = test.text(&format!("SELECT {expression} AS x FROM (VALUES (5)) AS t(minute)"), &[]).await;
        assert_eq!(got, want, "{expression}");
    };
    let at = "to_timestamp('2013-07-01T03:00:00Z')";
    check(&format!("{at} + minute * INTERVAL '1 minute'"), "2013-07-01T03:05:00Z").await;
    check(&format!("{at} + INTERVAL '1 minute' * minute"), "2013-07-01T03:05:00Z").await;
    check(&format!("{at} + CAST(minute + 1.5 AS BIGINT) * INTERVAL '1 hour'"), "2013-07-01T09:00:00Z").await;
    check(&format!("{at} - INTERVAL '1 hour'"), "2013-07-01T02:00:00Z").await;
    check(&format!("date_part('hour', {at})"), "3").await;
    check(&format!("date_part('hour', {at} AT TIME ZONE 'America/New_York')"), "23").await;
    check(&format!("date_trunc('day', {at} AT TIME ZONE 'America/New_York')"), "2013-06-30T04:00:00Z").await;
    check(&format!("to_local_time({at} AT TIME ZONE 'America/New_York')"), "2013-06-30T23:00:00Z").await;
    // A wall-clock time gets its zone, on both sides of the end of daylight saving.
    check("CAST('2013-11-02 12:00:00' AS TIMESTAMP) AT TIME ZONE 'America/New_York'", "2013-11-02T16:00:00Z").await;
    check("CAST('2013-11-03 12:00:00' AS TIMESTAMP) AT TIME ZONE 'America/New_York'", "2013-11-03T17:00:00Z").await;
}

#[tokio::test]
async fn windows_over_time_ranges() {
    let test = TestEngine::new();
    let sql = "SELECT at, sum(x) OVER w AS total FROM (VALUES (to_timestamp('2013-01-01T00:00:00Z'), 1), \
        (to_timestamp('2013-01-01T12:00:00Z'), 2), (to_timestamp('2013-01-02T12:00:00Z'), 4)) AS t(at, x) \
        WINDOW w AS (ORDER BY at RANGE BETWEEN INTERVAL '24 hours' PRECEDING AND CURRENT ROW) ORDER BY at";
    assert_eq!(test.text(sql, &[]).await, "2013-01-01T00:00:00Z,1 | 2013-01-01T12:00:00Z,3 | 2013-01-02T12:00:00Z,6");
}

#[tokio::test]
async fn all_forms_of_text_are_strings() {
    let test = TestEngine::new();
    let dictionary: DictionaryArray<Int32Type> = ["AA", "B6"].into_iter().collect();
    let rows = RecordBatch::try_from_iter([
        ("d", Arc::new(dictionary) as _),
        ("v", Arc::new(StringViewArray::from(vec!["AA", "a view longer than twelve bytes"])) as _),
    ])
    .unwrap();
    let sql = "SELECT d, v, d = v AS same FROM t ORDER BY d";
    let got = test.engine.query(sql, vec![in_memory("t", vec![rows])]).await.unwrap().collect().await.unwrap();
    assert!(got[0].column(0).as_any().is::<StringArray>() && got[0].column(1).as_any().is::<StringArray>());
    assert_eq!(text(&got), "AA,AA,true | B6,a view longer than twelve bytes,false");
}

#[tokio::test]
async fn files_are_read_under_their_names() {
    let test = TestEngine::new();
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let csv = [write("a [1].csv", "id;name;speed\n1;x;NA\n2;\"y\nz\";1.5\n"), write("b*.csv", "id;name;speed\n3;NA;\n4;NAN;2\n")];
    let bound = Bound::Csv { paths: csv.to_vec(), schema: None, null_values: vec!["NA".into()], delimiter: b';' };
    let sql = "SELECT id, replace(name, chr(10), '/') AS name, speed FROM t ORDER BY id";
    let rows = test.engine.query(sql, vec![Binding::new("t", bound)]).await.unwrap().collect().await.unwrap();
    assert_eq!(text(&rows), "1,x, | 2,y/z,1.5 | 3,, | 4,NAN,2.0");

    let json = write("c.jsonl", "{\"id\": 1, \"tags\": \"a\"}\n{\"id\": 2}\n");
    let bound = Bound::JsonLines { paths: vec![json], schema: None };
    let rows = test.engine.query("SELECT id, tags FROM t ORDER BY id", vec![Binding::new("t", bound)]).await.unwrap();
    assert_eq!(text(&rows.collect().await.unwrap()), "1,a | 2,");

    let missing = Bound::Parquet { paths: vec![directory.path().join("none.parquet")] };
    let error = test.engine.query("SELECT * FROM t", vec![Binding::new("t", missing)]).await.err().unwrap();
    check_error(&error, FILE_UNREADABLE, "none.parquet", "check the path");
    let broken = Bound::Parquet { paths: vec![write("broken.parquet", "not a parquet file")] };
    let error = test.engine.query("SELECT * FROM t", vec![Binding::new("t", broken)]).await.err().unwrap();
    check_error(&error, FILE_UNREADABLE, "broken.parquet", "complete");
}

#[tokio::test]
async fn a_failing_row_is_an_error() {
    let test = TestEngine::new();
    let rows = test.rows("SELECT * FROM (VALUES ('1'), ('x')) AS t(a)").await;
    for sql in ["SELECT CAST(a AS INT) AS a FROM t", "SELECT 1 / (CASE WHEN a = 'x' THEN 0 ELSE 1 END) AS q FROM t"] {
        let query = test.engine.query(sql, vec![in_memory("t", rows.clone())]).await.unwrap();
        let error = query.collect().await.unwrap_err();
        check_error(&error, QUERY_FAILED, "failed", "");
    }
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_fails_alone() {
    let test = TestEngine::new();
    let engine = open(test.directory.path(), 8 << 20);
    let numbers = test.rows("SELECT unnest(range(0, 3000)) AS n, 'some text of some length' AS s").await;
    let cross = "SELECT a.n, b.n AS m, a.s FROM t a CROSS JOIN t b";
    for sql in [cross.to_owned(), format!("{cross} ORDER BY b.n, a.n")] {
        let query = engine.query(&sql, vec![in_memory("t", numbers.clone())]).await.unwrap();
        let error = query.collect().await.unwrap_err();
        check_error(&error, QUERY_EXHAUSTED, "more memory", "memory limit");
    }
    let query = engine.query("SELECT count(*) AS n FROM t", vec![in_memory("t", numbers)]).await.unwrap();
    assert_eq!(text(&query.collect().await.unwrap()), "3000");
}

#[tokio::test]
async fn a_large_sort_spills_and_is_right() {
    let test = TestEngine::new();
    let engine = open(test.directory.path(), 24 << 20);
    let numbers = test.rows("SELECT unnest(range(0, 2000)) AS n").await;
    let sql = "SELECT a.n * 2000 + b.n AS x, 'a text that takes some room' AS s FROM t a CROSS JOIN t b ORDER BY x DESC";
    let query = engine.query(&format!("SELECT x FROM ({sql}) LIMIT 400000 OFFSET 3600000"), vec![in_memory("t", numbers)]).await;
    let rows = query.unwrap().collect().await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 400_000);
}
