//! Reads a filter.

use lw_core::{Error, Result};

use crate::{Condition, Entity, Grammar};

/// Reads a filter over an entity. An empty text is no filter.
pub fn parse_filter(entity: Entity, grammar: Grammar, text: &str) -> Result<Option<Condition>> {
    if text.is_empty() {
        return Ok(None);
    }
    let _ = (entity, grammar);
    Err(Error::bug("filters are not read yet"))
}
