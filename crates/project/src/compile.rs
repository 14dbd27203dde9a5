//! A model file compiled into the pipeline that runs it, and the user's own pipelines.

use lw_core::{Name, Result};
use lw_pipelines::{PipelineDefinition, StepDefinition};
use serde_json::{Value, json};

use crate::definition::{ModelDefinition, PipelineFile, PipelineStep, StepAction};
use crate::project::Project;
use crate::recipe::needed_sources;

/// The kinds of steps that this crate supplies.
pub mod kind {
    pub const INGEST: &str = "ingest";
    pub const MATERIALIZE: &str = "materialize";
    pub const TRAINING_SET: &str = "training_set";
    pub const TRAIN: &str = "train";
    pub const EVALUATE: &str = "evaluate";
    pub const REGISTER: &str = "register";
    pub const GATE: &str = "gate";
    pub const APPROVAL: &str = "approval";
    pub const RELEASE: &str = "release";
    pub const START_MODEL: &str = "start_model";
    pub const SHELL: &str = "shell";
}

/// ingest each source → training set → train each candidate → evaluate → register → gate → approval → release.
pub fn model_pipeline(project: &Project, model: &ModelDefinition) -> Result<PipelineDefinition> {
    let name = model.model.as_str();
    let mut steps = Vec::new();
    let mut ingests = Vec::new();
    for source in needed_sources(project, model)? {
        let key = format!("ingest:{source}");
        steps.push(StepDefinition::new(&key, kind::INGEST, json!({ "source": source })));
        ingests.push(key);
    }
    let needs: Vec<&str> = ingests.iter().map(String::as_str).collect();
    steps.push(StepDefinition::new("training_set", kind::TRAINING_SET, json!({ "model": name })).needs(&needs));
    let mut trained = Vec::new();
    for candidate in &model.train.candidates {
        let key = format!("train:{}", candidate.name);
        let params = json!({ "model": name, "candidate": candidate.name });
        steps.push(StepDefinition::new(&key, kind::TRAIN, params).needs(&["training_set"]));
        trained.push(key);
    }
    let mut needs: Vec<&str> = vec!["training_set"];
    needs.extend(trained.iter().map(String::as_str));
    let params = json!({ "model": name });
    steps.push(StepDefinition::new("evaluate", kind::EVALUATE, params.clone()).needs(&needs));
    steps.push(StepDefinition::new("register", kind::REGISTER, params.clone()).needs(&["training_set", "evaluate"]));
    steps.push(StepDefinition::new("gate", kind::GATE, params.clone()).needs(&["evaluate", "register"]));
    steps.push(StepDefinition::new("approval", kind::APPROVAL, params.clone()).needs(&["register", "gate"]));
    steps.push(StepDefinition::new("release", kind::RELEASE, params).needs(&["register", "gate", "approval"]));
    Ok(PipelineDefinition { pipeline: model.model.clone(), description: model.description.clone(), steps, schedule: None })
}

/// Brings sources up to date: all of the project, or one.
pub fn ingestion(sources: &[Name]) -> Result<PipelineDefinition> {
    let step = |source: &Name| StepDefinition::new(&format!("ingest:{source}"), kind::INGEST, json!({ "source": source }));
    Ok(PipelineDefinition {
        pipeline: Name::parse("ingest")?,
        description: "Ingests what has landed since last time".to_owned(),
        steps: sources.iter().map(step).collect(),
        schedule: None,
    })
}

/// A pipeline of the user's own.
pub fn user_pipeline(project: &Project, file: &PipelineFile) -> PipelineDefinition {
    let step = |step: &PipelineStep| {
        let key = step.name.as_str();
        let needs: Vec<&str> = step.needs.iter().map(Name::as_str).collect();
        let mut definition = match &step.action {
            StepAction::Ingest(source) => StepDefinition::new(key, kind::INGEST, json!({ "source": source })),
            StepAction::Materialize(view) => StepDefinition::new(key, kind::MATERIALIZE, json!({ "view": view })),
            StepAction::Train(model) => StepDefinition::new(key, kind::START_MODEL, json!({ "model": model })),
            StepAction::Shell(command) => StepDefinition::new(key, kind::SHELL, command_params(project, file, step, command)),
        };
        definition = definition.needs(&needs);
        definition.retries = step.retries.clone().unwrap_or(definition.retries);
        definition.timeout = step.timeout.unwrap_or(definition.timeout);
        definition.cache = step.cache;
        definition
    };
    PipelineDefinition {
        pipeline: file.pipeline.clone(),
        description: file.description.clone(),
        steps: file.steps.iter().map(step).collect(),
        schedule: file.schedule.clone(),
    }
}

/// A cached command names the project's files, so that a change of any of them makes it run again.
fn command_params(project: &Project, file: &PipelineFile, step: &PipelineStep, command: &str) -> Value {
    let mut params = json!({ "command": command });
    if !file.params.is_empty() {
        params["params"] = json!(file.params);
    }
    if step.cache {
        params["project"] = json!(project.digest());
    }
    params
}
