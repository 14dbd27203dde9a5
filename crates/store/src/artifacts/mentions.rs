//! Finding which artifacts the metadata mentions.
//!
//! Losing an artifact that somebody needs is worse than keeping a hundred that nobody does. So nothing here knows which column holds
//! the digest of an artifact: every text of every table is searched for anything that looks like a digest. A table that is added
//! later is searched from its first day.

use std::collections::HashSet;

use lw_core::{Digest, Result, Scalar};

use crate::connection::Dialect;
use crate::{Reader, Store};

const DIGITS: usize = 64;
const PAGE_ROWS: u64 = 2_000;

/// Tables without any digest, too large to be read for nothing.
const UNREAD_TABLES: &[&str] = &["run_metric", "run_latest_metric", "schema_migration", "ledger_head"];
/// Digests of entries and rows, not of artifacts.
const UNREAD_COLUMNS: &[(&str, &str)] = &[("ledger", "hash"), ("ledger", "previous"), ("ledger", "row_images")];

/// The digests in a text: whatever has 64 hexadecimal digits, with `sha256:` before them or not.
pub(super) fn mentions(text: &[u8]) -> impl Iterator<Item = Digest> + '_ {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    text.split(move |byte| !is_digit(byte)).filter(|run| run.len() == DIGITS).filter_map(|digits| {
        let digits = std::str::from_utf8(digits).ok()?;
        Digest::parse(&format!("sha256:{digits}")).ok()
    })
}

impl Store {
    /// Those of the candidates that any text of the metadata mentions, the ledger included.
    pub(crate) async fn mentioned(&self, candidates: HashSet<Digest>) -> Result<Vec<Digest>> {
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |reader| {
            let (mut candidates, mut found) = (candidates, Vec::new());
            for table in tables(reader)? {
                search(reader, &table, &mut |text| {
                    found.extend(mentions(text.as_bytes()).filter(|digest| candidates.remove(digest)));
                })?;
            }
            Ok(found)
        })
        .await
    }
}

/// A table with its text columns and those of its primary key.
struct Table {
    name: String,
    texts: Vec<String>,
    key: Vec<String>,
}

fn tables(reader: &mut Reader<'_>) -> Result<Vec<Table>> {
    let names = match reader.dialect() {
        Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
        Dialect::Postgres => {
            "SELECT table_name AS name FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
        }
    };
    let names = reader.query(names, &[])?.iter().map(|row| row.text("name")).collect::<Result<Vec<_>>>()?;
    let read = names.into_iter().filter(|name| !UNREAD_TABLES.contains(&name.as_str()));
    read.map(|name| table(reader, name)).collect()
}

fn table(reader: &mut Reader<'_>, name: String) -> Result<Table> {
    let columns = match reader.dialect() {
        Dialect::Sqlite => "SELECT name, type, pk AS position FROM pragma_table_info($1)",
        Dialect::Postgres => {
            "SELECT c.column_name::text AS name, c.data_type::text AS type, COALESCE(k.ordinal_position, 0)::bigint AS position \
             FROM information_schema.columns c LEFT JOIN information_schema.table_constraints t \
             ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.constraint_type = 'PRIMARY KEY' \
             LEFT JOIN information_schema.key_column_usage k ON k.constraint_schema = t.constraint_schema \
             AND k.constraint_name = t.constraint_name AND k.table_name = c.table_name AND k.column_name = c.column_name \
             WHERE c.table_schema = current_schema() AND c.table_name = $1"
        }
    };
    let (mut texts, mut key) = (Vec::new(), Vec::new());
    for row in reader.query(columns, &[name.as_str().into()])? {
        let (column, kind, position) = (row.text("name")?, row.text("type")?.to_ascii_lowercase(), row.int("position")?);
        if position > 0 {
            key.push((position, column.clone()));
        }
        let is_text = ["text", "char", "json", "clob"].iter().any(|text| kind.contains(text)) || kind.is_empty();
        if is_text && !UNREAD_COLUMNS.contains(&(name.as_str(), column.as_str())) {
            texts.push(column);
        }
    }
    key.sort_unstable();
    Ok(Table { name, texts, key: key.into_iter().map(|(_, column)| column).collect() })
}

/// Hands over every text of a table that is long enough for a digest.
fn search(reader: &mut Reader<'_>, table: &Table, found: &mut impl FnMut(&str)) -> Result<()> {
    if table.texts.is_empty() {
        return Ok(());
    }
    let mut after: Vec<Scalar> = Vec::new();
    loop {
        let rows = reader.query(&page(table, !after.is_empty()), &after)?;
        for row in &rows {
            for column in &table.texts {
                if let Some(text) = row.opt_text(column)? {
                    found(&text);
                }
            }
        }
        // A table without a key came whole.
        let Some(last) = rows.last().filter(|_| rows.len() as u64 == PAGE_ROWS && !table.key.is_empty()) else { return Ok(()) };
        after = table.key.iter().map(|column| last.get(column).cloned()).collect::<Result<_>>()?;
    }
}

fn page(table: &Table, is_continued: bool) -> String {
    let quoted = |columns: &[String]| columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>();
    let (texts, key) = (quoted(&table.texts), quoted(&table.key));
    let mut columns = texts.clone();
    columns.extend(key.iter().filter(|column| !texts.contains(column)).cloned());
    let long = texts.iter().map(|column| format!("LENGTH({column}) >= {DIGITS}")).collect::<Vec<_>>().join(" OR ");
    let mut sql = format!("SELECT {} FROM \"{}\" WHERE ({long})", columns.join(", "), table.name);
    if key.is_empty() {
        return sql;
    }
    if is_continued {
        let places: Vec<String> = (1..=key.len()).map(|number| format!("${number}")).collect();
        sql += &format!(" AND ({}) > ({})", key.join(", "), places.join(", "));
    }
    sql + &format!(" ORDER BY {} LIMIT {PAGE_ROWS}", key.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_in_any_dress() {
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        let check = |text: String, want: &[Digest]| assert_eq!(mentions(text.as_bytes()).collect::<Vec<_>>(), want, "{text}");
        check(format!(r#"{{"a": "{one}", "b": ["{two}"]}}"#), &[one, two]);
        check(one.to_string(), &[one]);
        check(one.hex(), &[one]);
        check(format!("artifacts/{}.bin", one.hex()), &[one]);
        check(format!("{}0", one.hex()), &[]);
        check("sha256:12".to_owned(), &[]);
        check(String::new(), &[]);
    }
}
