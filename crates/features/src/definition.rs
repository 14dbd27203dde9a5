//! What users write about a feature view.

use std::collections::{BTreeMap, BTreeSet};

use lw_core::{DataType, Digest, Name, Result, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failures::BAD_FEATURE_VIEW;

/// `features/<name>.yaml`: values about an entity over time, computed by SQL over tables and other views.
///
/// Each row the SQL yields says: for this entity, from this event time on, the features have these values, until a row with
/// a later event time replaces it or it grows older than `ttl`. Nobody sees a row before its known time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewDefinition {
    pub feature_view: Name,
    pub description: String,
    /// Who answers for the view.
    pub owner: String,
    /// The columns that name the thing described, such as `[carrier]` or `[origin, dest]`.
    pub entity: Vec<String>,
    /// The column with the time from which a row describes its entity.
    pub event_time: String,
    /// The column with the time from which a row was available. Without it a row is known at its event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_time: Option<String>,
    /// How old a row may be and still count, the limit included. Without it rows do not age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
    /// One SELECT that yields the entity, the times and the features.
    pub sql: String,
    pub features: BTreeMap<String, FeatureDefinition>,
}

/// One feature: a column of the view's SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureDefinition {
    #[serde(rename = "type")]
    pub data_type: DataType,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl ViewDefinition {
    pub fn name(&self) -> &Name {
        &self.feature_view
    }

    /// The digest of the whole definition. A view whose digest changes is a new version of the view.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }

    /// The column that says when a row became available: the known time, or else the event time.
    pub fn known_column(&self) -> &str {
        self.known_time.as_deref().unwrap_or(&self.event_time)
    }

    /// The columns of the view as other views and joins see it: entity, event time, known time, then features by name.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = self.entity.iter().map(String::as_str).collect();
        columns.push(&self.event_time);
        columns.extend(self.known_time.as_deref().filter(|known| *known != self.event_time));
        columns.extend(self.features.keys().map(String::as_str));
        columns
    }

    /// Checks what can be seen without looking at the SQL: that there is an entity, a feature, and no name with two meanings.
    pub fn check_shape(&self) -> Result<()> {
        let bad = |what: &str, hint: &str| {
            Err(BAD_FEATURE_VIEW.error(format!("feature view `{}` {what}", self.feature_view)).hint(hint))
        };
        if self.entity.is_empty() {
            return bad("names no entity", "list the columns that identify the thing described, like `entity: [carrier]`");
        }
        if self.features.is_empty() {
            return bad("declares no features", "list each feature with its type, like `delay: {type: float64}`");
        }
        if self.ttl == Some(Span::ZERO) {
            return bad("has a ttl of zero", "leave `ttl` out if rows do not age");
        }
        if let Some(feature) = self.features.keys().find(|feature| Name::parse(feature).is_err()) {
            return bad(&format!("has a feature `{feature}`"), "name features in lower snake case, like `carrier_delay_24h`");
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.columns().into_iter().find(|column| !seen.insert(*column)) {
            return bad(&format!("uses the column `{twice}` twice"), "entity, times and features are different columns");
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A view over `flights` that the tests of this crate share.
    pub(crate) fn carrier_delays() -> ViewDefinition {
        ViewDefinition {
            feature_view: Name::parse("carrier_delays").unwrap(),
            description: "How late a carrier's flights have landed lately".to_owned(),
            owner: "ops".to_owned(),
            entity: vec!["carrier".to_owned()],
            event_time: "landed_at".to_owned(),
            known_time: None,
            ttl: Some(Span::from_hours(24)),
            sql: "SELECT carrier, landed_at, avg(arr_delay) AS delay FROM flights GROUP BY carrier, landed_at".to_owned(),
            features: BTreeMap::from([(
                "delay".to_owned(),
                FeatureDefinition { data_type: DataType::Float64, description: String::new() },
            )]),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut ViewDefinition), want: Option<&str>) {
        let mut view = carrier_delays();
        change(&mut view);
        let found = view.check_shape().err().map(|error| error.message().to_owned());
        assert_eq!(found.as_deref(), want.map(|what| format!("feature view `carrier_delays` {what}")).as_deref());
    }

    #[test]
    fn a_definition_must_make_sense_by_itself() {
        check(|_| {}, None);
        check(|view| view.entity.clear(), Some("names no entity"));
        check(|view| view.features.clear(), Some("declares no features"));
        check(|view| view.ttl = Some(Span::ZERO), Some("has a ttl of zero"));
        check(|view| view.event_time = "carrier".to_owned(), Some("uses the column `carrier` twice"));
        check(|view| view.known_time = Some("landed_at".to_owned()), None);
        check(|view| view.entity.push("delay".to_owned()), Some("uses the column `delay` twice"));
    }

    #[test]
    fn any_change_of_a_definition_changes_its_digest() {
        let view = carrier_delays();
        let mut other = view.clone();
        other.ttl = None;
        assert_eq!(view.digest(), carrier_delays().digest());
        assert_ne!(view.digest(), other.digest());
    }

    #[test]
    fn unknown_fields_are_refused() {
        let text = r#"{"feature_view":"v","description":"","owner":"o","entity":["a"],"event_time":"t","tll":"1h","sql":"","features":{}}"#;
        let error = serde_json::from_str::<ViewDefinition>(text).unwrap_err().to_string();
        assert!(error.contains("unknown field `tll`"), "{error}");
    }
}
