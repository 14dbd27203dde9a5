//! Where the fields of a trace stand in the metadata database.

use lw_core::{Error, Result};
use lw_search::Field;
use lw_search::sql::{Columns, Form, Parameters, Rows, SortKey, Source, Value};

/// The field that tells a trace from others that had its id. No filter can name it.
pub(super) const INCARNATION: &str = "incarnation";

pub(super) struct TraceColumns;

impl Columns for TraceColumns {
    fn source(&self, field: &Field, parameters: &mut Parameters) -> Result<Source> {
        match field {
            Field::Attribute(name) => Ok(Source::column(attribute(name)?)),
            Field::Tag(key) => {
                let key = parameters.bind(key.as_str());
                Ok(Source::rows(format!("SELECT 1 FROM trace_tag g WHERE g.trace = t.id AND g.tag_key = {key}"), "g.tag_value"))
            }
            // The run that a trace was made in and those that it was linked to later stand in one place.
            Field::Metadata(key) if key == crate::metadata::RUN => Ok(linked("run")),
            Field::Prompt => Ok(linked("prompt")),
            Field::Metadata(key) => {
                let key = parameters.bind(key.as_str());
                let select = format!("SELECT 1 FROM trace_metadata m WHERE m.trace = t.id AND m.metadata_key = {key}");
                Ok(Source::rows(select, "m.metadata_value"))
            }
            Field::Feedback(name) => Ok(assessed("feedback", name, parameters)),
            Field::Expectation(name) => Ok(assessed("expectation", name, parameters)),
            Field::Issue => {
                let select = "SELECT 1 FROM trace_assessment a WHERE a.trace = t.id AND a.kind = 'issue'";
                Ok(Source::rows(select, "a.name"))
            }
            other => Err(Error::bug(format!("traces have no field {other}"))),
        }
    }

    fn sort_key(&self, field: &Field, position: usize, parameters: &mut Parameters) -> Result<SortKey> {
        match field {
            Field::Attribute(name @ ("execution_time_ms" | "client_request_id")) => Ok(SortKey::nullable(attribute(name)?)),
            Field::Attribute(name) => Ok(SortKey::column(attribute(name)?)),
            Field::Tag(key) => {
                let (alias, key) = (format!("o{position}"), parameters.bind(key.as_str()));
                let join = format!("LEFT JOIN trace_tag {alias} ON {alias}.trace = t.id AND {alias}.tag_key = {key}");
                Ok(SortKey::joined(join, format!("{alias}.tag_value")))
            }
            Field::Metadata(key) => {
                let (alias, key) = (format!("o{position}"), parameters.bind(key.as_str()));
                let join = format!("LEFT JOIN trace_metadata {alias} ON {alias}.trace = t.id AND {alias}.metadata_key = {key}");
                Ok(SortKey::joined(join, format!("{alias}.metadata_value")))
            }
            other => Err(Error::bug(format!("traces are not ordered by {other}"))),
        }
    }
}

fn attribute(name: &str) -> Result<&'static str> {
    Ok(match name {
        "request_id" => "t.id",
        "client_request_id" => "t.client_request_id",
        "status" => "t.state",
        "experiment_id" => "t.experiment",
        INCARNATION => "t.incarnation",
        // Times are whole milliseconds to those who ask.
        "timestamp_ms" => "(t.started_at / 1000)",
        "execution_time_ms" => "(t.duration / 1000)",
        "end_time_ms" => "((t.started_at + COALESCE(t.duration, 0)) / 1000)",
        other => return Err(Error::bug(format!("traces have no attribute {other}"))),
    })
}

fn linked(kind: &str) -> Source {
    Source::Rows(Rows {
        test: "t.id IN".to_owned(),
        select: format!("SELECT l.trace FROM trace_link l WHERE l.target_kind = '{kind}'"),
        value: Value::plain("l.target"),
        one_row: false,
    })
}

/// Valid assessments of a name. One of a whole conversation counts for each trace of it.
fn assessed(kind: &str, name: &str, parameters: &mut Parameters) -> Source {
    let name = parameters.bind(name);
    let select = format!(
        "SELECT COALESCE(o.id, a.trace) FROM trace_assessment a \
         LEFT JOIN trace s ON s.id = a.trace AND a.metadata LIKE '%\"{}\":%' \
         LEFT JOIN trace o ON o.session = s.session \
         WHERE a.kind = '{kind}' AND a.name = {name} AND a.is_valid = 1",
        crate::metadata::SESSION
    );
    let source = Rows { test: "t.id IN".to_owned(), select, value: Value::plain("a.assessed"), one_row: false };
    Source::Rows(source).of(Form::Json { number: "a.assessed_number".to_owned() })
}
