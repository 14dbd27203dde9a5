//! The grammar of MLflow 3.18, to the letter: what stock accepts, what it refuses and in which words.
//!
//! MLflow gives a filter to a reader of SQL and takes the comparisons out of what comes back, so the grammar is what is left of
//! SQL after that. The modules follow it: [`lexer`] and [`grouping`] read SQL, [`clause`] takes the comparisons out, and a
//! module for each searched entity says which fields and comparators it has.

mod clause;
mod evaluation_dataset;
mod experiment;
mod grouping;
mod keyword;
mod lexer;
mod logged_model;
mod model;
mod named;
mod order;
mod python;
mod run;
mod scanner;
mod trace;
mod tree;

use lw_core::Result;

use self::clause::{Naming, clauses, comparisons, refuse, shape};
pub(crate) use self::logged_model::order_attribute as logged_model_attribute;
use self::named::Named;
pub(crate) use self::order::parse_order_key;
use self::tree::statements;
use crate::{Comparison, Condition, Entity};

pub(crate) use self::python::{json as python_value, list as python_list, repr as python_repr};

/// Far above what the reader's own limit of 10,000 tokens lets through for names and values of usual length.
const LONGEST_FILTER: usize = 512 * 1024;

/// Reads a filter that is not empty. A filter of nothing but AND is no filter, as in MLflow.
pub(crate) fn parse_filter(entity: Entity, text: &str) -> Result<Option<Condition>> {
    let comparisons = read(entity, text)?;
    let mut parts: Vec<Condition> = comparisons.into_iter().map(Condition::Compare).collect();
    Ok(match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Condition::All(parts)),
    })
}

fn read(entity: Entity, text: &str) -> Result<Vec<Comparison>> {
    let is_logged_model = entity == Entity::LoggedModel;
    if text.len() > LONGEST_FILTER {
        return Err(refuse(format!("The filter has {} bytes; a filter has at most {LONGEST_FILTER}", text.len())));
    }
    let statements = statements(text).map_err(|limit| {
        if is_logged_model {
            let reason = python::repr(limit.words());
            return refuse(format!("Invalid filter string: {}. SQLParseError({reason})", python::repr(text)));
        }
        refuse(format!("Error on parsing filter '{text}'"))
    })?;
    let statement = match statements.as_slice() {
        [statement] => statement,
        _ if is_logged_model => {
            let shown = python::repr(text);
            return Err(refuse(format!("Invalid filter string: {shown}. Expected a single SQL expression.")));
        }
        [] => return Err(refuse(format!("Invalid filter '{text}'. Could not be parsed."))),
        _ => {
            let shown = python::repr(text);
            return Err(refuse(format!("Search filter contained multiple expression {shown}. Provide AND-ed expression list.")));
        }
    };
    let clauses = clauses(statement, entity == Entity::Trace);
    if is_logged_model {
        return logged_model::read(text, clauses);
    }
    let naming = if matches!(entity, Entity::Run | Entity::Trace) { Naming::Quoted } else { Naming::Bare };
    let named: Vec<Named> = comparisons(clauses, naming)?
        .iter()
        .map(|parts| {
            let shape = shape(parts, entity == Entity::Trace)?;
            match entity {
                Entity::Run | Entity::LoggedModel => run::read(shape),
                Entity::Experiment => experiment::read(shape),
                Entity::RegisteredModel => model::read_model(shape),
                Entity::ModelVersion => model::read_version(shape),
                Entity::Trace => trace::read(shape),
                Entity::EvaluationDataset => evaluation_dataset::read(shape),
            }
        })
        .collect::<Result<_>>()?;
    let check = match entity {
        Entity::Run | Entity::LoggedModel => run::check,
        Entity::Experiment => experiment::check,
        Entity::RegisteredModel => model::check_model,
        Entity::ModelVersion => model::check_version,
        Entity::Trace => trace::check,
        Entity::EvaluationDataset => evaluation_dataset::check,
    };
    named.iter().map(check).collect()
}
