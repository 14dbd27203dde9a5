//! Messages that leave in the same transaction as their cause, so that neither happens without the other.
//!
//! ```text
//! tx.outbox("train", "alert/psi@3", …)      with the change that calls for it
//! tx.outbox_claim("train", 10, lease)       a worker takes the oldest ones for a while
//! tx.outbox_done(&message)                  … and says that they are delivered
//! tx.outbox_postpone(&message, pause)       … or that they shall be tried later
//! ```
//! A message whose worker dies is claimed by another one when its lease has passed: delivery is at least once.

use lw_core::{Error, Result, Scalar, Span};

use crate::{Row, Tx};

/// A message that waits for delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub topic: String,
    pub dedupe_key: String,
    /// Grows from message to message, over all topics.
    pub position: u64,
    pub payload: serde_json::Value,
}

impl Tx<'_> {
    /// Puts a message into the outbox. Returns false, and changes nothing, if the topic has had one with this key before.
    pub fn outbox(&mut self, topic: &str, dedupe_key: &str, payload: &serde_json::Value) -> Result<bool> {
        let position = next_position(self)?;
        let parameters =
            [topic.into(), dedupe_key.into(), position.into(), lw_core::canonical_json(payload).into(), Scalar::Time(self.now())];
        let n_rows = self.execute(
            "INSERT INTO outbox (topic, dedupe_key, position, payload, created_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (topic, dedupe_key) DO NOTHING",
            &parameters,
        )?;
        Ok(n_rows == 1)
    }

    /// Takes the oldest messages of a topic that nobody holds, for the length of the lease.
    pub fn outbox_claim(&mut self, topic: &str, limit: u64, lease: Span) -> Result<Vec<Message>> {
        let now = self.now();
        let rows = self.query(
            "SELECT topic, dedupe_key, position, payload FROM outbox \
             WHERE topic = $1 AND done_at IS NULL AND (claimed_until IS NULL OR claimed_until <= $2) ORDER BY position LIMIT $3",
            &[topic.into(), now.into(), limit.into()],
        )?;
        let messages = rows.iter().map(message).collect::<Result<Vec<_>>>()?;
        for message in &messages {
            let actor = self.actor().clone();
            self.execute(
                "UPDATE outbox SET claimed_by = $1, claimed_until = $2 WHERE topic = $3 AND dedupe_key = $4",
                &[(&actor).into(), (now + lease).into(), topic.into(), (&message.dedupe_key).into()],
            )?;
        }
        Ok(messages)
    }

    /// Gives a message back, with what its payload is by now. Nobody may claim it before the pause is over.
    pub fn outbox_postpone(&mut self, message: &Message, pause: Span) -> Result<()> {
        let until = self.now() + pause;
        let n_rows = self.execute(
            "UPDATE outbox SET payload = $1, claimed_by = NULL, claimed_until = $2 WHERE topic = $3 AND dedupe_key = $4",
            &[
                lw_core::canonical_json(&message.payload).into(),
                until.into(),
                (&message.topic).into(),
                (&message.dedupe_key).into(),
            ],
        )?;
        if n_rows == 1 { Ok(()) } else { Err(Error::bug(format!("the outbox has no message {message:?}"))) }
    }

    /// Says that a message is delivered. Doing so twice is no error.
    pub fn outbox_done(&mut self, message: &Message) -> Result<()> {
        let now = self.now();
        let n_rows = self.execute(
            "UPDATE outbox SET done_at = COALESCE(done_at, $1) WHERE topic = $2 AND dedupe_key = $3",
            &[now.into(), (&message.topic).into(), (&message.dedupe_key).into()],
        )?;
        if n_rows == 1 { Ok(()) } else { Err(Error::bug(format!("the outbox has no message {message:?}"))) }
    }
}

fn next_position(tx: &mut Tx<'_>) -> Result<u64> {
    let row = tx.query_opt("SELECT COALESCE(MAX(position), 0) + 1 AS position FROM outbox", &[])?;
    row.ok_or_else(|| Error::bug("an aggregate gave no row"))?.count("position")
}

fn message(row: &Row) -> Result<Message> {
    Ok(Message {
        topic: row.text("topic")?,
        dedupe_key: row.text("dedupe_key")?,
        position: row.count("position")?,
        payload: row.json("payload")?,
    })
}
