//! Traces, assessments and their relatives.

use axum::http::Method;
use serde_json::{Value, json};

use crate::traced::{Traced, missing, traced};

const A: &str = "tr-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn told(world: &Traced, id: &str) -> Value {
    json!({"trace": {"trace_info": {
        "trace_id": id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": world.experiment}},
        "request_preview": "hello", "response_preview": "wörld", "request_time": "2025-11-23T10:00:00.123Z",
        "execution_duration": "1.5s", "state": "OK", "client_request_id": "cr1",
        "trace_metadata": {"mlflow.source.name": "x", "mlflow.trace.sizeStats": "{\"num_spans\": 2}"},
        "tags": {"mlflow.traceName": "root", "k": "v"},
        "assessments": [{"assessment_name": "q", "source": {"source_type": "HUMAN", "source_id": "bob"},
            "create_time": "2025-11-23T10:00:00Z", "last_update_time": "2025-11-23T10:00:00Z",
            "feedback": {"value": true}, "rationale": "r", "metadata": {"a": "b"}}]}}})
}

#[test]
fn a_trace_is_told_and_read() {
    traced(async |world| {
        let mut answer = world.posted("3.0/mlflow/traces", told(&world, A)).await;
        let id = answer["trace"]["trace_info"]["assessments"][0]["assessment_id"].take();
        assert!(id.as_str().unwrap().starts_with("a-"));
        let want = json!({"trace": {"trace_info": {
            "trace_id": A, "client_request_id": "cr1",
            "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": world.experiment}},
            "request_time": "2025-11-23T10:00:00.123Z", "execution_duration": "1.500s", "state": "OK",
            "trace_metadata": {"mlflow.trace.infoFinalized": "true", "mlflow.source.name": "x",
                               "mlflow.trace.sizeStats": "{\"num_spans\": 2}"},
            "assessments": [{"assessment_id": null, "assessment_name": "q", "trace_id": A,
                "source": {"source_type": "HUMAN", "source_id": "bob"}, "create_time": "2025-11-23T10:00:00Z",
                "last_update_time": "2025-11-23T10:00:00Z", "feedback": {"value": true}, "rationale": "r",
                "metadata": {"a": "b"}, "valid": true}],
            "tags": {"mlflow.artifactLocation": format!("mlflow-artifacts:/{}/traces/{A}/artifacts", world.experiment), "k": "v",
                     "mlflow.traceName": "root"},
            "request_preview": "hello", "response_preview": "wörld"}}});
        assert_eq!(answer, want);
        let read = world.got(&format!("3.0/mlflow/traces/{A}")).await;
        assert_eq!(read["trace"]["trace_info"]["request_time"], "2025-11-23T10:00:00.123Z");
        let location = [json!({"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": world.experiment}})];
        let listed = world.posted("3.0/mlflow/traces/search", json!({"locations": location, "max_results": 1})).await;
        assert_eq!(
            (&listed["traces"], &listed["next_page_token"]),
            (&json!([read["trace"]["trace_info"]]), &json!("eyJvZmZzZXQiOiAxfQ=="))
        );
        let infos = world.posted("3.0/mlflow/traces/batchGetInfos", json!({"trace_ids": [A, "nope"]})).await;
        assert_eq!(infos["trace_infos"], json!([read["trace"]["trace_info"]]));
        let old = world.got(&format!("2.0/mlflow/traces?experiment_ids={}", world.experiment)).await;
        assert_eq!(old["traces"][0]["execution_time_ms"], 1500);
    });
}

#[test]
fn refusals_have_the_words_of_mlflow() {
    traced(async |world| {
        world.posted("3.0/mlflow/traces", told(&world, A)).await;
        let mut nowhere = told(&world, "tr-x");
        nowhere["trace"]["trace_info"]["trace_location"]["mlflow_experiment"]["experiment_id"] = json!("999");
        let location = [json!({"mlflow_experiment": {"experiment_id": world.experiment}})];
        let post = Method::POST;
        let cases = [
            (post.clone(), "3.0/mlflow/traces".to_owned(), json!({}), 400, missing("trace")),
            (post.clone(), "3.0/mlflow/traces".to_owned(), nowhere, 404, "No Experiment with id=999 exists".to_owned()),
            (Method::GET, "3.0/mlflow/traces/nope".to_owned(), Value::Null, 404, "Trace with ID 'nope' not found.".to_owned()),
            (Method::GET, "3.0/mlflow/traces/get".to_owned(), Value::Null, 400, missing("trace_id")),
            (
                Method::GET,
                "3.0/mlflow/traces/get?trace_id=nope&allow_partial=true".to_owned(),
                Value::Null,
                404,
                "Trace with ID nope is not found.".to_owned(),
            ),
            (Method::GET, "3.0/mlflow/traces/batchGet".to_owned(), Value::Null, 400, missing("trace_ids")),
            (post.clone(), "3.0/mlflow/traces/search".to_owned(), json!({}), 400, missing("locations")),
            (
                post.clone(),
                "3.0/mlflow/traces/search".to_owned(),
                json!({"locations": location, "max_results": 0}),
                400,
                "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer".to_owned(),
            ),
            (
                post.clone(),
                "3.0/mlflow/traces/search".to_owned(),
                json!({"locations": location, "max_results": 501}),
                400,
                "Invalid value 501 for parameter 'max_results' supplied:  Hint: Value was of type 'int'. See the API docs for more \
                 information about request parameters."
                    .to_owned(),
            ),
            (Method::PATCH, format!("2.0/mlflow/traces/{A}/tags"), json!({"key": "", "value": "b"}), 400, missing("key")),
            (
                Method::PATCH,
                format!("3.0/mlflow/traces/{A}/tags"),
                json!({"key": "mlflow.trace.spansLocation", "value": "b"}),
                400,
                "Tag 'mlflow.trace.spansLocation' is immutable and cannot be set on a trace.".to_owned(),
            ),
            (
                Method::PATCH,
                format!("3.0/mlflow/traces/{A}/tags"),
                json!({"key": "k".repeat(251), "value": "b"}),
                400,
                "'key' exceeds the maximum length of 250 characters".to_owned(),
            ),
            (
                Method::DELETE,
                format!("3.0/mlflow/traces/{A}/tags"),
                json!({"key": "a"}),
                404,
                format!("No trace tag with key 'a' for trace with ID '{A}'"),
            ),
            (
                post.clone(),
                "2.0/mlflow/traces/delete-traces".to_owned(),
                json!({"experiment_id": world.experiment}),
                400,
                "Either `max_timestamp_millis` or `trace_ids` must be specified.".to_owned(),
            ),
            (
                post.clone(),
                "2.0/mlflow/traces/delete-traces".to_owned(),
                json!({"experiment_id": world.experiment, "max_timestamp_millis": 1, "max_traces": 0}),
                400,
                "`max_traces` must be a positive integer, received 0.".to_owned(),
            ),
            (post.clone(), "2.0/mlflow/traces/link-prompts".to_owned(), json!({"trace_id": A}), 400, missing("prompt_versions")),
            (post, format!("3.0/mlflow/traces/{A}/assessments"), json!({"assessment": {}}), 400, "Unknown assessment type: None".to_owned()),
        ];
        for (method, path, body, status, message) in cases {
            world.refused(method, &path, body, status, &message).await;
        }
    });
}

#[test]
fn spans_that_a_client_keeps_as_a_file_are_shown() {
    traced(async |world| {
        world.posted("3.0/mlflow/traces", told(&world, A)).await;
        let get = async |query: &str| {
            let request = axum::http::Request::get(format!("/ajax-api/2.0/mlflow/get-trace-artifact{query}"));
            let (status, _, body) = world.send(request.body(axum::body::Body::empty()).unwrap()).await;
            (status.as_u16(), String::from_utf8(body).unwrap())
        };
        let missing = get(&format!("?request_id={A}")).await;
        assert_eq!((missing.0, missing.1.contains("Trace data not found for path=traces.json")), (404, true));
        for (path, body) in [("traces.json", "{\"spans\": []}"), ("attachments/a.png", "png")] {
            let path = format!("/api/2.0/mlflow-artifacts/artifacts/{}/traces/{A}/artifacts/{path}", world.experiment);
            let request = axum::http::Request::put(path).body(axum::body::Body::from(body)).unwrap();
            assert_eq!(world.send(request).await.0, 200);
        }
        assert_eq!(get(&format!("?request_id={A}")).await, (200, "{\"spans\": []}".to_owned()));
        assert_eq!(get(&format!("?request_id={A}&path=a.png")).await, (200, "png".to_owned()));
        assert_eq!(get(&format!("?request_id={A}&path=b.png")).await.0, 404);
        assert_eq!(get("").await.0, 400);
        let gone = json!({"experiment_id": world.experiment, "request_ids": [A]});
        world.posted("3.0/mlflow/traces/delete-traces", gone).await;
        world.posted("3.0/mlflow/traces", told(&world, A)).await;
        assert_eq!(get(&format!("?request_id={A}")).await.0, 404);
    });
}

#[test]
fn tags_links_and_removal() {
    traced(async |world| {
        world.posted("3.0/mlflow/traces", told(&world, A)).await;
        for version in ["2.0", "3.0"] {
            let path = format!("{version}/mlflow/traces/{A}/tags");
            assert_eq!(world.done(Method::PATCH, &path, json!({"key": "a", "value": "b"})).await, json!({}));
            assert_eq!(world.got(&format!("3.0/mlflow/traces/{A}")).await["trace"]["trace_info"]["tags"]["a"], "b");
            assert_eq!(world.done(Method::DELETE, &path, json!({"key": "a"})).await, json!({}));
        }
        world.posted("2.0/mlflow/traces/link-to-run", json!({"trace_ids": [A], "run_id": "r"})).await;
        world.posted("2.0/mlflow/traces/link-to-run", json!({"trace_ids": [], "run_id": "r"})).await;
        let prompts = json!({"trace_id": A, "prompt_versions": [{"name": "p", "version": "1"}]});
        world.posted("2.0/mlflow/traces/link-prompts", prompts).await;
        let gone = json!({"experiment_id": world.experiment, "request_ids": [A, "nope"]});
        assert_eq!(world.posted("2.0/mlflow/traces/delete-traces", gone.clone()).await, json!({"traces_deleted": 1}));
        assert_eq!(world.posted("3.0/mlflow/traces/delete-traces", gone).await, json!({"traces_deleted": 0}));
        world.posted("3.0/mlflow/traces", told(&world, A)).await;
        let until = json!({"experiment_id": world.experiment, "max_timestamp_millis": 1_763_892_000_123_i64});
        assert_eq!(world.posted("3.0/mlflow/traces/delete-traces", until).await, json!({"traces_deleted": 1}));
    });
}

#[test]
fn assessments_are_made_changed_and_removed() {
    traced(async |world| {
        world.posted("3.0/mlflow/traces", told(&world, A)).await;
        let path = format!("3.0/mlflow/traces/{A}/assessments");
        let given = |kind: &str, value: Value| {
            json!({"assessment": {"assessment_name": "corr", "source": {"source_type": "LLM_JUDGE", "source_id": "gpt"},
                                  "create_time": "2025-11-23T10:00:00Z", kind: value}})
        };
        let kept = async |kind: &str, value: Value| world.posted(&path, given(kind, value)).await["assessment"].clone();
        let first = kept("feedback", json!({"value": 0.5})).await;
        assert_eq!((&first["feedback"], &first["valid"]), (&json!({"value": 0.5}), &json!(true)));
        let error = json!({"error_code": "E", "error_message": "m"});
        let failed = kept("feedback", json!({"value": {"a": [1, "x", null]}, "error": error})).await;
        assert_eq!(failed["feedback"], json!({"value": {"a": [1.0, "x", null]}, "error": error}));
        assert_eq!(kept("feedback", json!({})).await["feedback"], json!({"value": null}));
        let serialized = json!({"serialized_value": {"serialization_format": "JSON_FORMAT", "value": "[1, 2]"}});
        assert_eq!(kept("expectation", serialized.clone()).await["expectation"], serialized);
        assert_eq!(kept("expectation", json!({"value": "yes"})).await["expectation"], json!({"value": "yes"}));
        assert_eq!(kept("issue", json!({"issue_name": "iss"})).await["issue"], json!({"issue_name": "iss"}));

        let one = format!("{path}/{}", first["assessment_id"].as_str().unwrap());
        let mut over = given("feedback", json!({"value": 0.9}));
        over["assessment"]["overrides"] = first["assessment_id"].clone();
        let over = world.posted(&path, over).await["assessment"].clone();
        assert_eq!(world.got(&one).await["assessment"]["valid"], false);
        world.done(Method::DELETE, &format!("{path}/{}", over["assessment_id"].as_str().unwrap()), Value::Null).await;
        assert_eq!(world.got(&one).await["assessment"]["valid"], true);

        let update = json!({"assessment": {"assessmentName": "new", "feedback": {"value": "x"}, "metadata": {"m": "n"}},
                            "update_mask": "assessmentName,feedback,metadata"});
        let updated = world.done(Method::PATCH, &one, update).await["assessment"].clone();
        assert_eq!((&updated["assessment_name"], &updated["feedback"]), (&json!("new"), &json!({"value": "x"})));
        let wrong = json!({"assessment": {"expectation": {"value": 1}}, "update_mask": "expectation"});
        world.refused(Method::PATCH, &one, wrong, 400, "Cannot update expectation value on a Feedback assessment.").await;
        world.refused(Method::PATCH, &one, json!({"assessment": {}}), 400, &missing("update_mask")).await;
        let nothing = format!("{path}/nope");
        world
            .refused(Method::GET, &nothing, Value::Null, 404, &format!("Assessment with ID 'nope' not found for trace '{A}'"))
            .await;
        assert_eq!(world.done(Method::DELETE, &nothing, Value::Null).await, json!({}));
    });
}

#[test]
fn clients_before_mlflow_3_are_served() {
    traced(async |world| {
        let begun = json!({"experiment_id": world.experiment, "timestamp_ms": 1_700_000_000_000_i64,
                           "request_metadata": [{"key": "a", "value": "b"}], "tags": [{"key": "t", "value": "u"}]});
        let begun = world.posted("2.0/mlflow/traces", begun).await["trace_info"].clone();
        let id = begun["request_id"].as_str().unwrap();
        let location = format!("mlflow-artifacts:/{}/traces/{id}/artifacts", world.experiment);
        let tags = json!([{"key": "mlflow.artifactLocation", "value": location}, {"key": "t", "value": "u"}]);
        assert_eq!(
            begun,
            json!({"request_id": id, "experiment_id": world.experiment, "timestamp_ms": 1_700_000_000_000_i64, "execution_time_ms": 0,
                   "status": "IN_PROGRESS", "request_metadata": [{"key": "a", "value": "b"}], "tags": tags})
        );
        let ended =
            json!({"timestamp_ms": 1_700_000_000_500_i64, "status": "OK", "request_metadata": [{"key": "c", "value": "d"}]});
        let ended = world.done(Method::PATCH, &format!("2.0/mlflow/traces/{id}"), ended).await["trace_info"].clone();
        assert_eq!((&ended["execution_time_ms"], &ended["status"]), (&json!(500), &json!("OK")));
        assert_eq!(ended["request_metadata"], json!([{"key": "a", "value": "b"}, {"key": "c", "value": "d"}]));
        assert_eq!(world.got(&format!("2.0/mlflow/traces/{id}/info")).await["trace_info"], ended);
        let new = world.got(&format!("3.0/mlflow/traces/{id}")).await["trace"]["trace_info"].clone();
        assert_eq!((&new["execution_duration"], &new["trace_metadata"]), (&json!("0.500s"), &json!({"a": "b", "c": "d"})));
    });
}
