//! Whether predictions saw the values that training would have seen.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use futures::future::try_join_all;
use lw_core::{Error, Result, Timestamp};
use lw_engine::{ExpressionSet, PointInTime};
use serde::{Deserialize, Serialize};

use crate::failures::BAD_SKEW_CHECK;
use crate::recipe::JoinedView;
use crate::{Sources, ViewComputer};

/// How one column's logged values compare with its recomputed ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnSkew {
    pub column: String,
    pub n_compared: u64,
    pub n_different: u64,
    /// The first prediction with another value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<SkewExample>,
}

/// A value that was not what training would have seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkewExample {
    /// When the prediction was made.
    pub at: Timestamp,
    /// What was served; none for a missing value.
    pub online: Option<String>,
    /// What the tables say was known then.
    pub offline: Option<String>,
}

impl ColumnSkew {
    /// The share of values that differ; 0 when none were compared.
    pub fn share(&self) -> f64 {
        if self.n_compared == 0 { 0.0 } else { self.n_different as f64 / self.n_compared as f64 }
    }
}

/// What logged predictions are compared with.
#[derive(Debug, Clone, Copy)]
pub struct SkewCheck<'a> {
    /// The views as they were looked up.
    pub views: &'a [JoinedView],
    /// Request fields, which the views are joined by and the expressions read.
    pub request: &'a [String],
    /// Request-time SQL by name, in order.
    pub expressions: &'a [(String, String)],
    /// The features and expressions to compare.
    pub columns: &'a [String],
    /// The column with the time of each prediction.
    pub time_column: &'a str,
    /// How far two numbers may be apart and count as equal, relative to the larger one.
    pub tolerance: f64,
    pub sources: &'a Sources,
}

impl SkewCheck<'_> {
    /// Recomputes features by the point-in-time join and expressions by the code of training, and compares them with what was logged
    /// under the same names.
    ///
    /// # Errors
    /// `bad-skew-check` if the log lacks a column or has it with another type.
    pub async fn run(&self, computer: &ViewComputer, logged: &RecordBatch) -> Result<Vec<ColumnSkew>> {
        let times = column(logged, self.time_column)?;
        let Some(until) = newest(times) else {
            return Ok(Vec::new());
        };
        let wanted = self.request.iter().map(String::as_str).chain([self.time_column]);
        let columns = wanted.map(|name| Ok((name, column(logged, name)?.clone(), true))).collect::<Result<Vec<_>>>()?;
        let spine = RecordBatch::try_from_iter_with_nullable(columns)
            .map_err(|error| Error::bug("columns of one batch differ in length").cause(error))?;
        let views = try_join_all(self.views.iter().map(|view| view.as_of(computer, self.sources, until))).await?;
        let request = PointInTime { spine: vec![spine], time_column: self.time_column.to_owned(), views };
        let joined = computer.engine().point_in_time(request).await?;
        let schema = joined.first().ok_or_else(|| Error::bug("the join lost the logged rows"))?.schema();
        let joined = concat_batches(&schema, &joined).map_err(|error| Error::bug("joined batches").cause(error))?;
        let offline = ExpressionSet::compile(self.expressions, &schema)?.evaluate(&joined)?;
        let compare_one = |name: &String| compare(name, times, column(logged, name)?, column(&offline, name)?, self.tolerance);
        self.columns.iter().map(compare_one).collect()
    }
}

fn newest(times: &ArrayRef) -> Option<Timestamp> {
    let times = times.as_primitive_opt::<TimestampMicrosecondType>()?;
    times.iter().flatten().max().map(Timestamp::from_micros)
}

/// Compares two columns value by value. Nulls equal nulls, and numbers may differ by the tolerance, since they travel through text.
fn compare(name: &str, times: &ArrayRef, online: &ArrayRef, offline: &ArrayRef, tolerance: f64) -> Result<ColumnSkew> {
    let unlike = || {
        BAD_SKEW_CHECK
            .error(format!(
                "`{name}` was logged as {} values of type {}, and recomputed as {} of type {}",
                online.len(),
                online.data_type(),
                offline.len(),
                offline.data_type()
            ))
            .hint("compare predictions with the version of the view that they were made with")
    };
    if online.len() != offline.len() || is_text(online.data_type()) != is_text(offline.data_type()) {
        return Err(unlike());
    }
    // Texts come in several layouts, and a log may be of an earlier type of a number.
    let online = match online.data_type() == offline.data_type() {
        true => Arc::clone(online),
        false => cast(online, offline.data_type()).map_err(|error| unlike().cause(error))?,
    };
    let is_equal = equal(&online, offline, tolerance).map_err(|error| unlike().cause(error))?;
    let first = (0..is_equal.len()).find(|row| !is_equal.value(*row));
    let text =
        |values: &ArrayRef, row: usize| values.is_valid(row).then(|| array_value_to_string(values, row).unwrap_or_default());
    let example = first.map(|row| SkewExample {
        at: times
            .as_primitive_opt::<TimestampMicrosecondType>()
            .map_or(Timestamp::from_micros(0), |times| Timestamp::from_micros(times.value(row))),
        online: text(&online, row),
        offline: text(offline, row),
    });
    let n_compared = online.len() as u64;
    let n_different = n_compared - is_equal.true_count() as u64;
    Ok(ColumnSkew { column: name.to_owned(), n_compared, n_different, example })
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn equal(online: &ArrayRef, offline: &ArrayRef, tolerance: f64) -> Result<BooleanArray, arrow::error::ArrowError> {
    Ok(match online.data_type() {
        DataType::Float64 => {
            let pairs = online.as_primitive::<Float64Type>().iter().zip(offline.as_primitive::<Float64Type>().iter());
            pairs.map(|(one, other)| Some(is_close(one, other, tolerance))).collect()
        }
        DataType::Float32 => {
            let pairs = online.as_primitive::<Float32Type>().iter().zip(offline.as_primitive::<Float32Type>().iter());
            pairs.map(|(one, other)| Some(is_close(one.map(f64::from), other.map(f64::from), tolerance))).collect()
        }
        _ => not_distinct(online, offline)?,
    })
}

fn is_close(one: Option<f64>, other: Option<f64>, tolerance: f64) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            one == other || (one.is_nan() && other.is_nan()) || (one - other).abs() <= tolerance * one.abs().max(other.abs())
        }
        _ => false,
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| {
        let schema = batch.schema();
        let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        BAD_SKEW_CHECK
            .error(format!("the logged predictions have no column `{name}`"))
            .hint(format!("they have {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, StringArray, StringViewArray, TimestampMicrosecondArray};

    use super::*;

    fn skew(online: impl Array + 'static, offline: impl Array + 'static) -> Result<ColumnSkew> {
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1, 2, 3]));
        compare("f", &times, &(Arc::new(online) as ArrayRef), &(Arc::new(offline) as ArrayRef), 1e-6)
    }

    #[track_caller]
    fn check(online: impl Array + 'static, offline: impl Array + 'static, n_different: u64) {
        let skew = skew(online, offline).unwrap();
        assert_eq!((skew.n_compared, skew.n_different), (3, n_different));
    }

    #[test]
    fn values_are_compared_with_their_nulls() {
        let floats = |third| Float64Array::from(vec![Some(1.0), None, third]);
        check(floats(Some(0.1 + 0.2)), floats(Some(0.3)), 0);
        check(floats(Some(0.31)), floats(Some(0.3)), 1);
        check(floats(None), floats(Some(0.0)), 1);
        check(floats(Some(f64::NAN)), floats(Some(f64::NAN)), 0);
        let texts = vec![Some("a"), None, Some("b")];
        check(StringArray::from(texts.clone()), StringArray::from(vec![Some("a"), None, None]), 1);
        check(StringArray::from(texts.clone()), StringViewArray::from(texts), 0);
    }

    #[test]
    fn the_first_difference_is_told() {
        let skew = skew(Float64Array::from(vec![Some(1.0), None, Some(2.0)]), Float64Array::from(vec![1.0, 7.5, 3.0])).unwrap();
        let at = Timestamp::from_micros(2);
        assert_eq!(skew.example, Some(SkewExample { at, online: None, offline: Some("7.5".to_owned()) }));
        assert!((skew.share() - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn texts_and_numbers_cannot_be_compared() {
        let error = skew(StringArray::from(vec!["1", "2", "3"]), Float64Array::from(vec![1.0, 2.0, 3.0])).unwrap_err();
        assert!(error.is(BAD_SKEW_CHECK));
    }
}
