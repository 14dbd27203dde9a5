//! Which paths artifacts may have.

use lw_core::Result;

use crate::BAD_ARTIFACT_PATH;

const MAX_BYTES: usize = 1000;
/// What file systems, to which clients download, take as a name.
const MAX_PART_BYTES: usize = 255;

/// A path stays below its owner: relative, of parts that are names, without backslashes, drive letters, schemes, control characters, or
/// anything that becomes another path when somebody decodes it once more.
pub fn check(path: &str) -> Result<()> {
    let parts_ok = path.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= MAX_PART_BYTES);
    let chars_ok = !path.contains(['\\', '#']) && !path.chars().any(char::is_control);
    if parts_ok && chars_ok && path.len() <= MAX_BYTES && !starts_elsewhere(path) && !hides_characters(path) {
        return Ok(());
    }
    let shown: String = path.chars().take(80).collect();
    Err(BAD_ARTIFACT_PATH
        .error(format!("invalid path `{}`", shown.escape_debug()))
        .hint("write a relative path with `/`, like `model/model.onnx`"))
}

/// [`check`], but an empty path is the top.
pub(super) fn check_folder(path: &str) -> Result<()> {
    if path.is_empty() { Ok(()) } else { check(path) }
}

/// `C:…` is a drive, and `file:…` a file of this machine.
fn starts_elsewhere(path: &str) -> bool {
    let Some((head, _)) = path.split_once(':') else { return false };
    let is_drive = head.len() == 1 && head.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_drive || head.eq_ignore_ascii_case("file")
}

/// Whether an escape like `%2e` stands for a character. Escapes of control characters do not: they are how clients' names with such
/// characters are written, and stand for themselves.
fn hides_characters(path: &str) -> bool {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = path.as_bytes();
    let escaped = (0..bytes.len()).filter(|index| bytes.get(*index) == Some(&b'%'));
    escaped
        .filter_map(|index| Some(digit(bytes.get(index + 1))? * 16 + digit(bytes.get(index + 2))?))
        .any(|code| !matches!(code, 0x01..=0x1f | 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_their_owner() {
        let long_part = "x".repeat(256);
        let long = ["x".repeat(250).as_str(); 5].join("/");
        let bad = [
            "",
            ".",
            "..",
            "/",
            "//",
            "../x",
            "a/../../x",
            "a/..",
            "./a",
            "a/./b",
            "a//b",
            "a/",
            "/etc/passwd",
            "//etc",
            "..\\x",
            "a\\b",
            "\\\\host\\share",
            "C:/x",
            "C:\\x",
            "c:x",
            "file:///x",
            "FILE:x",
            "file:/etc",
            "s3://bucket/../x",
            "mlflow-artifacts:/../x",
            "%2e%2e/x",
            "%2E%2E/x",
            "%252e%252e/x",
            "a/%2fb",
            "a%5cb",
            "%41",
            "a%00b",
            "a\0b",
            "a\nb",
            "a\u{7f}b",
            "a\u{85}b",
            "a#b",
            &long_part,
            &long,
        ];
        for path in bad {
            assert!(check(path).unwrap_err().is(BAD_ARTIFACT_PATH), "{path:?}");
        }
        let good = [
            "a",
            "model/model.onnx",
            "a b/ä.txt",
            "...",
            "..a",
            "a..b",
            "ab:c",
            "run:1/x",
            "50%.txt",
            "images/a%step%3%time%17.png",
            "a%1fb",
            "x?y=1",
            "*",
            "~",
            "-",
            "日本語",
            &long_part[..255],
        ];
        for path in good {
            check(path).unwrap();
        }
    }
}
