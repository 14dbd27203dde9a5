//! How files are described to browsers: their type, and that they are to be saved and not shown.

use std::fmt::Write as _;

/// What MLflow shows as text, whatever its own type is.
const TEXT: &[&str] = &[
    "txt",
    "log",
    "err",
    "cfg",
    "conf",
    "cnf",
    "cf",
    "ini",
    "properties",
    "prop",
    "hocon",
    "toml",
    "yaml",
    "yml",
    "xml",
    "json",
    "js",
    "py",
    "py3",
    "csv",
    "tsv",
    "md",
    "rst",
    "ipynb",
    "MLmodel",
    "MLproject",
];
/// The usual types, as the IANA registers them and Python's library names them.
const TYPES: &[(&str, &str)] = &[
    ("aac", "audio/aac"),
    ("aif", "audio/x-aiff"),
    ("aiff", "audio/x-aiff"),
    ("avi", "video/x-msvideo"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("css", "text/css"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("eps", "application/postscript"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("h5", "application/x-hdf5"),
    ("hdf", "application/x-hdf"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/vnd.microsoft.icon"),
    ("jpe", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("latex", "application/x-latex"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("mjs", "text/javascript"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/opus"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("ps", "application/postscript"),
    ("rtf", "application/rtf"),
    ("sh", "application/x-sh"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tex", "application/x-tex"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("wasm", "application/wasm"),
    ("wav", "audio/x-wav"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("zip", "application/zip"),
];
/// Endings that say how a file is packed; the type is that of what is inside.
const PACKINGS: &[&str] = &["gz", "bz2", "xz", "br", "Z"];

pub(super) fn media_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or(name, |(_, ending)| ending);
    if TEXT.contains(&ending) {
        return "text/plain";
    }
    let name = PACKINGS.iter().find_map(|packing| name.strip_suffix(packing)?.strip_suffix('.')).unwrap_or(name);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let found = TYPES.iter().find(|(known, _)| *known == ending);
    found.map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// `attachment; filename=a.txt` (RFC 6266); names with other letters than those of ASCII in both forms (RFC 8187).
pub(super) fn disposition(name: &str) -> String {
    let ascii: String = name.chars().filter(char::is_ascii).collect();
    if ascii.len() == name.len() {
        return format!("attachment; filename={}", quoted(name));
    }
    let shown = if ascii.is_empty() { "download" } else { &ascii };
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("attachment; filename={}; filename*=UTF-8''{encoded}", quoted(shown))
}

/// A value of a header: as it is if it is a token, in quotes otherwise.
fn quoted(value: &str) -> String {
    let is_token = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if is_token && !value.is_empty() {
        return value.to_owned();
    }
    let visible: String = value.chars().filter(|c| !c.is_control()).collect();
    format!("\"{}\"", visible.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_names() {
        let check = |name: &str, want: &str| assert_eq!(media_type(name), want, "{name}");
        check("a.txt", "text/plain");
        check("MLmodel", "text/plain");
        check("data.json", "text/plain");
        check("data.json.gz", "application/octet-stream");
        check("plot.PNG", "image/png");
        check("page.html", "text/html");
        check("a.tar.gz", "application/x-tar");
        check("model.onnx", "application/octet-stream");
        check("model.pkl", "application/octet-stream");
        check("png", "application/octet-stream");
        check(".json", "application/octet-stream");
        check("", "application/octet-stream");
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        let check = |name: &str, want: &str| assert_eq!(disposition(name), format!("attachment; filename={want}"), "{name}");
        check("a.txt", "a.txt");
        check("a b.txt", "\"a b.txt\"");
        check("a\"b;c", "\"a\\\"b;c\"");
        check("a%41", "a%41");
        check("für.txt", "fr.txt; filename*=UTF-8''f%C3%BCr.txt");
        check("日本", "download; filename*=UTF-8''%E6%97%A5%E6%9C%AC");
    }
}
