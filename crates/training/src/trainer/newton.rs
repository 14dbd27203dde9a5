//! Minimises a smooth convex function by its slope and its curvature (Nocedal and Wright 2006, "Numerical Optimization", section 3.3).
//!
//! One step costs as much as some dozen of a search that knows only slopes, and half a dozen steps are enough.

use super::lbfgs::{Limits, Minimum};

/// Part of the promised decrease that a step must bring.
const ARMIJO: f64 = 1e-4;
/// What rounding can do to a value, relatively.
const NOISE: f64 = 1e-14;
/// A step is halved this often before the search gives up.
const MAX_HALVINGS: usize = 40;

/// The lower triangle of a symmetric matrix, row by row.
pub(super) struct Curvature {
    pub n: usize,
    pub values: Vec<f64>,
}

impl Curvature {
    pub fn new(n: usize) -> Self {
        Self { n, values: vec![0.0; n * n] }
    }

    /// Row `i` up to and with its diagonal.
    pub fn row(&mut self, i: usize) -> &mut [f64] {
        &mut self.values[i * self.n..=i * self.n + i]
    }

    /// Replaces the matrix by its Cholesky factor. `None` if it is not positive definite, as far as rounding lets one tell.
    fn factor(mut self) -> Option<Self> {
        for i in 0..self.n {
            for j in 0..=i {
                let (above, row) = self.values.split_at(i * self.n);
                let other = if j == i { row } else { &above[j * self.n..] };
                let rest = row[j] - row[..j].iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
                let entry = if j == i {
                    // What is left of the diagonal must not be rounding alone.
                    (rest > 1e-13 * row[i]).then(|| rest.sqrt())?
                } else {
                    rest / other[j]
                };
                self.values[i * self.n + j] = entry;
            }
        }
        Some(self)
    }

    /// Solves `matrix × x = right` with the factor of the matrix.
    fn solve(&self, mut right: Vec<f64>) -> Vec<f64> {
        let n = self.n;
        for i in 0..n {
            let known: f64 = (0..i).map(|j| self.values[i * n + j] * right[j]).sum();
            right[i] = (right[i] - known) / self.values[i * n + i];
        }
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|j| self.values[j * n + i] * right[j]).sum();
            right[i] = (right[i] - known) / self.values[i * n + i];
        }
        right
    }
}

/// `slopes` writes the gradient at a point and returns the value there; `curvature` returns the second derivatives there.
///
/// `None` if the function is so flat somewhere that its curvature cannot be inverted, or no step brings it down.
pub(super) fn minimise(
    start: Vec<f64>,
    limits: Limits,
    mut slopes: impl FnMut(&[f64], &mut [f64]) -> f64,
    curvature: impl Fn(&[f64]) -> Curvature,
) -> Option<Minimum> {
    let n = start.len();
    let (mut point, mut gradient) = (start, vec![0.0; n]);
    let mut value = slopes(&point, &mut gradient);
    let goal = limits.tolerance * largest(&gradient).max(f64::MIN_POSITIVE);
    let mut values = Vec::new();
    while values.len() < limits.max_iterations && largest(&gradient) > goal {
        let step = curvature(&point).factor()?.solve(gradient.clone());
        let promised: f64 = step.iter().zip(&gradient).map(|(a, b)| a * b).sum();
        let mut length = 1.0;
        let mut next_gradient = vec![0.0; n];
        let (next, next_value) = (0..MAX_HALVINGS).find_map(|_| {
            let next: Vec<f64> = point.iter().zip(&step).map(|(x, step)| x - length * step).collect();
            let next_value = slopes(&next, &mut next_gradient);
            let is_enough = next_value <= value - ARMIJO * length * promised + NOISE * value.abs();
            length *= 0.5;
            is_enough.then_some((next, next_value))
        })?;
        // Where rounding hides the decrease, the gradient must still fall, or the search would wander around the minimum.
        let is_lost = next_value >= value && largest(&next_gradient) >= largest(&gradient);
        if is_lost {
            break;
        }
        (point, gradient, value) = (next, next_gradient, next_value);
        values.push(value);
    }
    Some(Minimum { point, values })
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quadratic(n: usize, diagonal: impl Fn(usize) -> f64) -> Curvature {
        let mut curvature = Curvature::new(n);
        for i in 0..n {
            let last = curvature.row(i);
            last.iter_mut().enumerate().for_each(|(j, entry)| *entry = if i == j { diagonal(i) } else { 0.5 });
        }
        curvature
    }

    #[test]
    fn a_quadratic_takes_one_step() {
        let (n, diagonal) = (6, |i: usize| 4.0 + i as f64);
        let times = |x: &[f64], i: usize| -> f64 { (0..n).map(|j| if i == j { diagonal(i) } else { 0.5 } * x[j]).sum() };
        let slopes = |x: &[f64], gradient: &mut [f64]| {
            (0..n).for_each(|i| gradient[i] = times(x, i) - 1.0);
            (0..n).map(|i| 0.5 * x[i] * times(x, i) - x[i]).sum()
        };
        let limits = Limits { max_iterations: 50, tolerance: 1e-10 };
        let minimum = minimise(vec![3.0; n], limits, slopes, |_| quadratic(n, diagonal)).unwrap();
        assert_eq!(minimum.values.len(), 1);
        assert!((0..n).all(|i| (times(&minimum.point, i) - 1.0).abs() < 1e-9), "{:?}", minimum.point);
    }

    #[test]
    fn a_flat_direction_is_refused() {
        let slopes = |x: &[f64], gradient: &mut [f64]| {
            gradient.copy_from_slice(&[x[0] + x[1], x[0] + x[1]]);
            0.5 * (x[0] + x[1]).powi(2)
        };
        let flat = |_: &[f64]| Curvature { n: 2, values: vec![1.0, 0.0, 1.0, 1.0] };
        assert!(minimise(vec![1.0, 1.0], Limits { max_iterations: 5, tolerance: 1e-8 }, slopes, flat).is_none());
    }
}
