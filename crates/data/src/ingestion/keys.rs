//! Keys are unique within a batch and across all versions of the table.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, BooleanBufferBuilder, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::row::{RowConverter, Rows, SortField};
use futures::TryStreamExt;
use lw_core::{Error, Result};
use lw_engine::{Binding, TableId};

use super::Services;
use super::chunk::Chunk;
use crate::OnChange;
use crate::contract::{CompiledSource, RuleKind};

/// Marks rows whose key is incomplete or taken. Of several rows of a batch with one key the first keeps it; rows that another rule
/// keeps out take none. The table's key columns are read once, whatever the size of the batch.
pub(super) async fn check(
    services: &Services,
    source: &CompiledSource,
    table: &TableId,
    version: Option<u64>,
    chunks: &mut [Chunk],
) -> Result<()> {
    let rule = source.rules.iter().enumerate().find(|(_, rule)| matches!(rule.kind, RuleKind::Key { .. }));
    let Some((rule_index, rule)) = rule else {
        return Ok(());
    };
    let fields = source.key.iter().map(|index| SortField::new(source.table_schema.field(*index).data_type().clone()));
    let converter = RowConverter::new(fields.collect()).map_err(bug)?;
    let keys: Vec<Rows> = chunks
        .iter()
        .map(|chunk| converter.convert_columns(&key_columns(source, &chunk.rows)).map_err(bug))
        .collect::<Result<_>>()?;
    let mut broken: Vec<BooleanBufferBuilder> = chunks.iter().map(|chunk| unset(chunk.rows.num_rows())).collect();

    let mut owners = claim(source, chunks, &keys, &mut broken);
    // A merge replaces rows of older versions on purpose.
    let is_merge = source.definition.on_change == OnChange::Merge;
    if let Some(version) = version.filter(|_| !is_merge && !owners.is_empty()) {
        let columns: Vec<_> = source.definition.key.iter().map(|name| format!("\"{name}\"")).collect();
        let sql = format!("SELECT {} FROM \"{}\"", columns.join(", "), table.name);
        let mut stream = services.engine.query(&sql, vec![Binding::table(table, Some(version))]).await?.stream()?;
        while let Some(taken) = stream.try_next().await? {
            let taken = converter.convert_columns(taken.columns()).map_err(bug)?;
            for key in taken.iter() {
                if let Some((chunk, row_index)) = owners.remove(key.as_ref()) {
                    broken[chunk as usize].set_bit(row_index as usize, true);
                }
            }
        }
    }
    drop(owners);
    for (chunk, mut broken) in chunks.iter_mut().zip(broken) {
        let broken: BooleanBuffer = broken.finish();
        if broken.count_set_bits() > 0 {
            chunk.add_broken(rule_index, rule.severity, broken);
        }
    }
    Ok(())
}

/// The row that owns each key of the batch.
fn claim<'k>(
    source: &CompiledSource,
    chunks: &[Chunk],
    keys: &'k [Rows],
    broken: &mut [BooleanBufferBuilder],
) -> HashMap<&'k [u8], (u32, u32)> {
    let mut owners = HashMap::with_capacity(keys.iter().map(Rows::num_rows).sum());
    for (chunk_index, (chunk, keys)) in chunks.iter().zip(keys).enumerate() {
        let columns = key_columns(source, &chunk.rows);
        for (row_index, key) in keys.iter().enumerate() {
            if chunk.kept_out.value(row_index) {
                continue;
            }
            let is_incomplete = columns.iter().any(|column| column.is_null(row_index));
            let key = key.data();
            if is_incomplete || owners.contains_key(key) {
                broken[chunk_index].set_bit(row_index, true);
            } else {
                owners.insert(key, (chunk_index as u32, row_index as u32));
            }
        }
    }
    owners
}

fn key_columns(source: &CompiledSource, rows: &RecordBatch) -> Vec<ArrayRef> {
    source.key.iter().map(|index| rows.column(*index).clone()).collect()
}

fn unset(n_rows: usize) -> BooleanBufferBuilder {
    let mut bits = BooleanBufferBuilder::new(n_rows);
    bits.append_n(n_rows, false);
    bits
}

fn bug(error: arrow::error::ArrowError) -> Error {
    Error::bug("a key column has a type without an order").cause(error)
}
