//! A process that dies while it records an alert leaves all of it or nothing, and the next one makes it exactly one request.

use lw_core::Span;
use lw_monitoring::{Monitoring, RETRAIN_TOPIC, Verdict, record};
use lw_store::testing::TestDirectory;
use lw_store::{MetadataUrl, Store};

use crate::{ctx, day, due, name, observation, quality, watched};

const DATABASE: &str = "LOOPWRIGHT_TEST_CRASH_DATABASE";
const MOMENT: &str = "LOOPWRIGHT_TEST_CRASH_MOMENT";

/// Runs in a process of its own, which it kills.
#[test]
#[ignore = "kills its process; `check` starts it"]
fn die() {
    let Ok(path) = std::env::var(DATABASE) else { return };
    let dies_before_commit = std::env::var(MOMENT).unwrap() == "before";
    let store = Store::open(&MetadataUrl::sqlite(path)).unwrap();
    let due = due(&quality(1), 7);
    let write = store.write_blocking(&ctx(day(7)), move |tx| {
        let recorded = record(tx, &watched(3), &due, &[observation(&due, 0.6, Verdict::Breach)])?;
        if dies_before_commit {
            std::process::abort();
        }
        Ok(recorded)
    });
    write.unwrap();
    std::process::abort();
}

#[track_caller]
fn check(moment: &str, n_messages_left_behind: usize) {
    let directory = TestDirectory::make();
    let path = directory.path().join("metadata.db");
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::die"])
        .env(DATABASE, &path)
        .env(MOMENT, moment)
        .output()
        .unwrap();
    assert!(!child.status.success(), "the process was to die: {}", String::from_utf8_lossy(&child.stdout));
    assert!(path.exists(), "the process died too early: {}", String::from_utf8_lossy(&child.stderr));
    let store = Store::open(&MetadataUrl::sqlite(path)).unwrap();
    let n_messages =
        |store: &Store| store.write_blocking(&ctx(day(7)), |tx| tx.outbox_claim(RETRAIN_TOPIC, 100, Span::ZERO)).unwrap().len();
    assert_eq!(n_messages(&store), n_messages_left_behind);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let monitoring = Monitoring::new(store.clone());
        let due = due(&quality(1), 7);
        let recorded =
            monitoring.record(&ctx(day(7)), &watched(3), &due, vec![observation(&due, 0.6, Verdict::Breach)]).await.unwrap();
        assert!(recorded.state.is_firing());
        assert_eq!(monitoring.requests(&name("late_arrival"), 10).await.unwrap().len(), 1);
        assert!(store.verify().await.unwrap().is_sound());
    });
    assert_eq!(n_messages(&store), 1);
}

#[test]
fn death_before_the_commit_leaves_nothing() {
    check("before", 0);
}

#[test]
fn death_after_the_commit_leaves_everything_once() {
    check("after", 1);
}
