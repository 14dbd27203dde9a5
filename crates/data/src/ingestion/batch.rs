//! A batch that was read becomes a batch that may be written: keys, verdict, profile, and the plan of its record.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use lw_core::{Ctx, Error, Name, Result};
use lw_engine::{Area, TableId};

use super::chunk::{Chunk, column_type};
use super::facts::Facts;
use super::intake::Intake;
use super::judge::{Accepted, Judgement, judge};
use super::{Services, keys, quarantine, references};
use crate::OnChange;
use crate::contract::CompiledSource;
use crate::failures::SOURCE_TYPE_CHANGED;
use crate::queries::{self, BatchPlan, IngestedFile, Refusal};
use crate::reading::place;

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
    let schema = batch_schema(source, existing.as_ref(), &intake)?;
    keys::check(services, source, &table, version, &mut intake.chunks).await?;
    let references = references::check(services, source, &mut intake.chunks).await?;
    let facts = Facts::gather(services, source, ctx.now()).await?;

    let ingest_id = ctx.ids.next_hex();
    let judgement = {
        let (source, schema, ingest_id) = (source.clone(), schema.clone(), ingest_id.clone());
        let work = move || judge(&source, intake, &facts, &schema, &ingest_id);
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::bug("judging a batch panicked").cause(error))??
    };
    let accepted = match judgement {
        Judgement::Accepted(accepted) => accepted,
        Judgement::Refused { error, files, verdicts } => {
            let refusal = Refusal::new(ctx, definition, source_version, &error, files, verdicts);
            queries::record_refusal(ctx, &services.store, refusal).await?;
            return Err(error);
        }
    };
    let Accepted { files, n_read, n_quarantined, tally, rows, quarantined, profile, newest_event, newest_known } = accepted;
    let put = async |document: Vec<u8>| services.artifacts.put(document).await;
    let profile = put(json(&profile.document())?).await?;
    let verdicts_digest = put(json(&tally.verdicts)?).await?;
    let quarantine = match quarantined {
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
        files,
        n_read,
        n_rows: n_read - n_quarantined,
        n_quarantined,
        rules: tally.outcomes(),
        verdicts: tally.verdicts,
        verdicts_digest: Some(verdicts_digest),
        references,
        profile,
        quarantine,
        newest_event,
        newest_known,
    };
    Ok(Prepared { plan, schema, rows })
}

fn json(document: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|error| Error::bug("profiles and verdicts are plain JSON").cause(error))
}

/// The columns that the version will have: those of the definition, those of the table, and new ones of the files.
fn batch_schema(source: &CompiledSource, existing: Option<&SchemaRef>, intake: &Intake) -> Result<SchemaRef> {
    let mut fields: Vec<Arc<Field>> = Vec::new();
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    let known = std::iter::once(&source.table_schema).chain(existing).map(|schema| (schema.clone(), None));
    let found = intake.chunks.iter().map(|chunk| (chunk.rows.schema(), Some(chunk)));
    for (schema, chunk) in known.chain(found) {
        for field in schema.fields() {
            let found = column_type(field);
            match types.get(field.name()) {
                None => {
                    types.insert(field.name().clone(), found);
                    fields.push(field.clone());
                }
                Some(known) if *known == found => {}
                Some(known) => return Err(type_conflict(source, field.name(), known, &found, chunk, &intake.files)),
            }
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// A column that the definition declares otherwise than the table has it, or that a file brings with another type.
fn type_conflict(
    source: &CompiledSource,
    column: &str,
    known: &str,
    found: &str,
    chunk: Option<&Chunk>,
    files: &[IngestedFile],
) -> Error {
    let table = &source.definition.name;
    let hint = "a column of a table keeps its type: declare the old type, or give the column a new name";
    let Some(chunk) = chunk else {
        return SOURCE_TYPE_CHANGED
            .error(format!("column `{column}` of table `{table}` is {found}, and this batch would write {known}"))
            .hint(hint);
    };
    let values = chunk.rows.column_by_name(column);
    let row_index = values.and_then(|values| (0..values.len()).find(|row_index| values.is_valid(*row_index))).unwrap_or(0);
    let value = values.map(|values| crate::conversion::shown(values, row_index)).unwrap_or_default();
    let row_number = chunk.row_number(row_index);
    SOURCE_TYPE_CHANGED
        .error(format!(
            "column `{column}` is {found}, in table `{table}` {known}; the first such value is `{value}` in row {row_number}"
        ))
        .hint(hint)
        .at(place(&files[chunk.origin.file_index].path, None))
}
