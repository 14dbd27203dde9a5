//! A batch that was read becomes a batch that may be written: keys, verdict, profile, and the plan of its record.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{filter_record_batch, max};
use arrow::datatypes::{Field, Schema, SchemaRef, TimestampMicrosecondType};
use lw_core::{Ctx, Error, Name, Result, Timestamp};
use lw_engine::{Area, TableId};

use super::intake::{Chunk, Intake, column_type};
use super::{Services, keys, quarantine};
use crate::contract::{CompiledSource, Tally, refusal};
use crate::failures::SOURCE_TYPE_CHANGED;
use crate::queries::{self, BatchPlan};
use crate::{OnChange, Profile};

/// A batch that the contract lets in.
pub(super) struct Prepared {
    pub plan: BatchPlan,
    pub schema: SchemaRef,
    pub rows: Vec<RecordBatch>,
}

/// The table of a source.
pub(super) fn data_table(source: &Name) -> TableId {
    TableId::new(Area::Data, source.clone())
}

pub(super) fn quarantine_table(source: &Name) -> TableId {
    TableId::new(Area::Quarantine, source.clone())
}

/// Judges a batch and stores its profile and its quarantined rows as artifacts. Changes nothing that anybody sees.
pub(super) async fn prepare(
    ctx: &Ctx,
    services: &Services,
    source: &Arc<CompiledSource>,
    source_version: u64,
    mut intake: Intake,
) -> Result<Prepared> {
    let definition = &source.definition;
    let table = data_table(&definition.name);
    let version = services.engine.current_version(&table).await?;
    let existing = match version {
        Some(version) => Some(services.engine.schema(&table, Some(version)).await?),
        None => None,
    };
    let schema = batch_schema(source, existing.as_ref(), &intake.chunks)?;
    keys::check(services, source, &table, version, &mut intake.chunks).await?;

    let ingest_id = ctx.ids.next_hex();
    let judged = {
        let (source, schema, ingest_id, at) = (source.clone(), schema.clone(), ingest_id.clone(), ctx.now());
        let work = move || judge(&source, intake, &schema, &ingest_id, at);
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::bug("judging a batch panicked").cause(error))??
    };
    let document =
        serde_json::to_vec(&judged.profile.document()).map_err(|error| Error::bug("a profile is plain JSON").cause(error))?;
    let profile = services.artifacts.put(document).await?;
    let quarantine = match judged.quarantined {
        Some(rows) => Some(services.artifacts.put(quarantine::to_parquet(&rows)?).await?),
        None => None,
    };
    let newest = queries::latest_version(&services.store, &definition.name).await?;
    let plan = BatchPlan {
        ingest_id,
        source: definition.name.clone(),
        source_version,
        definition: definition.digest(),
        contract: definition.contract_digest(),
        sequence: newest.map_or(1, |newest| newest.sequence + 1),
        merge_by: (definition.on_change == OnChange::Merge).then(|| definition.key.clone()),
        files: judged.files,
        n_read: judged.tally.n_rows,
        n_rows: judged.tally.n_rows - judged.tally.n_quarantined,
        n_quarantined: judged.tally.n_quarantined,
        rules: judged.tally.outcomes,
        profile,
        quarantine,
        newest_event: judged.newest_event,
        newest_known: judged.newest_known,
    };
    Ok(Prepared { plan, schema, rows: judged.rows })
}

/// The columns that the version will have: those of the definition, those of the table, and new ones of the files.
fn batch_schema(source: &CompiledSource, existing: Option<&SchemaRef>, chunks: &[Chunk]) -> Result<SchemaRef> {
    let mut fields: Vec<Arc<Field>> = Vec::new();
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    let of_files = chunks.iter().map(|chunk| chunk.rows.schema());
    for schema in std::iter::once(source.table_schema.clone()).chain(of_files).chain(existing.cloned()) {
        for field in schema.fields() {
            let found = column_type(field);
            match types.get(field.name()) {
                None => {
                    types.insert(field.name().clone(), found);
                    fields.push(field.clone());
                }
                Some(known) if *known == found => {}
                Some(known) => return Err(type_conflict(source, field.name(), known, &found)),
            }
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn type_conflict(source: &CompiledSource, column: &str, new: &str, old: &str) -> Error {
    SOURCE_TYPE_CHANGED
        .error(format!("column `{column}` of table `{}` is {old}, and this batch would write {new}", source.definition.name))
        .hint("a column of a table keeps its type: declare the old type, or give the column a new name")
}

struct Judged {
    files: Vec<queries::IngestedFile>,
    tally: Tally,
    rows: Vec<RecordBatch>,
    quarantined: Option<RecordBatch>,
    profile: Profile,
    newest_event: Option<Timestamp>,
    newest_known: Option<Timestamp>,
}

fn judge(source: &CompiledSource, intake: Intake, schema: &SchemaRef, ingest_id: &str, at: Timestamp) -> Result<Judged> {
    let definition = &source.definition;
    let tally = quarantine::tally(source, &intake);
    if let Some(error) = refusal(definition.name.as_str(), &tally, &definition.contract) {
        return Err(error);
    }
    let quarantined = quarantine::quarantined(source, &intake, ingest_id, at)?;
    let mut rows = Vec::with_capacity(intake.chunks.len());
    let mut profile = Profile::default();
    let (mut newest_event, mut newest_known) = (None, None);
    for chunk in intake.chunks {
        let kept = kept_rows(chunk, schema)?;
        profile.add(&kept);
        newest_event = newest_event.max(newest(&kept, definition.event_time.as_deref()));
        newest_known = newest_known.max(newest(&kept, definition.known_time.as_deref()));
        if kept.num_rows() > 0 {
            rows.push(kept);
        }
    }
    Ok(Judged { files: intake.files, tally, rows, quarantined, profile, newest_event, newest_known })
}

/// The rows that keep the contract, with every column of the version.
fn kept_rows(chunk: Chunk, schema: &SchemaRef) -> Result<RecordBatch> {
    let bug = |error: arrow::error::ArrowError| Error::bug("a chunk does not have the columns of its batch").cause(error);
    let kept = if chunk.kept_out.count_set_bits() == 0 {
        chunk.rows
    } else {
        filter_record_batch(&chunk.rows, &BooleanArray::new(!&chunk.kept_out, None)).map_err(bug)?
    };
    let column = |field: &Arc<Field>| -> ArrayRef {
        kept.column_by_name(field.name()).cloned().unwrap_or_else(|| new_null_array(field.data_type(), kept.num_rows()))
    };
    let options = RecordBatchOptions::new().with_row_count(Some(kept.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), schema.fields().iter().map(column).collect(), &options).map_err(bug)
}

fn newest(rows: &RecordBatch, column: Option<&str>) -> Option<Timestamp> {
    let values = rows.column_by_name(column?)?;
    let micros = max(values.as_primitive_opt::<TimestampMicrosecondType>()?)?;
    (!values.is_empty()).then(|| Timestamp::from_micros(micros))
}
