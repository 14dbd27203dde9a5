//! The one rule of how old a feature may be, offline and online.

use lw_core::{Span, Timestamp};

/// Whether a value of `event` may be used at `at`: not from the future, and at most `ttl` old, inclusive. Without a TTL any age
/// will do.
///
/// ```
/// use lw_core::{Span, Timestamp};
/// use lw_engine::is_within_ttl;
///
/// let (noon, day) = (Timestamp::parse("2013-01-01T12:00:00Z")?, Some(Span::from_hours(24)));
/// assert!(is_within_ttl(noon, noon + Span::from_hours(24), day));
/// assert!(!is_within_ttl(noon, noon + Span::from_hours(24) + Span::from_micros(1), day));
/// assert!(!is_within_ttl(noon, noon - Span::from_micros(1), None));
/// # Ok::<(), lw_core::Error>(())
/// ```
pub fn is_within_ttl(event: Timestamp, at: Timestamp, ttl: Option<Span>) -> bool {
    event <= at && ttl.is_none_or(|ttl| at - event <= ttl)
}
