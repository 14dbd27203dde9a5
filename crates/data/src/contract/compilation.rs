//! A definition checked and compiled: what the table looks like and which rules its rows keep.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use jiff::tz::TimeZone;
use lw_core::{DataType, Error, Name, Result, nearest};
use lw_engine::{Expression, to_arrow};

use super::rule::{Allowed, Limit, Rule, RuleKind, anchored, check_pattern, scalar};
use crate::conversion::convert;
use crate::failures::SOURCE_INVALID;
use crate::location::FilePattern;
use crate::{ColumnDefinition, Format, Literal, OnChange, RowRule, Severity, SourceDefinition};

/// Something in a definition that cannot work, and where: `columns.distance.min`, `derive.scheduled_at`, `contract.rules[2].check`.
#[derive(Debug)]
pub struct Problem {
    pub path: String,
    pub error: Error,
}

/// A definition that has passed all checks.
pub(crate) struct CompiledSource {
    pub definition: SourceDefinition,
    pub pattern: FilePattern,
    /// The zone of each declared column whose values may lack one.
    pub zones: Vec<Option<TimeZone>>,
    pub derived: Vec<Derived>,
    /// Declared columns, then derived ones.
    pub table_schema: SchemaRef,
    pub rules: Vec<Rule>,
    /// Positions of the key in the table's columns.
    pub key: Vec<usize>,
}

pub(crate) struct Derived {
    pub name: String,
    pub expression: Expression,
}

impl SourceDefinition {
    /// Everything in the definition that cannot work. Reads no file.
    pub fn check(&self) -> Vec<Problem> {
        CompiledSource::compile(self).err().unwrap_or_default()
    }

    /// The columns of the table: the declared ones, then the derived ones.
    ///
    /// # Errors
    /// The first of the definition's problems.
    pub fn table_schema(&self) -> Result<SchemaRef> {
        Ok(compiled(self)?.table_schema)
    }
}

/// The compiled definition, or its first problem as an error.
pub(crate) fn compiled(definition: &SourceDefinition) -> Result<CompiledSource> {
    CompiledSource::compile(definition).map_err(|problems| {
        let first = problems.into_iter().next();
        first.map_or_else(
            || Error::bug("a definition was refused without a reason"),
            |problem| problem.error.context(format!("source `{}`, {}", definition.name, problem.path)),
        )
    })
}

impl CompiledSource {
    pub(crate) fn compile(definition: &SourceDefinition) -> Result<Self, Vec<Problem>> {
        let mut compilation = Compilation { definition, problems: Vec::new(), fields: Vec::new(), rules: Vec::new() };
        let pattern = compilation.files();
        let zones = definition.columns.iter().map(|(name, column)| compilation.column(name, column)).collect();
        let derived = definition.derive.iter().filter_map(|(name, sql)| compilation.derived(name, sql)).collect();
        let key = compilation.roles();
        compilation.contract();
        let Compilation { problems, fields, rules, .. } = compilation;
        match pattern {
            Some(pattern) if problems.is_empty() => Ok(Self {
                definition: definition.clone(),
                pattern,
                zones,
                derived,
                table_schema: Arc::new(Schema::new(fields)),
                rules,
                key,
            }),
            _ => Err(problems),
        }
    }
}

/// The work in progress: problems do not stop it, so that a user sees all of them at once.
pub(super) struct Compilation<'d> {
    pub(super) definition: &'d SourceDefinition,
    problems: Vec<Problem>,
    pub(super) fields: Vec<Field>,
    rules: Vec<Rule>,
}

impl Compilation<'_> {
    pub(super) fn problem(&mut self, path: impl Into<String>, error: Error) {
        self.problems.push(Problem { path: path.into(), error });
    }

    pub(super) fn invalid(&mut self, path: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) {
        self.problem(path, SOURCE_INVALID.error(message).hint(hint));
    }

    /// Adds a rule, whose name must be its own.
    pub(super) fn rule(&mut self, path: &str, name: String, severity: Severity, kind: RuleKind) {
        if self.rules.iter().any(|other| other.name == name) {
            self.invalid(path, format!("there is a rule `{name}` already"), "rename or remove one of them");
        }
        self.rules.push(Rule { name, severity, kind });
    }

    fn files(&mut self) -> Option<FilePattern> {
        let definition = self.definition;
        if definition.columns.is_empty() {
            self.invalid("columns", "a source declares its columns", "list them with their types: `distance: {type: float64}`");
        }
        if definition.format != Format::Csv {
            if definition.delimiter.is_some() {
                self.invalid("delimiter", format!("{} files have no delimiter", definition.format), "leave it out");
            }
            if !definition.null_values.is_empty() {
                self.invalid("null_values", format!("{} files write nulls as such", definition.format), "leave it out");
            }
        }
        if definition.delimiter.is_some_and(|delimiter| !delimiter.is_ascii() || matches!(delimiter, '"' | '\n' | '\r')) {
            self.invalid("delimiter", "a delimiter is one ASCII character, and no quote or line break", "write `;` or `\\t`");
        }
        FilePattern::parse(&definition.files).map_err(|error| self.problem("files", error)).ok()
    }

    /// Adds a declared column with its rules; gives its zone.
    fn column(&mut self, name: &str, column: &ColumnDefinition) -> Option<TimeZone> {
        let path = format!("columns.{name}");
        self.new_field(
            &path,
            name,
            to_arrow(column.data_type),
            "a column whose name in the files differs is declared with `from`",
        );
        let zone = column.zone.as_deref().and_then(|zone| self.zone(&path, column.data_type, zone));
        let index = self.fields.len() - 1;
        let severity = column.on_failure.unwrap_or(self.definition.contract.on_failure);
        let rules = self.column_rules(&path, index, column);
        self.rules.extend(rules.into_iter().map(|(rule, kind)| Rule { name: format!("{name}.{rule}"), severity, kind }));
        zone
    }

    fn new_field(&mut self, path: &str, name: &str, data_type: ArrowType, hint: &str) {
        if let Err(error) = Name::parse(name) {
            self.problem(path, error.hint(format!("a column name is lower snake case; {hint}")));
        }
        if self.fields.iter().any(|field| field.name() == name) {
            self.invalid(path, format!("`{name}` is a column already"), "give the derived column a name of its own");
        }
        self.fields.push(Field::new(name, data_type, true));
    }

    fn zone(&mut self, path: &str, data_type: DataType, zone: &str) -> Option<TimeZone> {
        let path = format!("{path}.zone");
        if data_type != DataType::Timestamp {
            self.invalid(path, format!("a {data_type} has no zone"), "only timestamps have one");
            return None;
        }
        let found = TimeZone::get(zone);
        if found.is_err() {
            self.invalid(
                path,
                format!("`{zone}` is not a time zone"),
                "write a name of the IANA database such as America/New_York or UTC",
            );
        }
        found.ok()
    }

    fn column_rules(&mut self, path: &str, index: usize, column: &ColumnDefinition) -> Vec<(&'static str, RuleKind)> {
        let mut rules = vec![("type", RuleKind::Type { column: index, want: column.data_type })];
        if column.required {
            rules.push(("required", RuleKind::Required { column: index }));
        }
        let min = column.min.as_ref().and_then(|limit| self.limit(&format!("{path}.min"), column.data_type, limit));
        let max = column.max.as_ref().and_then(|limit| self.limit(&format!("{path}.max"), column.data_type, limit));
        if let (Some(min), Some(max)) = (&min, &max) {
            let is_empty = arrow::compute::kernels::cmp::gt(&min.value, &max.value).is_ok_and(|above| above.value(0));
            if is_empty {
                self.invalid(
                    format!("{path}.min"),
                    format!("{} is above the maximum {}", min.written, max.written),
                    "exchange them",
                );
            }
        }
        rules.extend(min.map(|limit| ("min", RuleKind::Min { column: index, limit })));
        rules.extend(max.map(|limit| ("max", RuleKind::Max { column: index, limit })));
        if !column.one_of.is_empty() {
            rules.extend(self.allowed(path, column).map(|allowed| ("one_of", RuleKind::OneOf { column: index, allowed })));
        }
        if let Some(pattern) = &column.matches {
            let path = format!("{path}.matches");
            if column.data_type != DataType::String {
                self.invalid(path, format!("a {} cannot match a pattern", column.data_type), "use `min`, `max` or `one_of`");
            } else if let Err(message) = check_pattern(pattern) {
                self.invalid(
                    path,
                    format!("`{pattern}` is not a regular expression: {message}"),
                    "see the syntax of the Rust crate regex",
                );
            } else {
                rules.push(("matches", RuleKind::Matches { column: index, pattern: anchored(pattern) }));
            }
        }
        rules
    }

    fn limit(&mut self, path: &str, data_type: DataType, literal: &Literal) -> Option<Limit> {
        if matches!(data_type, DataType::Boolean | DataType::String) {
            self.invalid(path, format!("a {data_type} has no smallest or largest value"), "use `one_of` or `matches`");
            return None;
        }
        let value = self.value(path, data_type, literal)?;
        Some(Limit { value: scalar(value), written: literal.to_string() })
    }

    fn allowed(&mut self, path: &str, column: &ColumnDefinition) -> Option<Allowed> {
        if column.data_type == DataType::String {
            for (position, literal) in
                column.one_of.iter().enumerate().filter(|(_, literal)| !matches!(literal, Literal::Text(_)))
            {
                // YAML reads N, no and off as false, and 1e5 as a number.
                self.invalid(format!("{path}.one_of[{position}]"), format!("`{literal}` is not a string"), "put it in quotes");
            }
            return Some(Allowed::Texts(column.one_of.iter().map(ToString::to_string).collect()));
        }
        let mut values = Vec::with_capacity(column.one_of.len());
        for (position, literal) in column.one_of.iter().enumerate() {
            values.push(scalar(self.value(&format!("{path}.one_of[{position}]"), column.data_type, literal)?));
        }
        Some(Allowed::Values(values))
    }

    /// The literal as a column of one value of the type.
    fn value(&mut self, path: &str, data_type: DataType, literal: &Literal) -> Option<ArrayRef> {
        let fits = match literal {
            Literal::Bool(_) => data_type == DataType::Boolean,
            Literal::Int(_) | Literal::Float(_) => data_type.is_numeric(),
            Literal::Text(_) => matches!(data_type, DataType::Date | DataType::Timestamp),
        };
        // A bare date stands for midnight UTC.
        let text: ArrayRef = Arc::new(StringArray::from(vec![literal.to_string()]));
        let value = convert(&text, data_type, Some(&TimeZone::UTC)).ok().map(|converted| converted.values);
        let value = value.filter(|value| fits && value.is_valid(0));
        if value.is_none() {
            self.invalid(
                path,
                format!("`{literal}` is not {} {data_type}", article(data_type)),
                "write a value of the column's type",
            );
        }
        value
    }

    fn derived(&mut self, name: &str, sql: &str) -> Option<Derived> {
        let path = format!("derive.{name}");
        let schema = Arc::new(Schema::new(self.fields.clone()));
        let expression = Expression::compile(sql, &schema).and_then(|expression| {
            lw_engine::from_arrow(expression.data_type())?;
            Ok(expression)
        });
        match expression {
            Ok(expression) => {
                self.new_field(&path, name, expression.data_type().clone(), "so is the name of a derived one");
                Some(Derived { name: name.to_owned(), expression })
            }
            Err(error) => {
                self.problem(path, error);
                None
            }
        }
    }

    /// Key, event time and known time; gives the positions of the key.
    fn roles(&mut self) -> Vec<usize> {
        let definition = self.definition;
        let mut key = Vec::with_capacity(definition.key.len());
        for (position, name) in definition.key.iter().enumerate() {
            let path = format!("key[{position}]");
            let Some(index) = self.position(&path, name) else { continue };
            if self.fields[index].data_type().is_floating() {
                self.invalid(
                    path,
                    format!("`{name}` is a floating-point number, which cannot identify a row"),
                    "use integers or strings",
                );
            } else if key.contains(&index) {
                self.invalid(path, format!("`{name}` stands twice in the key"), "remove one");
            } else {
                key.push(index);
            }
        }
        for (path, name) in [("event_time", &definition.event_time), ("known_time", &definition.known_time)] {
            let Some(index) = name.as_deref().and_then(|name| self.position(path, name)) else { continue };
            if !matches!(self.fields[index].data_type(), ArrowType::Timestamp(..)) {
                let name = self.fields[index].name().clone();
                self.invalid(path, format!("`{name}` is not a timestamp"), "declare its type, or derive a timestamp from it");
            }
        }
        if definition.on_change == OnChange::Merge && definition.key.is_empty() {
            self.invalid("on_change", "rows can only be merged by a key", "declare the `key`");
        }
        if definition.contract.freshness.is_some() && definition.event_time.is_none() {
            self.invalid("contract.freshness", "freshness is the age of the newest event time", "declare the `event_time`");
        }
        if !definition.key.is_empty() {
            let kind = RuleKind::Key { columns: key.clone() };
            self.rule("key", "key".to_owned(), definition.contract.on_failure, kind);
        }
        key
    }

    pub(super) fn position(&mut self, path: &str, name: &str) -> Option<usize> {
        let found = self.fields.iter().position(|field| field.name() == name);
        if found.is_none() {
            let near = nearest(name, self.fields.iter().map(|field| field.name().as_str()));
            let hint = near.map_or("name a column or a derived column".to_owned(), |near| format!("did you mean `{near}`?"));
            self.invalid(path, format!("there is no column `{name}`"), hint);
        }
        found
    }

    fn contract(&mut self) {
        let contract = &self.definition.contract;
        if !(0.0..=1.0).contains(&contract.max_quarantined) {
            self.invalid(
                "contract.max_quarantined",
                format!("{} is not a share", contract.max_quarantined),
                "write a number from 0 to 1",
            );
        }
        let schema: SchemaRef = Arc::new(Schema::new(self.fields.clone()));
        for (position, rule) in contract.rules.iter().enumerate() {
            let path = format!("contract.rules[{position}]");
            let severity = rule.on_failure.unwrap_or(contract.on_failure);
            self.row_rule(&path, rule, severity, &schema);
        }
        self.rules_on_many_rows(&schema);
        // A rule that keeps rows out comes first in what the quarantine tells.
        self.rules.sort_by_key(|rule| std::cmp::Reverse(rule.severity));
    }

    fn row_rule(&mut self, path: &str, rule: &RowRule, severity: Severity, schema: &SchemaRef) {
        let name_path = format!("{path}.name");
        let path = format!("{path}.check");
        match Expression::compile(&rule.check, schema) {
            Ok(check) if *check.data_type() == ArrowType::Boolean => {
                let kind = RuleKind::Row { check, sql: rule.check.clone(), reason: rule.reason.clone() };
                self.rule(&name_path, rule.name.to_string(), severity, kind);
            }
            Ok(check) => {
                let found = crate::conversion::type_name(check.data_type());
                self.invalid(path, format!("a check is true or false, `{}` is {found}", rule.check), "compare it with something");
            }
            Err(error) => self.problem(path, error),
        }
    }
}

fn article(data_type: DataType) -> &'static str {
    if matches!(data_type, DataType::Int32 | DataType::Int64) { "an" } else { "a" }
}
