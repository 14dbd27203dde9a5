//! When a pipeline runs by itself.

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::tz::TimeZone;
use lw_core::{Result, Span, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::BAD_SCHEDULE;

/// A cron expression of five fields (six with seconds first) in a time zone. Days with a clock change are handled as the zone
/// has them: a time that does not exist fires at the end of the gap, one that exists twice fires once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    pub cron: String,
    /// A name of the IANA time zone database, such as `Europe/Berlin`.
    #[serde(default = "utc")]
    pub zone: String,
    #[serde(default)]
    pub missed: Missed,
    #[serde(default)]
    pub overlap: Overlap,
}

/// What happens to times that passed while nothing was running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are gone.
    Skip,
    /// The latest of them runs.
    #[default]
    RunOnce,
    /// Each of them runs, up to the latest 1,000. Needs `overlap: allow`.
    RunAll,
}

/// What happens to a time that comes while an earlier run of the pipeline still goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is left out: runs of a slow pipeline do not pile up.
    #[default]
    Skip,
    /// It runs beside the earlier one.
    Allow,
}

/// The times to run for now, oldest first, and the next one after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub fires: Vec<Timestamp>,
    pub next_fire: Timestamp,
}

/// A time that passed less than this ago is on time, not missed.
const GRACE: Span = Span::from_secs(60);
const MAX_CATCH_UP: usize = 1_000;

fn utc() -> String {
    "UTC".to_owned()
}

impl Schedule {
    /// A schedule of which the latest missed time runs.
    pub fn new(cron: &str, zone: &str) -> Self {
        Self { cron: cron.to_owned(), zone: zone.to_owned(), missed: Missed::default(), overlap: Overlap::default() }
    }

    /// Whether the expression and the zone can be read, some time fulfils them, and the policies go together.
    pub fn check(&self) -> Result<()> {
        if (self.missed, self.overlap) == (Missed::RunAll, Overlap::Skip) {
            return Err(BAD_SCHEDULE
                .error("`missed: run_all` starts several runs at once, which `overlap: skip` forbids")
                .hint("write `overlap: allow` beside it, or `missed: run_once`"));
        }
        self.next_after(Timestamp::from_micros(0)).map(|_| ())
    }

    /// The first time strictly after the given one.
    pub fn next_after(&self, after: Timestamp) -> Result<Timestamp> {
        next(&self.cron()?, &self.zone()?, after)
    }

    /// What to run at `now`, when `next_fire` was the next time. Looks back from now, so a long pause costs no more than a short one.
    pub fn due(&self, next_fire: Timestamp, now: Timestamp) -> Result<Due> {
        if next_fire > now {
            return Ok(Due { fires: Vec::new(), next_fire });
        }
        let (cron, zone) = (self.cron()?, self.zone()?);
        let limit = if self.missed == Missed::RunAll { MAX_CATCH_UP } else { 1 };
        // Ticks fall on whole seconds; the second after the running one is the first that has not come.
        let coming = Timestamp::from_millis((now.millis().div_euclid(1_000) + 1) * 1_000);
        let ticks = cron.iter_before(zoned(coming, &zone)?).map(|time| instant(&time));
        let mut fires: Vec<Timestamp> = ticks.take_while(|tick| *tick >= next_fire).take(limit).collect();
        fires.reverse();
        if self.missed == Missed::Skip {
            fires.retain(|tick| now - *tick <= GRACE);
        }
        Ok(Due { fires, next_fire: next(&cron, &zone, now)? })
    }

    fn cron(&self) -> Result<Cron> {
        CronParser::builder().seconds(Seconds::Optional).build().parse(&self.cron).map_err(|error| {
            BAD_SCHEDULE
                .error(format!("`{}` is not a cron expression: {error}", self.cron.escape_debug()))
                .hint("write minute hour day month weekday, like `0 3 * * MON` for Mondays at three")
        })
    }

    fn zone(&self) -> Result<TimeZone> {
        TimeZone::get(&self.zone).map_err(|error| {
            BAD_SCHEDULE
                .error(format!("`{}` is not a time zone", self.zone.escape_debug()))
                .hint("use a name of the IANA database, like Europe/Berlin, and see that the package tzdata is installed")
                .cause(error)
        })
    }
}

fn next(cron: &Cron, zone: &TimeZone, after: Timestamp) -> Result<Timestamp> {
    let found = cron.find_next_occurrence(&zoned(after, zone)?, false).map_err(|error| {
        BAD_SCHEDULE
            .error(format!("`{cron}` has no time after {after}: {error}"))
            .hint("write an expression that some day fulfils")
    })?;
    Ok(instant(&found))
}

fn zoned(time: Timestamp, zone: &TimeZone) -> Result<jiff::Zoned> {
    let instant = jiff::Timestamp::from_microsecond(time.micros());
    let instant = instant.map_err(|error| BAD_SCHEDULE.error(format!("{time} is no time of the calendar")).cause(error))?;
    Ok(instant.to_zoned(zone.clone()))
}

fn instant(time: &jiff::Zoned) -> Timestamp {
    Timestamp::from_micros(time.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, zone: &str, missed: Missed) -> Schedule {
        Schedule { missed, ..Schedule::new(cron, zone) }
    }

    #[track_caller]
    fn check(cron: &str, zone: &str, after: &str, want: &str) {
        let next = schedule(cron, zone, Missed::RunOnce).next_after(Timestamp::parse(after).unwrap()).unwrap();
        assert_eq!(next.to_string(), want);
    }

    #[test]
    fn times_follow_the_zone_through_clock_changes() {
        check("0 3 * * *", "UTC", "2013-04-01", "2013-04-01T03:00:00Z");
        check("0 3 * * *", "Europe/Berlin", "2013-03-30T12:00:00Z", "2013-03-31T01:00:00Z");
        // 2013-03-31 02:30 does not exist in Berlin.
        check("30 2 * * *", "Europe/Berlin", "2013-03-30T12:00:00Z", "2013-03-31T01:00:00Z");
        // 2013-10-27 02:30 exists twice; it fires once.
        check("30 2 * * *", "Europe/Berlin", "2013-10-26T12:00:00Z", "2013-10-27T00:30:00Z");
        check("30 2 * * *", "Europe/Berlin", "2013-10-27T00:30:00Z", "2013-10-28T01:30:00Z");
        check("*/15 * * * * *", "UTC", "2013-04-01", "2013-04-01T00:00:15Z");
    }

    #[track_caller]
    fn due(missed: Missed, now: &str, want: &[&str]) {
        let schedule = schedule("0 * * * *", "UTC", missed);
        let due = schedule.due(Timestamp::parse("2013-04-01T01:00:00Z").unwrap(), Timestamp::parse(now).unwrap()).unwrap();
        let fires: Vec<String> = due.fires.iter().map(Timestamp::to_string).collect();
        assert_eq!(fires, want);
        assert!(due.next_fire > Timestamp::parse(now).unwrap());
    }

    #[test]
    fn missed_times_follow_the_policy() {
        let three = ["2013-04-01T01:00:00Z", "2013-04-01T02:00:00Z", "2013-04-01T03:00:00Z"];
        due(Missed::RunAll, "2013-04-01T03:10:00Z", &three);
        due(Missed::RunOnce, "2013-04-01T03:10:00Z", &three[2..]);
        due(Missed::Skip, "2013-04-01T03:10:00Z", &[]);
        due(Missed::Skip, "2013-04-01T03:00:05Z", &three[2..]);
        for policy in [Missed::RunAll, Missed::RunOnce, Missed::Skip] {
            due(policy, "2013-04-01T01:00:00Z", &three[..1]);
            due(policy, "2013-04-01T01:00:00.5Z", &three[..1]);
            due(policy, "2013-04-01T00:59:59Z", &[]);
        }
    }

    #[test]
    fn bad_schedules_are_refused() {
        for (cron, zone) in [("often", "UTC"), ("0 3 * * *", "Berlin"), ("0 0 30 2 *", "UTC"), ("", "UTC"), ("61 * * * *", "UTC")]
        {
            let error = schedule(cron, zone, Missed::RunOnce).check().unwrap_err();
            assert!(error.is(BAD_SCHEDULE) && error.hint_text().is_some(), "{error:?}");
        }
        assert!(schedule("0 3 * * *", "UTC", Missed::RunAll).check().unwrap_err().message().contains("overlap"));
    }
}
