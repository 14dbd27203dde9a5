//! Where an import writes: this platform, by its HTTP API. What MLflow's routes can say goes through them.

use std::collections::BTreeMap;
use std::io::Read;

use lw_core::{Error, Kind, Result};
use serde_json::{Value, json};

use super::source::{Experiment, LoggedModel, ModelMetric, ModelVersion, Point, RegisteredModel, Run};
use crate::address::Address;
use crate::client::Client;
use crate::failures::{ARTIFACTS_ELSEWHERE, SERVER_ANSWER};

const N_POINTS_PER_BATCH: usize = 1000;
const N_PARAMS_PER_BATCH: usize = 100;
const MLFLOW: &str = "/api/2.0/mlflow";

/// This platform, with the name of the server that things come from.
pub struct Target<'a> {
    pub client: &'a Client,
    pub source: String,
}

/// How a thing stands here after it was adopted.
#[derive(Debug)]
pub struct Adopted {
    pub is_new: bool,
    /// Whether there may be more to bring.
    pub is_open: bool,
    pub artifact_uri: String,
    pub n_points: Option<u64>,
}

impl Adopted {
    fn of(answer: &Value) -> Self {
        Self {
            is_new: answer["is_new"] == true,
            is_open: answer["is_open"] == true,
            artifact_uri: answer["artifact_uri"].as_str().unwrap_or_default().to_owned(),
            n_points: answer["n_points"].as_u64(),
        }
    }
}

impl Target<'_> {
    /// The experiment of this name, and whether it is new.
    pub async fn adopt_experiment(&self, experiment: &Experiment) -> Result<(String, bool)> {
        let body = json!({
            "name": experiment.name, "created_at": experiment.created_at, "updated_at": experiment.updated_at,
            "tags": experiment.tags, "source": self.source,
        });
        let answer = self.client.post("/api/v1/imports/experiments", &body).await?;
        let id = answer["id"].as_str().ok_or_else(|| SERVER_ANSWER.error("the server made an experiment without an id"))?;
        Ok((id.to_owned(), answer["is_new"] == true))
    }

    pub async fn close_experiment(&self, id: &str, experiment: &Experiment) -> Result<()> {
        let path = Address::of(&["imports", "experiments", id, "close"]);
        self.client.post(path.text(), &json!({"updated_at": experiment.updated_at})).await.map(drop)
    }

    pub async fn has_experiment(&self, name: &str) -> Result<bool> {
        let path = Address::below(MLFLOW, &["experiments", "get-by-name"]).with("experiment_name", Some(name));
        self.has(path).await
    }

    pub async fn has_run(&self, id: &str) -> Result<bool> {
        self.has(Address::below(MLFLOW, &["runs", "get"]).with("run_id", Some(id))).await
    }

    pub async fn has_logged_model(&self, id: &str) -> Result<bool> {
        self.has(Address::below(MLFLOW, &["logged-models", id])).await
    }

    pub async fn has_model_version(&self, model: &str, version: u64) -> Result<bool> {
        let path = Address::below(MLFLOW, &["model-versions", "get"]).with("name", Some(model)).with("version", Some(version));
        self.has(path).await
    }

    pub async fn has_registered_model(&self, name: &str) -> Result<bool> {
        self.has(Address::below(MLFLOW, &["registered-models", "get"]).with("name", Some(name))).await
    }

    async fn has(&self, path: Address) -> Result<bool> {
        match self.client.get(path.text()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub async fn adopt_run(&self, experiment: &str, run: &Run) -> Result<Adopted> {
        let mut tags = run.tags.clone();
        // The name counts; in old databases the tag may differ from it.
        if !run.name.is_empty() {
            tags.remove("mlflow.runName");
        }
        let body = json!({
            "run": run.id, "experiment": experiment, "name": run.name, "user": run.user, "started_at": run.started_at, "tags": tags,
            "source": self.source,
        });
        Ok(Adopted::of(&self.client.post("/api/v1/imports/runs", &body).await?))
    }

    pub async fn finish_run(&self, run: &Run) -> Result<()> {
        let body = json!({
            "status": run.status.to_ascii_lowercase(), "ended_at": run.ended_at, "is_deleted": run.is_deleted,
            "deleted_at": run.deleted_at,
        });
        self.client.post(Address::of(&["imports", "runs", &run.id, "finish"]).text(), &body).await.map(drop)
    }

    pub async fn log_params(&self, run: &Run) -> Result<()> {
        for params in run.params.chunks(N_PARAMS_PER_BATCH) {
            let params: Vec<Value> = params.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
            self.client.post(&format!("{MLFLOW}/runs/log-batch"), &json!({"run_id": run.id, "params": params})).await?;
        }
        Ok(())
    }

    pub async fn log_points(&self, run: &str, points: &[Point]) -> Result<()> {
        for points in points.chunks(N_POINTS_PER_BATCH) {
            let metric = |point: &Point| json!({"key": point.key, "value": number(point.value), "timestamp": point.timestamp_ms, "step": point.step});
            let metrics: Vec<Value> = points.iter().map(metric).collect();
            self.client.post(&format!("{MLFLOW}/runs/log-batch"), &json!({"run_id": run, "metrics": metrics})).await?;
        }
        Ok(())
    }

    /// Datasets and logged models that the run read, and the logged models that it made.
    pub async fn log_inputs_and_outputs(&self, run: &Run) -> Result<()> {
        if !run.datasets.is_empty() || !run.model_inputs.is_empty() {
            let models: Vec<Value> = run.model_inputs.iter().map(|id| json!({"model_id": id})).collect();
            let body = json!({"run_id": run.id, "datasets": run.datasets, "models": models});
            self.client.post(&format!("{MLFLOW}/runs/log-inputs"), &body).await?;
        }
        if !run.model_outputs.is_empty() {
            let models: Vec<Value> = run.model_outputs.iter().map(|(id, step)| json!({"model_id": id, "step": step})).collect();
            self.client.post(&format!("{MLFLOW}/runs/outputs"), &json!({"run_id": run.id, "models": models})).await?;
        }
        Ok(())
    }

    pub async fn adopt_logged_model(&self, experiment: &str, model: &LoggedModel) -> Result<Adopted> {
        let with = |metrics: Vec<Value>| {
            json!({
                "model": model.id, "experiment": experiment, "name": model.name, "model_type": model.model_type,
                "source_run": model.source_run, "created_at": model.created_at, "params": model.params, "tags": model.tags,
                "metrics": metrics, "source": self.source,
            })
        };
        let metric = |metric: &ModelMetric| {
            json!({
                "run": metric.run, "key": metric.point.key, "value": number(metric.point.value),
                "at": super::source::time(metric.point.timestamp_ms), "step": metric.point.step,
                "dataset_name": metric.dataset_name, "dataset_digest": metric.dataset_digest,
            })
        };
        let answer = self.client.post("/api/v1/imports/logged-models", &with(Vec::new())).await?;
        let adopted = Adopted::of(&answer);
        if adopted.is_open {
            for metrics in model.metrics.chunks(N_POINTS_PER_BATCH) {
                let body = with(metrics.iter().map(metric).collect());
                self.client.post("/api/v1/imports/logged-models", &body).await?;
            }
        }
        Ok(adopted)
    }

    pub async fn finish_logged_model(&self, model: &LoggedModel) -> Result<()> {
        let body = json!({"status": model.status, "updated_at": model.updated_at, "is_deleted": model.is_deleted});
        self.client.post(Address::of(&["imports", "logged-models", &model.id, "finish"]).text(), &body).await.map(drop)
    }

    /// Makes the model if it is missing, and says whether it was.
    pub async fn adopt_registered_model(&self, model: &RegisteredModel) -> Result<bool> {
        let body = json!({
            "name": model.name, "description": model.description, "created_at": model.created_at, "updated_at": model.updated_at,
            "tags": model.tags, "source": self.source,
        });
        Ok(self.client.post("/api/v1/imports/models", &body).await?["is_new"] == true)
    }

    /// Brings a version with its number, and says whether it was missing.
    pub async fn adopt_model_version(&self, model: &str, version: &ModelVersion) -> Result<bool> {
        let source = self.moved_source(version).await?;
        let body = json!({
            "model": model, "version": version.version, "origin": source, "run": version.run, "run_link": version.run_link,
            "logged_model": version.logged_model, "description": version.description, "stage": version.stage, "user": version.user,
            "created_at": version.created_at, "updated_at": version.updated_at, "tags": version.tags, "source": self.source,
        });
        Ok(self.client.post("/api/v1/imports/model-versions", &body).await?["is_new"] == true)
    }

    /// A source that names a folder of the other server's names the same folder here, if the run or model is here.
    async fn moved_source(&self, version: &ModelVersion) -> Result<String> {
        let of_model = Address::below(MLFLOW, &["logged-models", &version.logged_model]);
        let of_run = Address::below(MLFLOW, &["runs", "get"]).with("run_id", Some(&version.run));
        for (id, path, pointer) in
            [(&version.logged_model, of_model, "/model/info/artifact_uri"), (&version.run, of_run, "/run/info/artifact_uri")]
        {
            let Some((_, below)) = version.source.split_once(&format!("/{id}/artifacts")).filter(|_| !id.is_empty()) else {
                continue;
            };
            let found = match self.client.get(path.text()).await {
                Err(error) if error.kind() == Kind::NotFound => continue,
                found => found?,
            };
            if let Some(root) = found.pointer(pointer).and_then(Value::as_str) {
                return Ok(format!("{root}{below}"));
            }
        }
        Ok(version.source.clone())
    }

    /// The aliases that a registered model has.
    pub async fn aliases(&self, model: &str) -> Result<Vec<String>> {
        let path = Address::below(MLFLOW, &["registered-models", "get"]).with("name", Some(model));
        let answer = self.client.get(path.text()).await?;
        let aliases = answer["registered_model"]["aliases"].as_array().into_iter().flatten();
        Ok(aliases.filter_map(|alias| alias["alias"].as_str().map(str::to_owned)).collect())
    }

    pub async fn set_alias(&self, model: &str, alias: &str, version: u64) -> Result<()> {
        let body = json!({"name": model, "alias": alias, "version": version.to_string()});
        self.client.post(&format!("{MLFLOW}/registered-models/alias"), &body).await.map(drop)
    }

    /// The sizes of the files that lie below a folder of ours, by path.
    pub async fn files(&self, folder: &str) -> Result<BTreeMap<String, u64>> {
        let mut sizes = BTreeMap::new();
        let mut open = vec![String::new()];
        while let Some(below) = open.pop() {
            let folder = if below.is_empty() { folder.to_owned() } else { format!("{folder}/{below}") };
            let path = Address::below("/api/2.0/mlflow-artifacts/artifacts", &[]).with("path", Some(folder));
            let answer = self.client.get(path.text()).await?;
            for entry in answer["files"].as_array().into_iter().flatten() {
                let name = entry["path"].as_str().unwrap_or_default();
                let path = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
                if entry["is_dir"] == true {
                    open.push(path);
                } else if let Some(size) = entry["file_size"].as_u64() {
                    sizes.insert(path, size);
                }
            }
        }
        Ok(sizes)
    }

    /// Sends a file as it is read.
    pub async fn put_file(&self, folder: &str, path: &str, content: Box<dyn Read + Send>) -> Result<()> {
        let parts: Vec<&str> = folder.split('/').chain(path.split('/')).collect();
        if parts.iter().any(|part| part.is_empty() || *part == "." || *part == "..") {
            return Err(ARTIFACTS_ELSEWHERE.error(format!("`{path}` is not the path of an artifact")));
        }
        self.client.put(Address::below("/api/2.0/mlflow-artifacts/artifacts", &parts).text(), content).await
    }
}

/// The folder in our own store that a location stands for.
pub fn own_folder(location: &str) -> Result<&str> {
    let path = location.strip_prefix("mlflow-artifacts:").map(|path| path.trim_start_matches('/'));
    path.filter(|path| !path.is_empty()).ok_or_else(|| elsewhere(location))
}

fn elsewhere(location: &str) -> Error {
    ARTIFACTS_ELSEWHERE
        .error(format!("the experiment keeps its artifacts at `{location}`, to which an import does not write"))
        .hint("rename the experiment here, so that the import makes its own; or leave files out with --no-artifacts")
}

/// JSON has no NaN, for which the routes take a text.
fn number(value: f64) -> Value {
    if value.is_nan() { "NaN".into() } else { json!(value.clamp(f64::MIN, f64::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_form_in_json() {
        assert_eq!(number(f64::NAN), json!("NaN"));
        assert_eq!(number(f64::NEG_INFINITY), json!(f64::MIN));
        assert_eq!(number(0.1).to_string(), "0.1");
    }

    #[test]
    fn only_our_own_store_is_written() {
        assert_eq!(own_folder("mlflow-artifacts:/3/ab/artifacts").unwrap(), "3/ab/artifacts");
        assert!(own_folder("s3://b/3").unwrap_err().is(ARTIFACTS_ELSEWHERE));
    }
}
