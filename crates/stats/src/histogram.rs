//! Histograms whose bins a reference sample fixes. Counts are exact, so that windows, replicas and batches merge by addition
//! without any error, and a window never needs its raw values.

use lw_core::Result;
use serde::{Deserialize, Serialize};

use crate::failures::{EMPTY_REFERENCE, HISTOGRAM_MISMATCH};

/// The cells of a histogram, without counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bins {
    /// Ascending upper edges; a bin holds its upper edge. The first bin begins at `lowest` and holds it too. Up to
    /// [`Bins::MOST_NUMERIC`] distinct values have a bin each; more are cut at quantiles of the reference.
    Numeric { lowest: f64, upper: Vec<f64> },
    /// The [`Bins::MOST_CATEGORIES`] most frequent values, in alphabetical order, and how many rows of the reference the most
    /// frequent one had that found no place among them.
    Categorical { values: Vec<String>, largest_left_out: u64 },
}

impl Bins {
    pub const MOST_NUMERIC: usize = 100;
    pub const MOST_CATEGORIES: usize = 1_000;

    /// Numeric: missing, below, one for each bin, above. Categorical: missing, one for each value, any other value.
    pub fn n_cells(&self) -> usize {
        match self {
            Self::Numeric { upper, .. } => upper.len() + 3,
            Self::Categorical { values, .. } => values.len() + 2,
        }
    }

    /// The cell of a number; not a number means missing.
    fn cell_of_number(lowest: f64, upper: &[f64], value: f64) -> usize {
        if value.is_nan() {
            return 0;
        }
        if value < lowest {
            return 1;
        }
        2 + upper.partition_point(|edge| *edge < value)
    }

    fn cell_of_text(values: &[String], value: Option<&str>) -> usize {
        let Some(value) = value else {
            return 0;
        };
        values.binary_search_by(|known| known.as_str().cmp(value)).map_or(values.len() + 1, |index| index + 1)
    }

    fn describe(&self) -> &'static str {
        match self {
            Self::Numeric { .. } => "numeric",
            Self::Categorical { .. } => "categorical",
        }
    }
}

/// How many values fell into each cell of some [`Bins`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(Vec<u64>);

impl Counts {
    /// Counts that were taken elsewhere, such as from a sketch, in the order of the cells of their bins.
    pub fn from_cells(cells: Vec<u64>) -> Self {
        Self(cells)
    }

    pub fn n_values(&self) -> u64 {
        self.0.iter().sum()
    }

    pub fn n_missing(&self) -> u64 {
        self.0.first().copied().unwrap_or(0)
    }

    pub fn cells(&self) -> &[u64] {
        &self.0
    }

    /// Adds the counts of another part of the same window.
    ///
    /// # Errors
    /// `histogram-mismatch` if they were counted in other bins.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.0.len() != other.0.len() {
            return Err(mismatch(format!("counts of {} cells cannot be added to {} cells", other.0.len(), self.0.len())));
        }
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count += more;
        }
        Ok(())
    }
}

fn mismatch(message: String) -> lw_core::Error {
    HISTOGRAM_MISMATCH.error(message).hint("count every window with the histogram of the reference it is compared with")
}

/// The distribution of one column in the reference data, such as a feature in the training set.
///
/// ```
/// use lw_stats::{Drift, DriftMethod, ReferenceHistogram};
///
/// let reference = ReferenceHistogram::from_numbers(&(0..1000).map(f64::from).collect::<Vec<_>>())?;
/// let mut window = reference.no_counts();
/// reference.count_numbers(&mut window, &(0..500).map(|i| f64::from(i) + 400.0).collect::<Vec<_>>())?;
/// let drift = Drift::measure(DriftMethod::Psi, &reference, &window)?;
/// assert!(drift.value > drift.threshold(0.25, 0.01));
/// # Ok::<(), lw_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReferenceHistogram {
    pub bins: Bins,
    pub counts: Counts,
}

impl ReferenceHistogram {
    /// From numbers; not a number means missing, infinite ones count as outside.
    ///
    /// # Errors
    /// `empty-reference` without values.
    pub fn from_numbers(values: &[f64]) -> Result<Self> {
        if values.is_empty() {
            return Err(empty());
        }
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let bins = Bins::Numeric { lowest: sorted.first().copied().unwrap_or(0.0), upper: upper_edges(&sorted) };
        let mut histogram = Self::with_bins(bins);
        let mut counts = histogram.no_counts();
        histogram.count_numbers(&mut counts, values)?;
        histogram.counts = counts;
        Ok(histogram)
    }

    /// From texts; none means missing. All but the [`Bins::MOST_CATEGORIES`] most frequent values count as other.
    ///
    /// # Errors
    /// `empty-reference` without values.
    pub fn from_texts<'a>(values: impl Iterator<Item = Option<&'a str>> + Clone) -> Result<Self> {
        let mut frequencies = std::collections::HashMap::<&str, u64>::new();
        for value in values.clone().flatten() {
            *frequencies.entry(value).or_default() += 1;
        }
        let mut by_frequency: Vec<(&str, u64)> = frequencies.into_iter().collect();
        by_frequency.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let largest_left_out = by_frequency.get(Bins::MOST_CATEGORIES).map_or(0, |(_, n_rows)| *n_rows);
        by_frequency.truncate(Bins::MOST_CATEGORIES);
        let mut kept: Vec<String> = by_frequency.into_iter().map(|(value, _)| value.to_owned()).collect();
        kept.sort_unstable();
        let mut histogram = Self::with_bins(Bins::Categorical { values: kept, largest_left_out });
        let mut counts = histogram.no_counts();
        histogram.count_texts(&mut counts, values)?;
        if counts.n_values() == 0 {
            return Err(empty());
        }
        histogram.counts = counts;
        Ok(histogram)
    }

    /// From bins and counts that were taken elsewhere, such as from a sketch.
    ///
    /// # Errors
    /// `empty-reference` without values, `histogram-mismatch` if the counts are not those of the bins' cells.
    pub fn from_counts(bins: Bins, counts: Counts) -> Result<Self> {
        if counts.n_values() == 0 {
            return Err(empty());
        }
        if counts.0.len() != bins.n_cells() {
            return Err(mismatch(format!("{} counts do not fill {} cells", counts.0.len(), bins.n_cells())));
        }
        Ok(Self { bins, counts })
    }

    fn with_bins(bins: Bins) -> Self {
        let counts = Counts(vec![0; bins.n_cells()]);
        Self { bins, counts }
    }

    /// Where the counts of a window begin.
    pub fn no_counts(&self) -> Counts {
        Counts(vec![0; self.bins.n_cells()])
    }

    /// Counts numbers of a window; not a number means missing.
    ///
    /// # Errors
    /// `histogram-mismatch` if the reference was not numeric or the counts belong to other bins.
    pub fn count_numbers(&self, counts: &mut Counts, values: &[f64]) -> Result<()> {
        self.check(counts)?;
        let Bins::Numeric { lowest, upper } = &self.bins else {
            return Err(mismatch(format!("numbers cannot be counted in a {} histogram", self.bins.describe())));
        };
        for value in values {
            counts.0[Bins::cell_of_number(*lowest, upper, *value)] += 1;
        }
        Ok(())
    }

    /// Counts texts of a window; none means missing.
    ///
    /// # Errors
    /// `histogram-mismatch` if the reference was not categorical or the counts belong to other bins.
    pub fn count_texts<'a>(&self, counts: &mut Counts, values: impl Iterator<Item = Option<&'a str>>) -> Result<()> {
        self.check(counts)?;
        let Bins::Categorical { values: known, .. } = &self.bins else {
            return Err(mismatch(format!("texts cannot be counted in a {} histogram", self.bins.describe())));
        };
        for value in values {
            counts.0[Bins::cell_of_text(known, value)] += 1;
        }
        Ok(())
    }

    /// Whether these counts have the cells of this histogram.
    pub(crate) fn check(&self, counts: &Counts) -> Result<()> {
        if counts.0.len() == self.bins.n_cells() && self.counts.0.len() == counts.0.len() {
            return Ok(());
        }
        Err(mismatch(format!("the reference has {} cells and the window {}", self.bins.n_cells(), counts.0.len())))
    }
}

fn empty() -> lw_core::Error {
    EMPTY_REFERENCE.error("the reference data has no rows").hint("build the reference from a training set that has rows")
}

/// One edge for each distinct value if they are few, else one for each hundredth of the values.
fn upper_edges(sorted: &[f64]) -> Vec<f64> {
    let mut distinct: Vec<f64> = Vec::new();
    for value in sorted {
        if distinct.last() != Some(value) {
            distinct.push(*value);
        }
        if distinct.len() > Bins::MOST_NUMERIC {
            let n_values = sorted.len();
            let mut edges: Vec<f64> =
                (1..=Bins::MOST_NUMERIC).map(|part| sorted[(part * n_values).div_ceil(Bins::MOST_NUMERIC) - 1]).collect();
            edges.dedup();
            return edges;
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_distinct_numbers_have_a_bin_each() {
        let histogram = ReferenceHistogram::from_numbers(&[3.0, 1.0, 1.0, f64::NAN, 2.0]).unwrap();
        assert_eq!(histogram.bins, Bins::Numeric { lowest: 1.0, upper: vec![1.0, 2.0, 3.0] });
        assert_eq!(histogram.counts.cells(), [1, 0, 2, 1, 1, 0]);
        let mut window = histogram.no_counts();
        histogram.count_numbers(&mut window, &[0.5, 2.5, 3.5, f64::INFINITY, f64::NEG_INFINITY]).unwrap();
        assert_eq!(window.cells(), [0, 2, 0, 0, 1, 2]);
    }

    #[test]
    fn rare_and_unknown_texts_share_a_cell() {
        let names: Vec<String> = (0..1_100).map(|i| format!("n{i:04}")).collect();
        let values: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).chain([Some("n0007"), None]).collect();
        let histogram = ReferenceHistogram::from_texts(values.into_iter()).unwrap();
        assert_eq!(histogram.counts.n_missing(), 1);
        assert_eq!(histogram.counts.cells().last(), Some(&100));
        let mut window = histogram.no_counts();
        histogram.count_texts(&mut window, [Some("n0007"), Some("new"), None].into_iter()).unwrap();
        assert_eq!((window.n_values(), window.cells()[8], window.n_missing()), (3, 1, 1));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(ReferenceHistogram::from_numbers(&[]).unwrap_err().is(EMPTY_REFERENCE));
        assert!(ReferenceHistogram::from_texts(std::iter::empty()).unwrap_err().is(EMPTY_REFERENCE));
        let numeric = ReferenceHistogram::from_numbers(&[1.0, 2.0]).unwrap();
        let texts = ReferenceHistogram::from_texts([Some("a")].into_iter()).unwrap();
        let mut counts = numeric.no_counts();
        assert!(numeric.count_texts(&mut counts, std::iter::empty()).unwrap_err().is(HISTOGRAM_MISMATCH));
        assert!(texts.count_texts(&mut counts, std::iter::empty()).unwrap_err().is(HISTOGRAM_MISMATCH));
        assert!(counts.merge(&texts.no_counts()).unwrap_err().is(HISTOGRAM_MISMATCH));
    }

    #[test]
    fn columns_without_finite_numbers_are_counted() {
        let histogram = ReferenceHistogram::from_numbers(&[f64::NAN, f64::INFINITY]).unwrap();
        assert_eq!(histogram.counts.cells(), [1, 0, 1]);
        assert_eq!(serde_json::to_string(&histogram.bins).unwrap(), r#"{"numeric":{"lowest":0.0,"upper":[]}}"#);
    }

    proptest! {
        #[test]
        fn parts_of_a_window_merge_to_the_whole(
            reference in prop::collection::vec(-1e3_f64..1e3, 1..400),
            window in prop::collection::vec(-2e3_f64..2e3, 0..200),
            split in 0_usize..200,
        ) {
            let histogram = ReferenceHistogram::from_numbers(&reference).unwrap();
            prop_assert_eq!(histogram.counts.n_values(), reference.len() as u64);
            prop_assert_eq!(histogram.counts.cells()[1] + histogram.counts.cells().last().unwrap(), 0, "nothing is outside");
            let count = |values: &[f64]| {
                let mut counts = histogram.no_counts();
                histogram.count_numbers(&mut counts, values).unwrap();
                counts
            };
            let split = split.min(window.len());
            let mut merged = count(&window[..split]);
            merged.merge(&count(&window[split..])).unwrap();
            prop_assert_eq!(merged, count(&window));
            let text = serde_json::to_string(&histogram).unwrap();
            prop_assert_eq!(serde_json::from_str::<ReferenceHistogram>(&text).unwrap(), histogram);
        }
    }
}
