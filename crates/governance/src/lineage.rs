//! Where a version comes from, and what became of it: a walk along the inputs and outputs of ledger entries.

use std::collections::{BTreeSet, VecDeque};

use lw_core::{Result, Subject};
use lw_store::{EntryLinks, Mention, Reader, Store};
use serde::{Deserialize, Serialize};

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
}

impl Budget {
    /// Enough for the whole history of a model: 20 steps, 10 000 versions.
    pub const WIDE: Self = Self { depth: 20, n_nodes: 10_000 };
}

/// The versions that a walk found, and how they hang together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// By distance from the start, which is the first one.
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

/// Walks from a version in one direction.
pub async fn lineage(store: &Store, start: &Subject, direction: Direction, budget: Budget) -> Result<Lineage> {
    let start = start.clone();
    store.read(move |reader| walk(reader, start, direction, budget)).await
}

pub(crate) fn walk(reader: &mut Reader<'_>, start: Subject, direction: Direction, budget: Budget) -> Result<Lineage> {
    let mut seen = BTreeSet::from([start.clone()]);
    let mut nodes = vec![LineageNode { subject: start.clone(), depth: 0 }];
    let mut edges = BTreeSet::new();
    let mut is_complete = true;
    let mut pending = VecDeque::from([(start, 0)]);
    while let Some((subject, depth)) = pending.pop_front() {
        for edge in edges_of(reader, &subject, direction)? {
            let next = match direction {
                Direction::Upstream => &edge.from,
                Direction::Downstream => &edge.to,
            };
            if !seen.contains(next) {
                if depth >= budget.depth || nodes.len() >= budget.n_nodes {
                    is_complete = false;
                    continue;
                }
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
