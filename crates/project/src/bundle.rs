//! A project as it travels from the client to the server: the text of its files, and where its data lie.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lw_core::{Digest, Result};
use serde::{Deserialize, Serialize};

use crate::failures::{FILE_UNREADABLE, NO_PROJECT};

/// The folders of a project whose files are definitions or code.
const FOLDERS: [&str; 6] = ["sources", "features", "models", "pipelines", "policies", "scripts"];
const ROOT_FILE: &str = "loopwright.yaml";
/// Larger files are data, not definitions.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The definitions and scripts of a project, by path relative to its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The project's folder; relative paths of data files start here.
    pub root: PathBuf,
    pub files: BTreeMap<String, String>,
}

impl Bundle {
    /// Reads a project folder.
    pub fn read(root: &Path) -> Result<Self> {
        let root = root.canonicalize().map_err(|error| no_project(root).cause(error))?;
        let mut files = BTreeMap::new();
        let root_file = root.join(ROOT_FILE);
        if !root_file.is_file() {
            return Err(no_project(&root));
        }
        files.insert(ROOT_FILE.to_owned(), read(&root_file, ROOT_FILE)?);
        for folder in FOLDERS {
            let directory = root.join(folder);
            if !directory.is_dir() {
                continue;
            }
            for entry in std::fs::read_dir(&directory).map_err(|error| unreadable(folder).cause(error))? {
                let entry = entry.map_err(|error| unreadable(folder).cause(error))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_text = [".yaml", ".yml", ".sql", ".py", ".sh", ".txt"].iter().any(|end| name.ends_with(end));
                if is_text && entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_FILE_BYTES) {
                    let shown = format!("{folder}/{name}");
                    files.insert(shown.clone(), read(&entry.path(), &shown)?);
                }
            }
        }
        Ok(Self { root, files })
    }

    /// The digest of the files, wherever the folder lies.
    pub fn digest(&self) -> Digest {
        Digest::of_json(&self.files)
    }

    /// The files of one folder that end in `.yaml` or `.yml`.
    pub fn yaml_files<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .filter(move |(path, _)| {
                path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
                    && (path.ends_with(".yaml") || path.ends_with(".yml"))
            })
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

fn read(path: &Path, shown: &str) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| unreadable(shown).hint("check that the file is readable and is UTF-8 text").cause(error))
}

fn unreadable(shown: &str) -> lw_core::Error {
    FILE_UNREADABLE.error(format!("cannot read `{shown}`"))
}

fn no_project(root: &Path) -> lw_core::Error {
    NO_PROJECT
        .error(format!("`{}` holds no project", root.display()))
        .hint("a project is a folder with a loopwright.yaml; `loopwright init` writes one, `--project DIR` names one")
}
