//! Reads a filter of the native grammar.

use lw_core::{Error, Result};

use super::lexer::{Placed, Token, tokens};
use super::vocabulary::{Takes, field};
use crate::{BAD_FILTER, Comparator, Comparison, Condition, Entity, Field, Literal, Number};

const LONGEST_FILTER: usize = 512 * 1024;
/// Databases limit how deep an expression may be; no person writes one half as deep.
const DEEPEST: usize = 32;
const MOST_COMPARISONS: usize = 1_000;

/// A refusal with the character it is about.
pub(crate) fn refuse(at: usize, message: impl std::fmt::Display) -> Error {
    BAD_FILTER.error(format!("the filter is wrong at character {at}: {message}"))
}

pub(crate) fn parse_filter(entity: Entity, text: &str) -> Result<Option<Condition>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    if text.len() > LONGEST_FILTER {
        return Err(BAD_FILTER
            .error(format!("the filter has {} bytes; a filter has at most {LONGEST_FILTER}", text.len()))
            .hint("search in several steps"));
    }
    let mut parser = Parser { entity, tokens: tokens(text)?, next: 0, n_comparisons: 0 };
    let condition = parser.filter(0)?;
    match parser.peek() {
        Placed { token: Token::End, .. } => Ok(Some(condition)),
        Placed { token, at } => Err(refuse(at, format!("{} cannot follow", token.shown()))
            .hint("join comparisons by AND or OR; close what you opened by `(`")),
    }
}

struct Parser {
    entity: Entity,
    tokens: Vec<Placed>,
    next: usize,
    n_comparisons: usize,
}

impl Parser {
    fn peek(&self) -> Placed {
        self.tokens.get(self.next).or(self.tokens.last()).cloned().unwrap_or(Placed { token: Token::End, at: 1 })
    }

    fn take(&mut self) -> Placed {
        let placed = self.peek();
        self.next += 1;
        placed
    }

    fn take_if(&mut self, is_wanted: impl Fn(&Token) -> bool) -> bool {
        let is_next = self.tokens.get(self.next).is_some_and(|placed| is_wanted(&placed.token));
        self.next += usize::from(is_next);
        is_next
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.take_if(|token| token.is_word(word))
    }

    fn expect(&mut self, symbol: &'static str, wanted: &str) -> Result<()> {
        if self.take_if(|token| *token == Token::Symbol(symbol)) {
            return Ok(());
        }
        let Placed { token, at } = self.peek();
        Err(refuse(at, format!("expected {wanted}, found {}", token.shown())))
    }

    fn filter(&mut self, depth: usize) -> Result<Condition> {
        let mut parts = vec![self.conjunction(depth)?];
        while self.take_word("OR") {
            parts.push(self.conjunction(depth)?);
        }
        Ok(joined(parts, Condition::Any))
    }

    fn conjunction(&mut self, depth: usize) -> Result<Condition> {
        let mut parts = vec![self.negation(depth)?];
        while self.take_word("AND") {
            parts.push(self.negation(depth)?);
        }
        Ok(joined(parts, Condition::All))
    }

    fn negation(&mut self, depth: usize) -> Result<Condition> {
        if depth > DEEPEST {
            let message = format!("parentheses and NOT go at most {DEEPEST} deep");
            return Err(refuse(self.peek().at, message).hint("write the filter flatter"));
        }
        if self.take_word("NOT") {
            return Ok(Condition::Not(Box::new(self.negation(depth + 1)?)));
        }
        if !self.take_if(|token| *token == Token::Symbol("(")) {
            return self.comparison().map(Condition::Compare);
        }
        let inner = self.filter(depth + 1)?;
        self.expect(")", "`)`")?;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Comparison> {
        self.n_comparisons += 1;
        let Placed { token, at } = self.take();
        if self.n_comparisons > MOST_COMPARISONS {
            let message = format!("a filter has at most {MOST_COMPARISONS} comparisons");
            return Err(refuse(at, message).hint("IN takes a list of texts"));
        }
        let Token::Name { parts, .. } = &token else {
            return Err(refuse(at, format!("expected a field, found {}", token.shown()))
                .hint("a comparison begins with its field: metrics.auc > 0.8"));
        };
        let (field, takes) = field(self.entity, parts, at)?;
        let place = self.peek();
        let comparator = self.comparator()?;
        if !takes.comparators().contains(&comparator) {
            let allowed: Vec<&str> = takes.comparators().iter().map(|comparator| comparator.as_str()).collect();
            let message = format!("`{field}` cannot be compared by {}", comparator.as_str());
            return Err(refuse(place.at, message).hint(format!("it takes {}", allowed.join(", "))));
        }
        let value = self.value(&field, takes, comparator)?;
        Ok(Comparison { field, comparator, value })
    }

    fn comparator(&mut self) -> Result<Comparator> {
        let Placed { token, at } = self.take();
        let words = [("LIKE", Comparator::Like), ("ILIKE", Comparator::ILike), ("RLIKE", Comparator::RLike)];
        let words = words.into_iter().chain([("IN", Comparator::In), ("BETWEEN", Comparator::Between)]);
        match token {
            Token::Symbol("=" | "==") => Ok(Comparator::Equal),
            Token::Symbol("!=" | "<>") => Ok(Comparator::NotEqual),
            Token::Symbol("<") => Ok(Comparator::Less),
            Token::Symbol("<=") => Ok(Comparator::LessOrEqual),
            Token::Symbol(">") => Ok(Comparator::Greater),
            Token::Symbol(">=") => Ok(Comparator::GreaterOrEqual),
            token if token.is_word("NOT") && self.take_word("IN") => Ok(Comparator::NotIn),
            token if token.is_word("IS") => {
                let is_negated = self.take_word("NOT");
                if !self.take_word("NULL") {
                    let Placed { token, at } = self.peek();
                    return Err(refuse(at, format!("expected NULL, found {}", token.shown())).hint("compare values by = and !="));
                }
                Ok(if is_negated { Comparator::IsNotNull } else { Comparator::IsNull })
            }
            token => words.into_iter().find(|(word, _)| token.is_word(word)).map(|(_, comparator)| comparator).ok_or_else(|| {
                let message = format!("expected a comparator, found {}", token.shown());
                refuse(at, message).hint("a comparison is a field, a comparator and a value; NOT stands before all three")
            }),
        }
    }

    fn value(&mut self, field: &Field, takes: Takes, comparator: Comparator) -> Result<Literal> {
        match comparator {
            Comparator::IsNull | Comparator::IsNotNull => Ok(Literal::Absent),
            Comparator::In | Comparator::NotIn => self.list(takes),
            Comparator::Between => {
                let low = self.number(field, takes)?;
                if !self.take_word("AND") {
                    let Placed { token, at } = self.peek();
                    return Err(refuse(at, format!("expected AND, found {}", token.shown())).hint("write BETWEEN 0.1 AND 0.2"));
                }
                Ok(Literal::Range(low, self.number(field, takes)?))
            }
            _ => {
                let is_number = matches!(self.peek().token, Token::Number(_));
                let is_order = matches!(
                    comparator,
                    Comparator::Less | Comparator::LessOrEqual | Comparator::Greater | Comparator::GreaterOrEqual
                );
                if takes.only_numbers() || (takes == Takes::Assessment && (is_number || is_order)) {
                    return Ok(Literal::Number(self.number(field, takes)?));
                }
                let at = self.peek().at;
                let text = self.text()?;
                check_text(takes, text, at)
            }
        }
    }

    fn list(&mut self, takes: Takes) -> Result<Literal> {
        self.expect("(", "a list such as ('a', 'b')")?;
        let mut texts = Vec::new();
        let mut ids = Vec::new();
        loop {
            let at = self.peek().at;
            match takes {
                Takes::Id => ids.push(self.id(at)?),
                _ => texts.push(self.text()?),
            }
            if !self.take_if(|token| *token == Token::Symbol(",")) {
                break;
            }
        }
        self.expect(")", "`,` or `)`")?;
        Ok(if takes == Takes::Id { Literal::Integers(ids) } else { Literal::Texts(texts) })
    }

    fn text(&mut self) -> Result<String> {
        let Placed { token, at } = self.take();
        match token {
            Token::Text(text) => Ok(text),
            Token::Number(number) => {
                Err(refuse(at, format!("expected a text, found the number {number}"))
                    .hint(format!("put it in quotes: '{number}'")))
            }
            token => Err(refuse(at, format!("expected a text in quotes, found {}", token.shown()))
                .hint("put texts in single quotes: 'a text'")),
        }
    }

    fn id(&mut self, at: usize) -> Result<i64> {
        let text = match self.take().token {
            Token::Text(text) | Token::Number(text) => text,
            token => token.shown(),
        };
        text.parse().map_err(|_| refuse(at, format!("{text} is no id")).hint("ids are whole numbers: 12 or '12'"))
    }

    fn number(&mut self, field: &Field, takes: Takes) -> Result<Number> {
        let Placed { token, at } = self.take();
        let Token::Number(text) = &token else {
            return Err(refuse(at, format!("`{field}` is compared with a number, found {}", token.shown()))
                .hint("write numbers without quotes"));
        };
        if takes == Takes::Id {
            return text.parse().map(Number::Int).map_err(|_| refuse(at, format!("{text} is no id")));
        }
        let whole = text.parse().ok().filter(|_| takes != Takes::Metric);
        Ok(match whole {
            Some(whole) => Number::Int(whole),
            None => Number::Float(text.parse().map_err(|_| refuse(at, format!("`{text}` is no number")))?),
        })
    }
}

fn joined(mut parts: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            join(parts)
        }
    }
}

fn check_text(takes: Takes, text: String, at: usize) -> Result<Literal> {
    match takes {
        Takes::Prompt if text.matches('/').count() != 1 => {
            Err(refuse(at, format!("'{text}' is no prompt version")).hint("write prompt = 'name/version'"))
        }
        Takes::Id => match text.parse() {
            Ok(id) => Ok(Literal::Number(Number::Int(id))),
            Err(_) => Err(refuse(at, format!("'{text}' is no id")).hint("ids are whole numbers: 12 or '12'")),
        },
        _ => Ok(Literal::Text(text)),
    }
}
