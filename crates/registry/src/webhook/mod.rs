//! Webhooks: addresses that hear of events. What they hear is left in the outbox by the transaction that causes it, and delivered
//! by [`Webhooks::deliver_due`].
//!
//! The secret that signs deliveries is written once and never given out; it stands in a table of its own, outside the ledger.

mod address;
mod delivery;
mod sender;

use lw_core::{Change, Ctx, Draft, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Store, Tx};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::event::EventKind;
use crate::{BAD_WEBHOOK, WEBHOOK_NOT_FOUND, queries};

pub use self::address::Reach;
pub use self::sender::Attempt;

/// Whether a webhook is told anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WebhookStatus {
    Active,
    Disabled,
}

impl WebhookStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Disabled => "DISABLED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Disabled].into_iter().find(|status| status.name() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: String,
    pub name: String,
    pub url: String,
    pub events: Vec<EventKind>,
    pub description: String,
    pub status: WebhookStatus,
    /// Whether deliveries are signed.
    pub has_secret: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A webhook that shall be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    pub name: String,
    pub url: String,
    pub events: Vec<EventKind>,
    pub description: String,
    pub status: WebhookStatus,
    pub secret: Option<String>,
}

/// What of a webhook shall change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookUpdate {
    pub name: Option<String>,
    pub url: Option<String>,
    pub events: Option<Vec<EventKind>>,
    pub description: Option<String>,
    pub status: Option<WebhookStatus>,
    pub secret: Option<String>,
}

/// A page of webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookPage {
    pub webhooks: Vec<Webhook>,
    pub has_more: bool,
}

/// Everything about webhooks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Webhooks {
    store: Store,
    reach: Reach,
}

/// The most webhooks of a workspace, as each event is held against all of them.
const MAX_WEBHOOKS: u64 = 1000;
const MAX_URL_BYTES: usize = 2000;

impl Webhook {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        let events: Vec<String> = row.json("events")?;
        Ok(Self {
            id: row.text("id")?,
            name: row.text("name")?,
            url: row.text("url")?,
            events: events.iter().filter_map(|name| EventKind::parse(name)).collect(),
            description: row.text("description")?,
            status: WebhookStatus::parse(&row.text("status")?).unwrap_or(WebhookStatus::Disabled),
            has_secret: row.bool("has_secret")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
        })
    }

    fn change(&self, deleted_at: Option<Timestamp>) -> Change {
        let events: Vec<String> = self.events.iter().map(|kind| kind.name()).collect();
        Change::put("webhook")
            .key("id", &self.id)
            .set("name", &self.name)
            .set("url", &self.url)
            .set("events", lw_core::canonical_json(&events))
            .set("description", &self.description)
            .set("status", self.status.name())
            .set("has_secret", self.has_secret)
            .set("created_at", self.created_at)
            .set("updated_at", self.updated_at)
            .set("deleted_at", deleted_at)
    }

    fn draft(&self, action: &'static str, deleted_at: Option<Timestamp>) -> Draft {
        let events: Vec<String> = self.events.iter().map(|kind| kind.name()).collect();
        let payload =
            json!({"name": self.name, "url": self.url, "events": events, "status": self.status, "is_signed": self.has_secret});
        let subject = Subject::unversioned(SubjectKind::Webhook, &self.id);
        Draft::new(action, subject).payload(payload).change(self.change(deleted_at))
    }
}

impl Webhooks {
    pub fn new(store: Store, reach: Reach) -> Self {
        Self { store, reach }
    }

    /// # Errors
    /// `bad-webhook` for a name, URL or list of events that cannot be one, and for a host that is not public.
    pub async fn create(&self, ctx: &Ctx, new: NewWebhook) -> Result<Webhook> {
        check_name(&new.name)?;
        self.check_url(&new.url).await?;
        check_events(&new.events)?;
        let id = uuid(ctx.ids.next());
        self.store
            .write(ctx, move |tx| {
                if queries::count_webhooks(tx)? >= MAX_WEBHOOKS {
                    return Err(bad(format!("there are {MAX_WEBHOOKS} webhooks already")));
                }
                let now = tx.now();
                let secret = new.secret.filter(|secret| !secret.is_empty());
                let webhook = Webhook {
                    id,
                    name: new.name,
                    url: new.url,
                    events: new.events,
                    description: new.description,
                    status: new.status,
                    has_secret: secret.is_some(),
                    created_at: now,
                    updated_at: now,
                };
                tx.record(webhook.draft("webhook.create", None))?;
                put_secret(tx, &webhook.id, secret)?;
                Ok(webhook)
            })
            .await
    }

    pub async fn get(&self, id: &str) -> Result<Webhook> {
        let id = id.to_owned();
        self.store.read(move |reader| found(reader, &id)).await
    }

    /// Webhooks, newest first.
    pub async fn list(&self, offset: u64, limit: u64) -> Result<WebhookPage> {
        let mut webhooks = self.store.read(move |reader| queries::webhooks(reader, offset, limit + 1)).await?;
        let has_more = webhooks.len() as u64 > limit;
        webhooks.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(WebhookPage { webhooks, has_more })
    }

    pub async fn update(&self, ctx: &Ctx, id: &str, update: WebhookUpdate) -> Result<Webhook> {
        self.get(id).await?;
        update.name.as_deref().map_or(Ok(()), check_name)?;
        if let Some(url) = &update.url {
            self.check_url(url).await?;
        }
        update.events.as_deref().map_or(Ok(()), check_events)?;
        let id = id.to_owned();
        self.store
            .write(ctx, move |tx| {
                let before = found(tx, &id)?;
                let webhook = Webhook {
                    name: update.name.unwrap_or(before.name),
                    url: update.url.unwrap_or(before.url),
                    events: update.events.unwrap_or(before.events),
                    description: update.description.unwrap_or(before.description),
                    status: update.status.unwrap_or(before.status),
                    has_secret: update.secret.as_ref().map_or(before.has_secret, |secret| !secret.is_empty()),
                    updated_at: tx.now(),
                    ..before
                };
                tx.record(webhook.draft("webhook.update", None))?;
                if let Some(secret) = update.secret {
                    put_secret(tx, &webhook.id, Some(secret).filter(|secret| !secret.is_empty()))?;
                }
                Ok(webhook)
            })
            .await
    }

    /// Deletes a webhook. What waits for it in the outbox is dropped.
    pub async fn delete(&self, ctx: &Ctx, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.store
            .write(ctx, move |tx| {
                let now = tx.now();
                let webhook = Webhook { updated_at: now, ..found(tx, &id)? };
                tx.record(webhook.draft("webhook.delete", Some(now)))?;
                put_secret(tx, &webhook.id, None)
            })
            .await
    }

    /// Where the URL leads is looked up off the threads that serve others.
    async fn check_url(&self, url: &str) -> Result<()> {
        let (reach, url) = (self.reach, url.to_owned());
        if url.len() > MAX_URL_BYTES {
            return Err(bad(format!("the URL has more than {MAX_URL_BYTES} bytes")));
        }
        let checked = tokio::task::spawn_blocking(move || reach.check(&url)).await;
        checked.unwrap_or_else(|error| Err(lw_core::Error::bug("checking a URL panicked").cause(error)))
    }
}

fn found(reader: &mut Reader<'_>, id: &str) -> Result<Webhook> {
    queries::webhook(reader, id)?.ok_or_else(|| {
        let shown: String = id.chars().take(80).collect();
        WEBHOOK_NOT_FOUND.error(format!("Webhook with ID {shown} not found.")).hint("list the webhooks to see their ids")
    })
}

fn put_secret(tx: &mut Tx<'_>, webhook: &str, secret: Option<String>) -> Result<()> {
    match secret {
        Some(secret) => queries::set_secret(tx, webhook, &secret),
        None => queries::remove_secret(tx, webhook),
    }
}

fn check_name(name: &str) -> Result<()> {
    let edges_ok = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    let body_ok = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if edges_ok && body_ok && name.len() <= 63 {
        return Ok(());
    }
    let shown: String = name.chars().take(100).collect();
    Err(bad(format!(
        "Webhook name '{shown}' is invalid. It must start and end with a letter or digit, be less than 63 characters long, and \
         contain only letters, digits, dots (.), underscores (_), and hyphens (-)."
    )))
}

fn check_events(events: &[EventKind]) -> Result<()> {
    if events.is_empty() {
        return Err(bad("Webhook events must be a non-empty list of WebhookEvent objects: [].".to_owned()));
    }
    Ok(())
}

fn bad(message: String) -> lw_core::Error {
    BAD_WEBHOOK.error(message).hint("a webhook has a short name, a public https address and at least one event")
}

/// 128 bits in the form of RFC 9562.
fn uuid(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
