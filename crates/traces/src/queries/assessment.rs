//! The statements of assessments.

use std::collections::HashMap;

use lw_core::{Result, Scalar};
use lw_store::{Reader, Tx};

use super::by_ids;
use crate::Assessment;

pub(crate) fn assessments_of(reader: &mut Reader<'_>, traces: &[String]) -> Result<HashMap<String, Vec<Assessment>>> {
    let sql = "SELECT * FROM trace_assessment WHERE trace IN ({ids}) ORDER BY trace, place";
    let mut found: HashMap<String, Vec<Assessment>> = HashMap::new();
    for row in by_ids(reader, sql, traces)? {
        found.entry(row.text("trace")?).or_default().push(Assessment::of(&row)?);
    }
    Ok(found)
}

pub(crate) fn assessment(reader: &mut Reader<'_>, trace: &str, id: &str) -> Result<Option<Assessment>> {
    let sql = "SELECT * FROM trace_assessment WHERE trace = $1 AND id = $2";
    reader.query_opt(sql, &[trace.into(), id.into()])?.as_ref().map(Assessment::of).transpose()
}

pub(crate) fn put_assessment(tx: &mut Tx<'_>, assessment: &Assessment) -> Result<()> {
    let sql = "SELECT COALESCE(MAX(place), 0) + 1 AS place FROM trace_assessment WHERE trace = $1";
    let place = tx.query_opt(sql, &[(&assessment.trace).into()])?.map_or(Ok(1), |row| row.int("place"))?;
    let (kind, assessed, error) = assessment.value.stored()?;
    let metadata = match assessment.metadata.is_empty() {
        true => Scalar::Null,
        false => Scalar::Text(crate::assessment::json_text(&assessment.metadata)?),
    };
    tx.execute(
        "INSERT INTO trace_assessment (id, trace, name, kind, assessed, assessed_number, error, source_type, source_id, run, span, \
         rationale, metadata, overrides, is_valid, created_at, updated_at, place) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
         ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, assessed = EXCLUDED.assessed, \
         assessed_number = EXCLUDED.assessed_number, error = EXCLUDED.error, rationale = EXCLUDED.rationale, \
         metadata = EXCLUDED.metadata, is_valid = EXCLUDED.is_valid, updated_at = EXCLUDED.updated_at",
        &[
            (&assessment.id).into(),
            (&assessment.trace).into(),
            (&assessment.name).into(),
            kind.into(),
            assessed.into(),
            assessment.value.number().into(),
            error.into(),
            assessment.source_type.name().into(),
            assessment.source_id.as_deref().into(),
            assessment.run.as_deref().into(),
            assessment.span.as_deref().into(),
            assessment.rationale.as_deref().into(),
            metadata,
            assessment.overrides.as_deref().into(),
            i64::from(assessment.is_valid).into(),
            assessment.created_at.into(),
            assessment.updated_at.into(),
            place.into(),
        ],
    )
    .map(drop)
}

pub(crate) fn set_assessment_valid(tx: &mut Tx<'_>, trace: &str, id: &str, is_valid: bool) -> Result<bool> {
    let sql = "UPDATE trace_assessment SET is_valid = $1 WHERE trace = $2 AND id = $3";
    Ok(tx.execute(sql, &[i64::from(is_valid).into(), trace.into(), id.into()])? > 0)
}

pub(crate) fn remove_assessment(tx: &mut Tx<'_>, trace: &str, id: &str) -> Result<()> {
    tx.execute("DELETE FROM trace_assessment WHERE trace = $1 AND id = $2", &[trace.into(), id.into()]).map(drop)
}
