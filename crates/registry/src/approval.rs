//! Approvals: a person says yes or no to exactly what they saw.

use lw_core::{Actor, Change, Ctx, Digest, Draft, ModelName, Result, Timestamp};
use lw_store::{Row, Tx};
use serde::{Deserialize, Serialize};

use crate::{
    APPROVAL_FORBIDDEN, APPROVAL_REFUSED, GATES_REFUSED, ModelVersion, REASON_MISSING, REPORT_CHANGED, Registry, evaluation,
    queries, version,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Granted,
    Refused,
}

/// What a person decided about a version with a certain report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub approver: Actor,
    pub verdict: Verdict,
    pub version_digest: Digest,
    pub report: Digest,
    pub reason: String,
    pub decided_at: Timestamp,
}

/// Where a version stands with its approvals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ApprovalState {
    Granted { by: Vec<Actor> },
    Waiting { granted_by: Vec<Actor>, n_missing: u64 },
    Refused { by: Actor, reason: String },
}

impl Approval {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        let verdict = if row.text("verdict")? == "granted" { Verdict::Granted } else { Verdict::Refused };
        Ok(Self {
            approver: Actor::new(&row.text("approver")?),
            verdict,
            version_digest: row.digest("version_digest")?,
            report: row.digest("report")?,
            reason: row.text("reason")?,
            decided_at: row.time("decided_at")?,
        })
    }

    /// The row, for a version of the given model.
    pub(crate) fn change(&self, model: &ModelName, version: u64) -> Change {
        let verdict = match self.verdict {
            Verdict::Granted => "granted",
            Verdict::Refused => "refused",
        };
        Change::put("approval")
            .key("model", model)
            .key("version", version)
            .key("approver", &self.approver)
            .set("verdict", verdict)
            .set("version_digest", self.version_digest)
            .set("report", self.report)
            .set("reason", &self.reason)
            .set("decided_at", self.decided_at)
    }
}

/// Counts the approvals that hold: of people who had no hand in the version, for this version and this report. Each person counts
/// once; one refusal outweighs every grant.
pub fn standing(version: &ModelVersion, report: &Digest, approvals: &[Approval], n_needed: u64) -> ApprovalState {
    let holds = |approval: &&Approval| {
        approval.version_digest == version.digest
            && approval.report == *report
            && approval.approver.is_person()
            && version.hand_of(&approval.approver).is_none()
    };
    let standing: Vec<&Approval> = approvals.iter().filter(holds).collect();
    if let Some(refusal) = standing.iter().find(|approval| approval.verdict == Verdict::Refused) {
        return ApprovalState::Refused { by: refusal.approver.clone(), reason: refusal.reason.clone() };
    }
    let mut by: Vec<Actor> = standing.into_iter().map(|approval| approval.approver.clone()).collect();
    by.sort_by_key(|actor| actor.as_str().to_lowercase());
    by.dedup_by(|one, other| one.is_same_as(other));
    match n_needed.saturating_sub(by.len() as u64) {
        0 => ApprovalState::Granted { by },
        n_missing => ApprovalState::Waiting { granted_by: by, n_missing },
    }
}

/// Refuses a decision about what serves that says nothing about why: whoever reads the ledger later has only the reason.
pub fn check_reason(reason: &str) -> Result<()> {
    if !reason.trim().is_empty() {
        return Ok(());
    }
    Err(REASON_MISSING
        .error("the decision gives no reason")
        .hint("say in a sentence what you saw: it stands in the ledger, and `loopwright why` shows it"))
}

impl Registry {
    /// The acting person grants approval of a version with the report they saw. Granting it once more changes nothing.
    ///
    /// # Errors
    /// `reason-missing`; `approval-forbidden` for whoever had a hand in the version and for machines, `report-changed` if the report is another one by now; `gates-refused` and
    /// `approval-refused` where a grant could have no effect.
    pub async fn approve(
        &self,
        ctx: &Ctx,
        model: impl Into<ModelName>,
        version: u64,
        report: &Digest,
        reason: &str,
    ) -> Result<Approval> {
        self.decide_approval(ctx, model, version, report, Verdict::Granted, reason).await
    }

    /// The acting person refuses approval, with the reason that the author will read.
    pub async fn refuse(
        &self,
        ctx: &Ctx,
        model: impl Into<ModelName>,
        version: u64,
        report: &Digest,
        reason: &str,
    ) -> Result<Approval> {
        self.decide_approval(ctx, model, version, report, Verdict::Refused, reason).await
    }

    async fn decide_approval(
        &self,
        ctx: &Ctx,
        model: impl Into<ModelName>,
        version: u64,
        report: &Digest,
        verdict: Verdict,
        reason: &str,
    ) -> Result<Approval> {
        check_reason(reason)?;
        let (model, report, reason) = (model.into(), *report, reason.to_owned());
        self.store.write(ctx, move |tx| record(tx, &model, version, report, verdict, reason)).await
    }

    /// All decisions about a version, those that a change of the report has voided included.
    pub async fn approvals(&self, model: impl Into<ModelName>, version: u64) -> Result<Vec<Approval>> {
        let model = model.into();
        self.store.read(move |reader| queries::approvals(reader, &model, version)).await
    }
}

fn record(tx: &mut Tx<'_>, model: &ModelName, version: u64, seen: Digest, verdict: Verdict, reason: String) -> Result<Approval> {
    let of = version::found(tx, model, version)?;
    let approver = tx.actor().clone();
    check_approver(&approver, &of)?;
    let attached = evaluation::attached(tx, model, version)?;
    if attached.report != seen {
        return Err(REPORT_CHANGED
            .error(format!("the report of {} is {}, not {}", of.label(), attached.report.short(), seen.short()))
            .hint("read the new report before you decide"));
    }
    let decisions = queries::approvals(tx, model, version)?;
    let is_same = |before: &&Approval| {
        (&before.approver, before.verdict, before.version_digest, before.report) == (&approver, verdict, of.digest, seen)
    };
    if let Some(before) = decisions.iter().find(is_same) {
        return Ok(before.clone());
    }
    if verdict == Verdict::Granted {
        check_effect(tx, &of, seen, &approver, decisions)?;
    }
    let approval = Approval { approver, verdict, version_digest: of.digest, report: seen, reason, decided_at: tx.now() };
    let action = match verdict {
        Verdict::Granted => "approval.grant",
        Verdict::Refused => "approval.refuse",
    };
    let change = approval.change(model, version);
    let draft = Draft::new(action, of.subject())
        .input("model_version", of.subject(), of.digest)
        .input("report", attached.subject(), attached.report)
        .payload(serde_json::json!({"approver": approval.approver, "reason": approval.reason}))
        .change(change);
    tx.record(draft)?;
    Ok(approval)
}

/// Refuses a grant that cannot help the version: the gates refuse it, or somebody else has.
fn check_effect(tx: &mut Tx<'_>, of: &ModelVersion, seen: Digest, approver: &Actor, decisions: Vec<Approval>) -> Result<()> {
    let gates = queries::gate_decision(tx, &of.model, of.version)?;
    if let Some(decision) = gates.filter(|decision| decision.report == seen && !decision.outcome.has_passed()) {
        return Err(GATES_REFUSED
            .error(format!("the gates refuse {}, so that an approval has no effect: {}", of.label(), decision.outcome.summary()))
            .hint("train a better version, or change the gates in the model's file and have the change reviewed"));
    }
    let others: Vec<Approval> = decisions.into_iter().filter(|decision| !decision.approver.is_same_as(approver)).collect();
    if let ApprovalState::Refused { by, reason } = standing(of, &seen, &others, 0) {
        return Err(APPROVAL_REFUSED
            .error(format!("`{by}` refused {}, which outweighs every approval: {reason}", of.label()))
            .hint(format!("answer the refusal with another version, or convince `{by}`, whose own approval takes its place")));
    }
    Ok(())
}

fn check_approver(approver: &Actor, version: &ModelVersion) -> Result<()> {
    if !approver.is_person() {
        return Err(APPROVAL_FORBIDDEN
            .error(format!("`{approver}` is not a person; only people approve"))
            .hint("let a person sign in and approve"));
    }
    if let Some(hand) = version.hand_of(approver) {
        return Err(APPROVAL_FORBIDDEN
            .error(format!("`{approver}` {hand} {} and cannot approve it", version.label()))
            .hint("ask somebody else: an approval needs a second pair of eyes"));
    }
    Ok(())
}
