//! Promotion: the one way for a version to become champion, and the way back.

use lw_core::{Change, Ctx, Digest, Draft, ModelName, Result, Subject, SubjectKind};
use lw_store::{Reader, Tx};
use serde::{Deserialize, Serialize};

use crate::{
    APPROVALS_MISSING, Alias, AliasPointer, ApprovalState, CHAMPION_CHANGED, GATES_REFUSED, GateDefinition, GateReport,
    ModelVersion, NEVER_CHAMPION, Registry, alias, decide, evaluation, queries, standing, version,
};

/// A version that shall become champion, and what stands before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Promotion {
    pub model: ModelName,
    pub version: u64,
    /// The gates of the model's file.
    pub gates: Vec<GateDefinition>,
    /// How many people must have approved.
    pub n_approvals: u64,
    /// The champion that the caller wants to replace. If another one serves by now, nothing happens.
    pub replaces: Option<u64>,
}

/// Whether a version may become champion, and if not, why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Readiness {
    pub report: Digest,
    pub gates: GateReport,
    pub approvals: ApprovalState,
}

/// A promotion that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promoted {
    pub pointer: AliasPointer,
    pub previous: Option<u64>,
}

impl Readiness {
    pub fn is_ready(&self) -> bool {
        self.gates.has_passed() && matches!(self.approvals, ApprovalState::Granted { .. })
    }
}

impl Registry {
    /// Whether a promotion would succeed now.
    pub async fn readiness(&self, promotion: &Promotion) -> Result<Readiness> {
        let promotion = promotion.clone();
        self.store
            .read(move |reader| {
                let of = version::found(reader, &promotion.model, promotion.version)?;
                readiness_in(reader, &of, &promotion)
            })
            .await
    }

    /// Makes a version the champion. Gates and approvals are checked in the same transaction, against the report and the champion of
    /// that moment. Promoting the champion again changes nothing.
    pub async fn promote(&self, ctx: &Ctx, promotion: Promotion) -> Result<Promoted> {
        promotion.gates.iter().try_for_each(GateDefinition::check)?;
        self.store.write(ctx, move |tx| promote_in(tx, &promotion)).await
    }

    /// Makes an earlier champion the champion again. It passed its gates then, so that none stand before it now.
    pub async fn roll_back(&self, ctx: &Ctx, model: impl Into<ModelName>, version: u64, reason: &str) -> Result<Promoted> {
        let (model, reason) = (model.into(), reason.to_owned());
        self.store.write(ctx, move |tx| roll_back_in(tx, &model, version, &reason)).await
    }
}

/// [`Registry::readiness`] inside a transaction of the caller's.
pub fn readiness_in(reader: &mut Reader<'_>, of: &ModelVersion, promotion: &Promotion) -> Result<Readiness> {
    let attached = evaluation::attached(reader, &of.model, of.version)?;
    let champion = alias::champion_label(reader, &of.model, of.version)?;
    let approvals = queries::approvals(reader, &of.model, of.version)?;
    Ok(Readiness {
        report: attached.report,
        gates: decide(&promotion.gates, &attached.facts, champion.as_deref()),
        approvals: standing(of, &attached.report, &approvals, promotion.n_approvals),
    })
}

/// [`Registry::promote`] inside a transaction of the caller's, so that the champion and what serves it change together.
pub fn promote_in(tx: &mut Tx<'_>, promotion: &Promotion) -> Result<Promoted> {
    let of = version::found(tx, &promotion.model, promotion.version)?;
    let previous = queries::alias(tx, &of.model, &Alias::champion())?;
    if let Some(pointer) = previous.as_ref().filter(|pointer| pointer.version == of.version) {
        return Ok(Promoted { pointer: pointer.clone(), previous: Some(of.version) });
    }
    let previous = previous.map(|pointer| pointer.version);
    if previous != promotion.replaces {
        let name = |version: Option<u64>| version.map_or("none".to_owned(), |version| format!("version {version}"));
        return Err(CHAMPION_CHANGED
            .error(format!("the champion of `{}` is {}, not {}", of.model, name(previous), name(promotion.replaces)))
            .hint("evaluate the version against the champion of now, then promote it again"));
    }
    let readiness = readiness_in(tx, &of, promotion)?;
    require_ready(&of, &readiness)?;
    let details =
        serde_json::json!({"gates": readiness.gates.summary(), "approvals": readiness.approvals, "report": readiness.report});
    let details = details.as_object().cloned().unwrap_or_default();
    let pointer = alias::point(tx, "alias.promote", &of, Alias::champion(), details)?;
    Ok(Promoted { pointer, previous })
}

/// Refuses a version that may not become champion, and says why.
pub fn require_ready(of: &ModelVersion, readiness: &Readiness) -> Result<()> {
    if !readiness.gates.has_passed() {
        return Err(GATES_REFUSED
            .error(format!("the gates refuse {}: {}", of.label(), readiness.gates.summary()))
            .hint("train a better version, or change the gates in the model's file and have the change reviewed"));
    }
    match &readiness.approvals {
        ApprovalState::Granted { .. } => Ok(()),
        ApprovalState::Waiting { n_missing, .. } => Err(APPROVALS_MISSING
            .error(format!("{} lacks {n_missing} approval(s)", of.label()))
            .hint("somebody who had no hand in it must read the report and approve")),
        ApprovalState::Refused { by, reason } => Err(APPROVALS_MISSING
            .error(format!("`{by}` refused {}: {reason}", of.label()))
            .hint("answer the refusal with another version")),
    }
}

/// Takes the champion's name from whichever version has it, inside a transaction of the caller's that takes it out of service. The
/// next version is then a first one: nothing that was approved before lets it go live by itself.
pub fn retire_champion_in(tx: &mut Tx<'_>, model: &ModelName, reason: &str) -> Result<Option<u64>> {
    let Some(pointer) = queries::alias(tx, model, &Alias::champion())? else {
        return Ok(None);
    };
    let change = Change::remove("model_alias").key("model", model).key("alias", Alias::champion().as_str());
    let subject = Subject::new(SubjectKind::ModelVersion, model, pointer.version);
    let payload = serde_json::json!({"alias": Alias::champion(), "reason": reason});
    tx.record(Draft::new("alias.remove", subject).payload(payload).change(change))?;
    Ok(Some(pointer.version))
}

/// [`Registry::roll_back`] inside a transaction of the caller's.
pub fn roll_back_in(tx: &mut Tx<'_>, model: &ModelName, version: u64, reason: &str) -> Result<Promoted> {
    let of = version::found(tx, model, version)?;
    if !queries::was_champion(tx, &of)? {
        return Err(NEVER_CHAMPION
            .error(format!("{} has never been champion, so there is nothing to roll back to", of.label()))
            .hint("promote it instead: then its gates and approvals are checked"));
    }
    let previous = queries::alias(tx, model, &Alias::champion())?.map(|pointer| pointer.version);
    let details = [("reason".to_owned(), reason.into())].into_iter().collect();
    let pointer = alias::point(tx, "alias.roll_back", &of, Alias::champion(), details)?;
    Ok(Promoted { pointer, previous })
}
