//! How a call ended, in gRPC's codes.

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use lw_core::{Error, Kind};
use lw_query::failures::QUERY_CANCELLED;

use crate::failures::FLIGHT_NOT_OFFERED;

pub const OK: u16 = 0;
const CANCELLED: u16 = 1;
const INVALID_ARGUMENT: u16 = 3;
const DEADLINE_EXCEEDED: u16 = 4;
const NOT_FOUND: u16 = 5;
const PERMISSION_DENIED: u16 = 7;
const RESOURCE_EXHAUSTED: u16 = 8;
const FAILED_PRECONDITION: u16 = 9;
const ABORTED: u16 = 10;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;
const UNAVAILABLE: u16 = 14;
const UNAUTHENTICATED: u16 = 16;

/// The code of an error. Two failures have one of their own.
pub fn status_code(error: &Error) -> u16 {
    if error.is(QUERY_CANCELLED) {
        return CANCELLED;
    }
    if error.is(FLIGHT_NOT_OFFERED) {
        return UNIMPLEMENTED;
    }
    match error.kind() {
        Kind::Invalid => INVALID_ARGUMENT,
        Kind::NotFound => NOT_FOUND,
        Kind::Conflict => ABORTED,
        Kind::Unauthenticated => UNAUTHENTICATED,
        Kind::Forbidden => PERMISSION_DENIED,
        Kind::Refused => FAILED_PRECONDITION,
        Kind::Exhausted => RESOURCE_EXHAUSTED,
        Kind::Upstream | Kind::Unavailable => UNAVAILABLE,
        Kind::Timeout => DEADLINE_EXCEEDED,
        Kind::Bug => INTERNAL,
    }
}

/// Writes a status with what a caller may read of the error: message, place, hint and code, but nothing of the inside of a defect.
pub fn put_status(headers: &mut HeaderMap, code: u16, error: &Error) {
    headers.insert("grpc-status", HeaderValue::from(code));
    let message = if error.kind() == Kind::Bug { "something went wrong inside Loopwright" } else { error.message() };
    let place = error.place().and_then(|place| Some(format!(" (line {}, column {})", place.line?, place.column?)));
    let hint = error.hint_text().map(|hint| format!("\nhint: {hint}"));
    let text = format!("{message}{}{} [{}]", place.unwrap_or_default(), hint.unwrap_or_default(), error.code());
    if let Ok(value) = HeaderValue::from_str(&percent_encoded(&text)) {
        headers.insert("grpc-message", value);
    }
}

/// A failure is logged once, where it leaves the process. What callers did wrong is not our log's business.
pub fn log(error: &Error) {
    match error.kind() {
        Kind::Bug | Kind::Upstream | Kind::Unavailable | Kind::Timeout => {
            tracing::error!(code = error.code(), ?error, "A Flight SQL call failed: {}", error.message().escape_debug());
        }
        _ => tracing::debug!(code = error.code(), "A Flight SQL call was refused: {}", error.message().escape_debug()),
    }
}

/// Status messages carry printable ASCII as it is, and all else as `%` and two digits.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_headers() {
        assert_eq!(percent_encoded("100 % für\nuns"), "100 %25 f%C3%BCr%0Auns");
    }

    #[test]
    fn defects_show_nothing_of_their_inside() {
        let mut headers = HeaderMap::new();
        let error = Error::bug("the secret is 42");
        put_status(&mut headers, status_code(&error), &error);
        assert_eq!(&headers["grpc-status"], "13");
        assert!(!headers["grpc-message"].to_str().unwrap().contains("42"));
    }
}
