//! How many rows a batch has: within fixed limits, and within what earlier batches teach.

use lw_core::Timestamp;
use lw_stats::quantile_of_sorted;

use super::outlier::robust_scale;
use super::verdict::Finding;
use crate::{LearnedVolume, Season};

/// An earlier batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PastVolume {
    pub at: Timestamp,
    pub n_rows: u64,
}

pub(super) fn judge_fixed(min: Option<u64>, max: Option<u64>, n_rows: u64) -> Finding {
    let is_broken = min.is_some_and(|min| n_rows < min) || max.is_some_and(|max| n_rows > max);
    let limits = match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max} rows"),
        (Some(min), None) => format!("at least {min} rows"),
        (None, Some(max)) => format!("at most {max} rows"),
        (None, None) => String::new(),
    };
    Finding::of_batch(is_broken, n_rows, format!("{n_rows} rows"), limits)
}

/// Compares a batch with the earlier ones of its season. The band is the median plus and minus `width` robust standard
/// deviations, and at least as wide as counting alone makes it: √median for a deviation (Poisson).
pub(crate) fn judge_learned(rule: &LearnedVolume, at: Timestamp, n_rows: u64, past: &[PastVolume]) -> Finding {
    let season = rule.season.of(at);
    let mut volumes: Vec<f64> =
        past.iter().filter(|past| rule.season.of(past.at) == season).map(|past| past.n_rows as f64).collect();
    if volumes.len() < rule.history as usize {
        let when = rule.season.told();
        return Finding::not_judged(format!("{} earlier batches{when}, {} are needed", volumes.len(), rule.history));
    }
    volumes.sort_unstable_by(f64::total_cmp);
    let median = quantile_of_sorted(&volumes, 0.5);
    let deviation = robust_scale(&volumes).max(median.sqrt()).max(1.0);
    let (low, high) = ((median - rule.width * deviation).max(0.0).ceil(), (median + rule.width * deviation).floor());
    let is_broken = (n_rows as f64) < low || (n_rows as f64) > high;
    let limits = format!("{low} to {high} rows (median {median} of {} batches{})", volumes.len(), rule.season.told());
    Finding::of_batch(is_broken, n_rows, format!("{n_rows} rows"), limits)
}

impl Season {
    /// Which season a time lies in. Days and hours are those of UTC.
    fn of(self, at: Timestamp) -> i64 {
        const HOUR: i64 = 3_600_000_000;
        let hour = at.micros().div_euclid(HOUR);
        match self {
            Self::None => 0,
            Self::Hour => hour.rem_euclid(24),
            Self::Weekday => hour.div_euclid(24).rem_euclid(7),
            Self::HourOfWeek => hour.rem_euclid(24 * 7),
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Hour => " of this hour of the day",
            Self::Weekday => " of this day of the week",
            Self::HourOfWeek => " of this hour of the week",
        }
    }
}

#[cfg(test)]
mod tests {
    use lw_core::Span;

    use super::*;
    use crate::Outcome;

    /// Ten weeks of daily batches: about 1,000 rows on weekdays, about 100 at weekends. 2024-01-01 was a Monday.
    fn past() -> Vec<PastVolume> {
        let start = Timestamp::parse("2024-01-01T06:00:00Z").unwrap();
        let volume = |day: i64| if day % 7 >= 5 { 100 + day as u64 % 5 } else { 1_000 + (day as u64 * 7) % 30 };
        (0..70).map(|day| PastVolume { at: start + Span::from_days(day), n_rows: volume(day) }).collect()
    }

    #[track_caller]
    fn check(season: Season, history: u32, day: i64, n_rows: u64, want: Outcome) {
        let at = Timestamp::parse("2024-03-11T06:30:00Z").unwrap() + Span::from_days(day);
        let finding = judge_learned(&LearnedVolume { season, width: 4.0, history }, at, n_rows, &past());
        assert_eq!(finding.outcome, want, "{finding:?}");
    }

    #[test]
    fn each_season_has_a_band_of_its_own() {
        check(Season::Weekday, 8, 0, 1_020, Outcome::Kept);
        check(Season::Weekday, 8, 0, 100, Outcome::Broken);
        check(Season::Weekday, 8, 0, 2_000, Outcome::Broken);
        check(Season::Weekday, 8, 5, 100, Outcome::Kept);
        check(Season::Weekday, 8, 5, 1_020, Outcome::Broken);
        check(Season::HourOfWeek, 8, 5, 100, Outcome::Kept);
        check(Season::Hour, 8, 5, 1_000, Outcome::Kept);
    }

    #[test]
    fn little_history_says_nothing() {
        check(Season::Weekday, 11, 0, 1, Outcome::NotJudged);
        check(Season::HourOfWeek, 8, 0, 1, Outcome::Broken);
        let finding =
            judge_learned(&LearnedVolume { season: Season::None, width: 4.0, history: 1 }, Timestamp::from_micros(0), 5, &[]);
        assert_eq!(finding.note.as_deref(), Some("0 earlier batches, 1 are needed"));
    }

    #[test]
    fn batches_that_never_varied_leave_room_for_chance() {
        let past = vec![PastVolume { at: Timestamp::from_micros(0), n_rows: 400 }; 10];
        let judge = |n_rows| {
            let rule = LearnedVolume { season: Season::None, width: 4.0, history: 8 };
            judge_learned(&rule, Timestamp::from_micros(0), n_rows, &past).outcome
        };
        assert_eq!([320, 480].map(judge), [Outcome::Kept; 2]);
        assert_eq!([319, 481].map(judge), [Outcome::Broken; 2]);
    }

    #[test]
    fn fixed_limits_include_their_ends() {
        let judge = |min, max, n_rows| judge_fixed(min, max, n_rows).outcome;
        assert_eq!([judge(Some(5), None, 5), judge(Some(5), Some(9), 9), judge(None, Some(9), 0)], [Outcome::Kept; 3]);
        assert_eq!([judge(Some(5), None, 4), judge(None, Some(9), 10)], [Outcome::Broken; 2]);
    }
}
