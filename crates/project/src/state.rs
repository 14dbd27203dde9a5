//! The applied project: which definitions run, and since when.

use std::sync::Arc;

use lw_core::{Change, Ctx, Draft, ModelName, Result, Subject, SubjectKind, Timestamp};
use lw_registry::Protection;
use lw_store::{Artifacts, Store};
use serde::Serialize;
use serde_json::json;

use crate::bundle::Bundle;
use crate::definition::ModelDefinition;
use crate::failures::NOT_APPLIED;
use crate::plan::Plan;
use crate::project::Project;
use crate::queries::{self, ProjectRow};

/// The parameter of a run that names its version of the project.
pub const PROJECT_VERSION: &str = "project_version";

/// A version of the project as it was applied.
#[derive(Debug, Clone, Serialize)]
pub struct Applied {
    pub version: u64,
    pub digest: lw_core::Digest,
    pub commit: Option<String>,
    pub applied_at: Timestamp,
    pub applied_by: String,
}

/// The newest applied project with its definitions.
#[derive(Debug, Clone)]
pub struct RunningProject {
    pub applied: Applied,
    pub project: Arc<Project>,
}

/// The project that runs, if one was applied.
pub async fn running(store: &Store, artifacts: &Artifacts) -> Result<Option<RunningProject>> {
    match store.read(queries::newest_project).await? {
        Some(row) => load(artifacts, row).await.map(Some),
        None => Ok(None),
    }
}

/// An applied version of the project.
pub async fn version(store: &Store, artifacts: &Artifacts, version: u64) -> Result<RunningProject> {
    let row = store.read(move |reader| queries::project_version(reader, version)).await?;
    let row = row.ok_or_else(|| {
        NOT_APPLIED
            .error(format!("there is no project version {version}"))
            .hint("`loopwright audit log` lists every `project.apply`")
    })?;
    load(artifacts, row).await
}

async fn load(artifacts: &Artifacts, row: ProjectRow) -> Result<RunningProject> {
    let bytes = artifacts.get(&row.bundle).await?;
    let bundle: Bundle =
        serde_json::from_slice(&bytes).map_err(|error| lw_core::Error::bug("a stored project cannot be read").cause(error))?;
    let project = Project::parse(bundle).map_err(|errors| {
        let first = errors.into_iter().next().map(|error| error.to_string()).unwrap_or_default();
        NOT_APPLIED
            .error(format!("the applied project no longer parses: {first}"))
            .hint("this version of Loopwright reads project files more strictly; correct the files and `loopwright apply` again")
    })?;
    Ok(RunningProject { applied: row.applied, project: Arc::new(project) })
}

/// [`running`], or the error that tells what to do.
pub async fn required(store: &Store, artifacts: &Artifacts) -> Result<RunningProject> {
    running(store, artifacts).await?.ok_or_else(|| {
        NOT_APPLIED.error("no project has been applied to this workspace").hint("run `loopwright apply` in the project's folder")
    })
}

/// Records a project as the one that runs. Applying what already runs changes nothing.
pub async fn record(ctx: &Ctx, store: &Store, artifacts: &Artifacts, project: &Project, plan: &Plan) -> Result<Applied> {
    let bundle =
        serde_json::to_vec(&project.bundle).map_err(|error| lw_core::Error::bug("a bundle is plain JSON").cause(error))?;
    let bundle = artifacts.put(bundle).await?;
    let digest = project.digest();
    let name = project.definition.value.project.clone();
    let root = project.bundle.root.to_string_lossy().into_owned();
    let commit = lw_tracking::CodeVersion::of_directory(&project.bundle.root).map(|code| code.commit);
    let payload = json!({ "plan": plan });
    let protections = protections(project);
    store
        .write(ctx, move |tx| {
            lw_registry::protect_in(tx, &protections)?;
            let newest = queries::newest_project(tx)?;
            if let Some(row) = &newest
                && row.bundle == bundle
            {
                return Ok(row.applied.clone());
            }
            let version = newest.map_or(0, |row| row.applied.version) + 1;
            let applied = Applied { version, digest, commit, applied_at: tx.now(), applied_by: tx.actor().to_string() };
            let change = Change::put("project_version")
                .key("version", version)
                .set("project", &name)
                .set("digest", digest)
                .set("bundle", bundle)
                .set("root", root)
                .set("commit_id", applied.commit.clone())
                .set("applied_at", applied.applied_at)
                .set("applied_by", &applied.applied_by);
            let subject = Subject::new(SubjectKind::Project, name, version);
            let draft = Draft::new("project.apply", subject.clone())
                .output("project", subject, digest)
                .output("bundle", Subject::unversioned(SubjectKind::Artifact, bundle.to_string()), bundle)
                .payload(payload)
                .change(change);
            tx.record(draft)?;
            Ok(applied)
        })
        .await
}

/// What clients of the registry may not move by hand: of each model of the project, what its gates and policies protect.
fn protections(project: &Project) -> Vec<(ModelName, Protection)> {
    let policies = || project.policies.values().map(|file| &file.value);
    let of = |model: &ModelDefinition| {
        let applying = policies().filter(|policy| policy.applies_to.is_empty() || policy.applies_to.contains(&model.model));
        let aliases = applying.flat_map(|policy| policy.protected_aliases.iter().cloned());
        (ModelName::from(&model.model), Protection::defined(!model.gates.is_empty(), aliases))
    };
    project.models.values().map(|file| of(&file.value)).collect()
}
