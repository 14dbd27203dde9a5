//! Artifacts: paths of runs, logged models and traces that point to content by its digest.
//!
//! The content lies in the store of artifacts. What is overwritten or removed here stays there until a sweep finds that nothing
//! mentions it any more.

mod owner;
mod path;
pub(crate) mod queries;

use lw_core::{Ctx, Digest, Result, Timestamp};
use lw_store::{Reader, Tx};
use serde::{Deserialize, Serialize};

pub use self::owner::{ArtifactOwner, ArtifactPlace};
pub use self::path::check as check_artifact_path;
use self::path::{check, check_folder};
use crate::seal::{self, Part};
use crate::{Lifecycle, Tracking, logged_model, run};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Below its owner, with `/`, like `model/model.onnx`.
    pub path: String,
    pub digest: Digest,
    pub size_bytes: u64,
    pub logged_at: Timestamp,
}

/// What lies directly in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArtifactFolder {
    /// By path.
    pub files: Vec<Artifact>,
    /// The paths of the folders in it, in order.
    pub folders: Vec<String>,
}

impl Tracking {
    /// Makes content that is in the artifact store an artifact. A path that is there gets the new content. Nothing is added to a
    /// deleted run or model.
    pub async fn log_artifact(
        &self,
        ctx: &Ctx,
        owner: impl Into<ArtifactOwner>,
        path: &str,
        digest: Digest,
        size_bytes: u64,
    ) -> Result<()> {
        check(path)?;
        let (owner, path) = (owner.into(), path.to_owned());
        self.store
            .write(ctx, move |tx| {
                must_be_open(tx, &owner)?;
                let artifact = Artifact { path, digest, size_bytes, logged_at: tx.now() };
                queries::put(tx, &owner, &artifact)?;
                renew_seal(tx, &owner)
            })
            .await
    }

    /// Refuses what [`Tracking::log_artifact`] would refuse, for whoever wants to know before the content is sent.
    pub async fn may_log_artifact(&self, owner: &ArtifactOwner, path: &str) -> Result<()> {
        check(path)?;
        let (owner, path) = (owner.clone(), path.to_owned());
        self.store
            .read(move |reader| {
                must_be_open(reader, &owner)?;
                queries::must_be_free(reader, &owner, &path)
            })
            .await
    }

    /// The artifact at a path.
    pub async fn artifact(&self, owner: &ArtifactOwner, path: &str) -> Result<Option<Artifact>> {
        check(path)?;
        let (owner, path) = (owner.clone(), path.to_owned());
        self.store
            .read(move |reader| {
                must_exist(reader, &owner)?;
                queries::artifact(reader, &owner, &path)
            })
            .await
    }

    /// All artifacts below a folder, by path; all of the owner for an empty folder.
    pub async fn artifacts(&self, owner: impl Into<ArtifactOwner>, folder: &str) -> Result<Vec<Artifact>> {
        check_folder(folder)?;
        let (owner, folder) = (owner.into(), folder.to_owned());
        self.store
            .read(move |reader| {
                must_exist(reader, &owner)?;
                queries::below(reader, &owner, &folder)
            })
            .await
    }

    /// What lies directly in a folder; at the top for an empty one. None if there is no such folder.
    pub async fn artifact_folder(&self, owner: &ArtifactOwner, folder: &str) -> Result<Option<ArtifactFolder>> {
        check_folder(folder)?;
        let (owner, folder) = (owner.clone(), folder.to_owned());
        self.store
            .read(move |reader| {
                must_exist(reader, &owner)?;
                if !queries::is_folder(reader, &owner, &folder)? {
                    return Ok(None);
                }
                queries::folder(reader, &owner, &folder).map(Some)
            })
            .await
    }

    /// Removes a file, or a folder with all that is in it, or everything of the owner for an empty path. Says how many files went;
    /// removing what is not there is no error.
    pub async fn remove_artifacts(&self, ctx: &Ctx, owner: &ArtifactOwner, path: &str) -> Result<u64> {
        check_folder(path)?;
        let (owner, path) = (owner.clone(), path.to_owned());
        self.store
            .write(ctx, move |tx| {
                must_exist(tx, &owner)?;
                let n_removed = queries::remove(tx, &owner, &path)?;
                renew_seal(tx, &owner)?;
                Ok(n_removed)
            })
            .await
    }
}

/// A run that has ended is sealed with its artifacts, too.
fn renew_seal(tx: &mut Tx<'_>, owner: &ArtifactOwner) -> Result<()> {
    match owner {
        ArtifactOwner::Run(id) => seal::renew_of(tx, id, &[Part::Artifacts]),
        _ => Ok(()),
    }
}

fn must_exist(reader: &mut Reader<'_>, owner: &ArtifactOwner) -> Result<()> {
    match owner {
        ArtifactOwner::Run(id) => run::found(reader, id).map(drop),
        ArtifactOwner::LoggedModel(id) => logged_model::found(reader, id).map(drop),
        ArtifactOwner::Trace(_) | ArtifactOwner::Nobody => Ok(()),
    }
}

fn must_be_open(reader: &mut Reader<'_>, owner: &ArtifactOwner) -> Result<()> {
    match owner {
        ArtifactOwner::Run(id) => run::target(reader, id).map(drop),
        ArtifactOwner::LoggedModel(id) => match logged_model::found(reader, id)?.lifecycle {
            Lifecycle::Active => Ok(()),
            Lifecycle::Deleted => Err(logged_model::not_found(id)),
        },
        ArtifactOwner::Trace(_) | ArtifactOwner::Nobody => Ok(()),
    }
}
