//! Metrics of the order of scores. The limit is the sort: positives and negatives are sorted apart as 64-bit integers, one
//! thread each, and every metric of order is one merge of the two.

use lw_core::Result;

use crate::Metric;

/// An area under the ROC curve with its DeLong variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AucEstimate {
    pub auc: f64,
    /// Not a number if a class has fewer than two rows.
    pub variance: f64,
}

/// The area under the ROC curve by mid-ranks: the Mann–Whitney statistic, ties counting one half.
///
/// # Errors
/// `undefined-metric` unless both classes are there.
pub fn auc(labels: &[f64], predictions: &[f64]) -> Result<f64> {
    Ok(estimate(labels, predictions)?.auc)
}

/// The AUC and its variance from the structural components of DeLong, DeLong and Clarke-Pearson (1988), in the same merge.
pub(crate) fn estimate(labels: &[f64], predictions: &[f64]) -> Result<AucEstimate> {
    let ranked = RankedScores::sort(labels, predictions);
    let (n_positive, n_negative) = (ranked.n_positive(), ranked.n_negative());
    if n_positive == 0 || n_negative == 0 {
        return Err(Metric::Auc.undefined("all rows have the same outcome"));
    }
    // Twice the number of rows of the other class that a row beats, ties counting one half.
    let mut doubled_wins = 0_u128;
    let mut positive_squares = 0.0;
    let mut negative_squares = 0.0;
    let (mut positives_below, mut negatives_below) = (0, 0);
    for group in ranked.groups() {
        let wins = 2 * negatives_below + group.n_negative;
        let losses = 2 * (n_positive - positives_below - group.n_positive) + group.n_positive;
        doubled_wins += u128::from(group.n_positive) * u128::from(wins);
        positive_squares += group.n_positive as f64 * (wins as f64 * wins as f64);
        negative_squares += group.n_negative as f64 * (losses as f64 * losses as f64);
        positives_below += group.n_positive;
        negatives_below += group.n_negative;
    }
    let (m, n) = (n_positive as f64, n_negative as f64);
    let auc = doubled_wins as f64 / (2.0 * m * n);
    let positive_variance = (positive_squares / (4.0 * n * n) - m * auc * auc) / (m - 1.0);
    let negative_variance = (negative_squares / (4.0 * m * m) - n * auc * auc) / (n - 1.0);
    let variance = (positive_variance / m + negative_variance / n).max(0.0);
    Ok(AucEstimate { auc, variance: if n_positive > 1 && n_negative > 1 { variance } else { f64::NAN } })
}

/// Scores of positive and of negative rows, each ascending, as integers in the same order as the numbers.
pub(crate) struct RankedScores {
    positive: Vec<u64>,
    negative: Vec<u64>,
}

/// Rows with the same score.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ties {
    pub n_positive: u64,
    pub n_negative: u64,
}

/// Below this many rows a second thread costs more than it saves.
const N_ROWS_FOR_THREADS: usize = 1 << 17;

impl RankedScores {
    pub fn sort(labels: &[f64], predictions: &[f64]) -> Self {
        let n_positive = labels.iter().filter(|label| **label == 1.0).count();
        let mut positive = Vec::with_capacity(n_positive);
        let mut negative = Vec::with_capacity(labels.len() - n_positive);
        for (label, prediction) in labels.iter().zip(predictions) {
            let key = sort_key(*prediction);
            if *label == 1.0 { positive.push(key) } else { negative.push(key) }
        }
        if labels.len() < N_ROWS_FOR_THREADS {
            positive.sort_unstable();
            negative.sort_unstable();
        } else {
            std::thread::scope(|scope| {
                scope.spawn(|| positive.sort_unstable());
                negative.sort_unstable();
            });
        }
        Self { positive, negative }
    }

    pub fn n_positive(&self) -> u64 {
        self.positive.len() as u64
    }

    pub fn n_negative(&self) -> u64 {
        self.negative.len() as u64
    }

    /// Groups of equal scores, ascending.
    pub fn groups(&self) -> impl Iterator<Item = Ties> + '_ {
        let (mut positive, mut negative) = (self.positive.as_slice(), self.negative.as_slice());
        std::iter::from_fn(move || {
            let key = match (positive.first(), negative.first()) {
                (Some(p), Some(n)) => *p.min(n),
                (Some(key), None) | (None, Some(key)) => *key,
                (None, None) => return None,
            };
            Some(Ties { n_positive: take_equal(&mut positive, key), n_negative: take_equal(&mut negative, key) })
        })
    }
}

fn take_equal(keys: &mut &[u64], key: u64) -> u64 {
    let n_equal = keys.iter().take_while(|other| **other == key).count();
    *keys = &keys[n_equal..];
    n_equal as u64
}

/// An integer that orders like the number; the two zeros are one.
pub(crate) fn sort_key(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_like_the_numbers() {
        let ascending = [-1e300, -2.0, -1e-300, -0.0, 1e-300, 0.5, 1e300];
        assert!(ascending.windows(2).all(|pair| sort_key(pair[0]) < sort_key(pair[1])));
        assert_eq!(sort_key(-0.0), sort_key(0.0));
    }

    #[test]
    fn threads_do_not_change_the_answer() {
        let n_rows = N_ROWS_FOR_THREADS + 3;
        let labels: Vec<f64> = (0..n_rows).map(|i| f64::from(u8::from(i % 3 == 0))).collect();
        let scores: Vec<f64> = (0..n_rows).map(|i| ((i * 7919) % 1000) as f64 + labels[i] * 250.0).collect();
        let (mut wins, mut below) = (0.0, 0.0);
        let mut counts = vec![[0.0; 2]; 1250];
        for (label, score) in labels.iter().zip(&scores) {
            counts[*score as usize][*label as usize] += 1.0;
        }
        for [negative, positive] in &counts {
            wins += positive * (below + negative / 2.0);
            below += negative;
        }
        let n_positive: f64 = labels.iter().sum();
        let want = wins / (n_positive * (n_rows as f64 - n_positive));
        assert!((auc(&labels, &scores).unwrap() - want).abs() < 1e-12);
    }
}
