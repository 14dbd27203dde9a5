//! The user's own pipelines: steps that exist, in an order without cycles, on a schedule that can be read.

use std::collections::BTreeSet;

use lw_core::{Error, Name, Span};
use lw_pipelines::BAD_PIPELINE;

use super::unknown;
use crate::definition::{PipelineFile, PipelineStep, StepAction};
use crate::failures::INVALID_MODEL;
use crate::parse::File;
use crate::project::Project;

pub fn check(project: &Project, file: &File<PipelineFile>, errors: &mut Vec<Error>) {
    if project.models.contains_key(&file.value.pipeline) || file.value.pipeline.as_str() == "ingest" {
        let error = INVALID_MODEL.error(format!("`{}` is the name of a pipeline that the platform makes", file.value.pipeline));
        errors.push(error.at(file.place(&["pipeline"])).hint("choose another name: each model has a pipeline of its name"));
    }
    let n_errors = errors.len();
    let names: BTreeSet<&Name> = file.value.steps.iter().map(|step| &step.name).collect();
    for step in &file.value.steps {
        for need in &step.needs {
            if !names.contains(need) {
                let known = names.iter().map(|name| name.as_str());
                errors.push(unknown("step", need.as_str(), known).at(file.place(&[step.name.as_str(), need.as_str()])));
            }
        }
        references(project, file, step, errors);
        policies(file, step, errors);
    }
    // What the steps say wrongly has been said with its own place.
    if errors.len() == n_errors
        && let Err(error) = crate::compile::user_pipeline(project, &file.value).check()
        && !error.is(lw_pipelines::BAD_SCHEDULE)
    {
        errors.push(error.at(file.place(&["steps"])));
    }
    schedule(file, errors);
}

/// What a step names must be in the project.
fn references(project: &Project, file: &File<PipelineFile>, step: &PipelineStep, errors: &mut Vec<Error>) {
    let missing = match &step.action {
        StepAction::Ingest(source) if !project.sources.contains_key(source) => {
            Some((source, unknown("source", source.as_str(), project.sources.keys().map(Name::as_str))))
        }
        StepAction::Materialize(view) if !project.views.contains_key(view) => {
            Some((view, unknown("feature view", view.as_str(), project.views.keys().map(Name::as_str))))
        }
        StepAction::Train(model) if !project.models.contains_key(model) => {
            Some((model, unknown("model", model.as_str(), project.models.keys().map(Name::as_str))))
        }
        _ => None,
    };
    if let Some((name, error)) = missing {
        errors.push(error.at(file.place(&[step.name.as_str(), name.as_str()])));
    }
}

/// Retries, timeout and cache of a step.
fn policies(file: &File<PipelineFile>, step: &PipelineStep, errors: &mut Vec<Error>) {
    let name = step.name.as_str();
    let mut fail = |keys: &[&str], message: String, hint: &str| {
        let path: Vec<&str> = std::iter::once(name).chain(keys.iter().copied()).collect();
        errors.push(BAD_PIPELINE.error(message).at(file.place(&path)).hint(hint));
    };
    if let Some(retries) = &step.retries {
        if retries.attempts == 0 {
            fail(&["retries", "attempts"], format!("step `{name}` is tried zero times"), "write `attempts: 1` for no retry");
        }
        if retries.backoff > retries.max_backoff {
            let message = format!("step `{name}` waits {} at first and {} at most", retries.backoff, retries.max_backoff);
            fail(&["retries", "backoff"], message, "`backoff` is the first wait; raise `max_backoff` or lower it");
        }
    }
    if step.timeout.is_some_and(|timeout| timeout <= Span::ZERO) {
        fail(&["timeout"], format!("step `{name}` has no time at all"), "write how long an attempt may take, like `30m`");
    }
    if step.cache && !matches!(step.action, StepAction::Shell(_)) {
        let message = format!("step `{name}` cannot be cached: it must look at what is there each time");
        fail(&["cache"], message, "only `shell` steps can be cached; the others find out themselves what is new");
    }
}

fn schedule(file: &File<PipelineFile>, errors: &mut Vec<Error>) {
    let Some(schedule) = &file.value.schedule else {
        return;
    };
    if let Err(error) = schedule.check() {
        errors.push(error.at(file.place(&["schedule"])));
    }
    if let Some((name, _)) = file.value.params.iter().find(|(_, default)| default.is_none()) {
        let error = BAD_PIPELINE.error(format!("a scheduled run has nobody to give it `{name}`"));
        errors
            .push(error.at(file.place(&["params", name.as_str()])).hint("give the parameter a default, or remove the schedule"));
    }
}
