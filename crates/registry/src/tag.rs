//! Tags of models and versions.

use std::collections::BTreeMap;

use lw_core::{Change, Ctx, Digest, Draft, ModelName, Result};
use lw_store::Tx;
use serde_json::{Value, json};

use crate::event::{self, Event};
use crate::{BAD_MODEL_TAG, Registry, model, queries, version};

/// The tag that makes a model a prompt.
pub const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";
/// The tag of a prompt's version with its text.
pub const PROMPT_TEXT_TAG: &str = "mlflow.prompt.text";
const MAX_KEY_CHARS: usize = 250;
const MAX_VALUE_CHARS: usize = 100_000;
/// Longer values stand in ledger entries by their digest.
const MAX_SHOWN_BYTES: usize = 1000;

/// Whether tags are those of a prompt.
pub fn is_prompt(tags: &BTreeMap<String, String>) -> bool {
    tags.get(PROMPT_TAG).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Checks a tag by MLflow's rules: its key is a normal path of few characters, its value has a limit.
///
/// # Errors
/// `bad-model-tag`, in the words that MLflow's clients know.
pub(crate) fn check(key: &str, value: &str) -> Result<()> {
    check_key(key)?;
    if key.chars().count() > MAX_KEY_CHARS {
        return Err(bad(format!("'key' exceeds the maximum length of {MAX_KEY_CHARS} characters")));
    }
    if value.chars().count() > MAX_VALUE_CHARS {
        let what = if key == PROMPT_TEXT_TAG {
            format!("Prompt text exceeds max length of {MAX_VALUE_CHARS} characters.")
        } else {
            format!("'value' exceeds the maximum length of {MAX_VALUE_CHARS} characters")
        };
        return Err(bad(what));
    }
    Ok(())
}

pub(crate) fn check_key(key: &str) -> Result<()> {
    let supplied =
        |why: String| bad(format!("Invalid value {} for parameter 'key' supplied: {why}", Value::from(shortened(key))));
    if !key.chars().all(|c| c.is_alphanumeric() || "_/.- :".contains(c)) {
        return Err(supplied(
            "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."
                .to_owned(),
        ));
    }
    let normal = normal_path(key);
    if normal != key || normal == "." || normal.starts_with("..") || normal.starts_with('/') {
        return Err(supplied(format!(
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. This name \
             would resolve to '{normal}'"
        )));
    }
    Ok(())
}

/// A path without empty parts, `.`, and `..` where a part stands before it, as POSIX tools write it.
fn normal_path(path: &str) -> String {
    let n_slashes = if path.starts_with("//") && !path.starts_with("///") { 2 } else { usize::from(path.starts_with('/')) };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(&last)) if last != ".." => drop(parts.pop()),
            ("..", None) if n_slashes > 0 => {}
            _ => parts.push(part),
        }
    }
    let normal = format!("{}{}", "/".repeat(n_slashes), parts.join("/"));
    if normal.is_empty() { ".".to_owned() } else { normal }
}

fn bad(message: String) -> lw_core::Error {
    BAD_MODEL_TAG
        .error(message)
        .hint("a key has up to 250 letters, digits, `_ - . :`, spaces, and `/` between parts; a value up to 100 000 characters")
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(300).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

/// Tags as ledger entries show them.
pub(crate) fn shown(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| (key.clone(), shown_value(value))).collect::<serde_json::Map<_, _>>().into()
}

fn shown_value(value: &str) -> Value {
    if value.len() <= MAX_SHOWN_BYTES { value.into() } else { json!({"digest": Digest::of(value.as_bytes())}) }
}

pub(crate) fn model_change(model: &ModelName, key: &str, value: &str) -> Change {
    Change::put("model_tag").key("model", model).key("tag_key", key).set("tag_value", value)
}

pub(crate) fn version_change(model: &ModelName, version: u64, key: &str, value: &str) -> Change {
    let change = Change::put("model_version_tag").key("model", model).key("version", version);
    change.key("tag_key", key).set("tag_value", value)
}

impl Registry {
    /// Sets a tag of a model. Setting it to what it is records nothing.
    pub async fn set_model_tag(&self, ctx: &Ctx, model: impl Into<ModelName>, key: &str, value: &str) -> Result<()> {
        check(key, value)?;
        let (model, key, value) = (model.into(), key.to_owned(), value.to_owned());
        self.store.write(ctx, move |tx| set_model_tag(tx, &model, &key, &value)).await
    }

    /// Takes a tag from a model. Taking one that is not there records nothing.
    pub async fn remove_model_tag(&self, ctx: &Ctx, model: impl Into<ModelName>, key: &str) -> Result<()> {
        check_key(key)?;
        let (model, key) = (model.into(), key.to_owned());
        self.store.write(ctx, move |tx| remove_model_tag(tx, &model, &key)).await
    }

    /// Sets a tag of a version. Setting it to what it is records nothing.
    pub async fn set_version_tag(
        &self,
        ctx: &Ctx,
        model: impl Into<ModelName>,
        version: u64,
        key: &str,
        value: &str,
    ) -> Result<()> {
        check(key, value)?;
        let (model, key, value) = (model.into(), key.to_owned(), value.to_owned());
        self.store.write(ctx, move |tx| set_version_tag(tx, &model, version, &key, &value)).await
    }

    /// Takes a tag from a version. Taking one that is not there records nothing.
    pub async fn remove_version_tag(&self, ctx: &Ctx, model: impl Into<ModelName>, version: u64, key: &str) -> Result<()> {
        check_key(key)?;
        let (model, key) = (model.into(), key.to_owned());
        self.store.write(ctx, move |tx| remove_version_tag(tx, &model, version, &key)).await
    }
}

fn set_model_tag(tx: &mut Tx<'_>, name: &ModelName, key: &str, value: &str) -> Result<()> {
    let model = model::found(tx, name)?;
    if queries::model_tag(tx, name, key)?.as_deref() == Some(value) {
        return Ok(());
    }
    let payload = json!({"key": key, "value": shown_value(value)});
    let draft = Draft::new("model.set_tag", model.subject()).payload(payload).change(model_change(name, key, value));
    let entry = tx.record(draft)?;
    if is_prompt(&queries::model_tags(tx, name)?) {
        event::emit(tx, entry.seq, &Event::prompt_tag_set(name, key, value))?;
    }
    Ok(())
}

fn remove_model_tag(tx: &mut Tx<'_>, name: &ModelName, key: &str) -> Result<()> {
    let model = model::found(tx, name)?;
    if queries::model_tag(tx, name, key)?.is_none() {
        return Ok(());
    }
    let change = Change::remove("model_tag").key("model", name).key("tag_key", key);
    let draft = Draft::new("model.remove_tag", model.subject()).payload(json!({"key": key})).change(change);
    let entry = tx.record(draft)?;
    if is_prompt(&queries::model_tags(tx, name)?) {
        event::emit(tx, entry.seq, &Event::prompt_tag_deleted(name, key))?;
    }
    Ok(())
}

fn set_version_tag(tx: &mut Tx<'_>, name: &ModelName, number: u64, key: &str, value: &str) -> Result<()> {
    let version = version::found(tx, name, number)?;
    if queries::version_tag(tx, name, number, key)?.as_deref() == Some(value) {
        return Ok(());
    }
    let payload = json!({"key": key, "value": shown_value(value)});
    let change = version_change(name, number, key, value);
    let entry = tx.record(Draft::new("model_version.set_tag", version.subject()).payload(payload).change(change))?;
    let is_prompt = is_prompt(&queries::model_tags(tx, name)?);
    event::emit(tx, entry.seq, &Event::version_tag_set(is_prompt, name, number, (key, value)))
}

fn remove_version_tag(tx: &mut Tx<'_>, name: &ModelName, number: u64, key: &str) -> Result<()> {
    let version = version::found(tx, name, number)?;
    if queries::version_tag(tx, name, number, key)?.is_none() {
        return Ok(());
    }
    let change = Change::remove("model_version_tag").key("model", name).key("version", number).key("tag_key", key);
    let draft = Draft::new("model_version.remove_tag", version.subject()).payload(json!({"key": key})).change(change);
    let entry = tx.record(draft)?;
    let is_prompt = is_prompt(&queries::model_tags(tx, name)?);
    event::emit(tx, entry.seq, &Event::version_tag_deleted(is_prompt, name, number, key))
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check_said(key: &str, want: Option<&str>) {
        assert_eq!(super::check(key, "").err().map(|error| error.message().to_owned()).as_deref(), want, "{key:?}");
    }

    #[test]
    fn keys_are_normal_paths() {
        for good in ["a", "a/b", "mlflow.prompt.is_prompt", "x y:z-1", "ä", "a..b"] {
            check_said(good, None);
        }
        let resolves = |key: &str, to: &str| {
            format!(
                "Invalid value \"{key}\" for parameter 'key' supplied: Names may be treated as files in certain cases, and must \
                 not resolve to other names when treated as such. This name would resolve to '{to}'"
            )
        };
        for (key, to) in [("a//b", "a/b"), ("a/../b", "b"), ("", "."), ("/a", "/a"), ("../a", "../a"), ("a/", "a"), ("./a", "a")]
        {
            check_said(key, Some(&resolves(key, to)));
        }
        assert!(super::check("a*b", "").unwrap_err().message().contains("Names may only contain alphanumerics"));
        check_said(&"k".repeat(251), Some("'key' exceeds the maximum length of 250 characters"));
        let long = "v".repeat(100_001);
        assert_eq!(super::check("a", &long).unwrap_err().message(), "'value' exceeds the maximum length of 100000 characters");
    }
}
