//! Reading the ledger.

use lw_core::{Actor, Entry, Reference, Result, Scalar, Subject, SubjectKind, Timestamp};

use super::queries::{ENTRY_COLUMNS, LINK_COLUMNS, entry_of, subject_of};
use crate::transaction::Reader;

/// How an entry mentions a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mention {
    /// The entry is about it.
    Subject,
    /// The entry read it.
    Input,
    /// The entry made it.
    Output,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    OldestFirst,
    NewestFirst,
}

/// Which entries to list. All conditions must hold. A page ends at `limit` entries; the next one starts at the last `seq`.
#[derive(Debug, Clone)]
pub struct EntryFilter {
    /// A version, or with `version: None` a thing with all its versions.
    pub subject: Option<(Subject, Mention)>,
    pub kind: Option<SubjectKind>,
    /// An action such as `alias.set`, or all of a noun: `alias.*`.
    pub action: Option<String>,
    pub actor: Option<Actor>,
    /// Entries from this time on.
    pub from: Option<Timestamp>,
    /// Entries before this time.
    pub to: Option<Timestamp>,
    /// Entries beyond this one in the chosen order.
    pub after_seq: Option<u64>,
    pub order: Order,
    /// 1 to 1000.
    pub limit: u64,
}

impl EntryFilter {
    /// Everything, oldest first, 100 a page.
    pub fn all() -> Self {
        Self {
            subject: None,
            kind: None,
            action: None,
            actor: None,
            from: None,
            to: None,
            after_seq: None,
            order: Order::OldestFirst,
            limit: 100,
        }
    }

    /// The entries that mention a version in this way.
    pub fn about(subject: Subject, mention: Mention) -> Self {
        Self { subject: Some((subject, mention)), ..Self::all() }
    }

    #[must_use]
    pub fn action(self, action: impl Into<String>) -> Self {
        Self { action: Some(action.into()), ..self }
    }

    #[must_use]
    pub fn after(self, seq: u64) -> Self {
        Self { after_seq: Some(seq), ..self }
    }

    #[must_use]
    pub fn newest_first(self) -> Self {
        Self { order: Order::NewestFirst, ..self }
    }

    #[must_use]
    pub fn limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }
}

/// A stretch of the chain without gaps, for whoever verifies it elsewhere: from the first entry at or after `from` to the last one before
/// `to`, however clocks went in between.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChainPart {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Entries beyond this one: the last `seq` of the page before.
    pub after_seq: u64,
    /// 1 to 1000.
    pub limit: u64,
}

/// An entry without its payload and rows: enough to walk the lineage.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryLinks {
    pub seq: u64,
    pub action: String,
    pub subject: Subject,
    pub inputs: Vec<Reference>,
    pub outputs: Vec<Reference>,
}

impl Reader<'_> {
    /// The entries that mention exactly this version in this way, oldest first, without their payloads.
    pub fn links(&mut self, subject: &Subject, mention: Mention, limit: u64) -> Result<Vec<EntryLinks>> {
        let mut conditions = Conditions::default();
        conditions.mention(subject, mention);
        let limit = conditions.parameter(limit.clamp(1, 100_000).into());
        let sql = format!("SELECT {LINK_COLUMNS} FROM ledger {} ORDER BY seq LIMIT {limit}", conditions.text());
        let rows = self.query(&sql, &conditions.parameters)?;
        let links = rows.iter().map(|row| {
            let (subject, inputs, outputs) = (subject_of(row)?, row.json("inputs")?, row.json("outputs")?);
            Ok(EntryLinks { seq: row.count("seq")?, action: row.text("action")?, subject, inputs, outputs })
        });
        links.collect()
    }

    /// A page of entries.
    pub fn entries(&mut self, filter: &EntryFilter) -> Result<Vec<Entry>> {
        let mut conditions = Conditions::default();
        if let Some((subject, mention)) = &filter.subject {
            conditions.mention(subject, *mention);
        }
        if let Some(kind) = filter.kind {
            conditions.add("subject_kind =", kind.name().into());
        }
        if let Some(action) = &filter.action {
            match action.strip_suffix(".*") {
                // '/' follows '.' in ASCII: the range holds exactly the actions of the noun.
                Some(noun) => {
                    conditions.add("action >=", format!("{noun}.").into());
                    conditions.add("action <", format!("{noun}/").into());
                }
                None => conditions.add("action =", action.into()),
            }
        }
        if let Some(actor) = &filter.actor {
            conditions.add("actor =", actor.into());
        }
        if let Some(from) = filter.from {
            conditions.add("at >=", from.into());
        }
        if let Some(to) = filter.to {
            conditions.add("at <", to.into());
        }
        let (beyond, direction) = match filter.order {
            Order::OldestFirst => ("seq >", "ASC"),
            Order::NewestFirst => ("seq <", "DESC"),
        };
        if let Some(seq) = filter.after_seq {
            conditions.add(beyond, seq.into());
        }
        let limit = conditions.parameter(filter.limit.clamp(1, 1000).into());
        let sql = format!("SELECT {ENTRY_COLUMNS} FROM ledger {} ORDER BY seq {direction} LIMIT {limit}", conditions.text());
        self.query(&sql, &conditions.parameters)?.iter().map(entry_of).collect()
    }

    /// A page of a stretch of the chain, oldest first.
    pub fn chain(&mut self, part: ChainPart) -> Result<Vec<Entry>> {
        let mut conditions = Conditions::default();
        conditions.add("seq >", part.after_seq.into());
        if let Some(from) = part.from {
            let from = conditions.parameter(from.into());
            conditions.texts.push(format!("seq >= (SELECT MIN(seq) FROM ledger WHERE at >= {from})"));
        }
        if let Some(to) = part.to {
            let to = conditions.parameter(to.into());
            conditions.texts.push(format!("seq <= (SELECT MAX(seq) FROM ledger WHERE at < {to})"));
        }
        let limit = conditions.parameter(part.limit.clamp(1, 1000).into());
        let sql = format!("SELECT {ENTRY_COLUMNS} FROM ledger {} ORDER BY seq LIMIT {limit}", conditions.text());
        self.query(&sql, &conditions.parameters)?.iter().map(entry_of).collect()
    }

    /// One entry.
    pub fn entry(&mut self, seq: u64) -> Result<Option<Entry>> {
        let sql = format!("SELECT {ENTRY_COLUMNS} FROM ledger WHERE seq = $1");
        self.query_opt(&sql, &[seq.into()])?.as_ref().map(entry_of).transpose()
    }
}

#[derive(Default)]
struct Conditions {
    texts: Vec<String>,
    parameters: Vec<Scalar>,
}

impl Conditions {
    fn parameter(&mut self, value: Scalar) -> String {
        self.parameters.push(value);
        format!("${}", self.parameters.len())
    }

    fn add(&mut self, left: &str, value: Scalar) {
        let placeholder = self.parameter(value);
        self.texts.push(format!("{left} {placeholder}"));
    }

    fn mention(&mut self, subject: &Subject, mention: Mention) {
        let kind = self.parameter(subject.kind.name().into());
        let name = self.parameter((&subject.name).into());
        let version = subject.version.map(|version| self.parameter(version.into()));
        if mention == Mention::Subject {
            self.texts.push(format!("subject_kind = {kind} AND subject_name = {name}"));
            self.texts.extend(version.map(|version| format!("subject_version = {version}")));
            return;
        }
        let version = version.map_or_else(String::new, |version| format!(" AND version = {version}"));
        let part = match mention {
            Mention::Input => " AND part = 'input'",
            Mention::Output => " AND part = 'output'",
            Mention::Subject | Mention::Any => "",
        };
        self.texts.push(format!("seq IN (SELECT seq FROM ledger_link WHERE kind = {kind} AND name = {name}{version}{part})"));
    }

    fn text(&self) -> String {
        if self.texts.is_empty() { String::new() } else { format!("WHERE {}", self.texts.join(" AND ")) }
    }
}
