//! The statements about webhooks.

use lw_core::{Error, Result};
use lw_store::{Reader, Tx};

use crate::event::EventKind;
use crate::webhook::Webhook;

pub(crate) fn webhook(reader: &mut Reader<'_>, id: &str) -> Result<Option<Webhook>> {
    let sql = "SELECT * FROM webhook WHERE id = $1 AND deleted_at IS NULL";
    reader.query_opt(sql, &[id.into()])?.as_ref().map(Webhook::of).transpose()
}

/// Newest first.
pub(crate) fn webhooks(reader: &mut Reader<'_>, offset: u64, limit: u64) -> Result<Vec<Webhook>> {
    let rows = reader.query(
        "SELECT * FROM webhook WHERE deleted_at IS NULL ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2",
        &[limit.into(), offset.into()],
    )?;
    rows.iter().map(Webhook::of).collect()
}

pub(crate) fn count_webhooks(reader: &mut Reader<'_>) -> Result<u64> {
    let row = reader.query_opt("SELECT COUNT(*) AS n FROM webhook WHERE deleted_at IS NULL", &[])?;
    row.ok_or_else(|| Error::bug("an aggregate gave no row"))?.count("n")
}

/// The ids of the webhooks that want to hear of an event.
pub(crate) fn listeners(reader: &mut Reader<'_>, kind: EventKind) -> Result<Vec<String>> {
    let rows = reader.query(
        "SELECT id FROM webhook WHERE deleted_at IS NULL AND status = 'ACTIVE' AND events LIKE $1 ORDER BY id",
        &[format!("%\"{}\"%", kind.name()).into()],
    )?;
    rows.iter().map(|row| row.text("id")).collect()
}

pub(crate) fn secret(reader: &mut Reader<'_>, webhook: &str) -> Result<Option<String>> {
    let row = reader.query_opt("SELECT secret FROM webhook_secret WHERE webhook = $1", &[webhook.into()])?;
    row.map(|row| row.text("secret")).transpose()
}

pub(crate) fn set_secret(tx: &mut Tx<'_>, webhook: &str, secret: &str) -> Result<()> {
    let sql = "INSERT INTO webhook_secret (webhook, secret) VALUES ($1, $2) ON CONFLICT (webhook) DO UPDATE SET secret = excluded.secret";
    tx.execute(sql, &[webhook.into(), secret.into()]).map(drop)
}

pub(crate) fn remove_secret(tx: &mut Tx<'_>, webhook: &str) -> Result<()> {
    tx.execute("DELETE FROM webhook_secret WHERE webhook = $1", &[webhook.into()]).map(drop)
}
