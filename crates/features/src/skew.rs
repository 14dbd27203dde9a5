//! Whether predictions saw the values that training would have seen.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use lw_core::{Error, Result};
use lw_engine::{Engine, KeyPair, OutputColumn, PitView, PointInTime};

use crate::failures::BAD_SKEW_CHECK;
use crate::recipe::JoinedView;
use crate::{AvailableRange, Sources, view_rows};

/// How one feature's logged values compare with its recomputed ones.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSkew {
    pub feature: String,
    pub n_compared: u64,
    pub n_different: u64,
}

impl FeatureSkew {
    /// The share of values that differ; 0 when none were compared.
    pub fn share(&self) -> f64 {
        if self.n_compared == 0 { 0.0 } else { self.n_different as f64 / self.n_compared as f64 }
    }
}

/// Recomputes a view's features for logged predictions by the point-in-time join and compares them with what was logged.
///
/// `logged` has the request fields that name the entity, the time of each prediction in `time_column`, and the features under
/// their names.
pub async fn check_skew(
    engine: &Engine,
    view: &JoinedView,
    sources: &Sources,
    logged: &RecordBatch,
    time_column: &str,
) -> Result<Vec<FeatureSkew>> {
    let definition = &view.definition;
    let keys: Vec<&str> = definition.entity.iter().map(|entity| view.request_field(entity)).collect();
    let mut wanted = keys.clone();
    wanted.push(time_column);
    let columns = wanted.iter().map(|name| Ok((*name, column(logged, name)?.clone()))).collect::<Result<Vec<_>>>()?;
    let spine = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .map_err(|error| Error::bug("columns of one batch differ in length").cause(error))?;
    let features: Vec<String> = definition.features.keys().cloned().collect();
    let until = lw_core::Timestamp::from_micros(i64::MAX);
    let pit_view = PitView {
        name: definition.feature_view.to_string(),
        rows: view_rows(engine, definition, sources, AvailableRange::until(until)).await?,
        keys: definition
            .entity
            .iter()
            .zip(&keys)
            .map(|(entity, field)| KeyPair { spine: (*field).to_owned(), view: entity.clone() })
            .collect(),
        event_time: definition.event_time.clone(),
        known_time: definition.known_time.clone(),
        ttl: definition.ttl,
        strictly_before: false,
        columns: features.iter().map(|name| OutputColumn { column: name.clone(), name: format!("offline_{name}") }).collect(),
    };
    let request = PointInTime { spine: vec![spine], time_column: time_column.to_owned(), views: vec![pit_view] };
    let joined = engine.point_in_time(request).await?;
    let schema = joined.first().ok_or_else(|| Error::bug("the join lost the logged rows"))?.schema();
    let offline = arrow::compute::concat_batches(&schema, &joined).map_err(|error| Error::bug("joined batches").cause(error))?;
    let compare_one =
        |feature: &String| compare(feature, column(logged, feature)?, column(&offline, &format!("offline_{feature}"))?);
    features.iter().map(compare_one).collect()
}

/// Compares two columns value by value. Nulls equal nulls, and floats may differ by one part in a thousand million, as they do
/// when they travel through text.
pub fn compare(feature: &str, online: &ArrayRef, offline: &ArrayRef) -> Result<FeatureSkew> {
    let unlike = || {
        BAD_SKEW_CHECK
            .error(format!(
                "`{feature}` was logged as {} values of type {}, and recomputed as {} of type {}",
                online.len(),
                online.data_type(),
                offline.len(),
                offline.data_type()
            ))
            .hint("compare predictions with the version of the view that they were made with")
    };
    if online.len() != offline.len() || online.data_type() != offline.data_type() {
        return Err(unlike());
    }
    let n_equal = match online.data_type() {
        DataType::Float64 => {
            let pairs = online.as_primitive::<Float64Type>().iter().zip(offline.as_primitive::<Float64Type>().iter());
            pairs.filter(|(one, other)| is_close(*one, *other, 1e-9)).count()
        }
        DataType::Float32 => {
            let pairs = online.as_primitive::<Float32Type>().iter().zip(offline.as_primitive::<Float32Type>().iter());
            pairs.filter(|(one, other)| is_close(one.map(f64::from), other.map(f64::from), 1e-6)).count()
        }
        _ => not_distinct(online, offline).map_err(|error| unlike().cause(error))?.true_count(),
    };
    let n_compared = online.len() as u64;
    Ok(FeatureSkew { feature: feature.to_owned(), n_compared, n_different: n_compared - n_equal as u64 })
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
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray};

    use super::*;

    #[track_caller]
    fn check(online: impl Array + 'static, offline: impl Array + 'static, n_different: u64) {
        let skew = compare("f", &(Arc::new(online) as ArrayRef), &(Arc::new(offline) as ArrayRef)).unwrap();
        assert_eq!((skew.n_compared, skew.n_different), (3, n_different));
    }

    #[test]
    fn values_are_compared_with_their_nulls() {
        let floats = |third| Float64Array::from(vec![Some(1.0), None, third]);
        check(floats(Some(0.1 + 0.2)), floats(Some(0.3)), 0);
        check(floats(Some(0.31)), floats(Some(0.3)), 1);
        check(floats(None), floats(Some(0.0)), 1);
        check(floats(Some(f64::NAN)), floats(Some(f64::NAN)), 0);
        check(StringArray::from(vec![Some("a"), None, Some("b")]), StringArray::from(vec![Some("a"), None, None]), 1);
        let share = FeatureSkew { feature: "f".to_owned(), n_compared: 4, n_different: 1 }.share();
        assert_eq!(share, 0.25);
    }

    #[test]
    fn columns_of_other_types_cannot_be_compared() {
        let one: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
        let other: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
        assert!(compare("f", &one, &other).unwrap_err().is(BAD_SKEW_CHECK));
    }
}
