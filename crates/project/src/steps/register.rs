//! The chosen candidate as a version of its model, with its lineage and its report.

use std::collections::BTreeMap;

use lw_core::{Actor, Digest, Reference, Result, Subject, SubjectKind};
use lw_features::{find_training_set, load_recipe};
use lw_pipelines::StepOutput;
use lw_registry::{Hand, Hands, NewVersion, Registry, Signature};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Step;
use super::evaluate::{Evaluated, load_report};
use super::training_set::Built;
use crate::code::Code;
use crate::definition::ModelDefinition;
use crate::features::registered;
use crate::project::Project;
use crate::serving_bundle::bundle;
use crate::versions::{REFERENCE, REPORT, SERVING};

/// The registered version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registered {
    pub version: u64,
    pub digest: Digest,
}

pub async fn run(step: &Step) -> Result<StepOutput> {
    let model = step.model()?;
    let (workspace, ctx) = (&step.workspace, &step.context.ctx);
    let built: Built = step.upstream("training_set")?;
    let evaluated: Evaluated = step.upstream("evaluate")?;
    let candidate = &evaluated.candidate;
    let views = registered(workspace, &step.project).await?;
    let serving = bundle(&step.project, model, 0, candidate.model, &views)?;
    let serving = workspace.artifacts().put(serving.to_json().into_bytes()).await?;
    let registry = Registry::new(workspace.store().clone());
    let owner = Actor::new(&model.owner);
    registry.put_model(ctx, &model.model, &model.description, &owner).await?;
    let new = NewVersion {
        model: model.model.clone().into(),
        author: owner,
        hands: hands(step).await?,
        run: Some(candidate.run.clone()),
        recipe: json!({
            "definition": definition_digest(&step.project, model),
            "project": { "version": step.project_version, "digest": step.project.digest() },
            "candidate": candidate.name,
            "trainer": candidate.trainer,
            "code": candidate.code,
            "params": candidate.params,
            "seed": candidate.seed,
            "libraries": candidate.libraries,
            "training_set": { "version": built.version, "content": built.content, "recipe": built.recipe, "n_rows": built.n_rows },
            "holdout_from": built.holdout_from,
            "inputs": model.inputs,
            "expressions": model.expressions,
            "metrics": candidate.metrics,
            "pipeline_run": step.context.run,
        }),
        signature: Signature { inputs: candidate.inputs.clone(), outputs: candidate.outputs.clone() },
        lineage: lineage(step, &built, &evaluated).await?,
        artifacts: BTreeMap::from([
            ("model".to_owned(), candidate.model),
            (SERVING.to_owned(), serving),
            (REPORT.to_owned(), evaluated.report),
            (REFERENCE.to_owned(), evaluated.reference),
        ]),
    };
    let version = registry.register(ctx, new).await?;
    let report = load_report(workspace.artifacts(), &evaluated.report).await?;
    registry.attach_report(ctx, &model.model, version.version, &report).await?;
    step.log(format!("registered {} by {}", version.label(), candidate.name));
    Ok(StepOutput::done(json!(Registered { version: version.version, digest: version.digest })).digest("version", version.digest))
}

/// The digest of everything that decides what a version is, apart from data: the model's file, the views and sources behind it, the
/// policies and the scripts it runs. If any of it changes, people look at the next version as at a first one.
fn definition_digest(project: &Project, model: &ModelDefinition) -> Digest {
    let views: Vec<_> = project.views.values().map(|file| &file.value).collect();
    let sources: Vec<_> = project.sources.values().map(|file| &file.value).collect();
    let policies: Vec<_> = project.policies.values().map(|file| &file.value).collect();
    let code = Code::of_model(&project.bundle, model);
    Digest::of_json(&json!({ "model": model, "views": views, "sources": sources, "policies": policies, "code": code }))
}

/// Who applied the project that the run reads, and who started the run: the people who do not approve the version.
async fn hands(step: &Step) -> Result<Hands> {
    let started_by = step.workspace.pipelines().run(&step.context.run).await?.summary.started_by;
    Ok(Hands::from([(Hand::Applied, Actor::new(&step.applied_by)), (Hand::Started, started_by)]))
}

/// Everything the version was made from: its training set, run, tables and views.
async fn lineage(step: &Step, built: &Built, evaluated: &Evaluated) -> Result<Vec<Reference>> {
    let model = step.model()?;
    let store = step.workspace.store();
    let set = find_training_set(store, &model.model, built.version).await?;
    let set = set.ok_or_else(|| lw_core::Error::bug("the training set of this run is gone"))?;
    let recipe = load_recipe(step.workspace.artifacts(), &set).await?;
    let mut lineage = vec![
        Reference::new("training_set", set.subject(), set.content),
        Reference::new("run", Subject::unversioned(SubjectKind::Run, evaluated.candidate.run.as_str()), None),
        Reference::new("report", Subject::unversioned(SubjectKind::Artifact, evaluated.report.to_string()), evaluated.report),
    ];
    lineage.extend(recipe.sources.tables.iter().map(|table| Reference::new("table", table.subject(), table.digest)));
    lineage.extend(recipe.views.iter().map(|view| {
        let subject = Subject::new(SubjectKind::FeatureView, &view.definition.feature_view, view.version);
        Reference::new("feature_view", subject, view.digest)
    }));
    Ok(lineage)
}
