//! Whether a project holds together: offline, from its files alone, and all faults at once.

mod model;
mod pipeline;
mod policy;
mod training;

pub(crate) use model::{supplied_schema, written_type};
pub(crate) use training::CLASSES_HINT;

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use lw_core::{Error, Name, nearest};
use lw_data::SourceDefinition;

use crate::failures::UNKNOWN_REFERENCE;
use crate::parse::File;
use crate::project::Project;

/// Schemas of everything that SQL can name, by name.
pub(crate) type Schemas = BTreeMap<Name, SchemaRef>;

/// Checks a parsed project: types, SQL, references between files, policies. An empty list means that it holds together.
pub fn check(project: &Project) -> Vec<Error> {
    let mut errors = Vec::new();
    let tables = tables(project, &mut errors);
    references(project, &tables, &mut errors);
    views(project, &tables, &mut errors);
    for file in project.models.values() {
        model::check(project, file, &tables, &mut errors);
        training::check(project, file, &mut errors);
        policy::check(project, file, &mut errors);
    }
    policy::check_references(project, &mut errors);
    for file in project.pipelines.values() {
        pipeline::check(project, file, &mut errors);
    }
    errors
}

/// The table schemas that the sources declare, for those that are sound.
pub(crate) fn tables(project: &Project, errors: &mut Vec<Error>) -> Schemas {
    let mut tables = BTreeMap::new();
    for (name, file) in &project.sources {
        errors.extend(file.value.check().into_iter().map(|problem| placed(file, problem)));
        match file.value.table_schema() {
            Ok(schema) => {
                tables.insert(name.clone(), schema);
            }
            Err(error) if errors.is_empty() => errors.push(error.at(file.place(&["columns"]))),
            // `check` has said it already, with the better place.
            Err(_) => {}
        }
    }
    tables
}

/// Contracts whose rows refer to other tables.
fn references(project: &Project, tables: &Schemas, errors: &mut Vec<Error>) {
    for file in project.sources.values() {
        errors.extend(file.value.check_references(tables).into_iter().map(|problem| placed(file, problem)));
    }
}

/// The problem at the part of the file that it is about.
fn placed(file: &File<SourceDefinition>, problem: lw_data::Problem) -> Error {
    let keys: Vec<&str> =
        problem.path.split(['.', '[', ']']).filter(|key| key.parse::<usize>().is_err() && !key.is_empty()).collect();
    let place = file.place(&keys);
    problem.error.at(place)
}

fn views(project: &Project, tables: &Schemas, errors: &mut Vec<Error>) {
    let definitions: BTreeMap<Name, lw_features::ViewDefinition> =
        project.views.iter().map(|(name, file)| (name.clone(), file.value.clone())).collect();
    for (name, error) in lw_features::check_views(&definitions, tables) {
        match project.views.get(&name) {
            Some(file) => errors.push(error.at(file.place(&["sql"]))),
            None => errors.push(error),
        }
    }
}

/// An error about a name that nothing has, with the nearest name that something has.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.collect();
    let error = UNKNOWN_REFERENCE.error(format!("there is no {what} `{name}`"));
    match nearest(name, known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => error.hint(format!("the project has no {what} yet")),
        None => error.hint(format!("there are: {}", known.join(", "))),
    }
}
