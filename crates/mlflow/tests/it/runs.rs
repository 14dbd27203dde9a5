use axum::http::Method;
use serde_json::{Value, json};

use crate::world::{INVALID, MISSING, World, both, check, see_docs};

fn metric(run: &str, key: &str, value: Value) -> Value {
    json!({"run_id": run, "key": key, "value": value, "timestamp": 1, "step": 0})
}

fn with(mut message: Value, name: &str, value: Value) -> Value {
    message[name] = value;
    message
}

async fn data(world: &World, run: &str) -> Value {
    world.got(&format!("runs/get?run_id={run}")).await["run"]["data"].clone()
}

fn has(data: &Value, list: &str, key: &str) -> bool {
    data[list].as_array().is_some_and(|list| list.iter().any(|item| item["key"] == key))
}

#[test]
fn a_run_is_answered_as_mlflow_does() {
    both(async |world| {
        let experiment = world.experiment("answers").await;
        let request = json!({"experiment_id": experiment, "start_time": 1, "user_id": "u", "run_name": "n",
            "tags": [{"key": "mlflow.source.name", "value": "train.py"}]});
        let answer = world.post("runs/create", request).await;
        let run = answer["run"]["info"]["run_id"].as_str().unwrap();
        let want = json!({"run": {
            "info": {"run_uuid": run, "experiment_id": experiment, "run_name": "n", "user_id": "u", "status": "RUNNING",
                "start_time": 1, "artifact_uri": format!("mlflow-artifacts:/{experiment}/{run}/artifacts"),
                "lifecycle_stage": "active", "run_id": run},
            "data": {"tags": [{"key": "mlflow.runName", "value": "n"}, {"key": "mlflow.source.name", "value": "train.py"}]},
            "inputs": {}}});
        assert_eq!(answer, want);
        let mut got = world.got(&format!("runs/get?run_id={run}")).await;
        assert_eq!(got["run"]["outputs"].take(), json!({}));
        let unnamed = world.post("runs/create", json!({"experiment_id": experiment})).await["run"]["info"].clone();
        assert_eq!(unnamed["run_name"].as_str().unwrap().split('-').count(), 3);
    });
}

#[test]
fn what_is_wrong_with_runs_is_said_in_mlflows_words() {
    both(async |world| {
        let (experiment, run) = world.run().await;
        let unknown = "No Experiment with id=12345678 exists";
        world.refused("runs/create", json!({"experiment_id": "12345678"}), 404, MISSING, unknown).await;
        let tags = json!([{"key": "mlflow.runName", "value": "b"}]);
        let mismatch = "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='a', \
                        mlflow.runName='b').";
        let request = json!({"experiment_id": experiment, "run_name": "a", "tags": tags});
        world.refused("runs/create", request, 400, INVALID, mismatch).await;
        let (status, answer) = world.raw(Method::POST, "runs/create", "application/json", "{bad").await;
        assert_eq!((status.as_u16(), &answer["error_code"]), (400, &json!("BAD_REQUEST")));
        for id in ["0".repeat(32), "no-run".to_owned()] {
            let message = format!("Run with id={id} not found");
            world.get_refused(&format!("runs/get?run_id={id}"), 404, MISSING, &message).await;
        }
        let missing = see_docs("Missing value for required parameter 'run_id'.");
        world.get_refused("runs/get", 400, INVALID, &missing).await;
        let message = see_docs("Invalid value 31 for parameter 'run_id' supplied:  Hint: Value was of type 'int'.");
        world.refused("runs/set-tag", json!({"run_id": 31, "key": "a"}), 400, INVALID, &message).await;
        let message = format!("No tag with name: zz in run with id {run}");
        world.refused("runs/delete-tag", json!({"run_id": run, "key": "zz"}), 404, MISSING, &message).await;
    });
}

#[test]
fn metrics_are_read_as_clients_write_them() {
    both(async |world| {
        let (_, run) = world.run().await;
        let log = "runs/log-metric";
        for (key, value) in [
            ("nan", json!("NaN")),
            ("inf", json!("Infinity")),
            ("ninf", json!("-Infinity")),
            ("str", json!("1.5")),
            ("int", json!(3)),
        ] {
            world.post(log, metric(&run, key, value)).await;
        }
        world.post(log, metric(&run, "a b.c-d/e:f", json!(1))).await;
        world.post(log, with(metric(&run, "neg", json!(1)), "step", json!(-5))).await;
        world.post(log, with(metric(&run, "unknown", json!(1)), "zzz", json!(1))).await;
        world.post(log, with(with(metric(&run, "texts", json!(1)), "timestamp", json!("12")), "step", json!("3"))).await;
        let bare = metric(&run, "bare", json!(1)).to_string().replace("\"value\":1", "\"value\":NaN");
        assert_eq!(world.raw(Method::POST, log, "application/json", &bare).await.0.as_u16(), 200);
        let data = data(&world, &run).await;
        let found = |key: &str| data["metrics"].as_array().unwrap().iter().find(|metric| metric["key"] == key).unwrap().clone();
        assert_eq!(found("nan"), json!({"key": "nan", "value": "NaN", "timestamp": 1, "step": 0}));
        assert_eq!((&found("inf")["value"], &found("ninf")["value"]), (&json!(f64::MAX), &json!(f64::MIN)));
        assert_eq!((&found("bare")["value"], &found("int")["value"]), (&json!("NaN"), &json!(3.0)));
        assert_eq!((&found("texts")["timestamp"], &found("texts")["step"]), (&json!(12), &json!(3)));

        let (invalid, hint) = ("Invalid value", "Hint: Value was of type 'str'.");
        for (message, want) in [
            (metric(&run, "bad", json!("abc")), see_docs(&format!("{invalid} \"abc\" for parameter 'value' supplied:  {hint}"))),
            (metric(&run, &"a".repeat(251), json!(1)), "'Metric name' exceeds the maximum length of 250 characters".to_owned()),
            (metric(&run, "a/../b", json!(1)), not_normal("a/../b", "b")),
            (metric(&run, "sl//x", json!(1)), not_normal("sl//x", "sl/x")),
            (
                with(metric(&run, "m", json!(1)), "step", json!("x")),
                see_docs(&format!("{invalid} \"x\" for parameter 'step' supplied:  {hint}")),
            ),
            (json!({"run_id": run, "key": "x", "value": 1}), see_docs("Missing value for required parameter 'timestamp'.")),
        ] {
            world.refused(log, message, 400, INVALID, &want).await;
        }
    });
}

fn not_normal(key: &str, normal: &str) -> String {
    format!(
        "Invalid value \"{key}\" for parameter 'name' supplied: Names may be treated as files in certain cases, and must not resolve to \
         other names when treated as such. This name would resolve to '{normal}'"
    )
}

#[test]
fn parameters_and_tags_follow_mlflows_rules() {
    both(async |world| {
        let (_, run) = world.run().await;
        let param = |value: &str| json!({"run_id": run, "key": "p", "value": value});
        world.post("runs/log-parameter", param("1")).await;
        world.post("runs/log-parameter", param("1")).await;
        let changed = format!(
            "Changing param values is not allowed. Param with key='p' was already logged with value='1' for run ID='{run}'. Attempted \
             logging new value '2'."
        );
        world.refused("runs/log-parameter", param("2"), 400, INVALID, &changed).await;
        world.post("runs/log-parameter", json!({"run_id": run, "key": "long", "value": "x".repeat(6001)})).await;
        world.post("runs/set-tag", json!({"run_id": run, "key": "t", "value": "x".repeat(8001)})).await;
        world.post("runs/set-tag", json!({"run_id": run, "key": "mlflow.runName", "value": "renamed"})).await;
        let got = world.got(&format!("runs/get?run_id={run}")).await["run"].clone();
        assert_eq!(got["info"]["run_name"], "renamed");
        let length = |list: &str, key: &str| {
            let list = got["data"][list].as_array().unwrap();
            list.iter().find(|item| item["key"] == key).unwrap()["value"].as_str().unwrap().len()
        };
        assert_eq!((length("params", "long"), length("tags", "t")), (6000, 8000));
    });
}

#[test]
fn batches_are_done_whole_or_not_at_all() {
    both(async |world| {
        let (_, run) = world.run().await;
        world.post("runs/log-parameter", json!({"run_id": run, "key": "p", "value": "1"})).await;
        let log = "runs/log-batch";
        let metrics: Vec<Value> =
            (0..1001).map(|index| json!({"key": format!("b{index}"), "value": 1, "timestamp": 1, "step": 0})).collect();
        let too_many = "A batch logging request can contain at most 1000 metrics. Got 1001 metrics. Please split up metrics across \
                        multiple requests and try again.";
        world.refused(log, json!({"run_id": run, "metrics": metrics}), 400, INVALID, too_many).await;
        let params: Vec<Value> = (0..101).map(|index| json!({"key": format!("b{index}"), "value": "1"})).collect();
        let too_many = "A batch logging request can contain at most 100 params. Got 101 params. Please split up params across multiple \
                        requests and try again.";
        world.refused(log, json!({"run_id": run, "params": params}), 400, INVALID, too_many).await;
        let point = json!([{"key": "m", "value": 1, "timestamp": 1, "step": 0}]);
        let params = json!([{"key": "new", "value": "1"}, {"key": "p", "value": "zz"}]);
        let conflict = format!(
            "Changing param values is not allowed. Params were already logged='[{{'key': 'p', 'old_value': '1', 'new_value': 'zz'}}]' for \
             run ID='{run}'."
        );
        world.refused(log, json!({"run_id": run, "metrics": point, "params": params}), 400, INVALID, &conflict).await;
        let no_key = see_docs("Missing value for required parameter 'tags[0].key'.");
        let request = json!({"run_id": run, "metrics": point, "tags": [{"key": "", "value": "1"}]});
        world.refused(log, request, 400, INVALID, &no_key).await;
        let twice = "Duplicate parameter keys have been submitted: ['q']. Please ensure the request contains only one param value per \
                     param key.";
        let request = json!({"run_id": run, "params": [{"key": "q", "value": "1"}, {"key": "q", "value": "2"}]});
        world.refused(log, request, 400, INVALID, twice).await;
        let bad_run = "Invalid value \"a b\" for parameter 'run_id' supplied.";
        world.refused(log, json!({"run_id": "a b"}), 400, INVALID, bad_run).await;
        let message = "Invalid value -1 for parameter 'metrics[0].timestamp' supplied: metric 'm' (value=1.0). Timestamp must be a \
                       nonnegative long (64-bit integer) ";
        let early = json!({"run_id": run, "metrics": [{"key": "m", "value": 1, "timestamp": -1}]});
        world.refused(log, early, 400, INVALID, message).await;
        let data = data(&world, &run).await;
        assert!(!has(&data, "metrics", "m") && !has(&data, "params", "new") && !has(&data, "params", "q"));
        world.post(log, json!({"run_id": run})).await;
        let batch = json!({"run_id": run, "metrics": point, "params": [{"key": "new", "value": "1"}],
            "tags": [{"key": "t", "value": "1"}]});
        world.post(log, batch).await;
        let data = self::data(&world, &run).await;
        assert!(has(&data, "metrics", "m") && has(&data, "params", "new") && has(&data, "tags", "t"));
    });
}

#[test]
fn runs_are_updated_deleted_and_restored() {
    both(async |world| {
        let (_, run) = world.run().await;
        let by_id = json!({"run_id": run});
        world.post("runs/delete", by_id.clone()).await;
        let inactive = format!("The run {run} must be in the 'active' state. Current state is deleted.");
        world.refused("runs/log-metric", metric(&run, "m", json!(1)), 400, INVALID, &inactive).await;
        world.post("runs/delete", by_id.clone()).await;
        world.post("runs/restore", by_id).await;
        let update = async |status: Value| {
            world.post("runs/update", json!({"run_id": run, "status": status})).await["run_info"]["status"].clone()
        };
        let info =
            world.post("runs/update", json!({"run_id": run, "status": "FINISHED", "end_time": 5})).await["run_info"].clone();
        assert_eq!((&info["status"], &info["end_time"]), (&json!("FINISHED"), &json!(5)));
        assert_eq!(update(json!("BOGUS")).await, "FINISHED", "an unknown status is ignored");
        assert_eq!(update(json!(4)).await, "FAILED");
        world.post("runs/log-metric", metric(&run, "after", json!(1))).await;
        assert!(world.store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn old_clients_note_their_models_in_a_tag() {
    both(async |world| {
        let (_, run) = world.run().await;
        let model = json!({"artifact_path": "m", "run_id": run, "utc_time_created": "now", "model_uuid": "u", "signature": {},
            "flavors": {"sklearn": {"config": "c", "code": null}, "python_function": {"config": 1}}});
        for _ in 0..2 {
            world.post("runs/log-model", json!({"run_id": run, "model_json": model.to_string()})).await;
        }
        let data = data(&world, &run).await;
        let tag = data["tags"].as_array().unwrap().iter().find(|tag| tag["key"] == "mlflow.log-model.history").unwrap();
        let models: Vec<Value> = serde_json::from_str(tag["value"].as_str().unwrap()).unwrap();
        assert_eq!((models.len(), &models[0]["flavors"]), (2, &json!({"sklearn": {"code": null}, "python_function": {}})));
        let missing = "Model json is missing mandatory fields: {'flavors', 'run_id', 'utc_time_created'}";
        let request = json!({"run_id": run, "model_json": "{\"artifact_path\": 1}"});
        world.refused("runs/log-model", request, 400, INVALID, missing).await;
        let (status, answer) = world.call(Method::POST, "runs/log-model", json!({"run_id": run, "model_json": "{"})).await;
        check("malformed", (status, &answer), 400, INVALID, "Malformed model info. \n { \n is not a valid JSON.");
    });
}

#[test]
fn a_prompt_that_was_tried_becomes_a_run() {
    both(async |world| {
        let experiment = world.experiment("prompts").await;
        let request = json!({"experiment_id": experiment, "run_name": "try", "prompt_template": "Say {{ word }}",
            "prompt_parameters": [{"key": "word", "value": "hi"}], "model_route": "chat", "model_input": "Say hi",
            "model_parameters": [{"key": "temperature", "value": 0.5}], "model_output": "hi", "mlflow_version": "3.18.0"});
        let send = async |body: &Value| {
            let request = axum::http::Request::builder()
                .method(Method::POST)
                .uri("/ajax-api/2.0/mlflow/runs/create-promptlab-run")
                .header("content-type", "application/json")
                .body(axum::body::Body::from(body.to_string()))
                .unwrap();
            let (status, body) = world.send(request).await;
            (status, serde_json::from_slice::<Value>(&body).unwrap())
        };
        let (status, made) = send(&request).await;
        assert_eq!((status.as_u16(), &made["run"]["info"]["status"]), (200, &json!("FINISHED")), "{made}");
        let data = &made["run"]["data"];
        assert!(
            has(data, "params", "temperature")
                && has(data, "params", "prompt_template")
                && has(data, "tags", "mlflow.loggedArtifacts")
        );
        let mut lacking = request.clone();
        lacking.as_object_mut().unwrap().remove("model_route");
        let (status, answer) = send(&lacking).await;
        check("promptlab", (status, &answer), 400, INVALID, "CreatePromptlabRun request must specify model_route.");
    });
}
