//! Versions of models. They never change; what may change about them is their state, their tags and the aliases that point at them.

use std::collections::BTreeMap;
use std::fmt;

use lw_core::{
    Actor, Change, Ctx, Digest, Draft, ModelName, Reference, Result, RunId, Schema, Subject, SubjectKind, Timestamp,
    canonical_json,
};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::event::{self, Event};
use crate::state::VersionState;
use crate::{MODEL_VERSION_NOT_FOUND, Origin, Registry, model, queries, tag};

/// What a model takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Signature {
    pub inputs: Schema,
    pub outputs: Schema,
}

/// A version that shall be registered.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVersion {
    pub model: ModelName,
    /// Who answers for the version. Authors do not approve their own versions.
    pub author: Actor,
    /// Who else had a hand in it, as far as the caller knows. Whoever registers it is added.
    pub hands: Hands,
    pub run: Option<RunId>,
    /// Everything that was decided before training: definition, parameters, features, windows, seeds, code. What changed between
    /// two versions is the difference of their recipes.
    pub recipe: serde_json::Value,
    pub signature: Signature,
    /// The versions it was made from, by role: `training_set`, `run`, `feature_view`, `table`, `source`.
    pub lineage: Vec<Reference>,
    /// Files by role, such as `model` for the ONNX file.
    pub artifacts: BTreeMap<String, Digest>,
}

/// What a person did so that there is a version. Whoever did any of it does not approve the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hand {
    /// Applied the project that says how it is made.
    Applied,
    /// Started the run that made it.
    Started,
    /// Registered it.
    Registered,
}

/// Who had a hand in a version, people and machines.
pub type Hands = BTreeMap<Hand, Actor>;

impl fmt::Display for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Applied => "applied the project of",
            Self::Started => "started the run of",
            Self::Registered => "registered",
        })
    }
}

/// A registered version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelVersion {
    pub model: ModelName,
    /// Counts from 1 without gaps.
    pub version: u64,
    /// Over recipe, signature, lineage and artifacts: two versions with the same digest are the same thing.
    pub digest: Digest,
    pub recipe: serde_json::Value,
    pub signature: Signature,
    pub lineage: Vec<Reference>,
    pub artifacts: BTreeMap<String, Digest>,
    pub run: Option<RunId>,
    pub author: Actor,
    #[serde(default)]
    pub hands: Hands,
    pub registered_at: Timestamp,
    /// Where it comes from, in the words of the client that registered it.
    #[serde(default)]
    pub origin: Origin,
}

impl NewVersion {
    pub fn digest(&self) -> Digest {
        let (recipe, signature, lineage, artifacts) = (&self.recipe, &self.signature, &self.lineage, &self.artifacts);
        Digest::of_json(&serde_json::json!({
            "recipe": recipe, "signature": signature, "lineage": lineage, "artifacts": artifacts, "run": self.run,
        }))
    }
}

impl ModelVersion {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        let run = row.opt_text("run")?.map(|text| RunId::parse(&text)).transpose()?;
        Ok(Self {
            model: ModelName::parse(&row.text("model")?)?,
            version: row.count("version")?,
            digest: row.digest("digest")?,
            recipe: row.json("recipe")?,
            signature: row.json("signature")?,
            lineage: row.json("lineage")?,
            artifacts: row.json("artifacts")?,
            run,
            author: Actor::new(&row.text("author")?),
            hands: row.json("hands")?,
            registered_at: row.time("registered_at")?,
            origin: Origin::of(row)?,
        })
    }

    /// How ledger entries name the version.
    pub fn subject(&self) -> Subject {
        Subject::new(SubjectKind::ModelVersion, &self.model, self.version)
    }

    /// `late_arrival@3`, as reports and people write it.
    pub fn label(&self) -> String {
        label(&self.model, self.version)
    }

    /// What the actor did for the version, in words that its name follows; None for somebody who may judge it.
    pub fn hand_of(&self, actor: &Actor) -> Option<String> {
        if actor.is_same_as(&self.author) {
            return Some("is the author of".to_owned());
        }
        let (hand, _) = self.hands.iter().find(|(_, by)| actor.is_same_as(by))?;
        Some(hand.to_string())
    }

    pub(crate) fn change(&self) -> Change {
        Change::put("model_version")
            .key("model", &self.model)
            .key("version", self.version)
            .set("digest", self.digest)
            .set("recipe", canonical_json(&self.recipe))
            .set("signature", canonical_json(&self.signature))
            .set("lineage", canonical_json(&self.lineage))
            .set("artifacts", canonical_json(&self.artifacts))
            .set("run", self.run.as_ref().map(RunId::as_str))
            .set("author", &self.author)
            .set("hands", canonical_json(&self.hands))
            .set("registered_at", self.registered_at)
            .set("source", &self.origin.source)
            .set("location", &self.origin.location)
            .set("source_run", &self.origin.run)
            .set("run_link", &self.origin.run_link)
            .set("logged_model", self.origin.logged_model.as_deref())
    }
}

pub(crate) fn label(model: &ModelName, version: u64) -> String {
    format!("{model}@{version}")
}

impl Registry {
    /// Registers a version of a model that is there. Registering the same content again returns the version that has it, so that a
    /// step which is repeated after a crash makes no second one.
    pub async fn register(&self, ctx: &Ctx, new: NewVersion) -> Result<ModelVersion> {
        self.store.write(ctx, move |tx| register(tx, new)).await
    }

    pub async fn version(&self, model: impl Into<ModelName>, version: u64) -> Result<ModelVersion> {
        let model = model.into();
        self.store.read(move |reader| found(reader, &model, version)).await
    }

    /// The version that was registered last.
    pub async fn latest_version(&self, model: impl Into<ModelName>) -> Result<Option<ModelVersion>> {
        Ok(self.versions(model, None, 1).await?.pop())
    }

    /// Versions, newest first, before the given one.
    pub async fn versions(&self, model: impl Into<ModelName>, before: Option<u64>, limit: u64) -> Result<Vec<ModelVersion>> {
        let model = model.into();
        self.store.read(move |reader| queries::versions(reader, &model, before, limit.clamp(1, 1000))).await
    }
}

fn register(tx: &mut Tx<'_>, new: NewVersion) -> Result<ModelVersion> {
    model::found(tx, &new.model)?;
    if let Some(existing) = queries::version_with_digest(tx, &new.model, &new.digest())? {
        return Ok(existing);
    }
    let origin = Origin::of_run(new.run.as_ref());
    add(tx, new, origin, None, &BTreeMap::new())
}

/// Writes a version with the next number, its state and its tags.
pub(crate) fn add(
    tx: &mut Tx<'_>,
    new: NewVersion,
    origin: Origin,
    description: Option<String>,
    tags: &BTreeMap<String, String>,
) -> Result<ModelVersion> {
    let model = model::found(tx, &new.model)?;
    let mut hands = new.hands.clone();
    hands.insert(Hand::Registered, tx.actor().clone());
    let version = ModelVersion {
        version: queries::next_version(tx, &new.model)?,
        digest: new.digest(),
        recipe: new.recipe,
        signature: new.signature,
        lineage: new.lineage,
        artifacts: new.artifacts,
        run: new.run,
        author: new.author,
        hands,
        registered_at: tx.now(),
        model: new.model,
        origin,
    };
    let state = VersionState::new(description, tx.now());
    let mut payload = serde_json::json!({
        "digest": version.digest,
        "author": version.author,
        "hands": version.hands,
        "recipe": version.recipe,
        "signature": version.signature,
        "artifacts": version.artifacts,
        "origin": version.origin,
    });
    if !tags.is_empty() {
        payload["tags"] = tag::shown(tags);
    }
    let mut draft = Draft::new("model_version.register", version.subject())
        .payload(payload)
        .change(version.change())
        .change(state.change(&version.model, version.version))
        .change(model.touched(tx.now()));
    let of_version = |(key, value): (&String, &String)| tag::version_change(&version.model, version.version, key, value);
    draft.changes.extend(tags.iter().map(of_version));
    draft.inputs = version.lineage.clone();
    if let Some(run) = &version.run
        && !draft.inputs.iter().any(|input| input.role == "run")
    {
        draft = draft.input("run", Subject::unversioned(SubjectKind::Run, run.as_str()), None);
    }
    let entry = tx.record(draft.output("model_version", version.subject(), version.digest))?;
    event::emit(tx, entry.seq, &Event::version_created(&version, state.description.as_deref(), tags))?;
    Ok(version)
}

/// A version that is there and not deleted.
pub(crate) fn found(reader: &mut Reader<'_>, model: &ModelName, version: u64) -> Result<ModelVersion> {
    queries::version(reader, model, version)?.ok_or_else(|| {
        MODEL_VERSION_NOT_FOUND
            .error(format!("model `{model}` has no version {version}"))
            .hint(format!("`loopwright why {model}` names its versions"))
    })
}
