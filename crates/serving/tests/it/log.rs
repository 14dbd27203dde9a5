//! The prediction log through crashes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use lw_core::Span;
use lw_serving::log::{LogOptions, PredictionLog};
use lw_serving::{Routing, Serving};

use crate::world::{ENDPOINT, World, bundle, engine, linear_model, name, noon, parts};

async fn deployed(world: &World) -> Serving {
    let serving = world.serving().await;
    if serving.endpoint(ENDPOINT).is_err() {
        let first = world.version(1, 0.1).await;
        serving.activate(&world.ctx("deploy"), world.activation(0, Routing::only(first))).await.unwrap();
    }
    serving
}

fn predict(world: &World, serving: &Serving, id: &str) {
    let body = format!(r#"{{"flight_id": "{id}", "carrier": "AA", "distance": 100}}"#);
    serving.endpoint(ENDPOINT).unwrap().predict_json(&world.ctx("r1"), body.as_bytes()).unwrap();
}

fn segments(world: &World) -> Vec<std::path::PathBuf> {
    let dir = world.parts.predictions_dir.join(ENDPOINT);
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn a_row_of_the_table_tells_the_whole_prediction() {
    let world = World::make().await;
    let serving = deployed(&world).await;
    predict(&world, &serving, "a");
    let endpoint = serving.endpoint(ENDPOINT).unwrap();
    endpoint.predict_json(&world.ctx("r2"), br#"{"flight_id": "b", "carrier": "unknown", "distance": 200}"#).unwrap();
    let delivered = serving.deliver().await.unwrap();
    assert_eq!((delivered[0].1.n_rows, delivered[0].1.n_segments), (2, 1));
    let columns = "id, request_id, at, model, version, role, round(score, 4), predicted, latency_us < 10000000, delay, round(distance_km), carrier, distance";
    assert_eq!(
        world.logged(columns).await,
        [
            "a r1 2013-06-01T12:00:00Z late_arrival 1 champion 0.3609 false true 10.0 161.0 AA 100.0",
            "b r2 2013-06-01T12:00:00Z late_arrival 1 champion 0.6219 true true  322.0 unknown 200.0",
        ]
    );
    assert!(serving.deliver().await.unwrap()[0].1.table_version.is_none(), "nothing is left to deliver");
}

#[tokio::test]
async fn a_crash_between_commit_and_removal_doubles_nothing() {
    let world = World::make().await;
    let serving = deployed(&world).await;
    predict(&world, &serving, "a");
    serving.flush().await.unwrap();
    let before = segments(&world)[0].clone();
    let kept = world.dir.path().join("kept");
    std::fs::copy(&before, &kept).unwrap();
    serving.deliver().await.unwrap();
    assert!(!before.exists());
    drop(serving);
    // The crash: the table has the rows, the file is still there.
    std::fs::copy(&kept, &before).unwrap();

    let serving = deployed(&world).await;
    assert_eq!(serving.deliver().await.unwrap()[0].1.n_rows, 0);
    predict(&world, &serving, "b");
    serving.deliver().await.unwrap();
    assert_eq!(world.logged("id, version").await, ["a 1", "b 1"]);
}

#[tokio::test]
async fn a_crash_before_the_commit_loses_nothing_and_a_torn_tail_only_itself() {
    let world = World::make().await;
    let serving = deployed(&world).await;
    predict(&world, &serving, "a");
    predict(&world, &serving, "b");
    serving.flush().await.unwrap();
    let active = segments(&world).pop().unwrap();
    drop(serving);
    let bytes = std::fs::read(&active).unwrap();
    std::fs::OpenOptions::new().append(true).open(&active).unwrap().write_all(&bytes[8..40]).unwrap();

    let serving = deployed(&world).await;
    predict(&world, &serving, "c");
    serving.deliver().await.unwrap();
    assert_eq!(world.logged("id, version").await, ["a 1", "b 1", "c 1"]);
}

#[tokio::test]
async fn segment_numbers_never_repeat() {
    let world = World::make().await;
    let serving = deployed(&world).await;
    predict(&world, &serving, "a");
    serving.deliver().await.unwrap();
    drop(serving);
    std::fs::remove_dir_all(world.parts.predictions_dir.join(ENDPOINT)).unwrap();
    let serving = deployed(&world).await;
    predict(&world, &serving, "b");
    assert_eq!(serving.deliver().await.unwrap()[0].1.n_rows, 1, "a new folder does not count from 1 again");
    assert_eq!(world.logged("id, version").await, ["a 1", "b 1"]);
}

#[tokio::test]
async fn new_and_changed_inputs_get_columns_of_their_own() {
    let world = World::make().await;
    let serving = deployed(&world).await;
    predict(&world, &serving, "a");
    serving.deliver().await.unwrap();
    let mut changed = bundle(2);
    changed.expressions[0].name = "score".to_owned();
    changed.inputs[1].name = "score".to_owned();
    changed.request[1].data_type = lw_core::DataType::Int64;
    changed.expressions[0].sql = "CAST(distance AS DOUBLE)".to_owned();
    let second = world.store(changed, linear_model(0.2, &["delay", "score"])).await;
    serving.activate(&world.ctx("deploy"), world.activation(1, Routing::only(second))).await.unwrap();
    predict(&world, &serving, "b");
    serving.deliver().await.unwrap();
    let logged = world.logged("id, version, distance, distance_int64, input_score, distance_km IS NULL").await;
    assert_eq!(logged, ["a 1 100.0   false", "b 2  100 100.0 true"]);
}

#[tokio::test]
async fn a_full_queue_refuses_requests_and_recovers() {
    let world = World::make().await;
    let options = LogOptions { max_queued_rows: 10, ..LogOptions::in_dir(world.dir.path().join("small")) };
    let log = PredictionLog::open(options, name("small"), &world.parts.engine, Default::default()).await.unwrap();
    let held = log.reserve(8).unwrap();
    let error = log.reserve(3).err().unwrap();
    assert_eq!((error.code(), error.kind().http_status()), ("prediction-log-full", 429));
    assert_eq!((log.metrics().refused.get(), log.n_waiting()), (3, 8));
    drop(held);
    assert!(log.reserve(3).is_ok());
    log.flush().await.unwrap();
}

/// The child of [`killed_at_any_moment_the_log_keeps_what_was_answered`]: predicts and says what it has answered, without waiting for the disk.
#[tokio::test]
#[ignore = "run by another test, in a process that is killed"]
async fn child_that_is_killed() {
    let dir = std::env::var("LW_SERVING_CHILD_DIR").unwrap();
    let dir = Path::new(&dir);
    let serving = Serving::new(parts(dir));
    serving.sync().await.unwrap();
    let endpoint = serving.endpoint(ENDPOINT).unwrap();
    let start: usize = std::env::var("LW_SERVING_CHILD_START").unwrap().parse().unwrap();
    let ctx = lw_core::Ctx::real(lw_core::Actor::new("ana"), "child");
    let mut out = std::io::stdout();
    for n in start..start + 100_000 {
        let body = format!(r#"{{"flight_id": "f{n:08}", "carrier": "AA", "distance": 100}}"#);
        endpoint.predict_json(&ctx, body.as_bytes()).unwrap();
        writeln!(out, "answered {n}").unwrap();
        out.flush().unwrap();
        if n % 70 == 0 {
            endpoint.flush().await.unwrap();
        }
        if n % 50 == 0 {
            serving.deliver().await.unwrap();
        }
    }
}

#[tokio::test]
async fn killed_at_any_moment_the_log_keeps_what_was_answered() {
    let world = World::make().await;
    drop(deployed(&world).await);
    let World { dir, parts: opened, .. } = world;
    drop(opened);
    let mut start = 0;
    let mut answered_ranges = Vec::new();
    for round in 0..5_usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log::child_that_is_killed", "--ignored", "--nocapture"])
            .env("LW_SERVING_CHILD_DIR", dir.path())
            .env("LW_SERVING_CHILD_START", start.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Each round dies somewhere else within the cycle of syncs and deliveries.
        let answered = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("answered ").map(str::to_owned));
        let last: usize = answered.take(33 + 57 * round).last().unwrap().parse().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        answered_ranges.push((start, last));
        start = last + 10_000;
    }

    let world_engine = engine(dir.path());
    let log = PredictionLog::open(
        LogOptions::in_dir(dir.path().join("predictions").join(ENDPOINT)),
        name(ENDPOINT),
        &world_engine,
        Default::default(),
    )
    .await
    .unwrap();
    log.deliver(&world_engine).await.unwrap();
    let table = lw_serving::prediction_table(&name(ENDPOINT));
    let sql = format!("SELECT id, count(*) AS n FROM prediction.{ENDPOINT} GROUP BY id");
    let query = world_engine.query(&sql, vec![lw_engine::Binding::table(&table, None)]).await.unwrap();
    let mut found = std::collections::BTreeMap::new();
    for batch in query.collect().await.unwrap() {
        for row in 0..batch.num_rows() {
            let cell = |column: usize| arrow::util::display::array_value_to_string(batch.column(column), row).unwrap();
            found.insert(cell(0), cell(1));
        }
    }
    assert!(found.values().all(|n| n == "1"), "no row is doubled");
    for (first, last) in answered_ranges {
        for n in first..=last {
            assert!(found.contains_key(&format!("f{n:08}")), "row {n} was answered and is lost");
        }
    }
}

#[tokio::test]
async fn the_time_of_a_prediction_is_the_clocks() {
    let world = World::make().await;
    let serving = deployed(&world).await;
    world.clock.set(noon() + Span::from_days(30));
    predict(&world, &serving, "a");
    serving.deliver().await.unwrap();
    assert_eq!(world.logged("id, at").await, ["a 2013-07-01T12:00:00Z"]);
}
