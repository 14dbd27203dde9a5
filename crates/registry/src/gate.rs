//! Gates: rules that a version must pass before it may serve.

use lw_core::{Name, Result};
use lw_evaluation::Metric;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::BAD_GATE;

/// One gate of a model's file. It says exactly one of `at_least`, `at_most` and `better_than`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateDefinition {
    pub name: Name,
    /// One of the metrics that the model's evaluation computes.
    pub metric: Metric,
    /// The smallest value that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The largest value that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// The model that must be beaten on the same rows. The first version of a model has no champion to beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub better_than: Option<Rival>,
    /// By how much more than this, in the metric's unit, it must be better. Ties never pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// The gate must hold for every value of this column that has enough rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rival {
    /// The version that serves now.
    Champion,
    /// The candidate without any features.
    Baseline,
}

/// What a gate asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rule {
    AtLeast(f64),
    AtMost(f64),
    BetterThan { rival: Rival, margin: f64 },
}

impl GateDefinition {
    /// Whether the gate makes sense.
    ///
    /// # Errors
    /// `bad-gate` with what to write instead.
    pub fn check(&self) -> Result<()> {
        let rule = self.rule()?;
        let bound = match rule {
            Rule::AtLeast(bound) | Rule::AtMost(bound) | Rule::BetterThan { margin: bound, .. } => bound,
        };
        let is_better_than = matches!(rule, Rule::BetterThan { .. });
        let problem = if !bound.is_finite() {
            Some(("its bound is not a finite number", "write a number such as 0.65"))
        } else if is_better_than && bound < 0.0 {
            Some(("its margin is negative", "write a margin of 0 or more: a worse model never passes"))
        } else if self.margin.is_some() && !is_better_than {
            Some(("`margin` stands without `better_than`", "remove the margin, or move it into the bound"))
        } else if self.segment.is_some() && is_better_than {
            Some((
                "`segment` and `better_than` stand together",
                "compare overall, or give the segments a bound with at_least or at_most",
            ))
        } else {
            None
        };
        problem.map_or(Ok(()), |(what, hint)| Err(BAD_GATE.error(format!("gate `{}`: {what}", self.name)).hint(hint)))
    }

    pub(crate) fn rule(&self) -> Result<Rule> {
        match (self.at_least, self.at_most, self.better_than) {
            (Some(bound), None, None) => Ok(Rule::AtLeast(bound)),
            (None, Some(bound), None) => Ok(Rule::AtMost(bound)),
            (None, None, Some(rival)) => Ok(Rule::BetterThan { rival, margin: self.margin.unwrap_or(0.0) }),
            _ => Err(BAD_GATE
                .error(format!("gate `{}` does not say exactly one of at_least, at_most and better_than", self.name))
                .hint("write one of them, such as `at_least: 0.65`; two conditions are two gates")),
        }
    }
}
