//! Models that LightGBM and scikit-learn trained, with what ONNX Runtime and the libraries themselves predict.
//! Written by tests/oracles/onnx_models.py.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lw_onnx::message::{AttributeProto, ModelProto, ValueInfoProto};
use lw_onnx::{Element, Evaluator, GraphBuilder, Model, Scratch};
use prost::Message as _;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub struct Golden {
    pub inputs: BTreeMap<String, Vec<Value>>,
    pub outputs: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    pub original: Vec<f64>,
}

pub fn golden_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub fn load(name: &str) -> (Evaluator, Golden) {
    let model = Model::decode(&std::fs::read(golden_path(&format!("{name}.onnx"))).unwrap()).unwrap();
    let golden = serde_json::from_slice(&std::fs::read(golden_path(&format!("{name}.json"))).unwrap()).unwrap();
    (Evaluator::compile(&model).unwrap(), golden)
}

/// Gives the rows from `start` to `end` of the recorded inputs.
pub fn give(evaluator: &Evaluator, scratch: &mut Scratch, golden: &Golden, start: usize, end: usize) {
    scratch.start(end - start);
    for (index, column) in evaluator.inputs().iter().enumerate() {
        let values = &golden.inputs[&column.name][start * column.width..end * column.width];
        match column.element {
            Element::Text => evaluator.give_texts(scratch, index, values.iter().map(|value| value.as_str().unwrap())),
            _ => evaluator.give_numbers(scratch, index, values.iter().map(|value| value.as_f64().unwrap_or(f64::NAN))),
        }
        .unwrap();
    }
}

pub fn n_rows(evaluator: &Evaluator, golden: &Golden) -> usize {
    let first = &evaluator.inputs()[0];
    golden.inputs[&first.name].len() / first.width
}

#[track_caller]
pub fn assert_near(found: f64, wanted: f64, tolerance: f64, what: &str) {
    assert!((found - wanted).abs() <= tolerance * wanted.abs().max(1.0), "{what}: {found} is not {wanted}");
}

#[track_caller]
fn check(name: &str) {
    let (evaluator, golden) = load(name);
    let mut scratch = evaluator.scratch();
    give(&evaluator, &mut scratch, &golden, 0, n_rows(&evaluator, &golden));
    evaluator.run(&mut scratch).unwrap();
    assert!(!evaluator.outputs().is_empty());
    for (index, column) in evaluator.outputs().iter().enumerate() {
        let wanted = &golden.outputs[&column.name];
        let output = evaluator.output(&scratch, index).unwrap();
        assert_eq!(output.len(), wanted.len(), "{name}.{}", column.name);
        for (position, value) in wanted.iter().enumerate() {
            let what = format!("{name}.{}[{position}]", column.name);
            match value {
                Value::String(text) => assert_eq!(output.text(position), Some(text.as_str()), "{what}"),
                number => assert_near(output.numbers()[position], number.as_f64().unwrap(), 1e-6, &what),
            }
        }
    }
    check_original(name, &evaluator, &scratch, &golden);
}

/// The scores are those of the library that trained the model, too.
#[track_caller]
fn check_original(name: &str, evaluator: &Evaluator, scratch: &Scratch, golden: &Golden) {
    let index = evaluator.outputs().iter().position(|column| column.element == Element::Float).unwrap();
    let found = evaluator.output(scratch, index).unwrap().numbers();
    for (position, (found, wanted)) in found.iter().zip(&golden.original).enumerate() {
        assert_near(*found, *wanted, 1e-6, &format!("{name} original[{position}]"));
    }
}

#[test]
fn lightgbm_models_predict_as_in_their_library() {
    check("lightgbm_binary");
    check("lightgbm_zipmap");
    check("lightgbm_regression");
    check("lightgbm_classes");
}

#[test]
fn scikit_learn_models_predict_as_in_their_library() {
    for name in [
        "forest_binary",
        "forest_classes",
        "forest_regression",
        "gradient_boosting",
        "one_tree",
        "scaled_logistic",
        "logistic_classes",
        "linear_regression",
        "scaled_forest",
    ] {
        check(name);
    }
}

#[test]
fn models_over_columns_of_text_predict_as_in_their_library() {
    check("columns_logistic");
    check("columns_imputed");
}

#[test]
fn the_merged_tree_operator_predicts_as_in_onnx_runtime() {
    check("tree_ensemble_5");
}

#[test]
fn a_binary_model_has_a_score_and_a_zipmap_names_the_classes() {
    let (evaluator, golden) = load("columns_logistic");
    let score = evaluator.score().unwrap();
    assert!(score.is_probability && score.column == 1);
    assert_eq!(evaluator.classes(), Some(&lw_onnx::Classes::Integers(vec![0, 1])));
    let mut scratch = evaluator.scratch();
    give(&evaluator, &mut scratch, &golden, 0, 3);
    evaluator.run(&mut scratch).unwrap();
    let scores: Vec<f64> = evaluator.scores(&scratch).collect();
    assert_eq!(scores.len(), 3);
    assert_near(scores[2], golden.original[5], 1e-6, "score of row 2");
}

#[derive(Deserialize)]
struct Corner {
    post_transform: String,
    base: Vec<f32>,
    labels: Vec<i64>,
    nodes: Vec<i64>,
    ids: Vec<i64>,
    weights: Vec<f32>,
    label: Vec<f64>,
    scores: Vec<f64>,
}

impl Corner {
    /// One split of one column, and leaves with these weights.
    fn model(&self) -> Model {
        let ints = |name: &str, ints: &[i64]| AttributeProto { name: name.into(), ints: ints.into(), ..Default::default() };
        let floats =
            |name: &str, floats: &[f32]| AttributeProto { name: name.into(), floats: floats.into(), ..Default::default() };
        let modes = ["BRANCH_LEQ", "LEAF", "LEAF"].map(|mode| mode.as_bytes().to_vec());
        let attributes = vec![
            ints("nodes_treeids", &[0, 0, 0]),
            ints("nodes_nodeids", &[0, 1, 2]),
            ints("nodes_featureids", &[0, 0, 0]),
            AttributeProto { name: "nodes_modes".into(), strings: modes.into(), ..Default::default() },
            floats("nodes_values", &[0.0, 0.0, 0.0]),
            ints("nodes_truenodeids", &[1, 0, 0]),
            ints("nodes_falsenodeids", &[2, 0, 0]),
            ints("class_treeids", &vec![0; self.ids.len()]),
            ints("class_nodeids", &self.nodes),
            ints("class_ids", &self.ids),
            floats("class_weights", &self.weights),
            floats("base_values", &self.base),
            ints("classlabels_int64s", &self.labels),
            AttributeProto {
                name: "post_transform".into(),
                s: Some(self.post_transform.clone().into_bytes()),
                ..Default::default()
            },
        ];
        let mut graph = GraphBuilder::new("corner");
        let x = graph.input("x", Element::Float, 1);
        let scores = graph.operator("ai.onnx.ml", "TreeEnsembleClassifier", &[&x], attributes);
        graph.output("scores", &scores, Element::Float, Some(self.labels.len()));
        let mut message = ModelProto::decode(graph.finish().unwrap().encode().as_slice()).unwrap();
        // The builder gives an operator one output: name the label beside it, and the scores what the graph calls them.
        let inner = message.graph.as_mut().unwrap();
        let scores = std::mem::replace(&mut inner.node[0].output[0], "label".to_owned());
        inner.node[0].output.push(scores);
        inner.output.insert(0, ValueInfoProto { name: "label".to_owned(), r#type: None });
        Model::decode(&message.encode_to_vec()).unwrap()
    }
}

#[test]
fn labels_and_scores_of_two_classes_follow_onnx_runtime_where_the_specification_is_silent() {
    let corners: Vec<Corner> = serde_json::from_slice(&std::fs::read(golden_path("corners/two_classes.json")).unwrap()).unwrap();
    assert!(corners.len() > 90);
    for (index, corner) in corners.iter().enumerate() {
        let evaluator = Evaluator::compile(&corner.model()).unwrap();
        let mut scratch = evaluator.scratch();
        scratch.start(3);
        evaluator.give_numbers(&mut scratch, 0, [-1.0, 1.0, f64::NAN]).unwrap();
        evaluator.run(&mut scratch).unwrap();
        assert_eq!(evaluator.output(&scratch, 0).unwrap().numbers(), corner.label, "labels of case {index}");
        for (found, wanted) in evaluator.output(&scratch, 1).unwrap().numbers().iter().zip(&corner.scores) {
            assert_near(*found, *wanted, 1e-6, &format!("scores of case {index}"));
        }
    }
}
