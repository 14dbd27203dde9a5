//! Aliases: names that point at a version of a model, such as `champion`.

use std::fmt;

use lw_core::{Actor, Change, Ctx, Draft, Name, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::{ALIAS_NOT_FOUND, BAD_ALIAS, ModelVersion, Registry, queries, version};

/// The name of a pointer: 1 to 255 letters, digits, `_` and `-`. `latest` and `v` with digits mean versions and are reserved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Alias(String);

impl Alias {
    pub fn parse(text: &str) -> Result<Self> {
        let chars_ok = text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        let is_version =
            text.strip_prefix(['v', 'V']).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
        let is_reserved = text.eq_ignore_ascii_case("latest") || is_version;
        if !text.is_empty() && text.len() <= 255 && chars_ok && !is_reserved {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(80).collect();
        Err(BAD_ALIAS
            .error(format!("`{shown}` cannot be an alias"))
            .hint("an alias has 1 to 255 letters, digits, `_` and `-`; `latest` and `v1` stand for versions already"))
    }

    /// The version that serves. It moves by promotion and roll-back alone.
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
}

impl Registry {
    /// Points an alias at a version. The alias `champion` moves through [`Registry::promote`] and [`Registry::roll_back`] instead.
    pub async fn set_alias(&self, ctx: &Ctx, model: &Name, alias: &Alias, version: u64) -> Result<AliasPointer> {
        refuse_champion(alias)?;
        let (model, alias) = (model.clone(), alias.clone());
        self.store
            .write(ctx, move |tx| {
                let version = version::found(tx, &model, version)?;
                point(tx, "alias.set", &version, alias, serde_json::Map::new())
            })
            .await
    }

    /// Takes an alias away.
    pub async fn remove_alias(&self, ctx: &Ctx, model: &Name, alias: &Alias) -> Result<()> {
        refuse_champion(alias)?;
        let (model, alias) = (model.clone(), alias.clone());
        self.store
            .write(ctx, move |tx| {
                let pointer = queries::alias(tx, &model, &alias)?.ok_or_else(|| missing(&model, &alias))?;
                let change = Change::remove("model_alias").key("model", &model).key("alias", alias.as_str());
                let subject = Subject::new(SubjectKind::ModelVersion, &model, pointer.version);
                tx.record(Draft::new("alias.remove", subject).payload(serde_json::json!({"alias": alias})).change(change))?;
                Ok(())
            })
            .await
    }

    /// The version that an alias points at.
    pub async fn version_by_alias(&self, model: &Name, alias: &Alias) -> Result<ModelVersion> {
        let (model, alias) = (model.clone(), alias.clone());
        self.store
            .read(move |reader| {
                let pointer = queries::alias(reader, &model, &alias)?.ok_or_else(|| missing(&model, &alias))?;
                version::found(reader, &model, pointer.version)
            })
            .await
    }

    pub async fn aliases(&self, model: &Name) -> Result<Vec<AliasPointer>> {
        let model = model.clone();
        self.store.read(move |reader| queries::aliases(reader, &model)).await
    }

    /// The version that serves now, if there is one.
    pub async fn champion(&self, model: &Name) -> Result<Option<ModelVersion>> {
        let model = model.clone();
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
    let change = Change::put("model_alias")
        .key("model", &version.model)
        .key("alias", pointer.alias.as_str())
        .set("version", pointer.version)
        .set("set_at", pointer.set_at)
        .set("set_by", &pointer.set_by);
    let mut draft = Draft::new(action, version.subject()).input("model_version", version.subject(), version.digest);
    if let Some(before) = before {
        draft = draft.input("previous", Subject::new(SubjectKind::ModelVersion, &version.model, before.version), None);
    }
    tx.record(draft.payload(payload.into()).change(change))?;
    Ok(pointer)
}

/// The version that serves now, inside a transaction of the caller's.
pub fn champion_in(reader: &mut Reader<'_>, model: &Name) -> Result<Option<u64>> {
    Ok(queries::alias(reader, model, &Alias::champion())?.map(|pointer| pointer.version))
}

/// The champion as reports name it. A version that is the champion itself has none to beat.
pub(crate) fn champion_label(reader: &mut Reader<'_>, model: &Name, candidate: u64) -> Result<Option<String>> {
    let champion = queries::alias(reader, model, &Alias::champion())?;
    Ok(champion.filter(|pointer| pointer.version != candidate).map(|pointer| version::label(model, pointer.version)))
}

fn refuse_champion(alias: &Alias) -> Result<()> {
    if *alias == Alias::champion() {
        return Err(BAD_ALIAS
            .error("the alias `champion` is not set by hand")
            .hint("promote the version: then its gates and approvals are checked; or roll back to an earlier champion"));
    }
    Ok(())
}

fn missing(model: &Name, alias: &Alias) -> lw_core::Error {
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
    }
}
