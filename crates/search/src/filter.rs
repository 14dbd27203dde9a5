//! Reads a filter.

use lw_core::{Error, Result};

use crate::{Condition, Entity, Grammar, mlflow};

/// Reads a filter over an entity. An empty text is no filter.
pub fn parse_filter(entity: Entity, grammar: Grammar, text: &str) -> Result<Option<Condition>> {
    match grammar {
        _ if text.is_empty() => Ok(None),
        Grammar::Mlflow => mlflow::parse_filter(entity, text),
        Grammar::Native => Err(Error::bug("the native grammar is not read yet")),
    }
}
