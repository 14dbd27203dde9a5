//! Models and versions that another registry recorded, brought here with their own numbers and times.

use std::collections::BTreeMap;

use lw_core::{Ctx, Draft, ModelName, Result, Timestamp};
use lw_store::{EntryFilter, Mention, Tx};
use serde_json::json;

use crate::protection::{Deed, permit};
use crate::state::VersionState;
use crate::{ClientVersion, Hand, Model, ModelVersion, Registry, Stage, VERSION_TAKEN, model, queries, tag};

const IMPORT: &str = "model_version.import";

/// A model that another registry has.
#[derive(Debug, Clone, PartialEq)]
pub struct AdoptedModel {
    pub name: ModelName,
    pub description: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub tags: BTreeMap<String, String>,
    /// The other registry, as the ledger names it.
    pub source: String,
}

/// A version that another registry has.
#[derive(Debug, Clone, PartialEq)]
pub struct AdoptedVersion {
    pub wanted: ClientVersion,
    pub version: u64,
    pub stage: Stage,
    pub registered_at: Timestamp,
    pub updated_at: Timestamp,
    /// The other registry, as the ledger names it.
    pub source: String,
}

impl Registry {
    /// Makes a model with the times of the other registry, and says whether it was missing. One that is there stays as it is, except
    /// that it gets the tags that it has not.
    ///
    /// # Errors
    /// `bad-model-tag`.
    pub async fn adopt_model(&self, ctx: &Ctx, wanted: AdoptedModel) -> Result<bool> {
        wanted.tags.iter().try_for_each(|(key, value)| tag::check(key, value))?;
        self.store.write(ctx, move |tx| adopt_model(tx, wanted)).await
    }

    /// Brings a version with its number, and says whether it was missing. Numbers may leave gaps. A version that was brought before
    /// stays as it is, even if somebody deleted it since.
    ///
    /// # Errors
    /// `model-not-found`, `bad-model-tag`; `version-taken` if the number belongs to a version of ours; `model-protected` for a stage
    /// that is not set by hand.
    pub async fn adopt_version(&self, ctx: &Ctx, adopted: AdoptedVersion) -> Result<bool> {
        let (name, number) = (adopted.wanted.new.model.clone(), adopted.version);
        adopted.wanted.tags.iter().try_for_each(|(key, value)| tag::check(key, value))?;
        let Some(subject) = self.store.write(ctx, move |tx| adopt_version(tx, adopted)).await? else { return Ok(true) };
        let entries = self.store.entries(EntryFilter::about(subject, Mention::Subject).limit(1)).await?;
        if entries.first().is_some_and(|entry| entry.action == IMPORT) {
            return Ok(false);
        }
        Err(VERSION_TAKEN
            .error(format!("version {number} of model `{name}` is here already and was not brought by an import"))
            .hint("rename the model on the other server, or here, and import again"))
    }
}

fn adopt_model(tx: &mut Tx<'_>, wanted: AdoptedModel) -> Result<bool> {
    let AdoptedModel { name, description, created_at, updated_at, mut tags, source } = wanted;
    let found = queries::model(tx, &name)?;
    let is_new = found.is_none();
    if !is_new {
        let present = queries::model_tags(tx, &name)?;
        tags.retain(|key, _| !present.contains_key(key));
        if tags.is_empty() {
            return Ok(false);
        }
    }
    let model = found.unwrap_or_else(|| Model { name, description, owner: tx.actor().clone(), created_at, updated_at });
    let payload = json!({"description": model.description, "owner": model.owner, "tags": tag::shown(&tags), "source": source});
    let mut draft = Draft::new("model.import", model.subject()).payload(payload).change(model.change());
    draft.changes.extend(tags.iter().map(|(key, value)| tag::model_change(&model.name, key, value)));
    tx.record(draft)?;
    Ok(is_new)
}

/// Writes the version, or gives the subject of the one that has its number.
fn adopt_version(tx: &mut Tx<'_>, adopted: AdoptedVersion) -> Result<Option<lw_core::Subject>> {
    let AdoptedVersion { wanted, version, stage, registered_at, updated_at, source } = adopted;
    let ClientVersion { new, origin, description, tags } = wanted;
    model::found(tx, &new.model)?;
    let mut hands = new.hands.clone();
    hands.insert(Hand::Registered, tx.actor().clone());
    let version = ModelVersion {
        version,
        hands,
        digest: new.digest(),
        recipe: new.recipe,
        signature: new.signature,
        lineage: new.lineage,
        artifacts: new.artifacts,
        run: new.run,
        author: new.author,
        registered_at,
        model: new.model,
        origin,
    };
    if queries::has_number(tx, &version.model, version.version)? {
        return Ok(Some(version.subject()));
    }
    if stage != Stage::None {
        permit(tx, &version.model, Deed::EnterStage(stage))?;
    }
    let state = VersionState { stage, updated_at, ..VersionState::new(description, updated_at) };
    let payload = json!({
        "digest": version.digest, "author": version.author, "recipe": version.recipe, "signature": version.signature,
        "artifacts": version.artifacts, "origin": version.origin, "stage": stage, "tags": tag::shown(&tags), "source": source,
    });
    let mut draft = Draft::new(IMPORT, version.subject())
        .payload(payload)
        .change(version.change())
        .change(state.change(&version.model, version.version));
    let of_version = |(key, value): (&String, &String)| tag::version_change(&version.model, version.version, key, value);
    draft.changes.extend(tags.iter().map(of_version));
    draft.inputs = version.lineage.clone();
    // Nobody is told: what an import brings happened long ago.
    tx.record(draft.output("model_version", version.subject(), version.digest))?;
    Ok(None)
}
