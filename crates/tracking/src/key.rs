//! The form of names that people and clients give to metrics, parameters and tags, and the words for what is wrong with one.

use std::borrow::Cow;

use lw_core::Result;

use crate::BAD_LOG_KEY;

pub(crate) const MAX_KEY_CHARS: usize = 250;

/// Keys become paths in some clients, so they must be normal ones: no empty parts, no `.` or `..`, not absolute. `parameter` tells where
/// the key stands, like `metrics[3].name`. The words are those that MLflow's clients know.
pub(crate) fn check_form(key: &str, parameter: impl FnOnce() -> String) -> Result<()> {
    if has_good_form(key) {
        return Ok(());
    }
    let is_of_good_characters = key.chars().all(is_good);
    let reason = if is_of_good_characters {
        format!(
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. This name \
             would resolve to {}",
            quoted(&normal_path(key))
        )
    } else {
        "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."
            .to_owned()
    };
    Err(BAD_LOG_KEY
        .error(format!("Invalid value {} for parameter '{}' supplied: {reason}", json(key), parameter()))
        .hint("a key has 1 to 250 letters, digits, `_ - . :`, spaces, and `/` between parts that are not empty"))
}

/// Nearly every key is plain ASCII without a slash, which needs one look at each byte.
fn has_good_form(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b' ' | b':');
    if !key.is_empty() && key.bytes().all(is_plain) {
        return true;
    }
    key.chars().all(is_good) && key.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

fn is_good(character: char) -> bool {
    character.is_alphanumeric() || "_-./ :".contains(character)
}

pub(crate) fn check_length(what: impl FnOnce() -> String, text: &str, limit: usize) -> Result<()> {
    // Bytes are at least as many as characters, and cheap to count.
    if text.len() <= limit || text.chars().count() <= limit {
        return Ok(());
    }
    Err(BAD_LOG_KEY
        .error(format!("'{}' exceeds the maximum length of {limit} characters", what()))
        .hint("use a shorter text; longer ones belong into an artifact"))
}

/// The path that a path means, by the rules of POSIX.
fn normal_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    let joined = format!("{root}{}", parts.join("/"));
    if joined.is_empty() { ".".to_owned() } else { joined }
}

/// A text in quotes as Python shows it, which clients of MLflow have in their tests.
pub(crate) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut shown = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            character if character == quote => shown.extend(['\\', character]),
            character if character.is_control() => shown.push_str(&format!("\\x{:02x}", u32::from(character))),
            character => shown.push(character),
        }
    }
    shown.push(quote);
    shown
}

/// A text as JSON in ASCII.
pub(crate) fn json(text: &str) -> String {
    let plain = serde_json::Value::from(text).to_string();
    let mut shown = String::with_capacity(plain.len());
    for character in plain.chars() {
        if character.is_ascii() {
            shown.push(character);
        } else {
            shown.extend(character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    shown
}

/// The first characters of a text.
pub(crate) fn truncated(text: &str, max_chars: usize) -> &str {
    if text.len() <= max_chars {
        return text;
    }
    text.char_indices().nth(max_chars).map_or(text, |(end, _)| &text[..end])
}

/// What is shown of a text that somebody gave.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let head = truncated(text, 80);
    if head.len() == text.len() { Cow::Borrowed(text) } else { Cow::Owned(format!("{head}…")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_as_they_would_resolve() {
        let check = |path: &str, want: &str| assert_eq!(normal_path(path), want, "{path}");
        check("a/../b", "b");
        check("sl//x", "sl/x");
        check("", ".");
        check("../x", "../x");
        check("/../x", "/x");
        check("a/./b/", "a/b");
    }

    #[test]
    fn keys_have_a_form() {
        for good in ["a", "val/loss", "a b.c-d/e:f", "größe", "_", "a..b", ".hidden"] {
            assert!(check_form(good, String::new).is_ok(), "{good}");
        }
        for bad in ["", "a;b", "a//b", "/a", "a/", "./a", "..", "a\nb", "a\0"] {
            assert!(check_form(bad, String::new).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn texts_are_quoted_as_python_does() {
        assert_eq!(quoted("it's"), "\"it's\"");
        assert_eq!(quoted("a\"'b\\\n"), "'a\"\\'b\\\\\\n'");
        assert_eq!(json("ä\"😀"), "\"\\u00e4\\\"\\ud83d\\ude00\"");
    }
}
