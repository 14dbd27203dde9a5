//! How much two conditions on traces go together.

use lw_core::Result;
use lw_search::Condition;
use lw_tracking::ExperimentId;

use crate::Traces;

/// Normalised pointwise mutual information (Bouma 2009, "Normalized (pointwise) mutual information in collocation extraction",
/// equation 7): -1 where the conditions never meet, 0 where they are independent, 1 where they always meet. NaN where one never holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correlation {
    pub npmi: f64,
    /// With half a trace added to each of the four cases (Jeffreys' prior), which is more honest of few traces.
    pub npmi_smoothed: f64,
    pub n_first: u64,
    pub n_second: u64,
    pub n_both: u64,
    pub n_all: u64,
}

impl Traces {
    /// Compares two conditions over the traces of which `base` holds.
    pub async fn correlate(
        &self,
        experiments: &[ExperimentId],
        first: Condition,
        second: Condition,
        base: Option<Condition>,
    ) -> Result<Correlation> {
        let within = |condition: Condition| match &base {
            None => condition,
            Some(base) => Condition::All(vec![base.clone(), condition]),
        };
        let all = self.matching(experiments, base.clone()).await?;
        let first = self.matching(experiments, Some(within(first))).await?;
        let second = self.matching(experiments, Some(within(second))).await?;
        let n_both = first.intersection(&second).count();
        Ok(correlation(n_both as u64, first.len() as u64, second.len() as u64, all.len() as u64))
    }
}

fn correlation(n_both: u64, n_first: u64, n_second: u64, n_all: u64) -> Correlation {
    let counts = |npmi, npmi_smoothed| Correlation { npmi, npmi_smoothed, n_first, n_second, n_both, n_all };
    let neither = (n_all + n_both).checked_sub(n_first + n_second);
    let Some(neither) = neither.filter(|_| n_all > 0 && n_first > 0 && n_second > 0) else { return counts(f64::NAN, f64::NAN) };
    let [both, only_first, only_second, neither] = [n_both, n_first - n_both, n_second - n_both, neither].map(|n| n as f64);
    let npmi = if n_both == 0 { -1.0 } else { information(both, only_first, only_second, neither) };
    counts(npmi, information(both + 0.5, only_first + 0.5, only_second + 0.5, neither + 0.5))
}

fn information(both: f64, only_first: f64, only_second: f64, neither: f64) -> f64 {
    let n = both + only_first + only_second + neither;
    let joint = both.ln() - n.ln();
    if joint == 0.0 {
        return 1.0;
    }
    let expected = (both + only_first).ln() + (both + only_second).ln() - 2.0 * n.ln();
    ((joint - expected) / -joint).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_mlflow() {
        let found = correlation(0, 2, 1, 4);
        assert_eq!(found.npmi, -1.0);
        assert!((found.npmi_smoothed + 0.278_942_945_651_129).abs() < 1e-12, "{found:?}");
        assert_eq!(correlation(4, 4, 4, 4).npmi, 1.0);
        assert!(correlation(0, 0, 1, 4).npmi.is_nan());
    }
}
