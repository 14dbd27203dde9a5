//! What tracking knows of the runs and logged models that versions come from.

use bytes::Bytes;
use futures::TryStreamExt as _;
use lw_core::{Ctx, Digest, Reference, RunId, Subject, SubjectKind};
use lw_registry::ModelVersion;
use lw_tracking::{Artifact, ArtifactOwner, BAD_ARTIFACT_PATH, LOGGED_MODEL_NOT_FOUND, LoggedModelId, RUN_NOT_FOUND};

use crate::face::Face;
use crate::model_intake::{parse_run, user_of};
use crate::model_source::Place;
use crate::refusal::Answer;

/// A run that a version comes from.
#[derive(Debug, Clone)]
pub(crate) struct RunFacts {
    pub id: RunId,
    /// Where its artifacts are.
    pub root: String,
    pub user: Option<String>,
    /// What it read.
    pub datasets: Vec<Reference>,
}

/// A logged model that a version comes from.
#[derive(Debug, Clone)]
pub(crate) struct LoggedModelFacts {
    pub id: LoggedModelId,
    pub root: String,
    /// Empty if no run made it.
    pub source_run: String,
}

/// A file of a version.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Relative to the folder of the version.
    pub path: String,
    pub digest: Digest,
    pub size_bytes: u64,
}

/// The run with this id, if there is one.
pub(crate) async fn run_facts(face: &Face, id: &str) -> Answer<Option<RunFacts>> {
    let Some(id) = parse_run(id) else { return Ok(None) };
    let data = match face.tracking().run(&id).await {
        Ok(data) => data,
        Err(error) if error.is(RUN_NOT_FOUND) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // A dataset of ours is named as the version that it is; another one by its name and its digest.
    let dataset = |dataset: &lw_tracking::DatasetInput| {
        let foreign = || Subject::unversioned(SubjectKind::Dataset, format!("{}:{}", dataset.name, dataset.digest));
        Reference::new("dataset", dataset.subject().unwrap_or_else(foreign), None)
    };
    let user = user_of(&data.tags).or(Some(data.run.user_id)).filter(|user| !user.is_empty());
    let datasets = data.datasets.iter().map(dataset).collect();
    Ok(Some(RunFacts { root: data.run.artifact_uri, user, datasets, id }))
}

/// The logged model with this id, if there is one.
pub(crate) async fn logged_model_facts(face: &Face, id: &str) -> Answer<Option<LoggedModelFacts>> {
    let Ok(id) = LoggedModelId::parse(id) else { return Ok(None) };
    match face.tracking().logged_model(&id).await {
        Ok(data) => Ok(Some(LoggedModelFacts { root: data.model.artifact_uri, source_run: data.model.source_run, id })),
        Err(error) if error.is(LOGGED_MODEL_NOT_FOUND) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The tag by which clients find the versions of a logged model.
const VERSIONS_TAG: &str = "mlflow.modelVersions";

/// Tells the logged model that a version was made of it.
pub(crate) async fn tell_logged_model(face: &Face, ctx: &Ctx, facts: &LoggedModelFacts, version: &ModelVersion) -> Answer<()> {
    let data = face.tracking().logged_model(&facts.id).await?;
    let known = data.tags.get(VERSIONS_TAG).and_then(|text| serde_json::from_str(text).ok());
    let mut versions: Vec<serde_json::Value> = known.unwrap_or_default();
    versions.push(serde_json::json!({"name": version.model, "version": version.version}));
    let text = serde_json::Value::from(versions).to_string();
    Ok(face.tracking().tag_logged_model(ctx, &facts.id, vec![(VERSIONS_TAG.to_owned(), text)]).await?)
}

/// The files at a place, by path; none if the place is not ours.
pub(crate) async fn files_at(face: &Face, place: &Place) -> Answer<Vec<File>> {
    match place {
        Place::Run { run, folder } => {
            let Some(run) = parse_run(run) else { return Ok(Vec::new()) };
            let files = files_of(face, ArtifactOwner::Run(run.clone()), folder).await?;
            if files.is_empty() { files_of_output(face, &run, folder).await } else { Ok(files) }
        }
        Place::LoggedModel { model, folder } => match LoggedModelId::parse(model) {
            Ok(id) => files_of(face, ArtifactOwner::LoggedModel(id), folder).await,
            Err(_) => Ok(Vec::new()),
        },
    }
}

/// A model that a run logged under a name is found below the run by that name.
async fn files_of_output(face: &Face, run: &RunId, folder: &str) -> Answer<Vec<File>> {
    let (name, rest) = folder.split_once('/').unwrap_or((folder, ""));
    let outputs = match face.tracking().run(run).await {
        Ok(data) => data.model_outputs,
        Err(error) if error.is(RUN_NOT_FOUND) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    for output in outputs.into_iter().rev() {
        match face.tracking().logged_model(&output.model).await {
            Ok(data) if data.model.name == name => return files_of(face, ArtifactOwner::LoggedModel(output.model), rest).await,
            Err(error) if !error.is(LOGGED_MODEL_NOT_FOUND) => return Err(error.into()),
            _ => {}
        }
    }
    Ok(Vec::new())
}

/// What an owner has below a folder, or the one file that the folder turns out to be.
async fn files_of(face: &Face, owner: ArtifactOwner, folder: &str) -> Answer<Vec<File>> {
    let is_not_ours =
        |error: &lw_core::Error| error.is(RUN_NOT_FOUND) || error.is(LOGGED_MODEL_NOT_FOUND) || error.is(BAD_ARTIFACT_PATH);
    let file = |path: &str, artifact: &Artifact| File {
        path: path.trim_start_matches('/').to_owned(),
        digest: artifact.digest,
        size_bytes: artifact.size_bytes,
    };
    let found = match face.tracking().artifacts(&owner, folder).await {
        Ok(found) => found,
        Err(error) if is_not_ours(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    if !found.is_empty() || folder.is_empty() {
        let below = |artifact: &Artifact| file(artifact.path.strip_prefix(folder).unwrap_or(&artifact.path), artifact);
        return Ok(found.iter().map(below).collect());
    }
    let single = face.tracking().artifact(&owner, folder).await?;
    let name = folder.rsplit('/').next().unwrap_or(folder);
    Ok(single.iter().map(|artifact| file(name, artifact)).collect())
}

/// The first bytes of a file.
pub(crate) async fn head(face: &Face, file: &File, n_bytes: u64) -> Answer<Bytes> {
    let stretch = 0..n_bytes.min(file.size_bytes);
    let parts = face.artifacts().read(&file.digest, file.size_bytes, Some(stretch)).await?;
    let parts: Vec<Bytes> = parts.try_collect().await?;
    Ok(parts.concat().into())
}

/// A small file.
pub(crate) async fn whole(face: &Face, file: &File) -> Answer<Bytes> {
    Ok(face.artifacts().get(&file.digest).await?)
}
