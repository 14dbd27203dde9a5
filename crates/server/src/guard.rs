//! What every request passes before it reaches a handler, known route or not: names, identity, an id, a deadline.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use lw_core::{Actor, Ctx, Result};
use lw_governance::Identities;

use crate::app::App;
use crate::exposure::{Authentication, check_names};
use crate::failures::{FOREIGN_ACTOR, INVALID_ACTOR, REQUEST_TIMEOUT, TOKEN_MISSING};
use crate::problem::{Problem, REQUEST};
use crate::route;
use crate::token::LOCAL_ACTOR;

/// Names the request in logs, the ledger and the prediction log. Callers may choose it.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Who acts, as a caller with the workspace's own token says: that token shows that the caller may use the workspace, not who
/// sits there. A token of somebody's own acts for its holder alone.
pub const ACTOR: HeaderName = HeaderName::from_static("x-loopwright-actor");

/// The one middleware. Handlers find the request's [`Ctx`] among its extensions.
pub async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let request_id = request_id(request.headers()).unwrap_or_else(|| app.platform().ids.next_hex().into());
    let answer = async {
        match admit(&app, request.headers(), request.method(), request.uri(), &request_id).await {
            Ok(ctx) => {
                request.extensions_mut().insert(ctx);
                match tokio::time::timeout(app.limits().timeout, next.run(request)).await {
                    Ok(response) => response,
                    Err(_) => Problem(timed_out(&app)).into_response(),
                }
            }
            Err(error) => Problem(error).into_response(),
        }
    };
    let mut response = REQUEST.scope(Arc::clone(&request_id), answer).await;
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn admit(app: &App, headers: &HeaderMap, method: &Method, uri: &Uri, request_id: &Arc<str>) -> Result<Ctx> {
    check_names(headers, uri, app.access().is_loopback)?;
    let claimed = headers.get(ACTOR).map(|actor| parse_actor(actor.as_bytes())).transpose()?;
    let is_open = app.access().authentication == Authentication::None || route::is_public(method, uri.path());
    let ctx = app.ctx(claimed.clone().unwrap_or_else(|| Actor::new(LOCAL_ACTOR)), Arc::clone(request_id));
    let holder = if is_open { None } else { authenticate(app, headers, &ctx).await? };
    match (holder, claimed) {
        (None, _) => Ok(ctx),
        (Some(holder), Some(claimed)) if claimed != holder => Err(FOREIGN_ACTOR
            .error(format!("the token of `{holder}` cannot act as `{claimed}`"))
            .hint(format!("leave `{ACTOR}` out; a token of somebody's own acts for its holder"))),
        (Some(holder), _) => Ok(ctx.acting_as(holder)),
    }
}

/// Accepts `Bearer TOKEN`, and `Basic` with the token as password so that a browser can show the status page. Returns the holder
/// of a token of somebody's own; the workspace's own token has none.
async fn authenticate(app: &App, headers: &HeaderMap, ctx: &Ctx) -> Result<Option<Actor>> {
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return Err(TOKEN_MISSING
            .error("this server asks for a token")
            .hint("send `Authorization: Bearer TOKEN`; the token is in the file `token` of the workspace"));
    };
    let given = given.as_bytes();
    let basic = strip_scheme(given, b"basic ").and_then(decode_basic).map(|(_, password)| password.into_bytes());
    let shown = strip_scheme(given, b"bearer ").map(<[u8]>::to_vec).or(basic).unwrap_or_default();
    if app.access().token.is(&shown) {
        return Ok(None);
    }
    let shown = String::from_utf8(shown).unwrap_or_default();
    Identities::new(app.store().clone()).authenticate(ctx, &shown).await.map(Some)
}

fn strip_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = value.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn decode_basic(encoded: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8(decode_base64(encoded)?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// RFC 4648, section 4. Credentials are short; longer values are no credentials.
fn decode_base64(encoded: &[u8]) -> Option<Vec<u8>> {
    const MAX_BYTES: usize = 1024;
    let encoded = encoded.trim_ascii();
    let unpadded = encoded.strip_suffix(b"==").or_else(|| encoded.strip_suffix(b"=")).unwrap_or(encoded);
    if encoded.len() > MAX_BYTES {
        return None;
    }
    let mut decoded = Vec::with_capacity(unpadded.len());
    let (mut bits, mut n_bits) = (0_u32, 0);
    for byte in unpadded {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            decoded.push((bits >> n_bits & 0xff) as u8);
        }
    }
    Some(decoded)
}

/// A person (`ana`, `ana@example.org`) or a service (`service:ci`). The platform's own actors cannot be claimed.
fn parse_actor(bytes: &[u8]) -> Result<Actor> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let name = text.strip_prefix("service:").unwrap_or(text);
    let is_name = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@' | b'+'));
    if is_name {
        return Ok(Actor::new(text));
    }
    Err(INVALID_ACTOR
        .error("the name of the actor has a form that is not allowed")
        .hint("write a person like `ana`, or a service like `service:ci`: letters, digits and . _ - @ +"))
}

fn request_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_id = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    is_id.then(|| text.into())
}

fn timed_out(app: &App) -> lw_core::Error {
    REQUEST_TIMEOUT
        .error(format!("the request took longer than {} s", app.limits().timeout.as_secs()))
        .hint("ask for less at once; what the request began may still come to its end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_the_standard_says() {
        for (encoded, plain) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmE=", "fooba"), ("YW5hOmx3", "ana:lw")]
        {
            assert_eq!(decode_base64(encoded.as_bytes()).unwrap(), plain.as_bytes(), "{encoded}");
        }
        assert_eq!(decode_base64(b"Zm9v!"), None);
        assert_eq!(decode_base64(&vec![b'A'; 5000]), None);
    }

    #[test]
    fn nobody_claims_to_be_the_platform() {
        for good in ["ana", "ana@example.org", "service:ci"] {
            assert_eq!(parse_actor(good.as_bytes()).unwrap().as_str(), good);
        }
        for bad in ["", "loopwright:monitor", "ana\n", "a b", "service:", "é", &"a".repeat(65)] {
            assert!(parse_actor(bad.as_bytes()).unwrap_err().is(INVALID_ACTOR), "{bad:?}");
        }
    }
}
