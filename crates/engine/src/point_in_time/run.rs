//! Runs the operator over rows in memory and puts its answers back into the spine's order.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::interleave;
use arrow::datatypes::{Field, Schema, SchemaRef, UInt32Type};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::Partitioning;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, collect};
use lw_core::{Error, Result};

use super::operator::{PitJoinExec, key_expressions};
use super::partition::{Shape, ViewShape};
use super::prepare::{Group, Rows, SPINE_KEYS_FROM, VIEW_KEYS_FROM, prepare};
use super::{PitView, PointInTime};
use crate::column_type::canonical_type;
use crate::sql::{Session, diagnose};

/// Below this many rows, partitions cost more than they save.
const MIN_ROWS_TO_PARTITION: usize = 50_000;

pub(crate) async fn run(session: &Session, request: PointInTime) -> Result<Vec<RecordBatch>> {
    let Some(first) = request.spine.first() else {
        return Ok(Vec::new());
    };
    let spine_schema = first.schema();
    let groups = prepare(&request, &spine_schema)?;
    // For each view, for each batch of the spine: the view's output columns.
    let mut answers: Vec<Vec<Vec<ArrayRef>>> = vec![Vec::new(); request.views.len()];
    for group in groups {
        let indices: Vec<usize> = group.views.iter().map(|view| view.index).collect();
        let plan = plan(group, session.n_threads()).map_err(|error| failed(&error))?;
        let answered = collect(plan, session.query().task_ctx()).await.map_err(|error| failed(&error))?;
        let mut column = 1;
        for index in indices {
            let n_outputs = request.views[index].columns.len();
            answers[index] = in_spine_order(&answered, &request.spine, column..column + n_outputs)?;
            column += n_outputs;
        }
    }
    attach(&request, &spine_schema, answers)
}

fn failed(error: &DataFusionError) -> Error {
    diagnose(error, "").context("point-in-time join")
}

fn plan(group: Group, n_threads: usize) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let n_rows: usize = group.views.iter().map(|view| n_rows(&view.rows)).sum::<usize>() + n_rows(&group.spine);
    let n_keys = group.key_types.len();
    let n_partitions = if n_keys == 0 || n_rows < MIN_ROWS_TO_PARTITION { 1 } else { n_threads };
    let spine = source(group.spine, SPINE_KEYS_FROM, n_keys, n_partitions)?;
    let mut views = Vec::with_capacity(group.views.len());
    let mut shapes = Vec::with_capacity(group.views.len());
    for view in group.views {
        shapes.push(ViewShape { rule: view.rule, n_outputs: view.rows.schema.fields().len() - VIEW_KEYS_FROM - n_keys });
        views.push(source(view.rows, VIEW_KEYS_FROM, n_keys, n_partitions)?);
    }
    let shape = Shape { key_types: group.key_types, views: shapes };
    Ok(Arc::new(PitJoinExec::try_new(spine, views, Arc::new(shape))?))
}

fn n_rows(rows: &Rows) -> usize {
    rows.batches.iter().map(RecordBatch::num_rows).sum()
}

fn source(rows: Rows, keys_from: usize, n_keys: usize, n_partitions: usize) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let keys = key_expressions(&rows.schema, keys_from, n_keys);
    let source = MemorySourceConfig::try_new_exec(&[rows.batches], rows.schema, None)?;
    if n_partitions == 1 {
        return Ok(source);
    }
    Ok(Arc::new(RepartitionExec::try_new(source, Partitioning::Hash(keys, n_partitions))?))
}

/// Takes some columns of the operator's result, whose rows carry their ordinals, into the batches and order of the spine.
fn in_spine_order(
    answered: &[RecordBatch],
    spine: &[RecordBatch],
    columns: std::ops::Range<usize>,
) -> Result<Vec<Vec<ArrayRef>>> {
    let n_rows: usize = spine.iter().map(RecordBatch::num_rows).sum();
    let n_answered: usize = answered.iter().map(RecordBatch::num_rows).sum();
    if n_rows != n_answered {
        return Err(Error::bug(format!("{n_rows} spine rows became {n_answered}")));
    }
    let mut places = vec![(0, 0); n_rows];
    for (batch_index, batch) in answered.iter().enumerate() {
        for (row_index, ordinal) in batch.column(0).as_primitive::<UInt32Type>().values().iter().enumerate() {
            places[*ordinal as usize] = (batch_index, row_index);
        }
    }
    let mut first = 0;
    let mut ordered = Vec::with_capacity(spine.len());
    for batch in spine {
        let rows = &places[first..first + batch.num_rows()];
        first += batch.num_rows();
        let column = |index: usize| {
            let sources: Vec<&dyn Array> = answered.iter().map(|batch| batch.column(index).as_ref()).collect();
            interleave(&sources, rows).map_err(|error| Error::bug("answers of one column differ in type").cause(error))
        };
        ordered.push(columns.clone().map(column).collect::<Result<_>>()?);
    }
    Ok(ordered)
}

fn attach(request: &PointInTime, spine_schema: &SchemaRef, mut answers: Vec<Vec<Vec<ArrayRef>>>) -> Result<Vec<RecordBatch>> {
    let mut fields = spine_schema.fields().to_vec();
    for view in &request.views {
        fields.extend(output_fields(view));
    }
    let schema = Arc::new(Schema::new(fields));
    let attach_one = |(index, batch): (usize, &RecordBatch)| {
        let mut columns = batch.columns().to_vec();
        for view in &mut answers {
            columns.append(&mut view[index]);
        }
        RecordBatch::try_new(schema.clone(), columns).map_err(|error| Error::bug("the answers do not fit the spine").cause(error))
    };
    request.spine.iter().enumerate().map(attach_one).collect()
}

fn output_fields(view: &PitView) -> impl Iterator<Item = Arc<Field>> {
    let schema = view.rows.first().map(RecordBatch::schema);
    view.columns.iter().filter_map(move |output| {
        let field = schema.as_ref()?.field_with_name(&output.column).ok()?.clone();
        Some(Arc::new(Field::new(&output.name, canonical_type(field.data_type()), true)))
    })
}
