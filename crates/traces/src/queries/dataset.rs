//! The statements of evaluation datasets.

use std::collections::{BTreeMap, HashMap};

use lw_core::{Result, Scalar, Timestamp};
use lw_store::{Cell, Insert, Reader, Tx};

use super::{by_ids, pairs, places};
use crate::{DatasetRecord, EvaluationDataset};

static PUT_TAG: Insert<3> = Insert::new(
    "INSERT INTO evaluation_dataset_tag (dataset, tag_key, tag_value)",
    "ON CONFLICT (dataset, tag_key) DO UPDATE SET tag_value = EXCLUDED.tag_value",
);
static ADD_EXPERIMENT: Insert<2> =
    Insert::new("INSERT INTO evaluation_dataset_experiment (dataset, experiment)", "ON CONFLICT DO NOTHING");

pub(crate) fn dataset(reader: &mut Reader<'_>, id: &str) -> Result<Option<EvaluationDataset>> {
    Ok(search_datasets(reader, "SELECT * FROM evaluation_dataset WHERE id = $1", &[id.into()])?.pop())
}

/// Datasets by a statement that was put together elsewhere, with their tags.
pub(crate) fn search_datasets(reader: &mut Reader<'_>, sql: &str, parameters: &[Scalar]) -> Result<Vec<EvaluationDataset>> {
    let rows = reader.query(sql, parameters)?;
    let mut datasets = rows.iter().map(EvaluationDataset::of).collect::<Result<Vec<_>>>()?;
    let ids: Vec<String> = datasets.iter().map(|dataset| dataset.id.clone()).collect();
    let mut tags: HashMap<String, BTreeMap<String, String>> = HashMap::new();
    for row in by_ids(reader, "SELECT dataset, tag_key, tag_value FROM evaluation_dataset_tag WHERE dataset IN ({ids})", &ids)? {
        tags.entry(row.text("dataset")?).or_default().insert(row.text("tag_key")?, row.text("tag_value")?);
    }
    for dataset in &mut datasets {
        dataset.tags = tags.remove(&dataset.id).unwrap_or_default();
    }
    Ok(datasets)
}

pub(crate) fn put_dataset_tags(tx: &mut Tx<'_>, dataset: &str, tags: &BTreeMap<String, String>) -> Result<()> {
    tx.insert(&PUT_TAG, pairs(dataset, tags)).map(drop)
}

pub(crate) fn remove_dataset_tag(tx: &mut Tx<'_>, dataset: &str, key: &str) -> Result<()> {
    let sql = "DELETE FROM evaluation_dataset_tag WHERE dataset = $1 AND tag_key = $2";
    tx.execute(sql, &[dataset.into(), key.into()]).map(drop)
}

pub(crate) fn dataset_experiments(reader: &mut Reader<'_>, dataset: &str) -> Result<Vec<String>> {
    let sql = "SELECT experiment FROM evaluation_dataset_experiment WHERE dataset = $1 ORDER BY experiment";
    reader.query(sql, &[dataset.into()])?.iter().map(|row| row.text("experiment")).collect()
}

pub(crate) fn put_dataset_experiments(tx: &mut Tx<'_>, dataset: &str, experiments: &[String]) -> Result<()> {
    tx.insert(&ADD_EXPERIMENT, experiments.iter().map(|experiment| [dataset, experiment].map(Cell::Text))).map(drop)
}

pub(crate) fn remove_dataset_experiments(tx: &mut Tx<'_>, dataset: &str, experiments: &[String]) -> Result<()> {
    let sql = "DELETE FROM evaluation_dataset_experiment WHERE dataset = $1 AND experiment = $2";
    experiments.iter().try_for_each(|experiment| tx.execute(sql, &[dataset.into(), experiment.into()]).map(drop))
}

pub(crate) fn remove_dataset_parts(tx: &mut Tx<'_>, dataset: &str) -> Result<()> {
    for table in ["evaluation_dataset_tag", "evaluation_dataset_experiment", "evaluation_dataset_record"] {
        tx.execute(&format!("DELETE FROM {table} WHERE dataset = $1"), &[dataset.into()])?;
    }
    Ok(())
}

pub(crate) fn record_by_input(reader: &mut Reader<'_>, dataset: &str, input_digest: &str) -> Result<Option<DatasetRecord>> {
    let sql = "SELECT * FROM evaluation_dataset_record WHERE dataset = $1 AND input_digest = $2";
    reader.query_opt(sql, &[dataset.into(), input_digest.into()])?.as_ref().map(DatasetRecord::of).transpose()
}

pub(crate) fn put_record(tx: &mut Tx<'_>, dataset: &str, input_digest: &str, record: &DatasetRecord) -> Result<()> {
    tx.execute(
        "INSERT INTO evaluation_dataset_record (id, dataset, input_digest, inputs, outputs, expectations, tags, source, created_at, \
         updated_at, created_by, updated_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (dataset, input_digest) DO UPDATE SET outputs = EXCLUDED.outputs, expectations = EXCLUDED.expectations, \
         tags = EXCLUDED.tags, updated_at = EXCLUDED.updated_at, updated_by = EXCLUDED.updated_by",
        &[
            (&record.id).into(),
            dataset.into(),
            input_digest.into(),
            record.inputs.dumped().into(),
            record.outputs.as_ref().map(crate::Json::dumped).into(),
            record.expectations.as_ref().map(crate::Fields::dumped).into(),
            record.tags.dumped().into(),
            record.source.as_ref().map(crate::Fields::dumped).into(),
            record.created_at.into(),
            record.updated_at.into(),
            record.created_by.as_deref().into(),
            record.updated_by.as_deref().into(),
        ],
    )
    .map(drop)
}

pub(crate) fn records(
    reader: &mut Reader<'_>,
    dataset: &str,
    limit: u64,
    after: Option<&(Timestamp, String)>,
) -> Result<Vec<DatasetRecord>> {
    let rows = match after {
        None => reader.query(
            "SELECT * FROM evaluation_dataset_record WHERE dataset = $1 ORDER BY created_at, id LIMIT $2",
            &[dataset.into(), limit.into()],
        )?,
        Some((time, id)) => reader.query(
            "SELECT * FROM evaluation_dataset_record WHERE dataset = $1 AND (created_at > $2 OR (created_at = $2 AND id > $3)) \
             ORDER BY created_at, id LIMIT $4",
            &[dataset.into(), time.micros().into(), id.into(), limit.into()],
        )?,
    };
    rows.iter().map(DatasetRecord::of).collect()
}

pub(crate) fn remove_records(tx: &mut Tx<'_>, dataset: &str, ids: &[String]) -> Result<u64> {
    let mut n_removed = 0;
    for ids in ids.chunks(500) {
        let mut parameters: Vec<Scalar> = vec![dataset.into()];
        parameters.extend(ids.iter().map(Scalar::from));
        let sql = format!("DELETE FROM evaluation_dataset_record WHERE dataset = $1 AND id IN ({})", places(ids.len(), 2));
        n_removed += tx.execute(&sql, &parameters)?;
    }
    Ok(n_removed)
}
