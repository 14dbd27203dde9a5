//! The answer to a request.

use lw_core::Name;
use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

use crate::features::LookupGap;
use crate::{Output, Role, Served};

/// Scores in the order of the request's rows, each with the version that gave it.
///
/// As JSON: `{"endpoint": "late_arrival", "generation": 4, "predictions": [{"id": "UA-1545", "score": 0.31, "predicted": false,
/// "model": "late_arrival", "version": 3, "role": "champion"}]}`. A regression has no `predicted`.
/// Where a view had nothing for some rows, there is `"lookups": [{"view": "carrier_delay", "version": 1, "missing": 1, "expired": 0}]`.
#[derive(Debug, Clone)]
pub struct Predictions {
    pub endpoint: Name,
    pub generation: u64,
    pub ids: Vec<Option<Box<str>>>,
    pub scores: Vec<f64>,
    /// Position in `answered_by`, one a row.
    pub by: Vec<u8>,
    pub answered_by: Vec<Answerer>,
    /// Views that had nothing for some of the rows.
    pub lookups: Vec<LookupGap>,
}

/// A version that has answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answerer {
    pub served: Served,
    pub role: Role,
    pub output: Output,
}

impl Predictions {
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// The version that answered a row.
    pub fn answerer(&self, row: usize) -> Option<&Answerer> {
        self.answered_by.get(usize::from(*self.by.get(row)?))
    }
}

#[derive(Serialize)]
struct One<'a> {
    id: &'a str,
    score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicted: Option<bool>,
    model: &'a str,
    version: u64,
    role: Role,
}

impl Serialize for Predictions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let n_fields = if self.lookups.is_empty() { 3 } else { 4 };
        let mut object = serializer.serialize_struct("Predictions", n_fields)?;
        object.serialize_field("endpoint", &self.endpoint)?;
        object.serialize_field("generation", &self.generation)?;
        object.serialize_field("predictions", &Each(self))?;
        if !self.lookups.is_empty() {
            object.serialize_field("lookups", &self.lookups)?;
        }
        object.end()
    }
}

/// The rows, written without an object for each in memory.
struct Each<'a>(&'a Predictions);

impl Serialize for Each<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (row, (score, id)) in self.0.scores.iter().zip(&self.0.ids).enumerate() {
            let Some(by) = self.0.answerer(row) else { continue };
            list.serialize_element(&One {
                id: id.as_deref().unwrap_or_default(),
                score: *score,
                predicted: by.output.predicted(*score),
                model: by.served.model.as_str(),
                version: by.served.version,
                role: by.role,
            })?;
        }
        list.end()
    }
}
