//! The statements about artifacts.

use lw_core::{Result, Scalar};
use lw_store::{Reader, Row, Tx};

use super::{Artifact, ArtifactFolder, ArtifactOwner};
use crate::ARTIFACT_PATH_TAKEN;

/// Puts an artifact at its path, and the folders above it where they are missing.
pub(crate) fn put(tx: &mut Tx<'_>, owner: &ArtifactOwner, artifact: &Artifact) -> Result<()> {
    must_be_free(tx, owner, &artifact.path)?;
    for path in folders_above(&artifact.path) {
        let (folder, name) = split(path);
        tx.execute(
            "INSERT INTO artifact_folder (owner, folder, name) VALUES ($1, $2, $3) ON CONFLICT (owner, folder, name) DO NOTHING",
            &[owner.id().into(), folder.into(), name.into()],
        )?;
    }
    let (folder, name) = split(&artifact.path);
    tx.execute(
        "INSERT INTO artifact (owner, folder, name, digest, size_bytes, logged_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (owner, folder, name) DO UPDATE SET digest = EXCLUDED.digest, size_bytes = EXCLUDED.size_bytes, \
         logged_at = EXCLUDED.logged_at",
        &[
            owner.id().into(),
            folder.into(),
            name.into(),
            artifact.digest.into(),
            artifact.size_bytes.into(),
            artifact.logged_at.into(),
        ],
    )?;
    Ok(())
}

/// Refuses a file where a folder is, and a folder where a file is.
pub(crate) fn must_be_free(reader: &mut Reader<'_>, owner: &ArtifactOwner, path: &str) -> Result<()> {
    let taken = |what: &str, path: &str| {
        ARTIFACT_PATH_TAKEN
            .error(format!("there is a {what} at `{path}`"))
            .hint("use another path, or remove what is there first")
    };
    if is_folder(reader, owner, path)? {
        return Err(taken("folder", path));
    }
    // Where the folder is, no file is above it; so only a new folder needs to look.
    let (folder, _) = split(path);
    if is_folder(reader, owner, folder)? {
        return Ok(());
    }
    for folder in folders_above(path) {
        if artifact(reader, owner, folder)?.is_some() {
            return Err(taken("file", folder));
        }
    }
    Ok(())
}

pub(crate) fn artifact(reader: &mut Reader<'_>, owner: &ArtifactOwner, path: &str) -> Result<Option<Artifact>> {
    let (folder, name) = split(path);
    let sql = "SELECT * FROM artifact WHERE owner = $1 AND folder = $2 AND name = $3";
    reader.query_opt(sql, &[owner.id().into(), folder.into(), name.into()])?.as_ref().map(of).transpose()
}

pub(crate) fn is_folder(reader: &mut Reader<'_>, owner: &ArtifactOwner, path: &str) -> Result<bool> {
    if path.is_empty() {
        return Ok(true);
    }
    let (folder, name) = split(path);
    let sql = "SELECT name FROM artifact_folder WHERE owner = $1 AND folder = $2 AND name = $3";
    Ok(reader.query_opt(sql, &[owner.id().into(), folder.into(), name.into()])?.is_some())
}

/// What lies directly in a folder, by path.
pub(crate) fn folder(reader: &mut Reader<'_>, owner: &ArtifactOwner, folder: &str) -> Result<ArtifactFolder> {
    let files = "SELECT * FROM artifact WHERE owner = $1 AND folder = $2";
    let mut files =
        reader.query(files, &[owner.id().into(), folder.into()])?.iter().map(of).collect::<Result<Vec<Artifact>>>()?;
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let mut folders = folders_in(reader, owner, folder)?;
    folders.sort_unstable();
    Ok(ArtifactFolder { files, folders })
}

/// All below a folder, by path; all of the owner for an empty one.
pub(crate) fn below(reader: &mut Reader<'_>, owner: &ArtifactOwner, top: &str) -> Result<Vec<Artifact>> {
    let mut files = Vec::new();
    if top.is_empty() {
        let rows = reader.query("SELECT * FROM artifact WHERE owner = $1", &[owner.id().into()])?;
        files = rows.iter().map(of).collect::<Result<Vec<_>>>()?;
    } else {
        let mut waiting = vec![top.to_owned()];
        while let Some(path) = waiting.pop() {
            let ArtifactFolder { files: mut here, folders } = folder(reader, owner, &path)?;
            files.append(&mut here);
            waiting.extend(folders);
        }
    }
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Removes a file or a folder with all below it, and the folders above that are empty then. Returns the number of files.
pub(crate) fn remove(tx: &mut Tx<'_>, owner: &ArtifactOwner, path: &str) -> Result<u64> {
    if path.is_empty() {
        tx.execute("DELETE FROM artifact_folder WHERE owner = $1", &[owner.id().into()])?;
        return tx.execute("DELETE FROM artifact WHERE owner = $1", &[owner.id().into()]);
    }
    let (folder, name) = split(path);
    let at: [Scalar; 3] = [owner.id().into(), folder.into(), name.into()];
    let mut n_files = tx.execute("DELETE FROM artifact WHERE owner = $1 AND folder = $2 AND name = $3", &at)?;
    let mut waiting = if is_folder(tx, owner, path)? { vec![path.to_owned()] } else { Vec::new() };
    while let Some(path) = waiting.pop() {
        waiting.extend(folders_in(tx, owner, &path)?);
        let here: [Scalar; 2] = [owner.id().into(), path.into()];
        tx.execute("DELETE FROM artifact_folder WHERE owner = $1 AND folder = $2", &here)?;
        n_files += tx.execute("DELETE FROM artifact WHERE owner = $1 AND folder = $2", &here)?;
    }
    tx.execute("DELETE FROM artifact_folder WHERE owner = $1 AND folder = $2 AND name = $3", &at)?;
    let mut above = folder;
    while !above.is_empty() && is_empty(tx, owner, above)? {
        let (folder, name) = split(above);
        tx.execute(
            "DELETE FROM artifact_folder WHERE owner = $1 AND folder = $2 AND name = $3",
            &[owner.id().into(), folder.into(), name.into()],
        )?;
        above = folder;
    }
    Ok(n_files)
}

fn folders_in(reader: &mut Reader<'_>, owner: &ArtifactOwner, folder: &str) -> Result<Vec<String>> {
    let sql = "SELECT name FROM artifact_folder WHERE owner = $1 AND folder = $2";
    let rows = reader.query(sql, &[owner.id().into(), folder.into()])?;
    rows.iter().map(|row| Ok(joined(folder, &row.text("name")?))).collect()
}

fn is_empty(reader: &mut Reader<'_>, owner: &ArtifactOwner, folder: &str) -> Result<bool> {
    let here: [Scalar; 2] = [owner.id().into(), folder.into()];
    let has_file = reader.query_opt("SELECT name FROM artifact WHERE owner = $1 AND folder = $2 LIMIT 1", &here)?.is_some();
    let sql = "SELECT name FROM artifact_folder WHERE owner = $1 AND folder = $2 LIMIT 1";
    Ok(!has_file && reader.query_opt(sql, &here)?.is_none())
}

fn of(row: &Row) -> Result<Artifact> {
    Ok(Artifact {
        path: joined(&row.text("folder")?, &row.text("name")?),
        digest: row.digest("digest")?,
        size_bytes: row.count("size_bytes")?,
        logged_at: row.time("logged_at")?,
    })
}

/// `a/b/c` as `a/b` and `c`.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Of `a/b/c` the folders `a` and `a/b`.
fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}
