//! The shares that groups of rows have in a batch.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType as ArrowType;
use lw_core::{Error, Result};
use lw_stats::wilson;

use super::gather::Part;
use super::verdict::{Finding, percent};

#[derive(Debug)]
pub(crate) struct Groups {
    pub column: usize,
    /// Each group with its expected share.
    pub expected: Vec<(String, f64)>,
    pub tolerance: f64,
}

/// A share is off when this interval around it lies outside of what is tolerated.
const LEVEL: f64 = 0.99;

pub(crate) struct GroupCounts {
    /// One for each expected group, then one for all others.
    counts: Vec<u64>,
}

impl GroupCounts {
    pub(super) fn begin(groups: &Groups) -> Self {
        Self { counts: vec![0; groups.expected.len() + 1] }
    }

    pub(super) fn update(&mut self, groups: &Groups, part: &Part<'_>) -> Result<()> {
        let texts = cast(part.rows.column(groups.column), &ArrowType::Utf8)
            .map_err(|error| Error::bug("a group can be written as text").cause(error))?;
        let texts = texts.as_string::<i32>();
        for (row_index, group) in texts.iter().enumerate() {
            let Some(group) = group.filter(|_| !part.kept_out.value(row_index)) else { continue };
            let index = groups.expected.iter().position(|(expected, _)| expected == group).unwrap_or(groups.expected.len());
            self.counts[index] += 1;
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
    }

    pub(super) fn judge(&self, groups: &Groups) -> Finding {
        let n_rows: u64 = self.counts.iter().sum();
        if n_rows == 0 {
            return Finding::not_judged("no row has a group".to_owned());
        }
        let rest = (1.0 - groups.expected.iter().map(|(_, share)| share).sum::<f64>()).max(0.0);
        let others = ("others".to_owned(), rest);
        let mut is_broken = false;
        let mut told = Vec::with_capacity(self.counts.len());
        for ((group, expected), count) in groups.expected.iter().chain([&others]).zip(&self.counts) {
            let interval = wilson(*count, n_rows, LEVEL);
            let is_off = interval.low > expected + groups.tolerance || interval.high < expected - groups.tolerance;
            is_broken |= is_off;
            if *count > 0 || *expected > 0.0 {
                let share = percent(*count as f64 / n_rows as f64);
                let mark = if is_off { ", off" } else { "" };
                told.push(format!("{group} {share} ({count} of {n_rows}{mark})"));
            }
        }
        let expected: Vec<String> = groups.expected.iter().map(|(group, share)| format!("{group} {}", percent(*share))).collect();
        let limits = format!("{}, each ± {}", expected.join(", "), percent(groups.tolerance));
        Finding::of_batch(is_broken, n_rows, told.join(", "), limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    #[track_caller]
    fn check(counts: [u64; 3], tolerance: f64, want: Outcome, observed: &str) {
        let expected = vec![("female".to_owned(), 0.5), ("male".to_owned(), 0.5)];
        let finding = GroupCounts { counts: counts.to_vec() }.judge(&Groups { column: 0, expected, tolerance });
        assert_eq!((finding.outcome, finding.observed.as_deref().unwrap_or_default()), (want, observed));
    }

    #[test]
    fn a_share_is_off_when_chance_does_not_explain_it() {
        check([480, 520, 0], 0.05, Outcome::Kept, "female 48 % (480 of 1000), male 52 % (520 of 1000)");
        check([300, 700, 0], 0.05, Outcome::Broken, "female 30 % (300 of 1000, off), male 70 % (700 of 1000, off)");
        // The same shares of ten rows may be chance.
        check([3, 7, 0], 0.05, Outcome::Kept, "female 30 % (3 of 10), male 70 % (7 of 10)");
        let others = "female 40 % (400 of 1000, off), male 45 % (450 of 1000), others 15 % (150 of 1000, off)";
        check([400, 450, 150], 0.05, Outcome::Broken, others);
        check([0, 0, 0], 0.05, Outcome::NotJudged, "");
    }
}
