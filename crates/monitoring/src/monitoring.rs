//! The effects: observations, alerts and retraining requests in the metadata database.

use lw_core::{Ctx, Draft, Name, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Store, Tx};
use serde::{Deserialize, Serialize};

use crate::retraining::decide;
use crate::{
    Alert, AlertState, Due, Monitor, Observation, RETRAIN_TOPIC, RetrainDecision, RetrainPolicy, RetrainRequest, Verdict,
    due_windows, judge, queries,
};

/// The monitors of all models. Cheap to clone.
#[derive(Clone)]
pub struct Monitoring {
    store: Store,
}

/// A deployed model version and what its alerts may start.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    pub model: Name,
    pub version: u64,
    pub retrain: Option<RetrainPolicy>,
}

/// What a window led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    pub verdict: Verdict,
    /// The alert's state after the window.
    pub state: AlertState,
    /// Whether this window changed it.
    pub has_changed: bool,
    pub retrain: RetrainDecision,
}

impl Monitoring {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The windows that have ended and wait for a verdict, oldest first for each monitor. A window that stayed undecided is
    /// due again, because labels may have arrived, until a newer one of its monitor is judged.
    pub async fn due(&self, ctx: &Ctx, watched: &Watched, monitors: Vec<Monitor>, deployed_at: Timestamp) -> Result<Vec<Due>> {
        let (watched, now) = (watched.clone(), ctx.now());
        self.store
            .read(move |reader| {
                let mut due = Vec::new();
                for monitor in monitors {
                    let judged = queries::judged_through(reader, &watched.model, watched.version, &monitor.name)?;
                    let windows = due_windows(&monitor, deployed_at, judged, now);
                    due.extend(windows.into_iter().map(|window| Due { monitor: monitor.clone(), window }));
                }
                Ok(due)
            })
            .await
    }

    /// Records a window: its observations, what they make of the alert and, if it comes to that, the request for a
    /// retraining, all in one transaction. Recording the same window again refreshes its observations and changes nothing else.
    pub async fn record(&self, ctx: &Ctx, watched: &Watched, due: &Due, observations: Vec<Observation>) -> Result<Recorded> {
        let (watched, due) = (watched.clone(), due.clone());
        self.store.write(ctx, move |tx| record(tx, &watched, &due, &observations)).await
    }

    /// Observations of windows that end after `after`, oldest first, with the model version that each belongs to.
    pub async fn observations(&self, model: &Name, after: Timestamp, limit: u64) -> Result<Vec<(u64, Observation)>> {
        let model = model.clone();
        self.store.read(move |reader| queries::observations(reader, &model, after, limit)).await
    }

    /// The alerts of one model, or of all.
    pub async fn alerts(&self, model: Option<&Name>) -> Result<Vec<Alert>> {
        let model = model.cloned();
        self.store.read(move |reader| queries::alerts(reader, model.as_ref())).await
    }

    /// The newest requests for a retraining first.
    pub async fn requests(&self, model: &Name, limit: u64) -> Result<Vec<RetrainRequest>> {
        let model = model.clone();
        self.store.read(move |reader| queries::requests(reader, &model, limit)).await
    }
}

/// [`Monitoring::record`] inside a transaction of the caller's.
pub fn record(tx: &mut Tx<'_>, watched: &Watched, due: &Due, observations: &[Observation]) -> Result<Recorded> {
    let (model, monitor) = (&watched.model, &due.monitor.name);
    let judged_through = queries::judged_through(tx, model, watched.version, monitor)?;
    for observation in observations {
        queries::put_observation(tx, model, watched.version, observation)?;
    }
    let verdict = judge(observations);
    let known = queries::alert(tx, model, monitor)?;
    let state = known.as_ref().map_or(AlertState::Ok, |alert| alert.state);
    if judged_through.is_some_and(|judged| due.window.end <= judged) {
        return Ok(Recorded { verdict, state, has_changed: false, retrain: RetrainDecision::Leave });
    }
    let is_superseded = known.as_ref().is_some_and(|alert| alert.version != watched.version);
    let from = if is_superseded { state.superseded(due.window.end) } else { state };
    let next = from.after(verdict, due.window.end, due.monitor.n_windows);
    let reasons = reasons(observations);
    if next != state {
        change_alert(tx, watched, due, next, &reasons)?;
    }
    let now = tx.now();
    let last_request = queries::last_request(tx, model)?;
    // An undecided window knows nothing new, so it asks for nothing.
    let asking = if verdict == Verdict::Breach { next } else { AlertState::Ok };
    let retrain = decide(watched.retrain.as_ref(), monitor, asking, last_request, now);
    if retrain == RetrainDecision::Request {
        request_retraining(tx, watched, due, reasons)?;
    }
    Ok(Recorded { verdict, state: next, has_changed: next != state, retrain })
}

/// What was bad, in words: `carrier_delay_24h psi 0.310 (limit 0.250)`.
fn reasons(observations: &[Observation]) -> Vec<String> {
    let bad = observations.iter().filter(|observation| observation.verdict == Verdict::Breach);
    bad.map(|observation| {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
        let (value, limit) = (number(observation.value), number(observation.limit));
        if observation.item == observation.statistic {
            return format!("{} {value} (limit {limit})", observation.item);
        }
        format!("{} {} {value} (limit {limit})", observation.item, observation.statistic)
    })
    .collect()
}

fn change_alert(tx: &mut Tx<'_>, watched: &Watched, due: &Due, state: AlertState, reasons: &[String]) -> Result<()> {
    let alert = Alert {
        model: watched.model.clone(),
        monitor: due.monitor.name.clone(),
        version: watched.version,
        state,
        window_end: due.window.end,
        changed_at: tx.now(),
        reasons: reasons.to_vec(),
    };
    let subject = Subject::unversioned(SubjectKind::Alert, format!("{}/{}", alert.model, alert.monitor));
    let draft = Draft::new(state.action(), subject)
        .input("model", Subject::new(SubjectKind::ModelVersion, &watched.model, watched.version), None)
        .payload(serde_json::json!({"window": due.window, "reasons": reasons, "state": state.name()}))
        .change(queries::put_alert(&alert));
    tx.record(draft)?;
    tracing::info!(
        model.name = %alert.model,
        monitor.name = %alert.monitor,
        alert.state = state.name(),
        "Alert `{}` of model `{}` is {}",
        alert.monitor,
        alert.model,
        state.name()
    );
    Ok(())
}

/// The request, its record and its message stand or fall together.
fn request_retraining(tx: &mut Tx<'_>, watched: &Watched, due: &Due, reasons: Vec<String>) -> Result<()> {
    let request = RetrainRequest {
        model: watched.model.clone(),
        version: watched.version,
        monitor: due.monitor.name.clone(),
        window: due.window,
        requested_at: tx.now(),
        reasons,
    };
    let key = request.dedupe_key();
    let payload = serde_json::to_value(&request).expect("a request is plain JSON");
    if !tx.outbox(RETRAIN_TOPIC, &key, &payload)? {
        return Ok(());
    }
    let draft = Draft::new("retrain.request", Subject::unversioned(SubjectKind::Trigger, &key))
        .input("model", Subject::new(SubjectKind::ModelVersion, &watched.model, watched.version), None)
        .input("alert", Subject::unversioned(SubjectKind::Alert, format!("{}/{}", watched.model, due.monitor.name)), None)
        .payload(payload)
        .change(queries::put_request(&request));
    tx.record(draft)?;
    Ok(())
}
