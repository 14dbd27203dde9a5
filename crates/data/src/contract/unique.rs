//! Rows that repeat an earlier row of the batch in some columns.

use std::hash::{DefaultHasher, Hasher};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType as ArrowType, Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::row::{RowConverter, SortField};
use lw_core::{Error, Result};

use super::gather::Part;
use super::verdict::Finding;
use crate::profile::distinct::hash_bits;

/// Columns that together have no value twice.
#[derive(Debug)]
pub(crate) struct UniqueColumns {
    /// Positions and types in the table's columns.
    pub columns: Vec<(usize, ArrowType)>,
    /// Whether a row with a null repeats nothing, as in SQL, or is compared with others as it stands.
    pub skips_nulls: bool,
}

/// The keys of the rows that went by. A single integer, date or time is its own key; others have one of 128 bits, of which two of
/// a billion rows are equal by chance with a probability below 1e-20.
pub(crate) enum SeenKeys {
    Narrow(Buckets<u64>),
    Wide(Buckets<u128>),
}

/// Keys and their rows, spread over buckets that fit into a processor's cache.
pub(crate) struct Buckets<K>(Vec<Bucket<K>>);

struct Bucket<K> {
    keys: Vec<K>,
    ordinals: Vec<u32>,
}

const N_BUCKETS: usize = 256;

impl UniqueColumns {
    fn is_narrow(&self) -> bool {
        let [(_, data_type)] = self.columns.as_slice() else {
            return false;
        };
        let is_small = matches!(data_type, ArrowType::Int32 | ArrowType::Int64 | ArrowType::Date32 | ArrowType::Timestamp(..));
        self.skips_nulls && is_small
    }
}

impl SeenKeys {
    pub(super) fn begin(columns: &UniqueColumns) -> Self {
        if columns.is_narrow() { Self::Narrow(Buckets::begin()) } else { Self::Wide(Buckets::begin()) }
    }

    pub(super) fn update(&mut self, columns: &UniqueColumns, part: &Part<'_>) -> Result<()> {
        let arrays: Vec<ArrayRef> = columns.columns.iter().map(|(index, _)| part.rows.column(*index).clone()).collect();
        let nulls = if columns.skips_nulls {
            arrays.iter().fold(None, |nulls, array| NullBuffer::union(nulls.as_ref(), array.logical_nulls().as_ref()))
        } else {
            None
        };
        let is_free =
            |row_index: &usize| !part.kept_out.value(*row_index) && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row_index));
        let row_indices = (0..part.rows.num_rows()).filter(is_free);
        match self {
            Self::Narrow(buckets) => {
                let [array] = arrays.as_slice() else { return Err(Error::bug("a narrow key has one column")) };
                let bits = bits_of(array)?;
                row_indices
                    .for_each(|row_index| buckets.add(bits(row_index), hash_bits(bits(row_index)), part.ordinal(row_index)));
            }
            Self::Wide(buckets) => {
                let bug = |error: arrow::error::ArrowError| Error::bug("a column has a type without an order").cause(error);
                let fields = columns.columns.iter().map(|(_, data_type)| SortField::new(data_type.clone())).collect();
                let rows = RowConverter::new(fields).and_then(|converter| converter.convert_columns(&arrays)).map_err(bug)?;
                row_indices.for_each(|row_index| {
                    let key = wide_key(rows.row(row_index).data());
                    buckets.add(key, key as u64, part.ordinal(row_index));
                });
            }
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Narrow(mine), Self::Narrow(theirs)) => mine.merge(theirs),
            (Self::Wide(mine), Self::Wide(theirs)) => mine.merge(theirs),
            _ => debug_assert!(false, "one rule has keys of one kind"),
        }
    }

    /// Of the rows with one key, all but the first.
    pub(super) fn finish(self) -> Finding {
        let (n_checked, rows) = match self {
            Self::Narrow(buckets) => buckets.repeated(),
            Self::Wide(buckets) => buckets.repeated(),
        };
        Finding::of_rows(n_checked, rows)
    }
}

fn bits_of(array: &ArrayRef) -> Result<Box<dyn Fn(usize) -> u64 + '_>> {
    Ok(match array.data_type() {
        ArrowType::Int64 => {
            let values = array.as_primitive::<Int64Type>().values();
            Box::new(|row_index| values[row_index] as u64)
        }
        ArrowType::Int32 => {
            let values = array.as_primitive::<Int32Type>().values();
            Box::new(|row_index| values[row_index] as u64)
        }
        ArrowType::Date32 => {
            let values = array.as_primitive::<Date32Type>().values();
            Box::new(|row_index| values[row_index] as u64)
        }
        ArrowType::Timestamp(..) => {
            let values = array.as_primitive::<TimestampMicrosecondType>().values();
            Box::new(|row_index| values[row_index] as u64)
        }
        other => return Err(Error::bug(format!("a narrow key cannot be {other}"))),
    })
}

fn wide_key(bytes: &[u8]) -> u128 {
    let half = |domain: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(domain);
        hasher.write(bytes);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

impl<K: Ord + Copy> Buckets<K> {
    fn begin() -> Self {
        Self((0..N_BUCKETS).map(|_| Bucket { keys: Vec::new(), ordinals: Vec::new() }).collect())
    }

    fn add(&mut self, key: K, hash: u64, ordinal: u64) {
        let bucket = &mut self.0[(hash >> 56) as usize];
        bucket.keys.push(key);
        // Batches are bounded far below four billion rows.
        bucket.ordinals.push(u32::try_from(ordinal).unwrap_or(u32::MAX));
    }

    fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            mine.keys.extend(theirs.keys);
            mine.ordinals.extend(theirs.ordinals);
        }
    }

    /// How many rows there are, and which of them repeat an earlier one.
    fn repeated(self) -> (u64, Vec<u64>) {
        let (mut n_rows, mut repeated) = (0, Vec::new());
        for bucket in self.0 {
            n_rows += bucket.keys.len() as u64;
            let mut rows: Vec<(K, u32)> = bucket.keys.into_iter().zip(bucket.ordinals).collect();
            rows.sort_unstable();
            let again = rows.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| u64::from(pair[1].1));
            repeated.extend(again);
        }
        repeated.sort_unstable();
        (n_rows, repeated)
    }
}
