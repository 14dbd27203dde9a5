//! Models and versions with everything that is known about them, as lists and clients show them.

use std::collections::BTreeMap;

use lw_core::{ModelName, Result};
use lw_store::Reader;
use serde::Serialize;

use crate::state::VersionState;
use crate::{Alias, AliasPointer, MODEL_VERSION_NOT_FOUND, Model, ModelVersion, Registry, Stage, model, queries, tag, version};

/// A version with its state, its tags and the aliases that point at it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionRecord {
    pub version: ModelVersion,
    pub state: VersionState,
    pub tags: BTreeMap<String, String>,
    pub aliases: Vec<Alias>,
}

/// A model with its tags, its aliases, and the newest version of each stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelRecord {
    pub model: Model,
    pub tags: BTreeMap<String, String>,
    pub aliases: Vec<AliasPointer>,
    /// By the first version that stands in the stage.
    pub latest: Vec<VersionRecord>,
}

impl ModelRecord {
    pub fn is_prompt(&self) -> bool {
        tag::is_prompt(&self.tags)
    }
}

impl Registry {
    pub async fn model_record(&self, name: impl Into<ModelName>) -> Result<ModelRecord> {
        let name = name.into();
        self.store
            .read(move |reader| {
                let model = model::found(reader, &name)?;
                of_model(reader, model)
            })
            .await
    }

    pub async fn version_record(&self, model: impl Into<ModelName>, version: u64) -> Result<VersionRecord> {
        let model = model.into();
        self.store
            .read(move |reader| {
                let found = version::found(reader, &model, version)?;
                of_version(reader, found)
            })
            .await
    }

    /// The version that an alias points at; `latest` means the one with the greatest number.
    ///
    /// # Errors
    /// `model-not-found`, `alias-not-found`, and `model-version-not-found` for the latest of none.
    pub async fn record_by_alias(&self, model: impl Into<ModelName>, alias: &Alias) -> Result<VersionRecord> {
        let model = model.into();
        if alias.is_latest() {
            let latest = self.latest_in_stages(model.clone(), &[]).await?;
            return latest.into_iter().max_by_key(|record| record.version.version).ok_or_else(|| {
                MODEL_VERSION_NOT_FOUND
                    .error(format!("Latest version not found for model {model}."))
                    .hint("register a version first")
            });
        }
        let version = self.version_by_alias(model, alias).await?;
        self.store.read(move |reader| of_version(reader, version)).await
    }

    /// The newest version of each of these stages, or of every stage if none is named.
    pub async fn latest_in_stages(&self, model: impl Into<ModelName>, stages: &[Stage]) -> Result<Vec<VersionRecord>> {
        let (model, stages) = (model.into(), stages.to_vec());
        self.store
            .read(move |reader| {
                model::found(reader, &model)?;
                let mut latest = latest(reader, &model)?;
                latest.retain(|record| stages.is_empty() || stages.contains(&record.state.stage));
                Ok(latest)
            })
            .await
    }

    /// Whether the model is a prompt.
    pub async fn is_prompt(&self, model: impl Into<ModelName>) -> Result<bool> {
        let model = model.into();
        self.store.read(move |reader| Ok(tag::is_prompt(&queries::model_tags(reader, &model)?))).await
    }
}

pub(crate) fn of_model(reader: &mut Reader<'_>, model: Model) -> Result<ModelRecord> {
    Ok(ModelRecord {
        tags: queries::model_tags(reader, &model.name)?,
        aliases: queries::aliases(reader, &model.name)?,
        latest: latest(reader, &model.name)?,
        model,
    })
}

pub(crate) fn of_version(reader: &mut Reader<'_>, version: ModelVersion) -> Result<VersionRecord> {
    let pointers = queries::aliases(reader, &version.model)?.into_iter();
    Ok(VersionRecord {
        state: queries::state(reader, &version.model, version.version)?,
        tags: queries::version_tags(reader, &version.model, version.version)?,
        aliases: pointers.filter(|pointer| pointer.version == version.version).map(|pointer| pointer.alias).collect(),
        version,
    })
}

fn latest(reader: &mut Reader<'_>, model: &ModelName) -> Result<Vec<VersionRecord>> {
    let mut records = Vec::new();
    for number in queries::latest_of_stages(reader, model)? {
        let version = version::found(reader, model, number)?;
        records.push(of_version(reader, version)?);
    }
    Ok(records)
}
