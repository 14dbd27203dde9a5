//! Searches over runs and experiments, request by request as MLflow 3.18 answers them.

use serde_json::{Value, json};

use crate::world::{INVALID, World, both};

/// A run with two parameters and some metrics, as edge requests want it.
async fn world_with_run(world: &World) -> (String, String) {
    let (experiment, run) = world.run().await;
    let point = |key: &str, value: Value, step: i64| json!({"key": key, "value": value, "timestamp": 1, "step": step});
    let metrics = json!([point("nan", json!("NaN"), 0), point("inf", json!("Infinity"), 0), point("dup", json!(2), 1)]);
    let params = json!([{"key": "p", "value": "1"}]);
    let tags = json!([{"key": "t", "value": "x"}, {"key": "mlflow.runName", "value": "renamed"}]);
    world.post("runs/log-batch", json!({"run_id": run, "metrics": metrics, "params": params, "tags": tags})).await;
    (experiment, run)
}

fn n_runs(answer: &Value) -> usize {
    answer["runs"].as_array().map_or(0, Vec::len)
}

#[test]
fn runs_are_filtered_as_mlflow_does() {
    both(async |world| {
        let (experiment, run) = world_with_run(&world).await;
        let of_run = format!("run_id IN ('{run}')");
        for (filter, want) in [
            ("metric.dup >= 2", 1),
            ("metrics.`dup` = 2", 1),
            ("metrics.\"dup\" = 2", 1),
            ("params.p = \"1\"", 1),
            ("params.p like '1%'", 1),
            ("params.p LIKE '_'", 1),
            ("tags.t IS NULL", 0),
            ("tags.`mlflow.user` is not null", 0),
            ("attributes.status = 'running'", 0),
            ("status = 'RUNNING'", 1),
            (&of_run, 1),
            ("run_id NOT IN ('a','b')", 1),
            ("attributes.start_time > 0", 1),
            ("created > 0", 1),
            ("metrics.nan > -1", 0),
            ("metrics.nan != 1", 1),
            ("metrics.inf > 1e300", 1),
            ("dataset.name = 'x'", 0),
            ("params.p = 'it''s'", 0),
            ("tags.\"t x\" = 'a'", 0),
            ("params.P = '1'", 0),
            ("run_name ILIKE 'REN%'", 1),
            ("params.p = '1' AND", 1),
            ("end_time > 0", 0),
            ("attributes.artifact_uri LIKE '%'", 1),
            ("attributes.user_id = 'x'", 0),
        ] {
            let found = world.post("runs/search", json!({"experiment_ids": [experiment], "filter": filter})).await;
            assert_eq!(n_runs(&found), want, "{filter}");
        }
    });
}

#[test]
fn searches_that_are_wrong_are_refused_in_mlflows_words() {
    both(async |world| {
        let (experiment, _) = world_with_run(&world).await;
        let search = |name: &str, value: Value| {
            let mut request = json!({"experiment_ids": [experiment]});
            request[name] = value;
            request
        };
        for (filter, want) in [
            ("metrics.m > 0.5 OR params.p = '1'", "Invalid clause(s) in filter string: 'OR'"),
            ("params.p = 1", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 1"),
            ("run_name IN ('renamed')", "Only ['run_id'] attributes support comparison with a list of quoted string values."),
            ("start_time > '0'", "Expected numeric value type for numeric attribute: start_time. Found '0'"),
            (
                "foo.bar = 'a'",
                "Invalid entity type 'foo'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']",
            ),
            ("params.p = '1';", "Invalid clause(s) in filter string: ';'"),
            (" ", "Invalid filter ' '. Could not be parsed."),
        ] {
            world.refused("runs/search", search("filter", json!(filter)), 400, INVALID, want).await;
        }
        for (max_results, want) in [
            (
                50_001,
                "Invalid value 50001 for parameter 'max_results' supplied:  Hint: Value was of type 'int'. See the API docs for more \
                      information about request parameters.",
            ),
            (0, "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer"),
            (-1, "Invalid value -1 for parameter 'max_results' supplied. It must be a positive integer"),
        ] {
            world.refused("runs/search", search("max_results", json!(max_results)), 400, INVALID, want).await;
        }
        let token = "Invalid page token, decoded value=b''";
        world.refused("runs/search", search("page_token", json!("!!")), 400, INVALID, token).await;
        for nothing in [json!({"experiment_ids": []}), json!({})] {
            assert_eq!(world.post("runs/search", nothing).await, json!({}));
        }
        let none = "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer";
        world.refused("experiments/search", json!({}), 400, INVALID, none).await;
        let many = "Invalid value 50001 for parameter 'max_results' supplied. It must be at most 50000";
        world.refused("experiments/search", json!({"max_results": 50_001}), 400, INVALID, many).await;
    });
}

#[test]
fn runs_come_in_order_and_in_pages() {
    both(async |world| {
        let experiment = world.experiment("ordered").await;
        let mut ids = Vec::new();
        for (start, value) in [(1, json!(3)), (2, json!("NaN")), (3, json!(1)), (4, Value::Null), (5, json!(2))] {
            let run = world.post("runs/create", json!({"experiment_id": experiment, "start_time": start})).await;
            let run = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
            if !value.is_null() {
                let metric = json!({"run_id": run, "key": "m", "value": value, "timestamp": 1});
                world.post("runs/log-metric", metric).await;
            }
            ids.push(run);
        }
        let ordered = async |order_by: Value| -> Vec<usize> {
            let found = world.post("runs/search", json!({"experiment_ids": [experiment], "order_by": order_by})).await;
            let place = |run: &Value| ids.iter().position(|id| run["info"]["run_id"] == **id).unwrap();
            found["runs"].as_array().unwrap().iter().map(place).collect()
        };
        assert_eq!(ordered(json!([])).await, [4, 3, 2, 1, 0]);
        assert_eq!(ordered(json!(["start_time ASC"])).await, [0, 1, 2, 3, 4]);
        assert_eq!(ordered(json!(["metrics.m"])).await, [2, 4, 0, 1, 3]);
        assert_eq!(ordered(json!(["metrics.m DESC"])).await, [0, 4, 2, 1, 3]);
        assert_eq!(ordered(json!(["params.none", "metrics.m"])).await, [2, 4, 0, 1, 3]);
        let (mut token, mut gathered) = (json!(""), Vec::new());
        while !token.is_null() {
            let request = json!({"experiment_ids": [experiment], "max_results": 2, "page_token": token});
            let page = world.post("runs/search", request).await;
            gathered.extend(page["runs"].as_array().unwrap().iter().map(|run| run["info"]["start_time"].as_i64().unwrap()));
            token = page["next_page_token"].clone();
        }
        assert_eq!(gathered, [5, 4, 3, 2, 1]);
    });
}

#[test]
fn experiments_are_filtered_as_mlflow_does() {
    both(async |world| {
        let id = world.experiment("tagged").await;
        world.post("experiments/set-experiment-tag", json!({"experiment_id": id, "key": "a", "value": "b"})).await;
        for (filter, want) in [
            ("name = 'Default'", 1),
            ("name LIKE '%fau%'", 1),
            ("name ilike 'DEF%'", 1),
            ("experiment_id = '0'", 1),
            ("experiment_id IN ('0')", 1),
            ("creation_time > 0", 2),
            ("tags.a = 'b'", 1),
            ("tag.a IS NULL", 1),
            ("attribute.name != 'x'", 2),
        ] {
            let found = world.post("experiments/search", json!({"max_results": 5, "filter": filter})).await;
            assert_eq!(found["experiments"].as_array().map_or(0, Vec::len), want, "{filter}");
        }
        let lists = "Only ['experiment_id'] attributes support comparison with a list of quoted string values.";
        let request = json!({"max_results": 5, "filter": "name IN ('Default')"});
        world.refused("experiments/search", request, 400, INVALID, lists).await;
        world.post("experiments/delete", json!({"experiment_id": id})).await;
        let of_view = async |view: Value| {
            let found = world.post("experiments/search", json!({"max_results": 5, "view_type": view})).await;
            found["experiments"].as_array().map_or(0, Vec::len)
        };
        assert_eq!((of_view(json!("ALL")).await, of_view(json!(2)).await, of_view(Value::Null).await), (2, 1, 1));
        let one = world.got("experiments/search?max_results=1&view_type=ALL").await;
        assert!(one["experiments"][0]["experiment_id"] == json!(id) && one["next_page_token"].is_string());
    });
}
