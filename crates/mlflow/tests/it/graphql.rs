use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};

use crate::world::{World, both};

/// Asks as MLflow's console does.
async fn asked(world: &World, query: &str, variables: Value) -> Value {
    let body = json!({"operationName": "Q", "query": query, "variables": variables});
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()));
    let (status, answer) = world.send(request.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    serde_json::from_slice(&answer).unwrap()
}

#[test]
fn the_page_of_a_run_is_answered() {
    both(async |world| {
        let (experiment, run) = world.run().await;
        world.post("runs/log-metric", json!({"run_id": run, "key": "m", "value": 0.5, "timestamp": 7, "step": 3})).await;
        world.post("registered-models/create", json!({"name": "shown"})).await;
        let version = json!({"name": "shown", "source": format!("runs:/{run}/m"), "run_id": run});
        world.post("model-versions/create", version).await;
        let query =
            "query Q($data: MlflowGetRunInput!) @component(name: \"X\") { mlflowGetRun(input: $data) { apiError { code } run {
            info { runUuid status endTime } experiment { experimentId tags { key } } modelVersions { name version }
            data { metrics { key value step timestamp } params { key } } __typename } } }";
        let answer = asked(&world, query, json!({"data": {"runId": run}})).await;
        let want = json!({"apiError": null, "run": {
            "info": {"runUuid": run, "status": "RUNNING", "endTime": null},
            "experiment": {"experimentId": experiment, "tags": []},
            "modelVersions": [{"name": "shown", "version": "1"}],
            "data": {"metrics": [{"key": "m", "value": 0.5, "step": "3", "timestamp": "7"}], "params": []},
            "__typename": "MlflowRunExtension",
        }});
        assert_eq!(answer, json!({"data": {"mlflowGetRun": want}, "errors": null}));
    });
}

#[test]
fn what_cannot_be_answered_is_an_error_beside_the_data() {
    both(async |world| {
        let query = "query Q($id: String) { mlflowGetRun(input: {runId: $id}) { run { info { runId } } } nope }";
        let answer = asked(&world, query, json!({"id": "0".repeat(32)})).await;
        assert_eq!(answer["data"], json!({"mlflowGetRun": null, "nope": null}));
        let missing = format!("Run with id={} not found", "0".repeat(32));
        assert_eq!(answer["errors"], json!([missing, "Cannot query field 'nope' on type 'Query'."]));
        let broken = asked(&world, "{", Value::Null).await;
        assert_eq!(broken, json!({"data": null, "errors": ["Syntax Error: Unexpected <EOF>."]}));
        assert_eq!(asked(&world, "{__typename}", Value::Null).await, json!({"data": {"__typename": "Query"}, "errors": null}));
    });
}
