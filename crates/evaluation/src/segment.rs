//! The same metrics for every value of a column.

use lw_core::Result;
use lw_stats::{BootstrapOptions, Task};

use crate::measurement::{measure, n_positive};
use crate::{EvaluateDefinition, EvaluationData, Segment, SegmentColumn};

const OTHER: &str = "other";

/// Segments of all columns. Cost grows with rows times columns: each row is gathered once for each column.
pub(crate) fn measure_all(
    definition: &EvaluateDefinition,
    data: &EvaluationData<'_>,
    options: &BootstrapOptions,
) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for column in &data.segments {
        for group in groups(column, definition.min_segment_rows) {
            let gather =
                |values: &[f64]| -> Vec<f64> { group.rows.iter().map(|row_index| values[*row_index as usize]).collect() };
            let (labels, predictions) = (gather(data.labels), gather(data.predictions));
            segments.push(Segment {
                column: column.name.clone(),
                n_rows: labels.len() as u64,
                n_positive: (data.task == Task::BinaryClassification).then(|| n_positive(&labels)),
                is_small: (labels.len() as u64) < definition.min_segment_rows,
                is_pooled: group.is_pooled,
                n_values: group.n_values,
                metrics: measure(&definition.metrics, &labels, &predictions, options)?,
                value: group.value,
            });
        }
    }
    Ok(segments)
}

/// The rows of a segment.
struct Group {
    value: String,
    is_pooled: bool,
    n_values: u64,
    rows: Vec<u32>,
}

/// Rows by value, values with fewer rows than `min_rows` together at the end.
fn groups(column: &SegmentColumn, min_rows: u64) -> Vec<Group> {
    let mut rows_of = vec![Vec::new(); column.values.len()];
    for (row_index, code) in (0_u32..).zip(&column.codes) {
        rows_of[*code as usize].push(row_index);
    }
    let mut groups = Vec::new();
    let mut other = Group { value: OTHER.to_owned(), is_pooled: true, n_values: 0, rows: Vec::new() };
    for (value, rows) in column.values.iter().zip(rows_of) {
        if rows.len() as u64 >= min_rows {
            groups.push(Group { value: value.clone(), is_pooled: false, n_values: 1, rows });
        } else {
            other.n_values += 1;
            other.rows.extend(rows);
        }
    }
    if other.n_values > 0 {
        other.rows.sort_unstable();
        groups.push(other);
    }
    groups
}
