//! Two samples of counts: are they draws from one distribution? And how to ask that of many columns at once.

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Pearson's χ² of a contingency table of two rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    pub statistic: f64,
    pub degrees_of_freedom: u32,
    pub p_value: f64,
}

/// The two-sample χ² test without continuity correction: both rows are samples, neither is taken for the truth.
///
/// Cells that are empty in both samples are left out. With fewer than two cells, or an empty sample, nothing can differ
/// and the p-value is 1.
pub fn two_sample_chi_square(first: &[u64], second: &[u64]) -> ChiSquare {
    let (n_first, n_second) = (first.iter().sum::<u64>() as f64, second.iter().sum::<u64>() as f64);
    let cells = first.iter().zip(second).filter(|(a, b)| **a + **b > 0);
    let (mut statistic, mut n_cells) = (0.0, 0_u32);
    for (a, b) in cells {
        let share = (a + b) as f64 / (n_first + n_second);
        let (expected_first, expected_second) = (n_first * share, n_second * share);
        statistic += (*a as f64 - expected_first).powi(2) / expected_first.max(f64::MIN_POSITIVE)
            + (*b as f64 - expected_second).powi(2) / expected_second.max(f64::MIN_POSITIVE);
        n_cells += 1;
    }
    let degrees_of_freedom = n_cells.saturating_sub(1);
    if degrees_of_freedom == 0 || n_first == 0.0 || n_second == 0.0 {
        return ChiSquare { statistic: 0.0, degrees_of_freedom, p_value: 1.0 };
    }
    ChiSquare { statistic, degrees_of_freedom, p_value: chi_square_tail(statistic, degrees_of_freedom) }
}

/// The probability of a χ² at least this large.
pub(crate) fn chi_square_tail(statistic: f64, degrees_of_freedom: u32) -> f64 {
    ChiSquared::new(f64::from(degrees_of_freedom)).map_or(1.0, |distribution| distribution.sf(statistic))
}

/// The χ² that is exceeded with this probability.
pub(crate) fn chi_square_exceeded_by(probability: f64, degrees_of_freedom: u32) -> f64 {
    ChiSquared::new(f64::from(degrees_of_freedom)).map_or(0.0, |distribution| distribution.inverse_cdf(1.0 - probability))
}

/// The largest p-value that counts as a discovery among these when at most a share `rate` of discoveries may be false
/// (Benjamini and Hochberg, 1995). Where nothing is discovered: the p-value that the smallest one had to reach.
pub fn benjamini_hochberg_cutoff(p_values: &[f64], rate: f64) -> f64 {
    let mut sorted = p_values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let allowed = |n_found: usize| rate * n_found as f64 / p_values.len().max(1) as f64;
    let n_found = (1..=sorted.len()).rev().find(|n_found| sorted[n_found - 1] <= allowed(*n_found));
    allowed(n_found.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_cannot_differ_do_not() {
        assert_eq!(two_sample_chi_square(&[5, 0], &[9, 0]).p_value, 1.0);
        assert_eq!(two_sample_chi_square(&[5, 1], &[0, 0]).p_value, 1.0);
        assert_eq!(two_sample_chi_square(&[], &[]).p_value, 1.0);
    }

    #[test]
    fn quantile_and_tail_are_inverse() {
        for (probability, degrees_of_freedom) in [(0.05, 1), (0.01, 9), (0.001, 49), (1e-6, 200)] {
            let statistic = chi_square_exceeded_by(probability, degrees_of_freedom);
            let tail = chi_square_tail(statistic, degrees_of_freedom);
            assert!((tail / probability - 1.0).abs() < 1e-4, "{probability} {degrees_of_freedom}: {tail}");
        }
    }

    #[test]
    fn more_discoveries_allow_larger_p_values() {
        let cutoff = |p_values: &[f64]| benjamini_hochberg_cutoff(p_values, 0.05);
        assert_eq!(cutoff(&[0.04]), 0.05);
        assert_eq!(cutoff(&[0.9, 0.6]), 0.025);
        assert_eq!(cutoff(&[0.001, 0.011, 0.9, 0.8]), 0.025);
        assert_eq!(cutoff(&[]), 0.0 + 0.05);
    }
}
