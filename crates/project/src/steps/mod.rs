//! What the steps of pipelines do: each kind is one function from a step's parameters and inputs to its outputs.

mod approval;
mod evaluate;
mod gate;
mod ingest;
mod materialize;
mod register;
mod release;
mod script;
mod shell;
mod train;
mod training_set;

pub use train::{Candidate, Fitted, Fitting, measure};

use std::sync::Arc;

use async_trait::async_trait;
use lw_core::{Error, Name, Result};
use lw_pipelines::{StepContext, StepOutput, StepRunner};
use serde::de::DeserializeOwned;

use crate::compile::kind;
use crate::definition::ModelDefinition;
use crate::failures::UNKNOWN_MODEL;
use crate::project::Project;
use crate::state::{self, PROJECT_VERSION, RunningProject};
use crate::workspace::Workspace;

/// Runs the steps of this workspace's pipelines.
pub struct Steps {
    workspace: Workspace,
}

impl Steps {
    pub fn new(workspace: Workspace) -> Self {
        Self { workspace }
    }
}

#[async_trait]
impl StepRunner for Steps {
    async fn run(&self, context: StepContext) -> Result<StepOutput> {
        let step = Step::of(&self.workspace, context).await?;
        match step.context.kind.as_str() {
            kind::INGEST => ingest::run(&step).await,
            kind::MATERIALIZE => materialize::run(&step).await,
            kind::TRAINING_SET => training_set::run(&step).await,
            kind::TRAIN => train::run(&step).await,
            kind::EVALUATE => evaluate::run(&step).await,
            kind::REGISTER => register::run(&step).await,
            kind::GATE => gate::run(&step).await,
            kind::APPROVAL => approval::run(&step).await,
            kind::RELEASE => release::run(&step).await,
            kind::START_MODEL => ingest::start_model(&step).await,
            kind::SHELL => shell::run(&step).await,
            other => Err(Error::bug(format!("no code runs steps of the kind `{other}`"))),
        }
    }
}

/// A step with what it works on. The project is the one that ran when the run was started, if its parameters name it.
pub(crate) struct Step {
    pub workspace: Workspace,
    pub project: Arc<Project>,
    pub project_version: u64,
    pub applied_by: String,
    pub context: StepContext,
}

impl Step {
    async fn of(workspace: &Workspace, context: StepContext) -> Result<Self> {
        // Runs that a schedule started have no version of their own and read the newest.
        let running = match context.run_params[PROJECT_VERSION].as_u64() {
            Some(version) => state::version(workspace.store(), workspace.artifacts(), version).await?,
            None => workspace.project().await?,
        };
        let RunningProject { applied, project } = running;
        Ok(Self {
            workspace: workspace.clone(),
            project,
            project_version: applied.version,
            applied_by: applied.applied_by,
            context,
        })
    }

    /// A parameter of the step.
    pub fn param<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        let value = self.context.params.get(key).cloned().unwrap_or_default();
        serde_json::from_value(value)
            .map_err(|error| Error::bug(format!("step `{}` has no parameter `{key}`", self.context.step)).cause(error))
    }

    /// The outputs of a step that this one needs.
    pub fn upstream<T: DeserializeOwned>(&self, step: &str) -> Result<T> {
        let manifest = self
            .context
            .upstream
            .get(step)
            .ok_or_else(|| Error::bug(format!("`{}` does not need `{step}`", self.context.step)))?;
        serde_json::from_value(manifest.outputs.clone())
            .map_err(|error| Error::bug(format!("the outputs of `{step}` cannot be read")).cause(error))
    }

    /// The model that the step's parameters name.
    pub fn model(&self) -> Result<&ModelDefinition> {
        let name: Name = self.param("model")?;
        model(&self.project, &name)
    }

    pub fn log(&self, text: impl AsRef<str>) {
        self.context.log.line(text.as_ref());
    }
}

/// A model of the project.
pub(crate) fn model<'a>(project: &'a Project, name: &Name) -> Result<&'a ModelDefinition> {
    let Some(file) = project.models.get(name) else {
        let error = UNKNOWN_MODEL.error(format!("there is no model `{name}` in the applied project"));
        return Err(match lw_core::nearest(name.as_str(), project.models.keys().map(Name::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`loopwright models` lists the models; `loopwright apply` brings new ones"),
        });
    };
    Ok(&file.value)
}
