//! Aliases: names that point at a version of a model, such as `champion`.

use std::fmt;

use lw_core::{Actor, Change, Ctx, Draft, ModelName, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::event::{self, Event};
use crate::protection::{Deed, permit};
use crate::{ALIAS_NOT_FOUND, BAD_ALIAS, ModelVersion, Registry, model, queries, tag, version};

/// The name of a pointer: 1 to 255 letters, digits, `_` and `-`. `latest` and `v` with digits mean versions and are reserved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Alias(String);

impl Alias {
    /// # Errors
    /// `bad-alias`, in the words that MLflow's clients know.
    pub fn parse(text: &str) -> Result<Self> {
        let alias = Self::parse_reserved(text)?;
        let is_version = text.strip_prefix(['v', 'V']).is_some_and(|rest| !rest.is_empty() && rest.chars().all(char::is_numeric));
        if alias.is_latest() {
            return Err(bad("'latest' alias name (case insensitive) is reserved.".to_owned()));
        }
        if is_version {
            return Err(bad(format!("Version alias name '{text}' is reserved.")));
        }
        Ok(alias)
    }

    /// Reads an alias that somebody asks for: `latest` and `v1` have the form of one, though nothing sets them.
    pub fn parse_reserved(text: &str) -> Result<Self> {
        let shown: String = text.chars().take(300).collect();
        if text.is_empty() {
            return Err(bad("Registered model alias name cannot be empty.".to_owned()));
        }
        if !text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            let rule = "Names may only contain alphanumerics, underscores (_), and dashes (-).";
            return Err(bad(format!("Invalid alias name: '{shown}'. {rule}")));
        }
        if text.chars().count() > 255 {
            return Err(bad("'Registered model alias name' exceeds the maximum length of 255 characters".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether it stands for the newest version, whatever that is.
    pub fn is_latest(&self) -> bool {
        self.0.eq_ignore_ascii_case("latest")
    }

    /// The version that serves. Of a model that a project defines it moves by promotion and roll-back alone.
    pub fn champion() -> Self {
        Self("champion".to_owned())
    }

    /// The version that is tried against the champion.
    pub fn challenger() -> Self {
        Self("challenger".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Alias {
    type Error = lw_core::Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Alias> for String {
    fn from(alias: Alias) -> Self {
        alias.0
    }
}

/// Where an alias points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasPointer {
    pub alias: Alias,
    pub version: u64,
    pub set_at: Timestamp,
    pub set_by: Actor,
}

impl AliasPointer {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            alias: Alias(row.text("alias")?),
            version: row.count("version")?,
            set_at: row.time("set_at")?,
            set_by: Actor::new(&row.text("set_by")?),
        })
    }

    /// The row, for the given model.
    pub(crate) fn change(&self, model: &ModelName) -> Change {
        Change::put("model_alias")
            .key("model", model)
            .key("alias", self.alias.as_str())
            .set("version", self.version)
            .set("set_at", self.set_at)
            .set("set_by", &self.set_by)
    }
}

impl Registry {
    /// Points an alias at a version. Protected aliases move otherwise: the `champion` of a model that a project defines through
    /// [`Registry::promote`] and [`Registry::roll_back`].
    ///
    /// # Errors
    /// `model-protected`, `model-version-not-found`.
    pub async fn set_alias(&self, ctx: &Ctx, model: impl Into<ModelName>, alias: &Alias, version: u64) -> Result<AliasPointer> {
        let (model, alias) = (model.into(), alias.clone());
        self.store
            .write(ctx, move |tx| {
                let version = version::found(tx, &model, version)?;
                permit(tx, &model, Deed::MoveAlias(&alias))?;
                point(tx, "alias.set", &version, alias, serde_json::Map::new())
            })
            .await
    }

    /// Takes an alias away.
    ///
    /// # Errors
    /// `model-not-found`, `alias-not-found`, `model-protected`.
    pub async fn remove_alias(&self, ctx: &Ctx, model: impl Into<ModelName>, alias: &Alias) -> Result<()> {
        let (model, alias) = (model.into(), alias.clone());
        self.store
            .write(ctx, move |tx| {
                model::found(tx, &model)?;
                let pointer = queries::alias(tx, &model, &alias)?.ok_or_else(|| missing(&model, &alias))?;
                permit(tx, &model, Deed::MoveAlias(&alias))?;
                let change = Change::remove("model_alias").key("model", &model).key("alias", alias.as_str());
                let subject = Subject::new(SubjectKind::ModelVersion, &model, pointer.version);
                let draft = Draft::new("alias.remove", subject).payload(serde_json::json!({"alias": alias})).change(change);
                let entry = tx.record(draft)?;
                let is_prompt = tag::is_prompt(&queries::model_tags(tx, &model)?);
                event::emit(tx, entry.seq, &Event::alias_deleted(is_prompt, &model, alias.as_str()))
            })
            .await
    }

    /// The version that an alias points at.
    pub async fn version_by_alias(&self, model: impl Into<ModelName>, alias: &Alias) -> Result<ModelVersion> {
        let (model, alias) = (model.into(), alias.clone());
        self.store
            .read(move |reader| {
                model::found(reader, &model)?;
                let pointer = queries::alias(reader, &model, &alias)?.ok_or_else(|| missing(&model, &alias))?;
                version::found(reader, &model, pointer.version)
            })
            .await
    }

    pub async fn aliases(&self, model: impl Into<ModelName>) -> Result<Vec<AliasPointer>> {
        let model = model.into();
        self.store.read(move |reader| queries::aliases(reader, &model)).await
    }

    /// The version that serves now, if there is one.
    pub async fn champion(&self, model: impl Into<ModelName>) -> Result<Option<ModelVersion>> {
        let model = model.into();
        self.store
            .read(move |reader| match queries::alias(reader, &model, &Alias::champion())? {
                Some(pointer) => version::found(reader, &model, pointer.version).map(Some),
                None => Ok(None),
            })
            .await
    }
}

/// Moves an alias and records where it pointed before. Pointing it where it points already records nothing.
pub(crate) fn point(
    tx: &mut Tx<'_>,
    action: &'static str,
    version: &ModelVersion,
    alias: Alias,
    details: serde_json::Map<String, serde_json::Value>,
) -> Result<AliasPointer> {
    let before = queries::alias(tx, &version.model, &alias)?;
    if let Some(before) = before.as_ref().filter(|before| before.version == version.version) {
        return Ok(before.clone());
    }
    let pointer = AliasPointer { alias, version: version.version, set_at: tx.now(), set_by: tx.actor().clone() };
    let mut payload = details;
    payload.insert("alias".to_owned(), pointer.alias.as_str().into());
    payload.insert("previous".to_owned(), before.as_ref().map(|before| before.version).into());
    let change = pointer.change(&version.model);
    let mut draft = Draft::new(action, version.subject()).input("model_version", version.subject(), version.digest);
    if let Some(before) = before {
        draft = draft.input("previous", Subject::new(SubjectKind::ModelVersion, &version.model, before.version), None);
    }
    let entry = tx.record(draft.payload(payload.into()).change(change))?;
    let is_prompt = tag::is_prompt(&queries::model_tags(tx, &version.model)?);
    event::emit(tx, entry.seq, &Event::alias_created(is_prompt, &version.model, pointer.alias.as_str(), pointer.version))?;
    Ok(pointer)
}

/// The version that serves now, inside a transaction of the caller's.
pub fn champion_in(reader: &mut Reader<'_>, model: &ModelName) -> Result<Option<u64>> {
    Ok(queries::alias(reader, model, &Alias::champion())?.map(|pointer| pointer.version))
}

/// The champion as reports name it. A version that is the champion itself has none to beat.
pub(crate) fn champion_label(reader: &mut Reader<'_>, model: &ModelName, candidate: u64) -> Result<Option<String>> {
    let champion = queries::alias(reader, model, &Alias::champion())?;
    Ok(champion.filter(|pointer| pointer.version != candidate).map(|pointer| version::label(model, pointer.version)))
}

fn bad(message: String) -> lw_core::Error {
    BAD_ALIAS
        .error(message)
        .hint("an alias has 1 to 255 letters, digits, `_` and `-`; `latest` and `v1` stand for versions already")
}

fn missing(model: &ModelName, alias: &Alias) -> lw_core::Error {
    ALIAS_NOT_FOUND.error(format!("model `{model}` has no alias `{alias}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_have_a_form() {
        for good in ["champion", "prod-eu_1", "v1x", "ä"] {
            assert_eq!(Alias::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a/b", "latest", "LATEST", "v1", "V23", &"a".repeat(256)] {
            assert!(Alias::parse(bad).unwrap_err().is(BAD_ALIAS), "{bad}");
        }
        assert!(Alias::parse_reserved("Latest").unwrap().is_latest());
    }
}
