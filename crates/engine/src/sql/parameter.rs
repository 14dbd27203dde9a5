//! The parameters of a query: `$1`, `$2`, …, or `?` in order.

use std::borrow::Cow;
use std::collections::HashSet;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};
use lw_core::Result;

use crate::failures::SQL_PARAMETERS;

/// Writes each `?` that is a parameter as `$1`, `$2`, … A text that does not even split into words stays as it is, for the parser to
/// describe.
pub(crate) fn number_parameters(sql: &str) -> Cow<'_, str> {
    if !sql.contains('?') {
        return Cow::Borrowed(sql);
    }
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else {
        return Cow::Borrowed(sql);
    };
    let is_mark = |token: &Token| matches!(token, Token::Placeholder(text) if text == "?");
    let marks: HashSet<Location> = tokens.iter().filter(|token| is_mark(&token.token)).map(|token| token.span.start).collect();
    if marks.is_empty() {
        return Cow::Borrowed(sql);
    }
    let mut numbered = String::with_capacity(sql.len() + marks.len());
    let (mut here, mut number) = (Location { line: 1, column: 1 }, 0);
    for character in sql.chars() {
        if character == '?' && marks.contains(&here) {
            number += 1;
            numbered.push_str(&format!("${number}"));
        } else {
            numbered.push(character);
        }
        here = match character {
            '\n' => Location { line: here.line + 1, column: 1 },
            _ => Location { line: here.line, column: here.column + 1 },
        };
    }
    Cow::Owned(numbered)
}

/// How many parameters the names of a query's placeholders make, which must be `$1`, `$2`, … without a gap.
pub(crate) fn count_parameters(names: &HashSet<String>) -> Result<usize> {
    let is_numbered = |name: &String| {
        let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
        number.is_some_and(|number| (1..=names.len()).contains(&number))
    };
    match names.iter().filter(|name| !is_numbered(name)).min() {
        None => Ok(names.len()),
        Some(odd) => Err(SQL_PARAMETERS
            .error(format!("the query has the parameter `{odd}` among {}", names.len()))
            .hint("write `?`, or $1, $2, … without leaving one out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, want: &str) {
        assert_eq!(number_parameters(sql), want);
    }

    #[test]
    fn marks_are_numbered_and_texts_left_alone() {
        check("SELECT a FROM t WHERE b = ? AND c < ?", "SELECT a FROM t WHERE b = $1 AND c < $2");
        check(
            "SELECT 'why?' AS \"what?\" -- who?\nFROM t /* ? */ WHERE é = ?",
            "SELECT 'why?' AS \"what?\" -- who?\nFROM t /* ? */ WHERE é = $1",
        );
        check("SELECT $1", "SELECT $1");
        check("SELECT 'open ?", "SELECT 'open ?");
    }

    #[test]
    fn numbers_have_no_gap() {
        let count = |names: &[&str]| count_parameters(&names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(count(&[]).unwrap(), 0);
        assert_eq!(count(&["$2", "$1"]).unwrap(), 2);
        for odd in [&["$1", "$3"][..], &["$name"], &["$0"], &["?"]] {
            assert!(count(odd).unwrap_err().is(SQL_PARAMETERS), "{odd:?}");
        }
    }
}
