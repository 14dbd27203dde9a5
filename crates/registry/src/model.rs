//! Models: names under which versions are registered.

use std::collections::BTreeMap;

use lw_core::{Actor, Change, Ctx, Draft, ModelName, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::event::{self, Event};
use crate::{MODEL_EXISTS, MODEL_NOT_FOUND, Registry, queries, tag};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub name: ModelName,
    pub description: String,
    pub owner: Actor,
    pub created_at: Timestamp,
    /// When the description, the name, or a version or its stage changed last.
    pub updated_at: Timestamp,
}

impl Model {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            name: ModelName::parse(&row.text("name")?)?,
            description: row.text("description")?,
            owner: Actor::new(&row.text("owner")?),
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
        })
    }

    pub fn subject(&self) -> Subject {
        Subject::unversioned(SubjectKind::Model, &self.name)
    }

    pub(crate) fn change(&self) -> Change {
        Change::put("model")
            .key("name", &self.name)
            .set("description", &self.description)
            .set("owner", &self.owner)
            .set("created_at", self.created_at)
            .set("updated_at", self.updated_at)
    }

    /// The row of a model in which something changed just now.
    pub(crate) fn touched(self, now: Timestamp) -> Change {
        Self { updated_at: now, ..self }.change()
    }
}

impl Registry {
    /// Makes a model, or gives it another description or owner. Saying the same again records nothing.
    pub async fn put_model(&self, ctx: &Ctx, name: impl Into<ModelName>, description: &str, owner: &Actor) -> Result<Model> {
        let (name, description, owner) = (name.into(), description.to_owned(), owner.clone());
        self.store.write(ctx, move |tx| put(tx, name, description, owner)).await
    }

    /// Makes a model that is not there yet; the acting person owns it.
    ///
    /// # Errors
    /// `model-exists`, and `bad-model-tag` for a key or value that cannot be a tag.
    pub async fn create_model(
        &self,
        ctx: &Ctx,
        name: impl Into<ModelName>,
        description: &str,
        tags: BTreeMap<String, String>,
    ) -> Result<Model> {
        tags.iter().try_for_each(|(key, value)| tag::check(key, value))?;
        let (name, description) = (name.into(), description.to_owned());
        self.store.write(ctx, move |tx| create(tx, name, description, tags)).await
    }

    /// Gives a model another description.
    pub async fn describe_model(&self, ctx: &Ctx, name: impl Into<ModelName>, description: &str) -> Result<Model> {
        let (name, description) = (name.into(), description.to_owned());
        self.store
            .write(ctx, move |tx| {
                let model = Model { description, updated_at: tx.now(), ..found(tx, &name)? };
                let payload = serde_json::json!({"description": model.description, "owner": model.owner});
                tx.record(Draft::new("model.update", model.subject()).payload(payload).change(model.change()))?;
                Ok(model)
            })
            .await
    }

    pub async fn model(&self, name: impl Into<ModelName>) -> Result<Model> {
        let name = name.into();
        self.store.read(move |reader| found(reader, &name)).await
    }

    /// Models by name, after the given one.
    pub async fn models(&self, after: Option<&ModelName>, limit: u64) -> Result<Vec<Model>> {
        let after = after.cloned();
        self.store.read(move |reader| queries::models(reader, after.as_ref(), limit.clamp(1, 1000))).await
    }
}

fn put(tx: &mut Tx<'_>, name: ModelName, description: String, owner: Actor) -> Result<Model> {
    let before = queries::model(tx, &name)?;
    let created_at = before.as_ref().map_or(tx.now(), |model| model.created_at);
    let updated_at = before.as_ref().map_or(tx.now(), |model| model.updated_at);
    let mut model = Model { name, description, owner, created_at, updated_at };
    if before.as_ref() == Some(&model) {
        return Ok(model);
    }
    model.updated_at = tx.now();
    let action = if before.is_some() { "model.update" } else { "model.create" };
    let payload = serde_json::json!({"description": model.description, "owner": model.owner});
    tx.record(Draft::new(action, model.subject()).payload(payload).change(model.change()))?;
    Ok(model)
}

fn create(tx: &mut Tx<'_>, name: ModelName, description: String, tags: BTreeMap<String, String>) -> Result<Model> {
    if queries::model(tx, &name)?.is_some() {
        return Err(exists(&name));
    }
    let now = tx.now();
    let model = Model { name, description, owner: tx.actor().clone(), created_at: now, updated_at: now };
    let payload = serde_json::json!({"description": model.description, "owner": model.owner, "tags": tag::shown(&tags)});
    let mut draft = Draft::new("model.create", model.subject()).payload(payload).change(model.change());
    draft.changes.extend(tags.iter().map(|(key, value)| tag::model_change(&model.name, key, value)));
    let entry = tx.record(draft)?;
    event::emit(tx, entry.seq, &Event::model_created(&model, &tags))?;
    Ok(model)
}

pub(crate) fn exists(name: &ModelName) -> lw_core::Error {
    MODEL_EXISTS
        .error(format!("Registered Model (name={name}) already exists."))
        .hint("register a version of it, or choose another name")
}

pub(crate) fn found(reader: &mut Reader<'_>, name: &ModelName) -> Result<Model> {
    queries::model(reader, name)?.ok_or_else(|| {
        MODEL_NOT_FOUND
            .error(format!("there is no model `{name}`"))
            .hint(format!("the first run of an applied model registers it: `loopwright run {name}`"))
    })
}
