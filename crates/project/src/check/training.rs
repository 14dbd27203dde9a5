//! What a model's candidates ask of the project: scripts that are part of it, two classes, and a baseline to be better than.

use lw_core::nearest;
use lw_data::Literal;
use lw_evaluation::Task;
use lw_registry::Rival;
use lw_training::Trainer;

use crate::bundle::SCRIPTS;
use crate::definition::ModelDefinition;
use crate::failures::INVALID_MODEL;
use crate::parse::File;
use crate::project::Project;

/// What to do with more than two classes.
pub(crate) const CLASSES_HINT: &str = "a model answers with one probability or one value; make it a model for each class with a condition as the \
                                       label, like `label: kind = 'fraud'`, or let the script of a python candidate answer with the \
                                       probability of the class that matters";

pub fn check(project: &Project, file: &File<ModelDefinition>, errors: &mut Vec<lw_core::Error>) {
    scripts(project, file, errors);
    classes(project, file, errors);
    baseline(file, errors);
}

/// A column that may have more than two values, as its contract says, is no label of a binary classification. Of a text it was said
/// already that it is none.
fn classes(project: &Project, file: &File<ModelDefinition>, errors: &mut Vec<lw_core::Error>) {
    let (model, predicts) = (&file.value, &file.value.predicts);
    if model.task != Task::BinaryClassification {
        return;
    }
    let source = project.sources.get(&predicts.from);
    let Some(column) = source.and_then(|source| source.value.columns.get(predicts.label.trim())) else { return };
    let is_class = |value: &Literal| match value {
        Literal::Bool(_) => true,
        Literal::Int(value) => matches!(value, 0 | 1),
        Literal::Float(value) => [0.0, 1.0].contains(value),
        Literal::Text(_) => true,
    };
    if !column.one_of.iter().all(is_class) {
        let message =
            format!("`label` must be a boolean or 0 and 1, and the contract of `{}` allows other values", predicts.label);
        errors.push(INVALID_MODEL.error(message).at(file.place(&["predicts", "label"])).hint(CLASSES_HINT));
    }
}

/// A gate cannot compare with a baseline that nothing trains.
fn baseline(file: &File<ModelDefinition>, errors: &mut Vec<lw_core::Error>) {
    let model = &file.value;
    if model.train.candidates.iter().any(|candidate| candidate.trainer == Trainer::Baseline) {
        return;
    }
    for gate in model.gates.iter().filter(|gate| gate.better_than == Some(Rival::Baseline)) {
        let message = format!("gate `{}` compares with the baseline, and no candidate is one", gate.name);
        let hint = "add `{name: baseline, trainer: baseline}` to train.candidates";
        errors.push(INVALID_MODEL.error(message).at(file.place(&["gates", gate.name.as_str()])).hint(hint));
    }
}

/// Checks that each script lies in `scripts/`: only what lies there is applied, and only what is applied is run.
fn scripts(project: &Project, file: &File<ModelDefinition>, errors: &mut Vec<lw_core::Error>) {
    for candidate in &file.value.train.candidates {
        let Some(script) = &candidate.script else { continue };
        if project.bundle.scripts().any(|(path, _)| path == script) {
            continue;
        }
        let message = format!("candidate `{}` runs `{script}`, which is no file of the project's `{SCRIPTS}`", candidate.name);
        let known: Vec<&str> = project.bundle.scripts().map(|(path, _)| path).filter(|path| path.ends_with(".py")).collect();
        let hint = match nearest(script, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("put the file there and write `script: {SCRIPTS}{}`", script.rsplit('/').next().unwrap_or(script)),
        };
        let place = file.place(&["candidates", candidate.name.as_str(), "script"]);
        errors.push(INVALID_MODEL.error(message).at(place).hint(hint));
    }
}
