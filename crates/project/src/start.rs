//! Starting runs: of a model's pipeline, of a pipeline of the project's own, of an ingestion.

use std::collections::BTreeMap;

use lw_core::{Ctx, Name, Result};
use lw_pipelines::{Start, Started};

use crate::compile;
use crate::definition::PipelineFile;
use crate::failures::INVALID_PARAMETER;
use crate::state::{PROJECT_VERSION, RunningProject};
use crate::steps::model;
use crate::workspace::Workspace;

/// The run parameter that holds what the caller gave to a pipeline of the project's own.
pub(crate) const PARAMS: &str = "params";

impl Workspace {
    /// Starts a run of a model's pipeline.
    pub async fn start_model(&self, ctx: &Ctx, name: &Name, start: Start) -> Result<Started> {
        let running = self.project().await?;
        model(&running.project, name)?;
        self.pipelines().start(ctx, name, pinned(start, running.applied.version)).await
    }

    /// Starts a run of a pipeline by its name: a model's, or one of the project's own with parameters.
    pub async fn start_pipeline(&self, ctx: &Ctx, name: &Name, params: BTreeMap<String, String>) -> Result<Started> {
        let RunningProject { project, applied } = self.project().await?;
        if let Some(file) = project.pipelines.get(name) {
            check_params(&file.value, &params)?;
            let start = Start { params: serde_json::json!({ PARAMS: params }), ..Start::by_hand() };
            return self.pipelines().start(ctx, name, pinned(start, applied.version)).await;
        }
        if !project.models.contains_key(name) {
            let known = project.models.keys().chain(project.pipelines.keys()).map(Name::as_str);
            return Err(crate::check::unknown("model or pipeline", name.as_str(), known));
        }
        if let Some(param) = params.keys().next() {
            return Err(INVALID_PARAMETER
                .error(format!("the pipeline of the model `{name}` takes no parameter `{param}`"))
                .hint("what a model is trained with stands in its file; pipelines of your own declare `params`"));
        }
        self.start_model(ctx, name, Start::by_hand()).await
    }

    /// Starts the ingestion of one source, or of all.
    pub async fn start_ingestion(&self, ctx: &Ctx, source: Option<&Name>, start: Start) -> Result<Started> {
        let RunningProject { project, applied } = self.project().await?;
        let sources: Vec<Name> = match source {
            Some(source) if !project.sources.contains_key(source) => {
                return Err(crate::check::unknown("source", source.as_str(), project.sources.keys().map(Name::as_str)));
            }
            Some(source) => vec![source.clone()],
            None => project.sources.keys().cloned().collect(),
        };
        self.pipelines().start_definition(ctx, compile::ingestion(&sources)?, pinned(start, applied.version)).await
    }
}

/// Whether a run may begin with these parameters: each is declared, and each that has no default is given.
fn check_params(file: &PipelineFile, given: &BTreeMap<String, String>) -> Result<()> {
    let declared = || file.params.keys().map(Name::as_str);
    if let Some(unknown) = given.keys().find(|key| !declared().any(|name| name == key.as_str())) {
        let error = INVALID_PARAMETER.error(format!("`{}` takes no parameter `{}`", file.pipeline, unknown.escape_debug()));
        return Err(match lw_core::nearest(unknown, declared()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None if file.params.is_empty() => error.hint("declare it under `params` in the pipeline's file, then apply"),
            None => error.hint(format!("it takes: {}", declared().collect::<Vec<_>>().join(", "))),
        });
    }
    match file.params.iter().find(|(name, default)| default.is_none() && !given.contains_key(name.as_str())) {
        Some((name, _)) => Err(INVALID_PARAMETER
            .error(format!("`{}` needs the parameter `{name}`", file.pipeline))
            .hint(format!("give it: `loopwright run {} --param {name}=…`", file.pipeline))),
        None => Ok(()),
    }
}

/// Notes the version of the project that a run belongs to: its steps read that one, whatever is applied meanwhile.
pub(crate) fn pinned(start: Start, project: u64) -> Start {
    let mut params = start.params;
    if params.is_null() {
        params = serde_json::json!({});
    }
    params[PROJECT_VERSION] = project.into();
    Start { params, ..start }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &[(&str, &str)], want: Result<(), &str>) {
        let file: PipelineFile = serde_json::from_value(serde_json::json!({
            "pipeline": "export", "description": "", "params": {"day": null, "region": "eu"},
            "steps": [{"name": "write", "shell": "true"}],
        }))
        .unwrap();
        let given = given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        match (check_params(&file, &given), want) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(text)) => assert!(format!("{error} {:?}", error.hint_text()).contains(text), "{error:?}"),
            (got, want) => panic!("{got:?}, not {want:?}"),
        }
    }

    #[test]
    fn parameters_are_declared_and_given() {
        check(&[("day", "2024-06-01")], Ok(()));
        check(&[("day", "2024-06-01"), ("region", "us")], Ok(()));
        check(&[("region", "us")], Err("--param day="));
        check(&[("dya", "2024-06-01")], Err("did you mean `day`?"));
    }
}
