//! What an answer may cost, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Float64Array, RecordBatch, StringArray};
use futures::{StreamExt, TryStreamExt};
use lw_engine::failures::SQL_PARAMETERS;
use lw_query::Limits;
use lw_query::failures::{QUERY_CANCELLED, QUERY_TIMEOUT, TOO_MANY_QUERIES};

use crate::World;

/// A query that would run for hours: it joins 10^4 rows with themselves, four times.
const ENDLESS: &str = "WITH d AS (SELECT arr_delay FROM many) \
                       SELECT sum(a.arr_delay + b.arr_delay * c.arr_delay - d.arr_delay) FROM d AS a, d AS b, d AS c, d";

async fn world() -> World {
    let world = World::make().await;
    let rows: Vec<(&str, i64)> = (0..10_000).map(|number| ("AA", number)).collect();
    world.write("many", &rows).await;
    world
}

fn within(timeout: Duration) -> Limits {
    Limits { n_rows: None, timeout }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_take_one_row_of_values() {
    let world = World::make().await;
    let row = |delay: f64| {
        let columns =
            [("$1", Arc::new(Float64Array::from(vec![delay])) as _), ("$2", Arc::new(StringArray::from(vec!["AA"])) as _)];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let marks = "SELECT count(*) FROM flights WHERE arr_delay > ? AND carrier = ?";
    let numbers = "SELECT count(*) FROM flights WHERE carrier = $2 AND arr_delay > $1";
    for sql in [marks, numbers] {
        let statement = world.reader.prepare(&world.ctx, sql).await.unwrap();
        assert_eq!(statement.parameters().unwrap().fields().len(), 2);
        assert_eq!(statement.schema().unwrap().fields().len(), 1);
        for (delay, want) in [(6.0, "1"), (4.0, "2")] {
            let batches: Vec<RecordBatch> =
                statement.run(Some(row(delay)), Limits::STANDARD).await.unwrap().try_collect().await.unwrap();
            assert_eq!(arrow::util::display::array_value_to_string(batches[0].column(0), 0).unwrap(), want);
        }
        let none = statement.plan(None).await.err().unwrap();
        assert!(none.is(SQL_PARAMETERS), "{none:?}");
    }
    let two_rows = arrow::compute::concat_batches(&row(1.0).schema(), &[row(1.0), row(2.0)]).unwrap();
    let statement = world.reader.prepare(&world.ctx, marks).await.unwrap();
    assert!(statement.plan(Some(two_rows)).await.err().unwrap().is(SQL_PARAMETERS));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_end_at_the_limit() {
    let world = world().await;
    for (limit, want) in [(0, 0), (1, 1), (9_000, 9_000), (20_000, 10_000)] {
        let limits = Limits { n_rows: Some(limit), ..Limits::STANDARD };
        let batches = world.rows("SELECT * FROM many", None, limits).await.unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), want);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_at_its_deadline() {
    let world = world().await;
    let error = world.rows(ENDLESS, None, within(Duration::from_millis(200))).await.unwrap_err();
    assert!(error.is(QUERY_TIMEOUT) && error.hint_text().is_some(), "{error:?}");
    assert_eq!(world.value("SELECT count(*) FROM many").await.unwrap(), "10000", "the next query has all it needs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_stops_reading_holds_nothing_beyond_the_deadline() {
    let world = world().await;
    let statement = world.reader.prepare(&world.ctx, "SELECT a.arr_delay FROM many AS a, many AS b").await.unwrap();
    let mut answer = statement.run(None, within(Duration::from_millis(200))).await.unwrap();
    assert!(answer.next().await.unwrap().unwrap().num_rows() > 0);
    let canceller = answer.canceller();
    tokio::time::timeout(Duration::from_secs(30), async {
        while !canceller.is_done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            // What was made ahead is read, and then comes the deadline.
            if let Some(Err(error)) = answer.next().await {
                assert!(error.is(QUERY_TIMEOUT), "{error:?}");
            }
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_query_says_so() {
    let world = world().await;
    let statement = world.reader.prepare(&world.ctx, ENDLESS).await.unwrap();
    let mut answer = statement.run(None, Limits::STANDARD).await.unwrap();
    answer.canceller().cancel();
    let error = answer.next().await.unwrap().unwrap_err();
    assert!(error.is(QUERY_CANCELLED), "{error:?}");
    assert!(answer.next().await.is_none(), "it is said once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_answer_stops_its_query_and_frees_its_place() {
    let world = world().await;
    let statement = world.reader.prepare(&world.ctx, ENDLESS).await.unwrap();
    let mut running = Vec::new();
    for _ in 0..16 {
        running.push(statement.run(None, Limits::STANDARD).await.unwrap());
    }
    let refused = statement.run(None, within(Duration::from_millis(100))).await.err().unwrap();
    assert!(refused.is(TOO_MANY_QUERIES) && refused.hint_text().is_some(), "{refused:?}");
    let cancellers: Vec<_> = running.iter().map(lw_query::Answer::canceller).collect();
    drop(running);
    assert_eq!(world.value("SELECT count(*) FROM many").await.unwrap(), "10000");
    tokio::time::timeout(Duration::from_secs(30), async {
        while !cancellers.iter().all(lw_query::Canceller::is_done) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}
