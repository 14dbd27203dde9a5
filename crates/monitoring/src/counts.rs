//! What one window held.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use lw_core::Result;
use lw_stats::{Bins, Counts};

use crate::Reference;
use crate::reference::{to_numbers, to_texts};

/// Exact counts of a window's features and predictions, and the outcomes that are known so far. Parts of a window, counted
/// batch by batch or server by server, merge without loss. Memory: a few kilobytes a feature, 16 bytes a labelled row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WindowCounts {
    pub(crate) features: BTreeMap<String, Counts>,
    pub(crate) predictions: Option<Counts>,
    pub(crate) n_rows: u64,
    pub(crate) labels: Vec<f64>,
    pub(crate) labelled_predictions: Vec<f64>,
}

impl WindowCounts {
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a batch of predictions: its columns by the names of the model's inputs, and one prediction a row. Columns that
    /// the reference does not know are left out. Values that a change of type has made unreadable count as missing, values of
    /// a new kind as other, so that such a change shows as the drift it is.
    ///
    /// # Errors
    /// `unmonitored-type` for lists and structs.
    pub fn add(&mut self, reference: &Reference, features: &RecordBatch, predictions: &[f64]) -> Result<()> {
        for (field, values) in features.schema_ref().fields().iter().zip(features.columns()) {
            let name = field.name();
            let Some(histogram) = reference.features.get(name) else { continue };
            let counts = self.features.entry(name.clone()).or_insert_with(|| histogram.no_counts());
            let counted = match histogram.bins {
                Bins::Numeric { .. } => histogram.count_numbers(counts, &to_numbers(name, values)?),
                Bins::Categorical { .. } => {
                    let texts = to_texts(name, values)?;
                    histogram.count_texts(counts, texts.as_string::<i32>().iter())
                }
            };
            counted.map_err(|error| error.context(format!("feature `{name}`")))?;
        }
        if let Some(histogram) = &reference.predictions {
            let counts = self.predictions.get_or_insert_with(|| histogram.no_counts());
            histogram.count_numbers(counts, predictions)?;
        }
        self.n_rows += predictions.len() as u64;
        Ok(())
    }

    /// Adds rows of the window whose label has arrived: labels and the predictions that were made for them.
    pub fn add_outcomes(&mut self, outcomes: impl IntoIterator<Item = Outcome>) {
        for (label, prediction) in outcomes {
            self.labels.push(label);
            self.labelled_predictions.push(prediction);
        }
    }

    /// Adds another part of the same window.
    ///
    /// # Errors
    /// `histogram-mismatch` if it was counted against another reference.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        for (name, counts) in other.features {
            match self.features.get_mut(&name) {
                Some(known) => known.merge(&counts)?,
                None => drop(self.features.insert(name, counts)),
            }
        }
        match (&mut self.predictions, other.predictions) {
            (Some(known), Some(counts)) => known.merge(&counts)?,
            (known @ None, counts) => *known = counts,
            (Some(_), None) => {}
        }
        self.n_rows += other.n_rows;
        self.labels.extend(other.labels);
        self.labelled_predictions.extend(other.labelled_predictions);
        Ok(())
    }

    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    pub fn n_labels(&self) -> u64 {
        self.labels.len() as u64
    }
}

/// A label and the prediction that was made for it.
type Outcome = (f64, f64);
