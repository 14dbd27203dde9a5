//! To whom artifacts belong.

use std::fmt;

use lw_core::{Result, RunId};
use lw_store::Reader;

use super::path::check_folder;
use crate::{LoggedModel, LoggedModelId, Run, Tracking, queries};

/// To whom an artifact belongs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ArtifactOwner {
    Run(RunId),
    LoggedModel(LoggedModelId),
    /// By its id, like `tr-0123…`.
    Trace(Box<str>),
    /// Files that clients put next to those of runs, models and traces.
    Nobody,
}

impl ArtifactOwner {
    /// The trace of this id, if it is one.
    pub fn trace(id: &str) -> Option<Self> {
        let rest = id.strip_prefix("tr-").unwrap_or_default();
        let is_id = (1..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_id.then(|| Self::Trace(id.into()))
    }

    /// The owner's id; empty for nobody.
    pub fn id(&self) -> &str {
        match self {
            Self::Run(id) => id.as_str(),
            Self::LoggedModel(id) => id.as_str(),
            Self::Trace(id) => id,
            Self::Nobody => "",
        }
    }
}

impl fmt::Display for ArtifactOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(id) => write!(f, "run {id}"),
            Self::LoggedModel(id) => write!(f, "logged model {id}"),
            Self::Trace(id) => write!(f, "trace {id}"),
            Self::Nobody => f.write_str("nobody"),
        }
    }
}

impl From<&ArtifactOwner> for ArtifactOwner {
    fn from(owner: &ArtifactOwner) -> Self {
        owner.clone()
    }
}

impl From<&LoggedModelId> for ArtifactOwner {
    fn from(id: &LoggedModelId) -> Self {
        Self::LoggedModel(id.clone())
    }
}

impl From<&RunId> for ArtifactOwner {
    fn from(id: &RunId) -> Self {
        Self::Run(id.clone())
    }
}

/// Where a path of the whole store of artifacts leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactPlace {
    pub owner: ArtifactOwner,
    /// Below the owner; empty for all that it has.
    pub path: String,
}

impl Tracking {
    /// Finds whose artifacts lie at a path of the whole store: `7/RUN/artifacts/model` is `model` of that run, `7/models/m-…/artifacts/x`
    /// is `x` of that logged model, and `7/traces/tr-…/artifacts/x` of that trace. What does not lie where the artifacts of its run or
    /// model belong is nobody's.
    pub async fn artifact_place(&self, path: &str) -> Result<ArtifactPlace> {
        check_folder(path)?;
        let path = path.to_owned();
        let Some(Claimed { place, root }) = claimed(&path) else {
            return Ok(ArtifactPlace { owner: ArtifactOwner::Nobody, path });
        };
        let owner = place.owner.clone();
        let uri = self.store.read(move |reader| uri_of(reader, &owner)).await?;
        let belongs = match &place.owner {
            ArtifactOwner::Run(_) | ArtifactOwner::LoggedModel(_) => uri.as_deref().and_then(proxied) == Some(&root),
            ArtifactOwner::Trace(_) | ArtifactOwner::Nobody => true,
        };
        Ok(if belongs { place } else { ArtifactPlace { owner: ArtifactOwner::Nobody, path } })
    }
}

impl Tracking {
    /// Where an address leads, such as the source of a registered version: `mlflow-artifacts:/…`, `runs:/RUN/…` or `models:/m-…/…`. None
    /// if it leads out of this store.
    pub async fn artifact_place_of(&self, uri: &str) -> Result<Option<ArtifactPlace>> {
        if let Some(path) = proxied(uri) {
            return self.artifact_place(path).await.map(Some);
        }
        let below = |scheme: &str| {
            let rest = uri.strip_prefix(scheme)?.trim_matches('/');
            Some(rest.split_once('/').unwrap_or((rest, "")))
        };
        let run = below("runs:").and_then(|(id, path)| Some((ArtifactOwner::Run(RunId::parse(id).ok()?), path)));
        let model = || below("models:").and_then(|(id, path)| Some((ArtifactOwner::LoggedModel(model_of(id)?), path)));
        let Some((owner, path)) = run.or_else(model) else { return Ok(None) };
        check_folder(path)?;
        Ok(Some(ArtifactPlace { owner, path: path.to_owned() }))
    }
}

/// `models:/NAME` may name a registered model, too; those of logged models begin with `m-`.
fn model_of(id: &str) -> Option<LoggedModelId> {
    id.starts_with("m-").then(|| LoggedModelId::parse(id).ok()).flatten()
}

impl Run {
    /// Where the run's artifacts lie in the whole store; none if its clients keep them elsewhere.
    pub fn artifact_root(&self) -> Option<&str> {
        proxied(&self.artifact_uri)
    }
}

impl LoggedModel {
    /// Where the model's artifacts lie in the whole store; none if its clients keep them elsewhere.
    pub fn artifact_root(&self) -> Option<&str> {
        proxied(&self.artifact_uri)
    }
}

/// Of `mlflow-artifacts:/7/RUN/artifacts`, with a host or without, what stands behind it.
fn proxied(uri: &str) -> Option<&str> {
    let path = uri.strip_prefix("mlflow-artifacts:")?;
    let path = match path.strip_prefix("//") {
        Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
        None => path,
    };
    Some(path.trim_matches('/'))
}

fn uri_of(reader: &mut Reader<'_>, owner: &ArtifactOwner) -> Result<Option<String>> {
    Ok(match owner {
        ArtifactOwner::Run(id) => queries::run(reader, id)?.map(|run| run.artifact_uri),
        ArtifactOwner::LoggedModel(id) => queries::logged_model(reader, id)?.map(|model| model.artifact_uri),
        ArtifactOwner::Trace(_) | ArtifactOwner::Nobody => None,
    })
}

/// A place by its form alone.
struct Claimed {
    place: ArtifactPlace,
    root: String,
}

fn claimed(path: &str) -> Option<Claimed> {
    let parts: Vec<&str> = path.split('/').collect();
    let owners = parts.windows(2).enumerate().filter(|(_, pair)| pair[1] == "artifacts");
    let (index, owner) = owners.map(|(index, pair)| (index, pair[0])).find_map(|(index, id)| {
        let kind = index.checked_sub(1).and_then(|before| parts.get(before)).copied();
        let owner = match kind {
            Some("models") => LoggedModelId::parse(id).ok().map(ArtifactOwner::LoggedModel),
            Some("traces") => ArtifactOwner::trace(id),
            _ => RunId::parse(id).ok().map(ArtifactOwner::Run),
        };
        owner.map(|owner| (index, owner))
    })?;
    let (root, rest) = parts.split_at(index + 2);
    Some(Claimed { place: ArtifactPlace { owner, path: rest.join("/") }, root: root.join("/") })
}
