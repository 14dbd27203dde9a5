//! From text to definitions: YAML with the file, line and column of what is wrong.

use lw_core::{Error, Place, Result};
use serde::de::DeserializeOwned;

use crate::failures::INVALID_YAML;

/// One parsed file, with its text for later errors.
#[derive(Debug, Clone)]
pub struct File<T> {
    /// Relative to the project's root, with forward slashes.
    pub path: String,
    pub text: String,
    pub value: T,
}

impl<T: DeserializeOwned> File<T> {
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        Ok(Self { path: path.to_owned(), text: text.to_owned(), value: yaml(path, text)? })
    }
}

impl<T> File<T> {
    /// Where a key path stands in this file.
    pub fn place(&self, keys: &[&str]) -> Place {
        crate::place::locate(&self.path, &self.text, keys)
    }
}

/// Parses YAML text; `file` is its name in errors.
fn yaml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T> {
    let mut options = serde_saphyr::Options::default();
    // YAML 1.2: only `true` and `false` are booleans, so that the key `on` and the state `NO` are words.
    options.strict_booleans = true;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| invalid(file, &error))
}

fn invalid(file: &str, error: &serde_saphyr::Error) -> Error {
    let location = error.location();
    let place = Place {
        file: file.to_owned(),
        line: location.and_then(|l| u32::try_from(l.line()).ok()),
        column: location.and_then(|l| u32::try_from(l.column()).ok()),
    };
    let rendered = error.without_snippet().to_string();
    let message = rendered.lines().next().unwrap_or("the file is not valid YAML").trim_start_matches("error: ");
    let hint = if message.contains("unknown field") {
        "remove the field or correct its name; `loopwright schema` prints the JSON Schemas for your editor"
    } else if message.contains("unknown variant") && message.contains("binary_classification") {
        crate::check::CLASSES_HINT
    } else if message.contains("missing field") {
        "add the field; `loopwright explain invalid-yaml` shows a complete file of each kind"
    } else {
        "check the indentation and the value at this place"
    };
    INVALID_YAML.error(message).at(place).hint(hint)
}
