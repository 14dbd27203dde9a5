//! Stretches of time that are judged as a whole.

use lw_core::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Monitor;

/// From `start` on, up to and without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeWindow {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl TimeWindow {
    pub fn ending(end: Timestamp, length: Span) -> Self {
        Self { start: end - length, end }
    }

    pub fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }
}

/// A window that has ended and waits for its verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    pub monitor: Monitor,
    pub window: TimeWindow,
}

/// After a long pause only the newest windows are worth a verdict.
const MOST_DUE: usize = 100;

/// The windows that have ended by `now` and are newer than the last judged one, oldest first, at most the hundred newest.
///
/// The first window begins when the model version was deployed, so that every window is whole: a part of a week is no fair
/// sample of a week.
pub fn due_windows(
    monitor: &Monitor,
    deployed_at: Timestamp,
    judged_through: Option<Timestamp>,
    now: Timestamp,
) -> Vec<TimeWindow> {
    let first_end = deployed_at + monitor.window;
    if now < first_end {
        return Vec::new();
    }
    let every = monitor.every.micros().max(1);
    let newest = (now - first_end).micros() / every;
    let oldest = judged_through.map_or(0, |judged| ((judged - first_end).micros().div_euclid(every) + 1).max(0));
    let oldest = oldest.max(newest - MOST_DUE as i64 + 1);
    (oldest..=newest).map(|step| TimeWindow::ending(first_end + Span::from_micros(step * every), monitor.window)).collect()
}

#[cfg(test)]
mod tests {
    use lw_core::Name;
    use lw_stats::Metric;

    use super::*;
    use crate::{Limit, Watch};

    #[track_caller]
    fn check(window: &str, every: &str, judged_through: Option<&str>, now: &str, want: &[&str]) {
        let monitor = Monitor {
            name: Name::parse("quality").unwrap(),
            watch: Watch::Metric { metric: Metric::Auc, limit: Limit::WorseThan(0.6), min_labels: 1 },
            window: Span::parse(window).unwrap(),
            every: Span::parse(every).unwrap(),
            n_windows: 1,
        };
        let time = |text: &str| Timestamp::parse(text).unwrap();
        let windows = due_windows(&monitor, time("2013-04-10"), judged_through.map(time), time(now));
        let got: Vec<String> = windows.iter().map(|w| format!("{}/{}", w.start.date_text(), w.end.date_text())).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn windows_begin_at_deployment_and_are_whole() {
        check("7d", "7d", None, "2013-04-16", &[]);
        check("7d", "7d", None, "2013-04-17", &["2013-04-10/2013-04-17"]);
        check("7d", "7d", None, "2013-04-25", &["2013-04-10/2013-04-17", "2013-04-17/2013-04-24"]);
        check("7d", "7d", Some("2013-04-17"), "2013-04-25", &["2013-04-17/2013-04-24"]);
        check("7d", "7d", Some("2013-04-24"), "2013-04-25", &[]);
        check("7d", "1d", Some("2013-04-17"), "2013-04-19", &["2013-04-11/2013-04-18", "2013-04-12/2013-04-19"]);
        check("7d", "7d", None, "2013-04-01", &[]);
    }

    #[test]
    fn a_long_pause_leaves_the_newest_hundred() {
        let monitor = Monitor {
            name: Name::parse("drift").unwrap(),
            watch: Watch::Metric { metric: Metric::Auc, limit: Limit::WorseThan(0.6), min_labels: 1 },
            window: Span::from_hours(1),
            every: Span::from_hours(1),
            n_windows: 1,
        };
        let start = Timestamp::parse("2013-01-01").unwrap();
        let now = start + Span::from_days(365);
        let windows = due_windows(&monitor, start, None, now);
        assert_eq!((windows.len(), windows[99].end), (100, now));
    }
}
