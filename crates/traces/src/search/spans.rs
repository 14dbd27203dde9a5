//! What is asked of spans.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use lw_core::{Error, Result};
use lw_engine::Engine;
use lw_search::{BAD_FILTER, Comparator, Comparison, Field, Literal, SpanField};
use regex::Regex;

use super::like::is_like;
use crate::Span;
use crate::buffer::Buffer;
use crate::json::Json;
use crate::table::{SPAN_COLUMNS, SpanRow, quoted, scan};
use crate::written::written_span;

/// Comparisons that must all hold of one span.
#[derive(Debug, Clone)]
pub(super) struct SpanTest(Arc<Vec<Test>>);

#[derive(Debug)]
struct Test {
    field: SpanField,
    comparator: Comparator,
    text: String,
    texts: Vec<String>,
    pattern: Option<Regex>,
}

impl SpanTest {
    pub fn of(comparisons: Vec<Comparison>) -> Result<Self> {
        comparisons.into_iter().map(Test::of).collect::<Result<Vec<_>>>().map(|tests| Self(Arc::new(tests)))
    }

    fn holds(&self, trace: &str, span: &Span) -> bool {
        self.0.iter().all(|test| test.holds(trace, span))
    }

    /// Whether name, type and status tell all that is asked, so that nothing else need be read.
    fn is_plain(&self) -> bool {
        self.0.iter().all(|test| test.column().is_some())
    }

    /// [`Self::holds`] for a row of the table.
    fn holds_row(&self, row: &SpanRow<'_>) -> Result<bool> {
        if self.is_plain() {
            return Ok(self.0.iter().all(|test| test.fits(test.column().and_then(|column| row.text(column)))));
        }
        Ok(self.holds(row.text("trace_id").unwrap_or_default(), &row.span()?))
    }

    /// What the table can leave out by itself.
    fn condition(&self, experiments: &HashSet<u64>) -> String {
        let numbers: Vec<String> = experiments.iter().map(u64::to_string).collect();
        let tests = self.0.iter().filter_map(Test::condition);
        [format!("experiment IN ({})", numbers.join(", "))].into_iter().chain(tests).collect::<Vec<_>>().join(" AND ")
    }
}

impl Test {
    fn of(Comparison { field, comparator, value }: Comparison) -> Result<Self> {
        let Field::Span(field) = field else { return Err(Error::bug("a test of spans compares something else")) };
        let (text, texts) = match value {
            Literal::Text(text) => (text, Vec::new()),
            Literal::Texts(texts) => (String::new(), texts),
            Literal::Absent => (String::new(), Vec::new()),
            other => return Err(BAD_FILTER.error(format!("spans are not compared with {other:?}"))),
        };
        let pattern = match comparator {
            Comparator::RLike => {
                let bad = |error| BAD_FILTER.error(format!("`{text}` is not a regular expression")).cause(error);
                Some(Regex::new(&text).map_err(bad)?)
            }
            _ => None,
        };
        Ok(Self { field, comparator, text, texts, pattern })
    }

    fn holds(&self, trace: &str, span: &Span) -> bool {
        match &self.field {
            SpanField::Name => self.fits(Some(&span.name)),
            SpanField::Type => self.fits(Some(span.span_type())),
            SpanField::Status => self.fits(Some(span.status.name())),
            SpanField::Content => self.fits(Some(&written_span(trace, span))),
            SpanField::Attribute(name) => match span.attributes.get(name) {
                Some(Json::Text(text)) => self.fits(Some(text)),
                Some(value) => self.fits(Some(&value.dumped())),
                None => self.fits(None),
            },
        }
    }

    fn fits(&self, value: Option<&str>) -> bool {
        let Some(value) = value else { return self.comparator == Comparator::IsNull };
        match self.comparator {
            Comparator::Equal => value == self.text,
            Comparator::NotEqual => value != self.text,
            Comparator::Like => is_like(value, &self.text),
            Comparator::ILike => is_like(&value.to_lowercase(), &self.text.to_lowercase()),
            Comparator::RLike => self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(value)),
            Comparator::In => self.texts.iter().any(|text| text == value),
            Comparator::NotIn => !self.texts.iter().any(|text| text == value),
            Comparator::IsNotNull => true,
            Comparator::IsNull => false,
            Comparator::Less => value < self.text.as_str(),
            Comparator::LessOrEqual => value <= self.text.as_str(),
            Comparator::Greater => value > self.text.as_str(),
            Comparator::GreaterOrEqual => value >= self.text.as_str(),
            Comparator::Between => false,
        }
    }

    /// The column that holds what is asked for.
    fn column(&self) -> Option<&'static str> {
        match self.field {
            SpanField::Name => Some("name"),
            SpanField::Type => Some("type"),
            SpanField::Status => Some("status"),
            SpanField::Content | SpanField::Attribute(_) => None,
        }
    }

    fn condition(&self) -> Option<String> {
        let column = self.column()?;
        match self.comparator {
            Comparator::Equal => Some(format!("{column} = {}", quoted(&self.text))),
            Comparator::In => {
                let texts: Vec<String> = self.texts.iter().map(|text| quoted(text)).collect();
                Some(format!("{column} IN ({})", texts.join(", ")))
            }
            _ => None,
        }
    }
}

/// The incarnations with such spans in the journal.
pub(super) async fn waiting(buffer: &Buffer, test: SpanTest, experiments: HashSet<u64>) -> Result<HashSet<String>> {
    let found = Arc::new(Mutex::new(HashSet::new()));
    let into = Arc::clone(&found);
    let visit = move |stored: &crate::buffer::Stored| {
        let group = &stored.group;
        if experiments.contains(&stored.experiment) && group.spans.iter().any(|span| test.holds(&group.trace, span)) {
            into.lock().unwrap_or_else(PoisonError::into_inner).insert(stored.incarnation.clone());
        }
    };
    buffer.each(visit).await?;
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *found))
}

/// Adds the incarnations with such spans in the table.
pub(super) async fn delivered(
    engine: &Engine,
    test: &SpanTest,
    experiments: &HashSet<u64>,
    found: &mut HashSet<String>,
) -> Result<()> {
    let columns = if test.is_plain() { "incarnation, name, type, status" } else { SPAN_COLUMNS };
    scan(engine, columns, &test.condition(experiments), |row| {
        let incarnation = row.text("incarnation").unwrap_or_default();
        if !found.contains(incarnation) && test.holds_row(&row)? {
            found.insert(incarnation.to_owned());
        }
        Ok(())
    })
    .await
}
