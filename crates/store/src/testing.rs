//! For tests: a store of their own on each database.

use std::future::Future;
use std::path::{Path, PathBuf};

use crate::{MetadataUrl, Store};

/// Names a running PostgreSQL for the tests, like `postgres://loopwright@127.0.0.1:5433/postgres`.
pub const POSTGRES_VARIABLE: &str = "LOOPWRIGHT_TEST_POSTGRES";

/// Runs a test on a fresh SQLite database and, if the environment names a PostgreSQL, on a fresh schema there.
///
/// # Panics
/// If the databases cannot be made, or the test panics.
pub fn both<F, Fut>(test: F)
where
    F: Fn(Store) -> Fut,
    Fut: Future<Output = ()>,
{
    both_urls(|url| test(Store::open(&url).expect("the test's database opens")));
}

/// [`both`] for tests that open the database themselves, perhaps more than once.
///
/// # Panics
/// If the databases cannot be made, or the test panics.
pub fn both_urls<F, Fut>(test: F)
where
    F: Fn(MetadataUrl) -> Fut,
    Fut: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let directory = TestDirectory::make();
    runtime.block_on(test(MetadataUrl::sqlite(directory.path().join("metadata.db"))));
    if let Ok(server) = std::env::var(POSTGRES_VARIABLE) {
        let schema = Schema::make(&server);
        runtime.block_on(test(schema.url()));
    }
}

/// Runs a test on fresh PostgreSQL databases that order texts as English and as Swedish readers do, if the environment names a server.
///
/// # Panics
/// If the databases cannot be made, or the test panics.
pub fn in_languages<F, Fut>(test: F)
where
    F: Fn(MetadataUrl) -> Fut,
    Fut: Future<Output = ()>,
{
    let Ok(server) = std::env::var(POSTGRES_VARIABLE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    for language in ["en-US", "sv-SE"] {
        let database = Database::make(&server, language);
        runtime.block_on(test(database.url()));
    }
}

/// A directory that goes when the test ends.
#[derive(Debug)]
pub struct TestDirectory(PathBuf);

impl TestDirectory {
    /// # Panics
    /// If the directory for temporary files is not writable.
    pub fn make() -> Self {
        let path = std::env::temp_dir().join(unique());
        std::fs::create_dir_all(&path).expect("the directory for temporary files is writable");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TestDirectory {
    fn drop(&mut self) {
        // What is left in the directory for temporary files harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Schema {
    server: String,
    name: String,
}

impl Schema {
    fn make(server: &str) -> Self {
        let schema = Self { server: server.to_owned(), name: unique() };
        schema.run(format!("CREATE SCHEMA {}", schema.name));
        schema
    }

    fn url(&self) -> MetadataUrl {
        let separator = if self.server.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}options=-csearch_path%3D{}", self.server, self.name);
        MetadataUrl::parse(&url).expect("the address of the test's PostgreSQL is well formed")
    }

    fn run(&self, sql: String) {
        run(&self.server, sql);
    }
}

/// On a thread of its own: the driver brings its own runtime.
fn run(server: &str, sql: String) {
    let server = server.to_owned();
    let run = move || postgres::Client::connect(&server, postgres::NoTls).and_then(|mut client| client.batch_execute(&sql));
    let done = std::thread::spawn(run).join().expect("the driver does not panic");
    done.expect("the test's PostgreSQL makes and drops schemas and databases");
}

/// A database that orders texts by the rules of a language.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn make(server: &str, language: &str) -> Self {
        let name = unique();
        run(
            server,
            format!(
                "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE '{language}' LOCALE 'C'"
            ),
        );
        Self { server: server.to_owned(), name }
    }

    fn url(&self) -> MetadataUrl {
        let (server, options) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (host, _) = server.rsplit_once('/').expect("the address of the test's PostgreSQL names a database");
        let url = format!("{host}/{}?{options}", self.name);
        MetadataUrl::parse(url.trim_end_matches('?')).expect("the address of the test's PostgreSQL is well formed")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            run(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.run(format!("DROP SCHEMA {} CASCADE", self.name));
        }
    }
}

/// A name that no other test of this machine has.
fn unique() -> String {
    format!("loopwright_test_{}", lw_core::IdSource::next_hex(&lw_core::RandomIds))
}
