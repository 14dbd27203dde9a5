//! Ledger entries: who did what to which version, from what, and what became of the database rows.

use serde::{Deserialize, Serialize};

use crate::{Actor, Digest, Scalar, Subject, Timestamp};

/// A version that an entry read or made, with the part it played: `training_set`, `model`, `report`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    pub role: String,
    pub subject: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl Reference {
    pub fn new(role: &str, subject: Subject, digest: impl Into<Option<Digest>>) -> Self {
        Self { role: role.to_owned(), subject, digest: digest.into() }
    }
}

/// What an operation wants written: the ledger adds sequence, time, actor and hashes.
///
/// ```
/// use lw_core::{Change, Draft, Subject, SubjectKind};
///
/// let draft = Draft::new("alias.set", Subject::new(SubjectKind::ModelVersion, "late_arrival", 3)).change(
///     Change::put("model_alias")
///         .key("model", "late_arrival")
///         .key("alias", "champion")
///         .set("version", 3_u64),
/// );
/// assert_eq!(draft.changes.len(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct Draft {
    /// `noun.verb`, such as `model_version.register`.
    pub action: &'static str,
    pub subject: Subject,
    pub inputs: Vec<Reference>,
    pub outputs: Vec<Reference>,
    pub payload: serde_json::Value,
    pub changes: Vec<Change>,
}

impl Draft {
    pub fn new(action: &'static str, subject: Subject) -> Self {
        Self {
            action,
            subject,
            inputs: Vec::new(),
            outputs: Vec::new(),
            payload: serde_json::Value::Object(serde_json::Map::new()),
            changes: Vec::new(),
        }
    }

    #[must_use]
    pub fn input(mut self, role: &str, subject: Subject, digest: impl Into<Option<Digest>>) -> Self {
        self.inputs.push(Reference::new(role, subject, digest));
        self
    }

    #[must_use]
    pub fn output(mut self, role: &str, subject: Subject, digest: impl Into<Option<Digest>>) -> Self {
        self.outputs.push(Reference::new(role, subject, digest));
        self
    }

    #[must_use]
    pub fn payload(mut self, payload: serde_json::Value) -> Self {
        self.payload = payload;
        self
    }

    #[must_use]
    pub fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }
}

/// One governed row as it shall stand after the transaction. `put` writes every column that is not part of the key.
#[derive(Debug, Clone)]
pub struct Change {
    pub table: &'static str,
    pub key: Vec<(&'static str, Scalar)>,
    /// `None` removes the row.
    pub columns: Option<Vec<(&'static str, Scalar)>>,
}

impl Change {
    pub fn put(table: &'static str) -> Self {
        Self { table, key: Vec::new(), columns: Some(Vec::new()) }
    }

    pub fn remove(table: &'static str) -> Self {
        Self { table, key: Vec::new(), columns: None }
    }

    #[must_use]
    pub fn key(mut self, column: &'static str, value: impl Into<Scalar>) -> Self {
        self.key.push((column, value.into()));
        self
    }

    #[must_use]
    pub fn set(mut self, column: &'static str, value: impl Into<Scalar>) -> Self {
        if let Some(columns) = &mut self.columns {
            columns.push((column, value.into()));
        }
        self
    }
}

/// A governed row as an entry left it: the digest of its canonical JSON, or none if the entry removed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowImage {
    pub table: String,
    pub key: serde_json::Value,
    pub digest: Option<Digest>,
}

/// An entry of the ledger. `hash` is the SHA-256 of the canonical JSON (RFC 8785) of all other fields, `previous` included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1 without gaps.
    pub seq: u64,
    pub at: Timestamp,
    pub actor: Actor,
    pub request_id: String,
    pub action: String,
    pub subject: Subject,
    pub inputs: Vec<Reference>,
    pub outputs: Vec<Reference>,
    pub payload: serde_json::Value,
    pub rows: Vec<RowImage>,
    pub previous: Digest,
    pub hash: Digest,
}

impl Entry {
    /// The hash that the other fields call for.
    pub fn expected_hash(&self) -> Digest {
        let mut value = serde_json::to_value(self).expect("an entry is plain JSON");
        if let Some(object) = value.as_object_mut() {
            object.remove("hash");
        }
        Digest::of_json(&value)
    }
}
