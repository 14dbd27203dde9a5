//! To whom artifacts belong.

use std::fmt;

use lw_core::{Result, RunId};
use lw_store::Reader;

use super::path::check_folder;
use crate::{Run, Tracking, queries};

/// To whom an artifact belongs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ArtifactOwner {
    Run(RunId),
    /// By its id, like `m-0123…`.
    LoggedModel(Box<str>),
    /// By its id, like `tr-0123…`.
    Trace(Box<str>),
    /// Files that clients put next to those of runs, models and traces.
    Nobody,
}

impl ArtifactOwner {
    /// The logged model of this id, if it is one.
    pub fn logged_model(id: &str) -> Option<Self> {
        is_id(id, "m-").then(|| Self::LoggedModel(id.into()))
    }

    /// The trace of this id, if it is one.
    pub fn trace(id: &str) -> Option<Self> {
        is_id(id, "tr-").then(|| Self::Trace(id.into()))
    }

    /// The owner's id; empty for nobody.
    pub fn id(&self) -> &str {
        match self {
            Self::Run(id) => id.as_str(),
            Self::LoggedModel(id) | Self::Trace(id) => id,
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
    /// is `x` of that logged model, and `7/traces/tr-…/artifacts/x` of that trace. What does not lie where the artifacts of its run
    /// belong is nobody's.
    pub async fn artifact_place(&self, path: &str) -> Result<ArtifactPlace> {
        check_folder(path)?;
        let path = path.to_owned();
        let Some(claimed) = claimed(&path) else { return Ok(ArtifactPlace { owner: ArtifactOwner::Nobody, path }) };
        let ArtifactOwner::Run(id) = &claimed.place.owner else { return Ok(claimed.place) };
        let id = id.clone();
        let root = self.store.read(move |reader| root_of_run(reader, &id)).await?;
        let belongs = root.is_some_and(|root| root == claimed.root);
        Ok(if belongs { claimed.place } else { ArtifactPlace { owner: ArtifactOwner::Nobody, path } })
    }
}

impl Run {
    /// Where the run's artifacts lie in the whole store.
    pub fn artifact_root(&self) -> String {
        format!("{}/{}/artifacts", self.experiment, self.id)
    }
}

fn root_of_run(reader: &mut Reader<'_>, id: &RunId) -> Result<Option<String>> {
    Ok(queries::run(reader, id)?.map(|run| run.artifact_root()))
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
            Some("models") => ArtifactOwner::logged_model(id),
            Some("traces") => ArtifactOwner::trace(id),
            _ => RunId::parse(id).ok().map(ArtifactOwner::Run),
        };
        owner.map(|owner| (index, owner))
    })?;
    let (root, rest) = parts.split_at(index + 2);
    Some(Claimed { place: ArtifactPlace { owner, path: rest.join("/") }, root: root.join("/") })
}

fn is_id(text: &str, prefix: &str) -> bool {
    let id = text.strip_prefix(prefix).unwrap_or_default();
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
