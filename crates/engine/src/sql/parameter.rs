//! The parameters of a query: `$1`, `$2`, …, or `?` in order.

use std::borrow::Cow;
use std::collections::HashSet;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};
use lw_core::Result;

use crate::failures::SQL_PARAMETERS;

/// Writes each `?` that is a parameter as `$1`, `$2`, … A text that does not even split into words stays as it is, for the parser to
/// describe. A query that has both is refused: whether its `?` and its `$1` are one parameter, nobody can know.
pub(crate) fn number_parameters(sql: &str) -> Result<Cow<'_, str>> {
    if !sql.contains('?') {
        return Ok(Cow::Borrowed(sql));
    }
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else {
        return Ok(Cow::Borrowed(sql));
    };
    let (mut marks, mut named) = (HashSet::new(), None);
    for token in tokens {
        match token.token {
            Token::Placeholder(text) if text == "?" => {
                marks.insert(token.span.start);
            }
            Token::Placeholder(text) => named = Some(text),
            _ => {}
        }
    }
    match named {
        _ if marks.is_empty() => Ok(Cow::Borrowed(sql)),
        None => Ok(Cow::Owned(with_numbers(sql, &marks))),
        Some(named) => Err(SQL_PARAMETERS
            .error(format!("the query has the parameters `?` and `{named}`"))
            .hint("write `?` for each, or $1, $2, … for each")),
    }
}

fn with_numbers(sql: &str, marks: &HashSet<Location>) -> String {
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
    numbered
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
        assert_eq!(number_parameters(sql).unwrap(), want);
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
    fn marks_and_numbers_do_not_mix() {
        let error = number_parameters("SELECT ? + $1").unwrap_err();
        assert!(error.is(SQL_PARAMETERS) && error.message().contains("`?` and `$1`"), "{error:?}");
        check("SELECT '?', $1", "SELECT '?', $1");
        check("SELECT ?, '$1'", "SELECT $1, '$1'");
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
