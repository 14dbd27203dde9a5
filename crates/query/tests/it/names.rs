//! What the names in a query stand for.

use lw_engine::failures::{SQL_NOT_ALLOWED, SQL_PARAMETERS, TABLE_VERSION_NOT_FOUND, UNKNOWN_COLUMN, UNKNOWN_TABLE};

use crate::World;

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_found_by_area_and_version() {
    let world = World::make().await;
    let check = async |sql: &str, want: &str| assert_eq!(world.value(sql).await.unwrap(), want, "{sql}");
    check("SELECT count(*) FROM flights", "5").await;
    check("SELECT count(*) FROM data.flights", "5").await;
    check("SELECT count(*) FROM flights@0", "3").await;
    check("SELECT count(*) FROM data.flights@0", "3").await;
    check("SELECT sum(f.arr_delay) FROM flights@1 AS f", "24").await;
    check("SELECT count(*) FROM flights AS now JOIN flights@0 AS old ON now.arr_delay = old.arr_delay", "3").await;
    check("SELECT carrier FROM quarantine.flights", "??").await;
    check("WITH f AS (SELECT * FROM flights) SELECT max(arr_delay) FROM f", "9").await;
    check("SELECT 1 + 1", "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_can_be_asked() {
    let world = World::make().await;
    let names = "SELECT string_agg(table_schema || '.' || table_name, ' ' ORDER BY table_schema) FROM information_schema.tables";
    assert_eq!(world.value(names).await.unwrap(), "data.flights quarantine.flights");
    let columns = "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns \
                   WHERE table_schema = 'data' AND table_name = 'flights'";
    assert_eq!(world.value(columns).await.unwrap(), "carrier arr_delay");
    let tables = world.reader.tables().await.unwrap();
    let found: Vec<String> = tables.iter().map(|table| format!("{}.{}", table.schema_name(), table.name())).collect();
    assert_eq!(found, ["data.flights", "quarantine.flights"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_comes_with_what_to_do() {
    let world = World::make().await;
    let check = async |sql: &str, failure: lw_core::Failure, hint: &str| {
        let error = world.value(sql).await.unwrap_err();
        assert!(error.is(failure), "{sql}: {error:?}");
        assert!(error.hint_text().is_some_and(|text| text.contains(hint)), "{sql}: {:?}", error.hint_text());
    };
    check("SELECT * FROM flihgts", UNKNOWN_TABLE, "`flights`").await;
    check("SELECT * FROM quarantine.flight", UNKNOWN_TABLE, "`quarantine.flights`").await;
    check("SELECT * FROM information_schema.table", UNKNOWN_TABLE, "`information_schema.tables`").await;
    check("SELECT * FROM flights@x", UNKNOWN_TABLE, "flights").await;
    check("SELECT * FROM flights@7", TABLE_VERSION_NOT_FOUND, "newest version is 1").await;
    check("SELECT arr_dealy FROM flights", UNKNOWN_COLUMN, "`arr_delay`").await;
    for refused in [
        "INSERT INTO flights VALUES ('AA', 1)",
        "DELETE FROM flights",
        "UPDATE flights SET arr_delay = 0",
        "DROP TABLE flights",
        "CREATE TABLE t AS SELECT 1",
        "COPY flights TO 'out.csv'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT 1; SELECT 2",
        "EXPLAIN SELECT 1",
    ] {
        check(refused, SQL_NOT_ALLOWED, "SELECT").await;
    }
    check("SELECT * FROM flights WHERE arr_delay > ?", SQL_PARAMETERS, "one row").await;
    assert_eq!(world.value("SELECT count(*) FROM flights").await.unwrap(), "5", "nothing was changed");
}
