//! Columns whose values must stand in the current version of another table.
//!
//! The distinct values of the batch, which is bounded, are struck off while the other table's columns are streamed past, so that the
//! other table may have any size.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, BooleanBufferBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::row::{RowConverter, Rows, SortField};
use futures::TryStreamExt;
use lw_core::{Error, Result};
use lw_engine::Binding;

use super::Services;
use super::chunk::Chunk;
use crate::contract::{CompiledSource, Reference, RuleKind};
use crate::failures::SOURCE_INVALID;
use crate::queries::UsedTable;

/// Marks rows that refer to nothing. Gives the versions that were looked at.
pub(super) async fn check(services: &Services, source: &CompiledSource, chunks: &mut [Chunk]) -> Result<Vec<UsedTable>> {
    let mut used: Vec<UsedTable> = Vec::new();
    for (rule_index, rule) in source.rules.iter().enumerate() {
        let RuleKind::Reference(reference) = &rule.kind else { continue };
        let context = |error: Error| error.context(format!("source `{}`, rule `{}`", source.definition.name, rule.name));
        let version = version_of(services, reference).await.map_err(context)?;
        let theirs = services.engine.schema(&reference.table(), Some(version)).await?;
        reference.check(&source.table_schema, &theirs).map_err(context)?;
        let broken = orphans(services, source, reference, version, chunks).await.map_err(context)?;
        for (chunk, broken) in chunks.iter_mut().zip(broken) {
            if broken.count_set_bits() > 0 {
                chunk.add_broken(rule_index, rule.severity, broken);
            }
        }
        if !used.iter().any(|used| used.table == reference.rule.table) {
            let digest = services.engine.table_digest(&reference.table(), version).await?;
            used.push(UsedTable { table: reference.rule.table.clone(), version, digest });
        }
    }
    Ok(used)
}

async fn version_of(services: &Services, reference: &Reference) -> Result<u64> {
    let table = &reference.rule.table;
    services.engine.current_version(&reference.table()).await?.ok_or_else(|| {
        SOURCE_INVALID
            .error(format!("there is no table `{table}` to refer to"))
            .hint(format!("ingest the source `{table}` first, or correct the name in `references`"))
    })
}

/// The rows of each chunk whose values the other table does not have.
async fn orphans(
    services: &Services,
    source: &CompiledSource,
    reference: &Reference,
    version: u64,
    chunks: &[Chunk],
) -> Result<Vec<BooleanBuffer>> {
    let fields = reference.columns.iter().map(|index| SortField::new(source.table_schema.field(*index).data_type().clone()));
    let converter = RowConverter::new(fields.collect()).map_err(bug)?;
    let arrays: Vec<Vec<ArrayRef>> =
        chunks.iter().map(|chunk| reference.columns.iter().map(|index| chunk.rows.column(*index).clone()).collect()).collect();
    let values: Vec<Rows> = arrays.iter().map(|arrays| converter.convert_columns(arrays).map_err(bug)).collect::<Result<_>>()?;
    let refers = |chunk_index: usize, row_index: usize| {
        !chunks[chunk_index].kept_out.value(row_index) && arrays[chunk_index].iter().all(|array| array.is_valid(row_index))
    };
    let mut missing: HashSet<Box<[u8]>> = HashSet::new();
    for (chunk_index, values) in values.iter().enumerate() {
        for row_index in (0..values.num_rows()).filter(|row_index| refers(chunk_index, *row_index)) {
            let value = values.row(row_index);
            if !missing.contains(value.data()) {
                missing.insert(value.data().into());
            }
        }
    }
    let columns: Vec<_> = reference.rule.targets().iter().map(|name| format!("\"{name}\"")).collect();
    let sql = format!("SELECT {} FROM \"{}\"", columns.join(", "), reference.rule.table);
    let mut stream = services.engine.query(&sql, vec![Binding::table(&reference.table(), Some(version))]).await?.stream()?;
    while !missing.is_empty()
        && let Some(there) = stream.try_next().await?
    {
        let there = converter.convert_columns(there.columns()).map_err(bug)?;
        there.iter().for_each(|value| {
            missing.remove(value.data());
        });
    }
    let of_chunk = |(chunk_index, values): (usize, &Rows)| {
        let mut bits = BooleanBufferBuilder::new(values.num_rows());
        (0..values.num_rows()).for_each(|row_index| {
            bits.append(refers(chunk_index, row_index) && missing.contains(values.row(row_index).data()));
        });
        bits.finish()
    };
    Ok(values.iter().enumerate().map(of_chunk).collect())
}

fn bug(error: arrow::error::ArrowError) -> Error {
    Error::bug("a column that refers to a table has a type without an order").cause(error)
}
