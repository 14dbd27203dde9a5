//! Who may do what: the actions of requests, the roles that allow them, and the one decision.

use std::collections::BTreeSet;
use std::fmt;

use lw_core::{Actor, Result, nearest};
use serde::{Deserialize, Serialize};

use crate::{BAD_ROLE, Credential, OWN_ACCESS, ROLE_MISSING};

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Asks whether the process lives. Anyone may, without a token.
    Probe,
    /// Asks what every client must know before it works: who it is, what the endpoints take. Every valid token may.
    Connect,
    /// Looks: at definitions, versions, runs, reports, the five answers, the ledger.
    Read,
    /// Asks an endpoint for an answer.
    Predict,
    /// Makes the loop turn: applies definitions, starts runs, ingests.
    Write,
    /// Decides what answers in production.
    Deploy,
    /// Grants or refuses approval.
    Approve,
    /// Manages identities and their tokens.
    Administer,
}

impl Action {
    pub const ALL: &[Self] =
        &[Self::Probe, Self::Connect, Self::Read, Self::Predict, Self::Write, Self::Deploy, Self::Approve, Self::Administer];

    pub fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Connect => "connect",
            Self::Read => "read",
            Self::Predict => "predict",
            Self::Write => "write",
            Self::Deploy => "deploy",
            Self::Approve => "approve",
            Self::Administer => "administer",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an identity is there for. Roles add up; an identity without one can only connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    /// For the programs that use a model: they may ask endpoints and nothing else.
    Predictor,
    Engineer,
    /// For people alone.
    Approver,
    Admin,
}

impl Role {
    pub const ALL: &[Self] = &[Self::Viewer, Self::Predictor, Self::Engineer, Self::Approver, Self::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Predictor => "predictor",
            Self::Engineer => "engineer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// What the role allows, beside [`Action::Probe`] and [`Action::Connect`], which need none.
    pub fn actions(self) -> &'static [Action] {
        match self {
            Self::Viewer => &[Action::Read],
            Self::Predictor => &[Action::Predict],
            Self::Engineer => &[Action::Read, Action::Predict, Action::Write, Action::Deploy],
            Self::Approver => &[Action::Read, Action::Approve],
            Self::Admin => &[Action::Read, Action::Administer],
        }
    }

    pub fn parse(text: &str) -> Result<Self> {
        if let Some(role) = Self::ALL.iter().find(|role| role.name() == text) {
            return Ok(*role);
        }
        let shown: String = text.chars().take(40).collect();
        let error = BAD_ROLE.error(format!("`{}` is not a role", shown.escape_debug()));
        let hint = format!("the roles are {}", names(Self::ALL));
        Err(match nearest(text, Self::ALL.iter().map(|role| role.name())) {
            Some(near) => error.hint(format!("did you mean `{near}`? {hint}")),
            None => error.hint(hint),
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who sends a request, as its token proves.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Whoever holds the workspace's own token: it may do everything, and says itself who acts.
    Owner,
    /// The holder of a token of their own.
    Holder(Box<Credential>),
}

impl Caller {
    /// Everything that the caller may do.
    pub fn actions(&self) -> impl Iterator<Item = Action> {
        Action::ALL.iter().copied().filter(|action| permit(self, *action).is_ok())
    }
}

/// The one decision: whether the caller may do this. Pure, so that every surface decides alike.
///
/// ```
/// use lw_governance::{Action, Caller, permit};
///
/// assert!(permit(&Caller::Owner, Action::Administer).is_ok());
/// ```
pub fn permit(caller: &Caller, action: Action) -> Result<()> {
    let Caller::Holder(credential) = caller else { return Ok(()) };
    let identity = &credential.identity;
    let is_free = matches!(action, Action::Probe | Action::Connect);
    if is_free || identity.roles.iter().any(|role| role.actions().contains(&action)) {
        return Ok(());
    }
    let actor = &identity.actor;
    let enough: Vec<Role> = Role::ALL.iter().copied().filter(|role| role.actions().contains(&action)).collect();
    let has = if identity.roles.is_empty() { "has no role".to_owned() } else { format!("is only {}", names(&identity.roles)) };
    let example = enough.first().map_or("viewer", |role| role.name());
    Err(ROLE_MISSING.error(format!("`{actor}` may not {action}: it {has}, and this needs {}", names_or(&enough))).hint(format!(
        "an administrator can give the role: `loopwright identity grant {actor} {example}`; `loopwright whoami` shows what you may do"
    )))
}

/// Nobody changes their own access: not to gain it, and so that the last administrator cannot lock everybody out.
pub fn check_other(caller: &Caller, target: &Actor) -> Result<()> {
    match caller {
        Caller::Holder(credential) if credential.identity.actor == *target => Err(OWN_ACCESS
            .error(format!("`{target}` cannot change their own roles or state"))
            .hint("ask another administrator, or use the workspace's own token on its machine")),
        _ => Ok(()),
    }
}

/// Approval is for people: a program that approves is a gate, and belongs into the model's file.
pub(crate) fn check_roles(actor: &Actor, roles: &BTreeSet<Role>) -> Result<()> {
    if roles.contains(&Role::Approver) && !actor.is_person() {
        return Err(BAD_ROLE
            .error(format!("`{actor}` is a service and cannot be an approver"))
            .hint("only people approve; what a program can check is a gate in the model's file"));
    }
    Ok(())
}

fn names<'a>(roles: impl IntoIterator<Item = &'a Role>) -> String {
    roles.into_iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
}

fn names_or(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" or ")
}
