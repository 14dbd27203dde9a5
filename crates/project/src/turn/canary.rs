//! What becomes of a canary.

use lw_core::{Actor, Result};
use lw_serving::{
    Activation, Deployment, Role, RolloutDefinition, RolloutFacts, RolloutVerdict, Routing, Served, Side, decide_rollout,
};
use lw_stats::{Direction, Metric};

use super::answers;
use crate::definition::ModelDefinition;
use crate::versions;
use crate::workspace::Workspace;

/// Gathers the facts about a canary, lets the rule decide and carries its verdict out.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn judge(workspace: &Workspace, model: &ModelDefinition, deployment: &Deployment) -> Result<()> {
    let (Some(rollout), Some(canary)) = (&model.rollout, &deployment.routing.canary) else {
        return Ok(());
    };
    let facts = facts(workspace, model, rollout, deployment, &canary.served).await?;
    let ctx = workspace.ctx(Actor::new("loopwright:rollout"), &deployment.subject().to_string());
    match decide_rollout(rollout, &facts) {
        RolloutVerdict::Wait(_) => Ok(()),
        RolloutVerdict::Promote(reason) => {
            let routing = Routing { champion: canary.served.clone(), canary: None, shadows: deployment.routing.shadows.clone() };
            let reason = format!("{} promoted: {reason}", canary.served);
            versions::activate(workspace, &ctx, model, activation(deployment, routing, reason)).await
        }
        RolloutVerdict::RollBack(reason) => {
            let routing = Routing { canary: None, ..deployment.routing.clone() };
            let reason = format!("{} withdrawn: {reason}", canary.served);
            versions::activate(workspace, &ctx, model, activation(deployment, routing, reason)).await
        }
    }
}

fn activation(deployment: &Deployment, routing: Routing, reason: String) -> Activation {
    Activation { endpoint: deployment.endpoint.clone(), expected_generation: deployment.generation, routing, reason }
}

async fn facts(
    workspace: &Workspace,
    model: &ModelDefinition,
    rollout: &RolloutDefinition,
    deployment: &Deployment,
    canary: &Served,
) -> Result<RolloutFacts> {
    let metric = Metric::parse(&rollout.metric)?;
    let now = workspace.clock().now();
    let period = (deployment.activated_at, now);
    let mut sides = Vec::with_capacity(2);
    for served in [&deployment.routing.champion, canary] {
        let (labels, scores) = answers(workspace, model, served.version, period, now).await?.outcomes();
        let n_failed = failures(workspace, model, served);
        let value = metric.compute(&labels, &scores).ok();
        sides.push(Side { n_labels: labels.len() as u64, metric: value, n_answered: scores.len() as u64, n_failed });
    }
    let [champion, canary] = [sides[0], sides[1]];
    let higher_is_better = metric.direction() == Direction::HigherIsBetter;
    Ok(RolloutFacts { now, started_at: deployment.activated_at, higher_is_better, champion, canary })
}

/// How often a version failed in this process since it was deployed in its role.
fn failures(workspace: &Workspace, model: &ModelDefinition, served: &Served) -> u64 {
    let Ok(endpoint) = workspace.serving().endpoint(model.model.as_str()) else {
        return 0;
    };
    let tallies = endpoint.tallies();
    tallies.iter().find(|tally| tally.served == *served && tally.role != Role::Shadow).map_or(0, |tally| tally.n_failed)
}
