//! Whatever a client sends, the fault is its own: a server's error makes it try again for minutes.

use axum::body::Body;
use axum::http::{Method, Request};
use lw_mlflow::routes;
use serde_json::{Value, json};

use crate::world::both;

const FIELDS: [&str; 34] = [
    "run_id",
    "run_uuid",
    "experiment_id",
    "experiment_ids",
    "name",
    "new_name",
    "experiment_name",
    "artifact_location",
    "tags",
    "key",
    "value",
    "timestamp",
    "step",
    "metrics",
    "params",
    "status",
    "end_time",
    "start_time",
    "run_name",
    "user_id",
    "filter",
    "order_by",
    "max_results",
    "page_token",
    "view_type",
    "run_view_type",
    "datasets",
    "models",
    "model_id",
    "model_json",
    "metric_key",
    "run_ids",
    "start_step",
    "end_step",
];

fn odd_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("\u{0}"),
        json!("a\u{0}b"),
        json!("99999999999999999999"),
        json!("💥".repeat(300)),
        json!("eyJvZmZzZXQiOiA5OTk5OTk5OTk5OTk5OTk5OTk5OX0="),
        json!("((((("),
        json!([]),
        json!([[]]),
        json!([null]),
        json!(["\u{0}"]),
        json!([{}]),
        json!([{"key": "\u{0}", "value": "\u{0}"}]),
        json!([{"key": "k", "value": 1e308, "timestamp": i64::MAX, "step": i64::MIN}]),
        json!([{"key": "k", "value": "x", "timestamp": -1}]),
        json!([{"dataset": {"name": "\u{0}", "digest": 5}}]),
        json!([{"model_id": "../..", "step": "x"}]),
        json!([{"field_name": "metrics.", "ascending": "perhaps"}]),
        json!({"a": {"b": []}}),
    ]
}

/// A request that would do something.
fn sound(experiment: &str, run: &str) -> Value {
    json!({"run_id": run, "experiment_id": experiment, "experiment_ids": [experiment], "name": "sound", "new_name": "sounder",
        "experiment_name": "Default", "key": "k", "value": 1, "timestamp": 1, "max_results": 5, "metric_key": "k", "run_ids": [run],
        "model_json": "{}", "models": [], "status": "RUNNING"})
}

#[test]
fn odd_requests_are_never_the_servers_fault() {
    both(async |world| {
        let (experiment, run) = world.run().await;
        let mut paths: Vec<(Method, String)> = routes()
            .into_iter()
            .filter(|route| route.path.starts_with("/api/2.0"))
            .filter(|route| ["experiment", "run", "logged_model"].contains(&route.resource))
            .map(|route| (route.method, route.path.replace("{model_id}", "m-1").replace("{tag_key}", "k")))
            .collect();
        paths.sort_by_key(|(method, path)| (path.clone(), method.to_string()));
        paths.dedup();
        assert!(paths.len() >= 35, "{} routes", paths.len());
        for (at_path, (method, path)) in paths.iter().enumerate() {
            for (at_field, field) in FIELDS.into_iter().enumerate() {
                // A third of the values for each field of each route: all are met often, and the test stays short.
                let wanted = |index: usize| (index + at_path + at_field).is_multiple_of(3);
                for (_, odd) in odd_values().into_iter().enumerate().filter(|(index, _)| wanted(*index)) {
                    let mut message = sound(&experiment, &run);
                    message[field] = odd;
                    let request = if *method == Method::GET {
                        let pairs = message.as_object().unwrap().iter().map(|(name, value)| {
                            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                            (name.clone(), text)
                        });
                        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                        Request::builder().uri(format!("{path}?{query}")).body(Body::empty())
                    } else {
                        Request::builder()
                            .method(method.clone())
                            .uri(path)
                            .header("content-type", "application/json")
                            .body(Body::from(message.to_string()))
                    };
                    let (status, answer) = world.send(request.unwrap()).await;
                    let answer = String::from_utf8_lossy(&answer);
                    assert!(!status.is_server_error(), "{method} {path} {field}: {message} gives {status} {answer}");
                }
            }
        }
        for body in ["", "null", "5", "[]", "\"x\"", "\"{\\\"run_id\\\": 5}\"", "{", "\u{0}", "{\"run_id\": NaN}", "NaN"] {
            for (method, path) in paths.iter().filter(|(method, _)| *method != Method::GET) {
                let request = Request::builder().method(method.clone()).uri(path).header("content-type", "application/json");
                let (status, _) = world.send(request.body(Body::from(body)).unwrap()).await;
                assert!(!status.is_server_error(), "{method} {path} {body:?} gives {status}");
            }
        }
        assert!(world.store.verify().await.unwrap().is_sound());
    });
}
