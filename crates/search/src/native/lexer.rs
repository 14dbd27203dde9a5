//! Cuts a filter into tokens.

use lw_core::Result;

use super::parser::refuse;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A field or a keyword: its parts between points, without quotes.
    Name {
        parts: Vec<String>,
        is_bare: bool,
    },
    Text(String),
    Number(String),
    Symbol(&'static str),
    End,
}

/// A token and the character that it begins at, counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    pub token: Token,
    pub at: usize,
}

impl Token {
    /// Whether it is this word; case does not count.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        match self {
            Self::Name { parts, is_bare: true } => matches!(parts.as_slice(), [only] if only.eq_ignore_ascii_case(word)),
            _ => false,
        }
    }

    /// The token for a message.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Name { parts, .. } => format!("`{}`", parts.join(".")),
            Self::Text(text) => format!("the text '{text}'"),
            Self::Number(number) => format!("the number {number}"),
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::End => "the end of the filter".to_owned(),
        }
    }
}

const SYMBOLS: [&str; 11] = ["!=", "<>", "<=", ">=", "==", "=", "<", ">", "(", ")", ","];

pub(crate) fn tokens(text: &str) -> Result<Vec<Placed>> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0 };
    let mut found = Vec::new();
    loop {
        lexer.skip_while(char::is_whitespace);
        let at = lexer.at + 1;
        let token = lexer.token()?;
        let is_end = token == Token::End;
        found.push(Placed { token, at });
        if is_end {
            return Ok(found);
        }
    }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | ':' | '@')
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn peek_second(&self) -> Option<char> {
        self.chars.get(self.at + 1).copied()
    }

    fn skip_while(&mut self, holds: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&holds) {
            self.at += 1;
        }
    }

    fn taken(&self, start: usize) -> String {
        self.chars.get(start..self.at).unwrap_or_default().iter().collect()
    }

    fn token(&mut self) -> Result<Token> {
        let Some(first) = self.peek() else { return Ok(Token::End) };
        let starts_number = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || c == '.');
        match first {
            '\'' | '"' => Ok(Token::Text(self.quoted(first)?)),
            c if c.is_alphabetic() || c == '_' || c == '`' => self.name(),
            c if starts_number(Some(c)) => self.number(),
            '-' | '+' if starts_number(self.peek_second()) => self.number(),
            _ => {
                let rest: String = self.chars.iter().skip(self.at).take(2).collect();
                let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol));
                let symbol = symbol.ok_or_else(|| {
                    refuse(self.at + 1, format!("`{first}` has no meaning here"))
                        .hint("put texts in single quotes and keys with such characters in backticks: tags.`my key` = 'a+b'")
                })?;
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String> {
        let start = self.at + 1;
        self.at += 1;
        let mut inside = String::new();
        loop {
            let c = self.peek().ok_or_else(|| {
                refuse(start, format!("the quote {quote} is never closed"))
                    .hint("double a quote that is part of the text: 'it''s'")
            })?;
            self.at += 1;
            if c != quote {
                inside.push(c);
            } else if self.peek() == Some(quote) {
                inside.push(quote);
                self.at += 1;
            } else {
                return Ok(inside);
            }
        }
    }

    fn name(&mut self) -> Result<Token> {
        let mut parts = Vec::new();
        let mut is_bare = true;
        loop {
            match self.peek() {
                Some(quote @ ('`' | '"')) => {
                    is_bare = false;
                    parts.push(self.quoted(quote)?);
                }
                _ => {
                    let start = self.at;
                    self.skip_while(is_part);
                    parts.push(self.taken(start));
                }
            }
            if self.peek() != Some('.') {
                return Ok(Token::Name { parts, is_bare });
            }
            self.at += 1;
        }
    }

    fn number(&mut self) -> Result<Token> {
        let start = self.at;
        self.at += 1;
        loop {
            self.skip_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
            let ends_in_exponent = self.chars.get(self.at - 1).is_some_and(|c| c.eq_ignore_ascii_case(&'e'));
            if !(ends_in_exponent && matches!(self.peek(), Some('-' | '+'))) {
                break;
            }
            self.at += 1;
        }
        let text = self.taken(start);
        // Rust reads words such as inf as numbers too, but no number of a filter begins with a letter.
        if text.parse::<f64>().is_ok() {
            return Ok(Token::Number(text));
        }
        Err(refuse(start + 1, format!("`{text}` is no number"))
            .hint("write numbers such as 12, -0.5 and 1e-3; put texts in quotes"))
    }
}
