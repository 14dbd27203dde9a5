//! What the rules found in a batch, and whether it may enter the table.

use lw_core::{Error, Place};
use serde::{Deserialize, Serialize};

use crate::failures::CONTRACT_REFUSED;
use crate::{Contract, Severity};

/// How many offenders a verdict names.
pub(crate) const N_FIRST: usize = 5;

/// A row that broke a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offence {
    pub file: String,
    /// Counts the rows of the file from 1, without its header; 0 when the reason is about the batch as a whole.
    pub row_number: u64,
    pub reason: String,
}

/// How many rows broke a rule: the short form of a verdict that is kept with a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleOutcome {
    pub rule: String,
    pub severity: Severity,
    pub n_broken: u64,
    pub first: Offence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Kept,
    Broken,
    /// The rule had nothing to go by: too little history, too few values. The note says what.
    NotJudged,
}

/// What one rule says about one batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleVerdict {
    pub rule: String,
    pub severity: Severity,
    pub outcome: Outcome,
    /// Rows that the rule looked at.
    pub n_checked: u64,
    /// Rows that broke it; 0 for a rule on the batch as a whole.
    pub n_broken: u64,
    /// What a rule on the batch measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// What the rule allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<String>,
    /// Why the rule was not judged, or what else is worth knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The first rows that broke it, at most five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<Offence>,
}

impl RuleVerdict {
    /// Whether the batch has at least one row and none of its rows keeps the rule: most likely the rule or the source has changed.
    pub fn never_holds(&self) -> bool {
        self.n_checked > 1 && self.n_broken == self.n_checked
    }

    /// Why a rule on the batch is broken.
    pub(crate) fn reason(&self) -> String {
        let observed = self.observed.as_deref().unwrap_or("it does not hold");
        match &self.limits {
            Some(limits) => format!("{observed}; allowed is {limits}"),
            None => observed.to_owned(),
        }
    }

    fn summary(&self) -> RuleOutcome {
        let of_batch = || Offence { file: String::new(), row_number: 0, reason: self.reason() };
        let first = self.first.first().cloned().unwrap_or_else(of_batch);
        RuleOutcome { rule: self.rule.clone(), severity: self.severity, n_broken: self.n_broken, first }
    }
}

/// What a rule on more than one row found, before rows have files and numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub outcome: Outcome,
    pub n_checked: u64,
    pub n_broken: u64,
    pub observed: Option<String>,
    pub limits: Option<String>,
    pub note: Option<String>,
    /// The positions, in the batch, of rows that broke the rule: all for a rule on rows, the first for one on the batch.
    pub rows: Vec<u64>,
}

impl Finding {
    /// Of a rule that rows break one by one.
    pub(super) fn of_rows(n_checked: u64, rows: Vec<u64>) -> Self {
        let outcome = if rows.is_empty() { Outcome::Kept } else { Outcome::Broken };
        Self { outcome, n_checked, n_broken: rows.len() as u64, observed: None, limits: None, note: None, rows }
    }

    /// Of a rule that the batch as a whole keeps or breaks.
    pub(super) fn of_batch(is_broken: bool, n_checked: u64, observed: impl Into<String>, limits: impl Into<String>) -> Self {
        let outcome = if is_broken { Outcome::Broken } else { Outcome::Kept };
        let (observed, limits) = (Some(observed.into()), Some(limits.into()));
        Self { outcome, n_checked, n_broken: 0, observed, limits, note: None, rows: Vec::new() }
    }

    pub(crate) fn not_judged(note: String) -> Self {
        let outcome = Outcome::NotJudged;
        Self { outcome, n_checked: 0, n_broken: 0, observed: None, limits: None, note: Some(note), rows: Vec::new() }
    }
}

/// The count of a batch. A row that breaks several rules counts once in `n_quarantined`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub n_rows: u64,
    pub n_quarantined: u64,
    /// One for each rule, in the order of the contract.
    pub verdicts: Vec<RuleVerdict>,
}

impl Tally {
    fn broken(&self) -> impl Iterator<Item = &RuleVerdict> {
        self.verdicts.iter().filter(|verdict| verdict.outcome == Outcome::Broken)
    }

    /// The broken rules in short.
    pub(crate) fn outcomes(&self) -> Vec<RuleOutcome> {
        self.broken().map(RuleVerdict::summary).collect()
    }
}

/// Why a batch may not enter the table, if so.
pub(crate) fn refusal(table: &str, tally: &Tally, contract: &Contract) -> Option<Error> {
    if let Some(verdict) = tally.broken().find(|verdict| verdict.severity == Severity::Reject) {
        return Some(rejected(table, verdict));
    }
    let share = tally.n_quarantined as f64 / tally.n_rows.max(1) as f64;
    if share <= contract.max_quarantined {
        return None;
    }
    let on_rows = tally.broken().filter(|verdict| verdict.severity == Severity::Quarantine && verdict.n_broken > 0);
    let worst = on_rows.max_by_key(|verdict| verdict.n_broken)?;
    let first = worst.first.first()?;
    let figures = format!("{} of {} rows would go to quarantine", tally.n_quarantined, tally.n_rows);
    let cause =
        format!("`{}` alone is broken {} times, first in row {}: {}", worst.rule, worst.n_broken, first.row_number, first.reason);
    let advice = if worst.never_holds() {
        format!("no row keeps `{}`: the rule is wrong, or the source has changed what the column means", worst.rule)
    } else {
        let allowed = percent(contract.max_quarantined);
        format!("{allowed} is allowed: correct the files, correct the rule, or raise `max_quarantined`")
    };
    Some(
        CONTRACT_REFUSED
            .error(format!("the contract of `{table}` refuses the batch: {figures}; {cause}"))
            .hint(advice)
            .at(Place { file: first.file.clone(), line: None, column: None }),
    )
}

fn rejected(table: &str, verdict: &RuleVerdict) -> Error {
    let Some(first) = verdict.first.first().filter(|first| first.row_number > 0 && verdict.observed.is_none()) else {
        let message = format!("`{}` is broken: {}", verdict.rule, verdict.reason());
        return CONTRACT_REFUSED
            .error(format!("the contract of `{table}` refuses the batch: {message}"))
            .hint("look at the files; if they are right, correct the rule or let it `warn`");
    };
    let more = if verdict.n_broken <= 1 { String::new() } else { format!(" (and {} more rows)", verdict.n_broken - 1) };
    let message = format!("row {} breaks `{}`: {}{more}", first.row_number, verdict.rule, first.reason);
    CONTRACT_REFUSED
        .error(format!("the contract of `{table}` refuses the batch: {message}"))
        .hint("correct the file, or let the rule send its rows away with `on_failure: quarantine`")
        .at(Place { file: first.file.clone(), line: None, column: None })
}

pub(super) fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(severity: Severity, n_checked: u64, n_broken: u64) -> RuleVerdict {
        let first = vec![Offence { file: "a.csv".into(), row_number: 3, reason: "`n` is 9, above 5".into() }];
        let (observed, limits, note) = (None, None, None);
        RuleVerdict {
            rule: "n.max".into(),
            severity,
            outcome: Outcome::Broken,
            n_checked,
            n_broken,
            observed,
            limits,
            note,
            first,
        }
    }

    #[track_caller]
    fn check(severity: Severity, n_rows: u64, n_broken: u64, want: Option<&str>) {
        let n_quarantined = if severity == Severity::Quarantine { n_broken } else { 0 };
        let tally = Tally { n_rows, n_quarantined, verdicts: vec![verdict(severity, n_rows, n_broken)] };
        let refused = refusal("t", &tally, &Contract { max_quarantined: 0.1, ..Contract::default() });
        assert_eq!(refused.as_ref().map(ToString::to_string).as_deref(), want);
    }

    #[test]
    fn a_batch_is_refused_by_severity_or_by_share() {
        check(Severity::Warn, 10, 10, None);
        check(Severity::Quarantine, 10, 1, None);
        let share = "a.csv: the contract of `t` refuses the batch: 2 of 10 rows would go to quarantine; \
                     `n.max` alone is broken 2 times, first in row 3: `n` is 9, above 5";
        check(Severity::Quarantine, 10, 2, Some(share));
        let one = "a.csv: the contract of `t` refuses the batch: row 3 breaks `n.max`: `n` is 9, above 5";
        check(Severity::Reject, 10, 1, Some(one));
    }

    #[test]
    fn a_rule_that_no_row_keeps_is_suspected_itself() {
        let tally = Tally { n_rows: 10, n_quarantined: 10, verdicts: vec![verdict(Severity::Quarantine, 10, 10)] };
        let error = refusal("t", &tally, &Contract::default()).unwrap();
        assert!(error.hint_text().unwrap().starts_with("no row keeps `n.max`"), "{error:?}");
    }

    #[test]
    fn a_rule_on_the_batch_refuses_with_what_it_measured() {
        let mut broken = verdict(Severity::Reject, 10, 0);
        (broken.rule, broken.first) = ("usual".into(), Vec::new());
        (broken.observed, broken.limits) = (Some("avg(n) = 7".into()), Some("avg(n) < 5".into()));
        let tally = Tally { n_rows: 10, n_quarantined: 0, verdicts: vec![broken] };
        let error = refusal("t", &tally, &Contract::default()).unwrap();
        let want = "the contract of `t` refuses the batch: `usual` is broken: avg(n) = 7; allowed is avg(n) < 5";
        assert_eq!(error.to_string(), want);
    }
}
