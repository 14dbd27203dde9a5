//! One error type for the whole product: a kind decides the status, a code says which failure, a hint says what to do next.

use std::fmt;

use serde::{Deserialize, Serialize};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is. The kind alone decides HTTP status, exit code, retry and log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Invalid,
    NotFound,
    Conflict,
    Unauthenticated,
    Forbidden,
    /// A gate, contract, guardrail or policy said no.
    Refused,
    Exhausted,
    Upstream,
    Unavailable,
    Timeout,
    Bug,
}

impl Kind {
    /// The HTTP status that every surface answers with.
    pub fn http_status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Refused => 422,
            Self::Exhausted => 429,
            Self::Upstream => 502,
            Self::Unavailable => 503,
            Self::Timeout => 504,
            Self::Bug => 500,
        }
    }

    /// The exit code of a command that fails in this way.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::Invalid | Self::NotFound | Self::Conflict => 2,
            Self::Exhausted | Self::Upstream | Self::Unavailable | Self::Timeout => 3,
            Self::Unauthenticated | Self::Forbidden => 4,
            Self::Bug => 70,
        }
    }

    /// Whether the same request may succeed later with nothing changed by the caller.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Exhausted | Self::Upstream | Self::Unavailable | Self::Timeout)
    }
}

/// A failure that the product knows by name. Each code has a page in `docs/errors/`.
///
/// Every crate lists its failures as constants in one place:
///
/// ```
/// use lw_core::{Failure, Kind};
///
/// pub const UNKNOWN_COLUMN: Failure = Failure::new("unknown-column", Kind::Invalid);
///
/// let error = UNKNOWN_COLUMN.error("column `colour` is not in table `flights`").hint("did you mean `carrier`?");
/// assert_eq!(error.kind(), Kind::Invalid);
/// assert_eq!(error.code(), "unknown-column");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub kind: Kind,
}

impl Failure {
    pub const fn new(code: &'static str, kind: Kind) -> Self {
        Self { code, kind }
    }

    /// An error of this failure. The message says what failed with which input, in one sentence without a full stop.
    pub fn error(self, message: impl Into<String>) -> Error {
        Error(Box::new(Inner { failure: self, message: message.into(), hint: None, place: None, source: None }))
    }
}

/// Where in a file the user wrote what is wrong. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        Ok(())
    }
}

/// An error with its code, its message for the user, a hint and, for the log only, its cause.
pub struct Error(Box<Inner>);

struct Inner {
    failure: Failure,
    message: String,
    hint: Option<String>,
    place: Option<Place>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A broken promise of our own code: the message is for the log, the user is asked to report it.
    pub fn bug(message: impl Into<String>) -> Self {
        const BUG: Failure = Failure::new("bug", Kind::Bug);
        BUG.error(message).hint("this is a defect of Loopwright; please report it with the request id")
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.0.place = Some(place);
        self
    }

    #[must_use]
    pub fn cause(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Puts a prefix before the message, for a caller who knows more of the context.
    #[must_use]
    pub fn context(mut self, prefix: impl fmt::Display) -> Self {
        self.0.message = format!("{prefix}: {}", self.0.message);
        self
    }

    pub fn failure(&self) -> Failure {
        self.0.failure
    }

    pub fn kind(&self) -> Kind {
        self.0.failure.kind
    }

    pub fn code(&self) -> &'static str {
        self.0.failure.code
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    pub fn is(&self, failure: Failure) -> bool {
        self.0.failure == failure
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.0.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self, self.code())?;
        if let Some(hint) = &self.0.hint {
            write!(f, " hint: {hint}")?;
        }
        if let Some(source) = &self.0.source {
            write!(f, " cause: {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
