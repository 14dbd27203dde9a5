//! What rows and batches must keep, and what happens to those that do not.

use lw_core::{Name, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::batch_rule::{
    AggregateRule, DistributionRule, LabelDelayRule, OutlierRule, ReferenceRule, RepresentationRule, SensitiveRule, UniqueRule,
    VolumeRule,
};

/// What rows must keep as a whole, and what happens to those that do not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Which columns a file may have besides the declared ones.
    #[serde(default)]
    pub evolution: Evolution,
    /// What happens to rows that break a rule without an `on_failure` of its own.
    #[serde(default)]
    pub on_failure: Severity,
    /// The share of a batch's rows, 0 to 1, that rules on rows may send to quarantine. Above it the whole batch is refused.
    #[serde(default = "default_max_quarantined")]
    pub max_quarantined: f64,
    /// How old the newest event time may be before the table counts as stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Span>,
    /// Rules over a whole row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RowRule>,
    /// Columns that together have no value twice in a batch. The `key` is unique in all versions besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique: Vec<UniqueRule>,
    /// What happens to rows that are equal to an earlier one of the batch in every declared column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<Severity>,
    /// Columns whose values must be found in another table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<ReferenceRule>,
    /// Numbers that must not lie far from the other numbers of their column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outliers: Vec<OutlierRule>,
    /// Conditions in SQL on all rows of a batch together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aggregates: Vec<AggregateRule>,
    /// How many rows a batch has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeRule>,
    /// Columns whose distribution must be that of the last good version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distribution: Vec<DistributionRule>,
    /// How long after its event a row is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_delay: Option<LabelDelayRule>,
    /// Whether columns hold sensitive data that they do not declare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitive: Option<SensitiveRule>,
    /// Groups whose shares of the batch must be the expected ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub representation: Vec<RepresentationRule>,
}

impl Default for Contract {
    fn default() -> Self {
        Self {
            evolution: Evolution::default(),
            on_failure: Severity::default(),
            max_quarantined: default_max_quarantined(),
            freshness: None,
            rules: Vec::new(),
            unique: Vec::new(),
            duplicates: None,
            references: Vec::new(),
            outliers: Vec::new(),
            aggregates: Vec::new(),
            volume: None,
            distribution: Vec::new(),
            label_delay: None,
            sensitive: None,
            representation: Vec::new(),
        }
    }
}

fn default_max_quarantined() -> f64 {
    0.05
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Evolution {
    /// Exactly the declared columns.
    #[default]
    Strict,
    /// The declared columns and any others, which join the table.
    Additive,
    /// Declared columns may be missing (they are null), others join the table.
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The row stays in the table and is counted.
    Warn,
    /// The row goes to the quarantine table with the reason; when the rule is one on the whole batch, all its rows go there.
    #[default]
    Quarantine,
    /// The whole batch is refused.
    Reject,
}

/// A rule in SQL over the columns and derived columns of one row. As with a CHECK constraint, null counts as kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowRule {
    pub name: Name,
    pub check: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Severity>,
    /// What the quarantine tells about a row that breaks the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
