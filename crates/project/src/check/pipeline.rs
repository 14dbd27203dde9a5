//! The user's own pipelines: steps that exist, in an order without cycles, on a schedule that can be read.

use std::collections::BTreeSet;

use lw_core::{Error, Name};

use super::unknown;
use crate::definition::{PipelineFile, StepAction};
use crate::failures::INVALID_MODEL;
use crate::parse::File;
use crate::project::Project;

pub fn check(project: &Project, file: &File<PipelineFile>, errors: &mut Vec<Error>) {
    if project.models.contains_key(&file.value.pipeline) || file.value.pipeline.as_str() == "ingest" {
        let error = INVALID_MODEL.error(format!("`{}` is the name of a pipeline that the platform makes", file.value.pipeline));
        errors.push(error.at(file.place(&["pipeline"])).hint("choose another name: each model has a pipeline of its name"));
    }
    let names: BTreeSet<&Name> = file.value.steps.iter().map(|step| &step.name).collect();
    for step in &file.value.steps {
        for need in &step.needs {
            if !names.contains(need) {
                let known = names.iter().map(|name| name.as_str());
                errors.push(unknown("step", need.as_str(), known).at(file.place(&[step.name.as_str(), need.as_str()])));
            }
        }
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
    if let Err(error) = crate::compile::user_pipeline(&file.value).check() {
        errors.push(error.at(file.place(&["steps"])));
    }
    if let Some(schedule) = &file.value.schedule
        && let Err(error) = lw_pipelines::Schedule::new(&schedule.cron, &schedule.zone).check()
    {
        errors.push(
            INVALID_MODEL
                .error(error.message().to_owned())
                .at(file.place(&["schedule"]))
                .hint(error.hint_text().unwrap_or("write five cron fields and an IANA zone")),
        );
    }
}
