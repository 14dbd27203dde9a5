//! The traps that feature stores have fallen into, one test each, and a comparison with the definition on random rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, LargeStringArray, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::Int32Type;
use lw_core::{Scalar, Span};
use lw_engine::failures::{BAD_POINT_IN_TIME, QUERY_EXHAUSTED};
use lw_engine::{KeyPair, OutputColumn, PitView, PointInTime, scalar_at};
use proptest::prelude::*;

use crate::support::{TestEngine, check_error, open, text};

fn key(spine: &str, view: &str) -> KeyPair {
    KeyPair { spine: spine.into(), view: view.into() }
}

fn output(column: &str, name: &str) -> OutputColumn {
    OutputColumn { column: column.into(), name: name.into() }
}

fn view(rows: Vec<RecordBatch>) -> PitView {
    PitView {
        name: "delays".into(),
        rows,
        keys: vec![key("k", "k")],
        event_time: "event".into(),
        known_time: None,
        ttl: None,
        strictly_before: false,
        columns: vec![output("x", "x")],
    }
}

fn request(spine: Vec<RecordBatch>, view: PitView) -> PointInTime {
    PointInTime { spine, time_column: "at".into(), views: vec![view] }
}

/// Rows from `(key, hour, …)` tuples as SQL VALUES; hours are timestamps on 2013-01-01.
async fn rows(test: &TestEngine, columns: &str, values: &str) -> Vec<RecordBatch> {
    test.rows(&format!("SELECT {columns} FROM (VALUES {values}) AS t(k, h, x, g)")).await
}

const AT: &str = "k, to_timestamp('2013-01-01T00:00:00Z') + h * INTERVAL '1 hour' AS at";
const EVENT: &str = "k, to_timestamp('2013-01-01T00:00:00Z') + h * INTERVAL '1 hour' AS event, x, \
                     to_timestamp('2013-01-01T00:00:00Z') + g * INTERVAL '1 hour' AS known";

/// Joins and gives the `x` of every spine row, comma-separated.
async fn answers(spine: &str, facts: &str, change: impl FnOnce(&mut PitView)) -> String {
    let test = TestEngine::new();
    let spine = rows(&test, AT, spine).await;
    let mut view = view(rows(&test, EVENT, facts).await);
    change(&mut view);
    let joined = test.engine.point_in_time(request(spine, view)).await.unwrap();
    let batch = concat_batches(&joined[0].schema(), &joined).unwrap();
    let column = batch.column_by_name("x").unwrap();
    let value = |row| match scalar_at(column, row).unwrap() {
        Scalar::Int(value) => value.to_string(),
        _ => "-".to_owned(),
    };
    (0..batch.num_rows()).map(value).collect::<Vec<_>>().join(",")
}

#[tokio::test]
async fn the_newest_row_at_or_before_the_time() {
    let facts = "('a', 1, 10, 0), ('a', 3, 30, 0), ('b', 2, 99, 0)";
    assert_eq!(answers("('a',0,0,0), ('a',1,0,0), ('a',2,0,0), ('a',3,0,0), ('a',9,0,0)", facts, |_| ()).await, "-,10,10,30,30");
    let strictly = answers("('a',1,0,0), ('a',2,0,0), ('a',3,0,0)", facts, |view| view.strictly_before = true).await;
    assert_eq!(strictly, "-,10,10");
}

#[tokio::test]
async fn order_and_duplicates_of_the_spine_are_kept() {
    let facts = "('a', 1, 10, 0), ('b', 1, 20, 0)";
    assert_eq!(answers("('b',5,0,0), ('a',5,0,0), ('b',5,0,0), ('c',5,0,0), ('a',0,0,0)", facts, |_| ()).await, "20,10,20,-,-");
}

#[tokio::test]
async fn the_ttl_is_inclusive() {
    let facts = "('a', 1, 10, 0)";
    let ttl = |hours: i64| move |view: &mut PitView| view.ttl = Some(Span::from_hours(hours));
    assert_eq!(answers("('a',3,0,0), ('a',4,0,0)", facts, ttl(2)).await, "10,-");
    assert_eq!(answers("('a',1,0,0), ('a',2,0,0)", facts, ttl(0)).await, "10,-");
}

#[tokio::test]
async fn a_null_value_is_not_filled_from_an_older_row() {
    assert_eq!(answers("('a',5,0,0)", "('a', 1, 10, 0), ('a', 2, NULL, 0)", |_| ()).await, "-");
}

#[tokio::test]
async fn nulls_in_keys_and_times_match_nothing() {
    let facts = "(NULL, 1, 10, 0), ('a', NULL, 20, 0)";
    assert_eq!(answers("(NULL,5,0,0), ('a',5,0,0), ('a',NULL,0,0)", facts, |_| ()).await, "-,-,-");
}

#[tokio::test]
async fn late_corrections_are_seen_only_once_they_are_known() {
    let known = |view: &mut PitView| view.known_time = Some("known".into());
    // The value of hour 1 was first 10, and corrected to 11 at hour 6; the one of hour 2 arrived at hour 4.
    let facts = "('a', 1, 10, 1), ('a', 1, 11, 6), ('a', 2, 20, 4)";
    assert_eq!(answers("('a',1,0,0), ('a',3,0,0), ('a',4,0,0), ('a',7,0,0)", facts, known).await, "10,10,20,20");
    assert_eq!(answers("('a',5,0,0), ('a',6,0,0)", "('a', 1, 10, 1), ('a', 1, 11, 6)", known).await, "10,11");
    // Nobody knows when it became known: never.
    assert_eq!(answers("('a',9,0,0)", "('a', 1, 10, NULL)", known).await, "-");
}

#[tokio::test]
async fn ties_go_to_the_later_known_and_then_to_the_later_row() {
    assert_eq!(answers("('a',5,0,0)", "('a', 1, 10, 0), ('a', 1, 11, 0)", |_| ()).await, "11");
    let known = |view: &mut PitView| view.known_time = Some("known".into());
    assert_eq!(answers("('a',5,0,0)", "('a', 1, 10, 3), ('a', 1, 11, 2)", known).await, "10");
}

#[tokio::test]
async fn keys_of_several_columns_do_not_run_together() {
    let test = TestEngine::new();
    let spine = test.rows("SELECT '1' AS a, '23' AS b, to_timestamp('2013-01-01T00:00:00Z') AS at").await;
    let facts = test.rows("SELECT '12' AS a, '3' AS b, to_timestamp('2013-01-01T00:00:00Z') AS event, 1 AS x").await;
    let mut view = view(facts);
    view.keys = vec![key("b", "b"), key("a", "a")];
    let joined = test.engine.point_in_time(request(spine, view)).await.unwrap();
    assert_eq!(text(&joined), "1,23,2013-01-01T00:00:00Z,");
}

#[tokio::test]
async fn views_with_other_keys_and_with_none_stand_in_the_order_of_the_request() {
    let test = TestEngine::new();
    let spine = test.rows("SELECT 'AA' AS carrier, 'JFK' AS origin, to_timestamp('2013-01-02T00:00:00Z') AS at").await;
    let facts = test
        .rows("SELECT 'JFK' AS origin, 'AA' AS carrier, to_timestamp('2013-01-01T00:00:00Z') AS event, 7 AS x, 's' AS y")
        .await;
    let base = view(facts);
    let views = vec![
        PitView { keys: vec![key("origin", "origin")], columns: vec![output("x", "o"), output("y", "p")], ..base.clone() },
        PitView { keys: vec![key("carrier", "carrier")], columns: vec![output("y", "c")], ..base.clone() },
        PitView { keys: vec![], columns: vec![output("event", "e")], ..base.clone() },
        PitView { keys: vec![key("origin", "origin")], columns: vec![output("x", "q")], ttl: Some(Span::from_hours(1)), ..base },
    ];
    let joined = test.engine.point_in_time(PointInTime { spine, time_column: "at".into(), views }).await.unwrap();
    let names: Vec<String> = joined[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["carrier", "origin", "at", "o", "p", "c", "e", "q"]);
    assert_eq!(text(&joined), "AA,JFK,2013-01-02T00:00:00Z,7,s,s,2013-01-01T00:00:00Z,");
}

#[tokio::test]
async fn keys_of_all_physical_forms_are_equal() {
    let test = TestEngine::new();
    let at = || Arc::new(TimestampMicrosecondArray::from(vec![5]).with_timezone("UTC")) as ArrayRef;
    let dictionary: DictionaryArray<Int32Type> = ["AA"].into_iter().collect();
    let spine = RecordBatch::try_from_iter([("k", Arc::new(dictionary) as ArrayRef), ("at", at())]).unwrap();
    let forms: [ArrayRef; 2] = [Arc::new(StringViewArray::from(vec!["AA"])), Arc::new(LargeStringArray::from(vec!["AA"]))];
    for form in forms {
        let facts = RecordBatch::try_from_iter([("k", form.clone()), ("event", at()), ("x", form)]).unwrap();
        let joined = test.engine.point_in_time(request(vec![spine.clone()], view(vec![facts]))).await.unwrap();
        assert_eq!(text(&joined), "AA,1970-01-01T00:00:00.000005Z,AA");
    }
}

#[tokio::test]
async fn unfit_requests_are_refused() {
    let test = TestEngine::new();
    let spine = rows(&test, AT, "('a', 1, 0, 0)").await;
    let facts = rows(&test, EVENT, "('a', 1, 10, 0)").await;
    let check = async |change: &dyn Fn(&mut PitView), message: &str, hint: &str| {
        let mut view = view(facts.clone());
        change(&mut view);
        let error = test.engine.point_in_time(request(spine.clone(), view)).await.unwrap_err();
        check_error(&error, BAD_POINT_IN_TIME, message, hint);
    };
    check(&|view| view.columns[0].column = "xx".into(), "view `delays`: the view has no column `xx`", "`x`").await;
    check(&|view| view.columns[0].name = "at".into(), "already has a column `at`", "alias").await;
    check(&|view| view.keys[0].view = "x".into(), "`k` is string and `x` is int64", "CAST").await;
    check(&|view| view.event_time = "x".into(), "`x` of the view is a int64", "zone").await;
    check(&|view| view.rows.clear(), "no batches", "empty batch").await;
    let naive = test.rows("SELECT 'a' AS k, 1.5 AS f").await;
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1]));
    let naive = RecordBatch::try_from_iter([("k", naive[0].column(0).clone()), ("at", at)]).unwrap();
    let error = test.engine.point_in_time(request(vec![naive], view(facts.clone()))).await.unwrap_err();
    check_error(&error, BAD_POINT_IN_TIME, "timestamp without a zone", "AT TIME ZONE");
}

#[tokio::test]
async fn an_empty_view_or_spine_is_fine() {
    assert_eq!(answers("('a',1,0,0)", "('a', 1, 10, 0)", |view| view.rows[0] = view.rows[0].slice(0, 0)).await, "-");
    let test = TestEngine::new();
    let facts = rows(&test, EVENT, "('a', 1, 10, 0)").await;
    assert!(test.engine.point_in_time(request(vec![], view(facts.clone()))).await.unwrap().is_empty());
    let empty = rows(&test, AT, "('a', 1, 0, 0)").await[0].slice(0, 0);
    let joined = test.engine.point_in_time(request(vec![empty], view(facts))).await.unwrap();
    assert_eq!((joined[0].num_rows(), joined[0].num_columns()), (0, 3));
}

#[tokio::test]
async fn too_little_memory_is_an_error() {
    let test = TestEngine::new();
    let many = "SELECT CAST(n AS VARCHAR) AS k, to_timestamp('2013-01-01T00:00:00Z') AS at, \
                to_timestamp('2013-01-01T00:00:00Z') AS event, n AS x FROM (SELECT unnest(range(0, 200000)) AS n)";
    let rows = test.rows(many).await;
    let small = open(test.directory.path(), 1 << 20);
    let error = small.point_in_time(request(rows.clone(), view_named(rows, "y"))).await.unwrap_err();
    assert!(error.is(QUERY_EXHAUSTED), "{error:?}");
}

fn view_named(rows: Vec<RecordBatch>, name: &str) -> PitView {
    PitView { columns: vec![output("x", name)], ..view(rows) }
}

/// A spine row or a fact with small numbers for key and times, so that everything collides with everything.
type Row = (Option<i64>, Option<i64>, Option<i64>);

fn batch(rows: &[Row], times: (&str, &str)) -> RecordBatch {
    let time = |values: Vec<Option<i64>>| Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC")) as ArrayRef;
    RecordBatch::try_from_iter([
        ("k", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.0))) as ArrayRef),
        (times.0, time(rows.iter().map(|row| row.1).collect())),
        (times.1, time(rows.iter().map(|row| row.2).collect())),
        ("x", Arc::new(Float64Array::from_iter_values((0..rows.len()).map(|index| index as f64)))),
    ])
    .unwrap()
}

fn naive(spine: &Row, facts: &[Row], ttl: Option<i64>, strictly_before: bool, bitemporal: bool) -> Option<f64> {
    let (key, at) = (spine.0?, spine.1?);
    let mut best: Option<(i64, i64, usize)> = None;
    for (sequence, fact) in facts.iter().enumerate() {
        let (Some(fact_key), Some(event), known) = (fact.0, fact.1, if bitemporal { fact.2 } else { fact.1 }) else { continue };
        let Some(known) = known else { continue };
        let happened = if strictly_before { event < at } else { event <= at };
        if fact_key == key && happened && known <= at {
            best = best.max(Some((event, known, sequence)));
        }
    }
    let (event, _, sequence) = best?;
    ttl.is_none_or(|ttl| at - event <= ttl).then_some(sequence as f64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_join_is_its_definition(
        spine in prop::collection::vec((prop::option::weighted(0.9, 0_i64..5), prop::option::weighted(0.9, 0_i64..20), Just(None)), 0..60),
        facts in prop::collection::vec((prop::option::weighted(0.9, 0_i64..5), prop::option::weighted(0.9, 0_i64..20), prop::option::weighted(0.9, 0_i64..25)), 0..60),
        ttl in prop::option::of(0_i64..10),
        strictly_before: bool,
        bitemporal: bool,
        cut in 0_usize..60,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let test = TestEngine::new();
        let split = |batch: RecordBatch| {
            let at = cut.min(batch.num_rows());
            vec![batch.slice(0, at), batch.slice(at, batch.num_rows() - at)]
        };
        let view = PitView {
            known_time: bitemporal.then(|| "known".to_owned()),
            ttl: ttl.map(Span::from_micros),
            strictly_before,
            columns: vec![output("x", "answer")],
            ..view(split(batch(&facts, ("event", "known"))))
        };
        let joined = runtime.block_on(test.engine.point_in_time(request(split(batch(&spine, ("at", "unused"))), view))).unwrap();
        let joined = concat_batches(&joined[0].schema(), &joined).unwrap();
        let column = joined.column_by_name("answer").unwrap();
        for (index, row) in spine.iter().enumerate() {
            let want = naive(row, &facts, ttl, strictly_before, bitemporal);
            prop_assert_eq!(scalar_at(column, index).unwrap().as_f64(), want, "spine row {}", index);
        }
    }
}
