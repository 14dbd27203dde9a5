//! The join on the real flights of 2013 against DuckDB: see `tests/oracles/engine_point_in_time.py`.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use lw_core::{Scalar, Span};
use lw_engine::{Binding, Bound, KeyPair, OutputColumn, PitView, PointInTime, scalar_at};
use serde_json::Value;

use crate::support::{TestEngine, in_memory};

fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights/data").join(path)
}

async fn read(test: &TestEngine, sql: &str, files: &[&str]) -> Vec<RecordBatch> {
    let bound = Bound::Parquet { paths: files.iter().map(|path| file(path)).collect() };
    test.engine.query(sql, vec![Binding::new("t", bound)]).await.unwrap().collect().await.unwrap()
}

const FLIGHTS: &str = "SELECT tailnum, origin, scheduled_at - INTERVAL '1 hour' AS at, scheduled_at,
        scheduled_at + CAST(dep_delay + air_time + 45 AS BIGINT) * INTERVAL '1 minute' AS landed_at, arr_delay
    FROM (SELECT *, to_timestamp(time_hour) + minute * INTERVAL '1 minute' AS scheduled_at FROM t)";

#[tokio::test]
async fn the_join_agrees_with_duckdb_on_the_flights() {
    let golden: Value = serde_json::from_str(include_str!("../golden/point_in_time.json")).unwrap();
    let test = TestEngine::new();
    let months = ["flights/2013-01.parquet", "flights/2013-02.parquet"];
    let spine = read(&test, FLIGHTS, &months).await;
    let weather =
        read(&test, "SELECT origin, to_timestamp(time_hour) AS hour, temp, wind_gust FROM t", &["weather.parquet"]).await;

    let key = |name: &str| vec![KeyPair { spine: name.into(), view: name.into() }];
    let output = |column: &str| OutputColumn { column: column.into(), name: format!("feature_{column}") };
    let view = |name: &str| PitView {
        name: name.into(),
        rows: spine.clone(),
        keys: key("tailnum"),
        event_time: "landed_at".into(),
        known_time: None,
        ttl: None,
        strictly_before: false,
        columns: vec![],
    };
    let views = vec![
        PitView {
            rows: weather,
            keys: key("origin"),
            event_time: "hour".into(),
            ttl: Some(Span::from_hours(2)),
            columns: vec![output("temp"), output("wind_gust")],
            ..view("weather")
        },
        // The last scheduled flight of the aircraft that had landed by then: event time and known time differ.
        PitView {
            event_time: "scheduled_at".into(),
            known_time: Some("landed_at".into()),
            ttl: Some(Span::from_hours(48)),
            strictly_before: true,
            columns: vec![output("arr_delay")],
            ..view("previous_leg")
        },
    ];
    let joined = test.engine.point_in_time(PointInTime { spine, time_column: "at".into(), views }).await.unwrap();

    let sql = "SELECT count(*) AS n_rows,
            count(feature_temp) AS n_temp, sum(feature_temp) AS sum_temp,
            count(feature_wind_gust) AS n_wind_gust, sum(feature_wind_gust) AS sum_wind_gust,
            count(feature_arr_delay) AS n_arr_delay, sum(feature_arr_delay) AS sum_arr_delay,
            sum(feature_arr_delay * (date_part('epoch', at) / 60 % 1009)) AS weighted_arr_delay
        FROM joined";
    let query = test.engine.query(sql, vec![in_memory("joined", joined)]).await.unwrap();
    let totals = &query.collect().await.unwrap()[0];
    for (name, want) in golden["totals"].as_object().unwrap() {
        let got = scalar_at(totals.column_by_name(name).unwrap(), 0).unwrap();
        let (got, want) = (Scalar::as_f64(&got).unwrap(), want.as_f64().unwrap());
        assert!((got - want).abs() <= want.abs() * 1e-9, "{name}: got {got}, DuckDB has {want}");
    }
}
