//! Where the next page starts, in a text that a client hands back.

use lw_core::{Error, Result};

/// The number of rows before the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageToken {
    pub offset: u64,
}

impl PageToken {
    /// Reads a token; an empty text is the first page.
    pub fn decode(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        Err(Error::bug("page tokens are not read yet"))
    }

    pub fn encode(self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{{\"offset\": {}}}", self.offset))
    }
}
