//! Where the next page starts, in a text that a client hands back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lw_core::{Error, Result};
use serde_json::{Value, json};

use crate::BAD_PAGE_TOKEN;
use crate::mlflow::{python_list, python_repr, python_value};

/// The number of rows before the page.
///
/// ```
/// use lw_search::PageToken;
///
/// let token = PageToken { offset: 100 }.encode();
/// assert_eq!(token, "eyJvZmZzZXQiOiAxMDB9");
/// assert_eq!(PageToken::decode(&token)?.offset, 100);
/// # Ok::<(), lw_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageToken {
    pub offset: u64,
}

/// The token of a search of logged models, which goes with the request that it came from and no other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoggedModelPageToken {
    pub experiment_ids: Vec<String>,
    pub filter: Option<String>,
    /// The keys of the order as the client sent them, or null.
    pub order_by: Value,
    pub offset: u64,
}

fn refuse(message: impl Into<String>) -> Error {
    BAD_PAGE_TOKEN.error(message).hint("send the token of the page before exactly as it came, or none for the first page")
}

impl PageToken {
    /// Reads a token; an empty text is the first page.
    pub fn decode(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let decoded = lenient(text).ok_or_else(|| refuse("Invalid page token, could not base64-decode"))?;
        let parsed: Value = serde_json::from_slice(&decoded)
            .map_err(|_| refuse(format!("Invalid page token, decoded value={}", bytes(&decoded))))?;
        let wrong = || refuse(format!("Invalid page token, parsed value={}", python_value(&parsed)));
        match parsed.get("offset") {
            Some(Value::String(text)) if !text.is_empty() => {
                let offset = text.trim().parse();
                offset.map(|offset| Self { offset }).map_err(|_| refuse(format!("Invalid page token, not stringable {text}")))
            }
            Some(offset) => offset.as_u64().filter(|offset| *offset > 0).map(|offset| Self { offset }).ok_or_else(wrong),
            None => Err(wrong()),
        }
    }

    pub fn encode(self) -> String {
        STANDARD.encode(format!("{{\"offset\": {}}}", self.offset))
    }
}

impl LoggedModelPageToken {
    /// Reads a token and checks that it belongs to a request. `asked` is the request; its offset does not count.
    pub fn decode(text: &str, asked: &Self) -> Result<Self> {
        let parsed: Option<Value> = lenient(text).and_then(|decoded| serde_json::from_slice(&decoded).ok());
        let parsed = parsed.filter(Value::is_object).ok_or_else(|| refuse(format!("Invalid page token: {text}")))?;
        let ids = parsed.get("experiment_ids").and_then(Value::as_array);
        let ids = ids.into_iter().flatten().map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        let filter = parsed.get("filter_string").and_then(Value::as_str).filter(|filter| !filter.is_empty());
        let order_by = parsed.get("order_by").filter(|order| order.as_array().is_some_and(|keys| !keys.is_empty()));
        let token = Self {
            experiment_ids: ids.collect(),
            filter: filter.map(str::to_owned),
            order_by: order_by.cloned().unwrap_or_default(),
            offset: parsed.get("offset").and_then(Value::as_u64).unwrap_or(0),
        };
        token.check(asked)?;
        Ok(token)
    }

    pub fn encode(&self) -> String {
        let Self { experiment_ids, filter, order_by, offset } = self;
        let body = json!({"experiment_ids": experiment_ids, "filter_string": filter, "order_by": order_by, "offset": offset});
        STANDARD.encode(body.to_string())
    }

    fn check(&self, asked: &Self) -> Result<()> {
        if self.experiment_ids != asked.experiment_ids {
            return Err(refuse(format!(
                "Experiment IDs in the page token do not match the requested experiment IDs. Expected: {}. Found: {}",
                python_list(&asked.experiment_ids),
                python_list(&self.experiment_ids)
            )));
        }
        let shown = |filter: &Option<String>| filter.clone().unwrap_or_else(|| "None".to_owned());
        if self.filter != asked.filter {
            return Err(refuse(format!(
                "Filter string in the page token does not match the requested filter string. Expected: {}. Found: {}",
                shown(&asked.filter),
                shown(&self.filter)
            )));
        }
        if self.order_by != asked.order_by {
            return Err(refuse(format!(
                "Order by in the page token does not match the requested order by. Expected: {}. Found: {}",
                python_value(&asked.order_by),
                python_value(&self.order_by)
            )));
        }
        Ok(())
    }
}

/// Decodes as Python does: what is no character of base64 is passed over, and padding ends the text.
fn lenient(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() {
        return None;
    }
    let mut digits = String::new();
    let mut n_padding = 0;
    for c in text.chars() {
        let n_open = digits.len() % 4;
        if c == '=' {
            n_padding += 1;
            if n_open >= 2 && n_open + n_padding >= 4 {
                digits.push_str(&"=".repeat(4 - n_open));
                break;
            }
        } else if c.is_ascii_alphanumeric() || c == '+' || c == '/' {
            n_padding = 0;
            digits.push(c);
        }
    }
    let engine = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    engine.decode(digits).ok()
}

/// Bytes as Python shows them.
fn bytes(bytes: &[u8]) -> String {
    let latin: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let shown = python_repr(&latin);
    let escaped = shown.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\x{:02x}", u32::from(c)) });
    format!("b{}", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(token: &str, want: &str) {
        let error = PageToken::decode(token).expect_err("a token nobody gave out");
        assert_eq!(error.message(), want);
    }

    #[test]
    fn tokens_nobody_gave_out_are_refused_in_mlflows_words() {
        refused("!!", "Invalid page token, decoded value=b''");
        refused("zzz", "Invalid page token, could not base64-decode");
        refused(&STANDARD.encode("nonsense"), "Invalid page token, decoded value=b'nonsense'");
        refused(&STANDARD.encode("é"), "Invalid page token, decoded value=b'\\xc3\\xa9'");
        refused(&STANDARD.encode("{\"a\": [1, null]}"), "Invalid page token, parsed value={'a': [1, None]}");
        refused(&STANDARD.encode("{\"offset\": 0}"), "Invalid page token, parsed value={'offset': 0}");
        refused(&STANDARD.encode("{\"offset\": \"x\"}"), "Invalid page token, not stringable x");
    }

    #[test]
    fn tokens_come_back() {
        assert_eq!(PageToken::decode("").map(|token| token.offset).ok(), Some(0));
        for offset in [1, 1000, u64::from(u32::MAX)] {
            assert_eq!(PageToken::decode(&PageToken { offset }.encode()).map(|token| token.offset).ok(), Some(offset));
        }
        assert_eq!(PageToken::decode(&STANDARD.encode("{\"offset\": \"12\"}")).map(|token| token.offset).ok(), Some(12));
    }

    #[test]
    fn tokens_of_logged_models_go_with_their_request() {
        let asked = LoggedModelPageToken {
            experiment_ids: vec!["0".into(), "1".into()],
            filter: Some("name = 'a'".into()),
            order_by: json!([{"field_name": "name"}]),
            offset: 50,
        };
        assert_eq!(LoggedModelPageToken::decode(&asked.encode(), &asked).ok(), Some(asked.clone()));
        let other = LoggedModelPageToken { filter: None, ..asked.clone() };
        let error = LoggedModelPageToken::decode(&asked.encode(), &other).expect_err("another filter");
        assert_eq!(
            error.message(),
            "Filter string in the page token does not match the requested filter string. Expected: None. Found: name = 'a'"
        );
    }
}
