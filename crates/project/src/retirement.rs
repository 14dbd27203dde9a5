//! What becomes of the pipelines and models that a project no longer has.
//!
//! A pipeline that is gone is retired: its schedule stops, its runs go on to their end. Of a model the open runs are cancelled, as
//! none of them may go live any more. A model that serves is never removed by the way: its endpoint is retired first, by name.

use std::collections::BTreeMap;

use lw_core::{Ctx, Name, Result};
use lw_pipelines::{Deployed, PipelineRunId};
use lw_serving::Deployment;

use crate::compile::kind;
use crate::plan::{ChangeKind, Plan, Planned};
use crate::project::Project;
use crate::workspace::Workspace;

/// What a project meets in its workspace.
pub(crate) struct Standing {
    pipelines: BTreeMap<Name, StandingPipeline>,
    /// Endpoints with the version that answers, such as `churn@3`.
    serving: BTreeMap<Name, String>,
}

struct StandingPipeline {
    is_of_model: bool,
    is_scheduled: bool,
    open_runs: Vec<PipelineRunId>,
}

/// Says in a plan what ends with the definitions that it removes, and what forbids to remove them.
pub(crate) fn with_ends(mut plan: Plan, wanted: &Project, standing: &Standing) -> Plan {
    let is_wanted = |name: &Name| wanted.models.contains_key(name) || wanted.pipelines.contains_key(name);
    for (name, pipeline) in standing.pipelines.iter().filter(|(name, _)| !is_wanted(name)) {
        let removed = removed(&mut plan, if pipeline.is_of_model { "model" } else { "pipeline" }, name);
        if pipeline.is_scheduled {
            removed.ends.push("its schedule stops".to_owned());
        }
        if !pipeline.open_runs.is_empty() {
            let fate = if pipeline.is_of_model { "cancelled" } else { "left to finish" };
            removed.ends.push(format!("open runs are {fate}: {}", pipeline.open_runs.len()));
        }
    }
    for (name, version) in standing.serving.iter().filter(|(name, _)| !wanted.models.contains_key(*name)) {
        removed(&mut plan, "model", name).refused = Some(format!("its endpoint serves {version}"));
    }
    plan
}

/// The removal in a plan; one that no project knows of, such as what an earlier version left behind, is added.
fn removed<'a>(plan: &'a mut Plan, kind: &str, name: &Name) -> &'a mut Planned {
    let subject = format!("{kind}/{name}");
    let position = plan.changes.iter().position(|change| change.subject == subject).unwrap_or_else(|| {
        let position = plan.changes.partition_point(|change| change.subject < subject);
        plan.changes.insert(position, Planned::new(subject, ChangeKind::Removed));
        position
    });
    &mut plan.changes[position]
}

impl Workspace {
    /// The deployed pipelines with their open runs, and what serves.
    pub(crate) async fn standing(&self) -> Result<Standing> {
        let mut pipelines = BTreeMap::new();
        for deployed in self.deployed_pipelines().await? {
            let definition = self.pipelines().definition(&deployed.pipeline).await?;
            let standing = StandingPipeline {
                is_of_model: definition.steps.iter().any(|step| step.kind == kind::RELEASE),
                is_scheduled: deployed.next_fire.is_some(),
                open_runs: self.pipelines().open_runs(&deployed.pipeline).await?,
            };
            pipelines.insert(deployed.pipeline, standing);
        }
        let champion = |deployment: Deployment| (deployment.endpoint, deployment.routing.champion.to_string());
        let serving = lw_serving::all_current(self.store()).await?.into_iter().map(champion).collect();
        Ok(Standing { pipelines, serving })
    }

    /// Retires the deployed pipelines that a project does not have, and cancels the open runs of models among them.
    pub(crate) async fn retire_missing(&self, ctx: &Ctx, project: &Project) -> Result<()> {
        for (name, pipeline) in self.standing().await?.pipelines {
            if project.models.contains_key(&name) || project.pipelines.contains_key(&name) {
                continue;
            }
            self.pipelines().retire(ctx, &name).await?;
            for run in pipeline.open_runs.iter().filter(|_| pipeline.is_of_model) {
                match self.pipelines().cancel(ctx, run).await {
                    // It ended meanwhile.
                    Err(error) if error.is(lw_pipelines::RUN_STATE) => {}
                    cancelled => cancelled?,
                }
            }
        }
        Ok(())
    }

    /// Takes a model's endpoint out of service. Its champion loses the name in the same transaction, so that the next version needs
    /// the approvals of a first one. What it has answered, its versions and its records stay.
    pub async fn retire_endpoint(&self, ctx: &Ctx, endpoint: &Name, reason: &str) -> Result<Deployment> {
        lw_registry::check_reason(reason)?;
        let standing = lw_serving::current(self.store(), endpoint).await?;
        let (model, why) = (endpoint.clone(), reason.to_owned());
        let also = move |tx: &mut lw_store::Tx<'_>| lw_registry::retire_champion_in(tx, &model.into(), &why).map(drop);
        self.serving().retire_with(ctx, endpoint, standing.generation, reason.to_owned(), also).await
    }

    async fn deployed_pipelines(&self) -> Result<Vec<Deployed>> {
        let mut all: Vec<Deployed> = Vec::new();
        loop {
            let page = self.pipelines().list(all.last().map(|last| &last.pipeline), PAGE).await?;
            let is_last = (page.len() as u64) < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }
}

const PAGE: u64 = 500;
