//! Two profiles of one column as counts in the same bins.

use lw_core::Result;
use lw_stats::{Bins, Counts, ReferenceHistogram};

use super::column::ColumnProfile;

/// Numeric bins are cut at the hundredths of the reference.
const N_CUTS: usize = Bins::MOST_NUMERIC;

impl ColumnProfile {
    /// This column as a reference and another as a window counted in its bins. Texts are compared by their values, all else by its
    /// measure. None if the texts have so many values that neither profile counts them all.
    pub(crate) fn comparable(&self, window: &Self) -> Result<Option<(ReferenceHistogram, Counts)>> {
        if self.data_type.as_deref() == Some("Utf8") {
            return self.comparable_texts(window);
        }
        let (Some((lowest, _)), ranked) = (self.range, self.quantiles.ranked()) else {
            return Ok(None);
        };
        let mut upper: Vec<f64> = (1..=N_CUTS).filter_map(|cut| ranked.at(cut as f64 / N_CUTS as f64)).collect();
        upper.dedup();
        let counts_of = |profile: &Self| {
            let ranked = profile.quantiles.ranked();
            let n_numbers = profile.n_rows - profile.n_nulls - profile.n_not_finite;
            let mut counted = ranked.count_below(lowest);
            let mut cells = vec![profile.n_nulls, counted];
            for edge in &upper {
                let below = ranked.count_to(*edge).max(counted);
                cells.push(below - counted);
                counted = below;
            }
            cells.push(n_numbers.saturating_sub(counted) + profile.n_not_finite);
            Counts::from_cells(cells)
        };
        let (mine, theirs) = (counts_of(self), counts_of(window));
        let reference = ReferenceHistogram::from_counts(Bins::Numeric { lowest, upper }, mine)?;
        Ok(Some((reference, theirs)))
    }

    fn comparable_texts(&self, window: &Self) -> Result<Option<(ReferenceHistogram, Counts)>> {
        if !(self.top.is_exact() && window.top.is_exact()) {
            return Ok(None);
        }
        let values: Vec<String> = self.top.counts().map(|(value, _)| value.to_owned()).collect();
        let counts_of = |profile: &Self| {
            let mut cells = vec![0; values.len() + 2];
            cells[0] = profile.n_nulls;
            for (value, count) in profile.top.counts() {
                let cell = values.binary_search_by(|known| known.as_str().cmp(value)).map_or(values.len() + 1, |index| index + 1);
                cells[cell] += count;
            }
            Counts::from_cells(cells)
        };
        let (mine, theirs) = (counts_of(self), counts_of(window));
        let reference = ReferenceHistogram::from_counts(Bins::Categorical { values, largest_left_out: 0 }, mine)?;
        Ok(Some((reference, theirs)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
    use lw_stats::{Drift, DriftMethod};

    use super::super::Profile;
    use super::*;

    fn column(values: ArrayRef) -> ColumnProfile {
        let mut profile = Profile::default();
        profile.add(&RecordBatch::try_from_iter([("n", values)]).unwrap());
        profile.columns.remove(0)
    }

    fn numbers(values: impl Iterator<Item = f64>) -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(values))
    }

    fn drift(method: DriftMethod, reference: &ArrayRef, window: &ArrayRef) -> f64 {
        let (reference, window) = column(reference.clone()).comparable(&column(window.clone())).unwrap().unwrap();
        Drift::measure(method, &reference, &window).unwrap().value
    }

    /// The oracle counts the values themselves.
    #[test]
    fn sketches_measure_what_all_values_measure() {
        let spread = |index: u64, shift: f64| ((index * 7_919 % 40_000) as f64 / 400.0).powf(1.5) + shift;
        for n in [800_u64, 40_000] {
            let reference: Vec<f64> = (0..n).map(|index| spread(index * (40_000 / n), 0.0)).collect();
            let window: Vec<f64> = (0..n).map(|index| spread(index * (40_000 / n), 60.0)).collect();
            let exact = ReferenceHistogram::from_numbers(&reference).unwrap();
            let mut counts = exact.no_counts();
            exact.count_numbers(&mut counts, &window).unwrap();
            let (reference, window) = (numbers(reference.into_iter()), numbers(window.into_iter()));
            for method in [DriftMethod::Psi, DriftMethod::Ks] {
                let want = Drift::measure(method, &exact, &counts).unwrap().value;
                let got = drift(method, &reference, &window);
                assert!((got - want).abs() < 0.012 + 0.03 * want, "{method} of {n}: {got} {want}");
            }
            assert!(drift(DriftMethod::Psi, &reference, &reference).abs() < 1e-12);
        }
    }

    #[test]
    fn texts_are_compared_by_value() {
        let texts = |shares: [usize; 3]| -> ArrayRef {
            let values = ["a", "b", "c"].into_iter().zip(shares).flat_map(|(text, n)| std::iter::repeat_n(text, n));
            Arc::new(StringArray::from(values.collect::<Vec<_>>()))
        };
        // Total variation: half of |0.5 − 0.2| + |0.5 − 0.4| + |0 − 0.4|.
        let distance = drift(DriftMethod::Ks, &texts([500, 500, 0]), &texts([200, 400, 400]));
        assert!((distance - 0.4).abs() < 1e-12, "{distance}");
        let many: ArrayRef = Arc::new(StringArray::from_iter_values((0..2_000).map(|index| index.to_string())));
        assert!(column(many.clone()).comparable(&column(many)).unwrap().is_none());
    }
}
