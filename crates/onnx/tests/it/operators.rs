//! Single operators on values worked out by hand.

use lw_onnx::{Element, Evaluator, GraphBuilder, Value};

/// Runs one input `x` of `width` columns through `build` and returns the numbers of the result.
#[track_caller]
fn check(width: usize, x: &[f64], build: impl FnOnce(&mut GraphBuilder, &Value) -> Value, wanted: &[f64]) {
    let mut graph = GraphBuilder::new("one");
    let input = graph.input("x", Element::Float, width);
    let value = build(&mut graph, &input);
    graph.output("y", &value, Element::Float, Some(1));
    let evaluator = Evaluator::compile(&graph.finish().unwrap()).unwrap();
    let mut scratch = evaluator.scratch();
    scratch.start(x.len() / width);
    evaluator.give_numbers(&mut scratch, 0, x.iter().copied()).unwrap();
    evaluator.run(&mut scratch).unwrap();
    let found = evaluator.output(&scratch, 0).unwrap().numbers();
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
    }
}

#[test]
fn numbers_stretch_over_each_other() {
    check(
        2,
        &[1.0, 2.0, 3.0, 4.0],
        |g, x| {
            let c = g.constant(&[10.0, 20.0]);
            g.add(x, &c)
        },
        &[11.0, 22.0, 13.0, 24.0],
    );
    check(
        1,
        &[1.0, 2.0],
        |g, x| {
            let c = g.constant(&[10.0, 20.0]);
            g.multiply(x, &c)
        },
        &[10.0, 20.0, 20.0, 40.0],
    );
    check(
        1,
        &[1.0, 2.0],
        |g, x| {
            let c = g.constant(&[1.5]);
            g.greater(x, &c)
        },
        &[0.0, 1.0],
    );
    check(
        1,
        &[1.0, 2.0],
        |g, x| {
            let c = g.constant(&[1.5]);
            g.subtract(&c, x)
        },
        &[0.5, -0.5],
    );
}

#[test]
fn columns_are_scaled_filled_and_joined() {
    check(2, &[1.0, 2.0, 3.0, 4.0], |g, x| g.scale(x, &[1.0, 2.0], &[0.5, 2.0]), &[0.0, 0.0, 1.0, 4.0]);
    check(2, &[f64::NAN, 2.0, 3.0, f64::NAN], |g, x| g.impute(x, &[7.0, 8.0]), &[7.0, 2.0, 3.0, 8.0]);
    check(1, &[1.0, 2.0], |g, x| g.concat(&[x, x, x]), &[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    check(2, &[1.0, 2.0], |g, x| g.linear_regressor(x, &[3.0, 0.5], 0.25), &[4.25]);
}

#[test]
fn rows_become_probabilities() {
    check(1, &[0.0, -800.0, 800.0], |g, x| g.sigmoid(x), &[0.5, 0.0, 1.0]);
    check(2, &[0.0, 0.0, 1000.0, 0.0], |g, x| g.softmax(x), &[0.5, 0.5, 1.0, 0.0]);
    check(1, &[0.0, 3.0], |g, x| g.two_classes(x).1, &[0.5, 0.5, 1.0 / (1.0 + 3.0_f64.exp()), 1.0 / (1.0 + (-3.0_f64).exp())]);
}

#[test]
fn texts_are_encoded() {
    let mut graph = GraphBuilder::new("texts");
    let carrier = graph.input("carrier", Element::Text, 1);
    let number = graph.encode_texts(&carrier, &[("AA".into(), 1.5), ("ÆØ".into(), 2.5)], -1.0);
    let columns = graph.one_hot(&carrier, &["ÆØ".into(), "AA".into()]);
    let both = graph.concat(&[&number, &columns]);
    graph.output("y", &both, Element::Float, Some(3));
    let evaluator = Evaluator::compile(&graph.finish().unwrap()).unwrap();
    let mut scratch = evaluator.scratch();
    scratch.start(3);
    evaluator.give_texts(&mut scratch, 0, ["ÆØ", "", "AA"]).unwrap();
    evaluator.run(&mut scratch).unwrap();
    assert_eq!(evaluator.output(&scratch, 0).unwrap().numbers(), [2.5, 1.0, 0.0, -1.0, 0.0, 0.0, 1.5, 0.0, 1.0]);
}

#[test]
fn a_feature_named_like_an_output_is_refused() {
    let mut graph = GraphBuilder::new("clash");
    let x = graph.input("label", Element::Float, 1);
    graph.output("label", &x, Element::Float, Some(1));
    assert!(graph.finish().unwrap_err().message().contains("`label`"));
}
