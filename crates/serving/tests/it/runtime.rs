//! Both runtimes against what the original libraries predicted (the golden models of `crates/onnx`).

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::Float64Type;
use lw_core::{DataType, Digest, Timestamp};
use lw_onnx::Element;
use lw_serving::{Bundle, ModelInput, Output, RequestField, RuntimeChoice, Scorer, failures, onnxruntime_library};
use serde_json::Value;

fn golden(name: &str, extension: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../onnx/tests/golden/{name}.{extension}"))
}

struct Golden {
    bundle: Bundle,
    model: Vec<u8>,
    columns: Vec<ArrayRef>,
    scores: Vec<f64>,
}

/// Reads a golden model. A matrix of k columns becomes the inputs `x0` … `xk`.
fn read(name: &str, output: Output) -> Golden {
    let text = std::fs::read_to_string(golden(name, "json")).unwrap();
    let record: Value = serde_json::from_str(&text).unwrap();
    let model = std::fs::read(golden(name, "onnx")).unwrap();
    let ports = lw_onnx::Model::decode(&model).unwrap().inputs();
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for port in &ports {
        let cells = record["inputs"][&port.name].as_array().unwrap();
        let width = port.width.unwrap_or(1);
        for column in 0..width {
            let values = cells.iter().skip(column).step_by(width);
            let (array, data_type): (ArrayRef, _) = match port.element {
                Some(Element::Text) => (Arc::new(values.map(Value::as_str).collect::<StringArray>()), DataType::String),
                Some(Element::Int64) => (Arc::new(values.map(Value::as_i64).collect::<Int64Array>()), DataType::Int64),
                _ => (Arc::new(values.map(Value::as_f64).collect::<Float64Array>()), DataType::Float64),
            };
            let name = if width == 1 { port.name.clone() } else { format!("{}{column}", port.name) };
            fields.push((name, data_type));
            columns.push(array);
        }
    }
    let n_rows = columns[0].len();
    let key = record["outputs"].as_object().unwrap().keys().find(|key| !key.contains("label")).unwrap();
    let values: Vec<f64> = record["outputs"][key].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    let width = values.len() / n_rows;
    let scores = values.iter().skip(width - 1).step_by(width).copied().collect();
    let bundle = Bundle {
        model: crate::world::name("golden"),
        version: 1,
        artifact: Digest::of(&model),
        id: None,
        request: fields
            .iter()
            .map(|(name, data_type)| RequestField { name: name.clone(), data_type: *data_type, required: false })
            .collect(),
        features: vec![],
        expressions: vec![],
        inputs: fields.into_iter().map(|(name, data_type)| ModelInput { name, data_type }).collect(),
        output,
    };
    Golden { bundle, model, columns, scores }
}

#[track_caller]
fn check(name: &str, output: Output, choice: RuntimeChoice, runtime: &str) {
    let golden = read(name, output);
    let scorer = Scorer::load(golden.bundle, &golden.model, vec![], choice).unwrap();
    assert_eq!(scorer.runtime(), runtime, "{name}");
    let scored = scorer.score(&golden.columns, golden.scores.len(), Timestamp::from_micros(0)).unwrap();
    for (row, (found, wanted)) in scored.scores.iter().zip(&golden.scores).enumerate() {
        assert!((found - wanted).abs() <= 2e-6 * wanted.abs().max(1.0), "{name} row {row}: {found} is not {wanted}");
    }
    assert_eq!(scored.logged.len(), golden.columns.len());
    if let Some(first) = scored.logged[0].as_primitive_opt::<Float64Type>() {
        assert_eq!(first, golden.columns[0].as_primitive::<Float64Type>(), "inputs are logged as they were given");
    }
}

const PROBABILITY: Output = Output::Probability { threshold: 0.5 };
const CLASSIFIERS: [&str; 5] = ["columns_logistic", "lightgbm_binary", "gradient_boosting", "forest_binary", "scaled_logistic"];
const REGRESSORS: [&str; 3] = ["lightgbm_regression", "forest_regression", "linear_regression"];

#[test]
fn the_native_evaluator_answers_as_the_original() {
    CLASSIFIERS.iter().for_each(|name| check(name, PROBABILITY, RuntimeChoice::Fitting, "native"));
    REGRESSORS.iter().for_each(|name| check(name, Output::Value, RuntimeChoice::Fitting, "native"));
}

/// Finds the wheel of the tests' Python environment, as a user's project finds its own.
fn has_onnxruntime() -> bool {
    std::env::set_current_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    match onnxruntime_library() {
        Ok(_) => true,
        Err(error) => {
            assert!(error.is(failures::RUNTIME_MISSING) && error.hint_text().unwrap().contains("pip install onnxruntime"));
            let golden = read("forest_binary", PROBABILITY);
            let loaded = Scorer::load(golden.bundle, &golden.model, vec![], RuntimeChoice::OnnxRuntime);
            assert!(loaded.err().unwrap().is(failures::RUNTIME_MISSING));
            false
        }
    }
}

#[test]
fn onnx_runtime_answers_as_the_original() {
    if !has_onnxruntime() {
        return;
    }
    let onnxruntime = |name: &&str, output| check(name, output, RuntimeChoice::OnnxRuntime, "onnxruntime");
    CLASSIFIERS.iter().for_each(|name| onnxruntime(name, PROBABILITY));
    onnxruntime(&"lightgbm_zipmap", PROBABILITY);
    REGRESSORS.iter().for_each(|name| onnxruntime(name, Output::Value));
}

#[test]
fn operators_that_the_native_evaluator_lacks_go_to_onnx_runtime() {
    if !has_onnxruntime() {
        return;
    }
    let mut graph = lw_onnx::GraphBuilder::new("erf");
    let x = graph.input("x", Element::Float, 1);
    let erf = graph.operator("", "Erf", &[&x], Vec::new());
    graph.output("value", &erf, Element::Float, Some(1));
    let model = graph.finish().unwrap().encode();
    let mut bundle = read("linear_regression", Output::Value).bundle;
    bundle.request = vec![RequestField { name: "x".to_owned(), data_type: DataType::Float64, required: true }];
    bundle.inputs = vec![ModelInput { name: "x".to_owned(), data_type: DataType::Float64 }];
    let scorer = Scorer::load(bundle, &model, vec![], RuntimeChoice::Fitting).unwrap();
    assert_eq!(scorer.runtime(), "onnxruntime");
    let column: ArrayRef = Arc::new(Float64Array::from(vec![0.0, 1.0]));
    let scored = scorer.score(&[column], 2, Timestamp::from_micros(0)).unwrap();
    assert!(scored.scores[0].abs() < 1e-7 && (scored.scores[1] - 0.842_700_79).abs() < 1e-6, "{:?}", scored.scores);
}
