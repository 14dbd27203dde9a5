//! Reads a key of an order.

use lw_core::{Error, Result};

use super::lexer::Kind;
use super::python::shell_words;
use super::tree::{ROOT, statements};
use super::{evaluation_dataset, experiment, model, run, trace};
use crate::{BAD_ORDER, Direction, Entity, OrderBy};

/// Reads one key, such as `` metrics.`val loss` DESC ``.
pub(crate) fn parse_order_key(entity: Entity, text: &str) -> Result<OrderBy> {
    let (name, direction) = split(text)?;
    let name = name.trim_matches(super::scanner::is_space);
    let field = match entity {
        Entity::Run | Entity::LoggedModel => run::order(name),
        Entity::Experiment => experiment::order(name),
        Entity::RegisteredModel => model::order_model(name),
        Entity::ModelVersion => model::order_version(name),
        Entity::Trace => trace::order(name),
        Entity::EvaluationDataset => evaluation_dataset::order(name),
    };
    let field = field.map_err(|error| BAD_ORDER.error(error.message()))?;
    Ok(OrderBy { field, direction })
}

/// The name of the field, without its quotes if a direction stands behind it, and the direction.
fn split(text: &str) -> Result<(String, Direction)> {
    let name = whole(text)?;
    let words = shell_words(&name.replace('`', "\"")).ok_or_else(|| unreadable(text))?;
    match words.as_slice() {
        [field, direction] => match direction.to_lowercase().as_str() {
            "asc" => Ok((field.clone(), Direction::Ascending)),
            "desc" => Ok((field.clone(), Direction::Descending)),
            _ => Err(BAD_ORDER.error(format!("Invalid ordering key in order_by clause '{text}'."))),
        },
        words if words.len() > 2 => Err(unreadable(text)),
        _ => Ok((name, Direction::Ascending)),
    }
}

/// The key as one token of SQL; `timestamp`, which SQL knows as a type, is let through.
fn whole(text: &str) -> Result<String> {
    const TIMESTAMP: &str = "timestamp";
    let statements = statements(text).map_err(|_| BAD_ORDER.error(format!("Error on parsing order_by clause '{text}'")))?;
    let [statement] = statements.as_slice() else { return Err(unreadable(text)) };
    let tokens = statement.children(ROOT);
    let is_timestamp = |id| statement.kind(id) == Kind::Builtin && statement.text(id) == TIMESTAMP;
    match tokens {
        [only] if statement.kind(*only) == Kind::Identifier => Ok(statement.text(*only).to_owned()),
        [only] if is_timestamp(*only) => Ok(TIMESTAMP.to_owned()),
        [first, blanks @ .., last] if is_timestamp(*first) => {
            let are_blank = blanks.iter().all(|id| statement.kind(*id).is_whitespace());
            if !are_blank || statement.kind(*last) != Kind::Order {
                return Err(unreadable(text));
            }
            Ok(format!("{TIMESTAMP} {}", statement.text(*last)))
        }
        _ => Err(unreadable(text)),
    }
}

fn unreadable(text: &str) -> Error {
    BAD_ORDER.error(format!("Invalid order_by clause '{text}'. Could not be parsed."))
}
