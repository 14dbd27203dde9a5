//! Categories to numbers.

use std::collections::HashMap;

use lw_core::Result;

use super::{Inputs, Operator, Work};
use crate::attribute::Attributes;
use crate::failures::{malformed, unsupported};
use crate::message::NodeProto;
use crate::tensor::{Element, Shape, Tensor, Texts, exact};

/// Finds the position of a category.
enum Keys {
    Texts(HashMap<Box<str>, usize>),
    /// By the bits of the number, so that NaN finds NaN.
    Numbers(Element, HashMap<u64, usize>),
}

impl Keys {
    fn of_texts<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        let mut map = HashMap::new();
        for (index, key) in keys.into_iter().enumerate() {
            map.entry(key.into()).or_insert(index);
        }
        Self::Texts(map)
    }

    fn of_numbers(element: Element, keys: impl IntoIterator<Item = f64>) -> Self {
        let mut map = HashMap::new();
        for (index, key) in keys.into_iter().enumerate() {
            map.entry(bits(key)).or_insert(index);
        }
        Self::Numbers(element, map)
    }

    fn len(&self) -> usize {
        match self {
            Self::Texts(map) => map.len(),
            Self::Numbers(_, map) => map.len(),
        }
    }

    /// Calls `found` with the position of each value of `input`, `None` for an unknown one.
    fn look_up(&self, input: &Tensor, mut found: impl FnMut(Option<usize>)) -> Result<()> {
        match self {
            Self::Texts(map) if input.element == Element::Text => {
                input.texts.iter().for_each(|text| found(map.get(text).copied()))
            }
            Self::Numbers(element, map) if input.element != Element::Text => {
                input.numbers.iter().for_each(|&number| found(map.get(&bits(element.quantise(number))).copied()));
            }
            _ => return Err(malformed("an encoder of text is given numbers, or the other way round")),
        }
        Ok(())
    }
}

fn bits(number: f64) -> u64 {
    if number.is_nan() {
        return f64::NAN.to_bits();
    }
    (number + 0.0).to_bits()
}

/// Replaces each known category by its value and each unknown one by the default.
pub(super) struct LabelEncoder {
    keys: Keys,
    element: Element,
    numbers: Vec<f64>,
    texts: Texts,
    default_index: usize,
}

impl LabelEncoder {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        let known = [
            "keys_strings",
            "keys_int64s",
            "keys_floats",
            "values_strings",
            "values_int64s",
            "values_floats",
            "default_string",
            "default_int64",
            "default_float",
        ];
        let attributes = Attributes::read(node, &known)?;
        let (text_keys, int_keys, float_keys) =
            (attributes.texts("keys_strings")?, attributes.ints("keys_int64s"), attributes.floats("keys_floats"));
        let n_keys = text_keys.len() + int_keys.len() + float_keys.len();
        let keys = if !text_keys.is_empty() {
            Keys::of_texts(text_keys)
        } else if !int_keys.is_empty() {
            Keys::of_numbers(Element::Int64, int_keys.iter().map(|&key| exact(key)).collect::<Result<Vec<_>>>()?)
        } else {
            Keys::of_numbers(Element::Float, float_keys.iter().map(|&key| key.into()))
        };
        let mut encoder =
            Self { keys, element: Element::Float, numbers: Vec::new(), texts: Texts::default(), default_index: n_keys };
        let n_values = encoder.read_values(attributes)?;
        if n_values != n_keys + 1 || n_keys == 0 {
            return Err(malformed(format!("a LabelEncoder has {n_keys} keys and {} values", n_values - 1)));
        }
        Ok(encoder)
    }

    /// Reads the values and, after them, the default; returns how many.
    fn read_values(&mut self, attributes: Attributes<'_>) -> Result<usize> {
        let (texts, ints) = (attributes.texts("values_strings")?, attributes.ints("values_int64s"));
        if !texts.is_empty() {
            self.element = Element::Text;
            texts.iter().for_each(|text| self.texts.push(text));
            self.texts.push(attributes.text("default_string", "_Unused")?);
            return Ok(self.texts.len());
        }
        if !ints.is_empty() {
            self.element = Element::Int64;
            let with_default = ints.iter().copied().chain([attributes.int("default_int64", -1)]);
            self.numbers = with_default.map(exact).collect::<Result<_>>()?;
            return Ok(self.numbers.len());
        }
        let with_default = attributes.floats("values_floats").iter().copied().chain([attributes.float("default_float", -0.0)]);
        self.numbers = with_default.map(f64::from).collect();
        Ok(self.numbers.len())
    }
}

impl Operator for LabelEncoder {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        if self.element == Element::Text {
            let texts = outputs[0].reset_texts(input.shape, &mut work.budget)?;
            return self.keys.look_up(input, |found| {
                texts.push(self.texts.get(found.unwrap_or(self.default_index)).unwrap_or_default());
            });
        }
        let mut numbers = outputs[0].reset(self.element, input.shape, &mut work.budget)?.iter_mut();
        self.keys.look_up(input, |found| {
            if let Some(to) = numbers.next() {
                *to = self.numbers[found.unwrap_or(self.default_index)];
            }
        })
    }
}

/// A column of 0 and 1 for each category. An unknown category gives zeros only.
pub(super) struct OneHotEncoder(Keys);

impl OneHotEncoder {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        let attributes = Attributes::read(node, &["cats_int64s", "cats_strings", "zeros"])?;
        let (texts, ints) = (attributes.texts("cats_strings")?, attributes.ints("cats_int64s"));
        let n_given = texts.len() + ints.len();
        let keys = if ints.is_empty() {
            Keys::of_texts(texts)
        } else {
            Keys::of_numbers(Element::Int64, ints.iter().map(|&key| exact(key)).collect::<Result<Vec<_>>>()?)
        };
        if keys.len() != n_given || n_given == 0 {
            return Err(malformed("a OneHotEncoder has no categories, or the same one twice"));
        }
        if attributes.int("zeros", 1) == 0 {
            return Err(unsupported("a OneHotEncoder that fails for unknown categories"));
        }
        Ok(Self(keys))
    }
}

impl Operator for OneHotEncoder {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        let n_categories = self.0.len();
        let shape = match input.shape {
            Shape::Scalar | Shape::Vector(_) => Shape::Matrix(input.shape.len(), n_categories),
            Shape::Matrix(rows, columns) => Shape::Matrix(rows, columns.saturating_mul(n_categories)),
        };
        let output = outputs[0].reset(Element::Float, shape, &mut work.budget)?;
        output.fill(0.0);
        let mut cells = output.chunks_exact_mut(n_categories);
        self.0.look_up(input, |found| {
            if let (Some(cell), Some(index)) = (cells.next(), found) {
                cell[index] = 1.0;
            }
        })
    }
}
