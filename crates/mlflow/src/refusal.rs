//! Errors as MLflow's clients read them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lw_core::{Error, Kind};
use serde::Serialize;

/// The codes of MLflow's errors that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    InvalidParameterValue,
    BadRequest,
    ResourceAlreadyExists,
    ResourceConflict,
    ResourceDoesNotExist,
    NotFound,
    EndpointNotFound,
    Unauthenticated,
    PermissionDenied,
    ResourceExhausted,
    InvalidState,
    InternalError,
    NotImplemented,
    TemporarilyUnavailable,
    DeadlineExceeded,
}

impl ErrorCode {
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidParameterValue => "INVALID_PARAMETER_VALUE",
            Self::BadRequest => "BAD_REQUEST",
            Self::ResourceAlreadyExists => "RESOURCE_ALREADY_EXISTS",
            Self::ResourceConflict => "RESOURCE_CONFLICT",
            Self::ResourceDoesNotExist => "RESOURCE_DOES_NOT_EXIST",
            Self::NotFound => "NOT_FOUND",
            Self::EndpointNotFound => "ENDPOINT_NOT_FOUND",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::InvalidState => "INVALID_STATE",
            Self::InternalError => "INTERNAL_ERROR",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::TemporarilyUnavailable => "TEMPORARILY_UNAVAILABLE",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
        }
    }

    /// Clients repeat 408, 429 and most of 5xx for minutes, so that a user's mistake never has one of them.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidParameterValue | Self::BadRequest | Self::ResourceAlreadyExists => StatusCode::BAD_REQUEST,
            Self::ResourceConflict => StatusCode::CONFLICT,
            Self::ResourceDoesNotExist | Self::NotFound | Self::EndpointNotFound => StatusCode::NOT_FOUND,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::InvalidState | Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The two classes that clients since 3.17 read beside the code.
    fn class(self) -> (&'static str, &'static str) {
        match self {
            Self::ResourceDoesNotExist | Self::NotFound | Self::EndpointNotFound => ("KAM00", "RESOURCE_NOT_FOUND"),
            Self::InvalidParameterValue | Self::BadRequest => ("KAM00", "INVALID_PARAMETER_VALUE"),
            Self::ResourceAlreadyExists => ("KAM00", "RESOURCE_ALREADY_EXISTS"),
            Self::PermissionDenied | Self::Unauthenticated => ("KAM00", "PERMISSION_DENIED"),
            _ => ("XXM00", "CLIENT_INTERNAL_ERROR"),
        }
    }

    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Invalid | Kind::Refused => Self::InvalidParameterValue,
            Kind::NotFound => Self::ResourceDoesNotExist,
            Kind::Conflict => Self::ResourceConflict,
            Kind::Unauthenticated => Self::Unauthenticated,
            Kind::Forbidden => Self::PermissionDenied,
            Kind::Exhausted => Self::ResourceExhausted,
            Kind::Unavailable | Kind::Upstream => Self::TemporarilyUnavailable,
            Kind::Timeout => Self::DeadlineExceeded,
            Kind::Bug => Self::InternalError,
        }
    }
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: String,
}

/// What a handler gives.
pub(crate) type Answer<T> = Result<T, Refusal>;

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidParameterValue, message)
    }

    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ResourceDoesNotExist, message)
    }
}

impl From<Error> for Refusal {
    /// The inside of a defect stays in the log; everything else says what to do next.
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            Kind::Conflict if error.is(lw_tracking::EXPERIMENT_EXISTS) => ErrorCode::ResourceAlreadyExists,
            kind => ErrorCode::of(kind),
        };
        match error.kind() {
            Kind::Bug | Kind::Upstream | Kind::Unavailable | Kind::Timeout => {
                tracing::error!(code = error.code(), ?error, "A request failed: {}", error.message().escape_debug());
            }
            _ => tracing::debug!(code = error.code(), "A request was refused: {}", error.message().escape_debug()),
        }
        if error.kind() == Kind::Bug {
            return Self::new(code, "something went wrong inside Loopwright");
        }
        match error.hint_text().filter(|_| error.kind() == Kind::Forbidden) {
            Some(hint) => Self::new(code, format!("{}. {hint}", error.message())),
            None => Self::new(code, error.message()),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    error_code: &'a str,
    message: &'a str,
    sqlstate: &'a str,
    error_class: &'a str,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (sqlstate, error_class) = self.code.class();
        let document = Document { error_code: self.code.name(), message: &self.message, sqlstate, error_class };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (self.code.status(), [(header::CONTENT_TYPE, "application/json")], body).into_response();
        let headers = response.headers_mut();
        match self.code {
            ErrorCode::Unauthenticated => {
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"loopwright\""));
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"loopwright\""));
            }
            ErrorCode::ResourceExhausted | ErrorCode::TemporarilyUnavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
