//! Measures the point-in-time join, small writes and queries, and the expressions: `cargo run --release -p lw-engine --example pit_bench [ROWS]`.
//!
//! The join has ROWS spine rows (1 million) against three views of 2, 5 and 3 times as many rows with four features each, over
//! a tenth as many keys and half a year, with TTLs of 90, 7 and 30 days; once with event times only, once with known times.
#![allow(clippy::print_stdout, reason = "a bench talks to its caller")]

use std::time::Instant;

use arrow::array::RecordBatch;
use lw_core::{Result, Span};
use lw_engine::{
    Binding, Engine, EngineOptions, ExpressionSet, KeyPair, OutputColumn, PitView, PointInTime, TableId, WriteMode, WriteOptions,
    batch_from_rows,
};

/// Half a year of seconds.
const PERIOD_S: u64 = 15_552_000;

#[tokio::main]
async fn main() -> Result<()> {
    let n_rows: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let directory = tempfile::tempdir().map_err(|error| lw_core::Error::bug(error.to_string()))?;
    let tables_dir = directory.path().to_owned();
    let engine = Engine::open(EngineOptions { tables_dir, memory_limit_bytes: 4 << 30, n_threads })?;
    measure_join(&engine, n_rows).await?;
    measure_tables(&engine).await?;
    measure_expressions()
}

async fn measure_join(engine: &Engine, n_rows: usize) -> Result<()> {
    let spine = random_rows(engine, n_rows, 1, "at").await?;
    let mut views = Vec::new();
    for (index, (times, days)) in [(2, 90), (5, 7), (3, 30)].into_iter().enumerate() {
        let column = |feature: usize| OutputColumn { column: format!("f{feature}"), name: format!("v{index}_f{feature}") };
        views.push(PitView {
            name: format!("v{index}"),
            rows: random_rows(engine, n_rows * times, index + 2, "event").await?,
            keys: vec![KeyPair { spine: "k".into(), view: "k".into() }],
            event_time: "event".into(),
            known_time: None,
            ttl: Some(Span::from_days(days)),
            strictly_before: false,
            columns: (0..4).map(column).collect(),
        });
    }
    for known_time in [None, Some("known".to_owned())] {
        let label = if known_time.is_some() { "known_time" } else { "event_time" };
        let views = views.iter().map(|view| PitView { known_time: known_time.clone(), ..view.clone() }).collect();
        let started = Instant::now();
        let joined = engine.point_in_time(PointInTime { spine: spine.clone(), time_column: "at".into(), views }).await?;
        let seconds = started.elapsed().as_secs_f64();
        let n_joined: usize = joined.iter().map(RecordBatch::num_rows).sum();
        println!(
            "point_in_time {label} rows={n_joined} views=3 seconds={seconds:.2} rows_per_second={:.0}",
            n_joined as f64 / seconds
        );
    }
    Ok(())
}

/// Rows with a text key, a time within the period, a known time up to two hours later, and four features.
async fn random_rows(engine: &Engine, n_rows: usize, seed: usize, time: &str) -> Result<Vec<RecordBatch>> {
    // A multiplicative hash stands for chance, so that every run measures the same rows.
    let hash = |salt: usize| format!("((n + {seed}) * 2654435761 + {salt} * 40503) % 4294967291");
    let sql = format!(
        "SELECT concat('user-', {} % {}) AS k, to_timestamp_micros(1356998400000000 + ({} % {PERIOD_S}) * 1000000) AS {time},
            to_timestamp_micros(1356998400000000 + ({} % {PERIOD_S} + {} % 7200) * 1000000) AS known,
            n * 0.5 AS f0, n * 0.25 AS f1, n AS f2, n % 7 AS f3
        FROM (SELECT unnest(range(0, {n_rows})) AS n)",
        hash(1),
        (n_rows / 10).max(1),
        hash(2),
        hash(2),
        hash(3),
    );
    engine.query(&sql, vec![]).await?.collect().await
}

/// What a small write and a small query cost, log and planning included.
async fn measure_tables(engine: &Engine) -> Result<()> {
    const N_WRITES: u32 = 50;
    let rows = random_rows(engine, 1_000, 1, "at").await?;
    let table = TableId::parse("data/bench")?;
    let started = Instant::now();
    for _ in 0..N_WRITES {
        engine.write(&table, rows[0].schema(), rows.clone(), WriteOptions::new(WriteMode::Append)).await?;
    }
    println!("append rows=1000 milliseconds={:.1}", started.elapsed().as_secs_f64() * 1e3 / f64::from(N_WRITES));
    let started = Instant::now();
    for _ in 0..N_WRITES {
        let sql = "SELECT k, avg(f0) AS mean FROM bench WHERE f2 > 10 GROUP BY k";
        engine.query(sql, vec![Binding::table(&table, Some(0))]).await?.collect().await?;
    }
    println!("query rows=1000 milliseconds={:.1}", started.elapsed().as_secs_f64() * 1e3 / f64::from(N_WRITES));
    Ok(())
}

fn measure_expressions() -> Result<()> {
    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    let schema = std::sync::Arc::new(Schema::new(vec![
        Field::new("carrier", DataType::Utf8, true),
        Field::new("scheduled_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("distance", DataType::Float64, true),
    ]));
    let expressions = [
        ("hour", "date_part('hour', scheduled_at AT TIME ZONE 'America/New_York')"),
        ("is_night", "hour >= 22 OR hour < 6"),
        ("weekday", "date_part('dow', scheduled_at)"),
        ("distance_band", "CASE WHEN distance < 500 THEN 0 WHEN distance < 1500 THEN 1 ELSE 2 END"),
        ("log_distance", "ln(distance)"),
    ];
    let expressions = expressions.map(|(name, sql)| (name.to_owned(), sql.to_owned()));
    let started = Instant::now();
    let set = ExpressionSet::compile(&expressions, &schema)?;
    println!("expressions compile seconds={:.4}", started.elapsed().as_secs_f64());
    let row = vec!["AA".into(), "2013-07-01T03:00:00Z".into(), 1000.0.into()];
    const N_CALLS: u32 = 20_000;
    let started = Instant::now();
    for _ in 0..N_CALLS {
        let batch = batch_from_rows(&schema, std::slice::from_ref(&row))?;
        std::hint::black_box(set.evaluate(&batch)?);
    }
    println!("expressions one_row n=5 microseconds={:.1}", started.elapsed().as_secs_f64() * 1e6 / f64::from(N_CALLS));
    let batch = batch_from_rows(&schema, std::slice::from_ref(&row))?;
    let started = Instant::now();
    for _ in 0..N_CALLS {
        std::hint::black_box(set.evaluate(&batch)?);
    }
    println!("expressions evaluate_only n=5 microseconds={:.1}", started.elapsed().as_secs_f64() * 1e6 / f64::from(N_CALLS));
    Ok(())
}
