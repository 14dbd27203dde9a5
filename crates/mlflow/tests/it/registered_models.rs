use axum::http::StatusCode;
use lw_core::{Actor, Ctx, ModelName};
use lw_registry::{Alias, Protection, protect_in};
use serde_json::json;

use crate::world::{INVALID, MISSING, both, see_docs};

const EXISTS: &str = "RESOURCE_ALREADY_EXISTS";

#[test]
fn models_are_made_described_and_renamed() {
    both(async |world| {
        let made = world.post("registered-models/create", json!({"name": "M 1"})).await["registered_model"].clone();
        let at = made["creation_timestamp"].clone();
        assert_eq!(made, json!({"name": "M 1", "creation_timestamp": at, "last_updated_timestamp": at}));
        let tags = json!([{"key": "a", "value": "1"}, {"key": "a", "value": "2"}, {"key": "b"}]);
        let tagged = world.post("registered-models/create", json!({"name": "T", "description": "d", "tags": tags})).await;
        let tagged = &tagged["registered_model"];
        assert_eq!(tagged["description"], "d");
        assert_eq!(tagged["tags"], json!([{"key": "a", "value": "2"}, {"key": "b", "value": ""}]));
        let updated = world.patch("registered-models/update", json!({"name": "M 1", "description": "new"})).await;
        assert_eq!(updated["registered_model"]["description"], "new");
        let renamed = world.post("registered-models/rename", json!({"name": "M 1", "new_name": "M 2"})).await;
        assert_eq!(renamed["registered_model"]["name"], "M 2");
        assert_eq!(world.got("registered-models/get?name=M%202").await["registered_model"]["description"], "new");
        let answer = world.delete("registered-models/delete", json!({"name": "M 2"})).await;
        assert_eq!(answer, (StatusCode::OK, json!({})));
        let gone = "Registered Model with name=M 2 not found";
        world.get_refused("registered-models/get?name=M%202", 404, MISSING, gone).await;
        world.delete_refused("registered-models/delete", json!({"name": "M 2"}), 404, MISSING, gone).await;
        world.refused("registered-models/rename", json!({"name": "M 2", "new_name": "x"}), 404, MISSING, gone).await;
    });
}

/// What MLflow 3.18 answers to the same requests.
#[test]
fn what_cannot_be_a_model_is_refused_in_mlflows_words() {
    both(async |world| {
        world.model("M").await;
        world.model("other").await;
        let create = "registered-models/create";
        world.refused(create, json!({"name": "M"}), 400, EXISTS, "Registered Model (name=M) already exists.").await;
        let slash = "Invalid model name 'a/b'. Names cannot contain '/' or ':'.";
        world.refused(create, json!({"name": "a/b"}), 400, INVALID, slash).await;
        let missing = see_docs("Missing value for required parameter 'name'.");
        world.refused(create, json!({}), 400, INVALID, &missing).await;
        world.refused(create, json!({"name": ""}), 400, INVALID, &missing).await;
        world.refused(create, json!({"name": " "}), 400, INVALID, "Missing value for required parameter 'name'.").await;
        let number = see_docs("Invalid value 5 for parameter 'name' supplied:  Hint: Value was of type 'int'.");
        world.refused(create, json!({"name": 5}), 400, INVALID, &number).await;
        let bad_key = "Invalid value \"a//b\" for parameter 'key' supplied: Names may be treated as files in certain cases, and must \
                       not resolve to other names when treated as such. This name would resolve to 'a/b'";
        world.refused(create, json!({"name": "x", "tags": [{"key": "a//b", "value": ""}]}), 400, INVALID, bad_key).await;
        world.get_refused("registered-models/get?name=nope", 404, MISSING, "Registered Model with name=nope not found").await;
        let rename = json!({"name": "M", "new_name": "other"});
        world.refused("registered-models/rename", rename, 400, EXISTS, "Registered Model (name=other) already exists.").await;
        let prompt = json!({"name": "M", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]});
        let taken = "Tried to create a prompt with name 'M', but the name is already taken by a registered model. MLflow does not \
                     allow creating a model and a prompt with the same name.";
        world.refused(create, prompt, 400, EXISTS, taken).await;
        let many = see_docs("Invalid value \"1001\" for parameter 'max_results' supplied:  Hint: Value was of type 'str'.");
        world.get_refused("registered-models/search?max_results=1001", 400, INVALID, &many).await;
    });
}

#[test]
fn aliases_answer_as_mlflows_do() {
    both(async |world| {
        world.model("M").await;
        world.version("M").await;
        let alias = "registered-models/alias";
        let set = |name: &str, version: &str| json!({"name": "M", "alias": name, "version": version});
        assert_eq!(world.post(alias, set("champ", "1")).await, json!({}));
        let latest = "'latest' alias name (case insensitive) is reserved.";
        world.refused(alias, set("latest", "1"), 400, INVALID, latest).await;
        world.refused(alias, set("v1", "1"), 400, INVALID, "Version alias name 'v1' is reserved.").await;
        let spaces = "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), and dashes (-).";
        world.refused(alias, set("a b", "1"), 400, INVALID, spaces).await;
        world.refused(alias, set("champ", "77"), 404, MISSING, "Model Version (name=M, version=77) not found").await;
        world.refused(alias, set("champ", "x"), 400, INVALID, "Parameter 'version' must be an integer, got 'x'.").await;
        let found = world.got("registered-models/alias?name=M&alias=champ").await["model_version"].clone();
        assert_eq!((found["version"].as_str(), &found["aliases"]), (Some("1"), &json!(["champ"])));
        world.get_refused("registered-models/alias?name=M&alias=zz", 400, INVALID, "Registered model alias zz not found.").await;
        let model = world.got("registered-models/get?name=M").await["registered_model"].clone();
        assert_eq!(model["aliases"], json!([{"alias": "champ", "version": "1"}]));
        assert_eq!(model["latest_versions"][0]["version"], "1");
        assert_eq!(model["latest_versions"][0].get("aliases"), None);
        assert_eq!(world.got("registered-models/alias?name=M&alias=latest").await["model_version"]["version"], "1");
        for _ in 0..2 {
            let answer = world.delete(alias, json!({"name": "M", "alias": "champ"})).await;
            assert_eq!(answer, (StatusCode::OK, json!({})), "an alias that is not there may be taken away");
        }
        world.model("empty").await;
        let none = "Latest version not found for model empty.";
        world.get_refused("registered-models/alias?name=empty&alias=latest", 404, MISSING, none).await;
    });
}

#[test]
fn what_is_protected_is_refused_with_what_to_do_instead() {
    both(async |world| {
        world.model("arrivals").await;
        world.version("arrivals").await;
        // Before a project defines the model, its champion is the client's to name.
        world.post("registered-models/alias", json!({"name": "arrivals", "alias": "champion", "version": "1"})).await;
        let protections =
            vec![(ModelName::parse("arrivals").unwrap(), Protection::defined(true, [Alias::parse("prod").unwrap()]))];
        let ctx = Ctx::real(Actor::new("ana"), "apply");
        world.store.write(&ctx, move |tx| protect_in(tx, &protections)).await.unwrap();
        let instead = "Promote the version instead: read its report and run `loopwright approve arrivals@VERSION`; its gates and \
                       approvals are checked, and then it goes live";
        let denied = "PERMISSION_DENIED";
        for alias in ["champion", "prod"] {
            let message = format!("the alias `{alias}` of model `arrivals` is protected and not set by hand. {instead}");
            let request = json!({"name": "arrivals", "alias": alias, "version": "1"});
            world.refused("registered-models/alias", request, 403, denied, &message).await;
        }
        let message = format!("the stage `Production` of model `arrivals` is protected and not set by hand. {instead}");
        let request = json!({"name": "arrivals", "version": "1", "stage": "production"});
        world.refused("model-versions/transition-stage", request, 403, denied, &message).await;
        let remove = "Remove models/arrivals.yaml from the project and `loopwright apply` first";
        let message = format!("model `arrivals` is defined by the project that is applied. {remove}");
        world.delete_refused("registered-models/delete", json!({"name": "arrivals"}), 403, denied, &message).await;
        let request = json!({"name": "arrivals", "new_name": "departures"});
        world.refused("registered-models/rename", request, 403, denied, &message).await;
    });
}

/// The requests that MLflow's client sends for prompts.
#[test]
fn prompts_are_models_with_a_tag() {
    both(async |world| {
        let is_prompt = json!({"key": "mlflow.prompt.is_prompt", "value": "true"});
        world.post("registered-models/create", json!({"name": "greeting", "tags": [is_prompt]})).await;
        let again = json!({"name": "greeting", "tags": [is_prompt]});
        world.refused("registered-models/create", again, 400, EXISTS, "Prompt (name=greeting) already exists.").await;
        let text = json!({"key": "mlflow.prompt.text", "value": "Hello {{name}}!"});
        let kind = json!({"key": "_mlflow_prompt_type", "value": "text"});
        let request =
            |source: &str| json!({"name": "greeting", "source": source, "description": "first", "tags": [is_prompt, text, kind]});
        let version = world.post("model-versions/create", request("dummy-source")).await["model_version"].clone();
        assert_eq!((version["version"].as_str(), version["source"].as_str()), (Some("1"), Some("dummy-source")));
        assert_eq!(version["tags"].as_array().unwrap().len(), 3);
        let refused = "Invalid prompt source: 's3://b/k'. Prompt sources must use an MLflow placeholder.";
        world.refused("model-versions/create", request("s3://b/k"), 400, INVALID, refused).await;
        world.post("registered-models/alias", json!({"name": "greeting", "alias": "production", "version": "1"})).await;
        world.post("registered-models/set-tag", json!({"name": "greeting", "key": "team", "value": "words"})).await;
        world.post("model-versions/set-tag", json!({"name": "greeting", "version": "1", "key": "k", "value": "v"})).await;
        let loaded = world.got("registered-models/alias?name=greeting&alias=production").await["model_version"].clone();
        assert!(loaded["tags"].as_array().unwrap().contains(&text));
        let from_prompt = json!({"name": "M", "source": "models:/greeting/1"});
        world.model("M").await;
        let message =
            "Invalid model version source: 'models:/greeting/1'. Prompt versions cannot be used as model version sources.";
        world.refused("model-versions/create", from_prompt, 400, INVALID, message).await;
        let models = world.got("registered-models/search").await["registered_models"].clone();
        assert_eq!(models.as_array().unwrap().len(), 1, "searches leave prompts out");
        world.delete("model-versions/delete", json!({"name": "greeting", "version": "1"})).await;
        world.delete("registered-models/delete", json!({"name": "greeting"})).await;
        world
            .get_refused("registered-models/get?name=greeting", 404, MISSING, "Registered Model with name=greeting not found")
            .await;
    });
}

#[test]
fn models_and_versions_come_in_pages() {
    both(async |world| {
        for name in ["a", "b", "c"] {
            world.model(name).await;
            world.version(name).await;
        }
        let names = |answer: &serde_json::Value, key: &str| -> Vec<String> {
            answer[key].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        let first = world.got("registered-models/search?max_results=2").await;
        assert_eq!(names(&first, "registered_models"), ["a", "b"]);
        let token = first["next_page_token"].as_str().unwrap();
        let second = world.got(&format!("registered-models/search?max_results=2&page_token={token}")).await;
        assert_eq!(names(&second, "registered_models"), ["c"]);
        assert_eq!(second.get("next_page_token"), None);
        assert_eq!(names(&world.got("model-versions/search").await, "model_versions"), ["c", "b", "a"], "the newest first");
        let zero = "Invalid value for max_results. It must be a positive integer, but got 0";
        world.get_refused("model-versions/search?max_results=0", 400, INVALID, zero).await;
    });
}

#[test]
fn filters_and_orders_are_mlflows() {
    both(async |world| {
        for name in ["a", "b"] {
            world.model(name).await;
            world.version(name).await;
            world.version(name).await;
        }
        world.post("registered-models/set-tag", json!({"name": "b", "key": "team", "value": "x"})).await;
        let found = world.got("registered-models/search?filter=tags.team%20%3D%20%27x%27").await;
        assert_eq!(found["registered_models"][0]["name"], "b");
        let found = world.got("model-versions/search?filter=name%3D%27a%27").await["model_versions"].clone();
        let numbers: Vec<&str> = found.as_array().unwrap().iter().map(|version| version["version"].as_str().unwrap()).collect();
        assert_eq!(numbers, ["2", "1"]);
        let found = world.got("registered-models/search?order_by=name%20DESC").await["registered_models"].clone();
        assert_eq!(found[0]["name"], "b");
        assert_eq!(world.got("registered-models/search?filter=name%3D%27none%27").await, json!({}));
    });
}
