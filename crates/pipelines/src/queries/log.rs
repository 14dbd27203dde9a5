//! The lines that steps print.

use lw_core::{Result, Timestamp};
use lw_store::{Reader, Row, Tx};

use super::step::small;
use crate::LogLine;
use crate::run::PipelineRunId;

/// Appends lines. `last` is the number of the last of them, as `take_progress` reserved it.
pub fn insert_lines(
    tx: &mut Tx<'_>,
    run: &PipelineRunId,
    (key, attempt): (&str, u32),
    lines: &[(Timestamp, String)],
    last: i64,
) -> Result<()> {
    let first = last - i64::try_from(lines.len()).unwrap_or(i64::MAX) + 1;
    for ((at, line), cursor) in lines.iter().zip(first..) {
        tx.execute(
            "INSERT INTO pipeline_log (run, cursor_at, step, attempt, at, line) VALUES ($1, $2, $3, $4, $5, $6)",
            &[run.into(), cursor.into(), key.into(), attempt.into(), (*at).into(), line.into()],
        )?;
    }
    Ok(())
}

pub fn lines(db: &mut Reader<'_>, run: &PipelineRunId, step: Option<&str>, after: i64, limit: u64) -> Result<Vec<LogLine>> {
    let rows = db.query(
        "SELECT cursor_at, step, attempt, at, line FROM pipeline_log WHERE run = $1 AND cursor_at > $2 \
         AND ($3 = '' OR step = $3) ORDER BY cursor_at LIMIT $4",
        &[run.into(), after.into(), step.unwrap_or_default().into(), limit.into()],
    )?;
    let line = |row: &Row| {
        let (step, attempt) = (row.text("step")?, small(row, "attempt")?);
        Ok(LogLine { cursor: row.int("cursor_at")?, step, attempt, at: row.time("at")?, line: row.text("line")? })
    };
    rows.iter().map(line).collect()
}
