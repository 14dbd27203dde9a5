//! Errors on the wire: problem documents (RFC 9457).

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lw_core::{Error, Kind, Place};
use serde::Serialize;

use crate::failures::{BODY_TOO_LARGE, FOREIGN_HOST, METHOD_NOT_ALLOWED};

/// An error on its way to the caller of the native API.
#[derive(Debug)]
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// What a handler of the native API gives.
pub type Answer<T> = Result<T, Problem>;

/// The document. `code` names a page in `docs/errors/`; `hint` says what to do next; `request_id` finds the log line.
#[derive(Debug, Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

tokio::task_local! {
    /// The id of the request that this task answers.
    pub static REQUEST: Arc<str>;
}

/// The status of an error. A few failures of HTTP itself have a status of their own.
pub fn status(error: &Error) -> StatusCode {
    if error.is(BODY_TOO_LARGE) {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    if error.is(METHOD_NOT_ALLOWED) {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    if error.is(FOREIGN_HOST) {
        return StatusCode::MISDIRECTED_REQUEST;
    }
    StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What a caller may read of an error: the message, but nothing of the inside of a defect.
pub fn public_message(error: &Error) -> &str {
    if error.kind() == Kind::Bug { "something went wrong inside Loopwright" } else { error.message() }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = self.0;
        log(&error);
        let status = status(&error);
        let request_id = REQUEST.try_with(Arc::clone).ok();
        let document = Document {
            r#type: format!("urn:loopwright:error:{}", error.code()),
            title: title(error.kind()),
            status: status.as_u16(),
            detail: public_message(&error),
            code: error.code(),
            kind: error.kind(),
            hint: error.hint_text(),
            place: error.place(),
            request_id: request_id.as_deref(),
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        let headers = response.headers_mut();
        match error.kind() {
            Kind::Unauthenticated => {
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"loopwright\""));
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"loopwright\""));
            }
            Kind::Exhausted | Kind::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// A failure is logged once, where it leaves the process. What callers did wrong is not our log's business.
pub fn log(error: &Error) {
    match error.kind() {
        Kind::Bug | Kind::Upstream | Kind::Unavailable | Kind::Timeout => {
            tracing::error!(code = error.code(), ?error, "A request failed: {}", escaped(error.message()));
        }
        _ => tracing::debug!(code = error.code(), "A request was refused: {}", escaped(error.message())),
    }
}

/// Control characters of a message must not forge lines of the log.
fn escaped(message: &str) -> String {
    message.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "The request is not valid",
        Kind::NotFound => "There is no such thing",
        Kind::Conflict => "Somebody else changed it meanwhile",
        Kind::Unauthenticated => "Who are you?",
        Kind::Forbidden => "This is not allowed",
        Kind::Refused => "A rule said no",
        Kind::Exhausted => "Too much at once",
        Kind::Upstream => "Something this depends on failed",
        Kind::Unavailable => "Not available now",
        Kind::Timeout => "It took too long",
        Kind::Bug => "A defect",
    }
}
