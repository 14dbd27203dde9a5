//! The comparisons of a statement, as MLflow takes them out of it.

use lw_core::{Error, Result};

use super::lexer::Kind;
use super::python::{BadLiteral, Item, parenthesis, tuple};
use super::tree::{Id, ROOT, Tree};
use crate::{BAD_FILTER, Comparator, Number};

pub(crate) fn refuse(message: impl Into<String>) -> Error {
    BAD_FILTER.error(message)
}

/// A token or group: what it is and how it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub kind: Kind,
    pub text: &'a str,
}

/// What stands between the blanks of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Clause<'a> {
    Other(Part<'a>),
    /// The parts of a comparison: field, comparator and value, unless it is malformed or IS NULL.
    Comparison(Vec<Part<'a>>),
}

/// The clauses of a statement. The reader knows no lists and no IS NULL, so MLflow puts those together, four parts at a time:
/// a field without a comparison takes what follows it along.
pub(crate) fn clauses<'a>(tree: &Tree<'a>, is_trace: bool) -> Vec<Clause<'a>> {
    let tokens: Vec<Id> = tree.children(ROOT).iter().copied().filter(|id| !tree.kind(*id).is_whitespace()).collect();
    let mut found = Vec::new();
    let mut rest = tokens.as_slice();
    let plain = |id: &Id| clause(tree, *id);
    while let [first, behind @ ..] = rest {
        let [second, third, after @ ..] = behind else {
            found.extend(rest.iter().map(plain));
            break;
        };
        rest = behind;
        if is_trace && tree.kind(*first) == Kind::Builtin && matches!(tree.text(*first), "timestamp" | "timestamp_ms") {
            rest = after;
            if is_numeric(tree.text(*second)) && tree.kind(*second) == Kind::Comparator && tree.kind(*third) == Kind::Integer {
                found.push(Clause::Comparison([first, second, third].map(|id| part(tree, *id)).to_vec()));
                continue;
            }
            found.extend([first, second, third].map(plain));
        }
        if tree.kind(*first) != Kind::Identifier {
            found.push(plain(first));
            continue;
        }
        rest = after;
        if tree.is_keyword(*second, &["IN"]) && tree.kind(*third) == Kind::Parenthesis {
            found.push(Clause::Comparison([first, second, third].map(|id| part(tree, *id)).to_vec()));
            continue;
        }
        let null =
            [("NULL", "IS NULL"), ("NOT NULL", "IS NOT NULL")].into_iter().find(|(word, _)| tree.is_keyword(*third, &[word]));
        if let Some((_, comparator)) = null.filter(|_| tree.is_keyword(*second, &["IS"])) {
            found.push(Clause::Comparison(vec![part(tree, *first), Part { kind: Kind::Keyword, text: comparator }]));
            continue;
        }
        let [fourth, after @ ..] = after else {
            found.extend([first, second, third].map(plain));
            break;
        };
        rest = after;
        if tree.is_keyword(*second, &["NOT"]) && tree.is_keyword(*third, &["IN"]) && tree.kind(*fourth) == Kind::Parenthesis {
            let comparator = Part { kind: Kind::Keyword, text: "NOT IN" };
            found.push(Clause::Comparison(vec![part(tree, *first), comparator, part(tree, *fourth)]));
            continue;
        }
        found.extend([first, second, third, fourth].map(plain));
    }
    found
}

fn part<'a>(tree: &Tree<'a>, id: Id) -> Part<'a> {
    Part { kind: tree.kind(id), text: tree.text(id) }
}

fn clause<'a>(tree: &Tree<'a>, id: Id) -> Clause<'a> {
    if tree.kind(id) != Kind::Comparison {
        return Clause::Other(part(tree, id));
    }
    let parts = tree.children(id).iter().filter(|id| !tree.kind(**id).is_whitespace());
    Clause::Comparison(parts.map(|id| part(tree, *id)).collect())
}

/// How MLflow names clauses that are no comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    Quoted,
    Bare,
}

/// The parts of each comparison; a statement of anything but comparisons and AND is refused.
pub(crate) fn comparisons<'a>(clauses: Vec<Clause<'a>>, naming: Naming) -> Result<Vec<Vec<Part<'a>>>> {
    let is_and = |part: &Part<'_>| part.kind == Kind::Keyword && part.text.eq_ignore_ascii_case("AND");
    let invalid: Vec<String> = clauses
        .iter()
        .filter_map(|clause| match clause {
            Clause::Other(part) if !is_and(part) => Some(part.text),
            _ => None,
        })
        .map(|text| if naming == Naming::Quoted { format!("'{text}'") } else { text.to_owned() })
        .collect();
    if !invalid.is_empty() {
        return Err(refuse(format!("Invalid clause(s) in filter string: {}", invalid.join(", "))));
    }
    Ok(clauses
        .into_iter()
        .filter_map(|clause| match clause {
            Clause::Comparison(parts) => Some(parts),
            Clause::Other(_) => None,
        })
        .collect())
}

/// A comparison of the right shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape<'a> {
    pub field: &'a str,
    /// As it was written, but for IS NULL, IS NOT NULL and NOT IN.
    pub comparator: &'a str,
    /// None for IS NULL and IS NOT NULL.
    pub value: Option<Part<'a>>,
}

pub(crate) fn shape<'a>(parts: &[Part<'a>], is_trace: bool) -> Result<Shape<'a>> {
    let check = |field: &Part<'_>| {
        let is_time = is_trace && field.kind == Kind::Builtin && matches!(field.text, "timestamp" | "timestamp_ms");
        if field.kind == Kind::Identifier || (is_time && parts.len() == 3) {
            return Ok(());
        }
        Err(refuse(format!("Invalid comparison clause. Expected 'Identifier' found '{}'", field.text)))
    };
    match parts {
        [field, comparator] => {
            check(field)?;
            Ok(Shape { field: field.text, comparator: comparator.text, value: None })
        }
        [field, comparator, value] => {
            check(field)?;
            Ok(Shape { field: field.text, comparator: comparator.text, value: Some(*value) })
        }
        parts => Err(refuse(format!("Invalid comparison clause. Expected 3 tokens found {}", parts.len()))),
    }
}

/// A value as it was read: what it may be compared with is not known yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    Absent,
    Text(String),
    Number(Number),
    List(Vec<String>),
}

impl Part<'_> {
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Identifier)
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Integer | Kind::Float)
    }

    pub(crate) fn is_list(&self) -> bool {
        self.kind == Kind::Parenthesis
    }

    /// A text without its quotes.
    pub(crate) fn unquoted(&self) -> Result<Raw> {
        match trim_quotes(self.text) {
            Some(inside) => Ok(Raw::Text(inside.to_owned())),
            None => Err(refuse(format!(
                "Parameter value is either not quoted or unidentified quote types used for string value {}. \
                 Use either single or double quotes.",
                self.text
            ))),
        }
    }

    /// A number; whole ones too large for 64 bits lose their last digits.
    pub(crate) fn number(&self) -> Raw {
        let float = || Number::Float(super::python::to_float(self.text).unwrap_or(f64::NAN));
        let whole = if self.kind == Kind::Integer { super::python::to_int(self.text).map(Number::Int) } else { None };
        Raw::Number(whole.unwrap_or_else(float))
    }

    /// The texts of a list.
    pub(crate) fn list(&self) -> Result<Raw> {
        let ill_formed =
            || refuse("While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list.");
        let items = match parenthesis(self.text) {
            Ok(Item::List(items)) => items,
            Ok(item) => vec![item],
            Err(BadLiteral::Syntax | BadLiteral::Value) => return Err(ill_formed()),
        };
        if items.is_empty() {
            return Err(refuse(
                "While parsing a list in the query, expected a non-empty list of string values, but got empty list",
            ));
        }
        let texts = items.iter().map(|item| match item {
            Item::Text(text) => Some(text.clone()),
            Item::Other(_) | Item::List(_) => None,
        });
        match texts.collect::<Option<Vec<String>>>() {
            Some(texts) => Ok(Raw::List(texts)),
            None => Err(refuse(format!(
                "While parsing a list in the query, expected string value, punctuation, or whitespace, but got different \
                 type in list: {}",
                tuple(&items)
            ))),
        }
    }
}

fn is_quoted(text: &str, quote: char) -> bool {
    text.len() >= 2 && text.starts_with(quote) && text.ends_with(quote)
}

/// The inside of a text in single or double quotes.
pub(crate) fn trim_quotes(text: &str) -> Option<&str> {
    let is_text = is_quoted(text, '\'') || is_quoted(text, '"');
    text.get(1..text.len().saturating_sub(1)).filter(|_| is_text)
}

pub(crate) fn trim_backticks(text: &str) -> &str {
    if is_quoted(text, '`') { text.get(1..text.len() - 1).unwrap_or(text) } else { text }
}

/// A key without the quotes around it.
pub(crate) fn trim_key(text: &str) -> &str {
    trim_backticks(trim_quotes(text).unwrap_or(text))
}

fn is_numeric(comparator: &str) -> bool {
    matches!(comparator, ">" | ">=" | "!=" | "=" | "<" | "<=")
}

/// The comparator of these letters, which are capitals.
pub(crate) fn comparator(text: &str) -> Option<Comparator> {
    Some(match text {
        "=" => Comparator::Equal,
        "!=" => Comparator::NotEqual,
        "<" => Comparator::Less,
        "<=" => Comparator::LessOrEqual,
        ">" => Comparator::Greater,
        ">=" => Comparator::GreaterOrEqual,
        "LIKE" => Comparator::Like,
        "ILIKE" => Comparator::ILike,
        "RLIKE" => Comparator::RLike,
        "IN" => Comparator::In,
        "NOT IN" => Comparator::NotIn,
        "IS NULL" => Comparator::IsNull,
        "IS NOT NULL" => Comparator::IsNotNull,
        _ => return None,
    })
}
