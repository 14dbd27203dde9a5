//! Making logged models, and changing them.

use std::collections::BTreeMap;

use lw_core::{Ctx, Draft, Reference, Result, RunId, Subject, SubjectKind};
use lw_store::Tx;

use super::{LoggedModel, LoggedModelData, LoggedModelId, LoggedModelStatus, check_name, found};
use crate::key::{check_length, quoted, truncated};
use crate::{ExperimentId, Lifecycle, PARAM_CHANGED, TAG_NOT_FOUND, Tracking, experiment, location, names, queries};

const MAX_KEY_CHARS: usize = 255;
const MAX_VALUE_CHARS: usize = 8000;

/// A model that a run is about to save.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLoggedModel {
    pub experiment: ExperimentId,
    /// Without a name it gets one such as `plucky-otter-417`.
    pub name: Option<String>,
    pub model_type: String,
    pub source_run: String,
    pub params: Vec<(String, String)>,
    pub tags: Vec<(String, String)>,
}

impl Tracking {
    /// Makes a logged model whose files are not there yet.
    pub async fn create_logged_model(&self, ctx: &Ctx, new: NewLoggedModel) -> Result<LoggedModelData> {
        new.name.as_deref().map_or(Ok(()), check_name)?;
        let id = LoggedModelId(format!("m-{}", ctx.ids.next_hex()).into());
        let spare_name = names::random(ctx);
        self.store.write(ctx, move |tx| create(tx, id, spare_name, new)).await
    }

    /// Says whether the files of the model are there.
    pub async fn finalize_logged_model(
        &self,
        ctx: &Ctx,
        id: &LoggedModelId,
        status: LoggedModelStatus,
    ) -> Result<LoggedModelData> {
        let id = id.clone();
        self.store
            .write(ctx, move |tx| {
                let mut model = found(tx, &id)?;
                model.status = status;
                let payload = serde_json::json!({"status": status});
                record(tx, "logged_model.finalize", &mut model, payload)?;
                super::with_data(tx, vec![model])?.pop().ok_or_else(|| super::not_found(&id))
            })
            .await
    }

    /// Deletes a logged model so that it is found no more. Doing it twice is no error.
    pub async fn delete_logged_model(&self, ctx: &Ctx, id: &LoggedModelId) -> Result<()> {
        let id = id.clone();
        self.store
            .write(ctx, move |tx| {
                let mut model = found(tx, &id)?;
                model.lifecycle = Lifecycle::Deleted;
                record(tx, "logged_model.delete", &mut model, serde_json::Value::Null)
            })
            .await
    }

    /// Adds parameters. One that is there may be repeated with the same value.
    pub async fn log_model_params(&self, ctx: &Ctx, id: &LoggedModelId, params: Vec<(String, String)>) -> Result<()> {
        let id = id.clone();
        self.store
            .write(ctx, move |tx| {
                found(tx, &id)?;
                put_params(tx, &id, &params)
            })
            .await
    }

    pub async fn tag_logged_model(&self, ctx: &Ctx, id: &LoggedModelId, tags: Vec<(String, String)>) -> Result<()> {
        let id = id.clone();
        self.store
            .write(ctx, move |tx| {
                found(tx, &id)?;
                put_tags(tx, &id, &tags)
            })
            .await
    }

    pub async fn remove_logged_model_tag(&self, ctx: &Ctx, id: &LoggedModelId, key: &str) -> Result<()> {
        let (id, key) = (id.clone(), key.to_owned());
        self.store
            .write(ctx, move |tx| {
                found(tx, &id)?;
                if queries::remove_model_tag(tx, &id, &key)? {
                    return Ok(());
                }
                let message = format!("No tag with key {} found for model with ID '{id}'.", quoted(&key));
                Err(TAG_NOT_FOUND.error(message))
            })
            .await
    }
}

fn create(tx: &mut Tx<'_>, id: LoggedModelId, spare_name: String, new: NewLoggedModel) -> Result<LoggedModelData> {
    let experiment = experiment::home(tx, new.experiment)?;
    let artifact_uri = location::below(&experiment.artifact_location, &["models", id.as_str(), "artifacts"]);
    let mut model = LoggedModel {
        id,
        experiment: experiment.id,
        name: new.name.unwrap_or(spare_name),
        model_type: new.model_type,
        source_run: new.source_run,
        status: LoggedModelStatus::Pending,
        lifecycle: Lifecycle::Active,
        artifact_uri,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    put_params(tx, &model.id, &new.params)?;
    put_tags(tx, &model.id, &new.tags)?;
    let payload = serde_json::json!({"name": model.name, "experiment": experiment.name});
    record(tx, "logged_model.create", &mut model, payload)?;
    let texts = |pairs: Vec<(String, String)>| pairs.into_iter().collect::<BTreeMap<_, _>>();
    Ok(LoggedModelData { params: texts(new.params), tags: texts(new.tags), metrics: Vec::new(), model })
}

/// Writes the model and its entry, which has the run that made it as its input.
fn record(tx: &mut Tx<'_>, action: &'static str, model: &mut LoggedModel, payload: serde_json::Value) -> Result<()> {
    model.updated_at = tx.now();
    let mut draft = Draft::new(action, model.id.subject()).payload(payload).change(model.change());
    if let Ok(run) = RunId::parse(&model.source_run)
        && queries::number_of(tx, &run)?.is_some()
    {
        draft.inputs.push(Reference::new("run", Subject::unversioned(SubjectKind::Run, run.as_str()), None));
    }
    tx.record(draft)?;
    Ok(())
}

pub(crate) fn put_params(tx: &mut Tx<'_>, id: &LoggedModelId, params: &[(String, String)]) -> Result<()> {
    params.iter().try_for_each(|(key, _)| check_length(|| "key".to_owned(), key, MAX_KEY_CHARS))?;
    let rows = params.iter().map(|(key, value)| (key.as_str(), truncated(value, MAX_VALUE_CHARS)));
    if queries::insert_model_params(tx, id, rows)? == params.len() as u64 {
        return Ok(());
    }
    let stored: BTreeMap<String, String> =
        queries::model_params_of(tx, std::slice::from_ref(id))?.remove(id).into_iter().flatten().collect();
    let is_same =
        |(key, value): &&(String, String)| stored.get(key).is_some_and(|stored| stored == truncated(value, MAX_VALUE_CHARS));
    let Some((key, value)) = params.iter().find(|param| !is_same(param)) else { return Ok(()) };
    let before = stored.get(key).map_or("", String::as_str);
    Err(PARAM_CHANGED.error(format!(
        "Changing param values is not allowed. Param with key='{key}' was already logged with value='{before}' for model ID='{id}'. \
         Attempted logging new value '{value}'."
    )))
}

pub(crate) fn put_tags(tx: &mut Tx<'_>, id: &LoggedModelId, tags: &[(String, String)]) -> Result<()> {
    tags.iter().try_for_each(|(key, _)| check_length(|| "key".to_owned(), key, MAX_KEY_CHARS))?;
    // Of a tag that stands twice the last one counts.
    let tags: BTreeMap<&str, &str> = tags.iter().map(|(key, value)| (key.as_str(), truncated(value, MAX_VALUE_CHARS))).collect();
    queries::put_model_tags(tx, id, tags.into_iter())
}
