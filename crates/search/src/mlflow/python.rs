//! The few habits of Python that show in what MLflow accepts and in its messages.

use super::scanner::is_space;

/// A text as Python shows it: `'it'`, `"it's"`.
pub(crate) fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut shown = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if c == quote => shown.extend(['\\', c]),
            c if is_printable(c) => shown.push(c),
            c => match u32::from(c) {
                code @ ..=0xff => shown.push_str(&format!("\\x{code:02x}")),
                code @ ..=0xffff => shown.push_str(&format!("\\u{code:04x}")),
                code => shown.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    shown.push(quote);
    shown
}

fn is_printable(c: char) -> bool {
    c == ' ' || !(c.is_whitespace() || c.escape_debug().to_string().starts_with("\\u{"))
}

/// A list of texts as Python shows it.
pub(crate) fn list<S: AsRef<str>>(texts: &[S]) -> String {
    let shown: Vec<String> = texts.iter().map(|text| repr(text.as_ref())).collect();
    format!("[{}]", shown.join(", "))
}

/// A set of texts as Python shows one, but in the order given: Python's own differs from start to start.
pub(crate) fn set(texts: &[&str]) -> String {
    let shown: Vec<String> = texts.iter().map(|text| repr(text)).collect();
    format!("{{{}}}", shown.join(", "))
}

/// What was read from JSON as Python shows it.
pub(crate) fn json(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or(f64::NAN)),
        Value::Number(number) => number.to_string(),
        Value::String(text) => repr(text),
        Value::Array(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{}: {}", repr(key), json(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// A number as Python shows it: the shortest text that reads back, with an exponent from 1e16 on.
pub(crate) fn float(value: f64) -> String {
    if !value.is_finite() {
        return format!("{value}").to_lowercase();
    }
    let scientific = format!("{value:e}");
    let exponent: i32 = scientific.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    if value == 0.0 || (-4..16).contains(&exponent) {
        let shown = format!("{value}");
        return if shown.contains('.') { shown } else { format!("{shown}.0") };
    }
    let mantissa = scientific.split_once('e').map_or(scientific.as_str(), |(mantissa, _)| mantissa);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// Digits with single underscores between them.
fn digits(text: &str) -> Option<String> {
    let is_good = text.split('_').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    is_good.then(|| text.replace('_', ""))
}

/// What `int(text)` gives, as far as it fits 64 bits.
pub(crate) fn to_int(text: &str) -> Option<i64> {
    let text = text.trim_matches(is_space);
    let (sign, body) = match text.strip_prefix('-') {
        Some(body) => ("-", body),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    format!("{sign}{}", digits(body)?).parse().ok()
}

/// What `float(text)` gives.
pub(crate) fn to_float(text: &str) -> Option<f64> {
    let text = text.trim_matches(is_space);
    let is_grouped = text.split('_').skip(1).all(|part| part.starts_with(|c: char| c.is_ascii_digit()))
        && text.split('_').rev().skip(1).all(|part| part.ends_with(|c: char| c.is_ascii_digit()));
    // Rust reads the same forms: inf, infinity and nan with signs and in any case, `1.`, `.5`, `1e5`.
    if is_grouped { text.replace('_', "").parse().ok() } else { None }
}

/// A value that a list in a filter holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Text(String),
    /// Anything else, as Python shows it.
    Other(String),
    List(Vec<Item>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadLiteral {
    /// It is no expression of Python.
    Syntax,
    /// It is one, but no constant, which MLflow answers by a failure of its own.
    Value,
}

/// Reads a text in parentheses as Python reads a constant: `('a', "b")`, `('a' 'b')`, `(r'\d')`.
pub(crate) fn parenthesis(text: &str) -> Result<Item, BadLiteral> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0 };
    let item = reader.item(0)?;
    reader.skip();
    if reader.at < reader.chars.len() { Err(BadLiteral::Syntax) } else { Ok(item) }
}

/// A tuple of these as Python shows it.
pub(crate) fn tuple(items: &[Item]) -> String {
    let shown: Vec<String> = items.iter().map(show).collect();
    if shown.len() == 1 { format!("({},)", shown.concat()) } else { format!("({})", shown.join(", ")) }
}

fn show(item: &Item) -> String {
    match item {
        Item::Text(text) => repr(text),
        Item::Other(shown) => shown.clone(),
        Item::List(items) => tuple(items),
    }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

const DEEPEST: usize = 50;

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn starts(&self, text: &str) -> bool {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        rest.len() >= text.chars().count() && text.chars().zip(rest).all(|(a, b)| a == *b)
    }

    fn skip(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | '\r' | '\u{c}' => self.at += 1,
                '\\' if self.starts("\\\n") => self.at += 2,
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item, BadLiteral> {
        self.skip();
        match self.peek().ok_or(BadLiteral::Syntax)? {
            _ if depth > DEEPEST => Err(BadLiteral::Syntax),
            '(' => self.parenthesis(depth),
            c if c.is_ascii_digit() || c == '.' || c == '-' => self.number(),
            _ if self.string_prefix().is_some() => self.strings(),
            c if c.is_alphabetic() || c == '_' => self.word(),
            '[' | '{' => Err(BadLiteral::Value),
            _ => Err(BadLiteral::Syntax),
        }
    }

    fn parenthesis(&mut self, depth: usize) -> Result<Item, BadLiteral> {
        self.at += 1;
        let mut items = Vec::new();
        let mut has_comma = false;
        loop {
            self.skip();
            if self.peek() == Some(')') {
                break;
            }
            if !items.is_empty() && !has_comma {
                return Err(BadLiteral::Syntax);
            }
            items.push(self.item(depth + 1)?);
            self.skip();
            has_comma = self.peek() == Some(',');
            self.at += usize::from(has_comma);
        }
        self.at += 1;
        // A comma makes the tuple; without one the parentheses only group.
        match items.pop() {
            Some(only) if items.is_empty() && !has_comma => Ok(only),
            last => {
                items.extend(last);
                Ok(Item::List(items))
            }
        }
    }

    fn number(&mut self) -> Result<Item, BadLiteral> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some('-'));
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_') {
            self.at += 1;
        }
        let text: String = self.chars.get(start..self.at).unwrap_or_default().iter().collect();
        let body = text.trim_start_matches('-');
        let is_octal_like = body.len() > 1 && body.starts_with('0') && body.bytes().any(|b| b != b'0' && b != b'_');
        if let Some(digits) = digits(body).filter(|_| !is_octal_like) {
            let sign = if text.starts_with('-') { "-" } else { "" };
            return Ok(Item::Other(format!("{sign}{digits}")));
        }
        let is_number = body.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits(body).is_none();
        to_float(&text).filter(|_| is_number).map(|value| Item::Other(float(value))).ok_or(BadLiteral::Syntax)
    }

    fn word(&mut self) -> Result<Item, BadLiteral> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        let word: String = self.chars.get(start..self.at).unwrap_or_default().iter().collect();
        if matches!(word.as_str(), "None" | "True" | "False") {
            return Ok(Item::Other(word));
        }
        // What follows decides whether Python sees an expression at all.
        self.skip();
        if matches!(self.peek(), Some(',' | ')')) { Err(BadLiteral::Value) } else { Err(BadLiteral::Syntax) }
    }

    /// The letters before the quote of a text: whether escapes count and whether it is bytes.
    fn string_prefix(&self) -> Option<(usize, String)> {
        let letters: String =
            self.chars.get(self.at..)?.iter().take_while(|c| c.is_ascii_alphabetic()).take(3).collect::<String>().to_lowercase();
        let quote = self.chars.get(self.at + letters.len())?;
        let is_prefix = ["", "r", "u", "b", "br", "rb", "f", "fr", "rf"].contains(&letters.as_str());
        (is_prefix && matches!(quote, '\'' | '"')).then_some((letters.len(), letters))
    }

    /// One text or several in a row, which make one.
    fn strings(&mut self) -> Result<Item, BadLiteral> {
        let mut whole = String::new();
        let mut are_bytes = None;
        while let Some((length, prefix)) = self.string_prefix() {
            self.at += length;
            if prefix.contains('f') {
                return Err(BadLiteral::Value);
            }
            let is_bytes = prefix.contains('b');
            if *are_bytes.get_or_insert(is_bytes) != is_bytes {
                return Err(BadLiteral::Syntax);
            }
            self.string(prefix.contains('r'), &mut whole)?;
            self.skip();
        }
        Ok(if are_bytes == Some(true) { Item::Other(format!("b{}", repr(&whole))) } else { Item::Text(whole) })
    }

    fn string(&mut self, is_raw: bool, whole: &mut String) -> Result<(), BadLiteral> {
        let quote = self.peek().ok_or(BadLiteral::Syntax)?;
        let triple = String::from_iter([quote; 3]);
        let is_triple = self.starts(&triple);
        self.at += if is_triple { 3 } else { 1 };
        loop {
            let c = self.peek().ok_or(BadLiteral::Syntax)?;
            if is_triple && self.starts(&triple) {
                self.at += 3;
                return Ok(());
            }
            self.at += 1;
            match c {
                c if c == quote && !is_triple => return Ok(()),
                '\n' if !is_triple => return Err(BadLiteral::Syntax),
                '\0' => return Err(BadLiteral::Syntax),
                '\\' if is_raw => {
                    whole.push('\\');
                    whole.push(self.peek().ok_or(BadLiteral::Syntax)?);
                    self.at += 1;
                }
                '\\' => self.escape(whole)?,
                c => whole.push(c),
            }
        }
    }

    fn escape(&mut self, whole: &mut String) -> Result<(), BadLiteral> {
        let c = self.peek().ok_or(BadLiteral::Syntax)?;
        self.at += 1;
        let code = match c {
            '\n' => return Ok(()),
            'x' => self.code(16, 2, 2)?,
            'u' => self.code(16, 4, 4)?,
            'U' => self.code(16, 8, 8)?,
            'N' => return Err(BadLiteral::Syntax),
            '0'..='7' => {
                self.at -= 1;
                self.code(8, 1, 3)?
            }
            '\\' | '\'' | '"' => u32::from(c),
            'a' => 7,
            'b' => 8,
            't' => 9,
            'n' => 10,
            'v' => 11,
            'f' => 12,
            'r' => 13,
            other => {
                whole.extend(['\\', other]);
                return Ok(());
            }
        };
        whole.push(char::from_u32(code).ok_or(BadLiteral::Syntax)?);
        Ok(())
    }

    fn code(&mut self, radix: u32, least: usize, most: usize) -> Result<u32, BadLiteral> {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let found: String = rest.iter().take(most).take_while(|c| c.is_digit(radix)).collect();
        self.at += found.len();
        if found.len() < least {
            return Err(BadLiteral::Syntax);
        }
        u32::from_str_radix(&found, radix).map_err(|_| BadLiteral::Syntax)
    }
}

/// Cuts a text into words as a POSIX shell does; nothing if a quote is never closed.
pub(crate) fn shell_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_as_in_python() {
        for (value, want) in
            [(1.5, "1.5"), (1.0, "1.0"), (1e16, "1e+16"), (1e-5, "1e-05"), (0.0001, "0.0001"), (1.5e300, "1.5e+300")]
        {
            assert_eq!(float(value), want);
        }
    }

    #[test]
    fn texts_show_as_in_python() {
        for (text, want) in [("a", "'a'"), ("it's", "\"it's\""), ("'\"", "'\\'\"'"), ("a\n\u{7f}é", "'a\\n\\x7fé'")] {
            assert_eq!(repr(text), want);
        }
    }

    #[test]
    fn lists_read_as_in_python() {
        let texts = |texts: &[&str]| Ok(Item::List(texts.iter().map(|text| Item::Text((*text).to_owned())).collect()));
        assert_eq!(parenthesis("('a')"), Ok(Item::Text("a".into())));
        assert_eq!(parenthesis("('a',)"), texts(&["a"]));
        assert_eq!(parenthesis("( 'a' , \"b\" )"), texts(&["a", "b"]));
        assert_eq!(parenthesis("('it''s', 'b\\n')"), texts(&["its", "b\n"]));
        assert_eq!(parenthesis("()"), texts(&[]));
        assert_eq!(parenthesis("('a' b)"), Err(BadLiteral::Syntax));
        assert_eq!(parenthesis("(a, b)"), Err(BadLiteral::Value));
        assert_eq!(parenthesis("('a' , 1)").map(|item| show(&item)), Ok("('a', 1)".to_owned()));
    }

    #[test]
    fn shell_words_keep_quoted_blanks() {
        assert_eq!(shell_words("metrics.\"a b\" DESC"), Some(vec!["metrics.a b".to_owned(), "DESC".to_owned()]));
        assert_eq!(shell_words("a'"), None);
    }
}
