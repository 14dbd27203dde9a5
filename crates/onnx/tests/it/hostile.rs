//! Broken and malicious files end in an error: no panic, no endless loop, no huge allocation.

use lw_onnx::failures::{ONNX_EXTERNAL_DATA, ONNX_MALFORMED, ONNX_UNSUPPORTED};
use lw_onnx::message::{AttributeProto, Dimension, NodeProto, StringStringEntryProto, TensorProto};
use lw_onnx::{Element, Evaluator, GraphBuilder, Model, Tree, TreeNode};
use proptest::prelude::*;

use crate::golden::golden_path;

fn small_tree() -> Model {
    let mut graph = GraphBuilder::new("tree");
    let x = graph.input("x", Element::Float, 1);
    let split = |yes, no| TreeNode::Split { feature: 0, threshold: 0.5, missing_goes_yes: false, yes, no };
    let leaf = TreeNode::Leaf { value: 1.0 };
    let sum = graph.tree_regressor(&x, &[Tree { nodes: vec![split(1, 2), leaf, split(3, 4), leaf, leaf] }]).unwrap();
    graph.output("prediction", &sum, Element::Float, Some(1));
    graph.finish().unwrap()
}

/// Changes the messages of a model by way of its bytes, as an attacker would.
fn changed(model: &Model, change: impl FnOnce(&mut lw_onnx::message::GraphProto)) -> Vec<u8> {
    use prost::Message as _;
    let mut message = lw_onnx::message::ModelProto::decode(model.encode().as_slice()).unwrap();
    change(message.graph.as_mut().unwrap());
    message.encode_to_vec()
}

fn attribute<'a>(graph: &'a mut lw_onnx::message::GraphProto, name: &str) -> &'a mut AttributeProto {
    graph.node.iter_mut().flat_map(|node| &mut node.attribute).find(|attribute| attribute.name == name).unwrap()
}

#[track_caller]
fn check(change: impl FnOnce(&mut lw_onnx::message::GraphProto), failure: lw_core::Failure) {
    let bytes = changed(&small_tree(), change);
    let error = Model::decode(&bytes).and_then(|model| Evaluator::compile(&model)).unwrap_err();
    assert!(error.is(failure), "{error:?}");
    assert!(error.hint_text().is_some());
}

#[test]
fn trees_that_are_no_trees_are_refused() {
    check(|graph| attribute(graph, "nodes_truenodeids").ints[2] = 0, ONNX_MALFORMED);
    check(|graph| attribute(graph, "nodes_falsenodeids").ints[0] = 99, ONNX_MALFORMED);
    check(|graph| attribute(graph, "nodes_featureids").ints[0] = -1, ONNX_MALFORMED);
    check(|graph| attribute(graph, "nodes_featureids").ints[0] = 1 << 40, ONNX_MALFORMED);
    check(|graph| attribute(graph, "nodes_featureids").ints[0] = 5, ONNX_MALFORMED);
    check(|graph| attribute(graph, "nodes_nodeids").ints[4] = 3, ONNX_MALFORMED);
    check(|graph| attribute(graph, "nodes_values").floats.truncate(3), ONNX_MALFORMED);
    check(|graph| attribute(graph, "target_ids").ints[0] = 7, ONNX_MALFORMED);
    check(|graph| attribute(graph, "target_nodeids").ints[0] = 2, ONNX_MALFORMED);
    check(|graph| attribute(graph, "n_targets").i = Some(i64::MAX), ONNX_MALFORMED);
    check(|graph| attribute(graph, "nodes_values").floats[0] = f32::NAN, ONNX_MALFORMED);
    check(|graph| attribute(graph, "nodes_modes").strings[0] = b"BRANCH_EQ".to_vec(), ONNX_UNSUPPORTED);
    check(|graph| attribute(graph, "nodes_modes").strings[0] = vec![0xff], ONNX_MALFORMED);
}

#[test]
fn what_the_evaluator_does_not_know_is_unsupported() {
    check(|graph| graph.node[0].op_type = "SVMClassifier".to_owned(), ONNX_UNSUPPORTED);
    check(|graph| graph.node[0].domain = "com.example".to_owned(), ONNX_UNSUPPORTED);
    check(|graph| attribute(graph, "n_targets").name = "something_new".to_owned(), ONNX_UNSUPPORTED);
    check(|graph| graph.input[0].r#type = None, ONNX_UNSUPPORTED);
}

#[test]
fn graphs_that_contradict_themselves_are_refused() {
    check(|graph| graph.node[0].input[0] = "nothing".to_owned(), ONNX_MALFORMED);
    check(|graph| graph.node.swap(0, 1), ONNX_MALFORMED);
    check(|graph| graph.output[0].name = "nothing".to_owned(), ONNX_MALFORMED);
    check(|graph| graph.node[0].output[0] = "x".to_owned(), ONNX_MALFORMED);
    check(|graph| graph.output.clear(), ONNX_MALFORMED);
}

#[test]
fn huge_shapes_allocate_nothing() {
    let huge = |graph: &mut lw_onnx::message::GraphProto| {
        let dims = &mut graph.input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap().shape.as_mut().unwrap().dim;
        dims[1].value = Some(Dimension::Value(1 << 50));
    };
    check(huge, ONNX_UNSUPPORTED);
    let tensor = TensorProto { name: "c".to_owned(), dims: vec![1 << 40, 1 << 40], data_type: 1, ..TensorProto::default() };
    check(|graph| graph.initializer.push(tensor), ONNX_MALFORMED);
    // Each step doubles the columns: 2^60 at the end.
    check(
        |graph| {
            let mut last = "x".to_owned();
            for step in 0..60 {
                let next = format!("d{step}");
                let axis = AttributeProto { name: "axis".to_owned(), i: Some(1), r#type: 2, ..AttributeProto::default() };
                let node = NodeProto {
                    input: vec![last.clone(), last],
                    output: vec![next.clone()],
                    op_type: "Concat".to_owned(),
                    attribute: vec![axis],
                    ..NodeProto::default()
                };
                graph.node.push(node);
                last = next;
            }
        },
        ONNX_UNSUPPORTED,
    );
}

#[test]
fn weights_in_other_files_are_refused() {
    let location = StringStringEntryProto { key: "location".to_owned(), value: "/etc/passwd".to_owned() };
    let tensor = TensorProto { name: "w".to_owned(), external_data: vec![location], data_location: 1, ..TensorProto::default() };
    check(|graph| graph.initializer.push(tensor), ONNX_EXTERNAL_DATA);
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    for bytes in [&b""[..], b"hello", &[0xff; 64]] {
        assert!(Model::decode(bytes).unwrap_err().is(ONNX_MALFORMED));
    }
}

/// Runs whatever compiles; the only claim is that it comes back.
fn try_to_run(bytes: &[u8]) {
    let Ok(evaluator) = Model::decode(bytes).and_then(|model| Evaluator::compile(&model)) else {
        return;
    };
    let mut scratch = evaluator.scratch();
    scratch.start(17);
    for (index, column) in evaluator.inputs().iter().enumerate() {
        let given = match column.element {
            Element::Text => evaluator.give_texts(&mut scratch, index, std::iter::repeat_n("AA", 17 * column.width)),
            _ => evaluator.give_numbers(&mut scratch, index, std::iter::repeat_n(0.7, 17 * column.width)),
        };
        given.unwrap();
    }
    let _ = evaluator.run(&mut scratch);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_files_never_panic(
        name in prop::sample::select(vec!["columns_logistic", "columns_imputed", "one_tree", "tree_ensemble_5", "lightgbm_zipmap"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = std::fs::read(golden_path(&format!("{name}.onnx"))).unwrap();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        try_to_run(&bytes);
    }

    #[test]
    fn mutated_numbers_of_trees_never_panic(
        name in prop::sample::select(vec![
            "nodes_truenodeids", "nodes_falsenodeids", "nodes_featureids", "nodes_treeids", "nodes_nodeids", "target_ids", "target_nodeids",
        ]),
        position in 0..3_usize,
        value in prop_oneof![-2_i64..8, Just(i64::MAX), Just(i64::MIN)],
    ) {
        try_to_run(&changed(&small_tree(), |graph| attribute(graph, name).ints[position] = value));
    }
}
