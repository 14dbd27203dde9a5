//! Points in time, spans of time, and the clock that is handed in.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};

use crate::{Failure, Kind, Result};

pub const BAD_TIME: Failure = Failure::new("bad-time", Kind::Invalid);

/// A point in time: microseconds since 1970-01-01T00:00:00Z. Serialized as RFC 3339 text in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Parses RFC 3339 (`2013-04-01T00:00:00Z`) or a bare date, which is midnight UTC.
    pub fn parse(text: &str) -> Result<Self> {
        let instant = text.parse::<jiff::Timestamp>().or_else(|error| match text.parse::<jiff::civil::Date>() {
            Ok(date) if text.len() == 10 => date.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp()),
            _ => Err(error),
        });
        let instant = instant.map_err(|error| {
            BAD_TIME
                .error(format!("`{}` is not a time", text.chars().take(80).collect::<String>()))
                .hint("write a date (2013-04-01) or RFC 3339 with a zone (2013-04-01T06:00:00Z)")
                .cause(error)
        })?;
        Ok(Self(instant.as_microsecond()))
    }

    /// The start of this time's calendar month, in UTC.
    pub fn month_start(self) -> Self {
        let date = self.civil().date().first_of_month();
        Self::from_civil(date)
    }

    /// The start of this time's day, in UTC.
    pub fn day_start(self) -> Self {
        Self(self.0.div_euclid(86_400_000_000) * 86_400_000_000)
    }

    /// `2013-04-01`.
    pub fn date_text(self) -> String {
        self.civil().date().to_string()
    }

    fn civil(self) -> jiff::civil::DateTime {
        jiff::tz::Offset::UTC.to_datetime(self.instant())
    }

    fn from_civil(date: jiff::civil::Date) -> Self {
        let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).expect("a date of a valid time is valid in UTC");
        Self(zoned.timestamp().as_microsecond())
    }

    fn instant(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.instant().fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.instant().fmt(f)
    }
}

impl std::ops::Add<Span> for Timestamp {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl std::ops::Sub<Span> for Timestamp {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl std::ops::Sub for Timestamp {
    type Output = Span;

    fn sub(self, other: Self) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A length of time in microseconds, written `90s`, `15m`, `24h`, `7d` or `250ms`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span(i64);

impl Span {
    pub const ZERO: Self = Self(0);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1_000_000)
    }

    pub const fn from_hours(hours: i64) -> Self {
        Self(hours * 3_600_000_000)
    }

    pub const fn from_days(days: i64) -> Self {
        Self(days * 86_400_000_000)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.max(0).unsigned_abs())
    }

    pub fn parse(text: &str) -> Result<Self> {
        let bad = || {
            BAD_TIME
                .error(format!("`{}` is not a length of time", text.chars().take(80).collect::<String>()))
                .hint("write a whole number and a unit, like 250ms, 90s, 15m, 24h or 7d")
        };
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (digits, unit) = text.split_at(split);
        let unit_micros = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?.1;
        let number: i64 = digits.parse().map_err(|_| bad())?;
        number.checked_mul(unit_micros).map(Self).ok_or_else(bad)
    }
}

const UNITS: [(&str, i64); 6] =
    [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, micros) = UNITS.iter().find(|(_, micros)| self.0 % micros == 0).unwrap_or(&("us", 1));
        write!(f, "{}{unit}", self.0 / micros)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Where "now" comes from. Two implementations: the machine's clock, and one that a replay or a test moves by hand.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_microsecond())
    }
}

#[derive(Debug)]
pub struct SimulatedClock(AtomicI64);

impl SimulatedClock {
    pub fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }

    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_parse_and_print() {
        let time = Timestamp::parse("2013-04-09").unwrap();
        assert_eq!(time.to_string(), "2013-04-09T00:00:00Z");
        assert_eq!(Timestamp::parse("2013-04-09T02:00:00+02:00").unwrap(), time);
        assert_eq!((time + Span::from_hours(30)).month_start().date_text(), "2013-04-01");
        for bad in ["", "2013-13-01", "2013-04-09T00:00:00", "yesterday"] {
            assert!(Timestamp::parse(bad).unwrap_err().is(BAD_TIME), "{bad}");
        }
    }

    #[test]
    fn spans_parse_and_print() {
        for text in ["250ms", "90s", "15m", "24h", "7d"] {
            let span = Span::parse(text).unwrap();
            assert_eq!(Span::parse(&span.to_string()).unwrap(), span);
        }
        assert_eq!(Span::parse("24h").unwrap().to_string(), "1d");
        for bad in ["", "5", "h", "-1h", "1.5h", "1y", "99999999999999d"] {
            assert!(Span::parse(bad).is_err(), "{bad}");
        }
    }
}
