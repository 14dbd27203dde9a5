//! What every request passes before it reaches a handler, known route or not: names, identity, permission, an id, a deadline.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lw_core::{Actor, Ctx, Result};
use lw_governance::{Action, Caller, Purpose, Refusal, parse_actor, permit};

use crate::app::App;
use crate::exposure::{Authentication, check_names};
use crate::failures::{FOREIGN_ACTOR, REQUEST_TIMEOUT, TOKEN_MISSING};
use crate::problem::{Problem, REQUEST};
use crate::token::LOCAL_ACTOR;

/// Names the request in logs, the ledger and the prediction log. Callers may choose it.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Who acts, as a caller with the workspace's own token says: that token shows that the caller may use the workspace, not who
/// sits there. A token of somebody's own acts for its holder alone.
pub const ACTOR: HeaderName = HeaderName::from_static("x-loopwright-actor");

/// What stands before a handler: the action that it needs.
#[derive(Clone)]
pub struct Gate {
    pub app: App,
    pub action: Action,
    /// The kind of thing that it is done to.
    pub resource: &'static str,
    pub speech: Speech,
    /// How long the handler may take; none for what streams.
    pub timeout: Option<Duration>,
    /// Whether only this machine reaches the address at which the caller comes in.
    pub is_loopback: bool,
}

/// The form in which a client reads refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    Native,
    Mlflow,
}

impl Speech {
    fn refuse(self, error: lw_core::Error) -> Response {
        match self {
            Self::Native => Problem(error).into_response(),
            Self::Mlflow => lw_mlflow::Refusal::from(error).into_response(),
        }
    }
}

/// The one middleware. Handlers find the request's [`Ctx`] and its [`Caller`] among the extensions.
pub async fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let app = &gate.app;
    let request_id = request_id(request.headers().get(REQUEST_ID)).unwrap_or_else(|| app.platform().ids.next_hex().into());
    let answer = async {
        match admit(&gate, request.headers(), request.uri(), &request_id).await {
            Ok((ctx, caller)) => {
                request.extensions_mut().insert(ctx);
                request.extensions_mut().insert(caller);
                match gate.timeout {
                    None => next.run(request).await,
                    Some(timeout) => match tokio::time::timeout(timeout, next.run(request)).await {
                        Ok(response) => response,
                        Err(_) => gate.speech.refuse(timed_out(timeout)),
                    },
                }
            }
            Err(error) => gate.speech.refuse(error),
        }
    };
    let mut response = REQUEST.scope(Arc::clone(&request_id), answer).await;
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Who calls, if they may do what the gate asks for.
pub(crate) async fn admit(gate: &Gate, headers: &HeaderMap, uri: &Uri, request_id: &Arc<str>) -> Result<(Ctx, Caller)> {
    let app = &gate.app;
    check_names(headers, uri, gate.is_loopback)?;
    let claimed = headers.get(ACTOR).map(parse_claim).transpose()?;
    let is_open = app.access().authentication == Authentication::None || gate.action == Action::Probe;
    let ctx = app.ctx(claimed.clone().unwrap_or_else(|| Actor::new(LOCAL_ACTOR)), Arc::clone(request_id));
    let caller = if is_open { Caller::Owner } else { authenticate(app, headers, &ctx).await? };
    let Caller::Holder(credential) = &caller else { return Ok((ctx, caller)) };
    let identity = &credential.identity;
    if let Err(refused) = permit(&caller, gate.action) {
        remember(gate, &ctx.acting_as(identity.actor.clone())).await;
        return Err(refused);
    }
    match claimed {
        Some(claimed) if claimed != identity.actor => Err(FOREIGN_ACTOR
            .error(format!("the token of `{}` cannot act as `{claimed}`", identity.actor))
            .hint(format!("leave `{ACTOR}` (on the command line `--as`) out; a token of somebody's own acts for its holder"))),
        _ => Ok((ctx.acting_as(identity.actor.clone()), caller)),
    }
}

/// Has the ledger remember that somebody tried what they may not do.
async fn remember(gate: &Gate, ctx: &Ctx) {
    let Some(n_unrecorded) = gate.app.refusals().note(&ctx.actor, gate.action, ctx.now()) else { return };
    let refusal = Refusal { action: gate.action, resource: gate.resource, n_unrecorded };
    if let Err(error) = gate.app.identities().record_refusal(ctx, refusal).await {
        tracing::error!(?error, actor = %ctx.actor, "A refusal could not be recorded: {error}");
    }
}

/// Accepts `Bearer TOKEN`, and `Basic` with the token as password so that a browser can show the status page.
async fn authenticate(app: &App, headers: &HeaderMap, ctx: &Ctx) -> Result<Caller> {
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return Err(TOKEN_MISSING
            .error("this server asks for a token")
            .hint("send `Authorization: Bearer TOKEN`; the token is in the file `token` of the workspace"));
    };
    let given = given.as_bytes();
    let basic = strip_scheme(given, b"basic ").and_then(password);
    let shown = strip_scheme(given, b"bearer ").map(<[u8]>::to_vec).or(basic).unwrap_or_default();
    if app.access().token.is(&shown) {
        return Ok(Caller::Owner);
    }
    let shown = String::from_utf8(shown).unwrap_or_default();
    let credential = app.identities().authenticate(ctx, &shown).await?;
    Ok(match credential.token.purpose {
        Purpose::Local => Caller::Owner,
        Purpose::User | Purpose::Service => Caller::Holder(Box::new(credential)),
    })
}

fn strip_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = value.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// The password of Basic credentials (RFC 7617).
fn password(encoded: &[u8]) -> Option<Vec<u8>> {
    let decoded = BASE64.decode(encoded.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}

fn parse_claim(claim: &HeaderValue) -> Result<Actor> {
    parse_actor(&String::from_utf8_lossy(claim.as_bytes()))
}

/// The id that a caller chose, if it is one.
pub(crate) fn request_id(chosen: Option<&HeaderValue>) -> Option<Arc<str>> {
    let text = chosen?.to_str().ok()?;
    let is_id = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    is_id.then(|| text.into())
}

fn timed_out(timeout: Duration) -> lw_core::Error {
    REQUEST_TIMEOUT
        .error(format!("the request took longer than {} s", timeout.as_secs()))
        .hint("ask for less at once; what the request began may still come to its end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_what_follows_the_first_colon() {
        let check = |encoded: &str, want: Option<&str>| {
            assert_eq!(password(encoded.as_bytes()).as_deref(), want.map(str::as_bytes), "{encoded}");
        };
        check("YW5hOmx3X2E6Yg==", Some("lw_a:b"));
        check(" OnB3 ", Some("pw"));
        check("YW5hOg==", Some(""));
        check("YW5h", None);
        check("YW5hOmx3!", None);
        check("", None);
    }
}
