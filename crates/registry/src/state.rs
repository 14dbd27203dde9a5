//! What may change about a version: its stage, its description, and whether it is deleted.

use lw_core::{Change, Ctx, Draft, ModelName, Result, Timestamp};
use lw_store::{Row, Tx};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::protection::{Deed, permit};
use crate::record::VersionRecord;
use crate::{BAD_STAGE, Registry, Stage, model, queries, record, version};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionState {
    pub stage: Stage,
    pub description: Option<String>,
    pub updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

impl VersionState {
    pub(crate) fn new(description: Option<String>, now: Timestamp) -> Self {
        Self { stage: Stage::None, description, updated_at: now, deleted_at: None }
    }

    /// Reads columns that other tables have, too, by the names that the statement gives them.
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            stage: Stage::parse(&row.text("stage")?)?,
            description: row.opt_text("description")?,
            updated_at: row.time("updated_at")?,
            deleted_at: row.opt_time("deleted_at")?,
        })
    }

    pub(crate) fn change(&self, model: &ModelName, version: u64) -> Change {
        Change::put("model_version_state")
            .key("model", model)
            .key("version", version)
            .set("stage", self.stage.name())
            .set("description", self.description.as_deref())
            .set("updated_at", self.updated_at)
            .set("deleted_at", self.deleted_at)
    }
}

impl Registry {
    /// Gives a version another description, or none.
    pub async fn describe_version(
        &self,
        ctx: &Ctx,
        model: impl Into<ModelName>,
        version: u64,
        description: Option<String>,
    ) -> Result<VersionRecord> {
        let model = model.into();
        self.store
            .write(ctx, move |tx| {
                let of = version::found(tx, &model, version)?;
                let state = VersionState { description, updated_at: tx.now(), ..queries::state(tx, &model, version)? };
                let draft = Draft::new("model_version.describe", of.subject())
                    .payload(json!({"description": state.description}))
                    .change(state.change(&model, version));
                tx.record(draft)?;
                record::of_version(tx, of)
            })
            .await
    }

    /// Puts a version into a stage. `archives_others` sends the versions that are there to the archive, for stages in use alone.
    ///
    /// # Errors
    /// `bad-stage`, `model-version-not-found`, `model-protected`.
    pub async fn set_stage(
        &self,
        ctx: &Ctx,
        model: impl Into<ModelName>,
        version: u64,
        stage: Stage,
        archives_others: bool,
    ) -> Result<VersionRecord> {
        if archives_others && !stage.is_active() {
            let what = "Model version transition cannot archive existing model versions because";
            return Err(BAD_STAGE
                .error(format!("{what} '{stage}' is not an Active stage. Valid stages are ['Staging', 'Production']"))
                .hint("leave archive_existing_versions out, or choose one of the two"));
        }
        let model = model.into();
        self.store.write(ctx, move |tx| set_stage(tx, &model, version, stage, archives_others)).await
    }

    /// Deletes a version: nothing finds it any more and its aliases go. Its row and its record in the ledger stay.
    ///
    /// # Errors
    /// `model-version-not-found`; `model-protected` for the champion and for what an endpoint serves.
    pub async fn delete_version(&self, ctx: &Ctx, model: impl Into<ModelName>, version: u64) -> Result<()> {
        let model = model.into();
        self.store.write(ctx, move |tx| delete(tx, &model, version)).await
    }
}

fn set_stage(tx: &mut Tx<'_>, name: &ModelName, number: u64, stage: Stage, archives_others: bool) -> Result<VersionRecord> {
    let of = version::found(tx, name, number)?;
    let before = queries::state(tx, name, number)?;
    if before.stage != stage {
        permit(tx, name, Deed::EnterStage(stage))?;
    }
    let now = tx.now();
    let mut archived = Vec::new();
    if archives_others {
        for (other, state) in queries::states_in(tx, name, stage)?.into_iter().filter(|(other, _)| *other != number) {
            archived.push((other, VersionState { stage: Stage::Archived, updated_at: now, ..state }));
        }
    }
    let numbers: Vec<u64> = archived.iter().map(|(other, _)| *other).collect();
    let payload = json!({"stage": stage, "previous": before.stage, "archived": numbers});
    let state = VersionState { stage, updated_at: now, ..before };
    let touched = model::found(tx, name)?.touched(now);
    let mut draft =
        Draft::new("model_version.set_stage", of.subject()).payload(payload).change(state.change(name, number)).change(touched);
    draft.changes.extend(archived.iter().map(|(other, state)| state.change(name, *other)));
    tx.record(draft)?;
    record::of_version(tx, of)
}

fn delete(tx: &mut Tx<'_>, name: &ModelName, number: u64) -> Result<()> {
    let of = version::found(tx, name, number)?;
    permit(tx, name, Deed::DeleteVersion(number))?;
    let now = tx.now();
    let before = queries::state(tx, name, number)?;
    let state = VersionState { description: None, updated_at: now, deleted_at: Some(now), ..before.clone() };
    let pointers = queries::aliases(tx, name)?.into_iter().filter(|pointer| pointer.version == number);
    let aliases: Vec<_> = pointers.map(|pointer| pointer.alias).collect();
    let payload = json!({"digest": of.digest, "stage": before.stage, "description": before.description, "aliases": aliases});
    let touched = model::found(tx, name)?.touched(now);
    let mut draft =
        Draft::new("model_version.delete", of.subject()).payload(payload).change(state.change(name, number)).change(touched);
    let removed = |alias: &crate::Alias| Change::remove("model_alias").key("model", name).key("alias", alias.as_str());
    draft.changes.extend(aliases.iter().map(removed));
    tx.record(draft)?;
    Ok(())
}
