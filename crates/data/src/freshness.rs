//! How old a table's newest event is.

use lw_core::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Whether a table keeps its promise of freshness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Freshness {
    /// The contract promises nothing, or the source has no event time.
    Unpromised,
    /// The table has no rows yet.
    Empty,
    Fresh {
        age: Span,
    },
    Stale {
        age: Span,
        limit: Span,
    },
}

/// Compares the newest event time with the clock. An event time in the future is of age zero; an age equal to the limit is fresh.
pub fn freshness(newest_event: Option<Timestamp>, now: Timestamp, limit: Option<Span>) -> Freshness {
    let Some(limit) = limit else {
        return Freshness::Unpromised;
    };
    let Some(newest_event) = newest_event else {
        return Freshness::Empty;
    };
    let age = (now - newest_event).max(Span::ZERO);
    if age > limit { Freshness::Stale { age, limit } } else { Freshness::Fresh { age } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(newest_hours: Option<i64>, limit_hours: Option<i64>, want: Freshness) {
        let now = Timestamp::parse("2013-04-01").unwrap();
        let newest = newest_hours.map(|hours| now - Span::from_hours(hours));
        assert_eq!(freshness(newest, now, limit_hours.map(Span::from_hours)), want);
    }

    #[test]
    fn a_table_is_stale_past_its_limit() {
        let hours = Span::from_hours;
        check(Some(24), Some(24), Freshness::Fresh { age: hours(24) });
        check(Some(25), Some(24), Freshness::Stale { age: hours(25), limit: hours(24) });
        check(Some(-3), Some(24), Freshness::Fresh { age: hours(0) });
        check(None, Some(24), Freshness::Empty);
        check(Some(1), None, Freshness::Unpromised);
    }
}
