//! Standard output belongs to the command that trains: LightGBM writes nothing there, however strange the rows.

use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, RecordBatch};
use lw_stats::Task;
use lw_training::{Fit, Params, Trainer, train};

use crate::rows::data_of;

/// Constant features, a constant label, and fewer rows than a leaf needs: each is worth a warning to LightGBM.
#[test]
#[ignore = "run by the test below, in a process whose output is read"]
fn trains_on_degenerate_rows() {
    let rows = |n_rows: usize, feature: fn(usize) -> f64, label: fn(usize) -> f64| {
        let column = |of: fn(usize) -> f64| Arc::new(Float64Array::from_iter_values((0..n_rows).map(of))) as ArrayRef;
        let late: ArrayRef = Arc::new(BooleanArray::from_iter((0..n_rows).map(|row| Some(row % 2 == 0))));
        RecordBatch::try_from_iter([("x", column(feature)), ("y", column(label)), ("late", late)]).unwrap()
    };
    let constant: fn(usize) -> f64 = |_| 1.0;
    let varying: fn(usize) -> f64 = |row| row as f64;
    for (rows, label, task) in [
        (rows(200, constant, varying), "y", Task::Regression),
        (rows(200, varying, constant), "y", Task::Regression),
        (rows(5, varying, varying), "y", Task::Regression),
        (rows(200, constant, constant), "late", Task::BinaryClassification),
    ] {
        let data = data_of(rows, &["x"], label, task).unwrap();
        // Whether it can be trained is not the question here; each training is on a thread of its own, as in the product.
        let fitting = move || {
            drop(train(Trainer::GradientBoosting, &Params::new(), Fit { task, data: &data, valid: None, seed: 1, n_threads: 2 }))
        };
        std::thread::spawn(fitting).join().unwrap();
    }
    println!("trained");
}

#[test]
fn lightgbm_writes_nothing_to_standard_output() {
    let arguments = ["quiet::trains_on_degenerate_rows", "--exact", "--ignored", "--nocapture"];
    let output = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
    let (text, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("trained"), "{text}{talk}");
    assert!(!text.contains("LightGBM"), "{text}");
}
