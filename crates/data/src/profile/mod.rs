//! What a version of a table looks like: a summary of each column that people read and monitors compare.
//!
//! A [`Profile`] is built batch by batch in one pass and bounded memory, and two profiles merge into the profile of all rows.
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{Int64Array, RecordBatch};
//!
//! let column = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
//! let batch = RecordBatch::try_from_iter([("n", column as _)]).unwrap();
//! let mut profile = lw_data::Profile::default();
//! profile.add(&batch);
//! let summary = profile.summary();
//! assert_eq!((summary.n_rows, summary.columns[0].n_nulls), (3, 1));
//! ```

mod column;
mod comparison;
pub mod distinct;
mod quantiles;
mod top_values;

use arrow::array::RecordBatch;
use lw_core::{Digest, Error, Result};
use lw_store::Artifacts;
use serde::{Deserialize, Serialize};

pub use column::{ColumnProfile, ColumnSummary, Histogram, QuantilePoint};
pub use top_values::TopValue;

/// The mergeable state behind a [`ProfileSummary`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Profile {
    pub n_rows: u64,
    pub columns: Vec<ColumnProfile>,
}

/// What people read: counts, ranges, quantiles, histograms and top values of each column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileSummary {
    pub n_rows: u64,
    pub columns: Vec<ColumnSummary>,
}

/// The document that is kept as an artifact with each version of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileDocument {
    pub summary: ProfileSummary,
    pub state: Profile,
}

impl ProfileDocument {
    /// The profile that a version of a table was stored with.
    ///
    /// # Errors
    /// Those of the artifacts, when the document is gone or was changed.
    pub async fn load(artifacts: &Artifacts, digest: &Digest) -> Result<Self> {
        let bytes = artifacts.get(digest).await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::bug(format!("artifact {digest} is not a profile")).cause(error))
    }
}

impl Profile {
    /// Adds the rows of a batch of canonical types. A column that appears later counts as null in the rows before.
    pub fn add(&mut self, batch: &RecordBatch) {
        let n_before = self.n_rows;
        self.n_rows += batch.num_rows() as u64;
        for (field, values) in batch.schema().fields().iter().zip(batch.columns()) {
            self.column(field.name(), n_before).add(values);
        }
        self.fill_absent();
    }

    pub fn merge(&mut self, other: &Self) {
        let n_before = self.n_rows;
        self.n_rows += other.n_rows;
        for theirs in &other.columns {
            self.column(&theirs.name, n_before).merge(theirs);
        }
        self.fill_absent();
    }

    /// The profile of a column by its name.
    pub(crate) fn of_column(&self, name: &str) -> Option<&ColumnProfile> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn summary(&self) -> ProfileSummary {
        ProfileSummary { n_rows: self.n_rows, columns: self.columns.iter().map(ColumnProfile::summary).collect() }
    }

    pub fn document(self) -> ProfileDocument {
        ProfileDocument { summary: self.summary(), state: self }
    }

    fn column(&mut self, name: &str, n_rows_before: u64) -> &mut ColumnProfile {
        let index = self.columns.iter().position(|column| column.name == name).unwrap_or_else(|| {
            self.columns.push(ColumnProfile::new(name, n_rows_before));
            self.columns.len() - 1
        });
        &mut self.columns[index]
    }

    fn fill_absent(&mut self) {
        let n_rows = self.n_rows;
        self.columns.iter_mut().for_each(|column| column.fill_to(n_rows));
    }
}
