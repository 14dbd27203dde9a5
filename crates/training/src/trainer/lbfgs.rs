//! Minimises a smooth convex function (Nocedal and Wright 2006, "Numerical Optimization", algorithms 7.4 and 3.1).

use std::collections::VecDeque;

/// Pairs of steps and gradient changes that the curvature is guessed from.
const N_PAIRS: usize = 10;
/// Part of the promised decrease that a step must bring.
const ARMIJO: f64 = 1e-4;
/// What rounding can do to a value, relatively. Near the minimum the decrease drowns in it, and the gradient is the better judge.
const NOISE: f64 = 1e-14;
/// A step is halved this often before the search gives up.
const MAX_HALVINGS: usize = 40;

pub(super) struct Minimum {
    pub point: Vec<f64>,
    /// The value after each iteration.
    pub values: Vec<f64>,
}

/// How long to go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub max_iterations: usize,
    /// The gradient's largest part that counts as zero, relative to that of the start.
    pub tolerance: f64,
}

/// `function` writes the gradient at a point and returns the value there.
pub(super) fn minimise(start: Vec<f64>, limits: Limits, mut function: impl FnMut(&[f64], &mut [f64]) -> f64) -> Minimum {
    let n = start.len();
    let (mut point, mut gradient) = (start, vec![0.0; n]);
    let mut value = function(&point, &mut gradient);
    let goal = limits.tolerance * largest(&gradient).max(f64::MIN_POSITIVE);
    let mut pairs: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::with_capacity(N_PAIRS);
    let (mut next, mut next_gradient) = (vec![0.0; n], vec![0.0; n]);
    let mut values = Vec::new();
    while values.len() < limits.max_iterations && largest(&gradient) > goal {
        let mut direction = direction(&gradient, &pairs);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            pairs.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = dot(&direction, &gradient);
        }
        let mut step = if pairs.is_empty() { 1.0 / largest(&gradient).max(1.0) } else { 1.0 };
        let found = (0..MAX_HALVINGS).find_map(|_| {
            for i in 0..n {
                next[i] = point[i] + step * direction[i];
            }
            let next_value = function(&next, &mut next_gradient);
            let is_enough = next_value <= value + ARMIJO * step * slope + NOISE * value.abs();
            step *= 0.5;
            is_enough.then_some(next_value)
        });
        let Some(next_value) = found else {
            break;
        };
        let moved: Vec<f64> = next.iter().zip(&point).map(|(a, b)| a - b).collect();
        let bent: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        if dot(&moved, &bent) > 1e-12 * dot(&bent, &bent).sqrt() * dot(&moved, &moved).sqrt() {
            if pairs.len() == N_PAIRS {
                pairs.pop_front();
            }
            pairs.push_back((moved, bent));
        }
        std::mem::swap(&mut point, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        value = next_value;
        values.push(value);
    }
    Minimum { point, values }
}

/// Downhill, bent by the curvature of the last steps (the two-loop recursion).
fn direction(gradient: &[f64], pairs: &VecDeque<(Vec<f64>, Vec<f64>)>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(pairs.len());
    for (s, y) in pairs.iter().rev() {
        let alpha = dot(s, &q) / dot(s, y);
        q.iter_mut().zip(y).for_each(|(q, y)| *q -= alpha * y);
        alphas.push(alpha);
    }
    if let Some((s, y)) = pairs.back() {
        let scale = dot(s, y) / dot(y, y);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for ((s, y), alpha) in pairs.iter().zip(alphas.iter().rev()) {
        let beta = dot(y, &q) / dot(s, y);
        q.iter_mut().zip(s).for_each(|(q, s)| *q += (alpha - beta) * s);
    }
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_valley_is_followed_to_its_end() {
        let limits = Limits { max_iterations: 500, tolerance: 1e-12 };
        // Rosenbrock's function in a form that stays convex near its only minimum at (1, 1).
        let minimum = minimise(vec![-1.2, 1.0], limits, |x, gradient| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            gradient[0] = -2.0 * a - 400.0 * x[0] * b;
            gradient[1] = 200.0 * b;
            a * a + 100.0 * b * b
        });
        assert!((minimum.point[0] - 1.0).abs() < 1e-6 && (minimum.point[1] - 1.0).abs() < 1e-6, "{:?}", minimum.point);
        assert!(minimum.values.windows(2).all(|pair| pair[1] <= pair[0]));
    }
}
