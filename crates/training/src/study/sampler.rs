//! Chooses the parameters of the next trial.
//!
//! Our own and not a crate: a study has a handful of parameters and must give the same trials for the same seed for ever, which
//! outweighs what `tpe` (one optimizer a parameter, values only as `f64`) or `optimizer` (30,000 lines) would bring.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StudyDefinition;
use super::space::{Distribution, Space};
use crate::definition::Params;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sampler {
    /// Every trial is drawn from the whole space.
    Random,
    /// Trials are drawn where good ones have been more often than bad ones: the tree-structured Parzen estimator (Bergstra et al.
    /// 2011, "Algorithms for Hyper-Parameter Optimization", section 4), each parameter by itself.
    #[default]
    Tpe,
}

/// A trial that has ended. A lower cost is better.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observation<'a> {
    pub params: &'a Params,
    pub cost: f64,
}

/// A third of the trials, but no more than this, are random before the estimator is asked.
const MAX_STARTUP: usize = 10;
/// The draws that the estimator picks the best of.
const N_CANDIDATES: usize = 24;
/// The share of trials that count as good, and how many at most.
const GOOD_SHARE: f64 = 0.2;
const MAX_GOOD: usize = 25;

pub(super) struct Search {
    sampler: Sampler,
    space: Space,
    n_startup: usize,
    random: Pcg64,
}

impl Search {
    pub fn new(study: &StudyDefinition, seed: u64) -> Self {
        let n_startup = (study.trials as usize / 3).clamp(3, MAX_STARTUP);
        Self { sampler: study.sampler, space: study.space.clone(), n_startup, random: Pcg64::seed_from_u64(seed) }
    }

    /// Parameters for the next trial.
    pub fn next(&mut self, observations: &[Observation<'_>]) -> Params {
        if self.sampler == Sampler::Random || observations.len() < self.n_startup {
            let random = &mut self.random;
            return self
                .space
                .iter()
                .map(|(name, distribution)| (name.clone(), distribution.at(random.random::<f64>())))
                .collect();
        }
        let mut sorted: Vec<&Observation<'_>> = observations.iter().collect();
        sorted.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        let n_good = ((GOOD_SHARE * sorted.len() as f64).ceil() as usize).clamp(2, MAX_GOOD).min(sorted.len());
        let (good, bad) = sorted.split_at(n_good);
        let mut params = BTreeMap::new();
        for (name, distribution) in &self.space {
            let positions = |trials: &[&Observation<'_>]| -> Vec<f64> {
                trials.iter().filter_map(|trial| distribution.position(trial.params.get(name)?)).collect()
            };
            let (good, bad) = (Density::of(distribution, &positions(good)), Density::of(distribution, &positions(bad)));
            let mut best = (f64::NEG_INFINITY, 0.5);
            for _ in 0..N_CANDIDATES {
                let position = good.draw(&mut self.random);
                let gain = good.at(position).ln() - bad.at(position).ln();
                if gain > best.0 {
                    best = (gain, position);
                }
            }
            params.insert(name.clone(), distribution.at(best.1));
        }
        params
    }
}

/// How often a position between 0 and 1 was chosen: bells around each observation and a broad one for the space itself, or shares
/// of the choices.
enum Density {
    /// Centre and width of each bell.
    Bells(Vec<(f64, f64)>),
    Shares(Vec<f64>),
}

impl Density {
    fn of(distribution: &Distribution, positions: &[f64]) -> Self {
        if let Distribution::Choice(values) = distribution {
            let n_values = values.len();
            let mut shares = vec![1.0; n_values];
            for position in positions {
                shares[((position * n_values as f64) as usize).min(n_values - 1)] += 1.0;
            }
            let total: f64 = shares.iter().sum();
            return Self::Shares(shares.into_iter().map(|share| share / total).collect());
        }
        let mut centres: Vec<f64> = positions.to_vec();
        centres.push(0.5);
        centres.sort_by(f64::total_cmp);
        let narrowest = 1.0 / (1.0 + centres.len() as f64).min(100.0);
        let width = |index: usize| {
            let before = if index == 0 { 0.0 } else { centres[index - 1] };
            let after = centres.get(index + 1).copied().unwrap_or(1.0);
            (centres[index] - before).max(after - centres[index]).clamp(narrowest, 1.0)
        };
        let mut bells: Vec<(f64, f64)> = (0..centres.len()).map(|index| (centres[index], width(index))).collect();
        if let Some(own) = bells.iter_mut().find(|bell| bell.0 == 0.5) {
            own.1 = 1.0;
        }
        Self::Bells(bells)
    }

    fn draw(&self, random: &mut Pcg64) -> f64 {
        match self {
            Self::Shares(shares) => {
                let mut left = random.random::<f64>();
                let index = shares.iter().position(|share| {
                    left -= share;
                    left < 0.0
                });
                (index.unwrap_or(shares.len() - 1) as f64 + 0.5) / shares.len() as f64
            }
            Self::Bells(bells) => {
                let (centre, width) = bells[random.random_range(0..bells.len())];
                // Positions outside of the space are drawn again; the broad bell alone hits it two times in five.
                loop {
                    let position = centre + width * standard_normal(random);
                    if (0.0..=1.0).contains(&position) {
                        return position;
                    }
                }
            }
        }
    }

    fn at(&self, position: f64) -> f64 {
        match self {
            Self::Shares(shares) => shares[((position * shares.len() as f64) as usize).min(shares.len() - 1)],
            Self::Bells(bells) => {
                let bell = |&(centre, width): &(f64, f64)| {
                    let z = (position - centre) / width;
                    let inside = normal_share((1.0 - centre) / width) - normal_share(-centre / width);
                    (-0.5 * z * z).exp() / (width * inside)
                };
                bells.iter().map(bell).sum::<f64>() / bells.len() as f64
            }
        }
    }
}

/// Box and Muller 1958.
fn standard_normal(random: &mut Pcg64) -> f64 {
    let (radius, angle): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// The normal distribution function by the logistic approximation of Bowling et al. 2009, equation 11 (error below 0.00014).
fn normal_share(z: f64) -> f64 {
    1.0 / (1.0 + (-0.07056 * z.powi(3) - 1.5976 * z).exp())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn study(sampler: Sampler) -> StudyDefinition {
        let space = BTreeMap::from([
            ("x".to_owned(), Distribution::Uniform([-5.0, 10.0])),
            ("y".to_owned(), Distribution::Uniform([0.0, 15.0])),
            ("rate".to_owned(), Distribution::Log([1e-4, 1.0])),
            ("leaves".to_owned(), Distribution::Int([2, 64])),
            ("kind".to_owned(), Distribution::Choice(vec![json!("a"), json!("b"), json!("c")])),
        ]);
        StudyDefinition { trials: 60, sampler, space, validation: 0.2 }
    }

    /// Branin's function plus penalties for the other parameters; its minimum is 0.398.
    fn cost(params: &Params) -> f64 {
        let number = |name: &str| params[name].as_f64().unwrap();
        let (x, y) = (number("x"), number("y"));
        let pi = std::f64::consts::PI;
        let branin =
            (y - 5.1 / (4.0 * pi * pi) * x * x + 5.0 / pi * x - 6.0).powi(2) + 10.0 * (1.0 - 1.0 / (8.0 * pi)) * x.cos() + 10.0;
        let penalty = (number("rate").log10() + 2.0).powi(2) + ((number("leaves") - 31.0) / 10.0).powi(2);
        branin + penalty + if params["kind"] == json!("b") { 0.0 } else { 3.0 }
    }

    fn best_of(sampler: Sampler, seed: u64) -> (f64, Vec<Params>) {
        let study = study(sampler);
        let mut search = Search::new(&study, seed);
        let mut trials: Vec<(Params, f64)> = Vec::new();
        for _ in 0..study.trials {
            let observations: Vec<Observation<'_>> =
                trials.iter().map(|(params, cost)| Observation { params, cost: *cost }).collect();
            let params = search.next(&observations);
            let value = cost(&params);
            trials.push((params, value));
        }
        let best = trials.iter().map(|trial| trial.1).fold(f64::INFINITY, f64::min);
        (best, trials.into_iter().map(|trial| trial.0).collect())
    }

    #[test]
    fn the_estimator_finds_better_parameters_than_chance() {
        let mean = |sampler| (0..20).map(|seed| best_of(sampler, seed).0).sum::<f64>() / 20.0;
        let (random, tpe) = (mean(Sampler::Random), mean(Sampler::Tpe));
        assert!(tpe < 0.7 * random, "tpe {tpe}, random {random}");
    }

    #[test]
    fn a_seed_decides_every_trial() {
        assert_eq!(best_of(Sampler::Tpe, 7).1, best_of(Sampler::Tpe, 7).1);
        assert_ne!(best_of(Sampler::Tpe, 7).1, best_of(Sampler::Tpe, 8).1);
    }

    #[test]
    fn values_stay_in_their_space() {
        for params in best_of(Sampler::Tpe, 3).1 {
            assert!((-5.0..=10.0).contains(&params["x"].as_f64().unwrap()));
            assert!((1e-4..=1.0).contains(&params["rate"].as_f64().unwrap()));
            assert!((2..=64).contains(&params["leaves"].as_i64().unwrap()));
            assert!(["a", "b", "c"].contains(&params["kind"].as_str().unwrap()));
        }
    }

    #[test]
    fn a_position_and_its_value_are_inverse() {
        for distribution in study(Sampler::Tpe).space.values() {
            let n_cells = match distribution {
                Distribution::Choice(values) => values.len() as f64,
                Distribution::Int([low, high]) => (high - low + 1) as f64,
                _ => f64::INFINITY,
            };
            for position in [0.0, 0.3, 0.75, 1.0] {
                let value = distribution.at(position);
                let back = distribution.position(&value).unwrap();
                assert!((back - position).abs() <= 0.5 / n_cells + 1e-9, "{distribution:?} at {position}: {back}");
                assert_eq!(distribution.at(back), value);
            }
        }
    }
}
