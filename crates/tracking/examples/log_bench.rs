//! How fast runs are logged, searched and read, and how fast the disk would let them be.
//!
//! `cargo run -p lw-tracking --example log_bench -- [SECONDS] [N_RUNS] [DATABASE]` makes a database below the directory for temporary
//! files, measures and removes it, or measures on the empty PostgreSQL database of that address. The limit is a bare program that inserts the same rows into the same tables with the same number of commits.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made ends")]
#![expect(clippy::print_stdout, reason = "the figures are what the program is for")]

use std::path::Path;
use std::time::{Duration, Instant};

use lw_core::{Actor, Ctx, RunId, Timestamp};
use lw_search::{Comparator, Comparison, Condition, Direction, Field, Literal, Number, OrderBy};
use lw_store::testing::TestDirectory;
use lw_store::{MetadataUrl, Store};
use lw_tracking::{Batch, Circumstances, ExperimentId, HistoryFrom, NewRun, Projection, RunSearch, Tracking, View};

const N_TASKS: usize = 8;
const N_METRICS: usize = 100;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let duration = Duration::from_secs(arguments.next().unwrap_or(3));
    let n_runs = arguments.next().unwrap_or(10_000);
    let directory = TestDirectory::make();
    let given = std::env::args().nth(3).map(|url| MetadataUrl::parse(&url).unwrap());
    let store = Store::open(&given.unwrap_or_else(|| MetadataUrl::sqlite(directory.path().join("metadata.db")))).unwrap();
    let (tracking, ctx) = (Tracking::new(store), Ctx::real(Actor::new("bench"), "bench"));
    pairs(&tracking, &ctx, duration).await;
    limit(&directory.path().join("limit.db"), duration);
    single(&tracking, &ctx).await;
    search(&tracking, &ctx, n_runs).await;
    wide(&tracking, &ctx).await;
    history(&tracking, &ctx).await;
}

fn hundred(seed: u64) -> Batch {
    (0..N_METRICS).fold(Batch::default(), |batch, index| {
        batch.metric(&format!("metric_{index}"), (seed as f64).mul_add(0.37, index as f64), Timestamp::from_millis(1), 0)
    })
}

/// The time below which a share of the waits stayed, in milliseconds.
fn quantile(waits: &mut [Duration], share: f64) -> f64 {
    waits.sort_unstable();
    let place = ((waits.len() - 1) as f64 * share) as usize;
    waits[place].as_secs_f64() * 1e3
}

async fn pairs(tracking: &Tracking, ctx: &Ctx, duration: Duration) {
    let experiment = tracking.ensure_experiment(ctx, "pairs").await.unwrap();
    let begin = Instant::now();
    let tasks = (0..N_TASKS).map(|_| {
        let (tracking, ctx) = (tracking.clone(), ctx.clone());
        tokio::spawn(async move {
            let mut waits = Vec::new();
            while begin.elapsed() < duration {
                let started = Instant::now();
                let run = tracking.start_run(&ctx, NewRun::of(experiment.id, Circumstances::default())).await.unwrap();
                let created = Instant::now();
                tracking.log(&ctx, &run.id, hundred(waits.len() as u64)).await.unwrap();
                waits.push((created - started, created.elapsed()));
            }
            waits
        })
    });
    let mut all = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        all.extend(task.await.unwrap());
    }
    let seconds = begin.elapsed().as_secs_f64();
    let (mut creates, mut batches): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    println!(
        "create + batch of {N_METRICS}: {:.0} pairs/s; create p50 {:.2} p99 {:.2} ms, batch p50 {:.2} p99 {:.2} max {:.2} ms",
        creates.len() as f64 / seconds,
        quantile(&mut creates, 0.5),
        quantile(&mut creates, 0.99),
        quantile(&mut batches, 0.5),
        quantile(&mut batches, 0.99),
        quantile(&mut batches, 1.0),
    );
}

/// The rows of a pair, four pairs a commit: what eight tasks that wait for two commits each get.
fn limit(path: &Path, duration: Duration) {
    let mut connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8000;
             CREATE TABLE run (id TEXT PRIMARY KEY, number BIGINT NOT NULL UNIQUE, name TEXT, ledger TEXT);
             CREATE TABLE run_latest_metric (run BIGINT NOT NULL, metric_key TEXT NOT NULL, logged_at BIGINT NOT NULL,
                 step BIGINT NOT NULL, metric_value DOUBLE PRECISION NOT NULL, is_nan BIGINT NOT NULL,
                 PRIMARY KEY (run, metric_key)) WITHOUT ROWID;",
        )
        .unwrap();
    let keys: Vec<String> = (0..N_METRICS).map(|index| format!("metric_{index}")).collect();
    let ledger = "x".repeat(1500);
    let (begin, mut n_pairs) = (Instant::now(), 0_i64);
    while begin.elapsed() < duration {
        for _ in 0..2 {
            let transaction = connection.transaction().unwrap();
            {
                let mut run = transaction.prepare_cached("INSERT INTO run VALUES (?1, ?2, ?3, ?4)").unwrap();
                let mut point =
                    transaction.prepare_cached("INSERT INTO run_latest_metric VALUES (?1, ?2, ?3, ?4, ?5, ?6)").unwrap();
                for _ in 0..2 {
                    n_pairs += 1;
                    run.execute((format!("{n_pairs:032x}"), n_pairs, "plucky-otter-417", &ledger)).unwrap();
                    for key in &keys {
                        point.execute((n_pairs, key, 1_000, 0, n_pairs as f64 * 0.37, 0)).unwrap();
                    }
                }
            }
            transaction.commit().unwrap();
        }
    }
    println!("the limit, a bare program: {:.0} pairs/s", n_pairs as f64 / begin.elapsed().as_secs_f64());
}

async fn single(tracking: &Tracking, ctx: &Ctx) {
    let experiment = tracking.ensure_experiment(ctx, "single").await.unwrap();
    let run = tracking.start_run(ctx, NewRun::of(experiment.id, Circumstances::default())).await.unwrap();
    let mut waits = Vec::new();
    for step in 0..2000 {
        let started = Instant::now();
        let batch = Batch::default().metric("loss", f64::from(step) * 0.5, Timestamp::from_millis(step.into()), step.into());
        tracking.log_single(ctx, &run.id, batch).await.unwrap();
        waits.push(started.elapsed());
    }
    println!("single log-metric: p50 {:.3} p99 {:.3} ms", quantile(&mut waits, 0.5), quantile(&mut waits, 0.99));
}

async fn fill(tracking: &Tracking, ctx: &Ctx, experiment: ExperimentId, n_runs: u64) {
    let tasks = (0..N_TASKS as u64).map(|task| {
        let (tracking, ctx) = (tracking.clone(), ctx.clone());
        tokio::spawn(async move {
            for index in (task..n_runs).step_by(N_TASKS) {
                let mut new = NewRun::of(experiment, Circumstances::default());
                new.tags = (0..2).map(|tag| (format!("t{tag}"), format!("value {index}"))).collect();
                let run = tracking.start_run(&ctx, new).await.unwrap();
                let mut batch = Batch::default();
                for key in 0..5_u64 {
                    let value = ((index * 7919 + key * 104_729) % 1000) as f64 / 1000.0;
                    batch = batch.metric(&format!("m{key}"), value, Timestamp::from_millis(1), 0);
                    batch = batch.param(&format!("p{key}"), format!("{}", index % 10));
                }
                tracking.log(&ctx, &run.id, batch).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

async fn search(tracking: &Tracking, ctx: &Ctx, n_runs: u64) {
    let experiment = tracking.ensure_experiment(ctx, "search").await.unwrap();
    fill(tracking, ctx, experiment.id, n_runs).await;
    let metric = |key: &str| Field::Metric(key.to_owned());
    let filter = Condition::Compare(Comparison {
        field: metric("m0"),
        comparator: Comparator::Greater,
        value: Literal::Number(Number::Float(0.5)),
    });
    let order_by = vec![OrderBy { field: metric("m1"), direction: Direction::Descending }];
    for (limit, filter) in [(100, Some(filter.clone())), (1000, Some(filter)), (100, None)] {
        let search = RunSearch {
            experiments: vec![experiment.id],
            order_by: if filter.is_some() { order_by.clone() } else { Vec::new() },
            filter,
            view: View::Active,
            limit,
            offset: 0,
            projection: Projection::All,
        };
        let mut waits = Vec::new();
        let mut n_found = 0;
        for _ in 0..20 {
            let started = Instant::now();
            n_found = tracking.search_runs(search.clone()).await.unwrap().items.len();
            waits.push(started.elapsed());
        }
        let is_filtered = if search.filter.is_some() { "filter and order" } else { "no filter" };
        println!("search of {n_runs} runs, {is_filtered}, {n_found} rows: p50 {:.1} ms", quantile(&mut waits, 0.5));
    }
}

/// Runs with twelve thousand metrics each, which a list shows with a few of them.
async fn wide(tracking: &Tracking, ctx: &Ctx) {
    const N_COLUMNS: usize = 12_000;
    let experiment = tracking.ensure_experiment(ctx, "wide").await.unwrap();
    for _ in 0..20 {
        let run = tracking.start_run(ctx, NewRun::of(experiment.id, Circumstances::default())).await.unwrap();
        for first in (0..N_COLUMNS).step_by(1000) {
            let batch = (first..first + 1000)
                .fold(Batch::default(), |batch, key| batch.metric(&format!("column/{key}"), 0.5, Timestamp::from_millis(1), 0));
            tracking.log(ctx, &run.id, batch).await.unwrap();
        }
    }
    let few = Projection::Only { metrics: vec!["column/7".to_owned()], params: Vec::new(), tags: Vec::new() };
    for (what, projection) in [("all", Projection::All), ("one of", few)] {
        let search = RunSearch {
            experiments: vec![experiment.id],
            filter: None,
            order_by: Vec::new(),
            view: View::Active,
            limit: 100,
            offset: 0,
            projection,
        };
        let started = Instant::now();
        tracking.search_runs(search).await.unwrap();
        println!("20 runs with {what} {N_COLUMNS} metrics each: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    }
}

async fn history(tracking: &Tracking, ctx: &Ctx) {
    const N_POINTS: i64 = 100_000;
    let experiment = tracking.ensure_experiment(ctx, "history").await.unwrap();
    let run = tracking.start_run(ctx, NewRun::of(experiment.id, Circumstances::default())).await.unwrap().id;
    for first in (0..N_POINTS).step_by(1000) {
        let batch = (first..first + 1000)
            .fold(Batch::default(), |batch, step| batch.metric("loss", step as f64 * 0.1, Timestamp::from_millis(step), step));
        tracking.log(ctx, &run, batch).await.unwrap();
    }
    let mut waits = Vec::new();
    for _ in 0..10 {
        let started = Instant::now();
        let n_points = read_all(tracking, &run).await;
        assert_eq!(n_points, N_POINTS as usize);
        waits.push(started.elapsed());
    }
    println!("history of {N_POINTS} points, in parts: p50 {:.1} ms", quantile(&mut waits, 0.5));
    let mut waits = Vec::new();
    for _ in 0..10 {
        let started = Instant::now();
        tracking.sample(std::slice::from_ref(&run), "loss", 320, None).await.unwrap();
        waits.push(started.elapsed());
    }
    println!("sample of 320 of {N_POINTS} points: p50 {:.1} ms", quantile(&mut waits, 0.5));
}

async fn read_all(tracking: &Tracking, run: &RunId) -> usize {
    let (mut from, mut n_points) = (HistoryFrom::Offset(0), 0);
    loop {
        let points = tracking.history_from(run, "loss", from, 20_000).await.unwrap();
        n_points += points.len();
        match points.last() {
            Some(last) if points.len() == 20_000 => from = HistoryFrom::Point(*last),
            _ => return n_points,
        }
    }
}
