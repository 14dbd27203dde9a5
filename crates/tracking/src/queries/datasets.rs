//! The statements about what runs read and made.

use std::collections::HashMap;

use lw_core::{Result, RunId, Scalar};
use lw_store::{Reader, Tx};

use super::visit_for_each;
use crate::{DatasetInput, DatasetSummary, ExperimentId, LoggedModelId, ModelOutput};

type ByRun<T> = HashMap<RunId, Vec<T>>;

/// A dataset that the run has already stays as it is.
pub(crate) fn put_dataset(tx: &mut Tx<'_>, run: &RunId, dataset: &DatasetInput) -> Result<()> {
    let tags =
        serde_json::Value::from(dataset.tags.iter().map(|(key, value)| serde_json::json!([key, value])).collect::<Vec<_>>());
    tx.execute(
        "INSERT INTO run_dataset (run, name, digest, context, tags, source_type, source, dataset_schema, profile) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (run, name, digest) DO NOTHING",
        &[
            run.into(),
            (&dataset.name).into(),
            (&dataset.digest).into(),
            dataset.context().into(),
            tags.to_string().into(),
            (&dataset.source_type).into(),
            (&dataset.source).into(),
            dataset.schema.as_ref().into(),
            dataset.profile.as_ref().into(),
        ],
    )?;
    Ok(())
}

/// By name and digest.
pub(crate) fn datasets_of(reader: &mut Reader<'_>, runs: &[RunId]) -> Result<ByRun<DatasetInput>> {
    let mut datasets = ByRun::new();
    let sql = "SELECT run, name, digest, tags, source_type, source, dataset_schema, profile FROM run_dataset WHERE run IN";
    visit_for_each(reader, sql, &scalars(runs), |row| {
        let tags: Vec<(String, String)> = serde_json::from_str(row.text(3)?)
            .map_err(|error| lw_core::Error::bug("the tags of a dataset are unreadable").cause(error))?;
        let dataset = DatasetInput {
            name: row.text(1)?.to_owned(),
            digest: row.text(2)?.to_owned(),
            tags,
            source_type: row.text(4)?.to_owned(),
            source: row.text(5)?.to_owned(),
            schema: row.opt_text(6)?.map(str::to_owned),
            profile: row.opt_text(7)?.map(str::to_owned),
        };
        datasets.entry(RunId::parse(row.text(0)?)?).or_insert_with(Vec::new).push(dataset);
        Ok(())
    })?;
    for datasets in datasets.values_mut() {
        datasets.sort_by(|a, b| (&a.name, &a.digest).cmp(&(&b.name, &b.digest)));
    }
    Ok(datasets)
}

/// The datasets that runs of some experiments read, each once.
pub(crate) fn dataset_summaries(
    reader: &mut Reader<'_>,
    experiments: &[ExperimentId],
    limit: u64,
) -> Result<Vec<DatasetSummary>> {
    let mut summaries = Vec::new();
    for experiment in experiments {
        let left = limit.saturating_sub(summaries.len() as u64);
        let rows = reader.query(
            "SELECT DISTINCT d.name AS name, d.digest AS digest, d.context AS context FROM run_dataset d \
             JOIN run ON run.id = d.run WHERE run.experiment = $1 ORDER BY name, digest, context LIMIT $2",
            &[experiment.number().into(), left.into()],
        )?;
        for row in rows {
            let (name, digest) = (row.text("name")?, row.text("digest")?);
            summaries.push(DatasetSummary { experiment: *experiment, name, digest, context: row.opt_text("context")? });
        }
    }
    Ok(summaries)
}

pub(crate) fn put_model_input(tx: &mut Tx<'_>, run: &RunId, model: &LoggedModelId) -> Result<()> {
    let sql = "INSERT INTO run_model_input (run, model) VALUES ($1, $2) ON CONFLICT (run, model) DO NOTHING";
    tx.execute(sql, &[run.into(), model.as_str().into()])?;
    Ok(())
}

pub(crate) fn put_model_output(tx: &mut Tx<'_>, run: &RunId, output: &ModelOutput) -> Result<()> {
    let sql = "INSERT INTO run_model_output (run, model, step) VALUES ($1, $2, $3) ON CONFLICT (run, model, step) DO NOTHING";
    tx.execute(sql, &[run.into(), output.model.as_str().into(), output.step.into()])?;
    Ok(())
}

pub(crate) fn model_inputs_of(reader: &mut Reader<'_>, runs: &[RunId]) -> Result<ByRun<LoggedModelId>> {
    let mut models: ByRun<LoggedModelId> = ByRun::new();
    visit_for_each(reader, "SELECT run, model FROM run_model_input WHERE run IN", &scalars(runs), |row| {
        models.entry(RunId::parse(row.text(0)?)?).or_default().push(LoggedModelId::parse(row.text(1)?)?);
        Ok(())
    })?;
    Ok(models)
}

pub(crate) fn model_outputs_of(reader: &mut Reader<'_>, runs: &[RunId]) -> Result<ByRun<ModelOutput>> {
    let mut outputs: ByRun<ModelOutput> = ByRun::new();
    visit_for_each(reader, "SELECT run, model, step FROM run_model_output WHERE run IN", &scalars(runs), |row| {
        let output = ModelOutput { model: LoggedModelId::parse(row.text(1)?)?, step: row.int(2)? };
        outputs.entry(RunId::parse(row.text(0)?)?).or_default().push(output);
        Ok(())
    })?;
    Ok(outputs)
}

fn scalars(runs: &[RunId]) -> Vec<Scalar> {
    runs.iter().map(Scalar::from).collect()
}
