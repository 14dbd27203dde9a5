//! Names that users give to things.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Failure, Kind, Result};

pub const BAD_NAME: Failure = Failure::new("bad-name", Kind::Invalid);

/// The name of a source, table, view, feature, model, endpoint, pipeline, policy or alias: lower snake case, 1 to 63 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Name(Box<str>);

impl Name {
    pub fn parse(text: &str) -> Result<Self> {
        let body_ok = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let start_ok = text.starts_with(|c: char| c.is_ascii_lowercase());
        if body_ok && start_ok && text.len() <= 63 {
            return Ok(Self(text.into()));
        }
        let shown: String = text.chars().take(80).collect();
        Err(BAD_NAME
            .error(format!("`{shown}` is not a name"))
            .hint("a name is lower snake case, starts with a letter and has 1 to 63 characters, like `late_arrival`"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Name {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: bool) {
        assert_eq!(Name::parse(text).is_ok(), want, "{text:?}");
    }

    #[test]
    fn only_lower_snake_case_is_a_name() {
        check("late_arrival", true);
        check("a", true);
        check(&"a".repeat(63), true);
        for bad in ["", "_a", "1a", "Late", "a-b", "a/b", "../a", "ä", &"a".repeat(64)] {
            check(bad, false);
        }
    }
}
