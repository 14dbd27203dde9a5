//! The rows of an evaluation.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use lw_core::Result;
use lw_stats::Task;

use crate::failures::{BAD_SEGMENT_COLUMN, EVALUATION_ROWS_DIFFER};

/// Labels and predictions of the same rows, with the columns to segment by and, optionally, other models' predictions.
#[derive(Debug, Clone)]
pub struct EvaluationData<'a> {
    pub task: Task,
    /// 0 or 1 for a classification, any finite number for a regression.
    pub labels: &'a [f64],
    /// Probabilities of 1 for a classification, any finite number for a regression.
    pub predictions: &'a [f64],
    pub segments: Vec<SegmentColumn>,
    pub champion: Option<Rival<'a>>,
    pub baseline: Option<Rival<'a>>,
    /// Whether the predictions are the baseline's own.
    pub is_baseline: bool,
}

/// Another model's predictions for the same rows.
#[derive(Debug, Clone)]
pub struct Rival<'a> {
    /// What the report calls it, such as `late_arrival@3`.
    pub name: String,
    pub predictions: &'a [f64],
}

impl<'a> EvaluationData<'a> {
    pub fn new(task: Task, labels: &'a [f64], predictions: &'a [f64]) -> Self {
        Self { task, labels, predictions, segments: Vec::new(), champion: None, baseline: None, is_baseline: false }
    }

    #[must_use]
    pub fn segment(mut self, column: SegmentColumn) -> Self {
        self.segments.push(column);
        self
    }

    /// The version that serves now.
    #[must_use]
    pub fn champion(mut self, name: impl Into<String>, predictions: &'a [f64]) -> Self {
        self.champion = Some(Rival { name: name.into(), predictions });
        self
    }

    /// The simplest thing that could work, such as always the same answer.
    #[must_use]
    pub fn baseline(mut self, name: impl Into<String>, predictions: &'a [f64]) -> Self {
        self.baseline = Some(Rival { name: name.into(), predictions });
        self
    }

    /// Says that these predictions are the baseline's own: no other candidate was better.
    #[must_use]
    pub fn of_baseline(mut self) -> Self {
        self.is_baseline = true;
        self
    }

    /// Whether everything describes the same rows.
    pub(crate) fn check(&self) -> Result<()> {
        let rivals = self.champion.iter().chain(&self.baseline);
        let lengths = [("predictions".to_owned(), self.predictions.len())]
            .into_iter()
            .chain(rivals.map(|rival| (format!("predictions of {}", rival.name), rival.predictions.len())))
            .chain(self.segments.iter().map(|column| (format!("values of segment `{}`", column.name), column.codes.len())));
        for (what, length) in lengths {
            if length != self.labels.len() {
                let message = format!("there are {} labels but {length} {what}", self.labels.len());
                return Err(EVALUATION_ROWS_DIFFER
                    .error(message)
                    .hint("hand in one value for each labelled row, in the same order"));
            }
        }
        Ok(())
    }
}

/// A column of categories. Missing values are the category `(missing)`.
#[derive(Debug, Clone)]
pub struct SegmentColumn {
    pub(crate) name: String,
    /// The distinct values in alphabetical order.
    pub(crate) values: Vec<String>,
    /// The position in `values` of each row.
    pub(crate) codes: Vec<u32>,
}

const MISSING: &str = "(missing)";

impl SegmentColumn {
    pub fn from_texts<'a>(name: impl Into<String>, texts: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut order_of = BTreeMap::<&str, u32>::new();
        let mut seen_order: Vec<u32> = Vec::new();
        for text in texts {
            let next = order_of.len() as u32;
            seen_order.push(*order_of.entry(text.unwrap_or(MISSING)).or_insert(next));
        }
        // Positions by appearance become positions by alphabet.
        let mut alphabetical = vec![0_u32; order_of.len()];
        for (position, order) in (0_u32..).zip(order_of.values()) {
            alphabetical[*order as usize] = position;
        }
        let codes = seen_order.into_iter().map(|order| alphabetical[order as usize]).collect();
        Self { name: name.into(), values: order_of.into_keys().map(str::to_owned).collect(), codes }
    }

    /// From a column of any type whose values can be written as text.
    ///
    /// # Errors
    /// `bad-segment-column` for lists, structs and other columns without one.
    pub fn from_array(name: impl Into<String>, array: &dyn Array) -> Result<Self> {
        let name = name.into();
        let texts = arrow::compute::cast(array, &DataType::Utf8).map_err(|error| {
            BAD_SEGMENT_COLUMN
                .error(format!("column `{name}` of type {} cannot be segmented by", array.data_type()))
                .hint("name a column of texts, booleans or whole numbers")
                .cause(error)
        })?;
        Ok(Self::from_texts(name, texts.as_string::<i32>().iter()))
    }
}
