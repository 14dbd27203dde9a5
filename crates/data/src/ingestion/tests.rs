//! An ingestion that is cut off between any two steps leaves nothing undone and nothing done twice.

use std::path::Path;
use std::sync::Arc;

use lw_core::{Actor, Ctx, RandomIds, SimulatedClock, Timestamp};
use lw_engine::{Binding, Engine, EngineOptions};
use lw_store::testing::{TestDirectory, both_urls};
use lw_store::{Artifacts, MetadataUrl, Store};

use super::batch::{Prepared, data_table, prepare, quarantine_table};
use super::commit::{Step, carry_out};
use super::*;

const SOURCE: &str = "
source: orders
files: orders/*.csv
format: csv
columns:
  id: {type: int64, required: true}
  amount: {type: float64, max: 100}
key: [id]
contract: {max_quarantined: 0.7}
";

fn ctx() -> Ctx {
    let clock = Arc::new(SimulatedClock::at(Timestamp::parse("2024-01-01").unwrap()));
    Ctx { clock, ids: Arc::new(RandomIds), actor: Actor::new("ana"), request_id: "test".into() }
}

/// Services as a process that has just started sees them.
fn services(workspace: &Path, url: &MetadataUrl) -> Services {
    std::fs::create_dir_all(workspace.join("tables")).unwrap();
    let store = Store::open(url).unwrap();
    let options = EngineOptions { tables_dir: workspace.join("tables"), memory_limit_bytes: 64 << 20, n_threads: 1 };
    let artifacts = Artifacts::open(&format!("file://{}", workspace.join("artifacts").display())).unwrap();
    Services::new(store, Engine::open(options).unwrap(), artifacts)
}

async fn prepared(ctx: &Ctx, services: &Services, definition: &SourceDefinition, project_dir: &Path) -> Prepared {
    let source = Arc::new(compiled(definition).unwrap());
    let source_version = register(ctx, &services.store, definition).await.unwrap();
    let known = queries::known_files(&services.store, &definition.name).await.unwrap();
    let landing = source.pattern.list(project_dir, ctx.now()).unwrap();
    let group = intake::groups(landing.landed, &known, project_dir).unwrap().remove(0);
    let read = intake::read(&source, group, &known, project_dir, ctx.now()).await.unwrap();
    prepare(ctx, services, &source, source_version, read).await.unwrap()
}

async fn count(services: &Services, table: &lw_engine::TableId) -> usize {
    let sql = format!("SELECT * FROM {}", table.sql_name());
    let rows = services.engine.query(&sql, vec![Binding::table(table, None)]).await.unwrap().collect().await.unwrap();
    rows.iter().map(|batch| batch.num_rows()).sum()
}

async fn check(url: MetadataUrl, n_steps: usize, has_recovered: bool) {
    let directory = TestDirectory::make();
    let (ctx, definition) = (ctx(), serde_saphyr::from_str::<SourceDefinition>(SOURCE).unwrap());
    let orders = directory.path().join("orders");
    std::fs::create_dir_all(&orders).unwrap();
    // An earlier batch, so that sequence numbers and versions differ.
    std::fs::write(orders.join("1.csv"), "id,amount\n1,5\n2,6\n").unwrap();
    ingest(&ctx, &services(directory.path(), &url), &definition, directory.path()).await.unwrap();

    std::fs::write(orders.join("2.csv"), "id,amount\n3,7\n2,8\n4,1000\n").unwrap();
    {
        let before = services(directory.path(), &url);
        let batch = prepared(&ctx, &before, &definition, directory.path()).await;
        carry_out(&ctx, &before, batch, &Step::ALL[..n_steps]).await.unwrap();
    }
    // Work goes on meanwhile: one more file has come when the process is up again.
    std::fs::write(orders.join("3.csv"), "id,amount\n5,9\n").unwrap();
    let after = services(directory.path(), &url);
    let report = ingest(&ctx, &after, &definition, directory.path()).await.unwrap();

    assert_eq!(report.has_recovered, has_recovered);
    assert_eq!(count(&after, &data_table(&definition.name)).await, 4);
    assert_eq!(count(&after, &quarantine_table(&definition.name)).await, 2);
    let versions = queries::table_versions(&after.store, &definition.name, None, 10).await.unwrap();
    let newest = versions.first().unwrap();
    assert_eq!(after.engine.current_version(&data_table(&definition.name)).await.unwrap(), Some(newest.version));
    assert_eq!(after.engine.table_digest(&data_table(&definition.name), newest.version).await.unwrap(), newest.digest);
    let mut files: Vec<_> = versions.iter().flat_map(|version| version.files.iter().map(|file| file.path.as_str())).collect();
    files.sort_unstable();
    assert_eq!(files, ["orders/1.csv", "orders/2.csv", "orders/3.csv"]);
    assert_eq!(versions.iter().map(|version| version.n_rows).sum::<u64>(), 4);
    assert!(after.store.verify().await.unwrap().is_sound());
    assert_eq!(queries::intent(&after.store, &definition.name).await.unwrap(), None);
    let again = ingest(&ctx, &after, &definition, directory.path()).await.unwrap();
    assert_eq!((again.commits.len(), again.n_unchanged_files), (0, 3));
}

#[test]
fn a_crash_before_the_append_forgets_the_batch() {
    both_urls(|url| check(url, 0, false));
    both_urls(|url| check(url, 1, false));
}

#[test]
fn a_crash_after_the_append_is_finished() {
    both_urls(|url| check(url, 2, true));
    both_urls(|url| check(url, 3, true));
}

#[test]
fn a_commit_without_a_crash_is_not_repeated() {
    both_urls(|url| check(url, 4, false));
}

async fn check_first(url: MetadataUrl, n_steps: usize) {
    let directory = TestDirectory::make();
    let (ctx, definition) = (ctx(), serde_saphyr::from_str::<SourceDefinition>(SOURCE).unwrap());
    std::fs::create_dir_all(directory.path().join("orders")).unwrap();
    std::fs::write(directory.path().join("orders/1.csv"), "id,amount\n1,5\n2,1000\n").unwrap();
    {
        let before = services(directory.path(), &url);
        let batch = prepared(&ctx, &before, &definition, directory.path()).await;
        carry_out(&ctx, &before, batch, &Step::ALL[..n_steps]).await.unwrap();
    }
    let after = services(directory.path(), &url);
    let report = ingest(&ctx, &after, &definition, directory.path()).await.unwrap();
    assert_eq!((report.n_rows(), report.n_quarantined()), (1, 1));
    assert_eq!(count(&after, &data_table(&definition.name)).await, 1);
    assert_eq!(count(&after, &quarantine_table(&definition.name)).await, 1);
}

#[test]
fn a_crash_before_the_first_version_ever_is_no_special_case() {
    (1..=3).for_each(|n_steps| both_urls(|url| check_first(url, n_steps)));
}

async fn check_turns(url: MetadataUrl) {
    let directory = TestDirectory::make();
    let (ctx, definition) = (ctx(), serde_saphyr::from_str::<SourceDefinition>(SOURCE).unwrap());
    std::fs::create_dir_all(directory.path().join("orders")).unwrap();
    std::fs::write(directory.path().join("orders/1.csv"), "id,amount\n1,5\n").unwrap();
    let shared = services(directory.path(), &url);
    let run = || ingest(&ctx, &shared, &definition, directory.path());
    let (one, two) = tokio::join!(run(), run());
    assert_eq!(one.unwrap().commits.len() + two.unwrap().commits.len(), 1);
    assert_eq!(count(&shared, &data_table(&definition.name)).await, 1);
}

#[test]
fn two_ingestions_at_once_take_turns() {
    both_urls(check_turns);
}

async fn check_conflict(url: MetadataUrl) {
    let directory = TestDirectory::make();
    let (ctx, definition) = (ctx(), serde_saphyr::from_str::<SourceDefinition>(SOURCE).unwrap());
    std::fs::create_dir_all(directory.path().join("orders")).unwrap();
    std::fs::write(directory.path().join("orders/1.csv"), "id,amount\n1,5\n").unwrap();
    let shared = services(directory.path(), &url);
    // A second server, which knows nothing of the turns of the first, has prepared the same batch.
    let late = prepared(&ctx, &shared, &definition, directory.path()).await;
    ingest(&ctx, &shared, &definition, directory.path()).await.unwrap();
    let error = carry_out(&ctx, &shared, late, &Step::ALL).await.unwrap_err();
    assert!(error.is(crate::failures::INGEST_CONFLICT), "{error:?}");
    assert_eq!(count(&shared, &data_table(&definition.name)).await, 1);
    // The intent that the late one left is out of date: the next ingestion clears it away.
    let report = ingest(&ctx, &shared, &definition, directory.path()).await.unwrap();
    assert!(report.commits.is_empty());
    assert!(shared.store.verify().await.unwrap().is_sound());
}

#[test]
fn a_second_server_cannot_write_a_batch_again() {
    both_urls(check_conflict);
}

/// Verdicts are kept on both databases: with a version, and of a batch that was refused, once for the same files and definition.
async fn check_verdicts(url: MetadataUrl) {
    let directory = TestDirectory::make();
    let usual = "{max_quarantined: 0.7, aggregates: [{name: usual, check: avg(amount) < 50, on_failure: reject}]}";
    let yaml = SOURCE.replace("{max_quarantined: 0.7}", usual);
    let (ctx, definition) = (ctx(), serde_saphyr::from_str::<SourceDefinition>(&yaml).unwrap());
    let services = services(directory.path(), &url);
    std::fs::create_dir_all(directory.path().join("orders")).unwrap();
    std::fs::write(directory.path().join("orders/1.csv"), "id,amount\n1,5\n2,1000\n").unwrap();
    let committed = ingest(&ctx, &services, &definition, directory.path()).await.unwrap().commits.remove(0);
    let kept = crate::verdicts(&services.store, &definition.name, committed.version).await.unwrap();
    let names: Vec<_> = kept.iter().map(|verdict| (verdict.rule.as_str(), verdict.n_broken)).collect();
    assert_eq!(names, [("usual", 0), ("id.type", 0), ("id.required", 0), ("amount.type", 0), ("amount.max", 1), ("key", 0)]);
    assert!(crate::verdicts(&services.store, &definition.name, 7).await.unwrap_err().is(crate::failures::TABLE_VERSION_UNKNOWN));

    std::fs::write(directory.path().join("orders/2.csv"), "id,amount\n3,90\n").unwrap();
    for _ in 0..2 {
        ingest(&ctx, &services, &definition, directory.path()).await.unwrap_err();
    }
    let refused = crate::refusals(&services.store, &definition.name, None, 10).await.unwrap();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].reason.contains("`usual` is broken: avg(amount) = 90.0"), "{refused:?}");
    assert_eq!((refused[0].verdicts.len(), refused[0].files[0].path.as_str()), (6, "orders/2.csv"));
    assert!(crate::refusals(&services.store, &definition.name, Some(refused[0].refused_at), 10).await.unwrap().is_empty());
    assert!(services.store.verify().await.unwrap().is_sound());
}

#[test]
fn verdicts_are_kept_of_accepted_and_of_refused_batches() {
    both_urls(check_verdicts);
}
