//! The trainers find the models that scikit-learn and LightGBM find. Written by tests/oracles/training_models.py.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lw_stats::Task;
use lw_training::{Fit, Params, Trainer, TrainingData, train};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::rows::{data_of, label};

#[derive(Deserialize)]
struct Golden {
    rows: BTreeMap<String, Vec<Value>>,
    logistic: BTreeMap<String, Vec<f64>>,
    ridge: BTreeMap<String, Vec<f64>>,
    boosting: BTreeMap<String, Vec<f64>>,
}

impl Golden {
    fn load() -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn data(&self, inputs: &[&str], task: Task) -> TrainingData {
        let column = |(name, values): (&String, &Vec<Value>)| -> (String, ArrayRef) {
            if values.iter().any(Value::is_string) {
                return (name.clone(), Arc::new(StringArray::from_iter(values.iter().map(Value::as_str))));
            }
            (name.clone(), Arc::new(Float64Array::from_iter(values.iter().map(Value::as_f64))))
        };
        data_of(RecordBatch::try_from_iter(self.rows.iter().map(column)).unwrap(), inputs, label(task), task).unwrap()
    }
}

#[track_caller]
fn check(trainer: Trainer, params: &Params, data: &TrainingData, task: Task, wanted: &[f64], tolerance: f64) {
    let trained = train(trainer, params, Fit { task, data, valid: None, seed: 3, n_threads: 2 }).unwrap();
    let found = trained.predict(data).unwrap();
    assert_eq!(found.len(), wanted.len());
    for (row, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= tolerance * wanted.abs().max(1.0), "row {row}: {found} is not {wanted}");
    }
}

#[test]
fn logistic_regression_is_that_of_scikit_learn() {
    let golden = Golden::load();
    let task = Task::BinaryClassification;
    let data = golden.data(&["distance", "delay", "hour", "carrier"], task);
    for (l2, wanted) in &golden.logistic {
        let params = Params::from([("l2".to_owned(), json!(l2.parse::<f64>().unwrap()))]);
        check(Trainer::Logistic, &params, &data, task, wanted, 1e-6);
    }
}

#[test]
fn linear_regression_is_ridge_of_scikit_learn() {
    let golden = Golden::load();
    let data = golden.data(&["distance", "delay", "hour", "carrier"], Task::Regression);
    for (l2, wanted) in &golden.ridge {
        let params = Params::from([("l2".to_owned(), json!(l2.parse::<f64>().unwrap()))]);
        check(Trainer::Linear, &params, &data, Task::Regression, wanted, 1e-6);
    }
}

#[test]
fn boosting_is_that_of_lightgbm_itself() {
    let golden = Golden::load();
    let params = json!({"n_rounds": 25, "num_leaves": 7, "learning_rate": 0.2, "min_data_in_leaf": 10, "lambda_l2": 0.5});
    let params: Params = serde_json::from_value(params).unwrap();
    for task in [Task::BinaryClassification, Task::Regression] {
        let data = golden.data(&["distance", "delay", "hour"], task);
        check(Trainer::GradientBoosting, &params, &data, task, &golden.boosting[label(task)], 1e-6);
    }
}
