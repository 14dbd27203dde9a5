//! Numbers that lie far from the other numbers of their column.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Float64Type};
use lw_core::{Error, Result};
use lw_stats::quantile_of_sorted;

use super::gather::Part;
use super::verdict::Finding;
use crate::OutlierMethod;

#[derive(Debug)]
pub(crate) struct Outlier {
    pub column: usize,
    pub method: OutlierMethod,
    pub limit: f64,
}

/// With fewer numbers than this, none is far from the others.
const FEWEST: usize = 10;

/// The numbers of the rows that went by; not a number where there is none.
#[derive(Default)]
pub(crate) struct Values {
    parts: Vec<(u64, Vec<f64>)>,
}

impl Values {
    pub(super) fn update(&mut self, outlier: &Outlier, part: &Part<'_>) -> Result<()> {
        let numbers = cast(part.rows.column(outlier.column), &ArrowType::Float64)
            .map_err(|error| Error::bug("an outlier rule is on a column of numbers").cause(error))?;
        let numbers = numbers.as_primitive::<Float64Type>();
        let number = |row_index: usize| {
            let counts = numbers.is_valid(row_index) && !part.kept_out.value(row_index);
            if counts { numbers.value(row_index) } else { f64::NAN }
        };
        self.parts.push((part.first_ordinal, (0..numbers.len()).map(number).collect()));
        Ok(())
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.parts.extend(other.parts);
    }

    /// Infinite numbers are outliers and do not enter the limits.
    pub(super) fn finish(mut self, outlier: &Outlier) -> Finding {
        self.parts.sort_unstable_by_key(|(first_ordinal, _)| *first_ordinal);
        let all = || self.parts.iter().flat_map(|(_, values)| values).copied();
        let n_checked = all().filter(|value| !value.is_nan()).count() as u64;
        let mut sorted: Vec<f64> = all().filter(|value| value.is_finite()).collect();
        if sorted.len() < FEWEST {
            return Finding::not_judged(format!("{} numbers are too few to tell which is far from the others", sorted.len()));
        }
        sorted.sort_unstable_by(f64::total_cmp);
        let limits = outlier.limits(sorted);
        let is_outside = |value: f64| value < limits.low || value > limits.high;
        let rows = self.parts.iter().flat_map(|(first_ordinal, values)| {
            let outside = values.iter().enumerate().filter(|(_, value)| is_outside(**value));
            outside.map(move |(row_index, _)| first_ordinal + row_index as u64)
        });
        let mut finding = Finding::of_rows(n_checked, rows.collect());
        finding.limits = Some(limits.told);
        finding
    }
}

struct Limits {
    low: f64,
    high: f64,
    told: String,
}

impl Outlier {
    fn limits(&self, sorted: Vec<f64>) -> Limits {
        let limit = self.limit;
        match self.method {
            OutlierMethod::RobustZ => {
                let median = quantile_of_sorted(&sorted, 0.5);
                let (low, high) = (median - limit * robust_scale(&sorted), median + limit * robust_scale(&sorted));
                Limits {
                    low,
                    high,
                    told: format!("{} to {} (median {}, robust z {limit})", short(low), short(high), short(median)),
                }
            }
            OutlierMethod::Iqr => {
                let (first, third) = (quantile_of_sorted(&sorted, 0.25), quantile_of_sorted(&sorted, 0.75));
                let (low, high) = (first - limit * (third - first), third + limit * (third - first));
                let quartiles = format!("quartiles {} and {}", short(first), short(third));
                Limits {
                    low,
                    high,
                    told: format!("{} to {} ({quartiles}, {limit} interquartile ranges)", short(low), short(high)),
                }
            }
        }
    }
}

/// The standard deviation of a normal distribution with this median absolute deviation. Where more than half of the values are
/// equal it is that with this mean absolute deviation (Iglewicz and Hoaglin, 1993, section 3.2).
pub(super) fn robust_scale(sorted: &[f64]) -> f64 {
    let median = quantile_of_sorted(sorted, 0.5);
    let mut deviations: Vec<f64> = sorted.iter().map(|value| (value - median).abs()).collect();
    deviations.sort_unstable_by(f64::total_cmp);
    let median_deviation = quantile_of_sorted(&deviations, 0.5);
    if median_deviation > 0.0 {
        return 1.4826 * median_deviation;
    }
    1.253_314 * deviations.iter().sum::<f64>() / deviations.len().max(1) as f64
}

/// A number with as many digits as people read.
pub(super) fn short(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, RecordBatch};
    use arrow::buffer::BooleanBuffer;

    use super::*;

    #[track_caller]
    fn check(method: OutlierMethod, limit: f64, values: &[f64], want: &[u64]) {
        let outlier = Outlier { column: 0, method, limit };
        let mut whole = Values::default();
        // The parts come in another order than the rows have.
        for (index, part) in values.chunks(4).enumerate().collect::<Vec<_>>().into_iter().rev() {
            let rows = RecordBatch::try_from_iter([("n", Arc::new(Float64Array::from(part.to_vec())) as _)]).unwrap();
            let kept_out = BooleanBuffer::new_unset(part.len());
            let mut values = Values::default();
            values.update(&outlier, &Part { first_ordinal: index as u64 * 4, rows: &rows, kept_out: &kept_out }).unwrap();
            whole.merge(values);
        }
        assert_eq!(whole.finish(&outlier).rows, want);
    }

    #[test]
    fn numbers_far_from_the_others_are_found() {
        use OutlierMethod::{Iqr, RobustZ};
        let usual = [10.0, 11.0, 12.0, 9.0, 10.0, 11.0, 13.0, 8.0, 10.0, 12.0, f64::NAN];
        check(RobustZ, 5.0, &usual, &[]);
        let with = |more: &[f64]| [&usual[..], more].concat();
        check(RobustZ, 5.0, &with(&[30.0, -20.0, f64::INFINITY]), &[11, 12, 13]);
        check(Iqr, 3.0, &with(&[16.0, 30.0]), &[12]);
        // Most values are equal, so their median deviation is zero.
        check(RobustZ, 5.0, &[[1.0; 20].as_slice(), &[1.5, 40.0]].concat(), &[21]);
        check(RobustZ, 5.0, &[1.0; 20], &[]);
        // Too few to tell.
        check(RobustZ, 5.0, &[1.0, 1.0, 2.0, 900.0], &[]);
    }

    #[test]
    fn numbers_are_told_short() {
        let told = [0.0, 1234.5678, 0.012_345, -3.0, 5e9].map(short);
        assert_eq!(told, ["0", "1235", "0.01235", "-3", "5000000000"].map(str::to_owned));
    }
}
