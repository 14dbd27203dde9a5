//! `kill -9` at random moments: finished steps are never repeated, and the run comes to its end.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lw_core::Result;
use lw_pipelines::*;
use lw_store::testing::TestDirectory;
use lw_store::{MetadataUrl, Store};
use serde_json::{Value, json};

use crate::runner::*;

const FOLDER: &str = "LOOPWRIGHT_TEST_CRASH_FOLDER";
const N_CHAINS: usize = 4;
const N_LINKS: usize = 15;
const N_KILLS: usize = 20;

/// Appends to a file when a step begins. The engine, not the file, says which steps have finished.
struct Witness(std::path::PathBuf);

#[async_trait]
impl StepRunner for Witness {
    async fn run(&self, context: StepContext) -> Result<StepOutput> {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.0).expect("the file opens");
        let line = format!("{} {}\n", context.step, context.fence);
        file.write_all(line.as_bytes()).expect("the file is written");
        tokio::time::sleep(Duration::from_millis(8)).await;
        let length: u64 = context.upstream.values().filter_map(|manifest| manifest.outputs.as_u64()).sum();
        Ok(StepOutput::done(json!(length + 1)))
    }
}

fn chains() -> PipelineDefinition {
    let mut steps = Vec::new();
    for chain in 0..N_CHAINS {
        for link in 0..N_LINKS {
            let need = (link > 0).then(|| format!("c{chain}.{}", link - 1));
            let needs: Vec<&str> = need.as_deref().into_iter().collect();
            steps.push(step(&format!("c{chain}.{link}"), "witness", Value::Null, &needs));
        }
    }
    pipeline("crashing", steps)
}

fn open(folder: &Path) -> Store {
    Store::open(&MetadataUrl::sqlite(folder.join("metadata.db"))).unwrap()
}

fn request() -> Start {
    Start { dedupe_key: Some("the-one".into()), ..Start::by_hand() }
}

/// The process that is killed: this test binary again, with the folder in its environment.
#[test]
fn victim() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let ctx = ctx();
        let pipelines = Pipelines::new(open(folder));
        pipelines.start_definition(&ctx, chains(), request()).await.unwrap();
        let worker = Worker::new(&ctx, pipelines, Arc::new(Witness(folder.join("witness"))), WorkerOptions::new("victim", 4));
        worker.drain(&ctx).await.unwrap();
    });
}

fn spawn_victim(folder: &Path) -> Child {
    let binary = std::env::current_exe().unwrap();
    let arguments = ["--exact", "crash::victim", "--test-threads=1"];
    let (out, err) = (Stdio::null(), Stdio::null());
    Command::new(binary).args(arguments).env(FOLDER, folder).stdout(out).stderr(err).spawn().unwrap()
}

/// How often each step has begun, by the witness file; and which steps have finished, by the database.
fn begun(folder: &Path) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(folder.join("witness")).unwrap_or_default();
    let mut begun = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.split_once(' ')) {
        *begun.entry(line.0.to_owned()).or_default() += 1;
    }
    begun
}

fn finished(folder: &Path) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(folder);
        let verification = store.verify().await.unwrap();
        assert!(verification.is_sound(), "{verification:?}");
        let pipelines = Pipelines::new(store);
        let runs = pipelines.runs(None, lw_core::Timestamp::parse("2999-01-01").unwrap(), 10).await.unwrap();
        assert!(runs.len() <= 1, "a crash doubled the run: {runs:?}");
        let Some(run) = runs.first() else { return Vec::new() };
        let view = pipelines.run(&run.run).await.unwrap();
        view.steps.into_iter().filter(|step| step.state == "succeeded").map(|step| step.key).collect()
    })
}

#[test]
fn kill_9_repeats_no_finished_step_and_loses_none() {
    if std::env::var_os(FOLDER).is_some() {
        return;
    }
    let directory = TestDirectory::make();
    let folder = directory.path();
    let mut before: Option<(Vec<String>, BTreeMap<String, usize>)> = None;
    let mut n_killed_at_work = 0;
    for n_kill in 0..N_KILLS {
        let mut victim = spawn_victim(folder);
        // Different moments of start, work and commit; the pseudo-random walk (Knuth, 1997) makes a failure repeatable.
        let wait_ms = 40 + (n_kill as u64 * 2_654_435_761 % 97);
        std::thread::sleep(Duration::from_millis(wait_ms));
        victim.kill().unwrap();
        victim.wait().unwrap();

        let (done, begun) = (finished(folder), begun(folder));
        if let Some((done_before, begun_before)) = &before {
            for step in done_before {
                assert!(done.contains(step), "kill {n_kill}: the finished step {step} is lost");
                assert_eq!(begun[step], begun_before[step], "kill {n_kill}: the finished step {step} ran again");
            }
        }
        n_killed_at_work += usize::from(!begun.is_empty() && done.len() < N_CHAINS * N_LINKS);
        before = Some((done, begun));
    }
    assert!(n_killed_at_work >= 3, "only {n_killed_at_work} kills hit the work; before: {before:?}");

    let status = spawn_victim(folder).wait().unwrap();
    assert!(status.success());
    assert_eq!(finished(folder).len(), N_CHAINS * N_LINKS);
    let begun = begun(folder);
    assert_eq!(begun.len(), N_CHAINS * N_LINKS);
    let n_repeats: usize = begun.values().map(|n| n - 1).sum();
    assert!(n_repeats <= 4 * N_KILLS, "each kill may cut off the four steps that ran: {n_repeats} were repeated");
}
