//! Tokens: what a program shows to act as an identity.
//!
//! A token reads `lw_<purpose>_<id>_<secret>`. The secret is 32 random bytes and is shown once; the database keeps the SHA-256 of the
//! whole text, which is enough for a secret that cannot be guessed. The prefix lets secret scanners find tokens in code.

use std::fmt;

use lw_core::{Actor, Change, Ctx, Digest, Draft, Error, Result, Span, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::identity::check_label;
use crate::{BAD_EXPIRY, BAD_TOKEN, Identities, Identity, TOKEN_NOT_FOUND, WORKSPACE_TOKEN, identity, queries};

/// How long a token lives if nobody says otherwise.
pub const STANDARD_LIFETIME: Span = Span::from_days(90);
/// No token lives longer: what nobody renews, nobody misses.
pub const LONGEST_LIFETIME: Span = Span::from_days(366);

/// What is known about a token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: String,
    pub actor: Actor,
    pub purpose: Purpose,
    pub label: String,
    pub created_at: Timestamp,
    /// None for the workspace's own token alone.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// In the workspace's token file: it acts for the workspace's owner.
    Local,
    User,
    Service,
}

impl Purpose {
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::User => "user",
            Self::Service => "service",
        }
    }

    /// The purpose that a token's text names, whether or not it is accepted.
    pub fn of_text(token: &str) -> Option<Self> {
        let (purpose, _) = token.strip_prefix("lw_")?.split_once('_')?;
        Self::named(purpose)
    }

    fn named(text: &str) -> Option<Self> {
        [Self::Local, Self::User, Self::Service].into_iter().find(|purpose| purpose.name() == text)
    }

    fn parse(text: &str) -> Result<Self> {
        Self::named(text).ok_or_else(|| Error::bug(format!("`{text}` is no purpose of a token")))
    }
}

/// What a token stands for at this moment, once it has been accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub identity: Identity,
    pub token: Token,
}

impl Credential {
    fn holds(&self, now: Timestamp) -> bool {
        self.token.state(now) == "active" && self.identity.disabled_at.is_none()
    }
}

impl Token {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Self::read(row, "created_at")
    }

    /// A joined row has two times of making.
    pub(crate) fn read(row: &Row, created_at: &str) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            actor: Actor::new(&row.text("actor")?),
            purpose: Purpose::parse(&row.text("purpose")?)?,
            label: row.text("label")?,
            created_at: row.time(created_at)?,
            expires_at: row.opt_time("expires_at")?,
            revoked_at: row.opt_time("revoked_at")?,
            hash: row.opt_digest("hash")?,
        })
    }

    /// `active`, `expired` or `revoked`.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(expires_at)) if now >= expires_at => "expired",
            _ => "active",
        }
    }

    fn change(&self) -> Change {
        Change::put("token")
            .key("id", &self.id)
            .set("actor", &self.actor)
            .set("purpose", self.purpose.name())
            .set("hash", self.hash)
            .set("label", &self.label)
            .set("created_at", self.created_at)
            .set("expires_at", self.expires_at)
            .set("revoked_at", self.revoked_at)
    }

    fn subject(&self) -> Subject {
        Subject::unversioned(SubjectKind::Actor, self.actor.as_str())
    }
}

impl Identities {
    /// Makes a token for an identity that exists and is not disabled.
    pub async fn create_token(&self, ctx: &Ctx, actor: &Actor, label: &str, expires_at: Timestamp) -> Result<NewToken> {
        check_label(label)?;
        check_expiry(ctx.now(), expires_at)?;
        let purpose = if actor.is_person() { Purpose::User } else { Purpose::Service };
        self.store_token(ctx, actor, label, Some(expires_at), purpose).await
    }

    /// Makes the token of the workspace's own file. Those made before it end with the same entry's transaction.
    pub(crate) async fn create_local_token(&self, ctx: &Ctx, actor: &Actor) -> Result<NewToken> {
        self.store_token(ctx, actor, "token file of the workspace", None, Purpose::Local).await
    }

    async fn store_token(
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
                let Identity { actor, .. } = identity::enabled(identity::found(tx, &actor)?)?;
                if purpose == Purpose::Local {
                    end_local_tokens(tx)?;
                }
                let token = Token { id, actor, purpose, label, created_at: tx.now(), expires_at, revoked_at: None, hash };
                record(tx, "token.create", token)
            })
            .await?;
        Ok(NewToken { token, text })
    }

    /// What this token stands for now. Every failure is the same one, so that an answer tells nothing about which tokens exist.
    pub async fn authenticate(&self, ctx: &Ctx, text: &str) -> Result<Credential> {
        let (now, shown) = (ctx.now(), Digest::of(text.as_bytes()));
        let Some(id) = id_of(text) else { return Err(refused()) };
        // Taken before the look-up: what is written during it makes the answer one of the past.
        let moment = self.store.moment();
        let remembered = moment.and_then(|moment| self.accepted.find(moment, &shown));
        if let Some(credential) = remembered.filter(|credential| credential.holds(now)) {
            return Ok(credential);
        }
        let credential = self.store.read(move |reader| authenticate(reader, &id, &shown, now)).await?;
        if let Some(moment) = moment {
            self.accepted.insert(moment, shown, credential.clone());
        }
        Ok(credential)
    }

    /// Takes a token back for good. Revoking it twice records nothing.
    pub async fn revoke_token(&self, ctx: &Ctx, id: &str) -> Result<Token> {
        self.revoke(ctx, id, None).await
    }

    /// [`Identities::revoke_token`] for tokens of one holder: those of others do not exist for it.
    pub async fn revoke_own_token(&self, ctx: &Ctx, holder: &Actor, id: &str) -> Result<Token> {
        self.revoke(ctx, id, Some(holder.clone())).await
    }

    async fn revoke(&self, ctx: &Ctx, id: &str, holder: Option<Actor>) -> Result<Token> {
        let id = id.to_owned();
        self.store
            .write(ctx, move |tx| {
                let token = queries::token(tx, &id)?.filter(|token| holder.is_none_or(|holder| token.actor == holder));
                let token = token.ok_or_else(|| {
                    TOKEN_NOT_FOUND
                        .error("there is no token with this id")
                        .hint("the id is not the token itself: `loopwright token list` shows the ids")
                })?;
                if token.purpose == Purpose::Local {
                    return Err(WORKSPACE_TOKEN.error("this is the workspace's own token, which its commands use").hint(
                        "to replace it, stop the server, delete the file `token` of the workspace and start again: the old one ends then",
                    ));
                }
                if token.revoked_at.is_some() {
                    return Ok(token);
                }
                let revoked_at = Some(tx.now());
                record(tx, "token.revoke", Token { revoked_at, ..token })
            })
            .await
    }

    /// Tokens of everybody or of one identity, newest first, after the one with the given id.
    pub async fn tokens(&self, actor: Option<&Actor>, after: Option<&str>, limit: u64) -> Result<Vec<Token>> {
        let (actor, after) = (actor.cloned(), after.map(str::to_owned));
        self.store
            .read(move |reader| {
                if let Some(actor) = &actor {
                    identity::found(reader, actor)?;
                }
                queries::tokens(reader, actor.as_ref(), after.as_deref(), limit.clamp(1, 1000))
            })
            .await
    }
}

/// A token ends after now and within [`LONGEST_LIFETIME`].
fn check_expiry(now: Timestamp, expires_at: Timestamp) -> Result<()> {
    if expires_at > now && expires_at <= now + LONGEST_LIFETIME {
        return Ok(());
    }
    Err(BAD_EXPIRY
        .error(format!("a token cannot expire at {expires_at}"))
        .hint(format!("choose a time from now on, at most {LONGEST_LIFETIME} ahead; {STANDARD_LIFETIME} is usual")))
}

fn end_local_tokens(tx: &mut Tx<'_>) -> Result<()> {
    for token in queries::standing_tokens(tx, Purpose::Local)? {
        let revoked_at = Some(tx.now());
        record(tx, "token.revoke", Token { revoked_at, ..token })?;
    }
    Ok(())
}

fn record(tx: &mut Tx<'_>, action: &'static str, token: Token) -> Result<Token> {
    let payload = serde_json::json!({
        "token": token.id, "purpose": token.purpose, "label": token.label, "expires_at": token.expires_at,
    });
    tx.record(Draft::new(action, token.subject()).payload(payload).change(token.change()))?;
    Ok(token)
}

/// Looks up by id, then compares hashes in constant time. An unknown id compares with a hash of its own, to take as long.
fn authenticate(reader: &mut Reader<'_>, id: &str, shown: &Digest, now: Timestamp) -> Result<Credential> {
    let found = queries::credential(reader, id)?;
    let expected = found.as_ref().and_then(|found| found.token.hash).unwrap_or_else(|| Digest::of(b"no such token"));
    let is_same = is_equal(expected.as_bytes(), shown.as_bytes());
    found.filter(|found| is_same && found.holds(now)).ok_or_else(refused)
}

/// Looks at every byte, whatever the first ones say.
fn is_equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b))) == 0
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
