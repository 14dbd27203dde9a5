//! Data that should have come and has not: alerts about tables and feature views.

use std::fmt;

use lw_core::{Ctx, Draft, Name, Result, Span, Subject, SubjectKind, Timestamp};
use lw_store::{Store, Tx};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{AlertState, Verdict, queries};

/// What can go stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataKind {
    /// By the promise of its contract.
    Table,
    /// Online, when every row is older than the view's ttl.
    FeatureView,
}

impl DataKind {
    pub const ALL: [Self; 2] = [Self::Table, Self::FeatureView];

    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::FeatureView => "feature_view",
        }
    }

    fn subject_kind(self) -> SubjectKind {
        match self {
            Self::Table => SubjectKind::Table,
            Self::FeatureView => SubjectKind::FeatureView,
        }
    }
}

/// How fresh a table or view has to be, and how fresh it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    pub kind: DataKind,
    pub name: Name,
    /// The newest event time; none before the first row.
    pub newest_event: Option<Timestamp>,
    /// How old that may be.
    pub limit: Span,
}

impl Promise {
    /// The age of the newest event; an event in the future has none.
    pub fn age(&self, now: Timestamp) -> Option<Span> {
        self.newest_event.map(|newest| (now - newest).max(Span::ZERO))
    }

    /// An age equal to the limit keeps the promise; data that never came cannot break it.
    pub fn verdict(&self, now: Timestamp) -> Verdict {
        match self.age(now) {
            None => Verdict::Undecided,
            Some(age) if age > self.limit => Verdict::Breach,
            Some(_) => Verdict::Healthy,
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.newest_event {
            Some(newest) => write!(f, "the newest event is of {newest} (limit {})", self.limit),
            None => f.write_str("no row has come yet"),
        }
    }
}

/// The alert of a table or view, as it stands now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FreshnessAlert {
    #[serde(flatten)]
    pub promise: Promise,
    #[serde(flatten)]
    pub state: AlertState,
    pub changed_at: Timestamp,
}

/// Brings the alerts to where the promises put them: one fires when data are older than promised, and resolves when newer ones
/// come, or nothing is promised any more. Returns those that changed.
pub async fn watch_freshness(ctx: &Ctx, store: &Store, promises: Vec<Promise>) -> Result<Vec<FreshnessAlert>> {
    let now = ctx.now();
    let known = freshness_alerts(store).await?;
    // Nearly always nothing changes, and nothing is written then.
    if changes(&promises, &known, now).is_empty() {
        return Ok(Vec::new());
    }
    let record = move |tx: &mut Tx<'_>| {
        let changed = changes(&promises, &queries::freshness_alerts(tx)?, now);
        changed.iter().try_for_each(|alert| record(tx, alert))?;
        Ok(changed)
    };
    store.write(ctx, record).await
}

/// The alerts of tables and views that ever fired.
pub async fn freshness_alerts(store: &Store) -> Result<Vec<FreshnessAlert>> {
    store.read(queries::freshness_alerts).await
}

/// The alerts that have another state now.
fn changes(promises: &[Promise], known: &[FreshnessAlert], now: Timestamp) -> Vec<FreshnessAlert> {
    let is_of =
        |alert: &FreshnessAlert, promise: &Promise| (alert.promise.kind, &alert.promise.name) == (promise.kind, &promise.name);
    let mut changed = Vec::new();
    for promise in promises {
        let before = known.iter().find(|alert| is_of(alert, promise)).map_or(AlertState::Ok, |alert| alert.state);
        let state = before.after(promise.verdict(now), now, 1);
        if state != before {
            changed.push(FreshnessAlert { promise: promise.clone(), state, changed_at: now });
        }
    }
    let is_promised = |alert: &&FreshnessAlert| promises.iter().any(|promise| is_of(alert, promise));
    for alert in known.iter().filter(|alert| alert.state.is_firing() && !is_promised(alert)) {
        changed.push(FreshnessAlert { state: alert.state.superseded(now), changed_at: now, ..alert.clone() });
    }
    changed
}

fn record(tx: &mut Tx<'_>, alert: &FreshnessAlert) -> Result<()> {
    let promise = &alert.promise;
    let (kind, name) = (promise.kind.name(), &promise.name);
    let data = Subject::unversioned(promise.kind.subject_kind(), name);
    let draft = Draft::new(alert.state.action(), Subject::unversioned(SubjectKind::Alert, format!("{kind}/{name}/freshness")))
        .input(kind, data, None)
        .payload(json!({
            "state": alert.state.name(),
            "newest_event": promise.newest_event,
            "limit": promise.limit,
            "reasons": [promise.to_string()],
        }))
        .change(queries::put_freshness_alert(alert));
    tx.record(draft)?;
    tracing::info!(alert.state = alert.state.name(), "Freshness of {kind} `{name}` is {}: {promise}", alert.state.name());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_micros(0) + Span::from_hours(hours)
    }

    fn promise(name: &str, newest_hours: Option<i64>) -> Promise {
        let name = Name::parse(name).unwrap();
        Promise { kind: DataKind::Table, name, newest_event: newest_hours.map(at), limit: Span::from_hours(24) }
    }

    /// Goes through days with the newest event of each, and tells the states that the alert goes through.
    #[track_caller]
    fn check(newest_by_day: &[Option<i64>], want: &str) {
        let mut known: Vec<FreshnessAlert> = Vec::new();
        let mut states = Vec::new();
        for (day, newest) in newest_by_day.iter().enumerate() {
            let now = at(24 * (day as i64 + 1));
            let changed = changes(&[promise("orders", *newest)], &known, now);
            if let Some(alert) = changed.first() {
                known = vec![alert.clone()];
            }
            states.push(known.first().map_or("ok", |alert| alert.state.name()));
        }
        assert_eq!(states.join(" "), want);
    }

    #[test]
    fn an_alert_fires_when_data_stay_away_and_resolves_when_they_come() {
        check(&[Some(0), Some(0), Some(0), Some(90), Some(90)], "ok firing firing resolved firing");
        check(&[None, None, Some(70)], "ok ok ok");
        check(&[Some(999), Some(999)], "ok ok");
        check(&[Some(-1)], "firing");
    }

    #[test]
    fn a_promise_that_is_taken_back_resolves_its_alert() {
        let now = at(100);
        let firing = changes(&[promise("orders", Some(0))], &[], now);
        let resolved = changes(&[promise("flights", Some(99))], &firing, at(101));
        assert_eq!(resolved.iter().map(|alert| alert.state.name()).collect::<Vec<_>>(), ["resolved"]);
        assert!(changes(&[], &resolved, at(102)).is_empty());
    }
}
