//! Evaluation datasets and scorers.

use axum::http::Method;
use serde_json::{Value, json};

use crate::traced::{missing, traced};

#[test]
fn datasets_keep_records() {
    traced(async |world| {
        let given =
            json!({"name": "ds", "experiment_ids": [world.experiment], "tags": "{\"a\": \"b\", \"mlflow.user\": \"ann\"}"});
        let made = world.posted("3.0/mlflow/datasets/create", given).await["dataset"].clone();
        let id = made["dataset_id"].as_str().unwrap();
        assert!(id.starts_with("d-") && made["digest"].as_str().unwrap().len() == 8);
        assert_eq!((&made["created_by"], &made["experiment_ids"]), (&json!("ann"), &json!([world.experiment])));
        let path = format!("3.0/mlflow/datasets/{id}");
        let records = json!([{"inputs": {"q": "a"}, "outputs": {"r": 1}, "tags": {"mlflow.user": "bob"},
                              "source": {"source_type": "TRACE", "source_data": {"trace_id": "tr-1"}}},
                             {"inputs": {"q": "b"}, "outputs": "txt"}]);
        let counts = world.posted(&format!("{path}/records"), json!({"records": records.to_string()})).await;
        assert_eq!(counts, json!({"inserted_count": 2, "updated_count": 0}));
        let page = world.got(&format!("{path}/records?max_results=1")).await;
        let token = page["next_page_token"].as_str().unwrap();
        let rest = world.got(&format!("{path}/records?max_results=1&page_token={token}")).await;
        let mut found: Vec<Value> = Vec::new();
        for page in [&page, &rest] {
            found.extend(serde_json::from_str::<Vec<Value>>(page["records"].as_str().unwrap()).unwrap());
        }
        let first = found.iter().find(|record| record["inputs"] == json!({"q": "a"})).unwrap();
        assert_eq!(
            (&first["source_id"], &first["source_type"], &first["created_by"]),
            (&json!("tr-1"), &json!("TRACE"), &json!("bob"))
        );
        assert_eq!(found.iter().filter(|record| record["outputs"] == json!("txt")).count(), 1);

        let now = world.got(&path).await["dataset"].clone();
        assert_eq!(now["profile"], r#"{"num_records": 2}"#);
        assert!(now.get("experiment_ids").is_none() && now["schema"].is_string());
        let gone = json!({"dataset_record_ids": [first["dataset_record_id"], "nope"]});
        assert_eq!(world.done(Method::DELETE, &format!("{path}/records"), gone).await, json!({"deleted_count": 1}));
        world.done(Method::PATCH, &format!("{path}/tags"), json!({"tags": "{\"c\": \"d\"}"})).await;
        world.done(Method::DELETE, &format!("{path}/tags/a"), Value::Null).await;
        assert_eq!(world.got(&path).await["dataset"]["tags"], r#"{"c": "d", "mlflow.user": "ann"}"#);
        assert_eq!(world.got(&format!("{path}/experiment-ids")).await, json!({"experiment_ids": [world.experiment]}));
        world.posted(&format!("{path}/remove-experiments"), json!({"experiment_ids": [world.experiment, "999"]})).await;
        assert_eq!(world.got(&format!("{path}/experiment-ids")).await, json!({}));
        let add = format!("{path}/add-experiments");
        world.refused(Method::POST, &add, json!({"experiment_ids": ["999"]}), 404, "No Experiment with id=999").await;
        let found = world.posted("3.0/mlflow/datasets/search", json!({"max_results": 1})).await;
        assert_eq!((&found["datasets"][0]["dataset_id"], &found["next_page_token"]), (&json!(id), &Value::Null));
        assert_eq!(world.got("3.0/mlflow/datasets/search?experiment_ids=1").await, json!({}));

        world.done(Method::DELETE, &path, Value::Null).await;
        world.done(Method::DELETE, &path, Value::Null).await;
        world.refused(Method::GET, &path, Value::Null, 404, &format!("Evaluation dataset with id '{id}' not found")).await;
        world.refused(Method::POST, "3.0/mlflow/datasets/create", json!({}), 400, &missing("name")).await;
        let bad = world.ask(Method::POST, "3.0/mlflow/datasets/create", json!({"name": "x", "tags": "{bad"})).await;
        assert_eq!(bad.0, 400, "{}", bad.1);
    });
}

#[test]
fn scorers_are_kept_and_handed_out() {
    traced(async |world| {
        let experiment = world.experiment.as_str();
        let definition = r#"{"name": "s"}"#;
        let register =
            |name: &str, definition: &str| json!({"experiment_id": experiment, "name": name, "serialized_scorer": definition});
        let first = world.posted("3.0/mlflow/scorers/register", register("s", definition)).await;
        assert_eq!(
            (&first["version"], &first["name"], &first["serialized_scorer"]),
            (&json!(1), &json!("s"), &json!(definition))
        );
        world.posted("3.0/mlflow/scorers/register", register("s", definition)).await;
        let number: u64 = experiment.parse().unwrap();
        for query in [format!("?experiment_id={experiment}"), format!("?experiment_ids={experiment}"), String::new()] {
            let listed = world.got(&format!("3.0/mlflow/scorers/list{query}")).await;
            assert_eq!(listed["scorers"].as_array().unwrap().len(), 1);
            assert_eq!(
                (&listed["scorers"][0]["scorer_version"], &listed["scorers"][0]["experiment_id"]),
                (&json!(2), &json!(number))
            );
        }
        let of = |name: &str| format!("experiment_id={experiment}&name={name}");
        let versions = world.got(&format!("3.0/mlflow/scorers/versions?{}", of("s"))).await;
        assert_eq!(versions["scorers"].as_array().unwrap().len(), 2);
        let one = world.got(&format!("3.0/mlflow/scorers/get?{}&version=1", of("s"))).await;
        assert_eq!(one["scorer"]["scorer_id"], first["scorer_id"]);
        let configs = format!("3.0/mlflow/scorers/online-configs?scorer_ids={}", first["scorer_id"].as_str().unwrap());
        assert_eq!(world.got(&configs).await, json!({"configs": []}));
        let rate = |rate: f64| json!({"experiment_id": experiment, "name": "s", "sample_rate": rate});
        let config = world.done(Method::PUT, "3.0/mlflow/scorers/online-config", rate(0.0)).await;
        assert_eq!(world.got(&configs).await["configs"], json!([config["config"]]));

        let name = |name: &str| format!("Scorer with name '{name}' not found for experiment {experiment}.");
        let cases = [
            (Method::GET, format!("3.0/mlflow/scorers/get?{}", of("nope")), Value::Null, 404, name("nope")),
            (
                Method::GET,
                format!("3.0/mlflow/scorers/get?{}&version=7", of("s")),
                Value::Null,
                404,
                format!("Scorer with name 's' and version 7 not found for experiment {experiment}."),
            ),
            (
                Method::PUT,
                "3.0/mlflow/scorers/online-config".to_owned(),
                rate(2.0),
                400,
                "sample_rate must be between 0.0 and 1.0, got 2.0".to_owned(),
            ),
            (
                Method::POST,
                "3.0/mlflow/scorers/register".to_owned(),
                register(" ", "{}"),
                400,
                "Scorer name cannot be empty or contain only whitespace.".to_owned(),
            ),
            (
                Method::POST,
                "3.0/mlflow/scorers/register".to_owned(),
                register("x", "{bad"),
                400,
                "serialized_scorer must be valid JSON".to_owned(),
            ),
            (Method::GET, "3.0/mlflow/scorers/online-configs".to_owned(), Value::Null, 400, missing("scorer_ids")),
        ];
        for (method, path, body, status, message) in cases {
            world.refused(method, &path, body, status, &message).await;
        }
        let gone = json!({"experiment_id": experiment, "name": "s"});
        world.done(Method::DELETE, "3.0/mlflow/scorers/delete", gone.clone()).await;
        world.refused(Method::DELETE, "3.0/mlflow/scorers/delete", gone, 404, &name("s")).await;
    });
}

#[test]
fn label_schemas_ask_questions() {
    traced(async |world| {
        let experiment = world.experiment.as_str();
        let list = format!("3.0/mlflow/label-schemas/list?experiment_id={experiment}");
        let first = world.got(&list).await;
        assert_eq!((&first["label_schemas"][0]["name"], &first["next_page_token"]), (&json!("Feedback"), &json!("")));
        assert_eq!(
            (&first["label_schemas"][0]["is_default"], &first["label_schemas"][0]["input"]),
            (&json!(true), &json!({"text": {}}))
        );
        let question =
            |name: &str, input: Value| json!({"experiment_id": experiment, "name": name, "type": "FEEDBACK", "input": input});
        let create = "3.0/mlflow/label-schemas/create";
        let options = |options: &[&str]| json!({"categorical": {"options": options}});
        let made = world.posted(create, question("q", options(&["a", "b"]))).await["label_schema"].clone();
        assert_eq!(made["input"], json!({"categorical": {"options": ["a", "b"], "multi_select": false}}));
        let id = made["schema_id"].as_str().unwrap();
        assert_eq!(world.got(&format!("3.0/mlflow/label-schemas/get?schema_id={id}")).await["label_schema"], made);
        let by_name = format!("3.0/mlflow/label-schemas/get-by-name?experiment_id={experiment}&name=q");
        assert_eq!(world.got(&by_name).await["label_schema"], made);
        assert_eq!(world.got(&list).await["label_schemas"].as_array().unwrap().len(), 2);
        let (patch, update) = (Method::PATCH, "3.0/mlflow/label-schemas/update");
        let changed = json!({"schema_id": id, "instruction": "i", "input": options(&["c"])});
        let changed = world.done(patch.clone(), update, changed).await["label_schema"].clone();
        assert_eq!((&changed["instruction"], &changed["input"]["categorical"]["options"]), (&json!("i"), &json!(["c"])));
        let cases = [
            (
                Method::POST,
                create,
                question("q", options(&["a"])),
                format!("Label schema with name 'q' already exists for experiment '{experiment}'."),
            ),
            (
                Method::POST,
                create,
                question("r", json!({"pass_fail": {}})),
                "`InputPassFail.positive_label` must be a non-empty string; got ''.".to_owned(),
            ),
            (
                Method::POST,
                create,
                json!({"experiment_id": experiment, "name": "l2"}),
                "Label schema `type` must be one of FEEDBACK or EXPECTATION; got proto enum value 0.".to_owned(),
            ),
            (
                patch,
                update,
                json!({"schema_id": id, "input": {"text": {}}}),
                "A label schema's input type cannot be changed after creation (existing: InputCategorical, got: InputText)."
                    .to_owned(),
            ),
        ];
        for (method, path, body, message) in cases {
            world.refused(method, path, body, 400, &message).await;
        }
        let delete = "3.0/mlflow/label-schemas/delete";
        let default = json!({"schema_id": first["label_schemas"][0]["schema_id"]});
        world.refused(Method::DELETE, delete, default, 400, "The experiment's default question cannot be deleted.").await;
        world.done(Method::DELETE, delete, json!({"schema_id": id})).await;
        world.done(Method::DELETE, delete, json!({"schema_id": id})).await;
        assert_eq!(world.got(&list).await["label_schemas"].as_array().unwrap().len(), 1);
    });
}
