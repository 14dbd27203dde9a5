//! Keys as small numbers: equal keys have equal numbers, and NULL has none.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use arrow::row::{Row, RowConverter, SortField};
use datafusion::error::Result;

/// Numbers the distinct keys of the spine, in the order of their appearance. A view's key that no spine row asks for has no
/// number, which is a semi-join before anything is sorted. With no key columns every row has the same key.
pub(super) struct Keys {
    converter: RowConverter,
    numbers: HashMap<Box<[u8]>, u32>,
}

impl Keys {
    pub fn new(types: &[DataType]) -> Result<Self> {
        let fields = types.iter().map(|data_type| SortField::new(data_type.clone())).collect();
        Ok(Self { converter: RowConverter::new(fields)?, numbers: HashMap::new() })
    }

    /// The number of each row's key, which is new if it was not seen before. `None` for a key with a NULL in it.
    pub fn number(&mut self, columns: &[ArrayRef], n_rows: usize) -> Result<Vec<Option<u32>>> {
        if columns.is_empty() {
            return Ok(vec![Some(0); n_rows]);
        }
        let rows = self.converter.convert_columns(columns)?;
        let nulls = nulls_of(columns);
        let mut numbers = Vec::with_capacity(rows.num_rows());
        for (row_index, row) in rows.iter().enumerate() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row_index)) {
                numbers.push(None);
                continue;
            }
            let bytes: &[u8] = row.as_ref();
            let number = match self.numbers.get(bytes) {
                Some(number) => *number,
                None => {
                    let fresh = u32::try_from(self.numbers.len()).map_err(|_| too_many())?;
                    self.numbers.insert(bytes.into(), fresh);
                    fresh
                }
            };
            numbers.push(Some(number));
        }
        Ok(numbers)
    }

    /// The number of each row's key, where it is known.
    pub fn find(&self, columns: &[ArrayRef], n_rows: usize) -> Result<Vec<Option<u32>>> {
        if columns.is_empty() {
            return Ok(vec![Some(0); n_rows]);
        }
        let rows = self.converter.convert_columns(columns)?;
        let nulls = nulls_of(columns);
        let number = |(row_index, row): (usize, Row<'_>)| {
            let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row_index));
            if is_null { None } else { self.numbers.get(row.as_ref()).copied() }
        };
        Ok(rows.iter().enumerate().map(number).collect())
    }
}

/// Where any of the columns is NULL.
fn nulls_of(columns: &[ArrayRef]) -> Option<NullBuffer> {
    columns.iter().fold(None, |nulls, column| NullBuffer::union(nulls.as_ref(), column.logical_nulls().as_ref()))
}

fn too_many() -> datafusion::error::DataFusionError {
    datafusion::error::DataFusionError::ResourcesExhausted("more than 2^32 distinct keys".to_owned())
}
