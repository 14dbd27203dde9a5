//! A process that is killed at any moment.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use lw_core::{Actor, Ctx};
use lw_store::{MetadataUrl, Store};
use lw_traces::Traces;
use lw_tracking::Tracking;

use crate::world::{engine, group, id, open, span};

async fn opened(directory: &Path) -> (Store, Traces, Ctx) {
    let store = Store::open(&MetadataUrl::sqlite(directory.join("metadata.db"))).unwrap();
    let traces = open(&store, &engine(directory), directory).await;
    (store, traces, Ctx::real(Actor::new("ana"), "child"))
}

/// The child of [`killed_at_any_moment_every_acknowledged_span_is_there_once`].
#[tokio::test]
#[ignore = "run by another test, in a process that is killed"]
async fn child_that_is_killed() {
    let directory = std::env::var("LW_TRACES_CHILD_DIR").unwrap();
    let start: u64 = std::env::var("LW_TRACES_CHILD_START").unwrap().parse().unwrap();
    let (store, traces, ctx) = opened(Path::new(&directory)).await;
    let experiment = Tracking::new(store).ensure_experiment(&ctx, "assistant").await.unwrap().id;
    let mut out = std::io::stdout();
    for n in start..start + 100_000 {
        traces.log_spans(&ctx, experiment, vec![group(&id(n % 3), vec![span(n)])]).await.unwrap();
        writeln!(out, "acknowledged {n}").unwrap();
        out.flush().unwrap();
        if n % 10 == 0 {
            traces.deliver(&ctx).await.unwrap();
        }
    }
}

#[tokio::test]
async fn killed_at_any_moment_every_acknowledged_span_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let (mut start, mut acknowledged) = (2, BTreeSet::new());
    for round in 0..5_usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::child_that_is_killed", "--ignored", "--nocapture"])
            .env("LW_TRACES_CHILD_DIR", directory.path())
            .env("LW_TRACES_CHILD_START", start.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Each round dies somewhere else within the cycle of deliveries.
        let told = lines.filter_map(|line| line.split("acknowledged ").nth(1).and_then(|n| n.trim().parse::<u64>().ok()));
        acknowledged.extend(told.take(13 + 7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        start = acknowledged.last().unwrap() + 1_000;
    }
    let (_store, traces, ctx) = opened(directory.path()).await;
    let found = async |traces: &Traces| {
        let mut found = Vec::new();
        for trace in 0..3 {
            let (_, spans) = traces.trace_with_spans(&id(trace)).await.unwrap();
            found.extend(spans.into_iter().map(|span| u64::from_str_radix(&span.id, 16).unwrap()));
        }
        found
    };
    let before = found(&traces).await;
    traces.deliver(&ctx).await.unwrap();
    for found in [before, found(&traces).await] {
        let unique: BTreeSet<u64> = found.iter().copied().collect();
        assert_eq!(unique.len(), found.len(), "no span is doubled");
        let lost: Vec<_> = acknowledged.difference(&unique).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    }
}
