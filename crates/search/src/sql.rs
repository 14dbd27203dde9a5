//! Conditions and orders as fragments of SQL that SQLite and PostgreSQL both understand, with `$n` placeholders.
//!
//! Three things need the store's help. LIKE tells letters from capitals on SQLite because the store says so when it connects. RLIKE
//! becomes `regexp_like(text, pattern)`, which PostgreSQL has from version 15 on and the store gives to SQLite. Texts order by their
//! bytes, because the store makes its columns so.
//!
//! ```
//! use lw_core::{Result, Scalar};
//! use lw_search::sql::{Columns, Parameters, SortKey, Source, condition};
//! use lw_search::{Comparator, Comparison, Condition, Field, Literal};
//!
//! struct Runs;
//!
//! impl Columns for Runs {
//!     fn source(&self, field: &Field, parameters: &mut Parameters) -> Result<Source> {
//!         match field {
//!             Field::Tag(key) => {
//!                 let key = parameters.bind(key.as_str());
//!                 Ok(Source::rows(format!("SELECT 1 FROM run_tag t WHERE t.run = run.id AND t.tag_key = {key}"), "t.tag_value"))
//!             }
//!             _ => Ok(Source::column("run.status")),
//!         }
//!     }
//!
//!     fn sort_key(&self, _: &Field, _: usize, _: &mut Parameters) -> Result<SortKey> {
//!         Ok(SortKey::column("run.status"))
//!     }
//! }
//!
//! let tagged = Condition::Compare(Comparison {
//!     field: Field::Tag("team".to_owned()),
//!     comparator: Comparator::Equal,
//!     value: Literal::Text("delays".to_owned()),
//! });
//! let mut parameters = Parameters::from(vec![Scalar::from(7_i64)]);
//! assert_eq!(
//!     condition(&tagged, &Runs, &mut parameters)?,
//!     "EXISTS (SELECT 1 FROM run_tag t WHERE t.run = run.id AND t.tag_key = $2 AND t.tag_value = $3)"
//! );
//! assert_eq!(parameters.into_scalars().len(), 3);
//! # Ok::<(), lw_core::Error>(())
//! ```

use lw_core::{Error, Result, Scalar};

use crate::{BAD_FILTER, Comparator, Comparison, Condition, Direction, Field, Literal, Number, OrderBy};

/// Where the values of each field stand. The stage that is searched knows its tables; nobody else does.
pub trait Columns {
    /// Where a filter finds the values of a field. Keys go in by [`Parameters::bind`], never as text.
    fn source(&self, field: &Field, parameters: &mut Parameters) -> Result<Source>;

    /// By what an order sorts for a field. `position` tells the keys of one order apart, for the alias of a join.
    fn sort_key(&self, field: &Field, position: usize, parameters: &mut Parameters) -> Result<SortKey>;
}

/// Where the values of a field stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// One value a row, perhaps NULL.
    Column(Value),
    /// Any number of values a row, in another table.
    Rows(Rows),
}

/// The values of a field in rows of another table. A row of the search has the field if one of them exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// What stands before the parenthesis: `EXISTS`, or `run.id IN` for a `select` of ids.
    pub test: String,
    /// A SELECT that ends within its WHERE clause, so that ` AND …` can follow.
    pub select: String,
    pub value: Value,
    /// Whether all comparisons of one conjunction with this `select` must hold of one and the same row, as MLflow wants of spans.
    pub one_row: bool,
}

/// An expression of SQL and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub sql: String,
    pub form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A text or a number, as it is.
    Plain,
    /// A metric. Where the expression `is_nan` is not 0 the value is not a number: only `!=` holds of it.
    Metric { is_nan: String },
    /// A JSON text, such as the value of feedback. A text equals it as JSON or as a JSON string; the expression `number` is its
    /// number, or NULL if it is none.
    Json { number: String },
}

/// By what an order sorts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// A LEFT JOIN that brings the value in, at most one row for each row of the search.
    pub join: Option<String>,
    pub value: String,
    /// For metrics: an expression that is 1 where the value is not a number, 0 where it is one.
    pub is_nan: Option<String>,
    pub is_nullable: bool,
}

/// The values of the placeholders `$1`, `$2`, … of a statement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    n_before: usize,
    scalars: Vec<Scalar>,
}

/// An order as SQL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Goes behind FROM: each begins with LEFT JOIN.
    pub joins: Vec<String>,
    /// Goes behind ORDER BY, before the tie-breakers of the caller.
    pub terms: Vec<String>,
}

impl Source {
    /// A column of the searched row.
    pub fn column(sql: impl Into<String>) -> Self {
        Self::Column(Value::plain(sql))
    }

    /// Values in rows of another table: a SELECT that ends within its WHERE clause, and the column of the value.
    pub fn rows(select: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Rows(Rows { test: "EXISTS".to_owned(), select: select.into(), value: Value::plain(value), one_row: false })
    }

    /// The same place, holding values of this form.
    #[must_use]
    pub fn of(mut self, form: Form) -> Self {
        match &mut self {
            Self::Column(value) => value.form = form,
            Self::Rows(rows) => rows.value.form = form,
        }
        self
    }
}

impl Value {
    pub fn plain(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), form: Form::Plain }
    }
}

impl SortKey {
    /// A column that is never NULL.
    pub fn column(sql: impl Into<String>) -> Self {
        Self { join: None, value: sql.into(), is_nan: None, is_nullable: false }
    }

    /// A column that may be NULL.
    pub fn nullable(sql: impl Into<String>) -> Self {
        Self { is_nullable: true, ..Self::column(sql) }
    }

    /// A column of another table, NULL where the LEFT JOIN finds no row.
    pub fn joined(join: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { join: Some(join.into()), is_nullable: true, ..Self::column(sql) }
    }
}

/// The statement has these parameters already; the next placeholder follows them.
impl From<Vec<Scalar>> for Parameters {
    fn from(scalars: Vec<Scalar>) -> Self {
        Self { n_before: 0, scalars }
    }
}

/// SQLite takes 32,766 placeholders in a statement (SQLITE_MAX_VARIABLE_NUMBER); the rest is for the statement around.
const MOST_PARAMETERS: usize = 32_000;

impl Parameters {
    /// Placeholders from `$first` on, for a caller that keeps those before to itself.
    pub fn starting_at(first: usize) -> Self {
        Self { n_before: first.saturating_sub(1), scalars: Vec::new() }
    }

    /// Adds a value and returns its placeholder.
    pub fn bind(&mut self, value: impl Into<Scalar>) -> String {
        self.scalars.push(value.into());
        format!("${}", self.n_before + self.scalars.len())
    }

    pub fn into_scalars(self) -> Vec<Scalar> {
        self.scalars
    }

    fn check(&self) -> Result<()> {
        if self.scalars.len() <= MOST_PARAMETERS {
            return Ok(());
        }
        Err(BAD_FILTER
            .error(format!(
                "the filter compares with {} values; at most {MOST_PARAMETERS} go into one search",
                self.scalars.len()
            ))
            .hint("search in several steps, each with a part of the list"))
    }
}

/// A condition as an expression of SQL that never needs parentheses around it. It is TRUE, FALSE or, where a NULL is compared,
/// NULL; inside NOT a NULL counts as FALSE, so that a row matches exactly one of a condition and its negation.
pub fn condition(condition: &Condition, columns: &dyn Columns, parameters: &mut Parameters) -> Result<String> {
    let sql = compile(condition, columns, parameters)?;
    parameters.check()?;
    Ok(sql)
}

/// The keys of an order. Not-a-number comes after the numbers and a row without the field last, in both directions.
pub fn order(keys: &[OrderBy], columns: &dyn Columns, parameters: &mut Parameters) -> Result<Order> {
    let mut order = Order::default();
    for (position, OrderBy { field, direction }) in keys.iter().enumerate() {
        let SortKey { join, value, is_nan, is_nullable } = columns.sort_key(field, position, parameters)?;
        let nulls = if is_nullable { " NULLS LAST" } else { "" };
        let direction = match direction {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        };
        order.joins.extend(join);
        order.terms.extend(is_nan.map(|is_nan| format!("{is_nan} ASC{nulls}")));
        order.terms.push(format!("{value} {direction}{nulls}"));
    }
    Ok(order)
}

fn compile(condition: &Condition, columns: &dyn Columns, parameters: &mut Parameters) -> Result<String> {
    match condition {
        Condition::All(parts) => conjunction(parts, columns, parameters),
        Condition::Any(parts) => {
            let parts = parts.iter().map(|part| compile(part, columns, parameters)).collect::<Result<Vec<_>>>()?;
            Ok(balanced(&parts, " OR ").unwrap_or_else(|| "1 = 0".to_owned()))
        }
        Condition::Not(inner) => Ok(format!("(({}) IS NOT TRUE)", compile(inner, columns, parameters)?)),
        Condition::Compare(comparison) => one(comparison, columns, parameters),
    }
}

fn one(
    Comparison { field, comparator, value }: &Comparison,
    columns: &dyn Columns,
    parameters: &mut Parameters,
) -> Result<String> {
    match columns.source(field, parameters)? {
        Source::Column(column) => compare(&column, *comparator, value, parameters),
        Source::Rows(Rows { test, select, .. }) if *comparator == Comparator::IsNull => Ok(format!("NOT {test} ({select})")),
        Source::Rows(Rows { test, select, .. }) if *comparator == Comparator::IsNotNull => Ok(format!("{test} ({select})")),
        Source::Rows(Rows { test, select, value: column, .. }) => {
            let compared = compare(&column, *comparator, value, parameters)?;
            Ok(format!("{test} ({select} AND {compared})"))
        }
    }
}

/// Joins by AND; comparisons that must hold of one row of another table share one sub-select.
fn conjunction(parts: &[Condition], columns: &dyn Columns, parameters: &mut Parameters) -> Result<String> {
    let mut done: Vec<String> = Vec::new();
    let mut shared: Vec<(Rows, Vec<String>)> = Vec::new();
    for part in parts {
        let Condition::Compare(comparison @ Comparison { field, comparator, value }) = part else {
            done.push(compile(part, columns, parameters)?);
            continue;
        };
        // Asking twice for the source of a field would bind its key twice, so only fields that can share are asked here.
        if !matches!(field, Field::Span(_)) || matches!(comparator, Comparator::IsNull | Comparator::IsNotNull) {
            done.push(one(comparison, columns, parameters)?);
            continue;
        }
        match columns.source(field, parameters)? {
            Source::Column(column) => done.push(compare(&column, *comparator, value, parameters)?),
            Source::Rows(rows) => {
                let compared = compare(&rows.value, *comparator, value, parameters)?;
                let place = shared.iter_mut().find(|(other, _)| rows.one_row && other.one_row && other.select == rows.select);
                match place {
                    Some((_, all)) => all.push(compared),
                    None => shared.push((rows, vec![compared])),
                }
            }
        }
    }
    done.extend(
        shared.into_iter().map(|(Rows { test, select, .. }, all)| format!("{test} ({select} AND {})", all.join(" AND "))),
    );
    Ok(balanced(&done, " AND ").unwrap_or_else(|| "1 = 1".to_owned()))
}

/// A tree of parentheses as flat as can be: SQLite takes expressions 1,000 deep, and a plain chain is as deep as it is long.
fn balanced(parts: &[String], joiner: &str) -> Option<String> {
    match parts {
        [] => None,
        [only] => Some(only.clone()),
        parts => {
            let (left, right) = parts.split_at(parts.len().div_ceil(2));
            Some(format!("({}{joiner}{})", balanced(left, joiner)?, balanced(right, joiner)?))
        }
    }
}

fn compare(
    Value { sql, form }: &Value,
    comparator: Comparator,
    literal: &Literal,
    parameters: &mut Parameters,
) -> Result<String> {
    match (form, literal) {
        (_, Literal::Absent) => Ok(format!("{sql} {}", comparator.as_str())),
        (Form::Metric { is_nan }, Literal::Number(number)) => {
            let number = bind_metric(*number, parameters);
            if comparator == Comparator::NotEqual {
                return Ok(format!("({sql} <> {number} OR {is_nan} <> 0)"));
            }
            Ok(format!("({sql} {} {number} AND {is_nan} = 0)", symbol(comparator)))
        }
        (Form::Metric { is_nan }, Literal::Range(low, high)) => {
            let (low, high) = (bind_metric(*low, parameters), bind_metric(*high, parameters));
            Ok(format!("({sql} BETWEEN {low} AND {high} AND {is_nan} = 0)"))
        }
        (Form::Json { .. }, Literal::Text(text)) if matches!(comparator, Comparator::Equal | Comparator::NotEqual) => {
            let raw = parameters.bind(text.as_str());
            let quoted = parameters.bind(serde_json::Value::from(text.as_str()).to_string());
            let not = if comparator == Comparator::NotEqual { "NOT " } else { "" };
            Ok(format!("{not}({sql} = {raw} OR {sql} = {quoted})"))
        }
        (Form::Json { number: sql }, Literal::Number(_) | Literal::Range(..)) => plain(sql, comparator, literal, parameters),
        _ => plain(sql, comparator, literal, parameters),
    }
}

fn plain(sql: &str, comparator: Comparator, literal: &Literal, parameters: &mut Parameters) -> Result<String> {
    match (comparator, literal) {
        (Comparator::Like, Literal::Text(pattern)) => {
            Ok(format!("{sql} LIKE {} ESCAPE '{ESCAPE}'", parameters.bind(literally(pattern))))
        }
        (Comparator::ILike, Literal::Text(pattern)) => {
            Ok(format!("LOWER({sql}) LIKE LOWER({}) ESCAPE '{ESCAPE}'", parameters.bind(literally(pattern))))
        }
        (Comparator::RLike, Literal::Text(pattern)) => Ok(format!("regexp_like({sql}, {})", parameters.bind(pattern.as_str()))),
        (Comparator::In | Comparator::NotIn, Literal::Texts(texts)) => {
            let places: Vec<String> = texts.iter().map(|text| parameters.bind(text)).collect();
            Ok(format!("{sql} {} ({})", comparator.as_str(), places.join(", ")))
        }
        (Comparator::In | Comparator::NotIn, Literal::Integers(numbers)) => {
            let places: Vec<String> = numbers.iter().map(|number| parameters.bind(*number)).collect();
            Ok(format!("{sql} {} ({})", comparator.as_str(), places.join(", ")))
        }
        (Comparator::Between, Literal::Range(low, high)) => {
            let (low, high) = (bind_number(*low, parameters), bind_number(*high, parameters));
            Ok(format!("({sql} BETWEEN {low} AND {high})"))
        }
        (_, Literal::Text(text)) => Ok(format!("{sql} {} {}", symbol(comparator), parameters.bind(text.as_str()))),
        (_, Literal::Number(number)) => Ok(format!("{sql} {} {}", symbol(comparator), bind_number(*number, parameters))),
        (comparator, literal) => Err(Error::bug(format!("{} does not take {literal:?}", comparator.as_str()))),
    }
}

fn symbol(comparator: Comparator) -> &'static str {
    match comparator {
        Comparator::NotEqual => "<>",
        other => other.as_str(),
    }
}

/// PostgreSQL escapes by backslash unless it is told otherwise and SQLite not at all. Both take one other character, which is
/// doubled where a pattern has it, so that nothing in a pattern escapes anything.
const ESCAPE: char = '~';

fn literally(pattern: &str) -> String {
    pattern.replace(ESCAPE, "~~")
}

fn bind_metric(number: Number, parameters: &mut Parameters) -> String {
    parameters.bind(match number {
        Number::Int(number) => number as f64,
        Number::Float(number) => number,
    })
}

/// A placeholder takes the type of its column on PostgreSQL, so a fraction that meets whole numbers needs its own type.
fn bind_number(number: Number, parameters: &mut Parameters) -> String {
    match number {
        Number::Int(number) => parameters.bind(number),
        Number::Float(number) => format!("CAST({} AS DOUBLE PRECISION)", parameters.bind(number)),
    }
}
