//! Where a version comes from, and what became of it: a walk along the inputs and outputs of ledger entries.

use std::collections::{BTreeSet, VecDeque};

use lw_core::{Error, Result, Subject, nearest};
use lw_store::{EntryLinks, Mention, Reader, Store};
use serde::{Deserialize, Serialize};

use crate::{UNKNOWN_SUBJECT, queries};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// What it was made from.
    Upstream,
    /// What was made from it.
    Downstream,
}

/// How far a walk goes. It ends, cycles or not: every version is visited once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Steps from the start.
    pub depth: u32,
    pub n_nodes: usize,
    pub n_edges: usize,
}

impl Budget {
    /// Enough for the whole history of a model: 20 steps, 10 000 versions, 40 000 edges.
    pub const WIDE: Self = Self { depth: 20, n_nodes: 10_000, n_edges: 40_000 };
}

/// The versions that a walk found, and how they hang together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// By distance from the start, which comes first. A start without a version stands for all versions that the ledger knows.
    pub nodes: Vec<LineageNode>,
    pub edges: Vec<LineageEdge>,
    /// False if the budget ended the walk.
    pub is_complete: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageNode {
    pub subject: Subject,
    pub depth: u32,
}

/// An entry made `to` from `from`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LineageEdge {
    pub from: Subject,
    pub to: Subject,
    pub action: String,
    /// The part that `from` played.
    pub role: String,
    /// The ledger entry that proves it.
    pub seq: u64,
}

/// The most entries that are followed from one version.
const MAX_ENTRIES: u64 = 10_000;
/// The most names that are compared with one that nothing has.
const MAX_NAMES: u64 = 10_000;

/// Walks from a version in one direction. A subject that no entry mentions is an error that names what comes near.
pub async fn lineage(store: &Store, start: &Subject, direction: Direction, budget: Budget) -> Result<Lineage> {
    let start = start.clone();
    store
        .read(move |reader| {
            let starts = starts(reader, &start, budget)?;
            walk_all(reader, starts, direction, budget)
        })
        .await
}

/// The subject itself, or each version of it that the ledger knows.
fn starts(reader: &mut Reader<'_>, start: &Subject, budget: Budget) -> Result<Vec<Subject>> {
    let limit = u64::try_from(budget.n_nodes).unwrap_or(u64::MAX).min(MAX_ENTRIES).saturating_add(1);
    let mut versions = queries::versions_of(reader, start, limit)?;
    if versions.is_empty() {
        return Err(unknown(reader, start)?);
    }
    // The newest first: it is asked for most, and the budget may end before the oldest.
    versions.sort_unstable_by(|a, b| b.cmp(a));
    Ok(versions.into_iter().map(|version| Subject { version, ..start.clone() }).collect())
}

fn unknown(reader: &mut Reader<'_>, start: &Subject) -> Result<Error> {
    let error = UNKNOWN_SUBJECT.error(format!("no ledger entry mentions `{start}`"));
    let whole = Subject { version: None, ..start.clone() };
    let versions: Vec<u64> = queries::versions_of(reader, &whole, MAX_NAMES)?.into_iter().flatten().collect();
    if let (Some(first), Some(last)) = (versions.iter().min(), versions.iter().max()) {
        return Ok(error.hint(format!("`{whole}` has the versions {first} to {last}")));
    }
    let names = queries::names_of(reader, start.kind, MAX_NAMES)?;
    if let Some(near) = nearest(&start.name, names.iter().map(String::as_str)) {
        return Ok(error.hint(format!("did you mean `{}/{near}`?", start.kind.name())));
    }
    let kinds = queries::kinds_of(reader, &start.name)?;
    if let Some(kind) = kinds.first() {
        return Ok(error.hint(format!("did you mean `{kind}/{}`?", start.name)));
    }
    Ok(error.hint(match names.as_slice() {
        [] => {
            format!("nothing of the kind `{}` has been made yet; `loopwright audit log` lists what happened", start.kind.name())
        }
        names => format!("there are {}", names.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }))
}

pub(crate) fn walk(reader: &mut Reader<'_>, start: Subject, direction: Direction, budget: Budget) -> Result<Lineage> {
    walk_all(reader, vec![start], direction, budget)
}

fn walk_all(reader: &mut Reader<'_>, starts: Vec<Subject>, direction: Direction, budget: Budget) -> Result<Lineage> {
    let mut is_complete = starts.len() <= budget.n_nodes;
    let starts: Vec<Subject> = starts.into_iter().take(budget.n_nodes).collect();
    let mut seen: BTreeSet<Subject> = starts.iter().cloned().collect();
    let mut nodes: Vec<LineageNode> = starts.iter().map(|start| LineageNode { subject: start.clone(), depth: 0 }).collect();
    let mut pending: VecDeque<(Subject, u32)> = starts.into_iter().map(|start| (start, 0)).collect();
    let mut edges = BTreeSet::new();
    while let Some((subject, depth)) = pending.pop_front() {
        for edge in edges_of(reader, &subject, direction)? {
            let next = match direction {
                Direction::Upstream => &edge.from,
                Direction::Downstream => &edge.to,
            };
            let is_new = !seen.contains(next);
            if edges.len() >= budget.n_edges || (is_new && (depth >= budget.depth || nodes.len() >= budget.n_nodes)) {
                is_complete = false;
                continue;
            }
            if is_new {
                seen.insert(next.clone());
                nodes.push(LineageNode { subject: next.clone(), depth: depth + 1 });
                pending.push_back((next.clone(), depth + 1));
            }
            edges.insert(edge);
        }
    }
    Ok(Lineage { nodes, edges: edges.into_iter().collect(), is_complete })
}

fn edges_of(reader: &mut Reader<'_>, subject: &Subject, direction: Direction) -> Result<Vec<LineageEdge>> {
    let mut edges = Vec::new();
    let (mention, mentions_as_maker) = match direction {
        Direction::Upstream => (Mention::Output, true),
        Direction::Downstream => (Mention::Input, false),
    };
    let mut entries = reader.links(subject, mention, MAX_ENTRIES)?;
    if mentions_as_maker {
        entries.extend(reader.links(subject, Mention::Subject, MAX_ENTRIES)?);
    }
    for entry in entries {
        for made in made_by(&entry).filter(|made| direction == Direction::Downstream || *made == subject) {
            let inputs = entry.inputs.iter().filter(|input| direction == Direction::Upstream || input.subject == *subject);
            edges.extend(inputs.filter(|input| input.subject != *made).map(|input| LineageEdge {
                from: input.subject.clone(),
                to: made.clone(),
                action: entry.action.clone(),
                role: input.role.clone(),
                seq: entry.seq,
            }));
        }
    }
    Ok(edges)
}

/// What an entry made: its outputs, or without any its subject, unless it only says something about a version that it names as an
/// input too, as an approval does.
fn made_by(entry: &EntryLinks) -> impl Iterator<Item = &Subject> {
    let is_about_input = entry.inputs.iter().any(|input| input.subject == entry.subject);
    let subject = (entry.outputs.is_empty() && !is_about_input).then_some(&entry.subject);
    entry.outputs.iter().map(|output| &output.subject).chain(subject)
}
