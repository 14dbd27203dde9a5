//! The columns of a linear model: scaled numbers, and texts as a column each or by their mean label.

use lw_core::Result;
use lw_onnx::Value;

use super::export::Export;
use super::newton::Curvature;
use crate::data::{TrainingData, Values};
use crate::encoding::{TargetEncoding, encode};

/// What is learnt about the columns before the model is fitted.
pub(super) struct Design {
    scaled: Vec<Scaled>,
    one_hot: Vec<OneHot>,
    n_features: usize,
}

/// A column of numbers: missing ones become the mean, then `(x - offset) * scale`. All three are 32-bit numbers because that is what
/// ONNX holds; with finer ones here the exported model would differ from this one.
struct Scaled {
    feature: usize,
    encoding: Option<TargetEncoding>,
    offset: f32,
    scale: f32,
}

/// A feature of few texts: a coefficient for each.
struct OneHot {
    feature: usize,
    n_texts: usize,
}

/// The numbers of the rows under a design: scaled columns row by row, and for each feature of few texts its codes.
pub(super) struct Matrix<'a> {
    pub scaled: Vec<f64>,
    pub n_scaled: usize,
    pub codes: Vec<&'a [u32]>,
    /// Where the coefficients of each of `codes` begin.
    pub starts: Vec<usize>,
    pub n_columns: usize,
}

impl Matrix<'_> {
    /// Σ coefficient × value of a row.
    pub fn product(&self, row: usize, coefficients: &[f64]) -> f64 {
        let numbers = &self.scaled[row * self.n_scaled..(row + 1) * self.n_scaled];
        let sum: f64 = numbers.iter().zip(coefficients).map(|(x, w)| x * w).sum();
        sum + self.codes.iter().zip(&self.starts).map(|(codes, start)| coefficients[start + codes[row] as usize]).sum::<f64>()
    }

    /// Adds `amount` × the squares of the row's values.
    pub fn add_squares(&self, row: usize, amount: f64, to: &mut [f64]) {
        let numbers = &self.scaled[row * self.n_scaled..(row + 1) * self.n_scaled];
        to.iter_mut().zip(numbers).for_each(|(to, x)| *to += amount * x * x);
        for (codes, start) in self.codes.iter().zip(&self.starts) {
            to[start + codes[row] as usize] += amount;
        }
    }

    /// Adds `amount` × each product of two of the row's values; behind the columns stands a value that is always 1.
    pub fn add_products(&self, row: usize, amount: f64, to: &mut Curvature) {
        let numbers = &self.scaled[row * self.n_scaled..(row + 1) * self.n_scaled];
        let add = |to: &mut [f64], amount: f64| to.iter_mut().zip(numbers).for_each(|(to, x)| *to += amount * x);
        for (index, x) in numbers.iter().enumerate() {
            add(to.row(index), amount * x);
        }
        // Texts of a feature and the intercept are columns of 0 and 1, behind the numbers.
        let place = |feature: usize| self.starts[feature] + self.codes[feature][row] as usize;
        for feature in 0..=self.codes.len() {
            let index = if feature == self.codes.len() { self.n_columns } else { place(feature) };
            let to = to.row(index);
            add(to, amount);
            (0..feature).for_each(|earlier| to[place(earlier)] += amount);
            to[index] += amount;
        }
    }

    /// Adds `amount` × the row's values.
    pub fn add_row(&self, row: usize, amount: f64, to: &mut [f64]) {
        let numbers = &self.scaled[row * self.n_scaled..(row + 1) * self.n_scaled];
        to.iter_mut().zip(numbers).for_each(|(to, x)| *to += amount * x);
        for (codes, start) in self.codes.iter().zip(&self.starts) {
            to[start + codes[row] as usize] += amount;
        }
    }
}

impl Design {
    /// Learns the design from the rows and returns it with the columns to train on.
    pub fn learn(data: &TrainingData, max_categories: usize, smoothing: f64) -> (Self, Vec<Vec<f32>>) {
        let mut design = Self { scaled: Vec::new(), one_hot: Vec::new(), n_features: data.features.len() };
        let mut columns = Vec::new();
        for (feature, content) in data.features.iter().enumerate() {
            let (encoding, column) = match &content.values {
                Values::Numbers(numbers) => (None, numbers.clone()),
                Values::Texts { texts, .. } if texts.len() <= max_categories => {
                    design.one_hot.push(OneHot { feature, n_texts: texts.len() });
                    continue;
                }
                Values::Texts { codes, texts } => {
                    let (encoding, column) = encode(data, codes, texts, smoothing);
                    (Some(encoding), column)
                }
            };
            let (offset, scale) = mean_and_scale(&column);
            design.scaled.push(Scaled { feature, encoding, offset, scale });
            columns.push(column);
        }
        (design, columns)
    }

    /// The columns of the rows as the model will see them when it serves.
    pub fn columns(&self, data: &TrainingData) -> Vec<Vec<f32>> {
        let column = |scaled: &Scaled| match (&data.features[scaled.feature].values, &scaled.encoding) {
            (Values::Texts { codes, texts }, Some(encoding)) => encoding.column(codes, texts),
            (Values::Numbers(numbers), _) => numbers.clone(),
            (Values::Texts { codes, .. }, None) => vec![f32::NAN; codes.len()],
        };
        self.scaled.iter().map(column).collect()
    }

    pub fn matrix<'a>(&self, data: &'a TrainingData, columns: &[Vec<f32>]) -> Matrix<'a> {
        let (n_rows, n_scaled) = (data.n_rows(), self.scaled.len());
        let mut scaled = vec![0.0; n_rows * n_scaled];
        for (index, (column, how)) in columns.iter().zip(&self.scaled).enumerate() {
            for (row, &x) in column.iter().enumerate() {
                let filled = if x.is_nan() { how.offset } else { x };
                scaled[row * n_scaled + index] = (f64::from(filled) - f64::from(how.offset)) * f64::from(how.scale);
            }
        }
        let mut matrix = Matrix { scaled, n_scaled, codes: Vec::new(), starts: Vec::new(), n_columns: n_scaled };
        for one_hot in &self.one_hot {
            if let Values::Texts { codes, .. } = &data.features[one_hot.feature].values {
                matrix.codes.push(codes);
                matrix.starts.push(matrix.n_columns);
                matrix.n_columns += one_hot.n_texts;
            }
        }
        matrix
    }

    /// The same columns as operators of a graph, side by side.
    pub fn export(&self, export: &mut Export, data: &TrainingData) -> Result<Value> {
        let mut parts = Vec::new();
        if !self.scaled.is_empty() {
            let columns: Vec<Value> = self.scaled.iter().map(|scaled| scaled.export(export)).collect();
            let joined = export.graph.concat(&columns.iter().collect::<Vec<_>>());
            let offsets: Vec<f32> = self.scaled.iter().map(|scaled| scaled.offset).collect();
            let scales: Vec<f32> = self.scaled.iter().map(|scaled| scaled.scale).collect();
            let filled = export.graph.impute(&joined, &offsets);
            parts.push(export.graph.scale(&filled, &offsets, &scales));
        }
        for one_hot in &self.one_hot {
            if let Values::Texts { texts, .. } = &data.features[one_hot.feature].values {
                let input = export.inputs[one_hot.feature].clone();
                parts.push(export.graph.one_hot(&input, texts));
            }
        }
        Ok(export.graph.concat(&parts.iter().collect::<Vec<_>>()))
    }

    /// The part that each feature has in the scores: Σ |coefficient| × spread of its column.
    pub fn weights_by_feature(&self, matrix: &Matrix<'_>, coefficients: &[f64]) -> Vec<f64> {
        let mut weights = vec![0.0; self.n_features];
        for (scaled, coefficient) in self.scaled.iter().zip(coefficients) {
            weights[scaled.feature] += coefficient.abs();
        }
        for ((one_hot, codes), start) in self.one_hot.iter().zip(&matrix.codes).zip(&matrix.starts) {
            weights[one_hot.feature] += standard_deviation(codes.iter().map(|&code| coefficients[start + code as usize]));
        }
        weights
    }
}

impl Scaled {
    fn export(&self, export: &mut Export) -> Value {
        match &self.encoding {
            Some(encoding) => export.encode(self.feature, encoding),
            None => export.inputs[self.feature].clone(),
        }
    }
}

/// The mean and 1 / standard deviation of the numbers that are there. Columns of one number only are left unscaled, as zeros.
fn mean_and_scale(column: &[f32]) -> (f32, f32) {
    let present = || column.iter().filter(|x| x.is_finite()).map(|&x| f64::from(x));
    let n = present().count().max(1) as f64;
    let mean = present().sum::<f64>() / n;
    let deviation = standard_deviation(present());
    let scale = (1.0 / deviation) as f32;
    (mean as f32, if scale.is_finite() && deviation > 0.0 { scale } else { 1.0 })
}

fn standard_deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    (values.map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt()
}
