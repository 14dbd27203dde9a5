//! Texts to numbers, by the labels of the rows that have them.

use crate::data::TrainingData;

/// A number for each text of a feature: the mean label of its rows, drawn towards the overall mean as if `smoothing` more rows had
/// that (Micci-Barreca 2001, "A preprocessing scheme for high-cardinality categorical attributes", equation 3 with constant weight).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TargetEncoding {
    /// Sorted.
    pub texts: Vec<String>,
    /// Of each of `texts`.
    pub values: Vec<f32>,
    /// For texts that training never saw.
    pub default: f32,
}

impl TargetEncoding {
    /// The numbers of rows whose codes are positions in `texts`, which may be other texts than those of training.
    pub fn column(&self, codes: &[u32], texts: &[String]) -> Vec<f32> {
        let of_text = |text: &String| self.texts.binary_search(text).map_or(self.default, |index| self.values[index]);
        let by_code: Vec<f32> = texts.iter().map(of_text).collect();
        codes.iter().map(|&code| by_code[code as usize]).collect()
    }
}

/// Rows stand in this many interleaved folds while they are encoded for training.
const N_FOLDS: usize = 5;

/// Weighted sum of labels, and of weights.
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    label: f64,
    weight: f64,
}

impl Total {
    fn less(self, other: Self) -> Self {
        Self { label: self.label - other.label, weight: self.weight - other.weight }
    }

    fn mean(self, otherwise: f64) -> f64 {
        if self.weight > 0.0 { self.label / self.weight } else { otherwise }
    }

    fn smoothed(self, prior: f64, smoothing: f64) -> f32 {
        if self.weight + smoothing <= 0.0 {
            return prior as f32;
        }
        ((self.label + smoothing * prior) / (self.weight + smoothing)) as f32
    }
}

/// Encodes a feature of texts. Returns the encoding for rows to come, and the column to train on.
///
/// In the column each row is encoded from the rows of the other folds only: were its own label in the number, the model would
/// read the answer out of it and trust the feature more than it deserves.
pub(crate) fn encode(data: &TrainingData, codes: &[u32], texts: &[String], smoothing: f64) -> (TargetEncoding, Vec<f32>) {
    let n_texts = texts.len();
    let mut by_fold = vec![vec![Total::default(); n_texts]; N_FOLDS];
    let mut fold_totals = [Total::default(); N_FOLDS];
    for (row, &code) in codes.iter().enumerate() {
        let (weight, label) = (data.weight(row), data.labels[row]);
        for total in [&mut by_fold[row % N_FOLDS][code as usize], &mut fold_totals[row % N_FOLDS]] {
            total.label += weight * label;
            total.weight += weight;
        }
    }
    let sum = |totals: &mut dyn Iterator<Item = Total>| {
        totals.fold(Total::default(), |a, b| Total { label: a.label + b.label, weight: a.weight + b.weight })
    };
    let overall = sum(&mut fold_totals.iter().copied());
    let of_text: Vec<Total> = (0..n_texts).map(|code| sum(&mut by_fold.iter().map(|fold| fold[code]))).collect();
    let prior = overall.mean(0.0);
    let values = of_text.iter().map(|total| total.smoothed(prior, smoothing)).collect();

    let column = codes.iter().enumerate().map(|(row, &code)| {
        let fold = row % N_FOLDS;
        let prior_of_others = overall.less(fold_totals[fold]).mean(prior);
        of_text[code as usize].less(by_fold[fold][code as usize]).smoothed(prior_of_others, smoothing)
    });
    let column = column.collect();
    (TargetEncoding { texts: texts.to_vec(), values, default: prior as f32 }, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(n: usize) -> Vec<String> {
        (0..n).map(|index| format!("text{index:02}")).collect()
    }

    fn data(labels: &[f64]) -> TrainingData {
        TrainingData { features: Vec::new(), labels: labels.to_vec(), weights: None }
    }

    #[test]
    fn rare_texts_are_drawn_to_the_overall_mean() {
        let labels = [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0];
        let codes = [0, 0, 0, 0, 1, 1, 1, 1, 1, 2];
        let (encoding, _) = encode(&data(&labels), &codes, &texts(3), 2.0);
        assert_eq!(encoding.default, 0.4);
        assert_eq!(encoding.values, [(2.0 + 0.8) / 6.0, (1.0 + 0.8) / 7.0, (1.0 + 0.8) / 3.0].map(|x: f64| x as f32));
    }

    #[test]
    fn unknown_texts_have_the_overall_mean() {
        let (encoding, _) = encode(&data(&[1.0, 0.0, 1.0, 0.0]), &[0, 0, 1, 1], &texts(2), 1.0);
        let others = ["another".to_owned(), "text01".to_owned()];
        assert_eq!(encoding.column(&[1, 0, 0], &others), [0.5, 0.5, 0.5]);
        assert_eq!(encoding.column(&[1], &others), [encoding.values[1]]);
    }

    #[test]
    fn a_row_does_not_see_its_own_label() {
        let codes: Vec<u32> = (0..50).map(|row| row % 7).collect();
        let mut labels: Vec<f64> = (0..50).map(|row| f64::from(row * 13 % 5 < 2)).collect();
        let (_, before) = encode(&data(&labels), &codes, &texts(7), 5.0);
        labels[23] = 1.0 - labels[23];
        let (_, after) = encode(&data(&labels), &codes, &texts(7), 5.0);
        assert_eq!(before[23], after[23]);
        assert_ne!(before, after);
    }

    #[test]
    fn a_text_of_its_own_for_every_row_says_nothing() {
        let labels: Vec<f64> = (0..20).map(|row| f64::from(row % 2)).collect();
        let codes: Vec<u32> = (0..20).collect();
        let (_, column) = encode(&data(&labels), &codes, &texts(20), 10.0);
        let correlated = column.iter().zip(&labels).filter(|(x, y)| (**x > 0.5) == (**y > 0.5)).count();
        assert!(correlated <= 12, "{correlated} of 20 rows are told their label");
    }
}
