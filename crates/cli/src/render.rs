//! What people see: aligned tables, plain sentences, errors with their hints. Data go to stdout, talk to stderr.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use lw_core::Error;
use owo_colors::OwoColorize;
use serde_json::{Value, json};

/// Whether anything stands on stdout.
static HAS_OUTPUT: AtomicBool = AtomicBool::new(false);

/// Writes to stdout; a reader that went away, such as `head`, ends the process quietly.
pub fn out(text: &str) {
    HAS_OUTPUT.store(true, Ordering::Relaxed);
    let mut stdout = anstream::stdout().lock();
    if writeln!(stdout, "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Writes to stderr.
pub fn talk(text: &str) {
    // Nowhere to complain when stderr itself is closed.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

pub fn json(value: &Value) {
    out(&serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()));
}

/// An error as a person reads it.
pub fn error(error: &Error) {
    talk(&format!("{} {error} {}", "error:".red().bold(), format!("[{}]", error.code()).dimmed()));
    if let Some(hint) = error.hint_text() {
        talk(&format!("{} {hint}", " hint:".yellow().bold()));
    }
}

/// Failures as the problem document (RFC 9457) that the HTTP API answers, for programs. After an answer there is none: a document on
/// stdout stays the only one, and carries its failure itself.
pub fn problem(errors: &[Error]) {
    if let (Some(first), false) = (errors.first(), HAS_OUTPUT.load(Ordering::Relaxed)) {
        json(&document(first, errors));
    }
}

/// The first failure; all of them stand in `errors` if there are several.
fn document(first: &Error, all: &[Error]) -> Value {
    let one = |error: &Error| {
        let mut one = json!({
            "type": format!("urn:loopwright:error:{}", error.code()), "title": error.code().replace('-', " "), "code": error.code(),
            "kind": error.kind(), "status": error.kind().http_status(), "detail": error.message(),
        });
        if let Some(hint) = error.hint_text() {
            one["hint"] = hint.into();
        }
        if let Some(place) = error.place() {
            one["place"] = json!(place);
        }
        one
    };
    let mut document = one(first);
    if all.len() > 1 {
        document["errors"] = all.iter().map(one).collect();
    }
    document
}

/// Names the next sensible command.
pub fn next(command: &str) {
    talk(&format!("{} {command}", " next:".cyan().bold()));
}

pub fn heading(text: &str) {
    out(&format!("{}", text.bold()));
}

/// Rows under column titles, each column as wide as its widest cell.
pub fn table(titles: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = titles.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    out(&format!("{}", line(&titles.iter().map(|title| (*title).to_owned()).collect::<Vec<_>>(), &widths).bold()));
    for row in rows {
        out(&line(row, &widths));
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// A JSON value as a table cell.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => format!("{:.4}", number.as_f64().unwrap_or(f64::NAN)),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A list answer of the API as a table of the named fields.
pub fn list(items: &Value, columns: &[(&str, &str)]) {
    let empty = Vec::new();
    let rows: Vec<Vec<String>> = items
        .as_array()
        .unwrap_or(&empty)
        .iter()
        .map(|item| columns.iter().map(|(_, pointer)| item.pointer(pointer).map_or_else(|| "–".to_owned(), cell)).collect())
        .collect();
    let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    table(&titles, &rows);
}

#[cfg(test)]
mod tests {
    use lw_core::{Failure, Kind};

    use super::*;

    #[test]
    fn failures_are_problem_documents() {
        let error =
            (Failure { code: "unknown-endpoint", kind: Kind::NotFound }).error("there is no endpoint `x`").hint("make one");
        let one = document(&error, std::slice::from_ref(&error));
        assert_eq!((&one["code"], &one["status"], &one["hint"]), (&json!("unknown-endpoint"), &json!(404), &json!("make one")));
        assert!(one.get("errors").is_none());
        let other = (Failure { code: "bad-name", kind: Kind::Invalid }).error("no name");
        let both = document(&error, &[(Failure { code: "bad-time", kind: Kind::Invalid }).error("no time"), other]);
        assert_eq!(both["errors"].as_array().map(Vec::len), Some(2));
    }
}
