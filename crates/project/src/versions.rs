//! Model versions between the registry and their endpoint: what may serve, and what serves.

use lw_core::{Ctx, Digest, Error, ModelName, Name, Result};
use lw_registry::{
    ApprovalState, ModelVersion, Promotion, Readiness, Registry, Verdict, champion_in, check_reason, promote_in, readiness_in,
    require_ready, roll_back_in,
};
use lw_serving::{Activation, Bundle, Deployment, Routing, Served, Serving};
use lw_store::Tx;

use crate::definition::ModelDefinition;
use crate::failures::{NOTHING_WAITS, UNKNOWN_MODEL, VERSION_SUPERSEDED};
use crate::state;
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

/// How many people must approve a version: as for a first one, unless the champion came from the same definition.
#[derive(Debug, Clone)]
pub struct ApprovalRule {
    first: u64,
    retrained: u64,
    champion: Option<ModelVersion>,
}

impl ApprovalRule {
    async fn of(workspace: &Workspace, model: &ModelDefinition) -> Result<Self> {
        let champion = registry(workspace).champion(&model.model).await?;
        let (first, retrained) = (u64::from(model.approvals.first), u64::from(model.approvals.retrained));
        Ok(Self { first, retrained, champion })
    }

    pub fn needed(&self, version: &ModelVersion) -> u64 {
        let is_retrained =
            self.champion.as_ref().is_some_and(|champion| champion.recipe["definition"] == version.recipe["definition"]);
        if is_retrained { self.retrained } else { self.first }
    }
}

pub async fn approvals_needed(workspace: &Workspace, model: &ModelDefinition, version: u64) -> Result<u64> {
    let candidate = registry(workspace).version(&model.model, version).await?;
    Ok(ApprovalRule::of(workspace, model).await?.needed(&candidate))
}

/// The newer version that serves or is tried out already. Whoever approves the older one then has not seen that, and would bring back
/// what was before; going back has a command of its own.
pub fn superseded_by(version: u64, routing: &Routing) -> Option<u64> {
    let canary = routing.canary.as_ref().map(|canary| canary.served.version);
    [Some(routing.champion.version), canary].into_iter().flatten().filter(|live| *live > version).max()
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
    workspace.serving().activate_if(ctx, activation, may).await?;
    if is_new_champion && let Err(error) = workspace.wake_superseded(ctx, &model.model, serving).await {
        // The champion has changed, and whoever asked for it must hear that. The next champion wakes the runs that still wait.
        tracing::warn!(model = %model.model, %error, "Runs that wait for older versions were not woken");
    }
    Ok(())
}

/// Makes an endpoint serve what it served before. In the same transaction the registry's champion moves with it: neither can be
/// elsewhere than the other. `generation` is the one that the caller saw; None stands for the one that stands now.
///
/// # Errors
/// `reason-missing`, `stale-generation`, `no-previous-deployment`, or `never-champion` if the version before was deployed past the registry.
pub async fn roll_back(
    serving: &Serving,
    ctx: &Ctx,
    endpoint: &Name,
    generation: Option<u64>,
    reason: &str,
) -> Result<Deployment> {
    check_reason(reason)?;
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
        let standing = standing(self, model).await?;
        if let Some(newer) = standing.as_ref().filter(|_| is_grant).and_then(|standing| superseded_by(version, &standing.routing))
        {
            return Err(superseded(&registered, newer));
        }
        let before = registry.approvals(model, version).await?;
        let approval = if is_grant {
            registry.approve(ctx, model, version, &seen, decision.reason).await?
        } else {
            registry.refuse(ctx, model, version, &seen, decision.reason).await?
        };
        let verb = if is_grant { "approved" } else { "refused" };
        let mut message = format!("{} {verb} {}", approval.approver, registered.label());
        if before.contains(&approval) {
            message.push_str(&format!(" already on {}, and counts once", approval.decided_at));
        }
        let effect = if is_grant {
            self.missing_approvals(model, version).await?
        } else {
            self.take_back(ctx, &registered, standing, decision.reason).await?
        };
        message.extend(effect.map(|effect| format!("; {effect}")));
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

    /// Lets the runs go on that wait for approvals of versions older than the new champion: they end as superseded.
    async fn wake_superseded(&self, ctx: &Ctx, model: &Name, champion: u64) -> Result<()> {
        for (_, run) in self.waiting_for_approval(model).await?.into_iter().filter(|(version, _)| *version < champion) {
            match self.pipelines().signal(ctx, &run, "approval", serde_json::json!({ "superseded_by": champion })).await {
                // It ended meanwhile.
                Err(error) if error.is(lw_pipelines::RUN_STATE) => {}
                signalled => signalled?,
            }
        }
        Ok(())
    }

    /// How many people must approve the versions of a model; None for a model that the applied project does not have.
    pub async fn approval_rule(&self, model: &ModelName) -> Result<Option<ApprovalRule>> {
        let (Ok(name), Some(running)) = (Name::parse(model.as_str()), state::running(self.store(), self.artifacts()).await?)
        else {
            return Ok(None);
        };
        match running.project.models.get(&name) {
            Some(file) => ApprovalRule::of(self, &file.value).await.map(Some),
            None => Ok(None),
        }
    }

    /// What a version lacks after one more person has approved it.
    async fn missing_approvals(&self, model: &Name, version: u64) -> Result<Option<String>> {
        let running = state::required(self.store(), self.artifacts()).await?;
        let Some(file) = running.project.models.get(model) else { return Ok(None) };
        Ok(match readiness(self, &file.value, version).await?.approvals {
            ApprovalState::Waiting { n_missing, .. } => Some(format!("{n_missing} more approval(s) by other people are missing")),
            _ => None,
        })
    }

    /// What a refusal does to a version that answers requests already: a canary is withdrawn, since the champion beside it can answer
    /// all of them. A champion stays, for nobody said what shall answer instead; the refusal tells how.
    async fn take_back(
        &self,
        ctx: &Ctx,
        version: &ModelVersion,
        standing: Option<Deployment>,
        reason: &str,
    ) -> Result<Option<String>> {
        let Some(Deployment { endpoint, generation, routing, .. }) = standing else { return Ok(None) };
        if routing.champion.version == version.version {
            return Ok(Some(format!(
                "it still serves as champion until `loopwright rollback {endpoint} --reason …` or `loopwright retire {endpoint} \
                 --reason …`"
            )));
        }
        if routing.canary.as_ref().is_none_or(|canary| canary.served.version != version.version) {
            return Ok(None);
        }
        let reason = format!("{} withdrawn: refused by {}: {reason}", version.label(), ctx.actor);
        let routing = Routing { canary: None, ..routing };
        let champion = routing.champion.to_string();
        let activation = Activation { endpoint, expected_generation: generation, routing, reason };
        self.serving().activate_if(ctx, activation, |_, _| Ok(())).await?;
        Ok(Some(format!("it is a canary no more, {champion} answers every request")))
    }
}

fn superseded(version: &ModelVersion, newer: u64) -> Error {
    let (model, label) = (&version.model, version.label());
    VERSION_SUPERSEDED
        .error(format!("{label} is superseded: {model}@{newer} went live while it waited, so that an approval would put back what is older"))
        .hint(format!(
            "`loopwright reject {label} --reason …` ends its wait; `loopwright rollback {model} --reason …` goes back to what served before"
        ))
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

#[cfg(test)]
mod tests {
    use super::*;
    use lw_serving::Canary;

    #[track_caller]
    fn check(version: u64, champion: u64, canary: Option<u64>, want: Option<u64>) {
        let served = |version| Served { model: Name::parse("churn").unwrap(), version, bundle: Digest::of(b"bundle") };
        let canary = canary.map(|version| Canary { served: served(version), share: 0.1 });
        let routing = Routing { champion: served(champion), canary, shadows: Vec::new() };
        assert_eq!(superseded_by(version, &routing), want);
    }

    #[test]
    fn an_older_version_is_superseded_by_what_went_live_since() {
        check(2, 1, None, None);
        check(2, 2, None, None);
        check(2, 3, None, Some(3));
        check(2, 1, Some(3), Some(3));
        check(2, 1, Some(2), None);
        check(1, 2, Some(3), Some(3));
    }
}
