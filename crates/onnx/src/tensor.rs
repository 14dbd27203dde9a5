//! Values while a graph runs: numbers or texts, of rank 0 to 2, whose buffers are used again from run to run.

use lw_core::Result;

use crate::failures::{malformed, unsupported};
use crate::message::{TensorProto, data_type};

/// The element type of a value. Every number is held as `f64`; the type says how ONNX declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    Float,
    Double,
    Int32,
    Int64,
    Bool,
    Text,
}

impl Element {
    pub(crate) fn from_proto(code: i32) -> Option<Self> {
        Some(match code {
            data_type::FLOAT => Self::Float,
            data_type::DOUBLE => Self::Double,
            data_type::INT8 | data_type::UINT8 | data_type::INT32 => Self::Int32,
            data_type::INT64 => Self::Int64,
            data_type::BOOL => Self::Bool,
            data_type::STRING => Self::Text,
            _ => return None,
        })
    }

    pub(crate) fn to_proto(self) -> i32 {
        match self {
            Self::Float => data_type::FLOAT,
            Self::Double => data_type::DOUBLE,
            Self::Int32 => data_type::INT32,
            Self::Int64 => data_type::INT64,
            Self::Bool => data_type::BOOL,
            Self::Text => data_type::STRING,
        }
    }

    pub fn is_integer(self) -> bool {
        matches!(self, Self::Int32 | Self::Int64)
    }

    /// The number as ONNX would hold it, for comparisons: a `Float` is rounded to 32 bits.
    #[inline]
    pub(crate) fn quantise(self, value: f64) -> f64 {
        match self {
            Self::Float => f64::from(value as f32),
            _ => value,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Scalar,
    Vector(usize),
    Matrix(usize, usize),
}

impl Shape {
    pub fn from_dims(dims: &[i64]) -> Result<Self> {
        let dim = |value: i64| usize::try_from(value).map_err(|_| malformed(format!("a dimension is {value}")));
        match dims {
            [] => Ok(Self::Scalar),
            [n] => Ok(Self::Vector(dim(*n)?)),
            [rows, columns] => Ok(Self::Matrix(dim(*rows)?, dim(*columns)?)),
            _ => Err(unsupported(format!("a value has {} dimensions; the native evaluator knows up to 2", dims.len()))),
        }
    }

    /// Rows and columns; a vector is one row.
    pub fn as_matrix(self) -> (usize, usize) {
        match self {
            Self::Scalar => (1, 1),
            Self::Vector(n) => (1, n),
            Self::Matrix(rows, columns) => (rows, columns),
        }
    }

    pub fn len(self) -> usize {
        let (rows, columns) = self.as_matrix();
        rows.saturating_mul(columns)
    }

    pub fn rank(self) -> usize {
        match self {
            Self::Scalar => 0,
            Self::Vector(_) => 1,
            Self::Matrix(..) => 2,
        }
    }

    /// The shape that both stretch to by NumPy's rule: dimensions are equal or one of them is 1.
    pub fn broadcast(self, other: Self) -> Result<Self> {
        let stretch = |a: usize, b: usize| match (a, b) {
            (a, b) if a == b => Ok(a),
            (1, n) | (n, 1) => Ok(n),
            _ => Err(malformed(format!("shapes {self:?} and {other:?} do not go together"))),
        };
        let ((rows_a, columns_a), (rows_b, columns_b)) = (self.as_matrix(), other.as_matrix());
        let (rows, columns) = (stretch(rows_a, rows_b)?, stretch(columns_a, columns_b)?);
        Ok(match self.rank().max(other.rank()) {
            0 => Self::Scalar,
            1 => Self::Vector(columns),
            _ => Self::Matrix(rows, columns),
        })
    }
}

/// Many texts in one buffer, so that a reused one needs no allocation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Texts {
    buffer: String,
    ends: Vec<usize>,
}

impl Texts {
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.ends.clear();
    }

    pub fn push(&mut self, text: &str) {
        self.buffer.push_str(text);
        self.ends.push(self.buffer.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        self.buffer.get(start..end)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let text = self.buffer.get(start..end).unwrap_or_default();
            start = end;
            text
        })
    }
}

/// How many elements a run may still write: a bound on what a hostile graph can make us allocate or compute.
#[derive(Debug)]
pub(crate) struct Budget(usize);

const MAX_ELEMENTS_PER_ROW: usize = 1 << 22;

impl Budget {
    pub fn for_rows(n_rows: usize) -> Self {
        Self(MAX_ELEMENTS_PER_ROW.saturating_mul(n_rows.max(1)))
    }

    pub fn spend(&mut self, n_elements: usize) -> Result<()> {
        self.0 = self.0.checked_sub(n_elements.max(1)).ok_or_else(|| {
            unsupported(format!(
                "the graph writes more than {MAX_ELEMENTS_PER_ROW} numbers a row, which the native evaluator refuses"
            ))
        })?;
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub element: Element,
    pub shape: Shape,
    pub numbers: Vec<f64>,
    pub texts: Texts,
}

impl Default for Tensor {
    fn default() -> Self {
        Self { element: Element::Float, shape: Shape::Vector(0), numbers: Vec::new(), texts: Texts::default() }
    }
}

impl Tensor {
    /// Makes it numbers of this shape, to be written over; old content may remain.
    pub fn reset(&mut self, element: Element, shape: Shape, budget: &mut Budget) -> Result<&mut [f64]> {
        budget.spend(shape.len())?;
        self.element = element;
        self.shape = shape;
        self.texts.clear();
        self.numbers.resize(shape.len(), 0.0);
        Ok(&mut self.numbers)
    }

    /// Makes it texts of this shape, to be pushed one after the other.
    pub fn reset_texts(&mut self, shape: Shape, budget: &mut Budget) -> Result<&mut Texts> {
        budget.spend(shape.len())?;
        self.element = Element::Text;
        self.shape = shape;
        self.numbers.clear();
        self.texts.clear();
        Ok(&mut self.texts)
    }

    /// Makes it the same values in another shape of as many elements.
    pub fn copy_from(&mut self, source: &Self, shape: Shape, budget: &mut Budget) -> Result<()> {
        if shape.len() != source.shape.len() {
            return Err(malformed(format!("shape {:?} cannot become {shape:?}", source.shape)));
        }
        if source.element == Element::Text {
            let texts = self.reset_texts(shape, budget)?;
            texts.clone_from(&source.texts);
            return Ok(());
        }
        self.reset(source.element, shape, budget)?.copy_from_slice(&source.numbers);
        Ok(())
    }

    /// The numbers row by row, if it holds numbers.
    pub fn matrix(&self) -> Result<(usize, usize, &[f64])> {
        if self.element == Element::Text {
            return Err(malformed("an operator on numbers is given text"));
        }
        let (rows, columns) = self.shape.as_matrix();
        Ok((rows, columns, &self.numbers))
    }

    pub fn from_proto(proto: &TensorProto) -> Result<Self> {
        let name = proto.name.chars().take(80).collect::<String>();
        let element = Element::from_proto(proto.data_type)
            .ok_or_else(|| unsupported(format!("constant `{name}` has element type {}", proto.data_type)))?;
        let shape = Shape::from_dims(&proto.dims)?;
        let mut tensor = Self { element, shape, numbers: Vec::new(), texts: Texts::default() };
        if element == Element::Text {
            for bytes in &proto.string_data {
                tensor.texts.push(
                    std::str::from_utf8(bytes)
                        .map_err(|error| malformed(format!("constant `{name}` is not UTF-8")).cause(error))?,
                );
            }
        } else {
            tensor.numbers = numbers_of(proto)?;
        }
        let n_given = tensor.numbers.len() + tensor.texts.len();
        if n_given != shape.len() {
            return Err(malformed(format!("constant `{name}` has {n_given} values for shape {:?}", proto.dims)));
        }
        Ok(tensor)
    }
}

fn numbers_of(proto: &TensorProto) -> Result<Vec<f64>> {
    if let Some(raw) = &proto.raw_data {
        return raw_numbers(raw, proto.data_type);
    }
    Ok(match proto.data_type {
        data_type::FLOAT => proto.float_data.iter().map(|&value| value.into()).collect(),
        data_type::DOUBLE => proto.double_data.clone(),
        data_type::INT64 => proto.int64_data.iter().map(|&value| exact(value)).collect::<Result<_>>()?,
        _ => proto.int32_data.iter().map(|&value| value.into()).collect(),
    })
}

fn raw_numbers(raw: &[u8], code: i32) -> Result<Vec<f64>> {
    fn each<const N: usize>(raw: &[u8], read: impl Fn([u8; N]) -> Result<f64>) -> Result<Vec<f64>> {
        let (chunks, rest) = raw.as_chunks::<N>();
        if !rest.is_empty() {
            return Err(malformed(format!("{} raw bytes are not a whole number of {N}-byte values", raw.len())));
        }
        chunks.iter().map(|&chunk| read(chunk)).collect()
    }
    match code {
        data_type::FLOAT => each(raw, |bytes| Ok(f32::from_le_bytes(bytes).into())),
        data_type::DOUBLE => each(raw, |bytes| Ok(f64::from_le_bytes(bytes))),
        data_type::INT32 => each(raw, |bytes| Ok(i32::from_le_bytes(bytes).into())),
        data_type::INT64 => each(raw, |bytes| exact(i64::from_le_bytes(bytes))),
        data_type::INT8 => each(raw, |[byte]| Ok(byte.cast_signed().into())),
        data_type::UINT8 | data_type::BOOL => each(raw, |[byte]| Ok(byte.into())),
        _ => Err(malformed("text cannot stand in raw bytes")),
    }
}

/// Integers are held as `f64`, which is exact up to 2^53.
pub(crate) fn exact(value: i64) -> Result<f64> {
    if value.unsigned_abs() > 1 << 53 {
        return Err(unsupported(format!("the integer {value} is beyond 2^53")));
    }
    Ok(value as f64)
}
