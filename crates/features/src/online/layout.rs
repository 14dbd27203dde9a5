//! The encoded row: a header, a bit for each null, fixed-width values, then the bytes of the texts.
//!
//! ```text
//! byte 0        format (1)
//!      1..9     hash of the feature names and types
//!      9..17    event time, microseconds
//!     17..25    known time, microseconds
//!     25..      one bit a feature, set when it has a value
//!     then      the features in order: boolean 1 byte; int32, float32 and date 4; int64, float64 and timestamp 8;
//!               string 4, the end of its bytes within the texts
//!     then      the texts, one behind the other
//! ```
//!
//! All numbers are little-endian. A null takes its width all the same, so that every feature lies at a known place.

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use lw_core::{DataType, Digest, Error, Field, Result, Scalar, Timestamp};

use crate::failures::ONLINE_ROW_UNREADABLE;

const FORMAT: u8 = 1;
const HEADER_LENGTH: usize = 25;
const DAY_MICROS: i64 = 86_400_000_000;

/// The two times that decide which of two rows is newer and how old a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowHeader {
    pub event: Timestamp,
    pub known: Timestamp,
}

impl RowHeader {
    /// Reads the header of an encoded row, whatever its features.
    pub fn read(row: &[u8]) -> Result<Self> {
        if row.len() < HEADER_LENGTH || row[0] != FORMAT {
            return Err(unreadable("it is not in a format that this version reads"));
        }
        Ok(Self { event: Timestamp::from_micros(read_i64(row, 9)), known: Timestamp::from_micros(read_i64(row, 17)) })
    }
}

/// Which features a row has, and where.
#[derive(Debug, Clone)]
pub struct RowLayout {
    features: Box<[DataType]>,
    hash: [u8; 8],
    texts_start: usize,
}

impl RowLayout {
    pub fn new(features: &[Field]) -> Self {
        let named: Vec<(&str, DataType)> = features.iter().map(|field| (field.name.as_str(), field.data_type)).collect();
        let mut hash = [0; 8];
        hash.copy_from_slice(&Digest::of_json(&named).as_bytes()[..8]);
        let types: Box<[DataType]> = features.iter().map(|field| field.data_type).collect();
        let fixed: usize = types.iter().map(|data_type| width(*data_type)).sum();
        let texts_start = HEADER_LENGTH + types.len().div_ceil(8) + fixed;
        Self { features: types, hash, texts_start }
    }

    pub fn n_features(&self) -> usize {
        self.features.len()
    }

    /// Appends an encoded row. There is one column a feature, in order.
    pub fn write(&self, header: RowHeader, columns: &[FeatureColumn<'_>], row: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(FORMAT);
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(&header.event.micros().to_le_bytes());
        out.extend_from_slice(&header.known.micros().to_le_bytes());
        let bits_start = out.len();
        out.resize(start + self.texts_start, 0);
        let mut place = bits_start + self.features.len().div_ceil(8);
        for (index, (data_type, column)) in self.features.iter().zip(columns).enumerate() {
            let end = place + width(*data_type);
            if column.is_valid(row) {
                out[bits_start + index / 8] |= 1 << (index % 8);
                column.write_value(row, place, start + self.texts_start, out);
            } else if *data_type == DataType::String {
                let texts_length = out.len() - start - self.texts_start;
                put_text_end(out, place, texts_length);
            }
            place = end;
        }
    }

    /// Reads a row's features into `out`, one slot a feature. A slot that holds a text keeps its buffer.
    pub fn read_into(&self, row: &[u8], out: &mut [Scalar]) -> Result<RowHeader> {
        let header = RowHeader::read(row)?;
        if row[1..9] != self.hash || row.len() < self.texts_start || out.len() != self.features.len() {
            return Err(unreadable("it holds other features"));
        }
        let mut place = HEADER_LENGTH + self.features.len().div_ceil(8);
        let mut text_start = self.texts_start;
        for (index, (data_type, slot)) in self.features.iter().zip(out).enumerate() {
            let is_valid = row[HEADER_LENGTH + index / 8] & (1 << (index % 8)) != 0;
            if *data_type == DataType::String {
                let end = self.texts_start + read_u32(row, place) as usize;
                let bytes = row.get(text_start..end).ok_or_else(|| unreadable("it is cut off"))?;
                let text = std::str::from_utf8(bytes).map_err(|error| unreadable("a text is damaged").cause(error))?;
                if is_valid {
                    set_text(slot, text)
                } else {
                    *slot = Scalar::Null
                }
                text_start = end;
            } else {
                *slot = if is_valid { read_value(*data_type, row, place) } else { Scalar::Null };
            }
            place += width(*data_type);
        }
        Ok(header)
    }
}

/// One feature of a batch, made ready to be read row by row.
pub enum FeatureColumn<'a> {
    Boolean(&'a BooleanArray),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Text(&'a StringArray),
    Date(&'a Date32Array),
    Time(&'a TimestampMicrosecondArray),
}

impl<'a> FeatureColumn<'a> {
    /// The column must have the arrow type of the feature's type.
    pub fn new(data_type: DataType, array: &'a ArrayRef) -> Result<Self> {
        let any = array.as_any();
        match data_type {
            DataType::Boolean => any.downcast_ref().map(Self::Boolean),
            DataType::Int32 => any.downcast_ref().map(Self::Int32),
            DataType::Int64 => any.downcast_ref().map(Self::Int64),
            DataType::Float32 => any.downcast_ref().map(Self::Float32),
            DataType::Float64 => any.downcast_ref().map(Self::Float64),
            DataType::String => any.downcast_ref().map(Self::Text),
            DataType::Date => any.downcast_ref().map(Self::Date),
            DataType::Timestamp => any.downcast_ref().map(Self::Time),
        }
        .ok_or_else(|| Error::bug(format!("a {data_type} feature has a column of type {}", array.data_type())))
    }

    fn is_valid(&self, row: usize) -> bool {
        match self {
            Self::Boolean(values) => values.is_valid(row),
            Self::Int32(values) => values.is_valid(row),
            Self::Int64(values) => values.is_valid(row),
            Self::Float32(values) => values.is_valid(row),
            Self::Float64(values) => values.is_valid(row),
            Self::Text(values) => values.is_valid(row),
            Self::Date(values) => values.is_valid(row),
            Self::Time(values) => values.is_valid(row),
        }
    }

    fn write_value(&self, row: usize, place: usize, texts_start: usize, out: &mut Vec<u8>) {
        let mut put = |bytes: &[u8]| out[place..place + bytes.len()].copy_from_slice(bytes);
        match self {
            Self::Boolean(values) => put(&[u8::from(values.value(row))]),
            Self::Int32(values) => put(&values.value(row).to_le_bytes()),
            Self::Int64(values) => put(&values.value(row).to_le_bytes()),
            Self::Float32(values) => put(&values.value(row).to_le_bytes()),
            Self::Float64(values) => put(&values.value(row).to_le_bytes()),
            Self::Date(values) => put(&values.value(row).to_le_bytes()),
            Self::Time(values) => put(&values.value(row).to_le_bytes()),
            Self::Text(values) => {
                out.extend_from_slice(values.value(row).as_bytes());
                let texts_length = out.len() - texts_start;
                put_text_end(out, place, texts_length);
            }
        }
    }
}

fn put_text_end(out: &mut [u8], place: usize, end: usize) {
    let end = u32::try_from(end).expect("the texts of one row are shorter than 4 GiB");
    out[place..place + 4].copy_from_slice(&end.to_le_bytes());
}

fn width(data_type: DataType) -> usize {
    match data_type {
        DataType::Boolean => 1,
        DataType::Int32 | DataType::Float32 | DataType::Date | DataType::String => 4,
        DataType::Int64 | DataType::Float64 | DataType::Timestamp => 8,
    }
}

/// The value of a feature that is not a text. A date is midnight UTC.
fn read_value(data_type: DataType, row: &[u8], place: usize) -> Scalar {
    match data_type {
        DataType::Boolean => Scalar::Bool(row[place] != 0),
        DataType::Int32 => Scalar::Int(i64::from(read_u32(row, place).cast_signed())),
        DataType::Int64 => Scalar::Int(read_i64(row, place)),
        DataType::Float32 => Scalar::Float(f64::from(f32::from_bits(read_u32(row, place)))),
        DataType::Float64 => Scalar::Float(f64::from_bits(read_i64(row, place).cast_unsigned())),
        DataType::Date => {
            Scalar::Time(Timestamp::from_micros(i64::from(read_u32(row, place).cast_signed()).saturating_mul(DAY_MICROS)))
        }
        DataType::Timestamp => Scalar::Time(Timestamp::from_micros(read_i64(row, place))),
        DataType::String => Scalar::Null,
    }
}

fn set_text(slot: &mut Scalar, text: &str) {
    if let Scalar::Text(buffer) = slot {
        buffer.clear();
        buffer.push_str(text);
    } else {
        *slot = Scalar::Text(text.to_owned());
    }
}

fn read_i64(row: &[u8], place: usize) -> i64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&row[place..place + 8]);
    i64::from_le_bytes(bytes)
}

fn read_u32(row: &[u8], place: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&row[place..place + 4]);
    u32::from_le_bytes(bytes)
}

fn unreadable(why: &str) -> Error {
    ONLINE_ROW_UNREADABLE
        .error(format!("a row of the online store cannot be read: {why}"))
        .hint("stop the server, delete `online.redb` in the workspace, and materialize the views again; nothing is lost")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn field(name: &str, data_type: DataType) -> Field {
        Field { name: name.to_owned(), data_type, nullable: true }
    }

    fn header() -> RowHeader {
        RowHeader { event: Timestamp::from_micros(-5), known: Timestamp::from_micros(i64::MAX) }
    }

    proptest! {
        #[test]
        fn a_row_survives_encoding(
            text in proptest::option::of(".*"), other_text in proptest::option::of(".*"),
            whole in proptest::option::of(any::<i64>()), small in proptest::option::of(any::<i32>()),
            real in proptest::option::of(-1e300..1e300f64), flag in proptest::option::of(any::<bool>()),
        ) {
            let fields = [
                field("text", DataType::String), field("whole", DataType::Int64), field("flag", DataType::Boolean),
                field("real", DataType::Float64), field("small", DataType::Int32), field("other", DataType::String),
                field("at", DataType::Timestamp), field("day", DataType::Date), field("single", DataType::Float32),
            ];
            let arrays: Vec<ArrayRef> = vec![
                Arc::new(StringArray::from(vec![text.clone()])), Arc::new(Int64Array::from(vec![whole])),
                Arc::new(BooleanArray::from(vec![flag])), Arc::new(Float64Array::from(vec![real])),
                Arc::new(Int32Array::from(vec![small])), Arc::new(StringArray::from(vec![other_text.clone()])),
                Arc::new(TimestampMicrosecondArray::from(vec![whole])), Arc::new(Date32Array::from(vec![Some(-1)])),
                Arc::new(Float32Array::from(vec![Some(0.5)])),
            ];
            let columns: Vec<_> =
                fields.iter().zip(&arrays).map(|(field, array)| FeatureColumn::new(field.data_type, array).unwrap()).collect();
            let layout = RowLayout::new(&fields);
            let mut bytes = b"key".to_vec();
            layout.write(header(), &columns, 0, &mut bytes);
            let mut out = vec![Scalar::Text("left over".to_owned()); fields.len()];
            prop_assert_eq!(layout.read_into(&bytes[3..], &mut out).unwrap(), header());
            let want: Vec<Scalar> = vec![
                text.into(), whole.into(), flag.into(), real.into(), small.into(), other_text.into(),
                whole.map(Timestamp::from_micros).into(), Timestamp::from_micros(-DAY_MICROS).into(), Scalar::Float(0.5),
            ];
            prop_assert_eq!(out, want);
            for length in 3..bytes.len() {
                let _ = layout.read_into(&bytes[3..length], &mut vec![Scalar::Null; fields.len()]);
            }
        }
    }

    #[test]
    fn rows_of_other_features_are_not_misread() {
        let array: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let one = RowLayout::new(&[field("a", DataType::Int64)]);
        let mut bytes = Vec::new();
        one.write(header(), &[FeatureColumn::new(DataType::Int64, &array).unwrap()], 0, &mut bytes);
        for other in [field("b", DataType::Int64), field("a", DataType::Float64)] {
            let error = RowLayout::new(&[other]).read_into(&bytes, &mut [Scalar::Null]).unwrap_err();
            assert!(error.is(ONLINE_ROW_UNREADABLE));
        }
        assert!(RowHeader::read(&[]).unwrap_err().is(ONLINE_ROW_UNREADABLE));
    }
}
