//! Studies: trials in order, the best one trained again on all rows, failures survived.

use lw_core::{Failure, Kind};
use lw_stats::{Metric, Task};
use lw_training::{Candidate, Fit, train_candidate};
use serde_json::json;

use crate::rows::flights_data;

fn candidate(params: serde_json::Value, space: serde_json::Value) -> Candidate {
    let text = json!({
        "name": "boosting", "trainer": "gradient_boosting", "params": params, "study": {"trials": 8, "sampler": "tpe", "space": space},
    });
    serde_json::from_value(text).unwrap()
}

#[test]
fn the_best_trial_is_trained_on_all_rows() {
    let task = Task::BinaryClassification;
    let data = flights_data(1500, 4, task);
    let space = json!({"num_leaves": {"choice": [3, 7, 15]}, "learning_rate": {"log": [0.001, 0.3]}});
    let candidate = candidate(json!({"n_rounds": 20}), space);
    let run = || {
        let mut heard = Vec::new();
        let fit = Fit { task, data: &data, valid: None, seed: 9, n_threads: 1 };
        let outcome = train_candidate(&candidate, Metric::LogLoss, fit, |trial| {
            heard.push(trial.index);
            Ok(())
        });
        assert_eq!(heard, (0..8).collect::<Vec<_>>());
        outcome.unwrap()
    };
    let outcome = run();
    let values: Vec<f64> = outcome.trials.iter().map(|trial| trial.value.unwrap()).collect();
    let best = (0..8).min_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap();
    for (name, value) in &outcome.trials[best].params {
        assert_eq!(&outcome.trained.params[name], value);
    }
    assert_eq!(outcome.trained.params["n_rounds"], json!(20));
    assert_eq!(outcome.trained.n_rows, 1500);
    let again = run();
    assert!(outcome.trials == again.trials && outcome.trained.onnx == again.trained.onnx);
}

#[test]
fn an_error_of_the_listener_ends_the_study() {
    const STOPPED: Failure = Failure::new("stopped", Kind::Conflict);
    let task = Task::BinaryClassification;
    let data = flights_data(400, 4, task);
    let candidate = candidate(json!({"n_rounds": 3}), json!({"num_leaves": {"int": [2, 9]}}));
    let fit = Fit { task, data: &data, valid: None, seed: 9, n_threads: 1 };
    let stop = |trial: &lw_training::Trial| if trial.index == 2 { Err(STOPPED.error("stop")) } else { Ok(()) };
    assert!(train_candidate(&candidate, Metric::Auc, fit, stop).unwrap_err().is(STOPPED));
}

#[test]
fn a_study_in_which_every_trial_fails_says_why() {
    let task = Task::BinaryClassification;
    let data = flights_data(400, 4, task);
    let candidate = candidate(json!({}), json!({"num_leaves": {"int": [5000, 9000]}}));
    let fit = Fit { task, data: &data, valid: None, seed: 9, n_threads: 1 };
    let error = train_candidate(&candidate, Metric::Auc, fit, |_| Ok(())).unwrap_err();
    assert!(error.message().contains("which is not a whole number from 2 to 4096"), "{error}");
}
