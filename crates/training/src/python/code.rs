//! The code of a step: the texts that it runs from, whatever the disk holds meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path};

use lw_core::Result;

use super::file_error;
use crate::failures::{PYTHON_SCRIPT_MISSING, TRAINING_FILE};

/// The files of a script: those of its own folder and the folders below, by path. This is what the script can import, and all
/// that it is run with.
///
/// ```
/// # use std::collections::BTreeMap;
/// let files = BTreeMap::from(["scripts/churn/train.py", "scripts/churn/lib/data.py", "scripts/other.py"].map(|path| {
///     (path.to_owned(), String::new())
/// }));
/// let code = lw_training::code_of("scripts/churn/train.py", &files);
/// assert_eq!(code.into_keys().collect::<Vec<_>>(), ["scripts/churn/lib/data.py", "scripts/churn/train.py"]);
/// ```
pub fn code_of(script: &str, files: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let folder = script.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    files.iter().filter(|(path, _)| path.starts_with(&folder)).map(|(path, text)| (path.clone(), text.clone())).collect()
}

/// Writes the files into an empty directory.
///
/// # Errors
/// `python-script-missing` if the script is none of the files, `training-file` if a path leads out of the directory.
pub(super) fn write_code(script: &str, files: &BTreeMap<String, String>, directory: &Path) -> Result<()> {
    if !files.contains_key(script) {
        let error = PYTHON_SCRIPT_MISSING.error(format!("there is no script `{script}` in the applied project"));
        return Err(error.hint("put it into `scripts/` and name it like `script: scripts/train.py`, then `loopwright apply`"));
    }
    for (path, text) in files {
        if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
            let error = TRAINING_FILE.error(format!("the path `{path}` of the applied project leads out of it"));
            return Err(error.hint("name files relative to the project, without `..`"));
        }
        let target = directory.join(path);
        let written = target.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&target, text));
        written.map_err(|error| file_error("a script cannot be written", error))?;
    }
    Ok(())
}
