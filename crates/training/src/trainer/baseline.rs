//! One answer for all rows.

use std::collections::BTreeMap;

use lw_core::Result;
use lw_onnx::{Element, Value};
use lw_stats::Task;

use super::Fit;
use super::export::{Export, answer};
use crate::data::Values;
use crate::definition::{Params, Trainer};
use crate::params::expect_known;
use crate::trained::{N_PARITY_ROWS, Trained, outputs, prove};

/// A share of positives is kept this far from 0 and 1, where the log-odds end.
const MIN_SHARE: f64 = 1e-6;

pub(super) fn train(params: &Params, fit: Fit<'_>) -> Result<Trained> {
    expect_known("baseline", params, &[])?;
    let mean = fit.data.mean_label();
    let score = match fit.task {
        Task::BinaryClassification => {
            let share = mean.clamp(MIN_SHARE, 1.0 - MIN_SHARE);
            (share / (1.0 - share)).ln()
        }
        Task::Regression => mean,
    };
    let mut export = Export::new(Trainer::Baseline, fit.data);
    let constant = constant_column(&mut export, fit, score as f32);
    let onnx = export.finish(fit.task, &constant)?;
    let sample = fit.data.slice(0..fit.data.n_rows().min(N_PARITY_ROWS));
    let native = vec![answer(fit.task, score); sample.n_rows()];
    Ok(Trained {
        trainer: Trainer::Baseline,
        parity: Some(prove(&onnx, &sample, &native, 1e-6)?),
        onnx,
        inputs: fit.data.inputs(),
        outputs: outputs(fit.task),
        params: Params::new(),
        seed: fit.seed,
        n_rows: fit.data.n_rows() as u64,
        rounds: Vec::new(),
        importances: Vec::new(),
        libraries: BTreeMap::new(),
    })
}

/// The same number for each row. It must come out of an input, or it would have one row only.
fn constant_column(export: &mut Export, fit: Fit<'_>, number: f32) -> Value {
    let first = export.inputs[0].clone();
    match fit.data.features[0].values {
        Values::Texts { .. } => export.graph.encode_texts(&first, &[(String::new(), number)], number),
        Values::Numbers(_) => {
            // Whether it is missing is 0 or 1 whatever the input, infinity included; nothing of it is left.
            let missing = export.graph.operator("", "IsNaN", &[&first], Vec::new());
            let missing = export.graph.cast(&missing, Element::Float);
            let (zero, constant) = (export.graph.constant(&[0.0]), export.graph.constant(&[number]));
            let nothing = export.graph.multiply(&missing, &zero);
            export.graph.add(&nothing, &constant)
        }
    }
}
