//! Reads a filter.

use lw_core::Result;

use crate::{Condition, Entity, Grammar, mlflow, native};

/// Reads a filter over an entity. An empty text is no filter.
///
/// ```
/// use lw_search::{Condition, Entity, Grammar, parse_filter};
///
/// let filter = "metrics.auc > 0.8 AND tags.team = 'delays'";
/// let condition = parse_filter(Entity::Run, Grammar::Mlflow, filter)?;
/// assert!(matches!(condition, Some(Condition::All(parts)) if parts.len() == 2));
///
/// let either = "metrics.auc > 0.8 OR NOT (params.depth = '6')";
/// assert!(parse_filter(Entity::Run, Grammar::Mlflow, either).is_err());
/// assert!(matches!(parse_filter(Entity::Run, Grammar::Native, either)?, Some(Condition::Any(_))));
/// # Ok::<(), lw_core::Error>(())
/// ```
pub fn parse_filter(entity: Entity, grammar: Grammar, text: &str) -> Result<Option<Condition>> {
    match grammar {
        _ if text.is_empty() => Ok(None),
        Grammar::Mlflow => mlflow::parse_filter(entity, text),
        Grammar::Native => native::parse_filter(entity, text),
    }
}
