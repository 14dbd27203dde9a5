//! Model versions between the registry and their endpoint: what may serve, and what serves.

use lw_core::{Ctx, Digest, ModelName, Name, Result};
use lw_registry::{
    ModelVersion, Promotion, Readiness, Registry, Verdict, champion_in, promote_in, readiness_in, require_ready, roll_back_in,
};
use lw_serving::{Activation, Bundle, Deployment, Served, Serving};
use lw_store::Tx;

use crate::definition::ModelDefinition;
use crate::failures::{NOTHING_WAITS, UNKNOWN_MODEL};
use crate::workspace::Workspace;

/// Roles of a version's artifacts.
pub const SERVING: &str = "serving";
pub const REPORT: &str = "report";
pub const REFERENCE: &str = "reference";

fn registry(workspace: &Workspace) -> Registry {
    Registry::new(workspace.store().clone())
}

fn artifact(version: &ModelVersion, role: &str) -> Result<Digest> {
    version.artifacts.get(role).copied().ok_or_else(|| {
        UNKNOWN_MODEL
            .error(format!("{} has no artifact `{role}`", version.label()))
            .hint("it was registered from outside; only versions that a pipeline made can be served")
    })
}

/// The serving bundle of a version, stored as an artifact. The registry keeps it without the version's number, which is not known
/// before the version is registered; with the number it is the same document every time.
pub async fn bundle_digest(workspace: &Workspace, model: &Name, version: u64) -> Result<Digest> {
    let registered = registry(workspace).version(model, version).await?;
    let template = workspace.artifacts().get(&artifact(&registered, SERVING)?).await?;
    let bundle = Bundle { version, ..Bundle::from_json(&template)? };
    workspace.artifacts().put(bundle.to_json().into_bytes()).await
}

/// The distributions that a version's monitors compare with.
pub async fn reference_digest(workspace: &Workspace, model: &Name, version: u64) -> Result<Digest> {
    artifact(&registry(workspace).version(model, version).await?, REFERENCE)
}

/// A version as an endpoint serves it.
pub async fn served(workspace: &Workspace, model: &Name, version: u64) -> Result<Served> {
    Ok(Served { model: model.clone(), version, bundle: bundle_digest(workspace, model, version).await? })
}

/// What stands behind a model's endpoint, if it has one.
pub async fn standing(workspace: &Workspace, model: &Name) -> Result<Option<Deployment>> {
    match lw_serving::current(workspace.store(), model).await {
        Ok(deployment) => Ok(Some(deployment)),
        Err(error) if error.is(lw_serving::failures::UNKNOWN_ENDPOINT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many people must approve: as for a first version, unless the champion came from the same definition.
pub async fn approvals_needed(workspace: &Workspace, model: &ModelDefinition, version: u64) -> Result<u64> {
    let registry = registry(workspace);
    let candidate = registry.version(&model.model, version).await?;
    let champion = registry.champion(&model.model).await?;
    let is_retrained = champion.is_some_and(|champion| champion.recipe["definition"] == candidate.recipe["definition"]);
    Ok(u64::from(if is_retrained { model.approvals.retrained } else { model.approvals.first }))
}

async fn promotion(workspace: &Workspace, model: &ModelDefinition, version: u64) -> Result<Promotion> {
    let champion = registry(workspace).champion(&model.model).await?;
    Ok(Promotion {
        model: model.model.clone().into(),
        version,
        gates: model.gates.clone(),
        n_approvals: approvals_needed(workspace, model, version).await?,
        replaces: champion.map(|champion| champion.version),
    })
}

/// Whether a version may go live, and what is missing.
pub async fn readiness(workspace: &Workspace, model: &ModelDefinition, version: u64) -> Result<Readiness> {
    let promotion = promotion(workspace, model, version).await?;
    registry(workspace).readiness(&promotion).await
}

/// Puts a routing behind a model's endpoint. In the same transaction the gates and approvals of a new champion or canary are looked
/// at once more, and a new champion becomes the registry's champion: neither can be there without the other.
pub async fn activate(workspace: &Workspace, ctx: &Ctx, model: &ModelDefinition, activation: Activation) -> Result<()> {
    let champion = registry(workspace)
        .champion(&model.model)
        .await
        .or_else(|error| if error.is(lw_registry::MODEL_NOT_FOUND) { Ok(None) } else { Err(error) })?;
    let serving = activation.routing.champion.version;
    let is_new_champion = champion.is_none_or(|champion| champion.version != serving);
    let proven =
        if is_new_champion { Some(serving) } else { activation.routing.canary.as_ref().map(|canary| canary.served.version) };
    let promotion = match proven {
        Some(version) => Some(promotion(workspace, model, version).await?),
        None => None,
    };
    let candidate = match &promotion {
        Some(promotion) => Some(registry(workspace).version(&model.model, promotion.version).await?),
        None => None,
    };
    let may = move |tx: &mut Tx<'_>, _: &lw_serving::Routing| match (&promotion, &candidate) {
        (Some(promotion), _) if is_new_champion => promote_in(tx, promotion).map(drop),
        (Some(promotion), Some(candidate)) => require_ready(candidate, &readiness_in(tx, candidate, promotion)?),
        _ => Ok(()),
    };
    workspace.serving().activate_if(ctx, activation, may).await.map(drop)
}

/// Makes an endpoint serve what it served before. In the same transaction the registry's champion moves with it: neither can be
/// elsewhere than the other. `generation` is the one that the caller saw; None stands for the one that stands now.
///
/// # Errors
/// `stale-generation`, `no-previous-deployment`, or `never-champion` if the version before was deployed past the registry.
pub async fn roll_back(
    serving: &Serving,
    ctx: &Ctx,
    endpoint: &Name,
    generation: Option<u64>,
    reason: &str,
) -> Result<Deployment> {
    let why = reason.to_owned();
    let move_champion = move |tx: &mut Tx<'_>, deployment: &Deployment| {
        let Served { model, version, .. } = &deployment.routing.champion;
        let model = ModelName::from(model);
        match champion_in(tx, &model)? {
            Some(champion) if champion != *version => roll_back_in(tx, &model, *version, &why).map(drop),
            _ => Ok(()),
        }
    };
    serving.roll_back_with(ctx, endpoint, generation, reason.to_owned(), move_champion).await
}

impl Workspace {
    /// The versions of a model that wait for approval, with the run that waits.
    pub async fn waiting_for_approval(&self, model: &Name) -> Result<Vec<(u64, lw_pipelines::PipelineRunId)>> {
        let mut waiting = Vec::new();
        let now = self.clock().now() + lw_core::Span::from_secs(1);
        for summary in self.pipelines().runs(Some(model), now, RECENT_RUNS).await? {
            if summary.state.is_over() {
                continue;
            }
            let run = self.pipelines().run(&summary.run).await?;
            let waits = run.step("approval").is_some_and(|step| step.state == "waiting");
            let version = run.step("register").and_then(|step| step.manifest.as_ref()?.outputs["version"].as_u64());
            if let (true, Some(version)) = (waits, version) {
                waiting.push((version, summary.run));
            }
        }
        Ok(waiting)
    }

    /// Records the acting person's decision about a version, and lets the run that waits for it go on. Returns what that came to, in
    /// one sentence.
    pub async fn decide(&self, ctx: &Ctx, model: &Name, version: u64, decision: Decision<'_>) -> Result<String> {
        let registry = registry(self);
        let registered = registry.version(model, version).await?;
        let report = registry.report(model, version).await?.ok_or_else(|| {
            NOTHING_WAITS
                .error(format!("{} has no evaluation report to approve", registered.label()))
                .hint("let its pipeline evaluate it first")
        })?;
        let (is_grant, seen) = (decision.verdict == Verdict::Granted, decision.report.unwrap_or(report.report));
        let approval = if is_grant {
            registry.approve(ctx, model, version, &seen, decision.reason).await?
        } else {
            registry.refuse(ctx, model, version, &seen, decision.reason).await?
        };
        let mut message =
            format!("{} {} {}", approval.approver, if is_grant { "approved" } else { "refused" }, registered.label());
        let waiting = self.waiting_for_approval(model).await?;
        let run = waiting.into_iter().find(|(waiting, _)| *waiting == version);
        match run {
            Some((_, run)) => {
                self.pipelines().signal(ctx, &run, "approval", serde_json::json!({ "verdict": is_grant })).await?;
                message.push_str(&format!("; run {run} goes on"));
            }
            None => message.push_str("; no run waits for it"),
        }
        Ok(message)
    }
}

/// What a person decides about a version.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    pub verdict: Verdict,
    pub reason: &'a str,
    /// The report that they read. Left out: the one that is attached now.
    pub report: Option<Digest>,
}

impl<'a> Decision<'a> {
    /// Approves with the report of now.
    pub fn grant(reason: &'a str) -> Self {
        Self { verdict: Verdict::Granted, reason, report: None }
    }
}

const RECENT_RUNS: u64 = 50;
