//! Online features of a request: one look-up a view and row, put into columns.

use arrow::array::ArrayRef;
use lw_core::{Error, Name, Result, Scalar, Timestamp};
use lw_engine::scalar_at;
use lw_features::{Lookup, OnlineView};
use serde::Serialize;

use crate::failures::INVALID_BUNDLE;
use crate::rows::{ColumnBuilder, Value};
use crate::{FeatureLookup, RequestField};

/// A view as a model version looks it up.
pub struct ViewReader {
    view: OnlineView,
    name: Name,
    version: u64,
    /// Positions of the request fields that hold the entity's keys, in the view's order.
    keys: Vec<usize>,
    columns: Vec<ReadColumn>,
}

struct ReadColumn {
    /// Among the view's features.
    position: usize,
    field: RequestField,
}

/// Rows for which a view had nothing to give: their features were null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LookupGap {
    pub view: Name,
    pub version: u64,
    /// Nothing is known of the entity.
    #[serde(rename = "missing")]
    pub n_missing: u64,
    /// What is known of the entity is older than the view's `ttl`.
    #[serde(rename = "expired")]
    pub n_expired: u64,
}

impl LookupGap {
    /// Adds a gap to those of other look-ups of the same request.
    pub(crate) fn merge(self, into: &mut Vec<Self>) {
        match into.iter_mut().find(|known| known.view == self.view && known.version == self.version) {
            Some(known) => {
                known.n_missing += self.n_missing;
                known.n_expired += self.n_expired;
            }
            None => into.push(self),
        }
    }
}

/// Buffers that requests on one thread share.
#[derive(Default)]
pub struct LookupScratch {
    key: Vec<Scalar>,
    found: Vec<Scalar>,
}

impl ViewReader {
    /// Binds a look-up to its view. `entity` are the view's keys in order; `request` the names of the bundle's request fields.
    pub fn new(lookup: &FeatureLookup, view: OnlineView, entity: &[String], request: &[RequestField]) -> Result<Self> {
        let invalid = |what: String| {
            INVALID_BUNDLE.error(format!("the look-up in `{}@{}` is not valid: {what}", lookup.view, lookup.version))
        };
        let key = |name: &String| {
            let field = lookup.keys.iter().find(|key| key.entity == *name).map(|key| &key.field);
            let position = field.and_then(|field| request.iter().position(|known| known.name == *field));
            position.ok_or_else(|| invalid(format!("no request field gives the key `{name}`")))
        };
        let column = |column: &crate::FeatureColumn| {
            let position = view.features().iter().position(|feature| feature.name == column.feature);
            match position.and_then(|position| view.features().get(position).map(|feature| (position, feature.data_type))) {
                Some((position, found)) if found == column.data_type => {
                    let field = RequestField { name: column.name.clone(), data_type: column.data_type, required: false };
                    Ok(ReadColumn { position, field })
                }
                Some((_, found)) => Err(invalid(format!("feature `{}` is {found}, not {}", column.feature, column.data_type))),
                None => Err(invalid(format!("the view has no feature `{}`", column.feature))),
            }
        };
        let keys = entity.iter().map(key).collect::<Result<_>>()?;
        let columns = lookup.columns.iter().map(column).collect::<Result<_>>()?;
        Ok(Self { view, name: lookup.view.clone(), version: lookup.version, keys, columns })
    }

    /// Appends a column for each feature: what was known about each row's entity at `at`. Unknown entities and values that are
    /// too old give null, as in training; how many there were is added to `gaps`.
    pub fn read(
        &self,
        request: &[ArrayRef],
        n_rows: usize,
        at: Timestamp,
        scratch: &mut LookupScratch,
        out: &mut Vec<ArrayRef>,
        gaps: &mut Vec<LookupGap>,
    ) -> Result<()> {
        let mut builders: Vec<ColumnBuilder> =
            self.columns.iter().map(|column| ColumnBuilder::new(column.field.data_type, n_rows)).collect();
        scratch.found.clear();
        scratch.found.resize(self.view.features().len(), Scalar::Null);
        let (mut n_missing, mut n_expired) = (0, 0);
        for row in 0..n_rows {
            scratch.key.clear();
            for index in &self.keys {
                let column = request.get(*index).ok_or_else(|| Error::bug("a key has no column"))?;
                scratch.key.push(scalar_at(column, row)?);
            }
            match self.view.lookup(&scratch.key, at, &mut scratch.found)? {
                Lookup::Found { .. } => {}
                Lookup::Expired { .. } => n_expired += 1,
                Lookup::Missing => n_missing += 1,
            }
            for (builder, column) in builders.iter_mut().zip(&self.columns) {
                let value = scratch.found.get(column.position).map_or(Value::Null, value);
                builder.push(value, &column.field)?;
            }
        }
        out.extend(builders.into_iter().map(ColumnBuilder::finish));
        if n_missing + n_expired > 0 {
            LookupGap { view: self.name.clone(), version: self.version, n_missing, n_expired }.merge(gaps);
        }
        Ok(())
    }
}

/// A number that is none counts as unknown.
fn value(scalar: &Scalar) -> Value<'_> {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => Value::Boolean(*value),
        Scalar::Int(value) => Value::Int(*value),
        Scalar::Float(value) if !value.is_finite() => Value::Null,
        Scalar::Float(value) => Value::Float(*value),
        Scalar::Text(text) => Value::Text(text),
        Scalar::Time(time) => Value::Micros(time.micros()),
    }
}
