//! Reports attached to versions, and what the gates said about them.

use lw_core::{Change, Ctx, Digest, Draft, ModelName, Result, Subject, SubjectKind, Timestamp, canonical_json};
use lw_evaluation::Report;
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::{Facts, GateDefinition, GateReport, REPORT_MISSING, Registry, alias, decide, queries, version};

/// The report that counts for a version now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttachedReport {
    pub model: ModelName,
    pub version: u64,
    /// Of the report's canonical JSON, which is also its name in the artifact store.
    pub report: Digest,
    pub facts: Facts,
    pub attached_at: Timestamp,
}

/// What the gates said about a version with a certain report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateDecision {
    pub model: ModelName,
    pub version: u64,
    pub report: Digest,
    /// Over the gates' definitions.
    pub gates: Digest,
    pub outcome: GateReport,
    pub decided_at: Timestamp,
}

impl AttachedReport {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            model: ModelName::parse(&row.text("model")?)?,
            version: row.count("version")?,
            report: row.digest("report")?,
            facts: row.json("facts")?,
            attached_at: row.time("attached_at")?,
        })
    }

    pub(crate) fn subject(&self) -> Subject {
        Subject::new(SubjectKind::Evaluation, &self.model, self.version)
    }

    /// The row, for a version of the given model.
    pub(crate) fn change(&self, model: &ModelName) -> Change {
        Change::put("model_report")
            .key("model", model)
            .key("version", self.version)
            .set("report", self.report)
            .set("facts", canonical_json(&self.facts))
            .set("attached_at", self.attached_at)
    }
}

impl GateDecision {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            model: ModelName::parse(&row.text("model")?)?,
            version: row.count("version")?,
            report: row.digest("report")?,
            gates: row.digest("gates")?,
            outcome: row.json("outcome")?,
            decided_at: row.time("decided_at")?,
        })
    }

    /// The row, for a version of the given model.
    pub(crate) fn change(&self, model: &ModelName) -> Change {
        Change::put("gate_decision")
            .key("model", model)
            .key("version", self.version)
            .set("report", self.report)
            .set("gates", self.gates)
            .set("has_passed", self.outcome.has_passed())
            .set("outcome", canonical_json(&self.outcome))
            .set("decided_at", self.decided_at)
    }
}

impl Registry {
    /// Makes a report the one that counts for a version. Another report voids the gates and approvals that saw the one before.
    pub async fn attach_report(
        &self,
        ctx: &Ctx,
        model: impl Into<ModelName>,
        version: u64,
        report: &Report,
    ) -> Result<AttachedReport> {
        self.attach_facts(ctx, model, version, report.digest(), Facts::from(report)).await
    }

    /// [`Registry::attach_report`] for a report that is known by its digest and facts.
    pub async fn attach_facts(
        &self,
        ctx: &Ctx,
        model: impl Into<ModelName>,
        version: u64,
        report: Digest,
        facts: Facts,
    ) -> Result<AttachedReport> {
        let model = model.into();
        self.store.write(ctx, move |tx| attach(tx, &model, version, report, facts)).await
    }

    pub async fn report(&self, model: impl Into<ModelName>, version: u64) -> Result<Option<AttachedReport>> {
        let model = model.into();
        self.store.read(move |reader| queries::report(reader, &model, version)).await
    }

    /// Holds the attached report against the gates and records what they said, whether they pass or refuse. The same decision over
    /// the same report and champion is recorded once.
    pub async fn decide_gates(
        &self,
        ctx: &Ctx,
        model: impl Into<ModelName>,
        version: u64,
        gates: &[GateDefinition],
    ) -> Result<GateDecision> {
        gates.iter().try_for_each(GateDefinition::check)?;
        let (model, gates) = (model.into(), gates.to_vec());
        self.store.write(ctx, move |tx| decide_in(tx, &model, version, &gates)).await
    }

    pub async fn gate_decision(&self, model: impl Into<ModelName>, version: u64) -> Result<Option<GateDecision>> {
        let model = model.into();
        self.store.read(move |reader| queries::gate_decision(reader, &model, version)).await
    }
}

fn attach(tx: &mut Tx<'_>, model: &ModelName, version: u64, report: Digest, facts: Facts) -> Result<AttachedReport> {
    let of = version::found(tx, model, version)?;
    if let Some(attached) = queries::report(tx, model, version)?.filter(|attached| attached.report == report) {
        return Ok(attached);
    }
    let attached = AttachedReport { model: model.clone(), version, report, facts, attached_at: tx.now() };
    let change = attached.change(model);
    let draft = Draft::new("evaluation.attach", of.subject())
        .input("model_version", of.subject(), of.digest)
        .input("report", attached.subject(), report)
        .payload(serde_json::json!({"report": report, "metrics": attached.facts.metrics}))
        .change(change);
    tx.record(draft)?;
    Ok(attached)
}

fn decide_in(tx: &mut Tx<'_>, model: &ModelName, version: u64, gates: &[GateDefinition]) -> Result<GateDecision> {
    let of = version::found(tx, model, version)?;
    let attached = attached(tx, model, version)?;
    let champion = alias::champion_label(tx, model, version)?;
    let outcome = decide(gates, &attached.facts, champion.as_deref());
    let decision = GateDecision {
        model: model.clone(),
        version,
        report: attached.report,
        gates: Digest::of_json(gates),
        outcome,
        decided_at: tx.now(),
    };
    let is_same = |before: &GateDecision| {
        (before.report, before.gates, &before.outcome) == (decision.report, decision.gates, &decision.outcome)
    };
    if let Some(before) = queries::gate_decision(tx, model, version)?.filter(is_same) {
        return Ok(before);
    }
    let has_passed = decision.outcome.has_passed();
    let change = decision.change(model);
    let payload = serde_json::json!({
        "verdict": if has_passed { "passed" } else { "refused" },
        "summary": decision.outcome.summary(),
        "champion": champion,
        "gates": gates,
        "outcomes": decision.outcome.outcomes,
    });
    let draft = Draft::new("gate.decide", of.subject())
        .input("model_version", of.subject(), of.digest)
        .input("report", attached.subject(), attached.report)
        .payload(payload)
        .change(change);
    tx.record(draft)?;
    Ok(decision)
}

pub(crate) fn attached(reader: &mut Reader<'_>, model: &ModelName, version: u64) -> Result<AttachedReport> {
    queries::report(reader, model, version)?.ok_or_else(|| {
        REPORT_MISSING
            .error(format!("{model}@{version} has no evaluation report"))
            .hint("evaluate the version first: gates and approvals look at its report")
    })
}
