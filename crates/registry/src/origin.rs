//! Where a client says that a version comes from, and versions that clients register.

use std::collections::BTreeMap;

use lw_core::{Ctx, Result, RunId};
use lw_store::Row;
use serde::{Deserialize, Serialize};

use crate::record::VersionRecord;
use crate::{NewVersion, Registry, record, tag, version};

/// Where a version comes from, as MLflow's clients say it. All of it is empty where nobody did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// A URI such as `runs:/…/model`.
    pub source: String,
    /// Where the files lie that the source stands for.
    pub location: String,
    /// The run, which need not be one that we know.
    pub run: String,
    pub run_link: String,
    /// The logged model that was registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logged_model: Option<String>,
}

impl Origin {
    /// Of a version that a pipeline's run made.
    pub(crate) fn of_run(run: Option<&RunId>) -> Self {
        let Some(run) = run else { return Self::default() };
        let source = format!("runs:/{run}/model");
        Self { location: source.clone(), source, run: run.to_string(), ..Self::default() }
    }

    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            source: row.text("source")?,
            location: row.text("location")?,
            run: row.text("source_run")?,
            run_link: row.text("run_link")?,
            logged_model: row.opt_text("logged_model")?,
        })
    }
}

/// A version that a client registers, with what it says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientVersion {
    pub new: NewVersion,
    pub origin: Origin,
    pub description: Option<String>,
    pub tags: BTreeMap<String, String>,
}

impl Registry {
    /// Registers a version with a number of its own, even if another one has the same content.
    ///
    /// # Errors
    /// `model-not-found`, `bad-model-tag`.
    pub async fn register_of_client(&self, ctx: &Ctx, wanted: ClientVersion) -> Result<VersionRecord> {
        wanted.tags.iter().try_for_each(|(key, value)| tag::check(key, value))?;
        self.store
            .write(ctx, move |tx| {
                let version = version::add(tx, wanted.new, wanted.origin, wanted.description, &wanted.tags)?;
                record::of_version(tx, version)
            })
            .await
    }
}
