//! How good the answers of a replay were, month by month, and how good the first version would have been.

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use lw_core::{Error, Result, Timestamp};
use lw_engine::{Binding, Bound};
use lw_features::TableVersion;
use lw_serving::prediction_table;
use lw_stats::Metric;

use super::report::MonthQuality;
use crate::definition::ModelDefinition;
use crate::scoring::Scoring;
use crate::workspace::Workspace;

#[derive(Default)]
struct Month {
    labels: Vec<f64>,
    scores: Vec<f64>,
    frozen: Vec<f64>,
}

/// Joins all logged answers with the labels known by `as_of`, and scores the logged inputs once more with the first version.
pub async fn by_month(
    workspace: &Workspace,
    model: &ModelDefinition,
    examples: &TableVersion,
    as_of: Timestamp,
) -> Result<Vec<MonthQuality>> {
    let inputs: String = model.inputs.iter().map(|input| format!(", p.\"{input}\"")).collect();
    let sql = format!(
        "SELECT p.at, p.score, l.label{inputs} FROM answers p JOIN (\
           SELECT \"{id}\" AS id, CAST((\n{label}\n) AS DOUBLE) AS label FROM {from} \
           WHERE \"{known}\" <= arrow_cast({as_of}, 'Timestamp(Microsecond, Some(\"UTC\"))')) l ON p.id = l.id \
         WHERE l.label IS NOT NULL AND p.role <> 'shadow'",
        id = model.predicts.id,
        label = model.predicts.label,
        from = model.predicts.from,
        known = model.predicts.label_known,
        as_of = as_of.micros(),
    );
    let bindings = vec![
        Binding::new("answers", Bound::Table { table: prediction_table(&model.model), version: None }),
        Binding::table(&examples.table, Some(examples.version)),
    ];
    let rows = workspace.engine().query(&sql, bindings).await?.collect().await?;
    let first = Scoring::of_version(workspace, model, 1).await?;
    let mut months: BTreeMap<String, Month> = BTreeMap::new();
    for batch in &rows {
        let frozen = first.score(batch)?;
        add(&mut months, batch, &frozen)?;
    }
    months.into_iter().map(|(month, values)| quality(month, &values)).collect()
}

fn add(months: &mut BTreeMap<String, Month>, batch: &RecordBatch, frozen: &[f64]) -> Result<()> {
    let (Some(at), Some(score), Some(label)) = (
        batch.column(0).as_primitive_opt::<TimestampMicrosecondType>(),
        batch.column(1).as_primitive_opt::<Float64Type>(),
        batch.column(2).as_primitive_opt::<Float64Type>(),
    ) else {
        return Err(Error::bug("logged answers have other types"));
    };
    for (row, frozen) in frozen.iter().enumerate().take(batch.num_rows()) {
        let day = Timestamp::from_micros(at.value(row)).date_text();
        let month = months.entry(day.get(..7).unwrap_or(&day).to_owned()).or_default();
        month.labels.push(label.value(row));
        month.scores.push(score.value(row));
        month.frozen.push(*frozen);
    }
    Ok(())
}

/// A month in which a metric has no value, because all labels agree, shows it as not a number.
fn quality(month: String, values: &Month) -> Result<MonthQuality> {
    let metric = |metric: Metric, scores: &[f64]| metric.compute(&values.labels, scores).unwrap_or(f64::NAN);
    Ok(MonthQuality {
        month,
        n_labels: values.labels.len() as u64,
        label_share: values.labels.iter().sum::<f64>() / values.labels.len().max(1) as f64,
        auc: metric(Metric::Auc, &values.scores),
        log_loss: metric(Metric::LogLoss, &values.scores),
        auc_frozen: metric(Metric::Auc, &values.frozen),
        log_loss_frozen: metric(Metric::LogLoss, &values.frozen),
    })
}
