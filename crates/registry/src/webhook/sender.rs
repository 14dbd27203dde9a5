//! One request to one webhook, signed as MLflow signs it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use lw_core::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::Reach;
use crate::event::EventKind;

const DEADLINE: Duration = Duration::from_secs(30);
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// What is sent where.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub url: String,
    pub secret: Option<String>,
    /// The same for each attempt, so that a receiver can tell a repetition.
    pub id: String,
    pub event: EventKind,
    /// When it happened.
    pub at: Timestamp,
    pub data: Value,
}

/// What became of one attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    Answered {
        status: u16,
        body: String,
        retry_after: Option<u64>,
    },
    /// The host is not one that may be reached.
    Blocked(String),
    Failed(String),
}

impl Attempt {
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status, .. } if *status < 400)
    }

    /// Whether the same request may succeed later.
    pub(super) fn may_pass_later(&self) -> bool {
        match self {
            Self::Answered { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
            Self::Blocked(_) => false,
            Self::Failed(_) => true,
        }
    }
}

/// Looks names up, and gives out only addresses that may be reached. The connection goes to these very addresses, so that an
/// answer of the name server that changes in between leads nowhere else.
#[derive(Debug)]
struct Lookout(Reach);

impl Resolver for Lookout {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        for address in found.iter().filter(|address| self.0.allows(address.ip())) {
            allowed.push(*address);
        }
        if allowed.is_empty() {
            let shown: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
            let why = format!("{BLOCKED}{} is not a public IP address", shown.join(", "));
            return Err(ureq::Error::Io(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why)));
        }
        Ok(allowed)
    }
}

const BLOCKED: &str = "Webhook connection blocked: ";

/// Sends a letter and waits for the answer. Redirects are not followed.
pub(super) fn send(letter: &Letter, reach: Reach, now: Timestamp) -> Attempt {
    let body = json!({
        "entity": letter.event.entity(),
        "action": letter.event.action(),
        "timestamp": letter.at.to_string().replace('Z', "+00:00"),
        "data": letter.data,
    })
    .to_string();
    let seconds = (now.micros() / 1_000_000).to_string();
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(DEADLINE))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .proxy(None)
        .build();
    let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), Lookout(reach));
    let mut request = agent
        .post(&letter.url)
        .header("Content-Type", "application/json")
        .header("X-MLflow-Delivery-Id", &letter.id)
        .header("X-MLflow-Timestamp", &seconds);
    if let Some(secret) = &letter.secret {
        request = request.header("X-MLflow-Signature", signature(secret, &letter.id, &seconds, &body));
    }
    match request.send(body) {
        Ok(mut answer) => {
            let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            let status = answer.status().as_u16();
            let read = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).lossy_utf8(true).read_to_string();
            Attempt::Answered { status, body: read.unwrap_or_default(), retry_after }
        }
        Err(error) => {
            let text = error.to_string();
            match text.find(BLOCKED) {
                Some(start) => Attempt::Blocked(text.get(start..).unwrap_or_default().to_owned()),
                None => Attempt::Failed(text),
            }
        }
    }
}

/// `v1,` and the HMAC-SHA256 (RFC 2104) over id, time and body, joined by points.
fn signature(secret: &str, id: &str, seconds: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_signed_as_mlflow_signs_them() {
        // Computed by MLflow 3.18's own function.
        assert_eq!(signature("s3cret", "id-1", "1700000000", r#"{"a": 1}"#), "v1,YW5PRvKTy+IERaaAfKQzg15qWC7EzIzNmMWjrKRbRvY=");
    }
}
