//! Where a workspace keeps its state: said once, and remembered in the workspace, without passwords.

use std::path::{Path, PathBuf};

use lw_core::{IdSource, Result};
use lw_store::MetadataUrl;
use serde::{Deserialize, Serialize};

use crate::failures::{FILE_UNREADABLE, WORKSPACE_ELSEWHERE};
use crate::workspace::WorkspaceOptions;

/// What `workspace.json` in the workspace's folder holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Names this workspace among all that share a database.
    id: String,
    /// The metadata database, unless it is `metadata.db` in the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    /// The artifact store, unless it is `artifacts/` in the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifacts: Option<String>,
}

/// The addresses that a workspace opens.
#[derive(Debug)]
pub(crate) struct Storage {
    pub id: String,
    pub metadata: MetadataUrl,
    pub artifacts: String,
    record: Option<Record>,
    file: PathBuf,
}

impl Storage {
    /// What was said when the workspace was made, unless it is said again.
    ///
    /// # Errors
    /// `workspace-elsewhere` if something else is said now.
    pub fn find(options: &WorkspaceOptions, ids: &dyn IdSource) -> Result<Self> {
        let directory = &options.directory;
        let file = directory.join("workspace.json");
        let remembered = read(&file)?;
        let own_metadata = MetadataUrl::sqlite(directory.join("metadata.db"));
        let own_artifacts = format!("file://{}", directory.join("artifacts").display());
        let given = options.metadata.as_deref().map(MetadataUrl::parse).transpose()?;
        let given_artifacts = options.artifacts.as_deref().map(|url| url.trim_end_matches('/').to_owned());
        if let Some(record) = &remembered {
            let kept = record.metadata.clone().unwrap_or_else(|| own_metadata.without_password());
            agree("metadata", &kept, given.as_ref().map(MetadataUrl::without_password).as_deref(), &file)?;
            agree("artifacts", record.artifacts.as_ref().unwrap_or(&own_artifacts), given_artifacts.as_deref(), &file)?;
        }
        let record = remembered.clone().unwrap_or_else(|| Record {
            id: ids.next_hex(),
            metadata: given.as_ref().filter(|given| **given != own_metadata).map(MetadataUrl::without_password),
            artifacts: given_artifacts.clone().filter(|given| *given != own_artifacts),
        });
        let metadata = match (given, &record.metadata) {
            (Some(given), _) => given,
            (None, Some(kept)) => MetadataUrl::parse(kept)?,
            (None, None) => own_metadata,
        };
        let artifacts = given_artifacts.or_else(|| record.artifacts.clone()).unwrap_or(own_artifacts);
        let (id, record) = (record.id.clone(), remembered.is_none().then_some(record));
        Ok(Self { id, metadata, artifacts, record, file })
    }

    /// Writes down what is new. Call it when both have been opened: an address that leads nowhere is not remembered.
    pub fn remember(&self) -> Result<()> {
        let Some(record) = &self.record else {
            return Ok(());
        };
        let unwritable = |error: std::io::Error| {
            FILE_UNREADABLE
                .error(format!("`{}` cannot be written", self.file.display()))
                .hint("check permissions and free space")
                .cause(error)
        };
        let text =
            serde_json::to_string_pretty(record).map_err(|error| lw_core::Error::bug("a record is plain JSON").cause(error))?;
        let draft = self.file.with_extension("json.new");
        std::fs::write(&draft, text + "\n").and_then(|()| std::fs::rename(&draft, &self.file)).map_err(unwritable)
    }
}

fn read(file: &Path) -> Result<Option<Record>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let shown = FILE_UNREADABLE.error(format!("`{}` cannot be read", file.display()));
            return Err(shown.hint("check who may read it").cause(error));
        }
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        FILE_UNREADABLE
            .error(format!("`{}` is damaged: {error}", file.display()))
            .hint("it names the metadata database and the artifact store of this workspace; `loopwright explain file-unreadable`")
    })
}

/// A workspace keeps what it was made with: half of its state elsewhere would be another workspace.
fn agree(what: &str, kept: &str, given: Option<&str>, file: &Path) -> Result<()> {
    match given.filter(|given| *given != kept) {
        None => Ok(()),
        Some(given) => {
            Err(WORKSPACE_ELSEWHERE.error(format!("this workspace keeps its {what} in {kept}, not in {given}")).hint(format!(
                "leave --{what} out (and LOOPWRIGHT_{}), or name another --workspace; {} remembers it",
                what.to_uppercase(),
                file.display()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(directory: &Path, metadata: Option<&str>, artifacts: Option<&str>) -> Result<Storage> {
        let (metadata, artifacts) = (metadata.map(str::to_owned), artifacts.map(str::to_owned));
        Storage::find(&WorkspaceOptions { directory: directory.to_owned(), metadata, artifacts }, &lw_core::RandomIds)
    }

    #[test]
    fn a_workspace_remembers_where_its_state_is_but_no_password() {
        let folder = tempfile::tempdir().unwrap();
        let url = "postgres://ana:hunter2@db/loop?options=-csearch_path%3Dx";
        let first = find(folder.path(), Some(url), Some("s3://bucket/shop/")).unwrap();
        assert!(!folder.path().join("workspace.json").exists(), "nothing is remembered before it was opened");
        first.remember().unwrap();
        assert!(!std::fs::read_to_string(folder.path().join("workspace.json")).unwrap().contains("hunter2"));

        let again = find(folder.path(), None, None).unwrap();
        assert_eq!(again.metadata.with_secrets(), "postgres://ana@db/loop?options=-csearch_path%3Dx");
        assert_eq!((again.artifacts.as_str(), &again.id), ("s3://bucket/shop", &first.id));
        let said = find(folder.path(), Some(url), None).unwrap();
        assert_eq!(said.metadata.with_secrets(), url, "the password that is given counts");
        for (metadata, artifacts) in [(Some("postgres://ana@other/loop"), None), (None, Some("s3://other"))] {
            let error = find(folder.path(), metadata, artifacts).unwrap_err();
            assert!(error.is(WORKSPACE_ELSEWHERE) && error.hint_text().is_some(), "{error:?}");
        }
    }

    #[test]
    fn a_workspace_of_its_own_may_be_named_by_its_own_address() {
        let folder = tempfile::tempdir().unwrap();
        let own = format!("sqlite://{}", folder.path().join("metadata.db").display());
        find(folder.path(), None, None).unwrap().remember().unwrap();
        assert_eq!(find(folder.path(), Some(&own), None).unwrap().metadata.to_string(), own);
        assert!(find(folder.path(), Some("postgres://db/loop"), None).unwrap_err().is(WORKSPACE_ELSEWHERE));
    }
}
