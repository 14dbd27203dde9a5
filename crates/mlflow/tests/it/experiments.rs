use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::world::{INVALID, MISSING, both, check, see_docs};

#[test]
fn what_is_wrong_with_experiments_is_said_in_mlflows_words() {
    both(async |world| {
        let id = world.experiment("taken").await;
        assert_eq!(id, "1");
        let name_of = |name: serde_json::Value| json!({"name": name});
        let create = "experiments/create";
        world
            .refused(create, name_of("taken".into()), 400, "RESOURCE_ALREADY_EXISTS", "Experiment(name=taken) already exists.")
            .await;
        let missing = see_docs("Missing value for required parameter 'name'.");
        world.refused(create, name_of("".into()), 400, INVALID, &missing).await;
        let mistyped = see_docs("Invalid value 5 for parameter 'name' supplied:  Hint: Value was of type 'int'.");
        world.refused(create, name_of(5.into()), 400, INVALID, &mistyped).await;
        let long = "'name' exceeds the maximum length of 500 characters";
        world.refused(create, name_of("x".repeat(501).into()), 400, INVALID, long).await;
        world.get_refused("experiments/get?experiment_id=999999", 404, MISSING, "No Experiment with id=999999 exists").await;
        let no_number = "Invalid experiment ID 'abc'. Experiment ID must be a valid integer.";
        world.get_refused("experiments/get?experiment_id=abc", 400, INVALID, no_number).await;
        let unknown = "Could not find experiment with name 'nope'";
        world.get_refused("experiments/get-by-name?experiment_name=nope", 404, MISSING, unknown).await;
        let missing = see_docs("Missing value for required parameter 'experiment_id'.");
        world.get_refused("experiments/get", 400, INVALID, &missing).await;
        let (status, answer) = world.raw(Method::POST, create, "text/plain", r#"{"name": "ct"}"#).await;
        let wrong_type = "Bad Request. Content-Type must be one of ['application/json'].";
        check("text/plain", (status, &answer), 400, INVALID, wrong_type);
    });
}

#[test]
fn experiments_are_read_as_clients_write_them() {
    both(async |world| {
        let twice = json!({"name": "twice"}).to_string();
        let (status, _) = world.raw(Method::POST, "experiments/create", "application/json", &json!(twice).to_string()).await;
        assert_eq!(status, StatusCode::OK);
        let camel = world.post("experiments/create", json!({"name": "camel", "artifactLocation": "s3://b"})).await;
        let found = world.got(&format!("experiments/get?experiment_id={}", camel["experiment_id"].as_str().unwrap())).await;
        assert_eq!(found["experiment"]["artifact_location"], "s3://b");
        let found = world.got("experiments/get-by-name?experiment_name=Default").await;
        let experiment = &found["experiment"];
        assert_eq!(
            (&experiment["experiment_id"], &experiment["artifact_location"], &experiment["lifecycle_stage"]),
            (&json!("0"), &json!("mlflow-artifacts:/0"), &json!("active"))
        );
        assert!(experiment["creation_time"].is_i64() && experiment.get("tags").is_none());
        assert!(world.store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn experiments_are_deleted_and_restored() {
    both(async |world| {
        let (id, run) = world.run().await;
        let by_id = json!({"experiment_id": id});
        let gone = format!("No Experiment with id={id} exists");
        world.post("experiments/delete", by_id.clone()).await;
        world.refused("experiments/delete", by_id.clone(), 404, MISSING, &gone).await;
        let inactive = format!("The experiment {id} must be in the 'active' state. Current state is deleted.");
        world.refused("runs/create", by_id.clone(), 400, INVALID, &inactive).await;
        let rename = json!({"experiment_id": id, "new_name": "z"});
        world.refused("experiments/update", rename.clone(), 400, INVALID, "Cannot rename a non-active experiment.").await;
        let taken = "Experiment(name=tests) already exists.";
        world.refused("experiments/create", json!({"name": "tests"}), 400, "RESOURCE_ALREADY_EXISTS", taken).await;
        let lifecycle = async || world.got(&format!("runs/get?run_id={run}")).await["run"]["info"]["lifecycle_stage"].clone();
        assert_eq!(lifecycle().await, "deleted");
        world.post("experiments/restore", by_id.clone()).await;
        world.refused("experiments/restore", by_id.clone(), 404, MISSING, &gone).await;
        assert_eq!(lifecycle().await, "active");
        world.post("experiments/update", rename).await;
        assert_eq!(world.got(&format!("experiments/get?experiment_id={id}")).await["experiment"]["name"], "z");
        world.post("experiments/delete", json!({"experiment_id": "0"})).await;
        world.post("experiments/restore", json!({"experiment_id": "0"})).await;
    });
}

#[test]
fn tags_of_experiments_are_set_and_removed() {
    both(async |world| {
        let id = world.experiment("tagged").await;
        let tag = json!({"experiment_id": id, "key": "team", "value": "ops"});
        world.post("experiments/set-experiment-tag", tag).await;
        let found = world.got(&format!("experiments/get?experiment_id={id}")).await;
        assert_eq!(found["experiment"]["tags"], json!([{"key": "team", "value": "ops"}]));
        let key = json!({"experiment_id": id, "key": "team"});
        world.post("experiments/delete-experiment-tag", key.clone()).await;
        let message = format!("No tag with name: team in experiment with id {id}");
        world.refused("experiments/delete-experiment-tag", key, 404, MISSING, &message).await;
    });
}

#[test]
fn datasets_are_listed_by_experiment() {
    both(async |world| {
        let (experiment, run) = world.run().await;
        let dataset = json!({"name": "d", "digest": "1", "source_type": "local", "source": "x", "schema": ""});
        let tags = json!([{"key": "mlflow.data.context", "value": "training"}]);
        world.post("runs/log-inputs", json!({"run_id": run, "datasets": [{"tags": tags, "dataset": dataset}]})).await;
        let found = world.post("experiments/search-datasets", json!({"experiment_ids": [experiment]})).await;
        let want = json!([{"experiment_id": experiment, "name": "d", "digest": "1", "context": "training"}]);
        assert_eq!(found["dataset_summaries"], want);
        let none = "SearchDatasets request must specify at least one experiment_id.";
        world.refused("experiments/search-datasets", json!({}), 400, INVALID, none).await;
        let many: Vec<String> = (0..21).map(|id| id.to_string()).collect();
        let message = "SearchDatasets request cannot specify more than 20 experiment_ids. Received 21 experiment_ids.";
        world.refused("experiments/search-datasets", json!({"experiment_ids": many}), 400, INVALID, message).await;
        let data = world.got(&format!("runs/get?run_id={run}")).await["run"]["inputs"].clone();
        let dataset = json!({"name": "d", "digest": "1", "source_type": "local", "source": "x"});
        assert_eq!(data["dataset_inputs"], json!([{"tags": tags, "dataset": dataset}]));
    });
}
