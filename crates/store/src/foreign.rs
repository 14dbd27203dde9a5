//! Reading SQLite files that other programs made.

use std::path::Path;

use lw_core::{Result, Scalar};

use crate::connection::Connection;
use crate::sqlite::Sqlite;
use crate::{FOREIGN_DATABASE, METADATA_BUSY, Row};

/// A SQLite database of another program, open for reading. Nothing is written to it or beside it; the program may go on with it.
///
/// ```no_run
/// let mut database = lw_store::ForeignSqlite::open("mlflow.db".as_ref()).unwrap();
/// for row in database.query("SELECT name FROM experiments WHERE experiment_id = $1", &[1_i64.into()]).unwrap() {
///     println!("{}", row.text("name").unwrap());
/// }
/// ```
pub struct ForeignSqlite(Sqlite);

impl std::fmt::Debug for ForeignSqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ForeignSqlite")
    }
}

impl ForeignSqlite {
    /// # Errors
    /// `foreign-database` if there is no such file or it is not a SQLite database.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |cause: lw_core::Error| {
            let error = FOREIGN_DATABASE.error(format!("`{}` is not a SQLite database that can be read", path.display()));
            error.hint("name the file itself, like sqlite:///home/ana/mlflow.db, and check that you may read it").cause(cause)
        };
        if !path.is_file() {
            let error = FOREIGN_DATABASE.error(format!("there is no file `{}`", path.display()));
            return Err(error.hint("a path after sqlite:/// is relative; write sqlite:////var/… for an absolute one"));
        }
        let mut database = Self(Sqlite::open_reader(path).map_err(unreadable)?);
        // A file in WAL mode without its companions cannot be opened for reading in a folder that is not writable.
        if database.tables().is_err() {
            database = Self(Sqlite::open_immutable(path).map_err(unreadable)?);
        }
        database.tables().map_err(unreadable)?;
        Ok(database)
    }

    /// Runs a statement that reads. Parameters stand as `$1`, `$2`, ….
    ///
    /// # Errors
    /// `foreign-database` with what SQLite said; `metadata-busy` while the other program holds the file for itself.
    pub fn query(&mut self, sql: &str, parameters: &[Scalar]) -> Result<Vec<Row>> {
        self.0.query(sql, parameters).map_err(|error| {
            if error.is(METADATA_BUSY) {
                return error;
            }
            FOREIGN_DATABASE.error("the database cannot be read").hint("is it damaged, or made by a newer program?").cause(error)
        })
    }

    /// The names of the tables, in order.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub fn tables(&mut self) -> Result<Vec<String>> {
        let rows = self.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", &[])?;
        rows.iter().map(|row| row.text("name")).collect()
    }

    /// The names of a table's columns; none if there is no such table.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub fn columns(&mut self, table: &str) -> Result<Vec<String>> {
        let rows = self.query("SELECT name FROM pragma_table_info($1)", &[table.into()])?;
        rows.iter().map(|row| row.text("name")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDirectory;

    fn made(name: &str, journal: &str) -> (TestDirectory, std::path::PathBuf) {
        let directory = TestDirectory::make();
        let path = directory.path().join(name);
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", journal).unwrap();
        let sql = "CREATE TABLE thing (id INTEGER, name TEXT, share REAL, is_new BOOLEAN); \
                   INSERT INTO thing VALUES (1, 'a', 0.5, 0), (2, NULL, NULL, 1)";
        connection.execute_batch(sql).unwrap();
        (directory, path)
    }

    #[test]
    fn a_database_is_read_and_not_written() {
        for journal in ["DELETE", "WAL"] {
            let (_directory, path) = made("other.db", journal);
            let mut database = ForeignSqlite::open(&path).unwrap();
            assert_eq!(database.tables().unwrap(), ["thing"]);
            assert_eq!(database.columns("thing").unwrap(), ["id", "name", "share", "is_new"]);
            assert!(database.columns("nothing").unwrap().is_empty());
            let rows = database.query("SELECT * FROM thing WHERE id >= $1 ORDER BY id", &[1_i64.into()]).unwrap();
            assert_eq!((rows[0].text("name").unwrap(), rows[0].float("share").unwrap()), ("a".to_owned(), 0.5));
            assert_eq!((rows[1].opt_text("name").unwrap(), rows[1].bool("is_new").unwrap()), (None, true));
            assert!(database.query("DELETE FROM thing", &[]).unwrap_err().is(FOREIGN_DATABASE));
        }
    }

    #[test]
    fn what_is_no_database_is_told() {
        let directory = TestDirectory::make();
        let path = directory.path().join("text.db");
        std::fs::write(
            &path,
            "This is a text that is long enough to be taken for the head of a database by mistake. ".repeat(20),
        )
        .unwrap();
        assert!(ForeignSqlite::open(&path).unwrap_err().is(FOREIGN_DATABASE));
        assert!(ForeignSqlite::open(&directory.path().join("missing.db")).unwrap_err().is(FOREIGN_DATABASE));
        assert!(ForeignSqlite::open(directory.path()).unwrap_err().is(FOREIGN_DATABASE));
    }
}
