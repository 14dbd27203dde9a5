//! Rows on their way into an online store.

use lw_core::{Result, Timestamp};

use super::layout::RowHeader;

/// What one commit writes.
#[derive(Debug, Default)]
pub struct PutBatch {
    pub views: Vec<ViewPut>,
    pub durability: Durability,
}

/// When a commit is safe from a crash of the machine. Readers see it at once either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    #[default]
    Now,
    /// With the next commit that is durable now. A crash before takes both this commit's rows and its watermarks.
    Later,
}

impl PutBatch {
    /// A durable batch.
    pub fn of(views: Vec<ViewPut>) -> Self {
        Self { views, durability: Durability::Now }
    }
}

/// The rows of one view, encoded one behind the other in a single buffer, and how far the view has come with them.
#[derive(Debug)]
pub struct ViewPut {
    /// `name@version`.
    pub view: String,
    /// Every row that was available by then has been put, with this batch or before it.
    pub watermark: Timestamp,
    bytes: Vec<u8>,
    rows: Vec<RowSpan>,
}

/// Where a key and, right behind it, its row lie in the buffer.
#[derive(Debug, Clone, Copy)]
struct RowSpan {
    start: usize,
    row_start: usize,
    end: usize,
}

/// The row of a batch that stands for its entity.
#[derive(Debug, Clone, Copy)]
pub struct NewestRow<'a> {
    pub key: &'a [u8],
    pub header: RowHeader,
    pub row: &'a [u8],
}

/// What a commit changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PutSummary {
    /// Rows that were given.
    pub n_given: u64,
    /// Entities whose row is now another one: the first, or a newer one.
    pub n_written: u64,
}

impl ViewPut {
    pub fn new(view: impl Into<String>, watermark: Timestamp) -> Self {
        Self { view: view.into(), watermark, bytes: Vec::new(), rows: Vec::new() }
    }

    /// Appends a row: `write_key`, then `write_row`, each append their bytes to the buffer.
    pub fn push(&mut self, write_key: impl FnOnce(&mut Vec<u8>), write_row: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write_key(&mut self.bytes);
        let row_start = self.bytes.len();
        write_row(&mut self.bytes);
        self.rows.push(RowSpan { start, row_start, end: self.bytes.len() });
    }

    /// Each key once with its newest row, in the order of the keys, so that a tree is written from left to right. Of rows with
    /// the same times the one that came last stands.
    pub fn newest(&self) -> Result<Vec<NewestRow<'_>>> {
        let mut spans: Vec<&RowSpan> = self.rows.iter().collect();
        spans.sort_by_key(|span| &self.bytes[span.start..span.row_start]);
        let mut newest: Vec<NewestRow<'_>> = Vec::new();
        for span in spans {
            let (key, row) = (&self.bytes[span.start..span.row_start], &self.bytes[span.row_start..span.end]);
            let candidate = NewestRow { key, header: RowHeader::read(row)?, row };
            match newest.last_mut().filter(|last| last.key == key) {
                Some(last) if last.header > candidate.header => {}
                Some(last) => *last = candidate,
                None => newest.push(candidate),
            }
        }
        Ok(newest)
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
