//! Proving that nobody changed the ledger, or a row behind its back.

use std::collections::HashMap;
use std::fmt;

use lw_core::{Digest, Entry, Error, Result, Scalar, Subject, canonical_json};
use serde::{Deserialize, Serialize};

use super::queries::{self, Link};
use crate::Row;
use crate::row::exact_json;
use crate::transaction::Reader;

const PAGE: u64 = 1000;
/// After this many findings the rest is counted, not listed.
const MAX_FINDINGS: usize = 1000;

/// What a verification looked at and what it found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    pub n_entries: u64,
    pub n_rows: u64,
    /// Seals over what is not in the ledger itself, such as the metrics of runs that have ended.
    #[serde(default)]
    pub n_seals: u64,
    /// The hash of the last entry: whoever noted it elsewhere can prove later that nothing before it was rewritten.
    pub head: Digest,
    /// At most 1000; `n_findings` counts all.
    pub findings: Vec<Finding>,
    pub n_findings: u64,
}

impl Verification {
    /// Whether nothing was found.
    pub fn is_sound(&self) -> bool {
        self.n_findings == 0
    }

    /// Adds what somebody found who checks what the ledger seals.
    pub fn found(&mut self, finding: Finding) {
        self.n_findings += 1;
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }
}

/// One thing that is not as the ledger says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// Entries are missing from the sequence.
    Gap { expected_seq: u64, found_seq: u64 },
    /// The entry's fields do not have the hash that it carries.
    EntryChanged { seq: u64 },
    /// The entry does not continue the one before it.
    ChainBroken { seq: u64 },
    /// The entry cannot be read at all.
    EntryUnreadable { seq: i64, reason: String },
    /// The lineage links of the entry are not those that it states.
    LinksChanged { seq: u64 },
    /// The recorded end of the chain is not its last entry: entries were cut off or added.
    HeadMismatch { head_seq: u64, last_seq: u64 },
    /// The recorded end of the chain cannot be read.
    HeadUnreadable { reason: String },
    /// What a thing held when it was sealed is not what it holds now, although nobody changed it through us.
    SealBroken { subject: Subject, parts: Vec<String> },
    /// A governed row is not as its last entry left it.
    RowChanged { table: String, key: serde_json::Value, seq: u64 },
    /// A governed row is gone, although no entry removed it.
    RowMissing { table: String, key: serde_json::Value, seq: u64 },
    /// A governed row stands that no entry wrote, or that the entry removed.
    RowUnknown { table: String, key: serde_json::Value, removed_by: Option<u64> },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { expected_seq, found_seq } => write!(f, "entry {expected_seq} is missing; entry {found_seq} follows"),
            Self::EntryChanged { seq } => write!(f, "entry {seq} was changed: its fields do not have its hash"),
            Self::ChainBroken { seq } => write!(f, "entry {seq} does not continue the entry before it"),
            Self::EntryUnreadable { seq, reason } => write!(f, "entry {seq} cannot be read: {reason}"),
            Self::LinksChanged { seq } => write!(f, "the lineage links of entry {seq} are not those that it states"),
            Self::HeadMismatch { head_seq, last_seq } if head_seq == last_seq => {
                write!(
                    f,
                    "the chain ends at entry {last_seq} as it should, but that entry has another hash than the recorded end"
                )
            }
            Self::HeadUnreadable { reason } => write!(f, "the recorded end of the chain cannot be read: {reason}"),
            Self::SealBroken { subject, parts } => {
                write!(f, "{subject} does not hold what was sealed when it ended: its {} changed", parts.join(", "))
            }
            Self::HeadMismatch { head_seq, last_seq } => {
                write!(f, "the chain should end at entry {head_seq}, but the last entry is {last_seq}")
            }
            Self::RowChanged { table, key, seq } => write!(f, "row {key} of table `{table}` is not as entry {seq} left it"),
            Self::RowMissing { table, key, seq } => write!(f, "row {key} of table `{table}`, written by entry {seq}, is missing"),
            Self::RowUnknown { table, key, removed_by: None } => {
                write!(f, "row {key} of table `{table}` was written by no entry")
            }
            Self::RowUnknown { table, key, removed_by: Some(seq) } => {
                write!(f, "row {key} of table `{table}` stands although entry {seq} removed it")
            }
        }
    }
}

/// What the ledger says about the rows of a table: by canonical key, the last entry and the digest it left.
type KnownRows = HashMap<String, HashMap<String, Known>>;

struct Known {
    seq: u64,
    digest: Option<Digest>,
    is_met: bool,
}

impl Reader<'_> {
    /// Checks sequence, hashes, chain, links and rows in one consistent view.
    pub(crate) fn verify(&mut self) -> Result<Verification> {
        let head = queries::recorded_head(self)?;
        let mut verification =
            Verification { n_entries: 0, n_rows: 0, n_seals: 0, head: Digest::of(b""), findings: Vec::new(), n_findings: 0 };
        let mut known = KnownRows::new();
        let (last_seq, last_hash) = verify_chain(self, &mut verification, &mut known)?;
        verification.head = last_hash;
        match head {
            Ok(head) if (last_seq, last_hash) == (head.seq, head.hash) => {}
            Ok(head) => {
                verification.head = head.hash;
                verification.found(Finding::HeadMismatch { head_seq: head.seq, last_seq });
            }
            Err(error) => verification.found(Finding::HeadUnreadable { reason: error.message().to_owned() }),
        }
        for (table, key) in self.governed().tables() {
            verify_table(self, table, key, known.remove(table).unwrap_or_default(), &mut verification)?;
        }
        Ok(verification)
    }
}

fn verify_chain(reader: &mut Reader<'_>, verification: &mut Verification, known: &mut KnownRows) -> Result<(u64, Digest)> {
    let mut last = (0, Digest::of(b""));
    let mut position = i64::MIN;
    let mut n_links = 0;
    loop {
        let rows = queries::entries_after(reader, position, PAGE)?;
        let Some(row) = rows.last() else { break };
        let first = rows[0].int("seq")?;
        position = row.int("seq")?;
        let mut links = links_by_entry(reader, first, position)?;
        for row in &rows {
            verification.n_entries += 1;
            match queries::entry_of(row) {
                Ok(entry) => {
                    let expected = Link::all_of(&entry);
                    n_links += expected.len() as u64;
                    if links.remove(&entry.seq).unwrap_or_default() != link_texts(&expected) {
                        verification.found(Finding::LinksChanged { seq: entry.seq });
                    }
                    verify_entry(&entry, last, verification);
                    last = (entry.seq, entry.hash);
                    remember(entry, known);
                }
                Err(error) => {
                    let seq = row.int("seq")?;
                    verification.found(Finding::EntryUnreadable { seq, reason: error.message().to_owned() });
                    last = (u64::try_from(seq).unwrap_or(0), last.1);
                }
            }
        }
    }
    if verification.is_sound() && queries::count_links(reader)? != n_links {
        verification.found(Finding::LinksChanged { seq: last.0 });
    }
    Ok(last)
}

fn verify_entry(entry: &Entry, (last_seq, last_hash): (u64, Digest), verification: &mut Verification) {
    if entry.seq != last_seq + 1 {
        verification.found(Finding::Gap { expected_seq: last_seq + 1, found_seq: entry.seq });
    } else if entry.previous != last_hash {
        verification.found(Finding::ChainBroken { seq: entry.seq });
    }
    if entry.hash != entry.expected_hash() {
        verification.found(Finding::EntryChanged { seq: entry.seq });
    }
}

fn remember(entry: Entry, known: &mut KnownRows) {
    for image in entry.rows {
        let rows = known.entry(image.table).or_default();
        rows.insert(canonical_json(&image.key), Known { seq: entry.seq, digest: image.digest, is_met: false });
    }
}

fn links_by_entry(reader: &mut Reader<'_>, first: i64, last: i64) -> Result<HashMap<u64, Vec<String>>> {
    let (Ok(first), Ok(last)) = (u64::try_from(first), u64::try_from(last)) else { return Ok(HashMap::new()) };
    let mut links: HashMap<u64, Vec<String>> = HashMap::new();
    for row in queries::links_between(reader, first, last)? {
        let text = link_text(
            &row.text("part")?,
            &row.text("role")?,
            &row.text("kind")?,
            &row.text("name")?,
            row.opt_int("version")?,
            row.opt_text("digest")?.as_deref(),
        );
        links.entry(row.count("seq")?).or_default().push(text);
    }
    Ok(links)
}

fn link_texts(links: &[Link]) -> Vec<String> {
    let text = |link: &Link| {
        let version = link.version.map(|version| i64::try_from(version).unwrap_or(i64::MAX));
        link_text(link.part, &link.role, link.kind, &link.name, version, link.digest.map(|digest| digest.to_string()).as_deref())
    };
    links.iter().map(text).collect()
}

fn link_text(part: &str, role: &str, kind: &str, name: &str, version: Option<i64>, digest: Option<&str>) -> String {
    format!("{part:?}{role:?}{kind:?}{name:?}{version:?}{digest:?}")
}

fn verify_table(
    reader: &mut Reader<'_>,
    table: &'static str,
    key: &[String],
    mut known: HashMap<String, Known>,
    verification: &mut Verification,
) -> Result<()> {
    let mut after: Option<Vec<Scalar>> = None;
    loop {
        let rows = queries::rows_after(reader, table, key, after.as_deref(), PAGE)?;
        let Some(last) = rows.last() else { break };
        after = Some(key.iter().map(|column| last.get(column).cloned()).collect::<Result<_>>()?);
        for row in &rows {
            verification.n_rows += 1;
            if let Some(finding) = verify_row(table, key, row, &mut known)? {
                verification.found(finding);
            }
        }
    }
    let mut missing: Vec<_> = known.into_iter().filter(|(_, known)| known.digest.is_some() && !known.is_met).collect();
    missing.sort_by_key(|(_, known)| known.seq);
    for (key, known) in missing {
        let key = serde_json::from_str(&key).map_err(|error| Error::bug("a canonical key is JSON").cause(error))?;
        verification.found(Finding::RowMissing { table: table.to_owned(), key, seq: known.seq });
    }
    Ok(())
}

fn verify_row(table: &str, key: &[String], row: &Row, known: &mut HashMap<String, Known>) -> Result<Option<Finding>> {
    let values = key.iter().map(|column| Ok((column.clone(), exact_json(row.get(column)?))));
    let key: serde_json::Value = values.collect::<Result<serde_json::Map<_, _>>>()?.into();
    let table = table.to_owned();
    let Some(known) = known.get_mut(&canonical_json(&key)) else {
        return Ok(Some(Finding::RowUnknown { table, key, removed_by: None }));
    };
    known.is_met = true;
    let Some(digest) = known.digest else {
        return Ok(Some(Finding::RowUnknown { table, key, removed_by: Some(known.seq) }));
    };
    let is_same = Digest::of_json(&row.to_json()) == digest;
    Ok((!is_same).then_some(Finding::RowChanged { table, key, seq: known.seq }))
}
