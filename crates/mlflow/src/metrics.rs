//! Histories of metrics: `/mlflow/metrics/…`.

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use lw_core::{Ctx, RunId};
use lw_search::PageToken;
use lw_tracking::{HistoryFrom, MetricPoint, Tracking};
use serde::Serialize;

use crate::document::{Double, json};
use crate::experiments::ConcatAll as _;
use crate::refusal::Answer;
use crate::route::{Route, both};
use crate::runs::{run_id_text, run_of};
use crate::{Face, Message, Refusal};

pub(crate) fn routes() -> Vec<Route> {
    [
        both!(GET "2.0/mlflow/metrics/get-history", Read, "run", get_history),
        both!(GET "2.0/mlflow/metrics/get-history-bulk", Read, "run", get_history_bulk),
        both!(GET "2.0/mlflow/metrics/get-history-bulk-interval", Read, "run", get_history_bulk_interval),
    ]
    .concat_all()
}

const MOST_RUNS: usize = 100;

async fn get_history(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let (run, key) = (run_id_text(&fields)?, fields.required_text("metric_key")?);
    let token = fields.text("page_token")?.unwrap_or_default();
    let max_results = fields.integer("max_results")?;
    let limit = match max_results.map(u64::try_from) {
        None => u64::MAX,
        Some(Ok(limit)) if limit > 0 => limit,
        Some(_) => {
            let given = max_results.unwrap_or_default();
            return Err(Refusal::invalid(format!(
                "Invalid value {given} for parameter 'max_results' supplied. It must be a positive integer."
            )));
        }
    };
    let offset = PageToken::decode(token)?.offset;
    let tracking = face.ready_tracking(&ctx).await?.clone();
    // A text that cannot be the id of a run is one that has no points.
    let Ok(run) = run_of(run) else { return Ok(json(&crate::document::Done {})) };
    History::new(tracking, run, key, offset, limit).into_response().await
}

/// A history on its way to a client, read and sent part by part, so that none is too long for memory.
struct History {
    tracking: Tracking,
    run: RunId,
    key: String,
    offset: u64,
    left: u64,
    n_sent: u64,
    next: Reading,
}

/// The points that are being read while those before them are sent.
type Reading = tokio::task::JoinHandle<lw_core::Result<Vec<MetricPoint>>>;

/// How many points are read and sent at once.
const PART: u64 = 20_000;

impl History {
    fn new(tracking: Tracking, run: RunId, key: &str, offset: u64, limit: u64) -> Self {
        let next = read(tracking.clone(), run.clone(), key.to_owned(), HistoryFrom::Offset(offset), wanted(limit));
        Self { tracking, run, key: key.to_owned(), offset, left: limit, n_sent: 0, next }
    }

    async fn into_response(mut self) -> Answer<Response> {
        let mut first = Vec::new();
        let more = self.next_part(&mut first).await?;
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        if !more {
            return Ok((content_type, first).into_response());
        }
        let parts = stream::unfold((Some(self), Some(first)), |(history, ready)| async move {
            if let Some(ready) = ready {
                return Some((Ok(Bytes::from(ready)), (history, None)));
            }
            let mut history = history?;
            let mut part = Vec::new();
            match history.next_part(&mut part).await {
                Ok(more) => Some((Ok(Bytes::from(part)), (more.then_some(history), None))),
                Err(error) => Some((Err(error), (None, None))),
            }
        });
        Ok((content_type, Body::from_stream(parts)).into_response())
    }

    /// Writes the next points, with what stands before and behind them. Returns whether more follow.
    async fn next_part(&mut self, out: &mut Vec<u8>) -> lw_core::Result<bool> {
        let wanted_before = wanted(self.left);
        let points = (&mut self.next).await.map_err(|error| lw_core::Error::bug("reading a history ended").cause(error))??;
        let n_read = points.len() as u64;
        let n_points = n_read.min(self.left);
        let (has_next_page, has_next_part) = (n_read > n_points, n_read == wanted_before && n_read == n_points);
        self.left -= n_points;
        if let Some(last) = points.last().filter(|_| has_next_part) {
            let (tracking, run, key) = (self.tracking.clone(), self.run.clone(), self.key.clone());
            self.next = read(tracking, run, key, HistoryFrom::Point(*last), wanted(self.left));
        }
        out.reserve(points.len() * 90 + 64);
        if self.n_sent == 0 {
            // As everywhere in the protocol an empty list is left out.
            out.extend_from_slice(if n_points > 0 { &b"{\"metrics\": ["[..] } else { &b"{"[..] });
        }
        let key = serde_json::Value::from(self.key.as_str()).to_string();
        for point in points.iter().take(usize::try_from(n_points).unwrap_or(usize::MAX)) {
            if self.n_sent > 0 {
                out.extend_from_slice(b", ");
            }
            write_point(out, &key, point);
            self.n_sent += 1;
        }
        if has_next_part {
            return Ok(true);
        }
        if self.n_sent > 0 {
            out.push(b']');
        }
        if has_next_page {
            let token = PageToken { offset: self.offset + self.n_sent }.encode();
            out.extend_from_slice(format!(", \"next_page_token\": \"{token}\"").as_bytes());
        }
        out.push(b'}');
        Ok(false)
    }
}

/// One point more than may be sent tells whether there is a next page.
fn wanted(left: u64) -> u64 {
    left.saturating_add(1).min(PART)
}

fn read(tracking: Tracking, run: RunId, key: String, from: HistoryFrom, limit: u64) -> Reading {
    tokio::spawn(async move { tracking.history_from(&run, &key, from, limit).await })
}

/// By hand, because a history is this and nothing else, a hundred thousand times.
fn write_point(out: &mut Vec<u8>, key: &str, point: &MetricPoint) {
    use std::io::Write as _;
    out.extend_from_slice(b"{\"key\": ");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b", \"value\": ");
    // Writing into memory does not fail.
    let _ = serde_json::to_writer(&mut *out, &Double(point.value));
    let _ = write!(out, ", \"timestamp\": {}, \"step\": {}}}", point.at.millis(), point.step);
}

#[derive(Serialize)]
struct PointOfRun<'a> {
    key: &'a str,
    value: Double,
    timestamp: i64,
    step: i64,
    run_id: &'a str,
}

#[derive(Serialize)]
struct Points<'a> {
    #[serde(skip_serializing_if = "is_unset")]
    metrics: Option<Vec<PointOfRun<'a>>>,
}

fn is_unset(points: &Option<Vec<PointOfRun<'_>>>) -> bool {
    points.is_none()
}

fn point_of_run<'a>(key: &'a str, run: &'a RunId, point: &MetricPoint) -> PointOfRun<'a> {
    let (timestamp, value) = (point.at.millis(), Double(point.value));
    PointOfRun { key, value, timestamp, step: point.step, run_id: run.as_str() }
}

async fn get_history_bulk(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    const MOST_POINTS: i64 = 25_000;
    let fields = message.fields();
    let runs = fields.texts("run_id")?;
    if runs.is_empty() {
        return Err(Refusal::invalid("GetMetricHistoryBulk request must specify at least one run_id."));
    }
    if runs.len() > MOST_RUNS {
        return Err(Refusal::invalid(format!(
            "GetMetricHistoryBulk request cannot specify more than {MOST_RUNS} run_ids. Received {} run_ids.",
            runs.len()
        )));
    }
    let Some(key) = fields.text("metric_key")? else {
        return Err(Refusal::invalid("GetMetricHistoryBulk request must specify a metric_key."));
    };
    let limit = fields.integer("max_results")?.unwrap_or(MOST_POINTS).min(MOST_POINTS);
    let limit = u64::try_from(limit).map_err(|_| fields.mistyped("max_results", &limit.into()))?;
    let runs: Vec<RunId> = runs.into_iter().filter_map(|run| run_of(run).ok()).collect();
    let points = face.ready_tracking(&ctx).await?.histories(&runs, key, limit).await?;
    let points = points.iter().map(|(run, point)| point_of_run(key, run, point)).collect();
    Ok(json(&Points { metrics: Some(points) }))
}

pub(crate) async fn get_history_bulk_interval(
    State(face): State<Face>,
    Extension(ctx): Extension<Ctx>,
    message: Message,
) -> Answer<Response> {
    const MOST_POINTS: i64 = 2500;
    const SEE_DOCS: &str = "See the API docs for more information about request parameters.";
    let fields = message.fields();
    if fields.get("run_ids").is_none() {
        return Err(fields.missing("run_ids"));
    }
    let runs = fields.texts("run_ids")?;
    if runs.len() > MOST_RUNS {
        return Err(Refusal::invalid(format!(
            "GetMetricHistoryBulkInterval request must specify at most {MOST_RUNS} run_ids. Received {} run_ids. {SEE_DOCS}",
            runs.len()
        )));
    }
    let key = fields.required_text("metric_key")?;
    let (start, end) = (fields.integer("start_step")?, fields.integer("end_step")?);
    let max_results = fields.integer("max_results")?.unwrap_or(MOST_POINTS);
    if !(1..=MOST_POINTS).contains(&max_results) {
        return Err(Refusal::invalid(format!("max_results must be between 1 and {MOST_POINTS}. {SEE_DOCS}")));
    }
    let steps = match (start, end) {
        (Some(start), Some(end)) if start > end => {
            return Err(Refusal::invalid(format!(
                "end_step must be greater than start_step. Found start_step={start} and end_step={end}."
            )));
        }
        (Some(start), Some(end)) => Some((start, end)),
        (None, None) => None,
        _ => {
            return Err(Refusal::invalid("If either start step or end step are specified, both must be specified."));
        }
    };
    let runs: Vec<RunId> = runs.into_iter().filter_map(|run| run_of(run).ok()).collect();
    let n_most = max_results.unsigned_abs();
    let samples = face.ready_tracking(&ctx).await?.sample(&runs, key, n_most, steps).await?;
    let points: Vec<PointOfRun<'_>> =
        samples.iter().flat_map(|(run, points)| points.iter().map(|point| point_of_run(key, run, point))).collect();
    Ok(json(&Points { metrics: (!points.is_empty()).then_some(points) }))
}
