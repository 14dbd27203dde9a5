use axum::http::StatusCode;
use lw_core::{Actor, Ctx, Digest, ModelName};
use lw_governance::why;
use lw_registry::Registry;
use serde_json::{Value, json};

use crate::world::{INVALID, MISSING, World, both, see_docs};

/// What MLflow 3.18 answers to the same requests, except for a logged model that is not there: its 500 would have clients try again
/// for minutes.
#[test]
fn sources_are_judged_as_mlflow_judges_them() {
    both(async |world| {
        let (_, run) = world.run().await;
        world.model("M").await;
        let create = async |source: &str, extra: &Value| {
            let mut request = json!({"name": "M", "source": source});
            request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            world.call(axum::http::Method::POST, "model-versions/create", request).await
        };
        let refused = async |source: &str, extra: Value, message: &str| {
            let (status, answer) = create(source, &extra).await;
            assert_eq!((status.as_u16(), answer["error_code"].as_str()), (400, Some(INVALID)), "{source}: {answer}");
            assert_eq!(answer["message"].as_str().unwrap(), message, "{source}");
        };
        let none = json!({});
        let local = |source: &str| {
            format!(
                "Invalid model version source: '{source}'. To use a local path as a model version source, the run_id request \
                 parameter has to be specified and the local path has to be contained within the artifact directory of the run \
                 specified by the run_id."
            )
        };
        refused("/etc/passwd", none.clone(), &local("/etc/passwd")).await;
        refused("file:///etc", none.clone(), &local("file:///etc")).await;
        let relative = "Invalid model version source: 's3://b/../k'. If supplying a source as an http, https, local file path, ftp, \
                        objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references \
                        present. Please provide an absolute path.";
        refused("s3://b/../k", none.clone(), relative).await;
        let foreign = |source: &str| {
            format!(
                "Invalid model version source: '{source}'. The run_id request parameter must identify the resource that contains the \
                 source."
            )
        };
        let of_run = format!("runs:/{run}/m");
        refused(&of_run, none.clone(), &foreign(&of_run)).await;
        let proxied = format!("mlflow-artifacts:/99/{run}/artifacts/m");
        refused(&proxied, none.clone(), &foreign(&proxied)).await;
        refused(&proxied, json!({"run_id": run}), &foreign(&proxied)).await;
        let http = "'source' cannot use the 'http' scheme: the 'http' scheme addresses a host other than the tracking server's \
                    configured artifact storage, so the server would connect to the host named in the URI. Set the \
                    MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES environment variable on the server to allow it.";
        refused("http://x/y", none.clone(), http).await;
        refused("http://h/#frag", none.clone(), http).await;
        refused("", none.clone(), &see_docs("Missing value for required parameter 'source'.")).await;
        let (status, made) = create("s3://b/k", &none).await;
        let at = made["model_version"]["creation_timestamp"].clone();
        let want = json!({"model_version": {"name": "M", "version": "1", "creation_timestamp": at, "last_updated_timestamp": at,
            "current_stage": "None", "description": "", "source": "s3://b/k", "run_id": "", "status": "READY", "run_link": ""}});
        assert_eq!((status, made), (StatusCode::OK, want));
        let (_, made) = create(&of_run, &json!({"run_id": run})).await;
        assert_eq!(
            (made["model_version"]["version"].as_str(), made["model_version"]["run_id"].as_str()),
            (Some("2"), Some(&*run))
        );
        assert_eq!(create("dbfs:/x", &none).await.0, StatusCode::OK);
        let id = format!("m-{}", "0".repeat(32));
        let (status, answer) = create(&format!("models:/{id}"), &json!({"model_id": id})).await;
        let message = format!(
            "Unable to fetch model from model URI source artifact location 'models:/{id}'.Error: Logged model with ID '{id}' not found."
        );
        assert_eq!((status.as_u16(), answer["error_code"].as_str()), (404, Some(MISSING)));
        assert_eq!(answer["message"].as_str().unwrap(), message);
        let nowhere = json!({"name": "none", "source": "s3://b/k"});
        world.refused("model-versions/create", nowhere, 404, MISSING, "Registered Model with name=none not found").await;
    });
}

#[test]
fn versions_are_found_described_tagged_and_deleted() {
    both(async |world| {
        world.model("M").await;
        world.version("M").await;
        let (get, number) = ("model-versions/get?name=M&version=1", json!({"name": "M", "version": "1"}));
        world
            .get_refused("model-versions/get?name=M&version=99", 404, MISSING, "Model Version (name=M, version=99) not found")
            .await;
        let text = "Parameter 'version' must be an integer, got 'x'.";
        world.get_refused("model-versions/get?name=M&version=x", 400, INVALID, text).await;
        let uri = world.got("model-versions/get-download-uri?name=M&version=1").await;
        assert_eq!(uri, json!({"artifact_uri": "s3://bucket/model"}));
        let updated = world.patch("model-versions/update", json!({"name": "M", "version": "1", "description": "better"})).await;
        assert_eq!(updated["model_version"]["description"], "better");
        assert_eq!(world.patch("model-versions/update", number.clone()).await["model_version"].get("description"), None);
        world.post("model-versions/set-tag", json!({"name": "M", "version": "1", "key": "a", "value": "b"})).await;
        assert_eq!(world.got(get).await["model_version"]["tags"], json!([{"key": "a", "value": "b"}]));
        world.delete("model-versions/delete-tag", json!({"name": "M", "version": "1", "key": "a"})).await;
        assert_eq!(world.got(get).await["model_version"].get("tags"), None);
        assert_eq!(world.delete("model-versions/delete", number.clone()).await, (StatusCode::OK, json!({})));
        let gone = "Model Version (name=M, version=1) not found";
        world.get_refused(get, 404, MISSING, gone).await;
        world.delete_refused("model-versions/delete", number, 404, MISSING, gone).await;
        assert_eq!(world.version("M").await["version"], "2");
    });
}

#[test]
fn stages_move_as_mlflows_do() {
    both(async |world| {
        world.model("M").await;
        for _ in 0..3 {
            world.version("M").await;
        }
        let request = json!({"name": "M", "version": "1", "stage": "production", "archive_existing_versions": true});
        let moved = world.post("model-versions/transition-stage", request).await;
        assert_eq!(moved["model_version"]["current_stage"], "Production");
        let request = json!({"name": "M", "version": "1", "stage": "bogus"});
        let bogus = "Invalid Model Version stage: bogus. Value must be one of None, Staging, Production, Archived.";
        world.refused("model-versions/transition-stage", request, 400, INVALID, bogus).await;
        let latest = world.post("registered-models/get-latest-versions", json!({"name": "M"})).await["model_versions"].clone();
        let shown: Vec<_> = latest
            .as_array()
            .unwrap()
            .iter()
            .map(|v| (v["version"].as_str().unwrap(), v["current_stage"].as_str().unwrap()))
            .collect();
        assert_eq!(shown, [("1", "Production"), ("3", "None")]);
        let staging = world.got("registered-models/get-latest-versions?name=M&stages=Staging&stages=production").await;
        assert_eq!(staging["model_versions"].as_array().unwrap().len(), 1);
        let none = "Registered Model with name=none not found";
        world.refused("registered-models/get-latest-versions", json!({"name": "none"}), 404, MISSING, none).await;
    });
}

#[test]
fn a_version_registered_again_stands_for_the_version_that_its_address_meant() {
    both(async |world| {
        world.model("M").await;
        world.model("copy").await;
        world.version("M").await;
        world.version("M").await;
        world.post("registered-models/alias", json!({"name": "M", "alias": "good", "version": "1"})).await;
        for (source, want) in
            [("models:/M@good", "models:/M/1"), ("models:/M/latest", "models:/M/2"), ("models:/M/2", "models:/M/2")]
        {
            let made = world.post("model-versions/create", json!({"name": "copy", "source": source})).await;
            assert_eq!(made["model_version"]["source"], want);
        }
        let uri = world.got("model-versions/get-download-uri?name=copy&version=1").await;
        assert_eq!(uri["artifact_uri"], "s3://bucket/model");
        let request = json!({"name": "copy", "source": "models:/M/Staging"});
        let none = "No versions of model with name 'M' and stage 'Staging' found";
        world.refused("model-versions/create", request, 404, MISSING, none).await;
        let request = json!({"name": "copy", "source": "models:/M/1", "run_id": "other"});
        let other = "Invalid model version source: 'models:/M/1'. The run_id and model_id request parameters must match the referenced \
                     model version.";
        world.refused("model-versions/create", request, 400, INVALID, other).await;
    });
}

const MODEL_FILE: &str = "flavors:\n  sklearn:\n    code: null\nmlflow_version: 3.18.0\nsignature:\n  inputs: '[{\"type\": \
                          \"double\", \"name\": \"hour\", \"required\": true}]'\n  outputs: '[{\"type\": \"long\", \"required\": \
                          true}]'\n";

/// A run with a model among its artifacts.
async fn logged(world: &World) -> String {
    let (_, run) = world.run().await;
    let ctx = Ctx::real(Actor::new("ana"), "log");
    world.post("runs/set-tag", json!({"run_id": run, "key": "mlflow.user", "value": "mona"})).await;
    let dataset = json!({"name": "iris", "digest": "abc", "source_type": "local", "source": "{}"});
    world.post("runs/log-inputs", json!({"run_id": run, "datasets": [{"tags": [], "dataset": dataset}]})).await;
    world.artifact(&ctx, &run, "model/MLmodel", MODEL_FILE.as_bytes()).await;
    world.artifact(&ctx, &run, "model/model.pkl", b"\x80\x04\x95rest").await;
    world.artifact(&ctx, &run, "other.txt", b"not of the model").await;
    run
}

#[test]
fn a_version_gets_its_lineage_content_and_signature_and_why_answers() {
    both(async |world| {
        let run = logged(&world).await;
        world.model("Iris").await;
        let request = json!({"name": "Iris", "source": format!("runs:/{run}/model"), "run_id": run});
        world.post("model-versions/create", request).await;
        let iris = ModelName::parse("Iris").unwrap();
        let version = Registry::new(world.store.clone()).version(&iris, 1).await.unwrap();
        let roles: Vec<&str> = version.artifacts.keys().map(String::as_str).collect();
        assert_eq!(roles, ["executable:model.pkl", "file:MLmodel"]);
        assert_eq!(version.artifacts["executable:model.pkl"], Digest::of(b"\x80\x04\x95rest"));
        let content = &version.recipe["content"];
        assert_eq!((content["n_files"].as_u64(), &content["executes_when_loaded"]), (Some(2), &json!(["pickle"])));
        assert_eq!(content["flavors"], json!(["sklearn"]));
        assert!(content["signature"]["inputs"].as_str().unwrap().contains("hour"));
        assert_eq!(version.signature.inputs.names().collect::<Vec<_>>(), ["hour"]);
        assert_eq!(version.signature.outputs.names().collect::<Vec<_>>(), ["output"]);
        let lineage: Vec<String> = version.lineage.iter().map(|input| format!("{} {}", input.role, input.subject)).collect();
        assert_eq!(lineage, [format!("run run/{run}"), "dataset dataset/iris:abc".to_owned()]);
        assert_eq!((version.author.as_str(), version.run.as_ref().unwrap().as_str()), ("ana", run.as_str()));
        let answers = why(&world.store, &iris, None).await.unwrap();
        let client = answers.version.client.as_ref().unwrap();
        assert_eq!((client.run.as_deref(), client.content.as_str()), (Some(run.as_str()), "2 files"));
        let text = answers.to_text();
        for line in ["Iris version 1, registered ", "brought by an MLflow client from runs:/", "dataset/iris:abc"] {
            assert!(text.contains(line), "`{line}` is not in:\n{text}");
        }
        world.delete("model-versions/delete", json!({"name": "Iris", "version": "1"})).await;
        assert!(why(&world.store, &iris, Some(1)).await.unwrap().to_text().contains("deleted "));
        assert!(world.store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn with_the_workspaces_own_token_the_run_tells_who_the_author_is() {
    both(async |world| {
        let world = world.acting_as("local");
        let run = logged(&world).await;
        world.model("Iris").await;
        let request = json!({"name": "Iris", "source": format!("runs:/{run}/model"), "run_id": run});
        world.post("model-versions/create", request).await;
        let iris = ModelName::parse("Iris").unwrap();
        let version = Registry::new(world.store.clone()).version(&iris, 1).await.unwrap();
        assert_eq!(version.author.as_str(), "mona");
    });
}

#[test]
fn a_logged_model_knows_the_versions_that_were_made_of_it() {
    both(async |world| {
        let (experiment, run) = world.run().await;
        let request = json!({"experiment_id": experiment, "name": "forest", "source_run_id": run});
        let model = world.post("logged-models", request).await["model"]["info"].clone();
        let id = model["model_id"].as_str().unwrap();
        world.model("Iris").await;
        for _ in 0..2 {
            let request = json!({"name": "Iris", "source": format!("models:/{id}"), "model_id": id});
            let made = world.post("model-versions/create", request).await["model_version"].clone();
            assert_eq!((made["run_id"].as_str(), made["source"].as_str()), (Some(&*run), Some(&*format!("models:/{id}"))));
        }
        let uri = world.got("model-versions/get-download-uri?name=Iris&version=1").await;
        assert_eq!(uri["artifact_uri"], model["artifact_uri"]);
        let tags = world.got(&format!("logged-models/{id}")).await["model"]["info"]["tags"].clone();
        let told: Value = serde_json::from_str(tags[0]["value"].as_str().unwrap()).unwrap();
        assert_eq!((tags[0]["key"].as_str(), told.as_array().unwrap().len()), (Some("mlflow.modelVersions"), 2));
        assert_eq!(told[0], json!({"name": "Iris", "version": 1}));
        let version = Registry::new(world.store.clone()).version(ModelName::parse("Iris").unwrap(), 1).await.unwrap();
        assert!(version.lineage.iter().any(|input| input.subject.to_string() == format!("logged_model/{id}")));
    });
}

#[test]
fn the_files_of_a_logged_model_are_those_of_its_versions() {
    both(async |world| {
        let ctx = Ctx::real(Actor::new("ana"), "log");
        let (experiment, run) = world.run().await;
        let request = json!({"experiment_id": experiment, "name": "forest", "source_run_id": run});
        let id = world.post("logged-models", request).await["model"]["info"]["model_id"].as_str().unwrap().to_owned();
        world.post("runs/outputs", json!({"run_id": run, "models": [{"model_id": id, "step": 0}]})).await;
        world.artifact(&ctx, &id, "MLmodel", MODEL_FILE.as_bytes()).await;
        world.artifact(&ctx, &id, "data/model.pth", &[b"PK\x03\x04".as_slice(), &[0; 600]].concat()).await;
        world.artifact(&ctx, &run, "plain/model.onnx", b"\x08\x07").await;
        world.model("M").await;
        let (of_model, below_run, file) =
            (format!("models:/{id}"), format!("runs:/{run}/forest"), format!("runs:/{run}/plain/model.onnx"));
        for request in [
            json!({"name": "M", "source": of_model, "model_id": id}),
            json!({"name": "M", "source": below_run, "run_id": run}),
            json!({"name": "M", "source": file, "run_id": run}),
        ] {
            world.post("model-versions/create", request).await;
        }
        let registry = Registry::new(world.store.clone());
        let m = ModelName::parse("M").unwrap();
        let artifacts = async |version: u64| {
            let version = registry.version(&m, version).await.unwrap();
            version.artifacts.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(artifacts(1).await, ["executable:data/model.pth", "file:MLmodel"]);
        assert_eq!(artifacts(2).await, artifacts(1).await, "a run has the models that it logged");
        assert_eq!(artifacts(3).await, ["file:model.onnx"]);
        let first = registry.version(&m, 1).await.unwrap();
        assert_eq!(first.signature.inputs.names().collect::<Vec<_>>(), ["hour"]);
        assert_eq!(first.recipe["content"]["digest"], registry.version(&m, 2).await.unwrap().recipe["content"]["digest"]);
    });
}
