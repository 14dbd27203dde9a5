//! Two samples of one distribution must not alarm more often than the threshold says, whatever the number of rows and cells.
//! Fixed thresholds alarm in 53 to 100 % of such windows in the categorical cases below.

use lw_stats::{Drift, DriftMethod, ReferenceHistogram};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

const METHODS: [DriftMethod; 3] = [DriftMethod::Psi, DriftMethod::Ks, DriftMethod::Js];
const N_TRIALS: u32 = 600;
/// At a nominal 1 % of 600 trials, 16 alarms are 4 standard deviations above the mean.
const MOST_ALARMS: u32 = 16;

type Sample = fn(&mut Pcg64Mcg) -> f64;

#[track_caller]
fn check_numeric(n_reference: usize, n_window: usize, sample: Sample) {
    check(|rng| {
        let reference = ReferenceHistogram::from_numbers(&draw(rng, n_reference, sample)).unwrap();
        let mut window = reference.no_counts();
        reference.count_numbers(&mut window, &draw(rng, n_window, sample)).unwrap();
        (reference, window)
    });
}

#[track_caller]
fn check_categorical(n_reference: usize, n_window: usize, sample: Sample) {
    let texts = |values: Vec<f64>| -> Vec<String> { values.into_iter().map(|value| format!("{value}")).collect() };
    check(|rng| {
        let (first, second) = (texts(draw(rng, n_reference, sample)), texts(draw(rng, n_window, sample)));
        let reference = ReferenceHistogram::from_texts(first.iter().map(|text| Some(text.as_str()))).unwrap();
        let mut window = reference.no_counts();
        reference.count_texts(&mut window, second.iter().map(|text| Some(text.as_str()))).unwrap();
        (reference, window)
    });
}

#[track_caller]
fn check(mut pair: impl FnMut(&mut Pcg64Mcg) -> (ReferenceHistogram, lw_stats::Counts)) {
    let mut rng = Pcg64Mcg::seed_from_u64(17);
    let mut n_alarms = [0_u32; 3];
    for _ in 0..N_TRIALS {
        let (reference, window) = pair(&mut rng);
        for (method, n_alarms) in METHODS.into_iter().zip(&mut n_alarms) {
            let drift = Drift::measure(method, &reference, &window).unwrap();
            *n_alarms += u32::from(drift.value > drift.threshold(0.0, 0.01));
        }
    }
    assert!(n_alarms.iter().all(|n| *n <= MOST_ALARMS), "{METHODS:?}: {n_alarms:?} of {N_TRIALS}");
}

fn draw(rng: &mut Pcg64Mcg, n_rows: usize, sample: Sample) -> Vec<f64> {
    (0..n_rows).map(|_| sample(rng)).collect()
}

/// Nearly normal: the sum of twelve uniform numbers.
fn bell(rng: &mut Pcg64Mcg) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum()
}

fn hour(rng: &mut Pcg64Mcg) -> f64 {
    f64::from(rng.random_range(0..24))
}

fn mostly_zero(rng: &mut Pcg64Mcg) -> f64 {
    if rng.random_bool(0.8) { 0.0 } else { bell(rng) }
}

fn half_missing(rng: &mut Pcg64Mcg) -> f64 {
    if rng.random_bool(0.5) { f64::NAN } else { bell(rng) }
}

/// A category whose probability falls with its number, as airports and customers do.
fn long_tail(rng: &mut Pcg64Mcg) -> f64 {
    (1.0 / (rng.random::<f64>() + 0.002)).floor()
}

#[test]
fn equal_numbers_do_not_alarm() {
    check_numeric(1_000, 1_000, bell);
    check_numeric(5_000, 100, bell);
    check_numeric(5_000, 500, |rng| bell(rng).exp());
    check_numeric(200, 3_000, bell);
    check_numeric(1_000, 300, hour);
    check_numeric(2_000, 400, mostly_zero);
    check_numeric(1_000, 200, half_missing);
}

#[test]
fn equal_categories_do_not_alarm() {
    check_categorical(1_000, 1_000, |rng| f64::from(rng.random_range(0..10)));
    check_categorical(1_000, 1_000, |rng| f64::from(rng.random_range(0..50)));
    check_categorical(5_000, 1_000, |rng| f64::from(rng.random_range(0..200)));
    check_categorical(3_000, 700, |rng| f64::from(rng.random_range(0..1_000)));
    check_categorical(2_000, 300, long_tail);
    check_categorical(2_000, 3_000, long_tail);
    check_categorical(5_000, 5_000, |rng| f64::from(rng.random_range(0..2_000)));
}

#[track_caller]
fn check_alarm(reference: &ReferenceHistogram, window: &lw_stats::Counts) {
    for method in METHODS {
        let drift = Drift::measure(method, reference, window).unwrap();
        assert!(drift.value > drift.threshold(method.default_threshold(), 0.01), "{drift:?}");
        assert!(drift.p_value < 0.01, "{drift:?}");
    }
}

#[test]
fn real_shifts_alarm() {
    let mut rng = Pcg64Mcg::seed_from_u64(5);
    let reference = ReferenceHistogram::from_numbers(&draw(&mut rng, 5_000, bell)).unwrap();
    let mut shifted = reference.no_counts();
    reference.count_numbers(&mut shifted, &draw(&mut rng, 300, |rng| bell(rng) + 0.8)).unwrap();
    check_alarm(&reference, &shifted);
    let mut missing = reference.no_counts();
    reference.count_numbers(&mut missing, &draw(&mut rng, 300, half_missing)).unwrap();
    check_alarm(&reference, &missing);
    let known = ["a", "b", "c"].iter().cycle().take(3_000).map(|text| Some(*text));
    let reference = ReferenceHistogram::from_texts(known).unwrap();
    let mut unseen = reference.no_counts();
    reference.count_texts(&mut unseen, ["a", "b", "c", "new"].iter().cycle().take(400).map(|text| Some(*text))).unwrap();
    check_alarm(&reference, &unseen);
}

#[test]
fn an_empty_window_is_no_alarm() {
    let reference = ReferenceHistogram::from_numbers(&[1.0, 2.0, 3.0]).unwrap();
    for method in METHODS {
        let drift = Drift::measure(method, &reference, &reference.no_counts()).unwrap();
        assert_eq!((drift.value, drift.p_value, drift.noise(0.01)), (0.0, 1.0, 0.0));
    }
}
