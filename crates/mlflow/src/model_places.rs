//! What tracking knows of the runs and logged models that versions come from.

use bytes::Bytes;
use lw_core::{Digest, Reference, RunId, Subject, SubjectKind};
use lw_tracking::RUN_NOT_FOUND;

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
    pub id: String,
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
    let dataset = |dataset: &lw_tracking::DatasetInput| {
        let name = format!("{}:{}", dataset.name, dataset.digest);
        Reference::new("dataset", Subject::unversioned(SubjectKind::Dataset, name), None)
    };
    Ok(Some(RunFacts {
        root: format!("mlflow-artifacts:/{}/{id}/artifacts", data.run.experiment.number()),
        user: user_of(&data.tags),
        datasets: data.datasets.iter().map(dataset).collect(),
        id,
    }))
}

/// The logged model with this id, if there is one.
pub(crate) async fn logged_model_facts(_face: &Face, _id: &str) -> Answer<Option<LoggedModelFacts>> {
    Ok(None)
}

/// The files at a place, by path.
pub(crate) async fn files_at(face: &Face, place: &Place) -> Answer<Vec<File>> {
    let Place::Run { run, folder } = place else { return Ok(Vec::new()) };
    let Some(run) = parse_run(run) else { return Ok(Vec::new()) };
    let found = match face.tracking().artifacts(&run, folder).await {
        Ok(found) => found,
        Err(error) if error.is(RUN_NOT_FOUND) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let below = |path: &str| match path.strip_prefix(folder.as_str()) {
        Some(rest) if !folder.is_empty() && !rest.is_empty() => rest.trim_start_matches('/').to_owned(),
        _ => path.to_owned(),
    };
    let file = |artifact: lw_tracking::RunArtifact| File {
        path: below(&artifact.path),
        digest: artifact.digest,
        size_bytes: artifact.size_bytes,
    };
    Ok(found.into_iter().map(file).collect())
}

/// Larger files are not read for their first bytes.
const MOST_WHOLE: u64 = 32 << 20;

/// The first bytes of a file.
pub(crate) async fn head(face: &Face, file: &File, n_bytes: u64) -> Answer<Bytes> {
    if file.size_bytes > MOST_WHOLE {
        return Ok(Bytes::new());
    }
    let bytes = whole(face, file).await?;
    Ok(bytes.slice(..bytes.len().min(usize::try_from(n_bytes).unwrap_or(usize::MAX))))
}

pub(crate) async fn whole(face: &Face, file: &File) -> Answer<Bytes> {
    Ok(face.artifacts().get(&file.digest).await?)
}
