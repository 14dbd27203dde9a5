//! Rows of MLflow's database, as records.

use lw_core::Scalar;
use lw_store::Row;

use crate::import::source::{
    Experiment, LoggedModel, ModelMetric, ModelVersion, Point, RegisteredModel, Run, Texts, logged_model_of, time,
};

/// SQLite keeps what it is given, whatever the column says.
pub fn opt_text(row: &Row, column: &str) -> Option<String> {
    match row.get(column).ok()? {
        Scalar::Text(text) => Some(text.clone()),
        Scalar::Int(value) => Some(value.to_string()),
        Scalar::Float(value) => Some(value.to_string()),
        _ => None,
    }
}

pub fn text(row: &Row, column: &str) -> String {
    opt_text(row, column).unwrap_or_default()
}

pub fn opt_number(row: &Row, column: &str) -> Option<i64> {
    match row.get(column).ok()? {
        Scalar::Int(value) => Some(*value),
        Scalar::Bool(value) => Some(i64::from(*value)),
        Scalar::Text(text) => text.parse().ok(),
        // Times that were written as floating-point numbers.
        Scalar::Float(value) if value.is_finite() => Some(*value as i64),
        _ => None,
    }
}

pub fn number(row: &Row, column: &str) -> i64 {
    opt_number(row, column).unwrap_or(0)
}

fn is_deleted(row: &Row) -> bool {
    text(row, "lifecycle_stage").eq_ignore_ascii_case("deleted")
}

pub fn experiment(row: &Row) -> Experiment {
    let created = number(row, "creation_time");
    Experiment {
        id: text(row, "experiment_id"),
        name: text(row, "name"),
        is_deleted: is_deleted(row),
        created_at: time(created),
        updated_at: time(number(row, "last_update_time").max(created)),
        tags: Texts::new(),
    }
}

/// A run without what it logged.
pub fn run(row: &Row) -> Run {
    Run {
        id: text(row, "run_uuid"),
        name: text(row, "name"),
        user: text(row, "user_id"),
        status: text(row, "status"),
        started_at: time(number(row, "start_time")),
        ended_at: opt_number(row, "end_time").map(time),
        is_deleted: is_deleted(row),
        deleted_at: opt_number(row, "deleted_time").map(time),
        root: text(row, "artifact_uri"),
        params: Vec::new(),
        tags: Texts::new(),
        metrics: Vec::new(),
        n_points: None,
        datasets: Vec::new(),
        model_inputs: Vec::new(),
        model_outputs: Vec::new(),
    }
}

fn float(row: &Row, column: &str) -> f64 {
    match row.get(column) {
        Ok(Scalar::Float(value)) => *value,
        Ok(Scalar::Int(value)) => *value as f64,
        Ok(Scalar::Text(text)) => text.parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

pub fn point(row: &Row) -> Point {
    let value = if number(row, "is_nan") != 0 { f64::NAN } else { float(row, "value") };
    Point { key: text(row, "key"), value, timestamp_ms: number(row, "timestamp"), step: number(row, "step") }
}

pub fn logged_model(row: &Row) -> LoggedModel {
    let created = number(row, "creation_timestamp_ms");
    LoggedModel {
        id: text(row, "model_id"),
        name: text(row, "name"),
        model_type: text(row, "model_type"),
        source_run: text(row, "source_run_id"),
        status: match number(row, "status") {
            1 => "PENDING",
            2 => "READY",
            3 => "FAILED",
            _ => "UNSPECIFIED",
        }
        .to_owned(),
        created_at: time(created),
        updated_at: time(number(row, "last_updated_timestamp_ms").max(created)),
        is_deleted: is_deleted(row),
        root: text(row, "artifact_location"),
        params: Texts::new(),
        tags: Texts::new(),
        metrics: Vec::new(),
    }
}

/// SQLite has no NaN; it stands as null.
pub fn model_metric(row: &Row) -> ModelMetric {
    let key = text(row, "metric_name");
    let (timestamp_ms, step) = (number(row, "metric_timestamp_ms"), number(row, "metric_step"));
    ModelMetric {
        run: text(row, "run_id"),
        point: Point { key, value: float(row, "metric_value"), timestamp_ms, step },
        dataset_name: opt_text(row, "dataset_name"),
        dataset_digest: opt_text(row, "dataset_digest"),
    }
}

/// A registered model without its tags, aliases and versions.
pub fn registered_model(row: &Row) -> RegisteredModel {
    let created = number(row, "creation_time");
    RegisteredModel {
        name: text(row, "name"),
        description: text(row, "description"),
        created_at: time(created),
        updated_at: time(number(row, "last_updated_time").max(created)),
        tags: Texts::new(),
        aliases: Vec::new(),
        versions: Vec::new(),
    }
}

pub fn model_version(row: &Row) -> ModelVersion {
    let (source, created) = (text(row, "source"), number(row, "creation_time"));
    ModelVersion {
        version: u64::try_from(number(row, "version")).unwrap_or(0),
        logged_model: logged_model_of(&source).unwrap_or_default().to_owned(),
        source,
        run: text(row, "run_id"),
        run_link: text(row, "run_link"),
        description: text(row, "description"),
        stage: text(row, "current_stage"),
        user: text(row, "user_id"),
        created_at: time(created),
        updated_at: time(number(row, "last_updated_time").max(created)),
        tags: Texts::new(),
    }
}
