//! What all trainers promise: a proved export, the same bytes for the same seed, and refusals with hints.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use lw_core::DataType;
use lw_onnx::{Evaluator, Model};
use lw_stats::{Metric, Task};
use lw_training::failures::{TRAINER_PARAMETER, TRAINING_DATA};
use lw_training::{DataColumns, Fit, Params, Trained, Trainer, TrainingData, train};
use serde_json::json;

use crate::rows::{data_of, flights, flights_data};

fn fit(data: &TrainingData, task: Task) -> Fit<'_> {
    Fit { task, data, valid: None, seed: 11, n_threads: 1 }
}

fn params(value: serde_json::Value) -> Params {
    serde_json::from_value(value).unwrap()
}

/// Enough rounds to be good, few enough to be quick.
fn quick(trainer: Trainer) -> Params {
    if trainer == Trainer::GradientBoosting { params(json!({"n_rounds": 40})) } else { Params::new() }
}

const ALL: [(Trainer, Task, Metric, f64); 6] = [
    (Trainer::Baseline, Task::BinaryClassification, Metric::Auc, 0.49),
    (Trainer::Logistic, Task::BinaryClassification, Metric::Auc, 0.83),
    (Trainer::GradientBoosting, Task::BinaryClassification, Metric::Auc, 0.83),
    (Trainer::Baseline, Task::Regression, Metric::R2, -0.05),
    (Trainer::Linear, Task::Regression, Metric::R2, 0.55),
    (Trainer::GradientBoosting, Task::Regression, Metric::R2, 0.55),
];

#[test]
fn a_model_predicts_new_rows_and_its_export_is_proved() {
    for (trainer, task, metric, at_least) in ALL {
        let (data, new) = (flights_data(3000, 1, task), flights_data(1500, 2, task));
        let trained = train(trainer, &quick(trainer), fit(&data, task)).unwrap();
        let value = metric.compute(new.labels(), &trained.predict(&new).unwrap()).unwrap();
        assert!(value >= at_least, "{trainer:?} on {task:?}: {metric} is {value}");

        let parity = trained.parity.unwrap();
        assert!(parity.n_rows == 3000 && parity.max_difference <= parity.limit, "{parity:?}");
        assert_eq!(trained.inputs.names().collect::<Vec<_>>(), crate::rows::INPUTS);
        assert_eq!(trained.inputs.field("carrier").unwrap().data_type, DataType::String);
        assert!(trained.inputs.field("carrier").unwrap().nullable);
        assert_eq!(trained.inputs.field("weekend").unwrap().data_type, DataType::Boolean);
        check_outputs(&trained, task);
    }
}

fn check_outputs(trained: &Trained, task: Task) {
    let model = Model::decode(&trained.onnx).unwrap();
    let evaluator = Evaluator::compile(&model).unwrap();
    let names: Vec<&str> = evaluator.outputs().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, trained.outputs.names().collect::<Vec<_>>());
    assert_eq!(evaluator.score().unwrap().is_probability, task == Task::BinaryClassification);
    assert_eq!(model.metadata("loopwright.trainer"), Some(trained.trainer.name()));
}

#[test]
fn the_same_data_parameters_and_seed_give_the_same_bytes() {
    for (trainer, task, ..) in ALL {
        let bytes = |n_threads, seed| {
            let data = flights_data(800, 1, task);
            let sampled = json!({"bagging_fraction": 0.7, "bagging_freq": 1, "n_rounds": 15});
            let params = if trainer == Trainer::GradientBoosting { params(sampled) } else { Params::new() };
            train(trainer, &params, Fit { task, data: &data, valid: None, seed, n_threads }).unwrap().onnx
        };
        assert!(bytes(2, 5) == bytes(2, 5) && bytes(2, 5) == bytes(1, 5), "{trainer:?}");
        assert_eq!(bytes(2, 5) == bytes(2, 6), trainer != Trainer::GradientBoosting, "{trainer:?}");
    }
}

#[test]
fn features_that_matter_are_named_first() {
    for trainer in [Trainer::Logistic, Trainer::GradientBoosting] {
        let data = flights_data(3000, 1, Task::BinaryClassification);
        let importances = train(trainer, &quick(trainer), fit(&data, Task::BinaryClassification)).unwrap().importances;
        let total: f64 = importances.iter().map(|importance| importance.share).sum();
        assert!((total - 1.0).abs() < 1e-9 && importances.len() == 5);
        let first: Vec<&str> = importances[..3].iter().map(|importance| importance.feature.as_str()).collect();
        assert!(first.contains(&"hour") && first.contains(&"delay_before"), "{trainer:?}: {first:?}");
    }
}

#[test]
fn unknown_texts_and_missing_values_are_answered() {
    for trainer in [Trainer::Baseline, Trainer::Logistic, Trainer::GradientBoosting] {
        let task = Task::BinaryClassification;
        let trained = train(trainer, &quick(trainer), fit(&flights_data(2000, 1, task), task)).unwrap();
        let columns: [(&str, ArrayRef); 6] = [
            ("hour", Arc::new(Float64Array::from(vec![Some(23.0), None, Some(1e30)]))),
            ("delay_before", Arc::new(Float64Array::from(vec![Some(60.0), None, Some(-1e30)]))),
            ("carrier", Arc::new(StringArray::from(vec![Some("never seen"), None, Some("AA")]))),
            ("tailnum", Arc::new(StringArray::from(vec![Some("N5"), None, Some("")]))),
            ("weekend", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
            ("late", Arc::new(BooleanArray::from(vec![true, false, true]))),
        ];
        let rows = data_of(RecordBatch::try_from_iter(columns).unwrap(), &crate::rows::INPUTS, "late", task).unwrap();
        let predictions = trained.predict(&rows).unwrap();
        assert!(predictions.len() == 3 && predictions.iter().all(|p| (0.0..=1.0).contains(p)), "{trainer:?}: {predictions:?}");
        if trainer != Trainer::Baseline {
            assert!(predictions[0] > 0.6, "{trainer:?}: {predictions:?}");
        }
    }
}

#[test]
fn early_stopping_ends_before_the_last_round_and_rounds_are_followed() {
    let task = Task::BinaryClassification;
    let data = flights_data(1500, 1, task);
    let options = params(json!({"n_rounds": 500, "learning_rate": 0.3, "early_stopping_rounds": 10}));
    let trained = train(Trainer::GradientBoosting, &options, fit(&data, task)).unwrap();
    assert!(trained.rounds.len() < 200, "{} rounds", trained.rounds.len());
    assert_eq!(trained.n_rows, 1200);
    let losses: Vec<f64> = trained.rounds.iter().map(|round| round.valid_loss.unwrap()).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!((losses.last().unwrap() - best).abs() < 1e-6, "it stops at the best round");
    assert!(trained.rounds.last().unwrap().train_loss < trained.rounds[0].train_loss);
}

#[test]
fn weights_count_rows() {
    let task = Task::Regression;
    let columns: [(&str, ArrayRef); 3] = [
        ("x", Arc::new(Float64Array::from(vec![1.0; 60]))),
        ("y", Arc::new(Float64Array::from_iter_values((0..60).map(|row| f64::from(row % 2))))),
        ("w", Arc::new(Float64Array::from_iter_values((0..60).map(|row| if row % 2 == 0 { 1.0 } else { 3.0 })))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let inputs = ["x".to_owned()];
    let columns = DataColumns { inputs: &inputs, label: "y", weight: Some("w") };
    let data = TrainingData::from_batches(&[batch], columns, task).unwrap();
    for trainer in [Trainer::Baseline, Trainer::Linear, Trainer::GradientBoosting] {
        let trained = train(trainer, &quick(trainer), fit(&data, task)).unwrap();
        assert!((trained.predict(&data).unwrap()[0] - 0.75).abs() < 1e-6, "{trainer:?}");
    }
}

#[track_caller]
fn refuses(data: lw_core::Result<TrainingData>, message: &str) {
    let error = data.map(drop).unwrap_err();
    assert!(error.is(TRAINING_DATA) && error.message().contains(message), "{error}");
    assert!(error.hint_text().is_some());
}

#[test]
fn rows_that_cannot_train_are_refused() {
    let task = Task::BinaryClassification;
    refuses(data_of(flights(10, 1), &["hour", "carier"], "late", task), "no column `carier`");
    refuses(data_of(flights(10, 1), &["hour"], "minutes", task), "a binary classification has 0 and 1");
    refuses(data_of(flights(0, 1), &["hour"], "late", task), "no rows");
    refuses(data_of(flights(10, 1), &[], "late", task), "no inputs");
    let with = |name: &str, array: ArrayRef| {
        let label: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None]));
        RecordBatch::try_from_iter([(name, array), ("late", label)]).unwrap()
    };
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
    refuses(data_of(with("x", numbers), &["x"], "late", task), "label `late` is missing or infinite in row 1");
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1, 2]));
    refuses(data_of(with("x", times), &["x"], "late", task), "which no trainer takes");
    let huge: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 1e300]));
    refuses(data_of(with("x", huge), &["x"], "late", task), "beyond what 32 bits hold, in row 1");
}

#[test]
fn one_class_only_is_refused() {
    let columns: [(&str, ArrayRef); 2] =
        [("x", Arc::new(Float64Array::from(vec![1.0, 2.0]))), ("late", Arc::new(BooleanArray::from(vec![true, true])))];
    let data = data_of(RecordBatch::try_from_iter(columns).unwrap(), &["x"], "late", Task::BinaryClassification).unwrap();
    let error = train(Trainer::Logistic, &Params::new(), fit(&data, Task::BinaryClassification)).unwrap_err();
    assert!(error.is(TRAINING_DATA) && error.message() == "all 2 labels are positive", "{error}");
    let trained = train(Trainer::Baseline, &Params::new(), fit(&data, Task::BinaryClassification)).unwrap();
    assert!(trained.predict(&data).unwrap()[0] > 0.99);
}

#[test]
fn unknown_parameters_are_answered_with_the_nearest() {
    let data = flights_data(100, 1, Task::BinaryClassification);
    let error =
        train(Trainer::GradientBoosting, &params(json!({"num_leafs": 3})), fit(&data, Task::BinaryClassification)).unwrap_err();
    assert!(error.is(TRAINER_PARAMETER) && error.hint_text() == Some("did you mean `num_leaves`?"), "{error:?}");
    let error = train(Trainer::Logistic, &params(json!({"l2": -1})), fit(&data, Task::BinaryClassification)).unwrap_err();
    assert_eq!(error.message(), "parameter `l2` is -1, which is not a number from 0 to 1000000000000");
}
