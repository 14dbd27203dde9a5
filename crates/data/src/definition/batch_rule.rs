//! Rules that need more than one row: sets of rows, the whole batch, its history, other tables.

use std::collections::BTreeMap;
use std::fmt;

use lw_core::{Name, Span};
use lw_stats::DriftMethod;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Severity;

/// Columns that together have no value twice in a batch. As in SQL, a row with a null in one of them repeats nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UniqueRule {
    pub columns: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Severity>,
}

/// Columns whose values stand in the current version of another table. As in SQL, a row with a null in one of them refers to
/// nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferenceRule {
    pub columns: Vec<String>,
    /// The source whose table has the values.
    pub table: Name,
    /// The columns there, in the same order; the same names if not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Severity>,
}

impl ReferenceRule {
    /// The columns of the other table.
    pub fn targets(&self) -> &[String] {
        if self.to.is_empty() { &self.columns } else { &self.to }
    }
}

/// Numbers of a column that lie far from its other numbers in the batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutlierRule {
    pub column: String,
    #[serde(default)]
    pub method: OutlierMethod,
    /// How far is too far: robust standard deviations from the median (5 if not given), or interquartile ranges beyond the
    /// quartiles (3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Severity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutlierMethod {
    /// The distance from the median in units of 1.4826 times the median absolute deviation.
    #[default]
    RobustZ,
    /// Tukey's fences: the distance beyond the quartiles in units of the interquartile range.
    Iqr,
}

/// A condition on all rows of a batch, such as `avg(amount) BETWEEN 10 AND 50`. As with a CHECK constraint, null counts as kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregateRule {
    pub name: Name,
    pub check: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Severity>,
}

/// How many rows a batch has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeRule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Limits that earlier batches teach, besides the fixed ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<LearnedVolume>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Severity>,
}

/// A band around the median of earlier batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearnedVolume {
    /// Which earlier batches are comparable.
    #[serde(default)]
    pub season: Season,
    /// How many robust standard deviations (1.4826 times the median absolute deviation) the band is wide to each side.
    #[serde(default = "default_width")]
    pub width: f64,
    /// How many comparable batches there must be before the rule says anything.
    #[serde(default = "default_history")]
    pub history: u32,
}

fn default_width() -> f64 {
    4.0
}

fn default_history() -> u32 {
    8
}

/// Batches that are comparable with each other, by the time (UTC) at which they were ingested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Season {
    /// All of them.
    #[default]
    None,
    /// Those of the same hour of the day.
    Hour,
    /// Those of the same day of the week.
    Weekday,
    /// Those of the same hour of the same day of the week.
    HourOfWeek,
}

/// A column whose distribution must be that of the newest version that kept this rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistributionRule {
    pub column: String,
    #[serde(default = "default_method")]
    pub method: DriftMethod,
    /// The smallest distance that matters; the method's usual one if not given. Where rows are few, chance alone may need more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Severity>,
}

fn default_method() -> DriftMethod {
    DriftMethod::Psi
}

/// Rows become known (`known_time`) within a time after their event (`event_time`). A row that is not known yet, although that
/// time has passed, is late too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelDelayRule {
    pub within: Span,
    /// The share of the rows, 0 to 1, that must keep it; all if not given.
    #[serde(default = "default_share_in_time")]
    pub share: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Severity>,
}

fn default_share_in_time() -> f64 {
    1.0
}

/// No column of text holds sensitive data unless it says so with `sensitive`. Looked at are samples, so this is no proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SensitiveRule {
    /// What to look for; everything if not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detect: Vec<Detector>,
    /// The share of a column's sampled values, 0 to 1, from which on the column counts as sensitive.
    #[serde(default = "default_sensitive_share")]
    pub share: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Severity>,
}

fn default_sensitive_share() -> f64 {
    0.1
}

/// A kind of sensitive data that a text can be recognised as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// An e-mail address.
    Email,
    /// An international bank account number, by its check digits (ISO 13616, ISO 7064 mod 97-10).
    Iban,
    /// A payment card number, by its issuer's range and check digit (ISO/IEC 7812, Luhn).
    CreditCard,
    /// A telephone number: international with `+`, or grouped by spaces, dots, dashes or brackets.
    Phone,
    /// An IPv4 or IPv6 address.
    IpAddress,
    /// A national identity number with a check digit: Brazil (CPF), France (NIR), Italy (codice fiscale), Netherlands (BSN with its
    /// usual grouping), Poland (PESEL), Spain (DNI, NIE), Sweden (personnummer); and the United States' social security number by
    /// its form.
    NationalId,
}

impl Detector {
    pub const ALL: [Self; 6] = [Self::Email, Self::Iban, Self::CreditCard, Self::Phone, Self::IpAddress, Self::NationalId];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Iban => "iban",
            Self::CreditCard => "credit_card",
            Self::Phone => "phone",
            Self::IpAddress => "ip_address",
            Self::NationalId => "national_id",
        }
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The shares that groups of rows have in a batch. Rows without a group do not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepresentationRule {
    pub column: String,
    /// The share, 0 to 1, that each group is expected to have. Together they may be less than 1: other groups are the rest.
    pub expected: BTreeMap<String, f64>,
    /// How far a share may be from the expected one. Where rows are few, chance alone may need more.
    #[serde(default = "default_tolerance")]
    pub tolerance: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Severity>,
}

fn default_tolerance() -> f64 {
    0.05
}
