//! Delivering what waits in the outbox: at least once, with growing pauses between attempts, and not for ever.

use futures::future::join_all;
use lw_core::{Ctx, Digest, Result, Span, Timestamp};
use lw_store::Message;
use serde_json::Value;

use super::sender::{Attempt, Letter, send};
use super::{Webhook, WebhookStatus, Webhooks, uuid};
use crate::event::{DELIVERY_TOPIC, EventKind};
use crate::queries;

/// How many deliveries go out at once.
const AT_ONCE: u64 = 8;
/// Longer than a request may take.
const LEASE: Span = Span::from_secs(60);
const MAX_ATTEMPTS: u64 = 8;
const LONGEST_PAUSE_S: u64 = 600;

/// How long to wait after a number of failed attempts; a receiver may ask for longer.
fn pause(n_failures: u64, retry_after: Option<u64>) -> Span {
    let doubled = 1_u64.checked_shl(u32::try_from(n_failures.saturating_sub(1)).unwrap_or(u32::MAX)).unwrap_or(LONGEST_PAUSE_S);
    let seconds = doubled.max(retry_after.unwrap_or(0)).min(LONGEST_PAUSE_S);
    Span::from_secs(i64::try_from(seconds).unwrap_or(60))
}

/// What is to be done with a message after an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Done,
    Again(Span),
}

/// A pure rule: what succeeded or cannot succeed is done with; the rest is tried again a few times.
fn fate(attempt: &Attempt, n_failures: u64) -> Fate {
    let retry_after = match attempt {
        Attempt::Answered { retry_after, .. } => *retry_after,
        Attempt::Blocked(_) | Attempt::Failed(_) => None,
    };
    if attempt.is_success() || !attempt.may_pass_later() || n_failures >= MAX_ATTEMPTS {
        return Fate::Done;
    }
    Fate::Again(pause(n_failures, retry_after))
}

impl Webhooks {
    /// Delivers what is due, and returns how many messages that were: call it again until it was none.
    pub async fn deliver_due(&self, ctx: &Ctx) -> Result<u64> {
        let messages = self.store.write(ctx, |tx| tx.outbox_claim(DELIVERY_TOPIC, AT_ONCE, LEASE)).await?;
        let n_messages = messages.len() as u64;
        for delivered in join_all(messages.into_iter().map(|message| self.deliver(ctx, message))).await {
            delivered?;
        }
        Ok(n_messages)
    }

    async fn deliver(&self, ctx: &Ctx, mut message: Message) -> Result<()> {
        let Some((webhook, letter)) = self.letter(&message).await? else {
            return self.store.write(ctx, move |tx| tx.outbox_done(&message)).await;
        };
        let attempt = self.attempt(ctx, letter).await;
        let n_failures = message.payload["n_failures"].as_u64().unwrap_or(0) + u64::from(!attempt.is_success());
        let fate = fate(&attempt, n_failures);
        if !attempt.is_success() {
            let (name, will) = (&webhook.name, if fate == Fate::Done { "given up" } else { "tried again" });
            tracing::warn!(webhook.id = %webhook.id, n_failures, ?attempt, "A delivery to webhook `{name}` failed and is {will}");
        }
        message.payload["n_failures"] = n_failures.into();
        self.store
            .write(ctx, move |tx| match fate {
                Fate::Done => tx.outbox_done(&message),
                Fate::Again(pause) => tx.outbox_postpone(&message, pause),
            })
            .await
    }

    /// What a message asks to send; none if its webhook is gone, asleep, or not interested any more.
    async fn letter(&self, message: &Message) -> Result<Option<(Webhook, Letter)>> {
        let text = |key: &str| message.payload[key].as_str().unwrap_or_default().to_owned();
        let (id, event) = (text("webhook"), EventKind::parse(&text("event")));
        let at = Timestamp::parse(&text("at")).unwrap_or(Timestamp::from_micros(0));
        let (data, key) = (message.payload["data"].clone(), message.dedupe_key.clone());
        let read = self.store.read(move |reader| Ok((queries::webhook(reader, &id)?, queries::secret(reader, &id)?)));
        let (Some(webhook), secret) = read.await? else { return Ok(None) };
        let Some(event) = event.filter(|event| webhook.status == WebhookStatus::Active && webhook.events.contains(event)) else {
            return Ok(None);
        };
        let letter = Letter { url: webhook.url.clone(), secret, id: delivery_id(&key), event, at, data };
        Ok(Some((webhook, letter)))
    }

    async fn attempt(&self, ctx: &Ctx, letter: Letter) -> Attempt {
        let (reach, now) = (self.reach, ctx.now());
        let sent = tokio::task::spawn_blocking(move || send(&letter, reach, now)).await;
        sent.unwrap_or_else(|error| Attempt::Failed(format!("the delivery panicked: {error}")))
    }

    /// Sends an example of an event, of the webhook's first one if none is named, and tells what became of it.
    pub async fn test(&self, ctx: &Ctx, id: &str, event: Option<EventKind>) -> Result<Attempt> {
        let webhook = self.get(id).await?;
        let Some(event) = event.or(webhook.events.first().copied()) else {
            return Ok(Attempt::Failed("the webhook has no events".to_owned()));
        };
        let id = id.to_owned();
        let secret = self.store.read(move |reader| queries::secret(reader, &id)).await?;
        let data: Value = event.example();
        let letter = Letter { url: webhook.url, secret, id: uuid(ctx.ids.next()), event, at: ctx.now(), data };
        Ok(self.attempt(ctx, letter).await)
    }
}

/// An id that each attempt of one delivery has.
fn delivery_id(key: &str) -> String {
    let digest = Digest::of(key.as_bytes());
    let (head, _) = digest.as_bytes().split_first_chunk::<16>().expect("a digest has 32 bytes");
    uuid(u128::from_be_bytes(*head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_repeated_with_growing_pauses_and_not_for_ever() {
        let answered = |status, retry_after| Attempt::Answered { status, body: String::new(), retry_after };
        assert_eq!(fate(&answered(204, None), 0), Fate::Done);
        assert_eq!(fate(&answered(404, None), 1), Fate::Done);
        assert_eq!(fate(&Attempt::Blocked(String::new()), 1), Fate::Done);
        assert_eq!(fate(&answered(503, None), 1), Fate::Again(Span::from_secs(1)));
        assert_eq!(fate(&answered(429, Some(30)), 2), Fate::Again(Span::from_secs(30)));
        assert_eq!(fate(&Attempt::Failed(String::new()), 4), Fate::Again(Span::from_secs(8)));
        assert_eq!(fate(&answered(500, Some(1_000_000)), 1), Fate::Again(Span::from_secs(600)));
        assert_eq!(fate(&answered(500, None), MAX_ATTEMPTS), Fate::Done);
    }
}
