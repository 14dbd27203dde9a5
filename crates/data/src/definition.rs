//! What a user writes about a source: where its files are, which columns they have, and the contract that rows must keep.

mod batch_rule;
mod contract;

use std::fmt;

use lw_core::{DataType, Digest, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use batch_rule::{
    AggregateRule, Detector, DistributionRule, LabelDelayRule, LearnedVolume, OutlierMethod, OutlierRule, ReferenceRule,
    RepresentationRule, Season, SensitiveRule, UniqueRule, VolumeRule,
};
pub use contract::{Contract, Evolution, RowRule, Severity};

use crate::Ordered;

/// One file `sources/<name>.yaml`. The rows that keep the contract become versions of the table `<name>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceDefinition {
    /// The name of the source and of its table.
    #[serde(rename = "source")]
    pub name: Name,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Files inside the project folder: a path, a glob (`data/*.csv`) or a pattern with a period: `{year}` (2013), `{month}`
    /// (2013-01) or `{day}` (2013-01-31). The file of a period has landed once the period has begun.
    pub files: String,
    pub format: Format,
    /// CSV only: texts that mean "no value", besides the empty field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub null_values: Vec<String>,
    /// CSV only: what separates fields, a comma if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// What to do when a file that was ingested has other content now.
    #[serde(default)]
    pub on_change: OnChange,
    /// The columns that the files have.
    pub columns: Ordered<ColumnDefinition>,
    /// Columns that are computed: SQL over the columns above and the derived ones before.
    #[serde(default, skip_serializing_if = "Ordered::is_empty")]
    pub derive: Ordered<String>,
    /// Columns that together identify a row, in this batch and in all versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// When the thing happened that a row tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<String>,
    /// When the row, or its outcome, became known. Null means not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_time: Option<String>,
    #[serde(default)]
    pub contract: Contract,
}

impl SourceDefinition {
    /// The digest of the definition: two files that say the same have the same digest, whatever their layout.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }

    /// The digest of what decides whether a row enters the table: columns, derived columns, key and contract.
    pub fn contract_digest(&self) -> Digest {
        Digest::of_json(&(&self.columns, &self.derive, &self.key, &self.contract))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A header line, then one row a line (RFC 4180), UTF-8.
    Csv,
    /// One JSON object a line, UTF-8.
    Jsonl,
    Parquet,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Jsonl => "JSON Lines",
            Self::Parquet => "Parquet",
        })
    }
}

/// What a changed file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// Files are written once: a changed one is refused.
    #[default]
    Refuse,
    /// The file is a list that is kept up to date: its rows replace those with the same key and add new ones.
    Merge,
}

/// A column of the files and the rules that each of its values must keep. Nulls keep every rule but `required`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnDefinition {
    #[serde(rename = "type")]
    pub data_type: DataType,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The column's name in the files, where it is not the name here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Timestamps only: the zone of values that carry none, such as `America/New_York`. A time that a clock change makes ambiguous
    /// is the earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Whether null breaks the contract.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Literal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Literal>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Literal>,
    /// Strings only: a regular expression that the whole value must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// Which sensitive data the column holds on purpose, so that the contract's rule `sensitive` accepts them here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensitive: Vec<Detector>,
    /// What happens to rows that break a rule of this column; the contract's `on_failure` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Severity>,
}

/// A value in a rule: `6000`, `0.5`, `EWR` or, for dates and timestamps, `2013-01-01`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Literal {
    Bool(bool),
    Int(i64),
    Float(#[serde(deserialize_with = "finite")] f64),
    Text(String),
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if value.is_finite() { Ok(value) } else { Err(serde::de::Error::custom("a limit must be a finite number")) }
}
