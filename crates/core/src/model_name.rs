//! Names of registered models, which clients of other tools choose, too.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Failure, Kind, Name, Result};

pub const BAD_MODEL_NAME: Failure = Failure::new("bad-model-name", Kind::Invalid);

const MAX_CHARS: usize = 256;

/// The name of a registered model: 1 to 256 characters without `/` and `:`, as MLflow's clients write them. The models of a project
/// have a [`Name`], which is such a name, too.
///
/// ```
/// use lw_core::{ModelName, Name};
///
/// assert_eq!(ModelName::parse("Iris classifier (v2)").unwrap().as_str(), "Iris classifier (v2)");
/// assert!(ModelName::parse("iris/2").is_err());
/// assert_eq!(ModelName::from(Name::parse("late_arrival").unwrap()).as_str(), "late_arrival");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ModelName(Box<str>);

impl ModelName {
    /// # Errors
    /// `bad-model-name`, in the words that MLflow's clients know.
    pub fn parse(text: &str) -> Result<Self> {
        let hint = "a model's name has 1 to 256 characters without `/` and `:`, like `late_arrival`";
        let problem = if text.trim().is_empty() {
            "Missing value for required parameter 'name'.".to_owned()
        } else if text.contains(['/', ':']) {
            let shown: String = text.chars().take(MAX_CHARS).collect();
            format!("Invalid model name '{shown}'. Names cannot contain '/' or ':'.")
        } else if text == "." || text.starts_with("..") {
            format!(
                "Invalid value {} for parameter 'name' supplied: Names may be treated as files in certain cases, and must not \
                 resolve to other names when treated as such. This name would resolve to '{text}'",
                serde_json::Value::from(text)
            )
        } else if text.chars().count() > MAX_CHARS {
            format!("'name' exceeds the maximum length of {MAX_CHARS} characters")
        } else {
            return Ok(Self(text.into()));
        };
        Err(BAD_MODEL_NAME.error(problem).hint(hint))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ModelName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ModelName {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl From<&Name> for ModelName {
    fn from(name: &Name) -> Self {
        Self(name.as_str().into())
    }
}

impl From<Name> for ModelName {
    fn from(name: Name) -> Self {
        Self::from(&name)
    }
}

impl From<&ModelName> for ModelName {
    fn from(name: &ModelName) -> Self {
        name.clone()
    }
}

impl PartialEq<Name> for ModelName {
    fn eq(&self, other: &Name) -> bool {
        self.as_str() == other.as_str()
    }
}

impl<'de> Deserialize<'de> for ModelName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_names_are_those_of_mlflow() {
        for good in ["a", "Iris classifier", "ä-β_2.0", "late_arrival", ".hidden", "a..b", "x@y", &"n".repeat(256)] {
            assert_eq!(ModelName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "  ", "a/b", "a:b", ".", "..", "..a", &"n".repeat(257)] {
            assert!(ModelName::parse(bad).unwrap_err().is(BAD_MODEL_NAME), "{bad:?}");
        }
        assert_eq!(ModelName::parse("a/b").unwrap_err().message(), "Invalid model name 'a/b'. Names cannot contain '/' or ':'.");
    }
}
