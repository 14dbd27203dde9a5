//! The profile of one column.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use arrow::util::display::array_value_to_string;
use lw_stats::Moments;
use serde::{Deserialize, Serialize};

use super::distinct::{Distinct, hash_bits, hash_bytes};
use super::quantiles::Quantiles;
use super::top_values::{BatchCounts, TopValue, TopValues};

const N_TOP_VALUES: usize = 10;
const N_HISTOGRAM_BINS: usize = 20;
const QUANTILE_SHARES: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

/// Mergeable figures of one column. Numbers are the values themselves; for booleans 0 and 1, for dates days and for timestamps
/// microseconds since 1970, for strings their lengths in characters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    pub name: String,
    /// The arrow type of the values; none while no batch had the column.
    #[serde(rename = "type")]
    pub data_type: Option<String>,
    pub(super) n_rows: u64,
    pub(super) n_nulls: u64,
    /// Not-a-number and infinite values, which enter no other figure.
    pub(super) n_not_finite: u64,
    pub(super) range: Option<(f64, f64)>,
    moments: Moments,
    pub(super) quantiles: Quantiles,
    distinct: Distinct,
    pub(super) top: TopValues,
}

/// What people read of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnSummary {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: Option<String>,
    /// What minimum, maximum, mean, quantiles and histogram are of: `value`, or `length` (in characters) for strings.
    pub measure: String,
    pub n_rows: u64,
    pub n_nulls: u64,
    pub n_not_finite: u64,
    pub n_distinct: u64,
    /// Whether the number of distinct values is exact; otherwise its standard error is 1.6 %.
    pub is_distinct_exact: bool,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub mean: Option<f64>,
    /// The sample standard deviation (divided by n − 1).
    pub std: Option<f64>,
    pub quantiles: Vec<QuantilePoint>,
    /// Whether quantiles and histogram are exact; otherwise their ranks are off by some 0.2 %.
    pub are_quantiles_exact: bool,
    pub histogram: Option<Histogram>,
    pub top_values: Vec<TopValue>,
    /// Whether the counts of the top values are exact; otherwise they may be too low.
    pub is_top_exact: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QuantilePoint {
    pub share: f64,
    pub value: f64,
}

/// Bins of equal width from the minimum to the maximum. A value on an edge counts in the bin above, the maximum in the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// One more than there are counts.
    pub edges: Vec<f64>,
    pub counts: Vec<u64>,
}

impl ColumnProfile {
    pub(super) fn new(name: &str, n_rows_before: u64) -> Self {
        Self {
            name: name.to_owned(),
            data_type: None,
            n_rows: n_rows_before,
            n_nulls: n_rows_before,
            n_not_finite: 0,
            range: None,
            moments: Moments::default(),
            quantiles: Quantiles::default(),
            distinct: Distinct::default(),
            top: TopValues::default(),
        }
    }

    pub(super) fn add(&mut self, values: &ArrayRef) {
        self.data_type.get_or_insert_with(|| values.data_type().to_string());
        self.n_rows += values.len() as u64;
        self.n_nulls += values.logical_null_count() as u64;
        let mut batch = BatchCounts::default();
        match values.data_type() {
            ArrowType::Int32 => self.add_numbers::<Int32Type>(values.as_primitive(), &mut batch, f64::from),
            ArrowType::Int64 => self.add_numbers::<Int64Type>(values.as_primitive(), &mut batch, |value| value as f64),
            ArrowType::Float32 => self.add_numbers::<Float32Type>(values.as_primitive(), &mut batch, f64::from),
            ArrowType::Float64 => self.add_numbers::<Float64Type>(values.as_primitive(), &mut batch, |value| value),
            ArrowType::Date32 => self.add_numbers::<Date32Type>(values.as_primitive(), &mut batch, f64::from),
            ArrowType::Timestamp(TimeUnit::Microsecond, _) => {
                self.add_numbers::<TimestampMicrosecondType>(values.as_primitive(), &mut batch, |value| value as f64);
            }
            ArrowType::Boolean => {
                for (row_index, value) in values.as_boolean().iter().enumerate() {
                    if let Some(value) = value {
                        self.add_value(&mut batch, row_index, hash_bits(u64::from(value)), f64::from(u8::from(value)));
                    }
                }
            }
            ArrowType::Utf8 => {
                for (row_index, value) in values.as_string::<i32>().iter().enumerate() {
                    if let Some(text) = value {
                        self.add_value(&mut batch, row_index, hash_bytes(text.as_bytes()), text.chars().count() as f64);
                    }
                }
            }
            // Tables hold no other types; their nulls are counted all the same.
            _ => {}
        }
        self.top.add_batch(&batch, |row_index| array_value_to_string(values, row_index as usize).unwrap_or_default());
    }

    fn add_numbers<T: ArrowPrimitiveType>(
        &mut self,
        values: &PrimitiveArray<T>,
        batch: &mut BatchCounts,
        number_of: impl Fn(T::Native) -> f64,
    ) {
        for (row_index, value) in values.iter().enumerate() {
            let Some(number) = value.map(&number_of) else { continue };
            if !number.is_finite() {
                self.n_not_finite += 1;
                continue;
            }
            // Minus zero is zero.
            let number = number + 0.0;
            self.add_value(batch, row_index, hash_bits(number.to_bits()), number);
        }
    }

    fn add_value(&mut self, batch: &mut BatchCounts, row_index: usize, hash: u64, number: f64) {
        let seen = batch.entry(hash).or_insert((0, row_index as u32));
        seen.0 += 1;
        // A hash is new to the column at most once a batch.
        if seen.0 == 1 {
            self.distinct.add(hash);
        }
        self.moments.add(number);
        self.quantiles.add(number);
        self.range = Some(self.range.map_or((number, number), |(min, max)| (min.min(number), max.max(number))));
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if self.data_type.is_none() {
            self.data_type.clone_from(&other.data_type);
        }
        self.n_rows += other.n_rows;
        self.n_nulls += other.n_nulls;
        self.n_not_finite += other.n_not_finite;
        self.range = match (self.range, other.range) {
            (Some(mine), Some(theirs)) => Some((mine.0.min(theirs.0), mine.1.max(theirs.1))),
            (mine, theirs) => mine.or(theirs),
        };
        self.moments.merge(&other.moments);
        self.quantiles.merge(&other.quantiles);
        self.distinct.merge(&other.distinct);
        self.top.merge(&other.top);
    }

    /// Rows that do not have the column count as null.
    pub(super) fn fill_to(&mut self, n_rows: u64) {
        self.n_nulls += n_rows - self.n_rows;
        self.n_rows = n_rows;
    }

    pub(crate) fn n_rows(&self) -> u64 {
        self.n_rows
    }

    pub fn summary(&self) -> ColumnSummary {
        let ranked = self.quantiles.ranked();
        let point = |share| ranked.at(share).map(|value| QuantilePoint { share, value });
        ColumnSummary {
            name: self.name.clone(),
            data_type: self.data_type.clone(),
            measure: if self.data_type.as_deref() == Some("Utf8") { "length" } else { "value" }.to_owned(),
            n_rows: self.n_rows,
            n_nulls: self.n_nulls,
            n_not_finite: self.n_not_finite,
            n_distinct: self.distinct.count(),
            is_distinct_exact: self.distinct.is_exact(),
            min: self.range.map(|(min, _)| min),
            max: self.range.map(|(_, max)| max),
            mean: self.moments.mean(),
            std: self.moments.variance().map(f64::sqrt),
            quantiles: QUANTILE_SHARES.into_iter().filter_map(point).collect(),
            are_quantiles_exact: self.quantiles.is_exact(),
            histogram: self.range.map(|range| self.histogram(range)),
            top_values: self.top.top(N_TOP_VALUES),
            is_top_exact: self.top.is_exact(),
        }
    }

    fn histogram(&self, (min, max): (f64, f64)) -> Histogram {
        let ranked = self.quantiles.ranked();
        let n_bins = if min == max { 1 } else { N_HISTOGRAM_BINS };
        let width = (max - min) / n_bins as f64;
        let edges: Vec<f64> = (0..=n_bins).map(|bin| if bin == n_bins { max } else { min + width * bin as f64 }).collect();
        // The cumulated count at each edge; the maximum belongs to the last bin.
        let below = |bin: usize| if bin == n_bins { ranked.count_to(max) } else { ranked.count_below(edges[bin]) };
        let counts = (0..n_bins).map(|bin| below(bin + 1) - below(bin)).collect();
        Histogram { edges, counts }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float64Array, RecordBatch, StringArray};
    use proptest::prelude::*;

    use super::super::Profile;
    use super::*;

    fn profile(columns: Vec<(&str, ArrayRef)>) -> Profile {
        let mut profile = Profile::default();
        profile.add(&RecordBatch::try_from_iter(columns).unwrap());
        profile
    }

    #[test]
    fn each_type_has_its_measure() {
        let summary = profile(vec![
            ("text", Arc::new(StringArray::from(vec![Some("é"), Some("abc"), None, Some("abc")]))),
            ("flag", Arc::new(BooleanArray::from(vec![true, false, true, true]))),
            ("number", Arc::new(Float64Array::from(vec![1.0, f64::NAN, f64::INFINITY, -0.0]))),
        ])
        .summary();
        let [text, flag, number] = &summary.columns[..] else { panic!("three columns") };
        assert_eq!((text.n_nulls, text.n_distinct, text.min, text.max), (1, 2, Some(1.0), Some(3.0)));
        assert_eq!((text.measure.as_str(), &*text.top_values[0].value, text.top_values[0].count), ("length", "abc", 2));
        assert_eq!((flag.mean, flag.n_distinct), (Some(0.75), 2));
        assert_eq!((number.n_not_finite, number.min, number.max, number.mean), (2, Some(0.0), Some(1.0), Some(0.5)));
    }

    #[test]
    fn a_constant_column_has_one_bin() {
        let summary = profile(vec![("n", Arc::new(Float64Array::from(vec![2.0; 5])))]).summary();
        assert_eq!(summary.columns[0].histogram, Some(Histogram { edges: vec![2.0, 2.0], counts: vec![5] }));
    }

    proptest! {
        #[test]
        fn merged_parts_equal_the_whole(values in prop::collection::vec(prop::option::of(-50_i32..50), 1..400), split in 0_usize..400) {
            let split = split.min(values.len());
            let column = |part: &[Option<i32>]| -> ArrayRef { Arc::new(part.iter().map(|v| v.map(f64::from)).collect::<Float64Array>()) };
            let mut merged = profile(vec![("n", column(&values[..split]))]);
            merged.merge(&profile(vec![("n", column(&values[split..]))]));
            let (merged, whole) = (merged.summary(), profile(vec![("n", column(&values))]).summary());
            let (got, want) = (&merged.columns[0], &whole.columns[0]);
            prop_assert_eq!((got.n_rows, got.n_nulls, got.n_distinct), (want.n_rows, want.n_nulls, want.n_distinct));
            prop_assert_eq!((&got.quantiles, &got.histogram, &got.top_values), (&want.quantiles, &want.histogram, &want.top_values));
            prop_assert!((got.mean.unwrap_or(0.0) - want.mean.unwrap_or(0.0)).abs() < 1e-9);
            if let Some(histogram) = &got.histogram {
                prop_assert_eq!(histogram.counts.iter().sum::<u64>(), got.n_rows - got.n_nulls);
            }
        }
    }
}
