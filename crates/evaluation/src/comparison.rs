//! A candidate against a champion or a baseline on the same rows.

use std::collections::BTreeMap;

use lw_core::Result;
use lw_stats::{BootstrapOptions, Direction, Interval, Metric, PairedDifference, UNDEFINED_METRIC, paired_bootstrap};

use crate::{Comparison, Difference, EvaluateDefinition, EvaluationData, Rival};

pub(crate) fn compare(
    definition: &EvaluateDefinition,
    data: &EvaluationData<'_>,
    rival: &Rival<'_>,
    options: &BootstrapOptions,
) -> Result<Comparison> {
    let differences = paired_bootstrap(&definition.metrics, data.labels, data.predictions, rival.predictions, options)
        .map_err(|error| error.context(format!("comparison with {}", rival.name)))?;
    let (mut metrics, mut undefined) = (BTreeMap::new(), BTreeMap::new());
    for (metric, difference) in definition.metrics.iter().zip(differences) {
        match difference {
            Ok(paired) => drop(metrics.insert(*metric, improvement(*metric, &paired))),
            Err(error) if error.is(UNDEFINED_METRIC) => drop(undefined.insert(*metric, error.message().to_owned())),
            Err(error) => return Err(error),
        }
    }
    Ok(Comparison { against: rival.name.clone(), n_rows: data.labels.len() as u64, metrics, undefined })
}

/// Turns a difference so that more is better.
fn improvement(metric: Metric, paired: &PairedDifference) -> Difference {
    let interval = paired.interval.map(|interval| match metric.direction() {
        Direction::HigherIsBetter => interval,
        Direction::LowerIsBetter => Interval { low: -interval.high, high: -interval.low, level: interval.level },
    });
    Difference {
        candidate: paired.candidate,
        reference: paired.reference,
        improvement: metric.improvement(paired.candidate, paired.reference),
        interval,
        p_value: paired.p_value,
    }
}
