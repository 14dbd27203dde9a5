//! Rows to train on, as trainers see them: numbers rounded to 32 bits, texts as codes of a dictionary.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Float64Type};
use lw_core::{DataType, Field, Result, Schema};
use lw_stats::Task;

use crate::failures::TRAINING_DATA;

/// Where the parts of training stand among the columns of the rows.
#[derive(Debug, Clone, Copy)]
pub struct DataColumns<'a> {
    /// The model's inputs, in their order.
    pub inputs: &'a [String],
    pub label: &'a str,
    /// How much each row counts; every row alike if there is none.
    pub weight: Option<&'a str>,
}

/// Rows in the order of their time, oldest first: a part of them that validates is always the newest.
///
/// Numbers are rounded to 32 bits because that is what an ONNX model is given: trained on anything finer, a tree's threshold
/// could fall between a value and its rounded self, and the exported model would answer differently.
#[derive(Debug, Clone)]
pub struct TrainingData {
    pub(crate) features: Vec<Feature>,
    pub(crate) labels: Vec<f64>,
    pub(crate) weights: Option<Vec<f64>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Feature {
    pub field: Field,
    pub values: Values,
}

#[derive(Debug, Clone)]
pub(crate) enum Values {
    /// NaN where missing.
    Numbers(Vec<f32>),
    /// Positions in `texts`, which are sorted. A missing text is the empty text.
    Texts { codes: Vec<u32>, texts: Vec<String> },
}

impl TrainingData {
    /// Takes the columns out of `batches`, which need not have them in this order or nothing else.
    ///
    /// # Errors
    /// `training-data` if a column is missing or of a type that no trainer takes, a label is missing, or there are no rows.
    pub fn from_batches(batches: &[RecordBatch], columns: DataColumns<'_>, task: Task) -> Result<Self> {
        if columns.inputs.is_empty() {
            return Err(TRAINING_DATA.error("the model has no inputs").hint("name at least one of the features under `inputs`"));
        }
        let mut features = Vec::with_capacity(columns.inputs.len());
        for name in columns.inputs {
            features.push(Feature::from_batches(batches, name)?);
        }
        let labels = numbers(&arrays(batches, columns.label)?, columns.label)?;
        let weights = match columns.weight {
            Some(name) => Some(numbers(&arrays(batches, name)?, name)?),
            None => None,
        };
        let data = Self { features, labels, weights };
        data.check_labels(columns.label, task)?;
        data.check_weights()?;
        Ok(data)
    }

    pub fn n_rows(&self) -> usize {
        self.labels.len()
    }

    pub fn labels(&self) -> &[f64] {
        &self.labels
    }

    /// The names and types of the inputs.
    pub fn inputs(&self) -> Schema {
        Schema(self.features.iter().map(|feature| feature.field.clone()).collect())
    }

    /// The rows before `row`, and the rows from it on.
    pub fn split_at(&self, row: usize) -> (Self, Self) {
        let row = row.min(self.n_rows());
        (self.slice(0..row), self.slice(row..self.n_rows()))
    }

    pub(crate) fn slice(&self, rows: Range<usize>) -> Self {
        let features = self.features.iter().map(|feature| Feature {
            field: feature.field.clone(),
            values: match &feature.values {
                Values::Numbers(numbers) => Values::Numbers(numbers[rows.clone()].to_vec()),
                Values::Texts { codes, texts } => Values::Texts { codes: codes[rows.clone()].to_vec(), texts: texts.clone() },
            },
        });
        Self {
            features: features.collect(),
            labels: self.labels[rows.clone()].to_vec(),
            weights: self.weights.as_ref().map(|weights| weights[rows.clone()].to_vec()),
        }
    }

    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[row])
    }

    /// The weighted mean of the labels.
    pub(crate) fn mean_label(&self) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (row, label) in self.labels.iter().enumerate() {
            sum += self.weight(row) * label;
            total += self.weight(row);
        }
        sum / total
    }

    /// # Errors
    /// `training-data` if all labels of a classification are of one class.
    pub(crate) fn expect_both_classes(&self) -> Result<()> {
        let n_positive = self.labels.iter().filter(|label| **label == 1.0).count();
        if n_positive > 0 && n_positive < self.n_rows() {
            return Ok(());
        }
        let only = if n_positive == 0 { "negative" } else { "positive" };
        let error = TRAINING_DATA.error(format!("all {} labels are {only}", self.n_rows()));
        Err(error.hint("train on a longer `window`, or check the model's `label` expression"))
    }

    fn check_labels(&self, name: &str, task: Task) -> Result<()> {
        if self.labels.is_empty() {
            let error = TRAINING_DATA.error("there are no rows to train on");
            return Err(error.hint("check that the window holds examples whose labels are known"));
        }
        if let Some(row) = self.labels.iter().position(|label| !label.is_finite()) {
            let error = TRAINING_DATA.error(format!("label `{name}` is missing or infinite in row {row}"));
            return Err(error.hint("train only on rows whose label is known"));
        }
        let is_class = |label: &f64| *label == 0.0 || *label == 1.0;
        match (task, self.labels.iter().find(|label| !is_class(label))) {
            (Task::BinaryClassification, Some(label)) => {
                let error = TRAINING_DATA
                    .error(format!("label `{name}` is {label}, but a binary classification has 0 and 1, or false and true"));
                Err(error.hint("write a condition as the label, like `arr_delay > 15`, or `task: regression`"))
            }
            _ => Ok(()),
        }
    }

    fn check_weights(&self) -> Result<()> {
        let weights = self.weights.iter().flatten();
        let is_bad = |weight: &f64| !weight.is_finite() || *weight < 0.0;
        if weights.clone().any(is_bad) || (self.weights.is_some() && weights.sum::<f64>() <= 0.0) {
            let error = TRAINING_DATA.error("a weight is missing, negative or infinite, or all are zero");
            return Err(error.hint("give every row a weight of zero or more"));
        }
        Ok(())
    }
}

impl Feature {
    fn from_batches(batches: &[RecordBatch], name: &str) -> Result<Self> {
        let arrays = arrays(batches, name)?;
        let data_type = lw_type(arrays.first().map(|array| array.data_type()), name)?;
        let values = match data_type {
            DataType::String => texts(&arrays, name)?,
            _ => Values::Numbers(numbers(&arrays, name)?.into_iter().map(|number| number as f32).collect()),
        };
        if let Values::Numbers(numbers) = &values
            && let Some(row) = numbers.iter().position(|number| number.is_infinite())
        {
            let error = TRAINING_DATA.error(format!("feature `{name}` is infinite, or beyond what 32 bits hold, in row {row}"));
            return Err(error.hint("bound or scale it in the model's `expressions`, or make it null"));
        }
        let nullable = arrays.iter().any(|array| array.null_count() > 0)
            || batches.iter().any(|batch| batch.schema().field_with_name(name).is_ok_and(|field| field.is_nullable()));
        Ok(Self { field: Field { name: name.to_owned(), data_type, nullable }, values })
    }

    pub fn name(&self) -> &str {
        &self.field.name
    }
}

fn arrays(batches: &[RecordBatch], name: &str) -> Result<Vec<ArrayRef>> {
    let find = |batch: &RecordBatch| {
        batch.column_by_name(name).cloned().ok_or_else(|| {
            let schema = batch.schema();
            let error = TRAINING_DATA.error(format!("the training set has no column `{name}`"));
            match lw_core::nearest(name, schema.fields().iter().map(|field| field.name().as_str())) {
                Some(similar) => error.hint(format!("did you mean `{similar}`?")),
                None => error.hint("name a column of the training set"),
            }
        })
    };
    batches.iter().map(find).collect()
}

/// The type of a feature, as users write it.
fn lw_type(arrow_type: Option<&ArrowType>, name: &str) -> Result<DataType> {
    Ok(match arrow_type {
        Some(ArrowType::Boolean) => DataType::Boolean,
        Some(ArrowType::Int8 | ArrowType::Int16 | ArrowType::Int32 | ArrowType::UInt8 | ArrowType::UInt16) => DataType::Int32,
        Some(ArrowType::Int64 | ArrowType::UInt32 | ArrowType::UInt64) => DataType::Int64,
        Some(ArrowType::Float16 | ArrowType::Float32) => DataType::Float32,
        None | Some(ArrowType::Float64 | ArrowType::Null) => DataType::Float64,
        Some(ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View) => DataType::String,
        Some(ArrowType::Dictionary(_, values)) => lw_type(Some(values.as_ref()), name)?,
        Some(other) => {
            let error = TRAINING_DATA.error(format!("feature `{name}` has type {other}, which no trainer takes"));
            return Err(error.hint("derive a number or a text from it, like `date_part('hour', scheduled_at)`"));
        }
    })
}

fn cast_all(arrays: &[ArrayRef], to: &ArrowType, name: &str) -> Result<Vec<ArrayRef>> {
    let one = |array: &ArrayRef| {
        cast(array, to).map_err(|error| {
            let error_text = format!("column `{name}` of type {} cannot be read as {to}", array.data_type());
            TRAINING_DATA.error(error_text).hint("give the column a numeric, boolean or text type").cause(error)
        })
    };
    arrays.iter().map(one).collect()
}

/// The numbers of a column; NaN where missing.
fn numbers(arrays: &[ArrayRef], name: &str) -> Result<Vec<f64>> {
    let arrays = cast_all(arrays, &ArrowType::Float64, name)?;
    let mut numbers = Vec::with_capacity(arrays.iter().map(|array| array.len()).sum());
    for array in &arrays {
        numbers.extend(array.as_primitive::<Float64Type>().iter().map(|number| number.unwrap_or(f64::NAN)));
    }
    Ok(numbers)
}

fn texts(arrays: &[ArrayRef], name: &str) -> Result<Values> {
    let arrays = cast_all(arrays, &ArrowType::Utf8, name)?;
    let all = || arrays.iter().flat_map(|array| array.as_string::<i32>().iter().map(|text| text.unwrap_or_default()));
    let mut code_of: BTreeMap<&str, u32> = all().map(|text| (text, 0)).collect();
    for (code, value) in code_of.values_mut().enumerate() {
        *value = u32::try_from(code).map_err(|_| TRAINING_DATA.error(format!("feature `{name}` has more than 2^32 texts")))?;
    }
    let codes = all().map(|text| code_of[text]).collect();
    Ok(Values::Texts { codes, texts: code_of.keys().map(|text| (*text).to_owned()).collect() })
}
