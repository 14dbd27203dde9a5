//! Identities: the people and services that act.

use lw_core::{Actor, Change, Ctx, Draft, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::{ACTOR_DISABLED, ACTOR_NOT_FOUND, BAD_ACTOR, Identities, queries};

/// A person (`ana`) or a service (`service:ci`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub actor: Actor,
    pub display_name: String,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
}

impl Identity {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            actor: Actor::new(&row.text("name")?),
            display_name: row.text("display_name")?,
            created_at: row.time("created_at")?,
            disabled_at: row.opt_time("disabled_at")?,
        })
    }

    fn change(&self) -> Change {
        Change::put("actor")
            .key("name", &self.actor)
            .set("display_name", &self.display_name)
            .set("created_at", self.created_at)
            .set("disabled_at", self.disabled_at)
    }
}

impl Identities {
    /// The identity with this name, made if it is missing.
    pub async fn ensure(&self, ctx: &Ctx, actor: &Actor, display_name: &str) -> Result<Identity> {
        check_name(actor)?;
        let (actor, display_name) = (actor.clone(), display_name.to_owned());
        self.store.write(ctx, move |tx| ensure(tx, actor, display_name)).await
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
                change(tx, "actor.disable", Identity { disabled_at, ..identity })
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
                change(tx, "actor.enable", Identity { disabled_at: None, ..identity })
            })
            .await
    }
}

pub(crate) fn ensure(tx: &mut Tx<'_>, actor: Actor, display_name: String) -> Result<Identity> {
    if let Some(identity) = queries::identity(tx, &actor)? {
        return Ok(identity);
    }
    let identity = Identity { actor, display_name, created_at: tx.now(), disabled_at: None };
    change(tx, "actor.create", identity)
}

fn change(tx: &mut Tx<'_>, action: &'static str, identity: Identity) -> Result<Identity> {
    let subject = Subject::unversioned(SubjectKind::Actor, identity.actor.as_str());
    tx.record(Draft::new(action, subject).change(identity.change()))?;
    Ok(identity)
}

pub(crate) fn found(reader: &mut Reader<'_>, actor: &Actor) -> Result<Identity> {
    queries::identity(reader, actor)?.ok_or_else(|| ACTOR_NOT_FOUND.error(format!("there is nobody called `{actor}`")))
}

pub(crate) fn enabled(identity: Identity) -> Result<Identity> {
    if identity.disabled_at.is_none() {
        return Ok(identity);
    }
    Err(ACTOR_DISABLED.error(format!("`{}` is disabled", identity.actor)).hint("enable the identity first"))
}

/// A name is what stands in ledger entries: 1 to 120 visible characters without spaces; `kind:` in front of what is no person.
pub(crate) fn check_name(actor: &Actor) -> Result<()> {
    let name = actor.as_str();
    let chars_ok = name.chars().all(|c| c.is_alphanumeric() || "._-@+:".contains(c));
    if !name.is_empty() && name.len() <= 120 && chars_ok && !name.starts_with(':') && !name.ends_with(':') {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(BAD_ACTOR
        .error(format!("`{}` cannot name an identity", shown.escape_debug()))
        .hint("a name has 1 to 120 letters, digits and `. _ - @ +`, like `ana`; a service is written `service:ci`"))
}
