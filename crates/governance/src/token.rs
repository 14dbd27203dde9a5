//! Tokens: what a program shows to act as an identity.
//!
//! A token reads `lw_<purpose>_<id>_<secret>`. The secret is 32 random bytes and is shown once; the database keeps the SHA-256 of the
//! whole text, which is enough for a secret that cannot be guessed. The prefix lets secret scanners find tokens in code.

use std::fmt;

use lw_core::{Actor, Change, Ctx, Digest, Draft, Error, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::{BAD_TOKEN, Identities, TOKEN_NOT_FOUND, identity, queries};

/// What is known about a token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: String,
    pub actor: Actor,
    pub label: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    #[serde(skip)]
    pub(crate) hash: Option<Digest>,
}

/// A token that was just made. Its text is never shown again.
pub struct NewToken {
    pub token: Token,
    text: String,
}

impl NewToken {
    /// The text to hand to whoever will use the token.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken").field("token", &self.token).finish_non_exhaustive()
    }
}

/// What a token is for; it becomes part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// In the workspace's token file.
    Local,
    User,
    Service,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::User => "user",
            Self::Service => "service",
        }
    }
}

impl Token {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            actor: Actor::new(&row.text("actor")?),
            label: row.text("label")?,
            created_at: row.time("created_at")?,
            expires_at: row.opt_time("expires_at")?,
            revoked_at: row.opt_time("revoked_at")?,
            hash: row.opt_digest("hash")?,
        })
    }

    fn change(&self) -> Change {
        Change::put("token")
            .key("id", &self.id)
            .set("actor", &self.actor)
            .set("hash", self.hash)
            .set("label", &self.label)
            .set("created_at", self.created_at)
            .set("expires_at", self.expires_at)
            .set("revoked_at", self.revoked_at)
    }

    fn subject(&self) -> Subject {
        Subject::unversioned(SubjectKind::Actor, self.actor.as_str())
    }

    fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

impl Identities {
    /// Makes a token for an identity that exists and is not disabled.
    pub async fn create_token(&self, ctx: &Ctx, actor: &Actor, label: &str, expires_at: Option<Timestamp>) -> Result<NewToken> {
        let purpose = if actor.is_person() { Purpose::User } else { Purpose::Service };
        self.create_token_for(ctx, actor, label, expires_at, purpose).await
    }

    pub(crate) async fn create_token_for(
        &self,
        ctx: &Ctx,
        actor: &Actor,
        label: &str,
        expires_at: Option<Timestamp>,
        purpose: Purpose,
    ) -> Result<NewToken> {
        let (actor, label, id) = (actor.clone(), label.to_owned(), ctx.ids.next_hex());
        // A secret must not be reproducible, so that it alone comes from the system and not from the context.
        let secret: [u8; 32] = rand::random();
        let text = format!("lw_{}_{id}_{}", purpose.name(), hex::encode(secret));
        let hash = Some(Digest::of(text.as_bytes()));
        let token = self
            .store
            .write(ctx, move |tx| {
                let identity = identity::enabled(identity::found(tx, &actor)?)?;
                let token = Token { id, actor: identity.actor, label, created_at: tx.now(), expires_at, revoked_at: None, hash };
                record(tx, "token.create", token)
            })
            .await?;
        Ok(NewToken { token, text })
    }

    /// Who shows this token. Every failure is the same one, so that an answer tells nothing about which tokens exist.
    pub async fn authenticate(&self, ctx: &Ctx, text: &str) -> Result<Actor> {
        let (now, shown) = (ctx.now(), Digest::of(text.as_bytes()));
        let Some(id) = id_of(text) else { return Err(refused()) };
        self.store.read(move |reader| authenticate(reader, &id, &shown, now)).await
    }

    /// Takes a token back for good. Revoking it twice records nothing.
    pub async fn revoke_token(&self, ctx: &Ctx, id: &str) -> Result<Token> {
        let id = id.to_owned();
        self.store
            .write(ctx, move |tx| {
                let token = queries::token(tx, &id)?;
                let token = token.ok_or_else(|| TOKEN_NOT_FOUND.error("there is no token with this id"))?;
                if token.revoked_at.is_some() {
                    return Ok(token);
                }
                let revoked_at = Some(tx.now());
                record(tx, "token.revoke", Token { revoked_at, ..token })
            })
            .await
    }

    /// The tokens of an identity, newest first.
    pub async fn tokens(&self, actor: &Actor) -> Result<Vec<Token>> {
        let actor = actor.clone();
        self.store.read(move |reader| queries::tokens(reader, &actor)).await
    }
}

fn record(tx: &mut Tx<'_>, action: &'static str, token: Token) -> Result<Token> {
    let payload = serde_json::json!({"token": token.id, "label": token.label, "expires_at": token.expires_at});
    tx.record(Draft::new(action, token.subject()).payload(payload).change(token.change()))?;
    Ok(token)
}

/// Looks up by id, then compares hashes in constant time. An unknown id compares with a hash of its own, to take as long.
fn authenticate(reader: &mut Reader<'_>, id: &str, shown: &Digest, now: Timestamp) -> Result<Actor> {
    let token = queries::token(reader, id)?;
    let expected = token.as_ref().and_then(|token| token.hash).unwrap_or_else(|| Digest::of(b"no such token"));
    let is_same = is_equal(expected.as_bytes(), shown.as_bytes());
    let token = token.filter(|token| is_same && token.is_valid(now)).ok_or_else(refused)?;
    let identity = queries::identity(reader, &token.actor)?.filter(|identity| identity.disabled_at.is_none());
    identity.map(|identity| identity.actor).ok_or_else(refused)
}

/// Looks at every byte, whatever the first ones say.
fn is_equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

fn id_of(text: &str) -> Option<String> {
    let mut parts = text.strip_prefix("lw_")?.split('_');
    let (_purpose, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, n_digits: usize| part.len() == n_digits && part.bytes().all(|b| b.is_ascii_hexdigit());
    (is_hex(id, 32) && is_hex(secret, 64) && parts.next().is_none()).then(|| id.to_owned())
}

fn refused() -> Error {
    BAD_TOKEN
        .error("the token is not accepted")
        .hint("it may be mistyped, expired or revoked; on the server's machine the CLI finds the workspace's token by itself")
}
