//! The feature views of examples/flights on all 336,776 flights, against golden values from DuckDB
//! (tests/oracles/features_flights.py).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches, sum};
use arrow::datatypes::{DataType, Float64Type, SchemaRef, TimestampMicrosecondType};
use lw_core::{Scalar, Timestamp};
use lw_engine::{Area, Binding, Bound, Engine, KeyPair, OutputColumn, PitView, PointInTime, TableId, WriteMode, WriteOptions};
use lw_features::online::Durability;
use lw_features::{
    AvailableRange, EmbeddedStore, Lookup, MaterializationFeed, OnlineStore, OnlineView, RegisteredView, Sources, TableVersion,
    ViewComputer, ViewDefinition, check_view, view_rows,
};
use lw_store::testing::TestDirectory;
use serde::Deserialize;

use crate::fixtures::{engine, name, unregistered};

const FLIGHTS_SQL: &str = "
    SELECT *, scheduled_at + CAST(dep_delay + air_time + 45 AS BIGINT) * INTERVAL '1 minute' AS landed_at,
        scheduled_hour - INTERVAL '1 hour' AS predicted_at
    FROM (
        SELECT concat_ws('-', carrier, flight, month, day, origin, sched_dep_time) AS flight_id, carrier, origin, dest, tailnum,
            CAST(arr_delay AS DOUBLE) AS arr_delay, dep_delay, air_time, CAST(time_hour AS TIMESTAMP) AS scheduled_hour,
            CAST(time_hour AS TIMESTAMP) + minute * INTERVAL '1 minute' AS scheduled_at
        FROM files)";
const WEATHER_SQL: &str = "
    SELECT origin, CAST(time_hour AS TIMESTAMP) AS time_hour, CAST(time_hour AS TIMESTAMP) + INTERVAL '1 hour' AS known_at,
        temp, dewp, wind_speed, precip, pressure, visib
    FROM files";
const PLANES_SQL: &str = "SELECT tailnum, CAST(year AS INT) AS year, CAST(seats AS INT) AS seats FROM files";

#[derive(Deserialize)]
struct Golden {
    totals: BTreeMap<String, Total>,
    /// Flight → feature → value.
    samples: BTreeMap<String, BTreeMap<String, Option<f64>>>,
}

#[derive(Deserialize)]
struct Total {
    count: usize,
    sum: f64,
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights")
}

async fn ingest(engine: &Engine, table: &str, sql: &str, files: Bound) -> (TableVersion, SchemaRef) {
    let query = engine.query(sql, vec![Binding::new("files", files)]).await.unwrap();
    let schema = query.schema();
    let table = TableId::new(Area::Data, name(table));
    let options = WriteOptions::new(WriteMode::Append);
    let written = engine.write(&table, schema.clone(), query.collect().await.unwrap(), options).await.unwrap();
    (TableVersion { table, version: written.version, digest: written.digest }, schema)
}

/// The example's tables, without the contracts: DuckDB sees the bad rows too.
async fn tables(engine: &Engine) -> (Sources, Vec<(String, SchemaRef)>) {
    let data = example().join("data");
    let months = (1..=12).map(|month| data.join(format!("flights/2013-{month:02}.parquet"))).collect();
    let csv =
        Bound::Csv { paths: vec![data.join("planes.csv")], schema: None, null_values: vec!["NA".to_owned()], delimiter: b',' };
    let mut sources = Sources::default();
    let mut schemas = Vec::new();
    for (table, sql, files) in [
        ("flights", FLIGHTS_SQL, Bound::Parquet { paths: months }),
        ("weather", WEATHER_SQL, Bound::Parquet { paths: vec![data.join("weather.parquet")] }),
        ("planes", PLANES_SQL, csv),
    ] {
        let (version, schema) = ingest(engine, table, sql, files).await;
        sources.tables.push(version);
        schemas.push((table.to_owned(), schema));
    }
    (sources, schemas)
}

fn views(tables: &[(String, SchemaRef)]) -> Vec<RegisteredView> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(example().join("features")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let view: ViewDefinition = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let relation = check_view(&view, tables).unwrap();
        unregistered(view, relation)
    };
    paths.iter().map(read).collect()
}

/// All flights that were to be predicted, joined with all views.
async fn joined(engine: &Engine, sources: &Sources, views: &[RegisteredView]) -> RecordBatch {
    let sql = "SELECT flight_id, carrier, origin, dest, tailnum, predicted_at FROM flights";
    let bindings = vec![Binding::table(&sources.tables[0].table, Some(sources.tables[0].version))];
    let spine = engine.query(sql, bindings).await.unwrap().collect().await.unwrap();
    let mut pit_views = Vec::new();
    for view in views {
        let definition = &view.definition;
        let started = Instant::now();
        let rows = view_rows(engine, definition, sources, AvailableRange::until(Timestamp::from_micros(i64::MAX))).await.unwrap();
        let n_rows: usize = rows.iter().map(RecordBatch::num_rows).sum();
        println!("{} {n_rows} rows in {:.2?}", definition.feature_view, started.elapsed());
        pit_views.push(PitView {
            name: definition.feature_view.to_string(),
            rows,
            keys: definition.entity.iter().map(|key| KeyPair { spine: key.clone(), view: key.clone() }).collect(),
            event_time: definition.event_time.clone(),
            known_time: definition.known_time.clone(),
            ttl: definition.ttl,
            strictly_before: false,
            columns: definition.features.keys().map(|name| OutputColumn { column: name.clone(), name: name.clone() }).collect(),
        });
    }
    let started = Instant::now();
    let request = PointInTime { spine, time_column: "predicted_at".to_owned(), views: pit_views };
    let joined = engine.point_in_time(request).await.unwrap();
    println!("joined in {:.2?}", started.elapsed());
    concat_batches(&joined[0].schema(), &joined).unwrap()
}

fn column(batch: &RecordBatch, name: &str) -> arrow::array::Float64Array {
    cast(batch.column_by_name(name).unwrap(), &DataType::Float64).unwrap().as_primitive::<Float64Type>().clone()
}

#[track_caller]
fn check_totals(joined: &RecordBatch, golden: &Golden) {
    for (feature, total) in &golden.totals {
        let values = column(joined, feature);
        assert_eq!(values.len() - values.null_count(), total.count, "{feature}");
        let found = sum(&values).unwrap();
        assert!((found - total.sum).abs() <= 1e-6 * total.sum.abs(), "{feature}: {found} instead of {}", total.sum);
    }
}

/// Flight → row of the batch.
fn rows_by_flight(joined: &RecordBatch) -> BTreeMap<String, usize> {
    let ids = joined.column_by_name("flight_id").unwrap().as_string::<i32>();
    (0..joined.num_rows()).map(|row| (ids.value(row).to_owned(), row)).collect()
}

#[track_caller]
fn check_samples(joined: &RecordBatch, golden: &Golden) {
    let rows = rows_by_flight(joined);
    for (flight, features) in &golden.samples {
        for (feature, wanted) in features {
            let values = column(joined, feature);
            let row = rows[flight];
            let found = values.is_valid(row).then(|| values.value(row));
            let is_close = found.zip(*wanted).map_or(found == *wanted, |(found, wanted)| (found - wanted).abs() < 1e-9);
            assert!(is_close, "{flight} {feature}: {found:?} instead of {wanted:?}");
        }
    }
}

/// Moves the online store from sample to sample on the clock, and compares each look-up with the join.
async fn check_online(engine: &Engine, sources: &Sources, views: &[RegisteredView], joined: &RecordBatch, golden: &Golden) {
    let directory = TestDirectory::make();
    let online: Arc<dyn OnlineStore> = Arc::new(EmbeddedStore::open(&directory.path().join("online.redb"), 64 << 20).unwrap());
    let horizon = Timestamp::parse("2014-01-02").unwrap();
    let started = Instant::now();
    let mut feed =
        MaterializationFeed::open(&ViewComputer::new(engine.clone()), online.clone(), views, sources, horizon).await.unwrap();
    println!("feed of {} rows opened in {:.2?}", feed.n_remaining(), started.elapsed());
    let rows = rows_by_flight(joined);
    let times = joined.column_by_name("predicted_at").unwrap().as_primitive::<TimestampMicrosecondType>();
    let mut samples: Vec<(i64, usize)> = golden.samples.keys().map(|flight| (times.value(rows[flight]), rows[flight])).collect();
    samples.sort_unstable();
    let mut spent = Duration::ZERO;
    for (at, row) in samples {
        let at = Timestamp::from_micros(at);
        let started = Instant::now();
        feed.advance(at, Durability::Now).unwrap();
        spent += started.elapsed();
        for view in views {
            let online_view = OnlineView::new(online.clone(), view);
            let part = |entity: &String| lw_engine::scalar_at(joined.column_by_name(entity).unwrap(), row).unwrap();
            let key: Vec<Scalar> = view.definition.entity.iter().map(part).collect();
            let mut out = vec![Scalar::Null; view.features.len()];
            online_view.lookup(&key, at, &mut out).unwrap();
            for (feature, value) in view.features.iter().zip(&out) {
                let wanted = lw_engine::scalar_at(joined.column_by_name(&feature.name).unwrap(), row).unwrap();
                assert_eq!(*value, wanted, "{} at {at}", feature.name);
            }
        }
    }
    println!("{} steps in {spent:.2?}, {} rows remain", golden.samples.len(), feed.n_remaining());
    look_up_often(&online, views);
}

/// A hot look-up must stay far below 10 µs; the limit here leaves room for a loaded machine.
fn look_up_often(online: &Arc<dyn OnlineStore>, views: &[RegisteredView]) {
    let view = views.iter().find(|view| view.name().as_str() == "origin_delays").unwrap();
    let online_view = OnlineView::new(online.clone(), view);
    let key = [Scalar::from("JFK")];
    let mut out = vec![Scalar::Null; view.features.len()];
    let at = online_view.state().unwrap().unwrap().newest_event.unwrap();
    let started = Instant::now();
    let n_lookups = 100_000;
    for _ in 0..n_lookups {
        assert_ne!(online_view.lookup(&key, at, &mut out).unwrap(), Lookup::Missing);
    }
    let each = started.elapsed() / n_lookups;
    println!("a look-up takes {each:?}");
    assert!(each < Duration::from_micros(10), "a hot look-up takes {each:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_views_of_the_example_are_what_duckdb_says() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/flights.json")).unwrap();
    let directory = TestDirectory::make();
    let engine = engine(directory.path());
    let started = Instant::now();
    let (sources, schemas) = tables(&engine).await;
    println!("ingested in {:.2?}", started.elapsed());
    let views = views(&schemas);
    let joined = joined(&engine, &sources, &views).await;
    assert_eq!(joined.num_rows(), 336_776);
    check_totals(&joined, &golden);
    check_samples(&joined, &golden);
    check_online(&engine, &sources, &views, &joined, &golden).await;
}
