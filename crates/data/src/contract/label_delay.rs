//! How long after its event a row is known.

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use lw_core::{Span, Timestamp};

use super::gather::Part;
use super::verdict::{Finding, N_FIRST, percent};

#[derive(Debug)]
pub(crate) struct LabelDelay {
    /// Positions of event and known time in the table's columns.
    pub event: usize,
    pub known: usize,
    pub within: Span,
    pub share: f64,
}

/// Counts of the rows that went by. Rows without an event time, and those that may still become known in time, do not count.
pub(crate) struct Delays {
    now: Timestamp,
    n_checked: u64,
    n_late: u64,
    n_overdue: u64,
    first: Vec<u64>,
}

impl Delays {
    pub(super) fn begin(now: Timestamp) -> Self {
        Self { now, n_checked: 0, n_late: 0, n_overdue: 0, first: Vec::new() }
    }

    pub(super) fn update(&mut self, rule: &LabelDelay, part: &Part<'_>) {
        let times = |column: usize| part.rows.column(column).as_primitive_opt::<TimestampMicrosecondType>();
        let (Some(events), Some(knowns)) = (times(rule.event), times(rule.known)) else { return };
        for (row_index, (event, known)) in events.iter().zip(knowns).enumerate() {
            let Some(event) = event.filter(|_| !part.kept_out.value(row_index)) else { continue };
            let limit = event.saturating_add(rule.within.micros());
            let is_overdue = known.is_none() && self.now.micros() > limit;
            if known.is_none() && !is_overdue {
                continue;
            }
            self.n_checked += 1;
            self.n_overdue += u64::from(is_overdue);
            if is_overdue || known.is_some_and(|known| known > limit) {
                self.n_late += 1;
                if self.first.len() < N_FIRST {
                    self.first.push(part.ordinal(row_index));
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.n_checked += other.n_checked;
        self.n_late += other.n_late;
        self.n_overdue += other.n_overdue;
        self.first.extend(other.first);
        self.first.sort_unstable();
        self.first.truncate(N_FIRST);
    }

    pub(super) fn judge(self, rule: &LabelDelay) -> Finding {
        let limits = format!("{} within {}", percent(rule.share), rule.within);
        if self.n_checked == 0 {
            return Finding::not_judged("no row is known yet, or overdue".to_owned());
        }
        let n_in_time = self.n_checked - self.n_late;
        let share = n_in_time as f64 / self.n_checked as f64;
        let overdue = if self.n_overdue == 0 { String::new() } else { format!(", {} are not known yet", self.n_overdue) };
        let observed = format!("{} ({n_in_time} of {} rows) within {}{overdue}", percent(share), self.n_checked, rule.within);
        let mut finding = Finding::of_batch(share < rule.share, self.n_checked, observed, limits);
        finding.n_broken = self.n_late;
        finding.rows = self.first;
        finding
    }
}
