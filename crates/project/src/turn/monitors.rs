//! The monitors of the champion.

use lw_core::{Actor, Result, Timestamp};
use lw_monitoring::{Monitor, Monitoring, Reference, RetrainPolicy, TimeWindow, Watch, Watched, WindowCounts, observe};
use lw_serving::Deployment;

use super::answers;
use crate::definition::ModelDefinition;
use crate::project::Project;
use crate::skew;
use crate::versions;
use crate::workspace::Workspace;

/// Judges every window that has ended since the last turn.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn watch(workspace: &Workspace, project: &Project, model: &ModelDefinition, deployment: &Deployment) -> Result<()> {
    if model.monitors.is_empty() {
        return Ok(());
    }
    let monitoring = Monitoring::new(workspace.store().clone());
    let ctx = workspace.ctx(Actor::new("loopwright:monitor"), &deployment.subject().to_string());
    let monitors = monitors(model)?;
    let version = deployment.routing.champion.version;
    let retrain = model.retrain.as_ref().map(|retrain| RetrainPolicy { on: retrain.on.clone(), cooldown: retrain.cooldown });
    let watched = Watched { model: model.model.clone(), version, retrain };
    let since = champion_since(workspace, deployment).await?;
    let mut due = monitoring.due(&ctx, &watched, monitors, since).await?;
    due.sort_by_key(|due| due.window.end);
    if due.is_empty() {
        return Ok(());
    }
    let reference = Reference::from_bytes(
        &workspace.artifacts().get(&versions::reference_digest(workspace, &model.model, version).await?).await?,
    )?;
    let mut counted: Option<(TimeWindow, WindowCounts)> = None;
    for due in due {
        if let Watch::Skew(watch) = &due.monitor.watch {
            let monitor = (&due.monitor.name, watch);
            let observations = skew::observe(workspace, project, (&model.model, version), monitor, due.window).await?;
            monitoring.record(&ctx, &watched, &due, observations).await?;
            continue;
        }
        // Monitors of one model mostly share their windows, and the answers of a window are read once.
        let counts = match counted.take().filter(|(window, _)| *window == due.window) {
            Some((_, counts)) => counts,
            None => count(workspace, model, version, &reference, due.window).await?,
        };
        let observations = observe(&due.monitor, &reference, &counts, due.window)?;
        monitoring.record(&ctx, &watched, &due, observations).await?;
        counted = Some((due.window, counts));
    }
    Ok(())
}

fn monitors(model: &ModelDefinition) -> Result<Vec<Monitor>> {
    model.monitors.iter().map(|monitor| monitor.check(model.task, &model.inputs)).collect()
}

async fn count(
    workspace: &Workspace,
    model: &ModelDefinition,
    version: u64,
    reference: &Reference,
    window: TimeWindow,
) -> Result<WindowCounts> {
    let answers = answers(workspace, model, version, (window.start, window.end), workspace.clock().now()).await?;
    let mut counts = WindowCounts::new();
    let mut start = 0;
    for batch in &answers.rows {
        let end = start + batch.num_rows();
        counts.add(reference, batch, &answers.scores[start..end])?;
        start = end;
    }
    let (labels, predictions) = answers.outcomes();
    counts.add_outcomes(labels.into_iter().zip(predictions));
    Ok(counts)
}

/// When the standing champion became champion: the first of the newest generations that all name it.
async fn champion_since(workspace: &Workspace, deployment: &Deployment) -> Result<Timestamp> {
    let mut since = deployment.activated_at;
    for earlier in lw_serving::history(workspace.store(), &deployment.endpoint, Some(deployment.generation), HISTORY).await? {
        if earlier.routing.champion != deployment.routing.champion {
            break;
        }
        since = earlier.activated_at;
    }
    Ok(since)
}

const HISTORY: u32 = 50;
