//! A running MLflow server as the source of an import.

mod answer;
mod connection;

use std::io::Read;

use lw_core::Result;
use serde_json::{Value, json};

use self::answer::{integer, list, text, token};
use self::connection::Connection;
pub use self::connection::Credentials;
use super::source::{Experiment, File, LoggedModel, ModelVersion, Owner, OwnerKind, Page, Point, RegisteredModel, Run, Source};
use crate::failures::{IMPORT_SOURCE_ANSWER, NOT_MLFLOW};

/// The filter with which servers list prompts, which they leave out without it.
const PROMPTS: &str = "tags.`mlflow.prompt.is_prompt` = 'true'";
const PROMPT_PAGES: &str = "prompts:";
const N_RUNS_PER_PAGE: u64 = 200;
const N_POINTS_PER_PAGE: &str = "25000";
/// A folder of a run with more levels is taken for one that contains itself.
const MAX_DEPTH: usize = 64;

/// A server, as its clients see it.
#[derive(Debug)]
pub struct Rest {
    connection: Connection,
}

impl Rest {
    /// Connects, and says what the server cannot tell.
    pub fn connect(address: &str, credentials: Credentials) -> Result<(Self, Vec<String>)> {
        let connection = Connection::new(address, credentials)?;
        let found = connection.get("api/2.0/mlflow/experiments/search", &[("max_results", "1"), ("view_type", "ALL")])?;
        if found.as_ref().and_then(Value::as_object).is_none() {
            return Err(connection.is_no_mlflow());
        }
        let mut remarks = vec![
            "logged models that were deleted, and when runs were deleted: a server does not tell; its database does".to_owned(),
        ];
        let probe = json!({"experiment_ids": ["0"], "max_results": 1});
        if connection.post("api/2.0/mlflow/logged-models/search", &probe).is_ok_and(|answer| answer.is_none()) {
            let version = connection.text("version")?.filter(|text| text.len() < 40).unwrap_or_else(|| "old".to_owned());
            remarks = vec![format!("logged models: the server (MLflow {}) is older than 3.0 and has none", version.trim())];
        }
        Ok((Self { connection: connection.patient() }, remarks))
    }

    /// The address without secrets.
    pub fn shown(&self) -> &str {
        self.connection.shown()
    }

    fn required(&self, answer: Option<Value>, what: &str) -> Result<Value> {
        answer.ok_or_else(|| {
            let error = NOT_MLFLOW.error(format!("the server at {} has no route for {what}", self.connection.shown()));
            error.hint("servers before MLflow 1.28 have not; import from the database, after `mlflow db upgrade`")
        })
    }

    fn versions(&self, model: &str, is_prompt: bool) -> Result<Vec<ModelVersion>> {
        let quote = if model.contains('\'') { '"' } else { '\'' };
        let of_model = format!("name = {quote}{model}{quote}");
        let filter = if is_prompt { format!("{of_model} AND {PROMPTS}") } else { of_model };
        let (mut versions, mut page) = (Vec::new(), None);
        loop {
            let mut query = vec![("filter", filter.as_str()), ("max_results", "1000")];
            query.extend(page.as_deref().map(|page| ("page_token", page)));
            let answer = self.required(self.connection.get("api/2.0/mlflow/model-versions/search", &query)?, "model versions")?;
            for version in list(&answer, "model_versions") {
                versions.push(answer::model_version(version)?);
            }
            page = token(&answer);
            if page.is_none() {
                return Ok(answer::in_order(versions));
            }
        }
    }

    fn history(&self, run: &Run, key: &str, sink: &mut dyn FnMut(Vec<Point>) -> Result<()>) -> Result<()> {
        let mut page: Option<String> = None;
        loop {
            let mut query = vec![("run_id", run.id.as_str()), ("metric_key", key), ("max_results", N_POINTS_PER_PAGE)];
            query.extend(page.as_deref().map(|page| ("page_token", page)));
            let answer = self.connection.get("api/2.0/mlflow/metrics/get-history", &query)?;
            let answer = self.required(answer, "histories of metrics")?;
            sink(list(&answer, "metrics").iter().map(|metric| answer::point(metric, key)).collect::<Result<_>>()?)?;
            page = token(&answer);
            if page.is_none() {
                return Ok(());
            }
        }
    }

    /// What lies in a folder: its files, and the paths of its folders.
    fn folder(&self, owner: &Owner, folder: &str, depth: usize, files: &mut Vec<File>) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(IMPORT_SOURCE_ANSWER.error(format!("the folder `{folder}` has more than {MAX_DEPTH} levels")));
        }
        let mut page: Option<String> = None;
        loop {
            let (path, mut query) = match owner.kind {
                OwnerKind::Run => {
                    ("api/2.0/mlflow/artifacts/list".to_owned(), vec![("run_id", owner.id.as_str()), ("path", folder)])
                }
                OwnerKind::LoggedModel => (
                    format!("api/2.0/mlflow/logged-models/{}/artifacts/directories", owner.id),
                    vec![("artifact_directory_path", folder)],
                ),
            };
            query.retain(|(_, value)| !value.is_empty());
            query.extend(page.as_deref().map(|page| ("page_token", page)));
            let answer = self.required(self.connection.get(&path, &query)?, "lists of artifacts")?;
            for entry in list(&answer, "files") {
                let path = text(entry, "path");
                let is_below = folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
                if path.is_empty() || !is_below {
                    return Err(IMPORT_SOURCE_ANSWER.error(format!("the folder `{folder}` is said to hold `{path}`")));
                }
                if entry["is_dir"].as_bool() == Some(true) {
                    self.folder(owner, &path, depth + 1, files)?;
                } else {
                    let size_bytes = integer(entry, "file_size").and_then(|size| u64::try_from(size).ok());
                    files.push(File { path, size_bytes });
                }
            }
            page = token(&answer);
            if page.is_none() {
                return Ok(());
            }
        }
    }
}

impl Source for Rest {
    fn experiments(&self) -> Result<Vec<Experiment>> {
        let (mut experiments, mut page) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![("max_results", "1000"), ("view_type", "ALL")];
            query.extend(page.as_deref().map(|page| ("page_token", page)));
            let answer = self.required(self.connection.get("api/2.0/mlflow/experiments/search", &query)?, "experiments")?;
            for experiment in list(&answer, "experiments") {
                experiments.push(answer::experiment(experiment)?);
            }
            page = token(&answer);
            if page.is_none() {
                experiments.sort_by_key(|experiment| experiment.id.parse::<u64>().unwrap_or(u64::MAX));
                return Ok(experiments);
            }
        }
    }

    fn runs(&self, experiment: &str, page: Option<String>) -> Result<Page<Run>> {
        // Oldest first, so that runs which start meanwhile come last and move no page.
        let mut body = json!({
            "experiment_ids": [experiment], "run_view_type": "ALL", "max_results": N_RUNS_PER_PAGE,
            "order_by": ["attributes.start_time ASC"],
        });
        if let Some(page) = page {
            body["page_token"] = page.into();
        }
        let answer = self.required(self.connection.post("api/2.0/mlflow/runs/search", &body)?, "runs")?;
        let items = list(&answer, "runs").iter().map(answer::run).collect::<Result<_>>()?;
        Ok(Page { items, next: token(&answer) })
    }

    fn points(&self, run: &Run, sink: &mut dyn FnMut(Vec<Point>) -> Result<()>) -> Result<()> {
        run.metrics.iter().try_for_each(|key| self.history(run, key, sink))
    }

    fn logged_models(&self, experiment: &str, page: Option<String>) -> Result<Page<LoggedModel>> {
        let mut body = json!({"experiment_ids": [experiment], "max_results": 50});
        if let Some(page) = page {
            body["page_token"] = page.into();
        }
        // A server without the route has no logged models.
        let Some(answer) = self.connection.post("api/2.0/mlflow/logged-models/search", &body)? else {
            return Ok(Page::last(Vec::new()));
        };
        let items = list(&answer, "models").iter().map(answer::logged_model).collect::<Result<_>>()?;
        Ok(Page { items, next: token(&answer) })
    }

    fn registered_models(&self, page: Option<String>) -> Result<Page<RegisteredModel>> {
        let page = page.unwrap_or_default();
        let of_prompts = page.strip_prefix(PROMPT_PAGES);
        let (is_prompt, page) = (of_prompts.is_some(), of_prompts.unwrap_or(&page));
        let mut query = vec![("max_results", "100")];
        if is_prompt {
            query.push(("filter", PROMPTS));
        }
        if !page.is_empty() {
            query.push(("page_token", page));
        }
        let answer = self.connection.get("api/2.0/mlflow/registered-models/search", &query)?;
        let answer = self.required(answer, "registered models")?;
        let mut items = Vec::new();
        for model in list(&answer, "registered_models") {
            items.push(answer::registered_model(model, self.versions(&text(model, "name"), is_prompt)?)?);
        }
        // Prompts come after models.
        let next = match (token(&answer), is_prompt) {
            (Some(token), true) => Some(format!("{PROMPT_PAGES}{token}")),
            (None, true) => None,
            (Some(token), false) => Some(token),
            (None, false) => Some(PROMPT_PAGES.to_owned()),
        };
        Ok(Page { items, next })
    }

    fn files(&self, owner: &Owner) -> Result<Vec<File>> {
        let mut files = Vec::new();
        self.folder(owner, "", 0, &mut files)?;
        Ok(files)
    }

    fn open(&self, owner: &Owner, path: &str) -> Result<Box<dyn Read + Send>> {
        match owner.kind {
            OwnerKind::Run => self.connection.file("get-artifact", &[("run_id", &owner.id), ("path", path)]),
            OwnerKind::LoggedModel => {
                let route = format!("ajax-api/2.0/mlflow/logged-models/{}/artifacts/files", owner.id);
                self.connection.file(&route, &[("artifact_file_path", path)])
            }
        }
    }
}
