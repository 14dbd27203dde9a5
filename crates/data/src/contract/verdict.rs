//! What the rules found in a batch, and whether it may enter the table.

use lw_core::{Error, Place};
use serde::{Deserialize, Serialize};

use crate::failures::CONTRACT_REFUSED;
use crate::{Contract, Severity};

/// The first row that broke a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offence {
    pub file: String,
    /// Counts the rows of the file from 1, without its header.
    pub row_number: u64,
    pub reason: String,
}

/// How many rows broke a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleOutcome {
    pub rule: String,
    pub severity: Severity,
    pub n_broken: u64,
    pub first: Offence,
}

/// The count of a batch. A row that breaks several rules counts once in `n_quarantined`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub n_rows: u64,
    pub n_quarantined: u64,
    /// Rules that at least one row broke, in the order of the contract.
    pub outcomes: Vec<RuleOutcome>,
}

/// Why a batch may not enter the table, if so.
pub(crate) fn refusal(table: &str, tally: &Tally, contract: &Contract) -> Option<Error> {
    if let Some(outcome) = tally.outcomes.iter().find(|outcome| outcome.severity == Severity::Reject) {
        let more = if outcome.n_broken == 1 { String::new() } else { format!(" (and {} more rows)", outcome.n_broken - 1) };
        let message = format!("row {} breaks `{}`: {}{more}", outcome.first.row_number, outcome.rule, outcome.first.reason);
        return Some(
            CONTRACT_REFUSED
                .error(format!("the contract of `{table}` refuses the batch: {message}"))
                .hint("correct the file, or let the rule send its rows away with `on_failure: quarantine`")
                .at(Place { file: outcome.first.file.clone(), line: None, column: None }),
        );
    }
    let share = tally.n_quarantined as f64 / tally.n_rows.max(1) as f64;
    if share <= contract.max_quarantined {
        return None;
    }
    let worst = tally
        .outcomes
        .iter()
        .filter(|outcome| outcome.severity == Severity::Quarantine)
        .max_by_key(|outcome| outcome.n_broken)?;
    let figures = format!("{} of {} rows would go to quarantine", tally.n_quarantined, tally.n_rows);
    let cause = format!(
        "`{}` alone is broken {} times, first in row {}: {}",
        worst.rule, worst.n_broken, worst.first.row_number, worst.first.reason
    );
    Some(
        CONTRACT_REFUSED
            .error(format!("the contract of `{table}` refuses the batch: {figures}; {cause}"))
            .hint(format!(
                "{} is allowed: correct the files, correct the rule, or raise `max_quarantined`",
                percent(contract.max_quarantined)
            ))
            .at(Place { file: worst.first.file.clone(), line: None, column: None }),
    )
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(severity: Severity, n_rows: u64, n_broken: u64, want: Option<&str>) {
        let first = Offence { file: "a.csv".into(), row_number: 3, reason: "`n` is 9, above 5".into() };
        let outcomes = vec![RuleOutcome { rule: "n.max".into(), severity, n_broken, first }];
        let n_quarantined = if severity == Severity::Quarantine { n_broken } else { 0 };
        let tally = Tally { n_rows, n_quarantined, outcomes };
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
}
