//! One row and many rows give the same bits, whatever the buffers held before.

use lw_onnx::failures::ONNX_INPUT_MISMATCH;

use crate::golden::{give, load, n_rows};

#[test]
fn one_row_at_a_time_gives_the_same_bits_as_all_at_once() {
    for name in ["lightgbm_binary", "forest_classes", "columns_logistic", "columns_imputed", "linear_regression"] {
        let (evaluator, golden) = load(name);
        let n_rows = n_rows(&evaluator, &golden);
        let mut all = evaluator.scratch();
        give(&evaluator, &mut all, &golden, 0, n_rows);
        evaluator.run(&mut all).unwrap();
        let mut one = evaluator.scratch();
        for row in 0..n_rows {
            give(&evaluator, &mut one, &golden, row, row + 1);
            evaluator.run(&mut one).unwrap();
            for (index, column) in evaluator.outputs().iter().enumerate() {
                let (all, one) = (evaluator.output(&all, index).unwrap(), evaluator.output(&one, index).unwrap());
                for position in 0..column.width {
                    let at = row * column.width + position;
                    assert_eq!(
                        all.numbers().get(at).map(|x| x.to_bits()),
                        one.numbers().get(position).map(|x| x.to_bits()),
                        "{name}"
                    );
                    assert_eq!(all.text(at), one.text(position), "{name}");
                }
            }
        }
    }
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let (evaluator, _) = load("columns_logistic");
    let mut scratch = evaluator.scratch();
    scratch.start(2);
    let carrier = evaluator.input("carrier").unwrap();
    let distance = evaluator.input("distance").unwrap();
    assert!(evaluator.give_numbers(&mut scratch, carrier, [1.0, 2.0]).unwrap_err().is(ONNX_INPUT_MISMATCH));
    assert!(evaluator.give_texts(&mut scratch, distance, ["a", "b"]).unwrap_err().is(ONNX_INPUT_MISMATCH));
    let error = evaluator.give_numbers(&mut scratch, distance, [1.0]).unwrap_err();
    assert_eq!(error.message(), "input `distance` takes 1 values a row and is given 1 for 2 rows");
    let error = evaluator.run(&mut scratch).unwrap_err();
    assert!(error.is(ONNX_INPUT_MISMATCH) && error.message().contains("is not given"), "{error}");
    let error = evaluator.input("distanze").unwrap_err();
    assert_eq!(error.hint_text(), Some("did you mean `distance`?"));
}

#[test]
fn a_run_of_no_rows_gives_no_rows() {
    let (evaluator, golden) = load("columns_logistic");
    let mut scratch = evaluator.scratch();
    give(&evaluator, &mut scratch, &golden, 0, 0);
    evaluator.run(&mut scratch).unwrap();
    assert_eq!(evaluator.scores(&scratch).count(), 0);
}
