//! A project as it travels from the client to the server: the text of its files, and where its data lie.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lw_core::{Digest, Result};
use serde::{Deserialize, Serialize};

use crate::failures::{FILE_UNREADABLE, NO_PROJECT, WRONG_FILE_NAME};

/// The folders of a project whose files are definitions.
const FOLDERS: [&str; 5] = ["sources", "features", "models", "pipelines", "policies"];
/// The folder of a project whose files are code, at any depth.
pub const SCRIPTS: &str = "scripts/";
const ROOT_FILE: &str = "loopwright.yaml";
/// Larger files are data, not definitions.
const MAX_FILE_BYTES: u64 = 1 << 20;
const DEFINITION_ENDINGS: [&str; 3] = [".yaml", ".yml", ".sql"];
/// What scripts are made of and read beside their inputs; anything else in the folder, such as compiled code, is not the project's.
const CODE_ENDINGS: [&str; 11] = [".py", ".sh", ".sql", ".txt", ".toml", ".json", ".yaml", ".yml", ".cfg", ".ini", ".lock"];

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
            let below = read_folder(&root, folder, &DEFINITION_ENDINGS, &mut files)?;
            below.iter().try_for_each(|below| refuse_definitions(&root, folder, below))?;
        }
        read_tree(&root, SCRIPTS.trim_end_matches('/'), &mut files)?;
        Ok(Self { root, files })
    }

    /// The digest of the files, wherever the folder lies.
    pub fn digest(&self) -> Digest {
        Digest::of_json(&self.files)
    }

    /// The code of the project, by path.
    pub fn scripts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter(|(path, _)| path.starts_with(SCRIPTS)).map(|(path, text)| (path.as_str(), text.as_str()))
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

/// Reads the files of one folder that have one of the endings, and returns its folders.
fn read_folder(root: &Path, folder: &str, endings: &[&str], files: &mut BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut folders = Vec::new();
    if !root.join(folder).is_dir() {
        return Ok(folders);
    }
    for entry in std::fs::read_dir(root.join(folder)).map_err(|error| unreadable(folder).cause(error))? {
        let entry = entry.map_err(|error| unreadable(folder).cause(error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let shown = format!("{folder}/{name}");
        let Ok(metadata) = entry.metadata() else { continue };
        // A link is neither: it could lead anywhere.
        if metadata.is_dir() && !name.starts_with(['.', '_']) {
            folders.push(shown);
        } else if metadata.is_file() && endings.iter().any(|end| name.ends_with(end)) {
            if metadata.len() > MAX_FILE_BYTES {
                let error = FILE_UNREADABLE.error(format!("`{shown}` is larger than a definition or a script may be (1 MiB)"));
                return Err(error.hint("keep data in `data/`, or another folder of its own"));
            }
            files.insert(shown.clone(), read(&entry.path(), &shown)?);
        }
    }
    Ok(folders)
}

/// Definitions lie directly in their folder; one further down would be ignored, and nobody would know.
fn refuse_definitions(root: &Path, folder: &str, below: &str) -> Result<()> {
    let mut found = BTreeMap::new();
    read_folder(root, below, &DEFINITION_ENDINGS, &mut found)?;
    match found.keys().next() {
        None => Ok(()),
        Some(path) => Err(WRONG_FILE_NAME
            .error(format!("`{path}` would be ignored: definitions lie directly in `{folder}/`"))
            .hint(format!("move it to `{folder}/`, or out of it if it is not used"))),
    }
}

/// Reads the code below a folder.
fn read_tree(root: &Path, folder: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        pending.extend(read_folder(root, &folder, &CODE_ENDINGS, files)?);
    }
    Ok(())
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
