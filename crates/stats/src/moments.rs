//! Mean, variance and quantiles.

use serde::{Deserialize, Serialize};

/// Count, mean and variance of a stream in one pass (Welford, 1962); partial results merge exactly as Chan et al. (1979) show.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    n_values: u64,
    mean: f64,
    squared_deviations: f64,
}

impl Moments {
    pub fn add(&mut self, value: f64) {
        self.n_values += 1;
        let from_old_mean = value - self.mean;
        self.mean += from_old_mean / self.n_values as f64;
        self.squared_deviations += from_old_mean * (value - self.mean);
    }

    pub fn merge(&mut self, other: &Self) {
        if other.n_values == 0 {
            return;
        }
        let n_values = self.n_values + other.n_values;
        let (n, m) = (self.n_values as f64, other.n_values as f64);
        let distance = other.mean - self.mean;
        self.squared_deviations += other.squared_deviations + distance * distance * n * m / (n + m);
        self.mean += distance * m / (n + m);
        self.n_values = n_values;
    }

    pub fn n_values(&self) -> u64 {
        self.n_values
    }

    /// None without values.
    pub fn mean(&self) -> Option<f64> {
        (self.n_values > 0).then_some(self.mean)
    }

    /// The sample variance (divided by n − 1); none with fewer than two values.
    pub fn variance(&self) -> Option<f64> {
        (self.n_values > 1).then(|| self.squared_deviations / (self.n_values - 1) as f64)
    }
}

impl Extend<f64> for Moments {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.add(value));
    }
}

/// The value below which a share of the values lies, by linear interpolation (type 7 of Hyndman and Fan, 1996; NumPy's default).
/// None without values. Values must not be NaN.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Some(quantile_of_sorted(&sorted, share))
}

/// The same for values that are sorted already and not empty.
pub fn quantile_of_sorted(sorted: &[f64], share: f64) -> f64 {
    let Some(last_index) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let position = share.clamp(0.0, 1.0) * last_index as f64;
    let below = position.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(last_index)]);
    low + (high - low) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        moments.extend(values.iter().copied());
        moments
    }

    proptest! {
        #[test]
        fn merged_parts_equal_the_whole(values in prop::collection::vec(-1e6_f64..1e6, 2..50), split in 0_usize..50) {
            let split = split.min(values.len());
            let mut merged = of(&values[..split]);
            merged.merge(&of(&values[split..]));
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64;
            prop_assert!((merged.mean().unwrap() - mean).abs() < 1e-6);
            prop_assert!((merged.variance().unwrap() - variance).abs() <= 1e-9 * (1.0 + variance));
            prop_assert_eq!(merged.n_values(), values.len() as u64);
        }
    }

    #[test]
    fn nothing_has_no_moments() {
        assert_eq!((of(&[]).mean(), of(&[1.0]).variance(), quantile(&[], 0.5)), (None, None, None));
        assert_eq!(quantile(&[3.0, 1.0, 2.0, 4.0], 0.5), Some(2.5));
    }
}
