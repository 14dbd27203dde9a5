//! Cuts a text into the tokens of SQL, as MLflow's SQL reader does: the first rule that matches wins.

use std::ops::Range;

use super::keyword::kind_of;
use super::scanner::Scanner;

/// What a piece of text is: a token, or a group of tokens that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Whitespace,
    Newline,
    LineComment,
    BlockComment,
    Assignment,
    Punctuation,
    Wildcard,
    Name,
    Placeholder,
    /// The name of a type, such as `timestamp` and `text`.
    Builtin,
    Command,
    Keyword,
    /// A word that begins a statement.
    Statement,
    OtherKeyword,
    /// ASC or DESC.
    Order,
    TimeZone,
    Hexadecimal,
    Float,
    Integer,
    /// A text in single quotes.
    Text,
    /// A text or a name in double quotes.
    Symbol,
    DollarText,
    Operator,
    /// `=`, `LIKE` and others that compare.
    Comparator,
    Error,

    Root,
    CommentGroup,
    SquareBrackets,
    Parenthesis,
    Case,
    If,
    For,
    Begin,
    Over,
    Function,
    Where,
    Identifier,
    TypedLiteral,
    Operation,
    Comparison,
    AssignmentGroup,
    IdentifierList,
    Values,
}

impl Kind {
    pub(crate) fn is_whitespace(self) -> bool {
        matches!(self, Self::Whitespace | Self::Newline)
    }

    pub(crate) fn is_keyword(self) -> bool {
        matches!(self, Self::Keyword | Self::Statement | Self::OtherKeyword | Self::Order | Self::TimeZone)
    }

    pub(crate) fn is_comment(self) -> bool {
        matches!(self, Self::LineComment | Self::BlockComment)
    }

    pub(crate) fn is_any_name(self) -> bool {
        matches!(self, Self::Name | Self::Placeholder | Self::Builtin)
    }

    pub(crate) fn is_any_number(self) -> bool {
        matches!(self, Self::Hexadecimal | Self::Float | Self::Integer)
    }

    pub(crate) fn is_group(self) -> bool {
        self as u8 >= Self::Root as u8
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub place: Range<usize>,
}

/// The tokens of a text; together they are the whole of it.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let scanner = Scanner::new(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < scanner.len() {
        let (kind, end) = token(&scanner, at);
        found.push(Token { kind, place: scanner.offset(at)..scanner.offset(end) });
        at = end;
    }
    found
}

type Rule = fn(&Scanner<'_>, usize) -> Option<(Kind, usize)>;

const RULES: [Rule; 7] = [block, blank, quoted_name, name, number, text, phrase];

fn token(scanner: &Scanner<'_>, at: usize) -> (Kind, usize) {
    RULES.iter().find_map(|rule| rule(scanner, at)).unwrap_or_else(|| rest(scanner, at))
}

/// `/* … */` and `$tag$ … $tag$`.
fn block(scanner: &Scanner<'_>, at: usize) -> Option<(Kind, usize)> {
    if let Some(inside) = scanner.text(at, "/*") {
        let inside = scanner.text(inside, "+").unwrap_or(inside);
        return scanner.find(inside, "*/").map(|end| (Kind::BlockComment, end));
    }
    let inside = scanner.dollar_tag(at)?;
    if scanner.before(at).is_some_and(|c| scanner.is_word(c) || c == '"' || c == '$') {
        return None;
    }
    scanner.find(inside, &scanner.slice(at, inside)).map(|end| (Kind::DollarText, end))
}

fn blank(scanner: &Scanner<'_>, at: usize) -> Option<(Kind, usize)> {
    if scanner.text(at, "--").or_else(|| scanner.text(at, "# ")).is_some() {
        return Some((Kind::LineComment, scanner.line_end(at)));
    }
    match scanner.at(at)? {
        '\r' => Some((Kind::Newline, scanner.text(at, "\r\n").unwrap_or(at + 1))),
        '\n' => Some((Kind::Newline, at + 1)),
        c if scanner.is_space(c) => Some((Kind::Whitespace, at + 1)),
        ':' if scanner.at(at + 1) == Some('=') => Some((Kind::Assignment, at + 2)),
        ':' if scanner.at(at + 1) == Some(':') => Some((Kind::Punctuation, at + 2)),
        '*' => Some((Kind::Wildcard, at + 1)),
        _ => None,
    }
}

fn quoted_name(scanner: &Scanner<'_>, at: usize) -> Option<(Kind, usize)> {
    match scanner.at(at)? {
        '`' | '´' => scanner.quoted(at).map(|end| (Kind::Name, end)),
        '?' => Some((Kind::Placeholder, at + 1)),
        '%' => scanner.percent(at).map(|end| (Kind::Placeholder, end)),
        '$' | ':' => {
            let end = scanner.word_end(at + 1);
            let is_free = !scanner.before(at).is_some_and(|c| scanner.is_word(c));
            (is_free && end > at + 1).then_some((Kind::Placeholder, end))
        }
        '\\' => {
            let end = scanner.word_end(at + 1);
            (end > at + 1).then_some((Kind::Command, end))
        }
        _ => None,
    }
}

fn name(scanner: &Scanner<'_>, at: usize) -> Option<(Kind, usize)> {
    for word in ["CASE", "IN", "VALUES", "USING", "FROM", "AS"] {
        if let Some(end) = scanner.phrase(at, &[word]) {
            return Some((Kind::Keyword, end));
        }
    }
    if let Some(start) = scanner.text(at, "@").or_else(|| scanner.text(at, "##")).or_else(|| scanner.text(at, "#")) {
        let end = scanner.word_end(start);
        return (scanner.starts_name(start) && end > start + 1).then_some((Kind::Name, end));
    }
    if !scanner.starts_name(at) {
        return None;
    }
    let end = scanner.word_end(at);
    let dot = scanner.skip_space(end);
    let has_member = scanner.at(dot) == Some('.') && !scanner.at(dot + 1).is_some_and(|c| c.is_ascii_digit());
    let is_member = scanner.before(at) == Some('.');
    let is_called = scanner.at(end) == Some('(');
    (has_member || is_member || is_called).then_some((Kind::Name, end))
}

fn number(scanner: &Scanner<'_>, at: usize) -> Option<(Kind, usize)> {
    let start = scanner.text(at, "-").unwrap_or(at);
    let digits = scanner.digits_end(start);
    if let Some(hex) = scanner.word(start, "0x") {
        let end = scanner.while_at(hex, |c| c.is_ascii_hexdigit());
        if end > hex {
            return Some((Kind::Hexadecimal, end));
        }
    }
    let fraction = if scanner.at(digits) == Some('.') { scanner.digits_end(digits + 1) } else { digits };
    if digits > start {
        let with_fraction = if fraction > digits + 1 { fraction } else { digits };
        for mantissa in [with_fraction, digits] {
            let exponent = scanner.word(mantissa, "E").map(|exponent| scanner.text(exponent, "-").unwrap_or(exponent));
            if let Some(exponent) = exponent.filter(|exponent| scanner.digits_end(*exponent) > *exponent) {
                return Some((Kind::Float, scanner.digits_end(exponent)));
            }
        }
    }
    // A number gives back digits until no letter follows it, as a backtracking reader does: `1.5a` is `1.` and `5a`.
    let shortest = if digits > start { digits + 1 } else { start + 2 };
    if scanner.at(digits) == Some('.') && fraction >= shortest {
        let end = (shortest..=fraction).rev().find(|end| !scanner.ends_in_name(*end));
        if let Some(end) = end {
            return Some((Kind::Float, end));
        }
    }
    let end = (start + 1..=digits).rev().find(|end| !scanner.ends_in_name(*end))?;
    Some((Kind::Integer, end))
}

fn text(scanner: &Scanner<'_>, at: usize) -> Option<(Kind, usize)> {
    match scanner.at(at)? {
        '\'' => scanner.quoted(at).map(|end| (Kind::Text, end)),
        '"' => scanner.quoted(at).map(|end| (Kind::Symbol, end)),
        '[' if !scanner.before(at).is_some_and(|c| scanner.is_word(c) || c == ']' || c == ')') => {
            let end = scanner.while_at(at + 1, |c| c != '[' && c != ']');
            (end > at + 1 && scanner.at(end) == Some(']')).then_some((Kind::Name, end + 1))
        }
        _ => None,
    }
}

/// Keywords of several words, the longest first where one begins another.
const PHRASES: &[(&[&str], Kind)] = &[
    (&["END", "IF"], Kind::Keyword),
    (&["END", "LOOP"], Kind::Keyword),
    (&["END", "WHILE"], Kind::Keyword),
    (&["END", "FOR"], Kind::Keyword),
    (&["END", "CASE"], Kind::Keyword),
    (&["END"], Kind::Keyword),
    (&["IF", "NOT", "EXISTS"], Kind::Keyword),
    (&["IF", "EXISTS"], Kind::Keyword),
    (&["NOT", "NULL"], Kind::Keyword),
    (&["ASC", "NULLS", "FIRST"], Kind::Order),
    (&["ASC", "NULLS", "LAST"], Kind::Order),
    (&["DESC", "NULLS", "FIRST"], Kind::Order),
    (&["DESC", "NULLS", "LAST"], Kind::Order),
    (&["ASC"], Kind::Order),
    (&["DESC"], Kind::Order),
    (&["NULLS", "FIRST"], Kind::Order),
    (&["NULLS", "LAST"], Kind::Order),
    (&["UNION", "ALL"], Kind::Keyword),
    (&["CREATE", "OR", "REPLACE"], Kind::Statement),
    (&["CREATE"], Kind::Statement),
    (&["DOUBLE", "PRECISION"], Kind::Builtin),
    (&["GROUP", "BY"], Kind::Keyword),
    (&["ORDER", "BY"], Kind::Keyword),
    (&["PRIMARY", "KEY"], Kind::Keyword),
    (&["HANDLER", "FOR"], Kind::Keyword),
    (&["NOT", "LIKE"], Kind::Comparator),
    (&["NOT", "ILIKE"], Kind::Comparator),
    (&["NOT", "RLIKE"], Kind::Comparator),
    (&["LIKE"], Kind::Comparator),
    (&["ILIKE"], Kind::Comparator),
    (&["RLIKE"], Kind::Comparator),
    (&["NOT", "REGEXP", "BINARY"], Kind::Comparator),
    (&["NOT", "REGEXP"], Kind::Comparator),
    (&["REGEXP", "BINARY"], Kind::Comparator),
    (&["REGEXP"], Kind::Comparator),
];

fn phrase(scanner: &Scanner<'_>, at: usize) -> Option<(Kind, usize)> {
    if !scanner.at(at).is_some_and(|c| c.is_alphabetic()) {
        return None;
    }
    if let Some(end) = scanner.join(at).or_else(|| scanner.time_zone(at)) {
        let kind = if scanner.before(end) == Some('\'') { Kind::TimeZone } else { Kind::Keyword };
        return Some((kind, end));
    }
    PHRASES.iter().find_map(|(words, kind)| scanner.phrase(at, words).map(|end| (*kind, end)))
}

fn rest(scanner: &Scanner<'_>, at: usize) -> (Kind, usize) {
    let Some(first) = scanner.at(at) else { return (Kind::Error, at + 1) };
    if scanner.is_word(first) {
        let end = scanner.while_at(at, |c| scanner.is_word(c) || c == '$' || c == '#');
        return (kind_of(&scanner.slice(at, end)), end);
    }
    if matches!(first, ';' | ':' | '(' | ')' | '[' | ']' | ',' | '.') {
        return (Kind::Punctuation, at + 1);
    }
    for operator in ["->>", "->", "#>>", "#>", "@>", "<@", "-", "#-"] {
        if let Some(end) = scanner.text(at, operator) {
            return (Kind::Operator, end);
        }
    }
    let comparator = scanner.while_at(at, |c| matches!(c, '<' | '>' | '=' | '~' | '!'));
    if comparator > at {
        return (Kind::Comparator, comparator);
    }
    let operator = scanner.while_at(at, |c| matches!(c, '+' | '/' | '@' | '#' | '%' | '^' | '&' | '|' | '-'));
    if operator > at { (Kind::Operator, operator) } else { (Kind::Error, at + 1) }
}
