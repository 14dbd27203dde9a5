//! `runs/log-batch`, the request that training loops send all day.
//!
//! A body is read straight into rows. One that does not fit, because a number is a text, a name is in camel case or something is wrong,
//! is read again by MLflow's rules, which either succeed or have the words for what is wrong.

use std::borrow::Cow;
use std::fmt;

use axum::extract::{Extension, State};
use axum::response::Response;
use lw_core::Ctx;
use lw_tracking::{Batch, LoggedModelId, MetricPoint, ModelMetric};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};

use super::{pairs_of, run_of, time_of};
use crate::document::{Done, json};
use crate::message::RawBody;
use crate::refusal::Answer;
use crate::{Face, Fields, Message, Refusal};

pub(super) async fn log_batch(State(face): State<Face>, Extension(ctx): Extension<Ctx>, body: RawBody) -> Answer<Response> {
    let (run, batch) = match Request::read(&body) {
        Some(request) => request.into_batch()?,
        None => by_rules(&Message::of_body(body.content_type.as_deref(), &body.bytes)?.fields())?,
    };
    face.ready_tracking(&ctx).await?.log(&ctx, &run_of_batch(&run)?, batch).await?;
    Ok(json(&Done {}))
}

/// What names no run by its form is refused before the batch is looked at.
fn run_of_batch(run: &str) -> Answer<lw_core::RunId> {
    let starts_well = run.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && run.len() <= 256 && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        return run_of(run);
    }
    let shown: String = run.chars().take(300).collect();
    Err(Refusal::invalid(format!("Invalid value {} for parameter 'run_id' supplied.", serde_json::Value::from(shown))))
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    run_id: Cow<'a, str>,
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default)]
    params: Vec<Text>,
    #[serde(default)]
    tags: Vec<Text>,
}

#[derive(Deserialize)]
struct Metric {
    key: String,
    #[serde(deserialize_with = "number")]
    value: f64,
    timestamp: i64,
    #[serde(default)]
    step: i64,
    model_id: Option<String>,
    dataset_name: Option<String>,
    dataset_digest: Option<String>,
}

#[derive(Deserialize)]
struct Text {
    key: String,
    #[serde(default)]
    value: String,
}

impl<'a> Request<'a> {
    /// The request, if it is plain JSON of the expected form with nothing missing.
    fn read(body: &'a RawBody) -> Option<Self> {
        if !body.is_json() {
            return None;
        }
        let request: Self = serde_json::from_slice(&body.bytes).ok()?;
        let has_keys = request.metrics.iter().all(|metric| !metric.key.is_empty())
            && request.params.iter().chain(&request.tags).all(|text| !text.key.is_empty());
        (has_keys && !request.run_id.is_empty()).then_some(request)
    }

    fn into_batch(self) -> Answer<(String, Batch)> {
        let mut batch = Batch::default();
        batch.metrics.reserve(self.metrics.len());
        for Metric { key, value, timestamp, step, model_id, dataset_name, dataset_digest } in self.metrics {
            let point = MetricPoint { value, at: time_of(timestamp), step };
            if let Some(model) = model_id.filter(|model| !model.is_empty()) {
                batch.model_metrics.push(model_metric(&model, &key, point, dataset_name, dataset_digest)?);
            }
            batch.metrics.push((key, point));
        }
        batch.params = self.params.into_iter().map(|text| (text.key, text.value)).collect();
        batch.tags = self.tags.into_iter().map(|text| (text.key, text.value)).collect();
        Ok((self.run_id.into_owned(), batch))
    }
}

/// A point that is measured of a logged model. A text that cannot be an id names no model.
pub(super) fn model_metric(
    model: &str,
    key: &str,
    point: MetricPoint,
    dataset_name: Option<String>,
    dataset_digest: Option<String>,
) -> Answer<ModelMetric> {
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let model = model_id(model)?;
    let (dataset_name, dataset_digest) = (filled(dataset_name), filled(dataset_digest));
    Ok(ModelMetric { model, key: key.to_owned(), point, dataset_name, dataset_digest })
}

/// The id of a logged model. A text that cannot be one names no model.
pub(crate) fn model_id(text: &str) -> Answer<LoggedModelId> {
    LoggedModelId::parse(text).map_err(|_| {
        let shown: String = text.chars().take(250).collect();
        Refusal::missing(format!("Logged model with ID '{shown}' not found."))
    })
}

/// Reads the message as MLflow does, in its order.
fn by_rules(fields: &Fields<'_>) -> Answer<(String, Batch)> {
    let run = fields.required_text("run_id")?.to_owned();
    let mut batch = Batch::default();
    for metric in fields.list("metrics")? {
        let key = metric.required_text("key")?.to_owned();
        let (value, timestamp) = (metric.required_number("value")?, metric.required_integer("timestamp")?);
        let point = MetricPoint { value, at: time_of(timestamp), step: metric.integer("step")?.unwrap_or(0) };
        if let Some(model) = metric.text("model_id")?.filter(|model| !model.is_empty()) {
            let text = |name: &str| metric.text(name).map(|text| text.map(str::to_owned));
            let of_model = model_metric(model, &key, point, text("dataset_name")?, text("dataset_digest")?)?;
            batch.model_metrics.push(of_model);
        }
        batch.metrics.push((key, point));
    }
    for (name, texts) in [("params", &mut batch.params), ("tags", &mut batch.tags)] {
        for text in fields.list(name)? {
            text.required_text("key")?;
        }
        *texts = pairs_of(fields, name)?;
    }
    Ok((run, batch))
}

/// A number, or a text that says one.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct Number;

    impl Visitor<'_> for Number {
        type Value = f64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }

        fn visit_f64<E>(self, value: f64) -> Result<f64, E> {
            Ok(value)
        }

        fn visit_i64<E>(self, value: i64) -> Result<f64, E> {
            Ok(value as f64)
        }

        fn visit_u64<E>(self, value: u64) -> Result<f64, E> {
            Ok(value as f64)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<f64, E> {
            text.trim().parse().map_err(|_| E::custom("not a number"))
        }
    }

    deserializer.deserialize_any(Number).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> RawBody {
        RawBody { content_type: Some("application/json".to_owned()), bytes: text.to_owned().into() }
    }

    #[test]
    fn both_ways_of_reading_give_the_same_batch() {
        let text = r#"{"run_id": "r", "metrics": [{"key": "a\u00e4", "value": "-Infinity", "timestamp": 3, "step": -2},
            {"key": "b", "value": 1, "timestamp": 4, "model_id": "m-1", "dataset_name": "d", "dataset_digest": ""}],
            "params": [{"key": "p"}], "tags": [{"key": "t", "value": "x"}], "unknown": {}}"#;
        let fast = Request::read(&body(text)).unwrap().into_batch().unwrap();
        let message = Message::of_body(Some("application/json"), text.as_bytes()).unwrap();
        assert_eq!(fast, by_rules(&message.fields()).unwrap());
        assert_eq!(fast.1.model_metrics[0].dataset_digest, None);
    }

    #[test]
    fn what_is_odd_is_read_by_the_rules() {
        for odd in [
            r#"{"runId": "r"}"#,
            r#"{"run_id": ""}"#,
            r#"{"run_id": "r", "metrics": [{"key": "", "value": 1, "timestamp": 1}]}"#,
            r#"{"run_id": "r", "metrics": [{"key": "a", "value": 1, "timestamp": "1"}]}"#,
            r#"{"run_id": "r", "metrics": [{"key": "a", "value": NaN, "timestamp": 1}]}"#,
            r#"{"run_id": "r", "params": null}"#,
        ] {
            assert!(Request::read(&body(odd)).is_none(), "{odd}");
        }
    }
}
