//! Logged models of another server.

use std::collections::BTreeMap;

use lw_core::{Ctx, Draft, Reference, Result, RunId, Subject, SubjectKind, Timestamp};
use lw_store::Tx;

use super::{Adopted, waits_for_its_import};
use crate::logged_model::{check_name, found, put_params, put_tags};
use crate::{
    ExperimentId, Lifecycle, LoggedModel, LoggedModelId, LoggedModelStatus, Measurement, ModelMetric, Tracking, experiment,
    location, queries,
};

/// A logged model that another server recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct AdoptedModel {
    pub id: LoggedModelId,
    pub experiment: ExperimentId,
    pub name: String,
    pub model_type: String,
    /// The run that made it; it need not be here. May be empty.
    pub source_run: String,
    pub created_at: Timestamp,
    pub params: Vec<(String, String)>,
    pub tags: Vec<(String, String)>,
    /// What runs measured of it. Those that are not brought yet may follow with the same model once more.
    pub metrics: Vec<Measurement>,
    /// The other server, as the ledger names it.
    pub source: String,
}

/// How a logged model stands on the other server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelEnd {
    pub status: LoggedModelStatus,
    pub updated_at: Timestamp,
    pub is_deleted: bool,
}

impl Tracking {
    /// Begins to bring a logged model. It is pending until [`Self::finish_adopted_model`]. One that is there and open gets what it
    /// has not; one that is finished is returned as it is.
    ///
    /// # Errors
    /// `experiment-not-found`, `bad-logged-model`, `bad-log-key`, `param-changed`.
    pub async fn adopt_logged_model(&self, ctx: &Ctx, wanted: AdoptedModel) -> Result<Adopted<LoggedModel>> {
        check_name(&wanted.name)?;
        let id = wanted.id.clone();
        let known = self.store.read(move |reader| queries::logged_model(reader, &id)).await?;
        if let Some(model) = known
            && !self.is_open(&model).await?
        {
            return Ok(Adopted { item: model, is_new: false, is_open: false });
        }
        self.store.write(ctx, move |tx| adopt(tx, wanted)).await
    }

    /// Gives a logged model the status that it has on the other server, and its end. One that is pending there stays open here.
    ///
    /// # Errors
    /// `logged-model-not-found`.
    pub async fn finish_adopted_model(&self, ctx: &Ctx, id: &LoggedModelId, end: ModelEnd) -> Result<LoggedModel> {
        let id = id.clone();
        let find = id.clone();
        let model = self.store.read(move |reader| found(reader, &find)).await?;
        if !self.is_open(&model).await? {
            return Ok(model);
        }
        self.store.write(ctx, move |tx| finish(tx, &id, end)).await
    }

    async fn is_open(&self, model: &LoggedModel) -> Result<bool> {
        let waits = matches!(model.status, LoggedModelStatus::Pending | LoggedModelStatus::Unspecified);
        if !waits || model.lifecycle == Lifecycle::Deleted {
            return Ok(false);
        }
        let ended = ["logged_model.finalize", "logged_model.delete"];
        waits_for_its_import(&self.store, model.id.subject(), "logged_model.import", &ended).await
    }
}

fn adopt(tx: &mut Tx<'_>, wanted: AdoptedModel) -> Result<Adopted<LoggedModel>> {
    let adopted = match queries::logged_model(tx, &wanted.id)? {
        Some(model) => Adopted { item: model, is_new: false, is_open: true },
        None => {
            let experiment = experiment::found(tx, wanted.experiment)?;
            let artifact_uri = location::below(&experiment.artifact_location, &["models", wanted.id.as_str(), "artifacts"]);
            let model = LoggedModel {
                id: wanted.id,
                experiment: experiment.id,
                name: wanted.name,
                model_type: wanted.model_type,
                source_run: wanted.source_run,
                status: LoggedModelStatus::Pending,
                lifecycle: Lifecycle::Active,
                artifact_uri,
                created_at: wanted.created_at,
                updated_at: wanted.created_at,
            };
            let payload = serde_json::json!({"name": model.name, "experiment": experiment.name, "source": wanted.source});
            tx.record(Draft::new("logged_model.import", model.id.subject()).payload(payload).change(model.change()))?;
            Adopted::new(model)
        }
    };
    let id = &adopted.item.id;
    put_params(tx, id, &wanted.params)?;
    put_tags(tx, id, &wanted.tags)?;
    let mut by_run: BTreeMap<RunId, Vec<ModelMetric>> = BTreeMap::new();
    for Measurement { run, metric } in wanted.metrics {
        by_run.entry(run).or_default().push(ModelMetric { model: id.clone(), point: metric.point.bounded(), ..metric });
    }
    for (run, metrics) in &by_run {
        queries::insert_model_metrics(tx, run, metrics)?;
    }
    Ok(adopted)
}

fn finish(tx: &mut Tx<'_>, id: &LoggedModelId, end: ModelEnd) -> Result<LoggedModel> {
    let before = found(tx, id)?;
    let lifecycle = if end.is_deleted { Lifecycle::Deleted } else { Lifecycle::Active };
    let model = LoggedModel { status: end.status, updated_at: end.updated_at, lifecycle, ..before.clone() };
    if model == before {
        return Ok(model);
    }
    let is_over = matches!(end.status, LoggedModelStatus::Ready | LoggedModelStatus::Failed);
    let action = match (is_over, end.is_deleted) {
        (true, _) => "logged_model.finalize",
        (false, true) => "logged_model.delete",
        (false, false) => "logged_model.update",
    };
    let payload = serde_json::json!({"status": model.status, "lifecycle": model.lifecycle, "imported": true});
    let mut draft = Draft::new(action, model.id.subject()).payload(payload).change(model.change());
    if let Ok(run) = RunId::parse(&model.source_run)
        && queries::number_of(tx, &run)?.is_some()
    {
        draft.inputs.push(Reference::new("run", Subject::unversioned(SubjectKind::Run, run.as_str()), None));
    }
    tx.record(draft)?;
    Ok(model)
}
