//! A contract applied to a file without ingesting it: what would the rules say?

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use lw_core::{Error, Result, Timestamp};
use serde::Serialize;

use crate::contract::{CompiledSource, Finding, Gathered, RuleKind, RuleVerdict, compiled};
use crate::ingestion::{Chunk, Counts, Origin};
use crate::reading::{self, ParquetGroups};
use crate::{Format, SourceDefinition};

/// What the rules say of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    pub n_rows: u64,
    /// Rows that rules on rows would send to quarantine.
    pub n_quarantined: u64,
    /// One for each rule, in the order of the contract. Rules that need the table, its history or another table are not judged.
    pub verdicts: Vec<RuleVerdict>,
}

/// Applies the contract of a source to one file, whatever the source's own pattern is, and changes nothing.
///
/// A Parquet file goes by in chunks, its row groups spread over `n_threads` threads, and is never in memory as a whole; a file of
/// text is. `now` decides which labels are overdue.
///
/// # Errors
/// `source-invalid` for a definition that cannot work, and those of reading a file.
pub fn examine(
    definition: &SourceDefinition,
    project_dir: &Path,
    path: &str,
    now: Timestamp,
    n_threads: usize,
) -> Result<Examination> {
    let source = compiled(definition)?;
    let seen = match definition.format {
        Format::Parquet => parquet(&source, project_dir, path, now, n_threads)?,
        Format::Csv | Format::Jsonl => {
            let snapshot = reading::snapshot(project_dir, path)?;
            let mut seen = Seen::begin(&source, now)?;
            seen.take(&source, path, 0, reading::rows(&snapshot, definition)?.into_iter().map(Ok))?;
            seen
        }
    };
    seen.finish(&source, path)
}

fn parquet(source: &CompiledSource, project_dir: &Path, path: &str, now: Timestamp, n_threads: usize) -> Result<Seen> {
    let groups = ParquetGroups::open(project_dir, path, &source.definition)?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut seen = Seen::begin(source, now)?;
        loop {
            let group = next.fetch_add(1, Ordering::Relaxed);
            if group >= groups.n_groups() {
                return Ok(seen);
            }
            seen.take(source, path, groups.first_row(group), groups.read(group)?)?;
        }
    };
    let n_threads = n_threads.clamp(1, groups.n_groups().max(1));
    let parts: Vec<Result<Seen>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|part| part.unwrap_or_else(|_| Err(Error::bug("examining a file panicked")))).collect()
    });
    let mut whole: Option<Seen> = None;
    for part in parts {
        match &mut whole {
            None => whole = Some(part?),
            Some(whole) => whole.merge(part?)?,
        }
    }
    whole.ok_or_else(|| Error::bug("no thread examined the file"))
}

/// What some chunks of the file have shown.
struct Seen {
    gathered: Gathered,
    counts: Counts,
}

impl Seen {
    fn begin(source: &CompiledSource, now: Timestamp) -> Result<Self> {
        Ok(Self { gathered: Gathered::begin(&source.rules, now)?, counts: Counts::begin(source) })
    }

    fn take(
        &mut self,
        source: &CompiledSource,
        path: &str,
        first_ordinal: u64,
        chunks: impl Iterator<Item = Result<RecordBatch>>,
    ) -> Result<()> {
        let mut first_ordinal = first_ordinal;
        for raw in chunks {
            let raw = raw?;
            let n_rows = raw.num_rows() as u64;
            let origin = Origin { file_index: 0, first_row_number: first_ordinal + 1, first_ordinal };
            let chunk = Chunk::read(source, path, origin, raw)?;
            self.gathered.update(&source.rules, &chunk.part())?;
            self.counts.add(source, &chunk, path, &[]);
            first_ordinal += n_rows;
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.counts.merge(other.counts);
        self.gathered.merge(other.gathered)
    }

    fn finish(self, source: &CompiledSource, path: &str) -> Result<Examination> {
        let mut findings: Vec<Option<Finding>> = source.rules.iter().map(|rule| elsewhere(&rule.kind)).collect();
        for (rule_index, finding) in self.gathered.finish(&source.rules)? {
            findings[rule_index] = Some(finding);
        }
        let tally = self.counts.tally(source, findings, |ordinal| (path.to_owned(), ordinal + 1));
        Ok(Examination { n_rows: tally.n_rows, n_quarantined: tally.n_quarantined, verdicts: tally.verdicts })
    }
}

/// Rules that a file alone cannot decide. Those that it can have their findings already, or get them from the chunks' counts.
fn elsewhere(kind: &RuleKind) -> Option<Finding> {
    let what = match kind {
        RuleKind::Key { .. } => "the key is compared with all versions when the file is ingested",
        RuleKind::Reference(_) => "the other table is looked up when the file is ingested",
        RuleKind::Batch(_) => "the past of the table is looked up when the file is ingested",
        _ => return None,
    };
    Some(Finding::not_judged(what.to_owned()))
}
