//! Regular expressions in statements: `regexp_like(text, pattern)`, which PostgreSQL brings and SQLite is given here.

use lw_core::Error;
use regex::Regex;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;

use crate::BAD_PATTERN;

/// SQLite hands on what a function complains of as text alone; this one begins with these words.
const REFUSED: &str = "not a regular expression: ";

/// Whether the pattern is found anywhere in the text; NULL where either is NULL, as on PostgreSQL. A pattern is compiled once a
/// statement, and matching takes time in proportion to the text, whatever the pattern.
pub(crate) fn register(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("regexp_like", 2, flags, |context| {
        let (ValueRef::Text(text), ValueRef::Text(_)) = (context.get_raw(0), context.get_raw(1)) else { return Ok(None) };
        let pattern = context.get_or_create_aux(1, |pattern| {
            let compiled = pattern.as_str().map_err(|error| error.to_string());
            compiled.and_then(|pattern| Regex::new(pattern).map_err(|error| last_line(&error.to_string())))
        });
        let pattern = pattern.map_err(|error| match error {
            rusqlite::Error::UserFunctionError(reason) => rusqlite::Error::UserFunctionError(format!("{REFUSED}{reason}").into()),
            other => other,
        })?;
        Ok(Some(pattern.is_match(&String::from_utf8_lossy(text))))
    })
}

/// Why a pattern was refused, if that is what SQLite complains of.
pub(crate) fn refused(message: &str) -> Option<&str> {
    message.strip_prefix(REFUSED)
}

pub(crate) fn bad(reason: &str) -> Error {
    BAD_PATTERN
        .error(format!("the regular expression cannot be understood: {reason}"))
        .hint("what stands for itself, such as a parenthesis or a star, needs a backslash before it")
}

/// The parser draws the pattern with a mark under the place, and says in the last line what is wrong.
fn last_line(drawn: &str) -> String {
    let last = drawn.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}
