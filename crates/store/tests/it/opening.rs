use lw_store::testing::{TestDirectory, both_urls};
use lw_store::{
    DATABASE_NEWER, METADATA_CORRUPT, METADATA_UNREACHABLE, METADATA_UNWRITABLE, MIGRATION_CHANGED, MetadataUrl, Store,
    WORKSPACE_IN_USE,
};

use crate::{ctx, intrude, set_alias};

#[test]
fn what_was_written_is_there_after_reopening() {
    both_urls(|url| async move {
        let store = Store::open(&url).unwrap();
        store.write(&ctx(), |tx| tx.record(set_alias("m", "champion", 1))).await.unwrap();
        drop(store);
        let store = Store::open(&url).unwrap();
        let verification = store.verify().await.unwrap();
        assert_eq!((verification.n_entries, verification.is_sound()), (1, true));
    });
}

#[test]
fn a_workspace_belongs_to_one_process() {
    let directory = TestDirectory::make();
    let url = MetadataUrl::sqlite(directory.path().join("metadata.db"));
    let store = Store::open(&url).unwrap();
    let error = Store::open(&url).unwrap_err();
    assert!(error.is(WORKSPACE_IN_USE), "{error:?}");
    assert!(error.message().contains(&format!("process {}", std::process::id())), "{error}");
    drop(store);
    Store::open(&url).unwrap();
}

#[test]
fn a_newer_or_altered_schema_is_refused_and_left_alone() {
    both_urls(|url| async move {
        let store = Store::open(&url).unwrap();
        let newer = "INSERT INTO schema_migration (id, name, checksum) VALUES (9999, '9999_future', 'x')";
        store.write(&ctx(), |tx| tx.execute(newer, &[])).await.unwrap();
        let is_sqlite = url.to_string().starts_with("sqlite");
        let spare = (!is_sqlite).then(|| store.clone());
        drop(store);
        let error = Store::open(&url).unwrap_err();
        assert!(error.is(DATABASE_NEWER), "{error:?}");
        assert!(error.message().contains("9999_future"));
        // On PostgreSQL the open store still works, and takes the strange migration away.
        if let Some(store) = spare {
            store.write(&ctx(), |tx| tx.execute("DELETE FROM schema_migration WHERE id = 9999", &[])).await.unwrap();
            store.write(&ctx(), |tx| tx.execute("UPDATE schema_migration SET checksum = 'x' WHERE id = 1", &[])).await.unwrap();
            assert!(Store::open(&url).unwrap_err().is(MIGRATION_CHANGED));
        }
    });
}

#[test]
fn what_is_no_database_is_refused() {
    let directory = TestDirectory::make();
    let path = directory.path().join("metadata.db");
    std::fs::write(&path, "this is not a database, it is a text that is long enough to be read as a header ".repeat(20)).unwrap();
    let error = Store::open(&MetadataUrl::sqlite(&path)).unwrap_err();
    assert!(error.is(METADATA_CORRUPT), "{error:?}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is not"));
    let error = Store::open(&MetadataUrl::sqlite("/proc/no/metadata.db")).unwrap_err();
    assert!(error.is(METADATA_UNWRITABLE), "{error:?}");
}

#[tokio::test]
async fn an_unreachable_server_says_which_one_without_its_password() {
    let url = MetadataUrl::parse("postgres://ana:hunter2@127.0.0.1:1/loop").unwrap();
    let error = Store::open(&url).unwrap_err();
    assert!(error.is(METADATA_UNREACHABLE));
    assert!(error.message().contains("postgres://ana@127.0.0.1:1/loop"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn a_lost_connection_is_made_again() {
    both_urls(|url| async move {
        if url.to_string().starts_with("sqlite") {
            return;
        }
        let store = Store::open(&url).unwrap();
        let pid = |row: Option<lw_store::Row>| row.unwrap().int("pid");
        let sql = "SELECT pg_backend_pid() AS pid";
        let writer = store.write(&ctx(), move |tx| pid(tx.query_opt(sql, &[])?)).await.unwrap();
        let readers = (0..20).map(|_| store.read(move |reader| pid(reader.query_opt(sql, &[])?)));
        let mut pids = futures::future::try_join_all(readers).await.unwrap();
        pids.push(writer);
        for pid in pids {
            intrude(&url, &format!("SELECT pg_terminate_backend({pid})"));
        }
        // The server may take a moment to close them: what comes in between is told that the database is away, and no more.
        let mut n_refused = 0;
        while let Err(error) = store.write(&ctx(), |tx| tx.record(set_alias("m", "champion", 1))).await {
            assert!(error.is(METADATA_UNREACHABLE), "{error:?}");
            n_refused += 1;
            assert!(n_refused < 100);
        }
        while let Err(error) = store.verify().await {
            assert!(error.is(METADATA_UNREACHABLE), "{error:?}");
            n_refused += 1;
            assert!(n_refused < 100);
        }
        let verification = store.verify().await.unwrap();
        assert!(verification.is_sound() && verification.n_entries == 1, "{verification:?}");
    });
}
