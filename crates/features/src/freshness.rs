//! How fresh a view is in the online store.

use lw_core::{Span, Timestamp};
use lw_engine::is_within_ttl;

use crate::online::ViewState;

/// The age of a view's newest row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The newest row still counts.
    Fresh { age: Span },
    /// The newest row is older than the view's ttl, so every look-up gives nulls.
    Stale { age: Span },
    /// There is no row.
    Empty,
}

/// Compares the newest event time of a view with its ttl. A view without a ttl never goes stale.
pub fn freshness(state: Option<&ViewState>, ttl: Option<Span>, now: Timestamp) -> Freshness {
    let Some(newest) = state.and_then(|state| state.newest_event) else {
        return Freshness::Empty;
    };
    let age = Span::from_micros((now - newest).micros().max(0));
    // A row from the future is fresh as a view, whatever a look-up makes of it.
    if is_within_ttl(newest.min(now), now, ttl) { Freshness::Fresh { age } } else { Freshness::Stale { age } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(newest_event: Option<i64>, ttl: Option<i64>, want: Freshness) {
        let time = |hours| Timestamp::from_micros(0) + Span::from_hours(hours);
        let state = ViewState { watermark: time(100), newest_event: newest_event.map(time), n_entities: 1 };
        assert_eq!(freshness(Some(&state), ttl.map(Span::from_hours), time(100)), want);
    }

    #[test]
    fn a_view_is_stale_when_its_newest_row_no_longer_counts() {
        let age = Span::from_hours(24);
        check(Some(76), Some(24), Freshness::Fresh { age });
        check(Some(76), Some(23), Freshness::Stale { age });
        check(Some(76), None, Freshness::Fresh { age });
        check(Some(101), Some(1), Freshness::Fresh { age: Span::ZERO });
        check(None, None, Freshness::Empty);
        assert_eq!(freshness(None, None, Timestamp::from_micros(0)), Freshness::Empty);
    }
}
