//! The schema of the metadata database, one file a stage, and how a database is brought up to it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use lw_core::{Digest, Error, Result, Scalar};

use crate::connection::{Connection, Dialect};
use crate::{DATABASE_NEWER, MIGRATION_CHANGED};

pub(crate) struct Migration {
    pub id: i64,
    pub name: &'static str,
    pub sql: &'static str,
}

macro_rules! embed {
    ($($id:literal $name:literal,)*) => {
        /// In the order in which they are applied. A migration that has been released never changes.
        pub(crate) const MIGRATIONS: &[Migration] = &[
            $(Migration { id: $id, name: $name, sql: include_str!(concat!("../migrations/", $name, ".sql")) },)*
        ];
    };
}

embed! {
    1 "0001_ledger",
    10 "0010_data",
    12 "0012_contract",
    20 "0020_features",
    30 "0030_tracking",
    32 "0032_purged_run",
    35 "0035_artifacts",
    37 "0037_traces",
    40 "0040_training",
    60 "0060_registry",
    70 "0070_serving",
    80 "0080_monitoring",
    90 "0090_pipelines",
    100 "0100_governance",
    110 "0110_project",
    120 "0120_metric_by_key",
}

/// The governed tables with the columns of their primary keys. They change through `Tx::record` alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Governed(BTreeMap<&'static str, Vec<String>>);

impl Governed {
    pub(crate) fn key_of(&self, table: &str) -> Option<&[String]> {
        self.0.get(table).map(Vec::as_slice)
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.0.iter().map(|(table, key)| (*table, key.as_slice()))
    }

    fn read(connection: &mut dyn Connection, migrations: &[Migration]) -> Result<Self> {
        let mut governed = BTreeMap::new();
        for table in migrations.iter().flat_map(governed_tables) {
            let key = primary_key(connection, table)?;
            if key.is_empty() {
                return Err(Error::bug(format!("the governed table `{table}` has no primary key, or no migration creates it")));
            }
            governed.insert(table, key);
        }
        Ok(Self(governed))
    }
}

/// The tables that a migration lists in its comment `-- governed: a, b`.
fn governed_tables(migration: &Migration) -> impl Iterator<Item = &'static str> + use<> {
    let lists = migration.sql.lines().filter_map(|line| line.strip_prefix("-- governed:"));
    lists.flat_map(|list| list.split(',')).map(str::trim).filter(|table| !table.is_empty())
}

fn primary_key(connection: &mut dyn Connection, table: &str) -> Result<Vec<String>> {
    let sql = match connection.dialect() {
        Dialect::Sqlite => "SELECT name FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk",
        Dialect::Postgres => {
            "SELECT a.attname AS name FROM pg_index i \
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) \
             WHERE i.indisprimary AND i.indrelid = to_regclass($1) ORDER BY array_position(i.indkey::int2[], a.attnum)"
        }
    };
    connection.query(sql, &[table.into()])?.iter().map(|row| row.text("name")).collect()
}

/// Applies what is missing, in one transaction. A database that a newer version has written is left alone.
pub(crate) fn migrate(connection: &mut dyn Connection, migrations: &[Migration]) -> Result<Governed> {
    match connection.dialect() {
        Dialect::Sqlite => connection.batch("BEGIN IMMEDIATE")?,
        // Two servers that start together take turns.
        Dialect::Postgres => connection.batch("BEGIN; SELECT pg_advisory_xact_lock(7210459)")?,
    }
    let migrated = apply(connection, migrations);
    connection.batch(if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    migrated
}

fn apply(connection: &mut dyn Connection, migrations: &[Migration]) -> Result<Governed> {
    connection.batch(
        "CREATE TABLE IF NOT EXISTS schema_migration (id BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)",
    )?;
    let applied = connection.query("SELECT id, name, checksum FROM schema_migration ORDER BY id", &[])?;
    let applied = applied
        .iter()
        .map(|row| Ok((row.int("id")?, (row.text("name")?, row.text("checksum")?))))
        .collect::<Result<BTreeMap<_, _>>>()?;
    if let Some((_, (name, _))) = applied.iter().find(|(id, _)| !migrations.iter().any(|known| known.id == **id)) {
        return Err(DATABASE_NEWER
            .error(format!("a newer version of Loopwright has written this metadata database: `{name}` is unknown here"))
            .hint("use that version or a later one, or restore the backup from before the upgrade"));
    }
    for migration in migrations.iter().filter(|migration| has_statements(migration.sql)) {
        let checksum = Digest::of(migration.sql.as_bytes()).to_string();
        match applied.get(&migration.id) {
            Some((_, recorded)) if *recorded == checksum => {}
            Some(_) => return Err(changed(migration.name)),
            None => {
                connection
                    .batch(&for_dialect(migration.sql, connection.dialect()))
                    .map_err(|error| error.context(format!("migration {}", migration.name)))?;
                connection.execute(
                    "INSERT INTO schema_migration (id, name, checksum) VALUES ($1, $2, $3)",
                    &[migration.id.into(), migration.name.into(), checksum.into()],
                )?;
            }
        }
    }
    let first = Digest::of(b"").to_string();
    connection.execute(
        "INSERT INTO ledger_head (id, seq, hash) VALUES (1, 0, $1) ON CONFLICT (id) DO NOTHING",
        &[Scalar::Text(first)],
    )?;
    if connection.dialect() == Dialect::Postgres {
        order_texts_by_bytes(connection, migrations)?;
    }
    Governed::read(connection, migrations)
}

/// Gives the texts of all tables the order of their bytes, which is the only one that SQLite has: PostgreSQL orders and compares them
/// by the language that the database was made for unless a column says otherwise. A database that does so by itself is left alone.
fn order_texts_by_bytes(connection: &mut dyn Connection, migrations: &[Migration]) -> Result<()> {
    let tables: BTreeSet<&str> = migrations.iter().flat_map(created_tables).collect();
    let columns = connection.query(
        "SELECT c.relname AS table_name, a.attname AS column_name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
         JOIN pg_collation o ON o.oid = a.attcollation JOIN pg_database d ON d.datname = current_database() \
         WHERE c.relkind = 'r' AND pg_table_is_visible(c.oid) AND a.attnum > 0 AND NOT a.attisdropped \
         AND a.atttypid = 'text'::regtype AND o.collname <> 'C' \
         AND NOT (o.collname = 'default' AND d.datlocprovider = 'c' AND d.datcollate IN ('C', 'POSIX')) ORDER BY 1, 2",
        &[],
    )?;
    let mut changes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for column in columns {
        let (table, name) = (column.text("table_name")?, column.text("column_name")?);
        if tables.contains(table.as_str()) {
            changes.entry(table).or_default().push(format!("ALTER COLUMN {name} TYPE TEXT COLLATE \"C\""));
        }
    }
    for (table, columns) in changes {
        connection.batch(&format!("ALTER TABLE {table} {}", columns.join(", ")))?;
    }
    Ok(())
}

fn created_tables(migration: &Migration) -> impl Iterator<Item = &'static str> + use<> {
    let created = migration.sql.lines().filter_map(|line| line.trim_start().strip_prefix("CREATE TABLE "));
    created.filter_map(|rest| rest.split([' ', '(']).next())
}

/// What stands in `/* sqlite: … */` or `/* postgresql: … */` is for that database alone; the other takes it for the comment that it is.
fn for_dialect(sql: &str, dialect: Dialect) -> Cow<'_, str> {
    let mark = match dialect {
        Dialect::Sqlite => "/* sqlite: ",
        Dialect::Postgres => "/* postgresql: ",
    };
    if !sql.contains(mark) {
        return Cow::Borrowed(sql);
    }
    let mut parts = sql.split(mark);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (marked, rest) = part.split_once("*/").unwrap_or((part, ""));
        text.push_str(marked);
        text.push_str(rest);
    }
    Cow::Owned(text)
}

fn changed(name: &str) -> Error {
    MIGRATION_CHANGED
        .error(format!("migration `{name}` is not the one that this metadata database was made with"))
        .hint("a development build changed it: make a new workspace, or use the version that made this one")
}

fn has_statements(sql: &str) -> bool {
    sql.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with("--"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Sqlite;
    use crate::testing::TestDirectory;

    const FIRST: Migration = Migration {
        id: 2,
        name: "0002_thing",
        sql: "-- governed: thing\nCREATE TABLE thing (name TEXT PRIMARY KEY, size BIGINT NOT NULL);",
    };
    const WIDER: Migration = Migration { id: 3, name: "0003_colour", sql: "ALTER TABLE thing ADD COLUMN colour TEXT;" };
    const BROKEN: Migration = Migration {
        id: 4,
        name: "0004_broken",
        sql: "ALTER TABLE thing ADD COLUMN weight BIGINT; INSERT INTO nowhere VALUES (1);",
    };

    fn ledger() -> Migration {
        let Migration { id, name, sql } = &MIGRATIONS[0];
        Migration { id: *id, name, sql }
    }

    #[test]
    fn an_upgrade_keeps_every_row_and_a_failed_one_changes_nothing() {
        let directory = TestDirectory::make();
        let open = || Sqlite::open_writer(&directory.path().join("metadata.db")).unwrap();
        let mut old = open();
        let governed = migrate(&mut old, &[ledger(), FIRST]).unwrap();
        assert_eq!(governed.key_of("thing").unwrap(), ["name"]);
        old.execute("INSERT INTO thing (name, size) VALUES ($1, $2)", &["lamp".into(), 3_i64.into()]).unwrap();
        let things = |connection: &mut Sqlite| connection.query("SELECT * FROM thing", &[]).unwrap();
        let before = things(&mut old)[0].to_json();
        drop(old);

        let failed = migrate(&mut open(), &[ledger(), FIRST, WIDER, BROKEN]).unwrap_err();
        assert!(format!("{failed:?}").contains("0004_broken"), "{failed:?}");
        assert_eq!(things(&mut open()).len(), 1);
        assert!(things(&mut open())[0].get("colour").is_err(), "the step before the broken one was taken back, too");

        let mut new = open();
        migrate(&mut new, &[ledger(), FIRST, WIDER]).unwrap();
        migrate(&mut new, &[ledger(), FIRST, WIDER]).unwrap();
        assert_eq!(things(&mut new)[0].opt_text("colour").unwrap(), None);
        assert_eq!(things(&mut new)[0].to_json(), before, "a column that came later leaves the digests of old rows as they were");

        let refused = migrate(&mut open(), &[ledger(), FIRST]).unwrap_err();
        assert!(refused.is(DATABASE_NEWER), "the version before does not touch what the upgrade made: {refused:?}");
    }

    #[test]
    fn marked_words_are_for_one_database_alone() {
        let sql = "CREATE TABLE a (b TEXT PRIMARY KEY) /* sqlite: WITHOUT ROWID */;\n-- c";
        assert_eq!(for_dialect(sql, Dialect::Postgres), sql);
        assert_eq!(for_dialect(sql, Dialect::Sqlite), "CREATE TABLE a (b TEXT PRIMARY KEY) WITHOUT ROWID ;\n-- c");
        let sql = "/* postgresql: CREATE INDEX d ON a (b); */";
        assert_eq!(for_dialect(sql, Dialect::Sqlite), sql);
        assert_eq!(for_dialect(sql, Dialect::Postgres), "CREATE INDEX d ON a (b); ");
    }
}
