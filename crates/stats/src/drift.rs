//! How far the distribution of a window is from the reference, and how far it had to be by chance alone.
//!
//! Both sides are samples. A distance between two samples of one distribution is not zero: it grows with the number of cells
//! and shrinks with the number of rows. A fixed threshold therefore cries wolf on small windows and wide columns. Here every
//! distance comes with its null distribution, and a threshold is the larger of the effect that matters and the noise.

use lw_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contingency::{chi_square_exceeded_by, chi_square_tail, two_sample_chi_square};
use crate::ranking::sort_key;
use crate::{Bins, Counts, ReferenceHistogram};

/// The probability of an alarm in one window when nothing has changed.
pub const FALSE_ALARM_RATE: f64 = 0.01;

/// A distance between two distributions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftMethod {
    /// Population stability index, Σ (p − q)·ln(p/q), over ten groups of equal reference mass or the categories.
    Psi,
    /// Kolmogorov–Smirnov: the largest gap between the distribution functions. For categories, which have no order, the
    /// largest gap over all sets of them (the total variation distance).
    Ks,
    /// Jensen–Shannon distance with base 2, between 0 and 1, over the same groups as `psi`.
    Js,
}

impl DriftMethod {
    pub fn name(self) -> &'static str {
        match self {
            Self::Psi => "psi",
            Self::Ks => "ks",
            Self::Js => "js",
        }
    }

    /// The effect that is commonly held to matter.
    pub fn default_threshold(self) -> f64 {
        match self {
            Self::Psi => 0.2,
            Self::Ks | Self::Js => 0.1,
        }
    }
}

impl std::fmt::Display for DriftMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A measured distance with what is needed to tell it from noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    pub method: DriftMethod,
    pub value: f64,
    /// How probable so large a distance is if both samples come from one distribution.
    pub p_value: f64,
    /// Cells compared, after rare ones were pooled.
    pub n_cells: u32,
    pub n_reference: u64,
    pub n_window: u64,
    null: Null,
}

/// The distribution of the distance between two samples of one distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Null {
    ChiSquare,
    Kolmogorov,
}

impl Drift {
    /// Compares the counts of a window with the reference. A window without rows is at distance 0.
    ///
    /// # Errors
    /// `histogram-mismatch` if the window was counted in other bins.
    pub fn measure(method: DriftMethod, reference: &ReferenceHistogram, window: &Counts) -> Result<Self> {
        reference.check(window)?;
        let (n_reference, n_window) = (reference.counts.n_values(), window.n_values());
        let pairs: Vec<[u64; 2]> = reference.counts.cells().iter().zip(window.cells()).map(|(a, b)| [*a, *b]).collect();
        let is_numeric = matches!(reference.bins, Bins::Numeric { .. });
        let drift = |value, p_value, n_cells: usize, null| Self {
            method,
            value,
            p_value,
            n_cells: n_cells as u32,
            n_reference,
            n_window,
            null,
        };
        if n_reference == 0 || n_window == 0 {
            return Ok(drift(0.0, 1.0, 0, Null::ChiSquare));
        }
        if method == DriftMethod::Ks && is_numeric {
            let distance = largest_gap(&pairs);
            let p_value = kolmogorov_tail(distance / noise_scale(n_reference, n_window).sqrt());
            return Ok(drift(distance, p_value, pairs.len(), Null::Kolmogorov));
        }
        let cells = match (&reference.bins, pairs.as_slice()) {
            (Bins::Categorical { largest_left_out, .. }, [known @ .., other]) => {
                pool_rare(known.to_vec(), *other, *largest_left_out)
            }
            _ => pool_rare(group(&pairs), [0, 0], 0),
        };
        let (first, second): (Vec<u64>, Vec<u64>) = cells.iter().map(|[a, b]| (*a, *b)).unzip();
        let value = match method {
            DriftMethod::Psi => population_stability(&shares(&first), &shares(&second)),
            DriftMethod::Js => jensen_shannon(&shares(&first), &shares(&second)),
            DriftMethod::Ks => total_variation(&first, &second),
        };
        let degrees_of_freedom = (cells.len() as u32).saturating_sub(1);
        let p_value = match method {
            _ if degrees_of_freedom == 0 => 1.0,
            DriftMethod::Ks => two_sample_chi_square(&first, &second).p_value,
            _ => chi_square_tail(method.chi_square_of_distance(value) / noise_scale(n_reference, n_window), degrees_of_freedom),
        };
        Ok(drift(value, p_value, cells.len(), Null::ChiSquare))
    }

    /// The distance that two samples of one distribution exceed with this probability, at these numbers of rows and cells.
    pub fn noise(&self, false_alarm_rate: f64) -> f64 {
        if self.n_reference == 0 || self.n_window == 0 {
            return 0.0;
        }
        let scale = noise_scale(self.n_reference, self.n_window);
        match self.null {
            Null::Kolmogorov => kolmogorov_exceeded_by(false_alarm_rate) * scale.sqrt(),
            Null::ChiSquare if self.n_cells < 2 => 0.0,
            Null::ChiSquare => {
                let chi_square = chi_square_exceeded_by(false_alarm_rate, self.n_cells - 1);
                self.method.distance_of_chi_square(chi_square * scale)
            }
        }
    }

    /// Where drift begins: the effect that matters in practice, or the noise if that is larger.
    pub fn threshold(&self, practical_effect: f64, false_alarm_rate: f64) -> f64 {
        self.noise(false_alarm_rate).max(practical_effect)
    }
}

/// Near equality, PSI and the squared JS distance are multiples of Pearson's χ² times `1/n + 1/m` (Yurdakul, 2018; Lin, 1991),
/// and half the square root of it bounds the total variation (Cauchy and Schwarz).
impl DriftMethod {
    fn chi_square_of_distance(self, distance: f64) -> f64 {
        match self {
            Self::Psi => distance,
            Self::Js => distance * distance * 8.0 * std::f64::consts::LN_2,
            Self::Ks => 4.0 * distance * distance,
        }
    }

    fn distance_of_chi_square(self, scaled: f64) -> f64 {
        match self {
            Self::Psi => scaled,
            Self::Js => (scaled / (8.0 * std::f64::consts::LN_2)).sqrt(),
            Self::Ks => scaled.sqrt() / 2.0,
        }
    }
}

fn noise_scale(n_reference: u64, n_window: u64) -> f64 {
    1.0 / n_reference as f64 + 1.0 / n_window as f64
}

/// Groups of equal reference mass for distances over cells: fine bins only serve the distribution function.
const N_GROUPS: u64 = 10;

/// Joins neighbouring numeric bins until each group holds a tenth of the reference. What lies outside belongs to the groups
/// at the ends: a reference sample has nothing beyond its own extremes, so cells of their own would differ by construction.
fn group(pairs: &[[u64; 2]]) -> Vec<[u64; 2]> {
    let [missing, ordered @ ..] = pairs else {
        return Vec::new();
    };
    let n_present: u64 = ordered.iter().map(|pair| pair[0]).sum();
    let mut groups = vec![*missing];
    let mut open = [0, 0];
    for pair in ordered {
        open = [open[0] + pair[0], open[1] + pair[1]];
        if open[0] > 0 && open[0] * N_GROUPS >= n_present {
            groups.push(std::mem::take(&mut open));
        }
    }
    match groups.as_mut_slice() {
        [_, .., last] => *last = [last[0] + open[0], last[1] + open[1]],
        _ => groups.push(open),
    }
    groups
}

/// Rows that a cell must be expected to hold in the smaller sample for the χ² approximation to hold.
const FEWEST_EXPECTED: f64 = 5.0;

/// Pools the values that are rare in both samples together with those that the reference did not keep or never saw. Which
/// values are rare depends on the sum of both samples only, which leaves the null distribution as it is; deciding it by the
/// reference alone would make every long tail look like drift.
fn pool_rare(mut cells: Vec<[u64; 2]>, mut pooled: [u64; 2], largest_left_out: u64) -> Vec<[u64; 2]> {
    let sums = cells.iter().fold(pooled, |sums, cell| [sums[0] + cell[0], sums[1] + cell[1]]);
    let n_rows = (sums[0] + sums[1]) as f64;
    // No value that was left out may be more frequent than the least frequent one with a cell of its own.
    let left_out = largest_left_out as f64;
    let most_left_out = (left_out + 6.0 * left_out.sqrt()) * n_rows / sums[0].max(1) as f64;
    let fewest = (FEWEST_EXPECTED * n_rows / sums[0].min(sums[1]).max(1) as f64).max(most_left_out);
    let is_rare = |cell: [u64; 2]| ((cell[0] + cell[1]) as f64) < fewest;
    cells.sort_unstable_by_key(|cell| cell[0] + cell[1]);
    let mut kept = Vec::with_capacity(cells.len() + 1);
    for cell in cells {
        let joins = is_rare(cell) || (kept.is_empty() && pooled != [0, 0] && is_rare(pooled));
        if joins {
            pooled = [pooled[0] + cell[0], pooled[1] + cell[1]];
        } else {
            kept.push(cell);
        }
    }
    if pooled != [0, 0] {
        kept.push(pooled);
    }
    kept
}

/// Shares with half a row added to each cell (Jeffreys), so that an empty cell is improbable and not impossible.
fn shares(counts: &[u64]) -> Vec<f64> {
    let total = counts.iter().sum::<u64>() as f64 + 0.5 * counts.len() as f64;
    counts.iter().map(|count| (*count as f64 + 0.5) / total).collect()
}

/// The population stability index Σ (p − q)·ln(p/q), natural logarithm. Shares must be positive.
pub fn population_stability(reference: &[f64], window: &[f64]) -> f64 {
    reference.iter().zip(window).map(|(p, q)| (p - q) * (p / q).ln()).sum()
}

/// The Jensen–Shannon distance with base 2: the square root of the divergence, between 0 and 1.
pub fn jensen_shannon(reference: &[f64], window: &[f64]) -> f64 {
    let term = |share: f64, middle: f64| if share > 0.0 { share * (share / middle).log2() } else { 0.0 };
    let terms = reference.iter().zip(window).map(|(p, q)| {
        let middle = f64::midpoint(*p, *q);
        term(*p, middle) + term(*q, middle)
    });
    (terms.sum::<f64>() / 2.0).max(0.0).sqrt()
}

fn total_variation(first: &[u64], second: &[u64]) -> f64 {
    let (n, m) = (first.iter().sum::<u64>() as f64, second.iter().sum::<u64>() as f64);
    first.iter().zip(second).map(|(a, b)| (*a as f64 / n - *b as f64 / m).abs()).sum::<f64>() / 2.0
}

/// The largest gap between two distribution functions over cells in ascending order. Missing values stand lowest.
fn largest_gap(pairs: &[[u64; 2]]) -> f64 {
    let (n, m) = pairs.iter().fold((0, 0), |(n, m), pair| (n + pair[0], m + pair[1]));
    let (mut first, mut second, mut largest) = (0, 0, 0.0_f64);
    for pair in pairs {
        first += pair[0];
        second += pair[1];
        largest = largest.max((first as f64 / n as f64 - second as f64 / m as f64).abs());
    }
    largest
}

/// The two-sample Kolmogorov–Smirnov test on raw values: the statistic and its asymptotic p-value. None if a sample is empty.
/// Values must not be NaN.
pub fn kolmogorov_smirnov(first: &[f64], second: &[f64]) -> Option<(f64, f64)> {
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let sorted = |values: &[f64]| {
        let mut keys: Vec<u64> = values.iter().map(|value| sort_key(*value)).collect();
        keys.sort_unstable();
        keys
    };
    let (first, second) = (sorted(first), sorted(second));
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while i < first.len() && j < second.len() {
        let key = first[i].min(second[j]);
        i += first[i..].iter().take_while(|other| **other == key).count();
        j += second[j..].iter().take_while(|other| **other == key).count();
        largest = largest.max((i as f64 / first.len() as f64 - j as f64 / second.len() as f64).abs());
    }
    let scale = noise_scale(first.len() as u64, second.len() as u64);
    Some((largest, kolmogorov_tail(largest / scale.sqrt())))
}

/// The tail of the Kolmogorov distribution, by the series that converges fast on its side (Marsaglia, Tsang and Wang, 2003).
fn kolmogorov_tail(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x < 1.18 {
        let y = (-std::f64::consts::PI.powi(2) / (8.0 * x * x)).exp();
        let series: f64 = [1, 9, 25, 49].into_iter().map(|power| y.powi(power)).sum();
        return (1.0 - (2.0 * std::f64::consts::PI).sqrt() / x * series).clamp(0.0, 1.0);
    }
    let terms = (1..=6).map(|k| (-2.0 * f64::from(k * k) * x * x).exp() * if k % 2 == 1 { 2.0 } else { -2.0 });
    terms.sum::<f64>().clamp(0.0, 1.0)
}

/// The value that a Kolmogorov variable exceeds with this probability.
fn kolmogorov_exceeded_by(probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    while high - low > 1e-12 {
        let middle = f64::midpoint(low, high);
        if kolmogorov_tail(middle) > probability { low = middle } else { high = middle }
    }
    high
}
