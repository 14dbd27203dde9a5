//! GraphQL documents: a reader of what MLflow's console sends. Types are not checked here; what is selected is looked up in `shape`.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec::IntoIter;

use serde_json::{Map, Value};

/// How deep selections and values may lie in each other.
const MAX_DEPTH: usize = 32;
const MAX_TOKENS: usize = 20_000;

/// A field that is asked for, with the fields that are asked of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selection {
    /// The name in the answer.
    pub alias: String,
    pub name: String,
    pub arguments: Map<String, Value>,
    pub inner: Vec<Selection>,
}

/// Reads a document and returns what its first operation, or the one so named, selects.
pub(crate) fn parse(text: &str, operation: Option<&str>, variables: &Map<String, Value>) -> Result<Vec<Selection>, String> {
    let tokens = tokens(text)?;
    let fragments = Parser::new(&tokens, variables, None).fragments()?;
    let mut parser = Parser::new(&tokens, variables, Some(&fragments));
    parser.operation(operation)
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Number(String),
    Text(String),
    Mark(char),
    Spread,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(&character) = characters.peek() {
        if found.len() > MAX_TOKENS {
            return Err("Syntax Error: The document is too long.".to_owned());
        }
        match character {
            _ if character.is_whitespace() || character == ',' || character == '\u{feff}' => drop(characters.next()),
            '#' => while characters.next_if(|&next| next != '\n').is_some() {},
            '"' => {
                characters.next();
                found.push(Token::Text(quoted(&mut characters)?));
            }
            '.' => {
                if (0..3).any(|_| characters.next() != Some('.')) {
                    return Err("Syntax Error: Unexpected character: '.'.".to_owned());
                }
                found.push(Token::Spread);
            }
            '!' | '$' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '}' | '|' | '&' => {
                characters.next();
                found.push(Token::Mark(character));
            }
            _ if character.is_ascii_digit() || character == '-' => {
                found.push(Token::Number(taken(&mut characters, |next| next.is_ascii_alphanumeric() || "+-.".contains(next))));
            }
            _ if character.is_ascii_alphabetic() || character == '_' => {
                found.push(Token::Name(taken(&mut characters, |next| next.is_ascii_alphanumeric() || next == '_')));
            }
            _ => return Err(format!("Syntax Error: Unexpected character: '{character}'.")),
        }
    }
    Ok(found)
}

fn taken(characters: &mut Peekable<std::str::Chars<'_>>, is_part: impl Fn(char) -> bool) -> String {
    let mut text = String::new();
    while let Some(next) = characters.next_if(|&next| is_part(next)) {
        text.push(next);
    }
    text
}

/// The rest of a text after its opening quote.
fn quoted(characters: &mut Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    let unterminated = || "Syntax Error: Unterminated string.".to_owned();
    let mut text = String::new();
    loop {
        match characters.next().ok_or_else(unterminated)? {
            '"' => return Ok(text),
            '\n' => return Err(unterminated()),
            '\\' => text.push(match characters.next().ok_or_else(unterminated)? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'u' => {
                    let digits: String = characters.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                    code.ok_or_else(|| format!("Syntax Error: Invalid Unicode escape sequence: '\\u{digits}'."))?
                }
                other => other,
            }),
            other => text.push(other),
        }
    }
}

type Fragments = BTreeMap<String, Vec<Selection>>;

struct Parser<'a> {
    tokens: Peekable<IntoIter<Token>>,
    given: &'a Map<String, Value>,
    variables: Map<String, Value>,
    /// None while the fragments themselves are read: a fragment in a fragment stays empty then.
    fragments: Option<&'a Fragments>,
}

impl<'a> Parser<'a> {
    fn new(tokens: &[Token], given: &'a Map<String, Value>, fragments: Option<&'a Fragments>) -> Self {
        Self { tokens: Vec::from(tokens).into_iter().peekable(), given, variables: given.clone(), fragments }
    }

    fn operation(&mut self, wanted: Option<&str>) -> Result<Vec<Selection>, String> {
        while self.tokens.peek().is_some() {
            let mut name = None;
            let is_fragment = self.is_next_name("fragment");
            if !self.is_next('{') {
                self.name()?;
                if matches!(self.tokens.peek(), Some(Token::Name(_))) {
                    name = Some(self.name()?);
                }
                if is_fragment {
                    self.name()?;
                    self.name()?;
                }
                self.declarations()?;
                self.directives()?;
            }
            let selections = self.selections(0)?;
            if !is_fragment && wanted.is_none_or(|wanted| name.as_deref().is_none_or(|name| name == wanted)) {
                return Ok(selections);
            }
        }
        Err("Must provide an operation.".to_owned())
    }

    /// All fragments of the document, by name.
    fn fragments(&mut self) -> Result<Fragments, String> {
        let mut found = Fragments::new();
        while self.tokens.peek().is_some() {
            if self.is_next_name("fragment") {
                self.name()?;
                let name = self.name()?;
                self.name()?;
                self.name()?;
                self.directives()?;
                found.insert(name, self.selections(0)?);
            } else {
                while self.tokens.peek().is_some() && !self.is_next_name("fragment") {
                    self.tokens.next();
                }
            }
        }
        Ok(found)
    }

    /// `($name: Type! = default, …)`: only defaults are of use.
    fn declarations(&mut self) -> Result<(), String> {
        if !self.take('(') {
            return Ok(());
        }
        while !self.take(')') {
            self.expect('$')?;
            let name = self.name()?;
            self.expect(':')?;
            while self.take('[') || self.take(']') || self.take('!') || matches!(self.tokens.peek(), Some(Token::Name(_))) {
                self.tokens.next_if(|token| matches!(token, Token::Name(_)));
            }
            if self.take('=') {
                let value = self.value(0)?;
                self.variables.entry(name).or_insert(value);
            }
        }
        Ok(())
    }

    fn directives(&mut self) -> Result<(), String> {
        while self.take('@') {
            self.name()?;
            self.arguments(0)?;
        }
        Ok(())
    }

    fn selections(&mut self, depth: usize) -> Result<Vec<Selection>, String> {
        if depth > MAX_DEPTH {
            return Err("Syntax Error: Selections lie too deep.".to_owned());
        }
        self.expect('{')?;
        let mut found = Vec::new();
        while !self.take('}') {
            if self.tokens.next_if_eq(&Token::Spread).is_some() {
                found.extend(self.spread(depth)?);
                continue;
            }
            let mut name = self.name()?;
            let mut alias = name.clone();
            if self.take(':') {
                alias = std::mem::replace(&mut name, self.name()?);
            }
            let arguments = self.arguments(depth)?;
            self.directives()?;
            let inner = if self.is_next('{') { self.selections(depth + 1)? } else { Vec::new() };
            found.push(Selection { alias, name, arguments, inner });
        }
        Ok(found)
    }

    fn spread(&mut self, depth: usize) -> Result<Vec<Selection>, String> {
        if self.is_next_name("on") {
            self.name()?;
            self.name()?;
        } else if matches!(self.tokens.peek(), Some(Token::Name(_))) {
            let name = self.name()?;
            self.directives()?;
            let Some(fragments) = self.fragments else { return Ok(Vec::new()) };
            return fragments.get(&name).cloned().ok_or_else(|| format!("Unknown fragment '{name}'."));
        }
        self.directives()?;
        self.selections(depth + 1)
    }

    fn arguments(&mut self, depth: usize) -> Result<Map<String, Value>, String> {
        let mut found = Map::new();
        if self.take('(') {
            while !self.take(')') {
                let name = self.name()?;
                self.expect(':')?;
                found.insert(name, self.value(depth)?);
            }
        }
        Ok(found)
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err("Syntax Error: Values lie too deep.".to_owned());
        }
        let token = self.tokens.next();
        match token {
            Some(Token::Mark('$')) => {
                let name = self.name()?;
                Ok(self.variables.get(&name).or_else(|| self.given.get(&name)).cloned().unwrap_or(Value::Null))
            }
            Some(Token::Text(text)) => Ok(Value::String(text)),
            Some(Token::Number(text)) => {
                serde_json::from_str(&text).map_err(|_| format!("Syntax Error: Invalid number, '{text}'."))
            }
            Some(Token::Name(name)) => Ok(match name.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => Value::String(name),
            }),
            Some(Token::Mark('[')) => {
                let mut found = Vec::new();
                while !self.take(']') {
                    found.push(self.value(depth + 1)?);
                }
                Ok(Value::Array(found))
            }
            Some(Token::Mark('{')) => {
                let mut found = Map::new();
                while !self.take('}') {
                    let name = self.name()?;
                    self.expect(':')?;
                    found.insert(name, self.value(depth + 1)?);
                }
                Ok(Value::Object(found))
            }
            other => Err(unexpected(other.as_ref())),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.tokens.next() {
            Some(Token::Name(name)) => Ok(name),
            other => Err(unexpected(other.as_ref())),
        }
    }

    fn expect(&mut self, mark: char) -> Result<(), String> {
        if self.take(mark) { Ok(()) } else { Err(unexpected(self.tokens.peek())) }
    }

    fn take(&mut self, mark: char) -> bool {
        self.tokens.next_if_eq(&Token::Mark(mark)).is_some()
    }

    fn is_next(&mut self, mark: char) -> bool {
        self.tokens.peek() == Some(&Token::Mark(mark))
    }

    fn is_next_name(&mut self, name: &str) -> bool {
        matches!(self.tokens.peek(), Some(Token::Name(found)) if found == name)
    }
}

fn unexpected(token: Option<&Token>) -> String {
    match token {
        None => "Syntax Error: Unexpected <EOF>.".to_owned(),
        Some(Token::Name(name)) => format!("Syntax Error: Unexpected Name '{name}'."),
        Some(Token::Number(number)) => format!("Syntax Error: Unexpected number '{number}'."),
        Some(Token::Text(_)) => "Syntax Error: Unexpected String.".to_owned(),
        Some(Token::Mark(mark)) => format!("Syntax Error: Unexpected '{mark}'."),
        Some(Token::Spread) => "Syntax Error: Unexpected '...'.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A selection as `name(arguments){inner}`, for comparison.
    fn shown(selections: &[Selection]) -> String {
        let one = |selection: &Selection| {
            let alias = if selection.alias == selection.name { String::new() } else { format!("{}:", selection.alias) };
            let arguments = if selection.arguments.is_empty() {
                String::new()
            } else {
                format!("({})", serde_json::to_string(&selection.arguments).unwrap())
            };
            let inner = if selection.inner.is_empty() { String::new() } else { format!("{{{}}}", shown(&selection.inner)) };
            format!("{alias}{}{arguments}{inner}", selection.name)
        };
        selections.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(text: &str, variables: &Value, want: &str) {
        let variables = variables.as_object().cloned().unwrap_or_default();
        let found = match parse(text, None, &variables) {
            Ok(selections) => shown(&selections),
            Err(message) => message,
        };
        assert_eq!(found, want);
    }

    #[test]
    fn what_the_console_sends_is_read() {
        let text = "query GetRun($data: MlflowGetRunInput!) @component(name: \"MLflow.ExperimentRunTracking\") {
            mlflowGetRun(input: $data) { apiError { code __typename } run { info { runName } __typename } }
        }";
        let want = r#"mlflowGetRun({"input":{"runId":"a"}}){apiError{code __typename} run{info{runName} __typename}}"#;
        check(text, &json!({"data": {"runId": "a"}}), want);
        check("{__typename}", &Value::Null, "__typename");
    }

    #[test]
    fn values_defaults_aliases_and_fragments_are_read() {
        let text = "query Q($n: Int = 7, $ids: [String!]!) { a: b(n: $n, ids: $ids, e: ALL, t: \"x\\\"y\", o: {p: [1.5, true, null]}) { ...F ... on X { y } } }
            fragment F on X { z # a comment
            }";
        let want = r#"a:b({"e":"ALL","ids":["i"],"n":7,"o":{"p":[1.5,true,null]},"t":"x\"y"}){z y}"#;
        check(text, &json!({"ids": ["i"]}), want);
    }

    #[test]
    fn what_is_no_document_is_told() {
        check("", &Value::Null, "Must provide an operation.");
        check("{a", &Value::Null, "Syntax Error: Unexpected <EOF>.");
        check("{a(b:)}", &Value::Null, "Syntax Error: Unexpected ')'.");
        check("{a ...G}", &Value::Null, "Unknown fragment 'G'.");
        check("{a ?}", &Value::Null, "Syntax Error: Unexpected character: '?'.");
        check("{a(b: \"x)}", &Value::Null, "Syntax Error: Unterminated string.");
        check(&"{a".repeat(100), &Value::Null, "Syntax Error: Selections lie too deep.");
    }
}
