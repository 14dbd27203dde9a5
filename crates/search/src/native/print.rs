//! Conditions as filters of the native grammar.

use std::fmt::{self, Display as _};

use crate::{Comparison, Condition, Literal, Number};

/// The filter that reads back as this condition.
///
/// ```
/// use lw_search::{Entity, Grammar, parse_filter};
///
/// let filter = "(status = 'FINISHED' or metrics.\"val loss\" between 0 and 1) and not tags.`my team` is null";
/// let condition = parse_filter(Entity::Run, Grammar::Native, filter)?.expect("the filter is not empty");
/// assert_eq!(
///     condition.to_string(),
///     "(status = 'FINISHED' OR metrics.`val loss` BETWEEN 0.0 AND 1.0) AND NOT tags.`my team` IS NULL"
/// );
/// # Ok::<(), lw_core::Error>(())
/// ```
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => join(f, parts, " AND "),
            Self::Any(parts) => join(f, parts, " OR "),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                part(f, inner)
            }
            Self::Compare(comparison) => comparison.fmt(f),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Condition], joiner: &str) -> fmt::Result {
    for (position, condition) in parts.iter().enumerate() {
        if position > 0 {
            f.write_str(joiner)?;
        }
        part(f, condition)?;
    }
    Ok(())
}

fn part(f: &mut fmt::Formatter<'_>, condition: &Condition) -> fmt::Result {
    match condition {
        Condition::All(_) | Condition::Any(_) => write!(f, "({condition})"),
        Condition::Not(_) | Condition::Compare(_) => condition.fmt(f),
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.comparator.as_str())?;
        if self.value == Literal::Absent { Ok(()) } else { write!(f, " {}", self.value) }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => Ok(()),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Texts(texts) => write!(f, "({})", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")),
            Self::Integers(numbers) => {
                write!(f, "({})", numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
            }
            Self::Range(low, high) => write!(f, "{low} AND {high}"),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            // What is too large to write reads as infinite.
            Self::Float(value) if value.is_infinite() => f.write_str(if *value > 0.0 { "1e999" } else { "-1e999" }),
            Self::Float(value) => write!(f, "{value:?}"),
        }
    }
}
