use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lw_core::Scalar;
use lw_engine::failures::{SQL_NOT_ALLOWED, SQL_TYPE_MISMATCH, UNKNOWN_COLUMN};
use lw_engine::{Aggregation, Binding, Bound, Engine, EngineOptions, batch_from_rows, scalar_at};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("carrier", DataType::Utf8, true),
        Field::new("delay", DataType::Float64, true),
        Field::new("distance", DataType::Int32, true),
    ]))
}

fn rows() -> Vec<Vec<Scalar>> {
    let carriers = ["AA", "UA", "B6"];
    let row = |index: i64| {
        let delay = if index % 7 == 0 { Scalar::Null } else { ((index * 37 % 101) as f64 - 20.0).into() };
        let distance = (200 + index * 13 % 2_000) as i32;
        vec![carriers[index as usize % 3].into(), delay, distance.into()]
    };
    (0..500).map(row).collect()
}

const EXPRESSIONS: [&str; 9] = [
    "avg(delay) BETWEEN 10 AND 50",
    "count(*) - count(delay) < 0.2 * count(*)",
    "count(DISTINCT carrier) = 3",
    "sum(distance) FILTER (WHERE carrier = 'AA') / sum(distance)",
    "max(delay) - min(delay)",
    "stddev(delay) / NULLIF(avg(delay), 0)",
    "median(distance)",
    "bool_and(distance >= 200)",
    "CASE WHEN count(*) > 100 THEN avg(distance) ELSE 0 END",
];

/// The oracle is a query over all rows at once.
#[tokio::test]
async fn parts_that_are_merged_answer_as_one_query() {
    let directory = tempfile::tempdir().unwrap();
    let options = EngineOptions { tables_dir: directory.path().into(), memory_limit_bytes: 64 << 20, n_threads: 2 };
    let engine = Engine::open(options).unwrap();
    let rows = rows();
    for sql in EXPRESSIONS {
        let aggregation = Aggregation::compile(sql, &schema()).unwrap();
        let mut whole = aggregation.begin().unwrap();
        for part in [&rows[..1], &rows[1..64], &rows[64..64], &rows[64..]] {
            let mut state = aggregation.begin().unwrap();
            part.chunks(50).for_each(|rows| state.update(&batch_from_rows(&schema(), rows).unwrap()).unwrap());
            whole.merge(state).unwrap();
        }
        let got = whole.finish().unwrap();
        assert_eq!(got.value.data_type(), aggregation.data_type(), "{sql}");
        let all = Bound::Batches { schema: schema(), batches: vec![batch_from_rows(&schema(), &rows).unwrap()] };
        let sql_of_all = format!("SELECT {sql} AS answer FROM flights");
        let query = engine.query(&sql_of_all, vec![Binding::new("flights", all)]).await;
        let want = query.unwrap().collect().await.unwrap();
        let want = scalar_at(want[0].column(0), 0).unwrap();
        match (scalar_at(&got.value, 0).unwrap(), want) {
            // Sums of parts are added in another order.
            (Scalar::Float(got), Scalar::Float(want)) => assert!((got / want - 1.0).abs() < 1e-12, "{sql}: {got} {want}"),
            (got, want) => assert_eq!(got, want, "{sql}"),
        }
    }
}

#[test]
fn no_rows_are_what_sql_says_of_them() {
    for (sql, want) in [("count(*)", Scalar::Int(0)), ("sum(delay)", Scalar::Null), ("avg(delay) > 5", Scalar::Null)] {
        let answer = Aggregation::compile(sql, &schema()).unwrap().begin().unwrap().finish().unwrap();
        assert_eq!(scalar_at(&answer.value, 0).unwrap(), want, "{sql}");
    }
}

#[test]
fn the_answer_tells_each_aggregate_once_as_it_was_written() {
    let aggregation = Aggregation::compile("avg(delay) > 10 AND avg(delay) < max(distance)", &schema()).unwrap();
    let mut state = aggregation.begin().unwrap();
    state.update(&batch_from_rows(&schema(), &[vec!["AA".into(), 20.0.into(), 300_i32.into()]]).unwrap()).unwrap();
    let parts: Vec<_> = state.finish().unwrap().parts.into_iter().map(|part| (part.sql, part.value)).collect();
    let want = [("avg(delay)", "20.0"), ("max(distance)", "300")];
    assert_eq!(parts, want.map(|(sql, value)| (sql.to_owned(), value.to_owned())));
    assert_eq!(aggregation.columns().collect::<Vec<_>>(), ["delay", "distance"]);
}

#[test]
fn what_is_no_condition_on_all_rows_is_refused() {
    for (sql, failure, message) in [
        ("delay > 5", SQL_NOT_ALLOWED, "outside of an aggregate"),
        ("avg(delay) > distance", SQL_NOT_ALLOWED, "`distance` stands outside"),
        ("1 = 1", SQL_NOT_ALLOWED, "no aggregate"),
        ("avg(sum(delay)) > 5", SQL_NOT_ALLOWED, "an aggregate of an aggregate"),
        ("array_agg(delay ORDER BY distance) IS NULL", SQL_NOT_ALLOWED, "in an order"),
        ("sum(delay) OVER () > 5", SQL_NOT_ALLOWED, "a window function"),
        ("avg(delays) > 5", UNKNOWN_COLUMN, "delays"),
        ("avg(carrier) > 5", SQL_TYPE_MISMATCH, "avg"),
    ] {
        let error = Aggregation::compile(sql, &schema()).unwrap_err();
        assert!(error.is(failure) && error.message().contains(message), "{sql}: {error:?}");
        assert!(error.hint_text().is_some(), "{sql}: {error:?}");
    }
}
