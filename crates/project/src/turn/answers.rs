//! What the endpoint answered in a window, with the labels that are known by now.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use lw_core::{Error, Result, Timestamp};
use lw_engine::{Area, Binding, Bound, TableId};
use lw_features::TableVersion;
use lw_serving::prediction_table;

use crate::definition::ModelDefinition;
use crate::workspace::Workspace;

/// The answers of one version.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The logged columns, row by row.
    pub rows: Vec<RecordBatch>,
    pub scores: Vec<f64>,
    /// In the order of `scores`; none where the truth is not known yet.
    pub labels: Vec<Option<f64>>,
}

impl Answers {
    /// Labels and scores of the answers whose label is known.
    pub fn outcomes(&self) -> (Vec<f64>, Vec<f64>) {
        let known = self.labels.iter().zip(&self.scores).filter_map(|(label, score)| Some(((*label)?, *score)));
        known.unzip()
    }
}

/// Reads the answers that a version gave from `from` on and before `to`, joined with the labels known by `as_of`. Answers that still
/// wait in the log are delivered before.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn answers(
    workspace: &Workspace,
    model: &ModelDefinition,
    version: u64,
    (from, to): (Timestamp, Timestamp),
    as_of: Timestamp,
) -> Result<Answers> {
    workspace.serving().deliver().await?;
    let engine = workspace.engine();
    let predicts = &model.predicts;
    let table = TableId::new(Area::Data, predicts.from.clone());
    let (Some(examples), Some(_)) =
        (TableVersion::current(engine, &table).await?, engine.current_version(&prediction_table(&model.model)).await?)
    else {
        return Ok(Answers { rows: Vec::new(), scores: Vec::new(), labels: Vec::new() });
    };
    let time = |time: Timestamp| format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", time.micros());
    let sql = format!(
        "SELECT l.loopwright_label, p.* FROM answers p LEFT JOIN (\
           SELECT \"{id}\" AS loopwright_id, CAST((\n{label}\n) AS DOUBLE) AS loopwright_label FROM {from_table} \
           WHERE \"{known}\" <= {as_of} AND \"{known}\" >= {from}) l ON p.id = l.loopwright_id \
         WHERE p.version = {version} AND p.role <> 'shadow' AND p.at >= {from} AND p.at < {to}",
        id = predicts.id,
        label = predicts.label,
        from_table = predicts.from,
        known = predicts.label_known,
        as_of = time(as_of),
        from = time(from),
        to = time(to),
    );
    let bindings = vec![
        Binding::new("answers", Bound::Table { table: prediction_table(&model.model), version: None }),
        Binding::table(&examples.table, Some(examples.version)),
    ];
    let rows = engine.query(&sql, bindings).await?.collect().await?;
    let mut answers = Answers { rows: Vec::new(), scores: Vec::new(), labels: Vec::new() };
    for batch in rows {
        let label = batch.column(0).as_primitive_opt::<Float64Type>();
        let score = batch.column_by_name("score").and_then(|column| column.as_primitive_opt::<Float64Type>());
        let (Some(label), Some(score)) = (label, score) else {
            return Err(Error::bug("logged answers have other types"));
        };
        answers.scores.extend(score.values());
        answers.labels.extend((0..batch.num_rows()).map(|row| label.is_valid(row).then(|| label.value(row))));
        answers.rows.push(batch);
    }
    Ok(answers)
}
