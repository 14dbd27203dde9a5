//! What the writer emits, and what ONNX Runtime predicts with it.
//!
//! The files under golden/emitted are the writer's own (`LOOPWRIGHT_BLESS=1 cargo test -p lw-onnx emitted` writes them anew), the
//! predictions beside them come from ONNX Runtime (tests/oracles/onnx_emitted.py).

use lw_onnx::{Element, Evaluator, GraphBuilder, Model, Tree, TreeNode, Value};

use crate::golden::{assert_near, give, golden_path, load, n_rows};

fn inputs(graph: &mut GraphBuilder) -> Value {
    let names = ["hour", "distance", "delay"];
    let numbers: Vec<Value> = names.iter().map(|name| graph.input(name, Element::Float, 1)).collect();
    let carrier = graph.input("carrier", Element::Text, 1);
    let carrier = graph.encode_texts(&carrier, &[("AA".into(), 0.21), ("Zürich".into(), 0.35)], 0.25);
    graph.concat(&[&numbers[0], &numbers[1], &numbers[2], &carrier])
}

/// A complete tree of three levels over all four columns, with thresholds that differ from tree to tree.
fn tree(seed: usize) -> Tree {
    let thresholds = [[12.0, 800.0, 10.0, 0.3], [6.0, 1500.0, -3.5, 0.22], [18.0, 333.3, 0.0, 0.26]][seed % 3];
    let mut nodes: Vec<TreeNode> = (0..3)
        .map(|at| {
            let feature = (at + seed) % 4;
            let threshold = thresholds[feature];
            TreeNode::Split {
                feature,
                threshold,
                missing_goes_yes: (at + seed).is_multiple_of(2),
                yes: 2 * at + 1,
                no: 2 * at + 2,
            }
        })
        .collect();
    nodes.extend((0..4).map(|leaf| TreeNode::Leaf { value: ((leaf * 7 + seed * 3) % 11) as f32 / 7.0 - 0.6 }));
    Tree { nodes }
}

fn boosting() -> Model {
    let mut graph = GraphBuilder::new("boosting");
    let features = inputs(&mut graph);
    let trees: Vec<Tree> = (0..9).map(tree).chain([Tree { nodes: vec![TreeNode::Leaf { value: 0.125 }] }]).collect();
    let log_odds = graph.tree_regressor(&features, &trees).unwrap();
    let (label, probabilities) = graph.two_classes(&log_odds);
    graph.output("label", &label, Element::Int64, None);
    graph.output("probabilities", &probabilities, Element::Float, Some(2));
    graph.metadata("loopwright.trainer", "gradient_boosting");
    graph.finish().unwrap()
}

fn classes() -> Model {
    let mut graph = GraphBuilder::new("classes");
    let features = inputs(&mut graph);
    let trees: Vec<Tree> = (0..9).map(tree).collect();
    let (label, probabilities) = graph.tree_classifier(&features, &trees, 3).unwrap();
    graph.output("label", &label, Element::Int64, None);
    graph.output("probabilities", &probabilities, Element::Float, Some(3));
    graph.finish().unwrap()
}

fn logistic() -> Model {
    let mut graph = GraphBuilder::new("logistic");
    let hour = graph.input("hour", Element::Float, 1);
    let delay = graph.input("delay", Element::Float, 1);
    let carrier = graph.input("carrier", Element::Text, 1);
    let columns = graph.one_hot(&carrier, &["AA".into(), "Zürich".into()]);
    let numbers = graph.concat(&[&hour, &delay]);
    let filled = graph.impute(&numbers, &[12.5, 3.0]);
    let scaled = graph.scale(&filled, &[12.0, 4.0], &[0.2, 0.05]);
    let features = graph.concat(&[&scaled, &columns]);
    let log_odds = graph.linear_regressor(&features, &[0.5, 1.25, -0.3, 0.4], -0.75);
    let (label, probabilities) = graph.two_classes(&log_odds);
    graph.output("label", &label, Element::Int64, None);
    graph.output("probabilities", &probabilities, Element::Float, Some(2));
    graph.finish().unwrap()
}

#[track_caller]
fn check(name: &str, model: &Model) {
    let path = golden_path(&format!("emitted/{name}.onnx"));
    let bytes = model.encode();
    if std::env::var_os("LOOPWRIGHT_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        return;
    }
    assert_eq!(
        std::fs::read(&path).unwrap(),
        bytes,
        "the writer emits other bytes for {name}: bless them and run the oracle again"
    );
    assert_eq!(Model::decode(&bytes).unwrap().encode(), bytes);

    let (evaluator, golden) = load(&format!("emitted/{name}"));
    let mut scratch = evaluator.scratch();
    give(&evaluator, &mut scratch, &golden, 0, n_rows(&evaluator, &golden));
    evaluator.run(&mut scratch).unwrap();
    for (index, column) in evaluator.outputs().iter().enumerate() {
        let found = evaluator.output(&scratch, index).unwrap().numbers();
        let wanted = &golden.outputs[&column.name];
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            assert_near(*found, wanted.as_f64().unwrap(), 1e-6, &format!("{name}.{}", column.name));
        }
    }
}

#[test]
fn onnx_runtime_predicts_the_same_with_emitted_models() {
    check("boosting", &boosting());
    check("classes", &classes());
    check("logistic", &logistic());
}

#[test]
fn an_emitted_model_carries_its_metadata() {
    let model = boosting();
    assert_eq!(model.metadata("loopwright.trainer"), Some("gradient_boosting"));
    assert!(model.producer().starts_with("loopwright "));
    assert_eq!(Evaluator::compile(&model).unwrap().inputs().len(), 4);
}
