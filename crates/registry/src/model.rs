//! Models: names under which versions are registered.

use lw_core::{Actor, Change, Ctx, Draft, Name, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::{MODEL_NOT_FOUND, Registry, queries};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub name: Name,
    pub description: String,
    pub owner: Actor,
    pub created_at: Timestamp,
}

impl Model {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            name: Name::parse(&row.text("name")?)?,
            description: row.text("description")?,
            owner: Actor::new(&row.text("owner")?),
            created_at: row.time("created_at")?,
        })
    }
}

impl Registry {
    /// Makes a model, or gives it another description or owner. Saying the same again records nothing.
    pub async fn put_model(&self, ctx: &Ctx, name: &Name, description: &str, owner: &Actor) -> Result<Model> {
        let (name, description, owner) = (name.clone(), description.to_owned(), owner.clone());
        self.store.write(ctx, move |tx| put(tx, name, description, owner)).await
    }

    pub async fn model(&self, name: &Name) -> Result<Model> {
        let name = name.clone();
        self.store.read(move |reader| found(reader, &name)).await
    }

    /// Models by name, after the given one.
    pub async fn models(&self, after: Option<&Name>, limit: u64) -> Result<Vec<Model>> {
        let after = after.cloned();
        self.store.read(move |reader| queries::models(reader, after.as_ref(), limit.clamp(1, 1000))).await
    }
}

fn put(tx: &mut Tx<'_>, name: Name, description: String, owner: Actor) -> Result<Model> {
    let before = queries::model(tx, &name)?;
    let created_at = before.as_ref().map_or(tx.now(), |model| model.created_at);
    let model = Model { name, description, owner, created_at };
    if before.as_ref() == Some(&model) {
        return Ok(model);
    }
    let action = if before.is_some() { "model.update" } else { "model.create" };
    let change = Change::put("model")
        .key("name", &model.name)
        .set("description", &model.description)
        .set("owner", &model.owner)
        .set("created_at", model.created_at);
    let payload = serde_json::json!({"description": model.description, "owner": model.owner});
    tx.record(Draft::new(action, Subject::unversioned(SubjectKind::Model, &model.name)).payload(payload).change(change))?;
    Ok(model)
}

pub(crate) fn found(reader: &mut Reader<'_>, name: &Name) -> Result<Model> {
    queries::model(reader, name)?.ok_or_else(|| {
        MODEL_NOT_FOUND.error(format!("there is no model `{name}`")).hint("`loopwright apply` registers the models of a project")
    })
}
