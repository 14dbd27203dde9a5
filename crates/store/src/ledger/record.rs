//! Writing an entry together with the rows that it changes.

use lw_core::{Change, Digest, Draft, Entry, Error, Result, RowImage, Scalar};

use super::queries::{self, Link};
use crate::row::{LARGEST_EXACT_INTEGER, exact_json};
use crate::transaction::{Head, Tx};

impl Tx<'_> {
    /// Makes the draft's changes and appends the entry that records them: either both become durable or neither does.
    ///
    /// Integers of the payload above 2^53 become text, because canonical JSON (RFC 8785) would round them.
    ///
    /// A [`Change::put`] names every column that shall not be null; a row with the same key is replaced. The entry keeps the digest of
    /// each row as the database holds it afterwards.
    pub fn record(&mut self, draft: Draft) -> Result<Entry> {
        let rows = draft.changes.iter().map(|change| make(self, change)).collect::<Result<Vec<_>>>()?;
        let head = match *self.head {
            Some(head) => head,
            None => queries::head(self)?,
        };
        let mut entry = Entry {
            seq: head.seq + 1,
            at: self.now(),
            actor: self.actor().clone(),
            request_id: self.request_id().to_owned(),
            action: draft.action.to_owned(),
            subject: draft.subject,
            inputs: draft.inputs,
            outputs: draft.outputs,
            payload: exact(draft.payload),
            rows,
            previous: head.hash,
            hash: Digest::from_bytes([0; 32]),
        };
        entry.hash = entry.expected_hash();
        queries::insert_entry(self, &entry)?;
        queries::insert_links(self, entry.seq, &Link::all_of(&entry))?;
        let head = Head { seq: entry.seq, hash: entry.hash };
        queries::set_head(self, head)?;
        *self.head = Some(head);
        Ok(entry)
    }
}

fn make(tx: &mut Tx<'_>, change: &Change) -> Result<RowImage> {
    check_key(tx, change)?;
    let digest = match &change.columns {
        Some(columns) => {
            let row = queries::upsert(tx, change.table, &change.key, columns)?;
            let row = row.ok_or_else(|| Error::bug(format!("table `{}` gave no row back", change.table)))?;
            Some(Digest::of_json(&row.to_json()))
        }
        None => {
            queries::delete(tx, change.table, &change.key)?;
            None
        }
    };
    let key = change.key.iter().map(|(name, value)| ((*name).to_owned(), exact_json(value)));
    Ok(RowImage { table: change.table.to_owned(), key: key.collect::<serde_json::Map<_, _>>().into(), digest })
}

fn check_key(tx: &Tx<'_>, change: &Change) -> Result<()> {
    let Some(primary_key) = tx.governed().key_of(change.table) else {
        return Err(Error::bug(format!(
            "table `{}` is not governed: list it in its migration's `-- governed:` comment",
            change.table
        )));
    };
    let is_whole = change.key.len() == primary_key.len()
        && primary_key.iter().all(|column| change.key.iter().any(|(name, value)| name == column && *value != Scalar::Null));
    if is_whole {
        return Ok(());
    }
    Err(Error::bug(format!("a change of table `{}` names {:?}, but its key is {primary_key:?}", change.table, change.key)))
}

fn exact(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Number(number) if is_beyond_exact(&number) => Value::String(number.to_string()),
        Value::Array(items) => items.into_iter().map(exact).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, exact(value))).collect(),
        other => other,
    }
}

fn is_beyond_exact(number: &serde_json::Number) -> bool {
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    magnitude.is_some_and(|magnitude| magnitude > LARGEST_EXACT_INTEGER)
}
