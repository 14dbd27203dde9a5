//! The statements of the ledger.

use lw_core::{Actor, Digest, Entry, Reference, Result, Scalar, Subject, SubjectKind, canonical_json};

use crate::connection::Connection;
use crate::transaction::{Head, Reader, Tx};
use crate::{Insert, METADATA_CORRUPT, Row};

/// The columns of an entry, in the order of [`insert_entry`].
pub(super) const ENTRY_COLUMNS: &str = "seq, at, actor, request_id, action, subject_kind, subject_name, subject_version, \
     inputs, outputs, payload, row_images, previous, hash";

pub(super) const LINK_COLUMNS: &str = "seq, action, subject_kind, subject_name, subject_version, inputs, outputs";

/// The end of the chain. `lock` is what a dialect adds to hold it until the transaction ends.
pub(crate) fn read_head(connection: &mut dyn Connection, lock: &str) -> Result<Head> {
    let rows = connection.query(&format!("SELECT seq, hash FROM ledger_head WHERE id = 1{lock}"), &[])?;
    head_of(rows.first())
}

pub(super) fn head(reader: &mut Reader<'_>) -> Result<Head> {
    recorded_head(reader)?
}

/// The end of the chain, or what is wrong with the row that should hold it.
pub(super) fn recorded_head(reader: &mut Reader<'_>) -> Result<Result<Head>> {
    let row = reader.query_opt("SELECT seq, hash FROM ledger_head WHERE id = 1", &[])?;
    Ok(head_of(row.as_ref()))
}

fn head_of(row: Option<&Row>) -> Result<Head> {
    let row = row.ok_or_else(|| METADATA_CORRUPT.error("the end of the ledger is missing from table `ledger_head`"))?;
    Ok(Head { seq: row.count("seq")?, hash: row.digest("hash")? })
}

pub(super) fn set_head(tx: &mut Tx<'_>, head: Head) -> Result<()> {
    tx.execute_unchecked("UPDATE ledger_head SET seq = $1, hash = $2 WHERE id = 1", &[head.seq.into(), head.hash.into()])?;
    Ok(())
}

pub(super) fn insert_entry(tx: &mut Tx<'_>, entry: &Entry) -> Result<()> {
    let sql =
        format!("INSERT INTO ledger ({ENTRY_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)");
    let parameters = [
        entry.seq.into(),
        entry.at.into(),
        (&entry.actor).into(),
        (&entry.request_id).into(),
        (&entry.action).into(),
        entry.subject.kind.name().into(),
        (&entry.subject.name).into(),
        entry.subject.version.into(),
        canonical_json(&entry.inputs).into(),
        canonical_json(&entry.outputs).into(),
        canonical_json(&entry.payload).into(),
        canonical_json(&entry.rows).into(),
        entry.previous.into(),
        entry.hash.into(),
    ];
    tx.execute_unchecked(&sql, &parameters)?;
    Ok(())
}

/// A mention of a version by an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    pub part: &'static str,
    pub role: String,
    pub kind: &'static str,
    pub name: String,
    pub version: Option<u64>,
    pub digest: Option<Digest>,
}

impl Link {
    /// Every version that the entry mentions: its subject first, then inputs, then outputs.
    pub(super) fn all_of(entry: &Entry) -> Vec<Self> {
        let subject = Reference::new("subject", entry.subject.clone(), None);
        let mut links = vec![Self::new("subject", &subject)];
        links.extend(entry.inputs.iter().map(|reference| Self::new("input", reference)));
        links.extend(entry.outputs.iter().map(|reference| Self::new("output", reference)));
        links
    }

    fn new(part: &'static str, reference: &Reference) -> Self {
        let Reference { role, subject, digest } = reference;
        Self {
            part,
            role: role.clone(),
            kind: subject.kind.name(),
            name: subject.name.clone(),
            version: subject.version,
            digest: *digest,
        }
    }
}

static INSERT_LINK: Insert<8> =
    Insert::new("INSERT INTO ledger_link (seq, position, part, role, kind, name, version, digest)", "");

pub(super) fn insert_links(tx: &mut Tx<'_>, seq: u64, links: &[Link]) -> Result<()> {
    let digests: Vec<Option<String>> = links.iter().map(|link| link.digest.map(|digest| digest.to_string())).collect();
    let rows = links.iter().zip(&digests).enumerate().map(|(position, (link, digest))| {
        let (role, name) = (link.role.as_str().into(), link.name.as_str().into());
        let (version, digest) = (link.version.into(), digest.as_deref().into());
        [seq.into(), (position as u64).into(), link.part.into(), role, link.kind.into(), name, version, digest]
    });
    tx.insert(&INSERT_LINK, rows)?;
    Ok(())
}

/// The links of the entries `first..=last`, as canonical text, in order.
pub(super) fn links_between(reader: &mut Reader<'_>, first: u64, last: u64) -> Result<Vec<Row>> {
    reader.query(
        "SELECT seq, position, part, role, kind, name, version, digest FROM ledger_link \
         WHERE seq >= $1 AND seq <= $2 ORDER BY seq, position",
        &[first.into(), last.into()],
    )
}

pub(super) fn count_links(reader: &mut Reader<'_>) -> Result<u64> {
    reader.query_opt("SELECT COUNT(*) AS n FROM ledger_link", &[])?.map_or(Ok(0), |row| row.count("n"))
}

pub(super) fn entries_after(reader: &mut Reader<'_>, seq: i64, limit: u64) -> Result<Vec<Row>> {
    let sql = format!("SELECT {ENTRY_COLUMNS} FROM ledger WHERE seq > $1 ORDER BY seq LIMIT $2");
    reader.query(&sql, &[seq.into(), limit.into()])
}

/// Reads an entry from a row with [`ENTRY_COLUMNS`]. A row that someone edited may be unreadable.
pub(super) fn entry_of(row: &Row) -> Result<Entry> {
    Ok(Entry {
        seq: row.count("seq")?,
        at: row.time("at")?,
        actor: Actor::new(&row.text("actor")?),
        request_id: row.text("request_id")?,
        action: row.text("action")?,
        subject: subject_of(row)?,
        inputs: row.json("inputs")?,
        outputs: row.json("outputs")?,
        payload: row.json("payload")?,
        rows: row.json("row_images")?,
        previous: row.digest("previous")?,
        hash: row.digest("hash")?,
    })
}

pub(super) fn subject_of(row: &Row) -> Result<Subject> {
    let kind_text = row.text("subject_kind")?;
    let kind = SubjectKind::ALL.iter().find(|kind| kind.name() == kind_text);
    let kind = *kind.ok_or_else(|| METADATA_CORRUPT.error(format!("`{kind_text}` is not a kind of subject")))?;
    Ok(Subject { kind, name: row.text("subject_name")?, version: row.opt_count("subject_version")? })
}

/// Writes every column of a row and returns the row as the database holds it.
pub(super) fn upsert(
    tx: &mut Tx<'_>,
    table: &str,
    key: &[(&'static str, Scalar)],
    columns: &[(&'static str, Scalar)],
) -> Result<Option<Row>> {
    let names: Vec<&str> = key.iter().chain(columns).map(|(name, _)| *name).collect();
    let placeholders: Vec<String> = (1..=names.len()).map(|number| format!("${number}")).collect();
    let key_names: Vec<&str> = key.iter().map(|(name, _)| *name).collect();
    // Without other columns the key is set to itself, so that RETURNING finds the row in either case.
    let updated = if columns.is_empty() { key } else { columns };
    let updates: Vec<String> = updated.iter().map(|(name, _)| format!("{name} = EXCLUDED.{name}")).collect();
    let sql = format!(
        "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {} RETURNING *",
        names.join(", "),
        placeholders.join(", "),
        key_names.join(", "),
        updates.join(", "),
    );
    let parameters: Vec<Scalar> = key.iter().chain(columns).map(|(_, value)| value.clone()).collect();
    tx.query_opt(&sql, &parameters)
}

pub(super) fn delete(tx: &mut Tx<'_>, table: &str, key: &[(&'static str, Scalar)]) -> Result<()> {
    let conditions: Vec<String> = key.iter().enumerate().map(|(index, (name, _))| format!("{name} = ${}", index + 1)).collect();
    let parameters: Vec<Scalar> = key.iter().map(|(_, value)| value.clone()).collect();
    tx.execute_unchecked(&format!("DELETE FROM {table} WHERE {}", conditions.join(" AND ")), &parameters)?;
    Ok(())
}

/// The rows of a table that follow a key in the key's order.
pub(super) fn rows_after(
    reader: &mut Reader<'_>,
    table: &str,
    key: &[String],
    after: Option<&[Scalar]>,
    limit: u64,
) -> Result<Vec<Row>> {
    let order = key.join(", ");
    let Some(after) = after else {
        return reader.query(&format!("SELECT * FROM {table} ORDER BY {order} LIMIT $1"), &[limit.into()]);
    };
    let placeholders: Vec<String> = (1..=key.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "SELECT * FROM {table} WHERE ({order}) > ({}) ORDER BY {order} LIMIT ${}",
        placeholders.join(", "),
        key.len() + 1
    );
    let mut parameters = after.to_vec();
    parameters.push(limit.into());
    reader.query(&sql, &parameters)
}
