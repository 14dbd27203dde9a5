//! Paths as clients write them.

use axum::http::Uri;

use crate::refusal::{Answer, Refusal};

/// How often a path may be encoded over and over.
const MAX_DECODINGS: usize = 10;

/// A path, decoded as often as it is encoded, so that no later reader sees another one in it. Control characters are written as escapes,
/// which stand for themselves. The domain checks what is left.
pub(super) fn decoded(text: &str) -> Answer<String> {
    let mut path = text.to_owned();
    for _ in 0..MAX_DECODINGS {
        let next = unquoted(&path);
        if next == path {
            return if path.contains('\0') { Err(invalid()) } else { Ok(escaped(&path)) };
        }
        path = next;
    }
    Err(invalid())
}

/// What follows a marker in the path of a request, such as `/mlflow-artifacts/artifacts/`.
pub(super) fn after(uri: &Uri, marker: &str) -> Answer<String> {
    let (_, rest) = uri.path().split_once(marker).ok_or_else(invalid)?;
    decoded(rest)
}

/// A path that names a folder: it may end with `/`.
pub(super) fn folder(text: &str) -> Answer<String> {
    let path = decoded(text)?;
    let path = path.strip_suffix('/').unwrap_or(&path);
    Ok(if path == "." { String::new() } else { path.to_owned() })
}

pub(super) fn joined(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", path) | (path, "") => path.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

/// What stands after the last `/`.
pub(super) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

pub(super) fn invalid() -> Refusal {
    Refusal::invalid("Invalid path")
}

fn unquoted(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (mut decoded, mut index) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(index) {
        let escape = (*byte == b'%').then(|| digit(bytes.get(index + 1)).zip(digit(bytes.get(index + 2)))).flatten();
        match escape.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(code) => {
                decoded.push(code);
                index += 3;
            }
            None => {
                decoded.push(*byte);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn escaped(path: &str) -> String {
    let escape = |c: char| if c.is_ascii_control() { format!("%{:02x}", u32::from(c)) } else { c.to_string() };
    path.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_to_the_end() {
        let check = |text: &str, want: Option<&str>| assert_eq!(decoded(text).ok().as_deref(), want, "{text}");
        check("a/b%20c", Some("a/b c"));
        check("%2e%2e/x", Some("../x"));
        check("%252e%25252e/x", Some("../x"));
        check("%C3%A4", Some("ä"));
        check("50%.txt", Some("50%.txt"));
        check("a%step%3%time%17", Some("a%step%3%time%17"));
        check("a%0Ab", Some("a%0ab"));
        check("a%00", None);
        check("%2500", None);
        check(&format!("%{}41", "25".repeat(12)), None);
    }
}
