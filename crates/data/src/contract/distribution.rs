//! Whether a column has the distribution that it had in the last good version, by the profiles of both.

use lw_core::Result;
use lw_stats::{Drift, DriftMethod, FALSE_ALARM_RATE};

use super::outlier::short;
use super::verdict::Finding;
use crate::ColumnProfile;

#[derive(Debug)]
pub(crate) struct Distribution {
    pub column: String,
    pub method: DriftMethod,
    pub threshold: f64,
}

/// With fewer rows than this on a side the rule says nothing.
const FEWEST_ROWS: u64 = 50;

/// Compares a batch's column with that of an earlier version. A distance counts when it is above the threshold and above what chance
/// alone gives to samples of these sizes.
pub(crate) fn judge_distribution(
    rule: &Distribution,
    earlier: Option<(u64, &ColumnProfile)>,
    batch: Option<&ColumnProfile>,
) -> Result<Finding> {
    let Some((version, earlier)) = earlier else {
        return Ok(Finding::not_judged("no earlier version has kept this rule".to_owned()));
    };
    let Some(batch) = batch.filter(|batch| batch.n_rows() >= FEWEST_ROWS && earlier.n_rows() >= FEWEST_ROWS) else {
        return Ok(Finding::not_judged(format!("a distribution of fewer than {FEWEST_ROWS} rows says little")));
    };
    let Some((reference, window)) = earlier.comparable(batch)? else {
        return Ok(Finding::not_judged("the column has too many different texts to compare their shares".to_owned()));
    };
    let drift = Drift::measure(rule.method, &reference, &window)?;
    let threshold = drift.threshold(rule.threshold, FALSE_ALARM_RATE);
    let observed = format!("{} {}", rule.method, short(drift.value));
    let limits = format!("at most {} against version {version}", short(threshold));
    Ok(Finding::of_batch(drift.value > threshold, batch.n_rows(), observed, limits))
}
