//! Identities: the people and services that act, and their roles.

use std::collections::BTreeSet;

use lw_core::{Actor, Change, Ctx, Draft, Result, Subject, SubjectKind, Timestamp, canonical_json};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::check_roles;
use crate::{ACTOR_DISABLED, ACTOR_EXISTS, ACTOR_NOT_FOUND, Action, BAD_ACTOR, BAD_LABEL, Identities, Role, queries};

/// A person (`ana`) or a service (`service:ci`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub actor: Actor,
    pub display_name: String,
    pub roles: BTreeSet<Role>,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
}

/// An identity to be made.
#[derive(Debug, Clone)]
pub struct NewIdentity {
    pub actor: Actor,
    /// What people call it; the actor's name if it is empty.
    pub display_name: String,
    pub roles: BTreeSet<Role>,
}

/// Roles to give and to take. A role in both is taken.
#[derive(Debug, Clone, Default)]
pub struct RoleChange {
    pub grant: BTreeSet<Role>,
    pub revoke: BTreeSet<Role>,
}

/// Something that an identity tried and may not do.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    pub action: Action,
    /// The kind of thing that it would have been done to.
    pub resource: &'static str,
    /// How often the same was refused since the last entry about it.
    pub n_unrecorded: u64,
}

impl Identity {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            actor: Actor::new(&row.text("name")?),
            display_name: row.text("display_name")?,
            roles: row.json("roles")?,
            created_at: row.time("created_at")?,
            disabled_at: row.opt_time("disabled_at")?,
        })
    }

    fn change(&self) -> Change {
        Change::put("actor")
            .key("name", &self.actor)
            .set("display_name", &self.display_name)
            .set("roles", canonical_json(&self.roles))
            .set("created_at", self.created_at)
            .set("disabled_at", self.disabled_at)
    }
}

impl Identities {
    pub async fn create(&self, ctx: &Ctx, new: NewIdentity) -> Result<Identity> {
        let NewIdentity { actor, display_name, roles } = new;
        check_actor(&actor)?;
        check_label(&display_name)?;
        check_roles(&actor, &roles)?;
        self.store
            .write(ctx, move |tx| {
                if let Some(taken) = queries::name_like(tx, &actor)? {
                    return Err(ACTOR_EXISTS.error(format!("there is an identity `{taken}` already")).hint(format!(
                        "`loopwright identity show {taken}` shows it; `loopwright identity grant {taken} ROLE` gives it a role"
                    )));
                }
                insert(tx, actor, display_name, roles)
            })
            .await
    }

    /// The identity with this name, made without roles if it is missing.
    pub(crate) async fn ensure(&self, ctx: &Ctx, actor: &Actor) -> Result<Identity> {
        check_actor(actor)?;
        let actor = actor.clone();
        self.store
            .write(ctx, move |tx| match queries::identity(tx, &actor)? {
                Some(identity) => Ok(identity),
                None => insert(tx, actor, String::new(), BTreeSet::new()),
            })
            .await
    }

    pub async fn identity(&self, actor: &Actor) -> Result<Identity> {
        let actor = actor.clone();
        self.store.read(move |reader| found(reader, &actor)).await
    }

    /// Identities by name, after the given one.
    pub async fn list(&self, after: Option<&Actor>, limit: u64) -> Result<Vec<Identity>> {
        let after = after.cloned();
        self.store.read(move |reader| queries::identities(reader, after.as_ref(), limit.clamp(1, 1000))).await
    }

    /// Gives and takes roles; they count from the next request on. A change that changes nothing records nothing.
    pub async fn change_roles(&self, ctx: &Ctx, actor: &Actor, change: RoleChange) -> Result<Identity> {
        let actor = actor.clone();
        self.store
            .write(ctx, move |tx| {
                let identity = found(tx, &actor)?;
                let roles: BTreeSet<Role> = identity.roles.union(&change.grant).copied().collect();
                let roles: BTreeSet<Role> = roles.difference(&change.revoke).copied().collect();
                check_roles(&actor, &roles)?;
                if roles == identity.roles {
                    return Ok(identity);
                }
                let payload = json!({"before": identity.roles, "after": roles});
                record(tx, "actor.change_roles", Identity { roles, ..identity }, payload)
            })
            .await
    }

    /// Keeps in the ledger that the acting identity was refused.
    pub async fn record_refusal(&self, ctx: &Ctx, refusal: Refusal) -> Result<()> {
        let Refusal { action, resource, n_unrecorded } = refusal;
        let payload = json!({"action": action, "resource": resource, "n_unrecorded": n_unrecorded});
        self.store
            .write(ctx, move |tx| {
                let subject = Subject::unversioned(SubjectKind::Actor, tx.actor().as_str());
                tx.record(Draft::new("access.refuse", subject).payload(payload)).map(drop)
            })
            .await
    }

    /// From now on none of the identity's tokens is accepted. Disabling twice records nothing.
    pub async fn disable(&self, ctx: &Ctx, actor: &Actor) -> Result<Identity> {
        let actor = actor.clone();
        self.store
            .write(ctx, move |tx| {
                let identity = found(tx, &actor)?;
                if identity.disabled_at.is_some() {
                    return Ok(identity);
                }
                let disabled_at = Some(tx.now());
                record(tx, "actor.disable", Identity { disabled_at, ..identity }, json!({}))
            })
            .await
    }

    pub async fn enable(&self, ctx: &Ctx, actor: &Actor) -> Result<Identity> {
        let actor = actor.clone();
        self.store
            .write(ctx, move |tx| {
                let identity = found(tx, &actor)?;
                if identity.disabled_at.is_none() {
                    return Ok(identity);
                }
                record(tx, "actor.enable", Identity { disabled_at: None, ..identity }, json!({}))
            })
            .await
    }
}

fn insert(tx: &mut Tx<'_>, actor: Actor, display_name: String, roles: BTreeSet<Role>) -> Result<Identity> {
    let display_name = if display_name.is_empty() { actor.to_string() } else { display_name };
    let payload = json!({"display_name": display_name, "roles": roles});
    let identity = Identity { actor, display_name, roles, created_at: tx.now(), disabled_at: None };
    record(tx, "actor.create", identity, payload)
}

fn record(tx: &mut Tx<'_>, action: &'static str, identity: Identity, payload: Value) -> Result<Identity> {
    let subject = Subject::unversioned(SubjectKind::Actor, identity.actor.as_str());
    tx.record(Draft::new(action, subject).payload(payload).change(identity.change()))?;
    Ok(identity)
}

pub(crate) fn found(reader: &mut Reader<'_>, actor: &Actor) -> Result<Identity> {
    queries::identity(reader, actor)?.ok_or_else(|| {
        ACTOR_NOT_FOUND
            .error(format!("there is nobody called `{actor}`"))
            .hint(format!("`loopwright identity list` shows everybody; `loopwright identity create {actor}` adds them"))
    })
}

pub(crate) fn enabled(identity: Identity) -> Result<Identity> {
    if identity.disabled_at.is_none() {
        return Ok(identity);
    }
    let actor = &identity.actor;
    Err(ACTOR_DISABLED
        .error(format!("`{actor}` is disabled"))
        .hint(format!("enable the identity first: `loopwright identity enable {actor}`")))
}

/// Reads who acts: a person (`ana`, `ana@example.org`) or a service (`service:ci`), 1 to 64 letters, digits and `. _ - @ +`. The
/// platform's own actors (`loopwright:monitor`) are nobody that a caller could be.
pub fn parse_actor(text: &str) -> Result<Actor> {
    let name = text.strip_prefix("service:").unwrap_or(text);
    let chars_ok = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte));
    if (1..=64).contains(&name.len()) && chars_ok {
        return Ok(Actor::new(text));
    }
    let shown: String = text.chars().take(80).collect();
    Err(BAD_ACTOR
        .error(format!("`{}` cannot name an identity", shown.escape_debug()))
        .hint("write a person like `ana` or a service like `service:ci`: 1 to 64 letters, digits and . _ - @ +"))
}

fn check_actor(actor: &Actor) -> Result<()> {
    parse_actor(actor.as_str()).map(drop)
}

/// What people read about an identity or a token: one line of up to 120 characters.
pub(crate) fn check_label(text: &str) -> Result<()> {
    if text.chars().count() <= 120 && !text.chars().any(char::is_control) {
        return Ok(());
    }
    let shown: String = text.chars().take(80).collect();
    Err(BAD_LABEL
        .error(format!("`{}` cannot be a label or display name", shown.escape_debug()))
        .hint("write one line of up to 120 characters"))
}
