//! Stages: where clients of MLflow say that a version stands.

use std::fmt;

use lw_core::Result;
use serde::{Deserialize, Serialize};

use crate::BAD_STAGE;

/// A version has one stage; it begins with none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Stage {
    #[default]
    None,
    Staging,
    Production,
    Archived,
}

impl Stage {
    pub const ALL: [Self; 4] = [Self::None, Self::Staging, Self::Production, Self::Archived];

    /// Reads a stage, whatever the case of its letters.
    pub fn parse(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|stage| stage.name().eq_ignore_ascii_case(text)).ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            BAD_STAGE
                .error(format!("Invalid Model Version stage: {shown}. Value must be one of None, Staging, Production, Archived."))
                .hint("write one of the four")
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Staging => "Staging",
            Self::Production => "Production",
            Self::Archived => "Archived",
        }
    }

    /// Whether versions in the stage are in use, so that a newcomer may send the others to the archive.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Staging | Self::Production)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_read_in_any_case() {
        assert_eq!(Stage::parse("production").unwrap(), Stage::Production);
        assert_eq!(Stage::parse("NONE").unwrap(), Stage::None);
        let refused = Stage::parse("bogus").unwrap_err();
        assert!(refused.is(BAD_STAGE));
        assert_eq!(
            refused.message(),
            "Invalid Model Version stage: bogus. Value must be one of None, Staging, Production, Archived."
        );
    }
}
