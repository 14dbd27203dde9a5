//! From an error of the planner or the execution to one that a user can act on.

use std::io;

use datafusion::common::{Column, SchemaError, Span};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};
use lw_core::{Error, Place, nearest};

use super::catalog::Unknown;
use super::session::OFFLINE;
use crate::failures::{
    BAD_SQL, QUERY_EXHAUSTED, QUERY_FAILED, SQL_NOT_ALLOWED, SQL_TYPE_MISMATCH, TABLE_UNAVAILABLE, UNKNOWN_COLUMN,
    UNKNOWN_FUNCTION, UNKNOWN_TABLE,
};

/// Functions that exist elsewhere and are missing here on purpose.
const TIME_DEPENDENT: [&str; 8] =
    ["now", "current_timestamp", "current_date", "current_time", "today", "random", "uuid", "localtimestamp"];

/// Says what is wrong with a query, where in its text, and what to do. Places count lines and columns within the SQL text.
pub(crate) fn diagnose(error: &DataFusionError, sql: &str) -> Error {
    describe(error, sql).cause(error.to_string())
}

fn describe(error: &DataFusionError, sql: &str) -> Error {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let described = describe(inner, sql);
            match diagnostic.span.and_then(place_of_span) {
                Some(place) => described.at(place),
                None => described,
            }
        }
        DataFusionError::Context(_, inner) => describe(inner, sql),
        DataFusionError::Shared(inner) => describe(inner, sql),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => describe(first, sql),
            None => Error::bug("an empty list of errors"),
        },
        DataFusionError::External(source) => external(source.as_ref(), sql),
        DataFusionError::SQL(error, _) => syntax(error),
        DataFusionError::SchemaError(error, _) => schema(error, sql),
        DataFusionError::Plan(message) => planning(message, sql),
        DataFusionError::NotImplemented(message) => {
            SQL_NOT_ALLOWED.error(format!("this SQL is not supported: {}", first_line(message)))
        }
        DataFusionError::ResourcesExhausted(message) => exhausted(message),
        DataFusionError::IoError(error) if error.kind() == io::ErrorKind::StorageFull => exhausted("the disk is full"),
        DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) => {
            TABLE_UNAVAILABLE.error(format!("a file cannot be read: {}", first_line(&error.to_string())))
        }
        DataFusionError::ArrowError(error, _) => QUERY_FAILED
            .error(format!("the query failed on a row: {}", first_line(&error.to_string())))
            .hint("guard the value with CASE, NULLIF or TRY_CAST"),
        // The planner calls its own defect what is an argument of the wrong type.
        DataFusionError::Internal(message) if message.contains("failed to match any signature") => no_signature(message),
        DataFusionError::Execution(message) => QUERY_FAILED.error(format!("the query failed: {}", first_line(message))),
        other => Error::bug(format!("the engine failed: {}", first_line(&other.to_string()))),
    }
}

fn external(source: &(dyn std::error::Error + Send + Sync + 'static), sql: &str) -> Error {
    if let Some(unknown) = source.downcast_ref::<Unknown>() {
        return match unknown {
            Unknown::Table { name, known } => {
                let error = UNKNOWN_TABLE.error(unknown.to_string()).hint(alternatives(name, known, "tables"));
                located(error, sql, name.rsplit('.').next().unwrap_or(name))
            }
            Unknown::TableFunction { name } => {
                let hint = "read files through a source; a query sees the tables that it is given";
                located(SQL_NOT_ALLOWED.error(unknown.to_string()).hint(hint), sql, name)
            }
        };
    }
    if let Some(inner) = source.downcast_ref::<DataFusionError>() {
        return describe(inner, sql);
    }
    if let Some(inner) = source.downcast_ref::<Error>() {
        let copy = inner.failure().error(inner.message());
        return match inner.hint_text() {
            Some(hint) => copy.hint(hint),
            None => copy,
        };
    }
    TABLE_UNAVAILABLE.error(format!("the rows cannot be read: {}", first_line(&source.to_string())))
}

fn syntax(error: &ParserError) -> Error {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => {
            return SQL_NOT_ALLOWED.error("the SQL is nested too deeply").hint("split it with WITH, or compute columns in steps");
        }
    };
    let (message, position) = text.split_once(" at Line: ").unwrap_or((text, ""));
    let described = BAD_SQL.error(format!("the SQL does not parse: {message}"));
    let mut numbers = position.split(", Column: ").map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => described.at(place(line, column)),
        _ => described,
    }
}

fn schema(error: &SchemaError, sql: &str) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => unknown_column(field, valid_fields, sql),
        SchemaError::AmbiguousReference { field } => {
            let error = BAD_SQL
                .error(format!("`{}` could mean several columns", field.name))
                .hint(format!("write which one, `TABLE.{}`, or name one of them with AS", field.name));
            located(error, sql, &field.name)
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            let error = BAD_SQL.error(format!("two columns are called `{name}`")).hint("name one of them with AS");
            located(error, sql, name)
        }
    }
}

fn unknown_column(column: &Column, valid: &[Column], sql: &str) -> Error {
    let name = &column.name;
    if TIME_DEPENDENT.contains(&name.to_lowercase().as_str()) {
        return located(time_dependent(name), sql, name);
    }
    let known: Vec<String> = valid.iter().map(|column| column.name.clone()).collect();
    let same_but_case = known.iter().find(|known| known.eq_ignore_ascii_case(name));
    let hint = match same_but_case {
        Some(exact) if exact != name => format!("names fold to lower case; write \"{exact}\" in double quotes"),
        _ => alternatives(name, &known, "columns"),
    };
    let message = match &column.relation {
        Some(table) => format!("there is no column `{name}` in `{}`", table_label(table.table())),
        None => format!("there is no column `{name}`"),
    };
    located(UNKNOWN_COLUMN.error(message).hint(hint), sql, name)
}

fn table_label(table: &str) -> &str {
    if table.is_empty() { "the query" } else { table }
}

fn planning(message: &str, sql: &str) -> Error {
    let message = first_line(message);
    if let Some(name) = message.strip_prefix("Invalid function '").and_then(|rest| rest.split('\'').next()) {
        if TIME_DEPENDENT.contains(&name) {
            return located(time_dependent(name), sql, name);
        }
        let known: Vec<String> = function_names();
        let error = UNKNOWN_FUNCTION.error(format!("there is no function `{name}`"));
        let error = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("the functions are those of DataFusion, without the ones that depend on when they run"),
        };
        return located(error, sql, name);
    }
    if message.contains("rror during planning") || message.contains("coerce") || message.contains("type") {
        return SQL_TYPE_MISMATCH.error(format!("the types do not fit: {message}")).hint("convert one side with CAST(… AS …)");
    }
    BAD_SQL.error(format!("the query does not make sense: {message}"))
}

fn no_signature(message: &str) -> Error {
    let function = message.split('\'').nth(1).unwrap_or("the function");
    let received = message.split("but received ").nth(1).and_then(|rest| rest.split(" (DataType").next());
    let what = received.map_or("an argument of its type".to_owned(), |received| format!("a {}", received.to_lowercase()));
    SQL_TYPE_MISMATCH
        .error(format!("the types do not fit: `{function}` does not take {what}"))
        .hint("convert the argument with CAST(… AS …)")
}

fn time_dependent(name: &str) -> Error {
    SQL_NOT_ALLOWED
        .error(format!("`{name}` would give another answer on another day"))
        .hint("take the time from a column, such as the event time or the prediction time")
}

fn exhausted(message: &str) -> Error {
    QUERY_EXHAUSTED
        .error("the query needs more memory than the engine may use")
        .hint("read fewer rows or columns, join on keys, or raise the memory limit")
        .cause(message.to_owned())
}

fn function_names() -> Vec<String> {
    let state = &**OFFLINE;
    let scalar = state.scalar_functions().keys();
    scalar.chain(state.aggregate_functions().keys()).chain(state.window_functions().keys()).cloned().collect()
}

/// `did you mean …?`, or the whole list when nothing is near.
pub(crate) fn alternatives(name: &str, known: &[String], what: &str) -> String {
    const N_SHOWN: usize = 20;
    if let Some(near) = nearest(name, known.iter().map(String::as_str)) {
        return format!("did you mean `{near}`?");
    }
    let mut sorted: Vec<&str> = known.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.is_empty() {
        return format!("there are no {what} here");
    }
    let more = if sorted.len() > N_SHOWN { ", …" } else { "" };
    sorted.truncate(N_SHOWN);
    format!("the {what} are {}{more}", sorted.join(", "))
}

/// Adds the place of the first mention of a word in the SQL text.
pub(crate) fn located(error: Error, sql: &str, word: &str) -> Error {
    match find_word(sql, word) {
        Some(location) => error.at(place_of_location(location)),
        None => error,
    }
}

fn find_word(sql: &str, word: &str) -> Option<Location> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().ok()?;
    let is_word = |token: &Token| matches!(token, Token::Word(found) if found.value.eq_ignore_ascii_case(word));
    tokens.iter().find(|token| is_word(&token.token)).map(|token| token.span.start)
}

fn place_of_span(span: Span) -> Option<Place> {
    let line = u32::try_from(span.start.line).ok().filter(|line| *line > 0)?;
    Some(place(line, u32::try_from(span.start.column).ok()?))
}

fn place_of_location(location: Location) -> Place {
    place(u32::try_from(location.line).unwrap_or(u32::MAX), u32::try_from(location.column).unwrap_or(u32::MAX))
}

fn place(line: u32, column: u32) -> Place {
    Place { file: "sql".to_owned(), line: Some(line), column: Some(column) }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
