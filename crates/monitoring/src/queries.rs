//! The statements of this stage, one function each.

use lw_core::{Change, Error, Name, Result, Span, Timestamp, canonical_json};
use lw_store::{Reader, Row, Tx};

use crate::{Alert, DataKind, FreshnessAlert, Observation, Promise, RetrainRequest, TimeWindow, Verdict};

/// Writes an observation, or what late labels have made of it.
pub(crate) fn put_observation(tx: &mut Tx<'_>, model: &Name, version: u64, observation: &Observation) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "INSERT INTO monitor_observation (model, version, monitor, window_end, item, window_start, statistic, value, \
         limit_value, p_value, n_rows, n_labels, verdict, observed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         ON CONFLICT (model, version, monitor, window_end, item) DO UPDATE SET statistic = excluded.statistic, \
         value = excluded.value, limit_value = excluded.limit_value, p_value = excluded.p_value, n_rows = excluded.n_rows, \
         n_labels = excluded.n_labels, verdict = excluded.verdict, observed_at = excluded.observed_at",
        &[
            model.into(),
            version.into(),
            (&observation.monitor).into(),
            observation.window.end.into(),
            (&observation.item).into(),
            observation.window.start.into(),
            (&observation.statistic).into(),
            observation.value.into(),
            observation.limit.into(),
            observation.p_value.into(),
            observation.n_rows.into(),
            observation.n_labels.into(),
            observation.verdict.name().into(),
            now.into(),
        ],
    )?;
    Ok(())
}

/// The end of the newest window with a verdict.
pub(crate) fn judged_through(reader: &mut Reader<'_>, model: &Name, version: u64, monitor: &Name) -> Result<Option<Timestamp>> {
    let row = reader.query_opt(
        "SELECT MAX(window_end) AS window_end FROM monitor_observation \
         WHERE model = $1 AND version = $2 AND monitor = $3 AND verdict <> 'undecided'",
        &[model.into(), version.into(), monitor.into()],
    )?;
    row.map_or(Ok(None), |row| row.opt_time("window_end"))
}

/// Observations of a model's windows that end after `after`, oldest first.
pub(crate) fn observations(
    reader: &mut Reader<'_>,
    model: &Name,
    after: Timestamp,
    limit: u64,
) -> Result<Vec<(u64, Observation)>> {
    let rows = reader.query(
        "SELECT version, monitor, window_end, item, window_start, statistic, value, limit_value, p_value, n_rows, n_labels, verdict \
         FROM monitor_observation WHERE model = $1 AND window_end > $2 \
         ORDER BY window_end, monitor, version, item LIMIT $3",
        &[model.into(), after.into(), limit.into()],
    )?;
    rows.iter().map(|row| Ok((row.count("version")?, read_observation(row)?))).collect()
}

fn read_observation(row: &Row) -> Result<Observation> {
    let verdict = row.text("verdict")?;
    let known = Verdict::ALL.into_iter().find(|known| known.name() == verdict);
    Ok(Observation {
        monitor: Name::parse(&row.text("monitor")?)?,
        window: TimeWindow { start: row.time("window_start")?, end: row.time("window_end")? },
        item: row.text("item")?,
        statistic: row.text("statistic")?,
        value: row.opt_float("value")?,
        limit: row.opt_float("limit_value")?,
        p_value: row.opt_float("p_value")?,
        n_rows: row.count("n_rows")?,
        n_labels: row.count("n_labels")?,
        verdict: known.ok_or_else(|| Error::bug(format!("an observation has the verdict `{verdict}`")))?,
    })
}

pub(crate) fn alert(reader: &mut Reader<'_>, model: &Name, monitor: &Name) -> Result<Option<Alert>> {
    let row = reader.query_opt(
        "SELECT model, monitor, version, state, window_end, changed_at, reasons FROM monitor_alert WHERE model = $1 AND monitor = $2",
        &[model.into(), monitor.into()],
    )?;
    row.as_ref().map(read_alert).transpose()
}

/// The alerts of one model, or of all.
pub(crate) fn alerts(reader: &mut Reader<'_>, model: Option<&Name>) -> Result<Vec<Alert>> {
    let rows = reader.query(
        "SELECT model, monitor, version, state, window_end, changed_at, reasons FROM monitor_alert \
         WHERE model = $1 OR $1 = '' ORDER BY model, monitor",
        &[model.map_or("", |model| model.as_str()).into()],
    )?;
    rows.iter().map(read_alert).collect()
}

fn read_alert(row: &Row) -> Result<Alert> {
    Ok(Alert {
        model: Name::parse(&row.text("model")?)?,
        monitor: Name::parse(&row.text("monitor")?)?,
        version: row.count("version")?,
        state: row.json("state")?,
        window_end: row.time("window_end")?,
        changed_at: row.time("changed_at")?,
        reasons: row.json("reasons")?,
    })
}

pub(crate) fn put_alert(alert: &Alert) -> Change {
    Change::put("monitor_alert")
        .key("model", &alert.model)
        .key("monitor", &alert.monitor)
        .set("version", alert.version)
        .set("state", canonical_json(&alert.state))
        .set("window_end", alert.window_end)
        .set("changed_at", alert.changed_at)
        .set("reasons", canonical_json(&alert.reasons))
}

/// The freshness alerts of all tables and views that ever had one.
pub(crate) fn freshness_alerts(reader: &mut Reader<'_>) -> Result<Vec<FreshnessAlert>> {
    let rows = reader
        .query("SELECT kind, name, state, newest_event, limit_us, changed_at FROM freshness_alert ORDER BY kind, name", &[])?;
    let read = |row: &Row| {
        let kind = row.text("kind")?;
        let known = DataKind::ALL.into_iter().find(|known| known.name() == kind);
        let promise = Promise {
            kind: known.ok_or_else(|| Error::bug(format!("there is a freshness alert of a `{kind}`")))?,
            name: Name::parse(&row.text("name")?)?,
            newest_event: row.opt_time("newest_event")?,
            limit: Span::from_micros(row.int("limit_us")?),
        };
        Ok(FreshnessAlert { promise, state: row.json("state")?, changed_at: row.time("changed_at")? })
    };
    rows.iter().map(read).collect()
}

pub(crate) fn put_freshness_alert(alert: &FreshnessAlert) -> Change {
    let promise = &alert.promise;
    Change::put("freshness_alert")
        .key("kind", promise.kind.name())
        .key("name", &promise.name)
        .set("state", canonical_json(&alert.state))
        .set("newest_event", promise.newest_event)
        .set("limit_us", promise.limit.micros())
        .set("changed_at", alert.changed_at)
}

/// When a retraining of the model was asked for last.
pub(crate) fn last_request(reader: &mut Reader<'_>, model: &Name) -> Result<Option<Timestamp>> {
    let row =
        reader.query_opt("SELECT MAX(requested_at) AS requested_at FROM retrain_trigger WHERE model = $1", &[model.into()])?;
    row.map_or(Ok(None), |row| row.opt_time("requested_at"))
}

/// The newest requests of a model first.
pub(crate) fn requests(reader: &mut Reader<'_>, model: &Name, limit: u64) -> Result<Vec<RetrainRequest>> {
    let rows = reader.query(
        "SELECT model, monitor, window_end, window_start, version, requested_at, reasons FROM retrain_trigger \
         WHERE model = $1 ORDER BY requested_at DESC, monitor, window_end DESC LIMIT $2",
        &[model.into(), limit.into()],
    )?;
    let read = |row: &Row| {
        Ok(RetrainRequest {
            model: Name::parse(&row.text("model")?)?,
            version: row.count("version")?,
            monitor: Name::parse(&row.text("monitor")?)?,
            window: TimeWindow { start: row.time("window_start")?, end: row.time("window_end")? },
            requested_at: row.time("requested_at")?,
            reasons: row.json("reasons")?,
        })
    };
    rows.iter().map(read).collect()
}

pub(crate) fn put_request(request: &RetrainRequest) -> Change {
    Change::put("retrain_trigger")
        .key("model", &request.model)
        .key("monitor", &request.monitor)
        .key("window_end", request.window.end)
        .set("window_start", request.window.start)
        .set("version", request.version)
        .set("requested_at", request.requested_at)
        .set("reasons", canonical_json(&request.reasons))
}
