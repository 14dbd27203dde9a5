//! What an MLflow server answers, as records.

use std::collections::BTreeMap;

use lw_core::Result;
use serde_json::{Value, json};

use crate::failures::IMPORT_SOURCE_ANSWER;
use crate::import::source::{
    Experiment, LoggedModel, ModelMetric, ModelVersion, Point, RegisteredModel, Run, Texts, logged_model_of, time,
};

pub fn text(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// Servers write whole numbers as numbers or as text.
pub fn integer(value: &Value, key: &str) -> Option<i64> {
    match &value[key] {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn millis(value: &Value, key: &str) -> i64 {
    integer(value, key).unwrap_or(0)
}

pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

pub fn token(answer: &Value) -> Option<String> {
    Some(text(answer, "next_page_token")).filter(|token| !token.is_empty())
}

fn required(value: &Value, key: &str, what: &str) -> Result<String> {
    Some(text(value, key)).filter(|text| !text.is_empty()).ok_or_else(|| {
        IMPORT_SOURCE_ANSWER
            .error(format!("the server's {what} has no `{key}`"))
            .hint("is there an MLflow server at this address, and nothing that changes its answers?")
    })
}

fn pairs(value: &Value, key: &str) -> Vec<(String, String)> {
    list(value, key).iter().map(|pair| (text(pair, "key"), text(pair, "value"))).collect()
}

fn texts(value: &Value, key: &str) -> Texts {
    pairs(value, key).into_iter().collect()
}

pub fn experiment(value: &Value) -> Result<Experiment> {
    Ok(Experiment {
        id: required(value, "experiment_id", "experiment")?,
        name: required(value, "name", "experiment")?,
        is_deleted: text(value, "lifecycle_stage") == "deleted",
        created_at: time(millis(value, "creation_time")),
        updated_at: time(millis(value, "last_update_time").max(millis(value, "creation_time"))),
        tags: texts(value, "tags"),
    })
}

pub fn run(value: &Value) -> Result<Run> {
    let (info, data) = (&value["info"], &value["data"]);
    let (inputs, outputs) = (&value["inputs"], &value["outputs"]);
    let id = required(info, "run_id", "run").or_else(|error| required(info, "run_uuid", "run").map_err(|_| error))?;
    let dataset = |input: &Value| {
        let dataset = &input["dataset"];
        json!({
            "tags": pairs(input, "tags").into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect::<Vec<_>>(),
            "dataset": dataset,
        })
    };
    Ok(Run {
        id,
        name: text(info, "run_name"),
        user: text(info, "user_id"),
        status: text(info, "status"),
        started_at: time(millis(info, "start_time")),
        ended_at: integer(info, "end_time").map(time),
        is_deleted: text(info, "lifecycle_stage") == "deleted",
        deleted_at: None,
        root: text(info, "artifact_uri"),
        params: pairs(data, "params"),
        tags: texts(data, "tags"),
        metrics: list(data, "metrics").iter().map(|metric| text(metric, "key")).collect(),
        n_points: None,
        datasets: list(inputs, "dataset_inputs").iter().map(dataset).collect(),
        model_inputs: list(inputs, "model_inputs").iter().map(|input| text(input, "model_id")).collect(),
        model_outputs: list(outputs, "model_outputs")
            .iter()
            .map(|output| (text(output, "model_id"), integer(output, "step").unwrap_or(0)))
            .collect(),
    })
}

/// A point of a metric. JSON has no NaN, for which servers write a text.
pub fn point(value: &Value, key: &str) -> Result<Point> {
    let number = match &value["value"] {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        // What is not said is zero, as in every message of the protocol.
        Value::Null => Some(0.0),
        _ => None,
    };
    let unreadable = || IMPORT_SOURCE_ANSWER.error(format!("a value of the metric `{key}` is no number: {}", value["value"]));
    Ok(Point {
        key: key.to_owned(),
        value: number.ok_or_else(unreadable)?,
        timestamp_ms: millis(value, "timestamp"),
        step: integer(value, "step").unwrap_or(0),
    })
}

pub fn logged_model(value: &Value) -> Result<LoggedModel> {
    let (info, data) = (&value["info"], &value["data"]);
    let filled = |metric: &Value, key: &str| Some(text(metric, key)).filter(|text| !text.is_empty());
    let metric = |metric: &Value| -> Result<ModelMetric> {
        Ok(ModelMetric {
            run: text(metric, "run_id"),
            point: point(metric, &text(metric, "key"))?,
            dataset_name: filled(metric, "dataset_name"),
            dataset_digest: filled(metric, "dataset_digest"),
        })
    };
    Ok(LoggedModel {
        id: required(info, "model_id", "logged model")?,
        name: text(info, "name"),
        model_type: text(info, "model_type"),
        source_run: text(info, "source_run_id"),
        status: status(&text(info, "status")).to_owned(),
        created_at: time(millis(info, "creation_timestamp_ms")),
        updated_at: time(millis(info, "last_updated_timestamp_ms")),
        is_deleted: false,
        root: text(info, "artifact_uri"),
        params: texts(data, "params"),
        tags: texts(info, "tags"),
        metrics: list(data, "metrics").iter().map(metric).collect::<Result<_>>()?,
    })
}

/// `LOGGED_MODEL_READY` and `READY` are the same.
fn status(text: &str) -> &str {
    match text.strip_prefix("LOGGED_MODEL_").unwrap_or(text) {
        "UPLOAD_FAILED" => "FAILED",
        status => status,
    }
}

pub fn registered_model(value: &Value, versions: Vec<ModelVersion>) -> Result<RegisteredModel> {
    let alias = |alias: &Value| Some((text(alias, "alias"), u64::try_from(integer(alias, "version")?).ok()?));
    let created = millis(value, "creation_timestamp");
    Ok(RegisteredModel {
        name: required(value, "name", "registered model")?,
        description: text(value, "description"),
        created_at: time(created),
        updated_at: time(millis(value, "last_updated_timestamp").max(created)),
        tags: texts(value, "tags"),
        aliases: list(value, "aliases").iter().filter_map(alias).collect(),
        versions,
    })
}

pub fn model_version(value: &Value) -> Result<ModelVersion> {
    let number = integer(value, "version").and_then(|number| u64::try_from(number).ok());
    let missing = || IMPORT_SOURCE_ANSWER.error("the server's model version has no number");
    let source = text(value, "source");
    let logged_model = text(value, "model_id");
    let created = millis(value, "creation_timestamp");
    Ok(ModelVersion {
        version: number.ok_or_else(missing)?,
        logged_model: if logged_model.is_empty() {
            logged_model_of(&source).unwrap_or_default().to_owned()
        } else {
            logged_model
        },
        source,
        run: text(value, "run_id"),
        run_link: text(value, "run_link"),
        description: text(value, "description"),
        stage: text(value, "current_stage"),
        user: text(value, "user_id"),
        created_at: time(created),
        updated_at: time(millis(value, "last_updated_timestamp").max(created)),
        tags: texts(value, "tags"),
    })
}

/// Versions by number, each once.
pub fn in_order(versions: Vec<ModelVersion>) -> Vec<ModelVersion> {
    let by_number: BTreeMap<u64, ModelVersion> = versions.into_iter().map(|version| (version.version, version)).collect();
    by_number.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_with_all_it_has() {
        let answer = json!({
            "info": {"run_uuid": "ab", "run_name": "first", "status": "FINISHED", "start_time": 5, "end_time": "6",
                "lifecycle_stage": "deleted", "artifact_uri": "mlflow-artifacts:/1/ab/artifacts", "user_id": "bo"},
            "data": {"params": [{"key": "l2", "value": "1"}], "metrics": [{"key": "auc", "value": "NaN"}]},
            "inputs": {"dataset_inputs": [{"dataset": {"name": "d", "digest": "1"}}], "model_inputs": [{"model_id": "m-1"}]},
            "outputs": {"model_outputs": [{"model_id": "m-2", "step": 3}]},
        });
        let read = run(&answer).unwrap();
        assert_eq!((read.id.as_str(), read.ended_at.unwrap().millis(), read.is_deleted), ("ab", 6, true));
        assert_eq!((read.metrics, read.model_outputs), (vec!["auc".to_owned()], vec![("m-2".to_owned(), 3)]));
        assert_eq!(read.datasets, [json!({"tags": [], "dataset": {"name": "d", "digest": "1"}})]);
        assert!(run(&json!({"info": {}})).unwrap_err().is(IMPORT_SOURCE_ANSWER));
    }

    #[test]
    fn points_are_numbers_or_their_texts() {
        let value = |value: Value| point(&json!({"value": value, "timestamp": 1, "step": -2}), "auc");
        assert!(value(json!("NaN")).unwrap().value.is_nan());
        assert_eq!(value(json!(f64::MAX)).unwrap().value, f64::MAX);
        assert_eq!(value(json!(0.1)).unwrap(), Point { key: "auc".to_owned(), value: 0.1, timestamp_ms: 1, step: -2 });
        assert!(value(json!([1])).is_err());
    }

    #[test]
    fn states_of_logged_models_have_two_spellings() {
        for (given, want) in [("LOGGED_MODEL_READY", "READY"), ("READY", "READY"), ("LOGGED_MODEL_UPLOAD_FAILED", "FAILED")] {
            assert_eq!(status(given), want);
        }
    }
}
