//! Artifacts that lie in folders of this machine.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use lw_core::{Error, Result};
use url::Url;

use crate::failures::ARTIFACTS_ELSEWHERE;
use crate::import::source::{File, Owner};

/// Where a server kept its artifacts.
#[derive(Debug)]
pub struct Folders {
    /// What relative paths start from.
    base: PathBuf,
    /// The folder that a server with `--artifacts-destination` kept, or one to which artifacts were moved.
    moved: Option<PathBuf>,
}

impl Folders {
    pub fn new(base: PathBuf, moved: Option<PathBuf>) -> Self {
        Self { base, moved }
    }

    pub fn files(&self, owner: &Owner) -> Result<Vec<File>> {
        let root = self.root(owner)?;
        let mut files = Vec::new();
        // A run that logged no artifact has no folder.
        if root.is_dir() {
            let root = root.canonicalize().map_err(|error| unreadable(&root, error))?;
            walk(&root, &root, &mut files)?;
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    pub fn open(&self, owner: &Owner, path: &str) -> Result<Box<dyn Read + Send>> {
        let path = self.root(owner)?.join(path);
        let file = std::fs::File::open(&path).map_err(|error| unreadable(&path, error))?;
        Ok(Box::new(file))
    }

    fn root(&self, owner: &Owner) -> Result<PathBuf> {
        let root = owner.root.as_str();
        let scheme = root.split_once(':').map_or("", |(scheme, _)| scheme);
        let folder = match scheme {
            "mlflow-artifacts" => {
                let path = root.trim_start_matches("mlflow-artifacts:");
                let path = match path.strip_prefix("//") {
                    // What follows two slashes is the server.
                    Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
                    None => path,
                };
                let Some(moved) = &self.moved else { return Err(self.elsewhere(root)) };
                return Ok(moved.join(plain(path).ok_or_else(|| self.elsewhere(root))?));
            }
            "file" => Url::parse(root).ok().and_then(|url| url.to_file_path().ok()).ok_or_else(|| self.elsewhere(root))?,
            // A letter is a drive.
            "" => self.base.join(root),
            scheme if scheme.len() == 1 => PathBuf::from(root),
            _ => return Err(self.elsewhere(root)),
        };
        if folder.is_dir() {
            return Ok(folder);
        }
        // The folder was moved: its last parts, the experiment and what follows, are the same.
        let Some(moved) = &self.moved else { return Ok(folder) };
        let parts: Vec<_> = folder.components().collect();
        let tails = (2..=parts.len().min(4)).rev().filter_map(|n_parts| parts.get(parts.len() - n_parts..));
        let found = tails.map(|tail| moved.join(tail.iter().collect::<PathBuf>())).find(|folder| folder.is_dir());
        Ok(found.unwrap_or(folder))
    }

    fn elsewhere(&self, root: &str) -> Error {
        let error = ARTIFACTS_ELSEWHERE.error(format!("the artifacts at `{root}` cannot be read from here"));
        if root.starts_with("mlflow-artifacts:") {
            return error.hint("give the folder that the server has as --artifacts-destination with --artifacts-from DIR, or leave files out with --no-artifacts");
        }
        error.hint("import from the server's address, which reads them; or leave files out with --no-artifacts")
    }
}

/// A relative path of plain names.
fn plain(path: &str) -> Option<PathBuf> {
    let path = Path::new(path.trim_start_matches('/'));
    path.components().all(|part| matches!(part, Component::Normal(_))).then(|| path.to_path_buf())
}

/// Every file below a folder. What a link leads to counts as long as it lies below the root, too.
fn walk(root: &Path, folder: &Path, files: &mut Vec<File>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let real = path.canonicalize().map_err(|error| unreadable(&path, error))?;
        if !real.starts_with(root) {
            let error = ARTIFACTS_ELSEWHERE.error(format!("`{}` is a link that leads out of the artifacts", path.display()));
            return Err(error.hint("replace the link by what it leads to"));
        }
        let about = std::fs::metadata(&real).map_err(|error| unreadable(&path, error))?;
        if about.is_dir() {
            // A link to a folder above would never end.
            if !path.starts_with(&real) || path == real {
                walk(root, &path, files)?;
            }
        } else {
            let below = path.strip_prefix(root).unwrap_or(&path);
            let parts: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
            let Some(parts) = parts else {
                return Err(ARTIFACTS_ELSEWHERE.error(format!("the name of `{}` is no text", path.display())));
            };
            files.push(File { path: parts.join("/"), size_bytes: Some(about.len()) });
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    ARTIFACTS_ELSEWHERE
        .error(format!("`{}` cannot be read: {error}", path.display()))
        .hint("check that the folder is there and that you may read it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::source::OwnerKind;

    fn owner(root: &str) -> Owner {
        Owner { kind: OwnerKind::Run, id: "a".to_owned(), root: root.to_owned() }
    }

    #[test]
    fn folders_are_found_where_they_were_and_where_they_were_moved_to() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        std::fs::create_dir_all(base.join("mlruns/1/a/artifacts/model")).unwrap();
        std::fs::write(base.join("mlruns/1/a/artifacts/model/MLmodel"), "flavors: {}").unwrap();
        std::fs::write(base.join("mlruns/1/a/artifacts/x.txt"), "x").unwrap();
        let here = Folders::new(base.to_path_buf(), None);
        let moved = Folders::new(PathBuf::from("/nowhere"), Some(base.join("mlruns")));
        let absolute = format!("file://{}/mlruns/1/a/artifacts", base.display());
        for (folders, root) in [
            (&here, "./mlruns/1/a/artifacts"),
            (&here, absolute.as_str()),
            (&moved, "mlflow-artifacts:/1/a/artifacts"),
            (&moved, "mlflow-artifacts://host:5000/1/a/artifacts"),
            (&moved, "file:///old/place/mlruns/1/a/artifacts"),
            (&moved, "/old/mlruns/1/a/artifacts"),
        ] {
            let files = folders.files(&owner(root)).unwrap();
            assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["model/MLmodel", "x.txt"], "{root}");
            let mut text = String::new();
            folders.open(&owner(root), "x.txt").unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "x");
        }
        assert!(moved.files(&owner("mlflow-artifacts:/2/b/artifacts")).unwrap().is_empty());
        for root in ["s3://bucket/1/a", "mlflow-artifacts:/../../etc"] {
            assert!(moved.files(&owner(root)).unwrap_err().is(ARTIFACTS_ELSEWHERE), "{root}");
        }
        assert!(here.files(&owner("mlflow-artifacts:/1/a/artifacts")).unwrap_err().is(ARTIFACTS_ELSEWHERE));
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_lead_out() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("run");
        std::fs::create_dir(&run).unwrap();
        std::fs::write(directory.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(&run, run.join("loop")).unwrap();
        let folders = Folders::new(PathBuf::new(), None);
        assert!(folders.files(&owner(run.to_str().unwrap())).unwrap().is_empty());
        std::os::unix::fs::symlink(directory.path().join("secret"), run.join("out")).unwrap();
        assert!(folders.files(&owner(run.to_str().unwrap())).unwrap_err().is(ARTIFACTS_ELSEWHERE));
    }
}
