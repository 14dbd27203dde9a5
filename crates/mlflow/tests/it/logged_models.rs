use axum::http::Method;
use serde_json::{Value, json};

use crate::world::{INVALID, MISSING, both, check, see_docs};

#[test]
fn logged_models_are_answered_as_mlflow_does() {
    both(async |world| {
        let (experiment, run) = world.run().await;
        let request = json!({"experiment_id": experiment, "name": "forest", "model_type": "t", "source_run_id": run,
            "params": [{"key": "depth", "value": "3"}], "tags": [{"key": "a", "value": "b"}]});
        let made = world.post("logged-models", request).await["model"].clone();
        let id = made["info"]["model_id"].as_str().unwrap().to_owned();
        let (created, updated) =
            (made["info"]["creation_timestamp_ms"].clone(), made["info"]["last_updated_timestamp_ms"].clone());
        let want = json!({
            "info": {"model_id": id, "experiment_id": experiment, "name": "forest", "creation_timestamp_ms": created,
                "last_updated_timestamp_ms": updated, "artifact_uri": format!("mlflow-artifacts:/{experiment}/models/{id}/artifacts"),
                "status": "LOGGED_MODEL_PENDING", "model_type": "t", "source_run_id": run, "tags": [{"key": "a", "value": "b"}]},
            "data": {"params": [{"key": "depth", "value": "3"}]}});
        assert_eq!(made, want);
        let path = format!("logged-models/{id}");
        let call = async |method: Method, path: &str, body: Value| world.call(method, path, body).await;
        let (_, ready) = call(Method::PATCH, &path, json!({"model_id": id, "status": "LOGGED_MODEL_READY"})).await;
        assert_eq!(ready["model"]["info"]["status"], "LOGGED_MODEL_READY");
        let tags = json!({"tags": [{"key": "c", "value": "d"}]});
        assert_eq!(call(Method::PATCH, &format!("{path}/tags"), tags).await, (axum::http::StatusCode::OK, json!({})));
        world.post(&format!("{path}/params"), json!({"model_id": id, "params": [{"key": "trees", "value": "9"}]})).await;
        assert_eq!(call(Method::DELETE, &format!("{path}/tags/a"), json!({})).await.0.as_u16(), 200);
        let (status, answer) = call(Method::DELETE, &format!("{path}/tags/a"), json!({})).await;
        check("tag", (status, &answer), 404, MISSING, &format!("No tag with key 'a' found for model with ID '{id}'."));

        let metric = json!({"run_id": run, "key": "auc", "value": 0.5, "timestamp": 7, "step": 2, "model_id": id,
            "dataset_name": "d", "dataset_digest": "g"});
        world.post("runs/log-metric", metric.clone()).await;
        let batch = json!({"run_id": run, "metrics": [{"key": "loss", "value": 1, "timestamp": 7, "model_id": id}]});
        world.post("runs/log-batch", batch).await;
        let found = world.got(&path).await["model"].clone();
        let want = json!([
            {"key": "auc", "value": 0.5, "timestamp": 7, "step": 2, "dataset_name": "d", "dataset_digest": "g", "model_id": id,
                "run_id": run},
            {"key": "loss", "value": 1.0, "timestamp": 7, "step": 0, "model_id": id, "run_id": run},
        ]);
        assert_eq!(found["data"]["metrics"], want);
        assert_eq!(found["info"]["tags"], json!([{"key": "c", "value": "d"}]));
        let of_run = world.got(&format!("runs/get?run_id={run}")).await["run"]["data"]["metrics"].clone();
        assert_eq!(of_run.as_array().unwrap().len(), 2, "what a run measures of a model it measured itself, too");

        assert_eq!(call(Method::DELETE, &path, json!({})).await.0.as_u16(), 200);
        let gone = format!("Logged model with ID '{id}' not found.");
        world.get_refused(&path, 404, MISSING, &gone).await;
        assert_eq!(world.got(&format!("{path}?allow_deleted=true")).await["model"]["info"]["model_id"], json!(id));
    });
}

#[test]
fn what_is_wrong_with_logged_models_is_said_in_mlflows_words() {
    both(async |world| {
        world.get_refused("logged-models/m-none", 404, MISSING, "Logged model with ID 'm-none' not found.").await;
        let bad = "Invalid model name ('a/b') provided. Model name must be a non-empty string and cannot contain the following \
                   characters: ('/', ':', '.', '%', '\"', \"'\")";
        world.refused("logged-models", json!({"experiment_id": "0", "name": "a/b"}), 400, INVALID, bad).await;
        let missing = see_docs("Missing value for required parameter 'experiment_id'.");
        world.refused("logged-models", json!({"name": "a"}), 400, INVALID, &missing).await;
        let missing = see_docs("Missing value for required parameter 'experiment_ids'.");
        world.refused("logged-models/search", json!({}), 400, INVALID, &missing).await;
    });
}

#[test]
fn outputs_of_runs_name_models() {
    both(async |world| {
        let (experiment, run) = world.run().await;
        let model = world.post("logged-models", json!({"experiment_id": experiment})).await["model"]["info"]["model_id"].clone();
        world.post("runs/outputs", json!({"run_id": run, "models": [{"model_id": model, "step": 3}]})).await;
        world.post("runs/log-inputs", json!({"run_id": run, "models": [{"model_id": model}]})).await;
        let got = world.got(&format!("runs/get?run_id={run}")).await["run"].clone();
        assert_eq!(got["outputs"], json!({"model_outputs": [{"model_id": model, "step": 3}]}));
        assert_eq!(got["inputs"], json!({"model_inputs": [{"model_id": model}]}));
        let missing = see_docs("Missing value for required parameter 'models'.");
        world.refused("runs/outputs", json!({"run_id": run}), 400, INVALID, &missing).await;
    });
}

#[test]
fn page_tokens_belong_to_one_search() {
    both(async |world| {
        let (experiment, _) = world.run().await;
        for _ in 0..3 {
            world.post("logged-models", json!({"experiment_id": experiment})).await;
        }
        let search = |token: Value, ids: Value| json!({"experiment_ids": ids, "max_results": 2, "page_token": token});
        let ids = json!([experiment]);
        let first = world.post("logged-models/search", search(json!(""), ids.clone())).await;
        let token = first["next_page_token"].clone();
        let second = world.post("logged-models/search", search(token.clone(), ids)).await;
        assert_eq!((first["models"].as_array().unwrap().len(), second["models"].as_array().unwrap().len()), (2, 1));
        assert!(second.get("next_page_token").is_none());
        let message = format!(
            "Experiment IDs in the page token do not match the requested experiment IDs. Expected: ['0']. Found: ['{experiment}']"
        );
        world.refused("logged-models/search", search(token, json!(["0"])), 400, INVALID, &message).await;
        assert_eq!(world.post("logged-models/search", json!({"experiment_ids": ["0"], "max_results": 51})).await, json!({}));
    });
}
