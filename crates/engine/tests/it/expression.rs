use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use lw_core::Scalar;
use lw_engine::failures::{BAD_SQL, QUERY_FAILED, SQL_NOT_ALLOWED, SQL_TYPE_MISMATCH, UNKNOWN_COLUMN};
use lw_engine::{Expression, ExpressionSet, batch_from_rows, scalar_at};

use crate::support::check_error;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("carrier", DataType::Utf8, true),
        Field::new("scheduled_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("distance", DataType::Float64, true),
        Field::new("unused", DataType::Int64, true),
    ]))
}

fn row(carrier: &str, distance: f64) -> Vec<Scalar> {
    vec![carrier.into(), "2013-07-01T03:00:00Z".into(), distance.into(), Scalar::Null]
}

fn set(expressions: &[(&str, &str)]) -> Result<ExpressionSet, lw_core::Error> {
    let owned: Vec<_> = expressions.iter().map(|(name, sql)| (name.to_string(), sql.to_string())).collect();
    ExpressionSet::compile(&owned, &schema())
}

const EXPRESSIONS: [(&str, &str); 5] = [
    ("scheduled_local", "to_local_time(scheduled_at AT TIME ZONE 'America/New_York')"),
    ("hour", "CAST(date_part('hour', scheduled_local) AS INT)"),
    ("is_night", "hour >= 22 OR hour < 6"),
    ("distance_band", "CASE WHEN distance < 500 THEN 'short' WHEN distance < 1500 THEN 'medium' ELSE 'long' END"),
    ("log_distance", "ln(NULLIF(distance, 0.0))"),
];

#[test]
fn one_row_and_a_batch_give_the_same_answers() {
    let set = set(&EXPRESSIONS).unwrap();
    let rows = [row("AA", 100.0), row("B6", 1000.0), vec![Scalar::Null; 4], row("UA", 0.0)];
    let all = set.evaluate(&batch_from_rows(&schema(), &rows).unwrap()).unwrap();
    assert_eq!(all.num_columns(), 9);
    for (index, row) in rows.iter().enumerate() {
        let one = set.evaluate(&batch_from_rows(&schema(), std::slice::from_ref(row)).unwrap()).unwrap();
        assert_eq!(one, all.slice(index, 1));
    }
    let value = |name: &str, row_index| scalar_at(all.column_by_name(name).unwrap(), row_index).unwrap();
    assert_eq!((value("hour", 0), value("is_night", 0)), (23_i64.into(), true.into()));
    assert_eq!((value("distance_band", 0), value("distance_band", 1)), ("short".into(), "medium".into()));
    assert_eq!((value("hour", 2), value("log_distance", 3)), (Scalar::Null, Scalar::Null));
}

#[test]
fn an_expression_knows_its_columns_and_finds_them_by_name() {
    let expression = Expression::compile("distance * 2 + 1", &schema()).unwrap();
    assert_eq!(expression.columns().collect::<Vec<_>>(), ["distance"]);
    assert_eq!(expression.data_type(), &DataType::Float64);
    let other = Arc::new(Schema::new(vec![
        Field::new("extra", DataType::Boolean, true),
        Field::new("distance", DataType::Float64, true),
    ]));
    let batch = batch_from_rows(&other, &[vec![true.into(), 2.0.into()]]).unwrap();
    assert_eq!(scalar_at(&expression.evaluate(&batch).unwrap(), 0).unwrap(), 5.0.into());

    let constant = Expression::compile("INTERVAL '1 hour' > INTERVAL '1 minute'", &schema()).unwrap();
    assert_eq!(constant.columns().count(), 0);
    assert_eq!(constant.evaluate(&batch_from_rows(&schema(), &vec![row("AA", 1.0); 3]).unwrap()).unwrap().len(), 3);

    let wrong = Arc::new(Schema::new(vec![Field::new("distance", DataType::Utf8, true)]));
    let error = expression.evaluate(&batch_from_rows(&wrong, &[vec!["far".into()]]).unwrap()).unwrap_err();
    check_error(&error, SQL_TYPE_MISMATCH, "other columns", "distance float64");
}

#[test]
fn what_is_no_expression_over_one_row_is_refused() {
    let check = |sql: &str, failure, message: &str| {
        let error = Expression::compile(sql, &schema()).unwrap_err();
        check_error(&error, failure, message, "");
    };
    check("avg(distance)", SQL_NOT_ALLOWED, "an aggregate");
    check("sum(distance) OVER (ORDER BY scheduled_at)", SQL_NOT_ALLOWED, "a window function");
    check("(SELECT 1)", SQL_NOT_ALLOWED, "a subquery");
    check("now() - scheduled_at", SQL_NOT_ALLOWED, "another day");
    check("distence", UNKNOWN_COLUMN, "`distence`");
    check("distance +", BAD_SQL, "does not parse");
    check("distance AS d", BAD_SQL, "alias");
    let error = set(&[("carrier", "'x'")]).unwrap_err();
    check_error(&error, BAD_SQL, "`carrier` is already a column", "another name");
    let error = set(&[("b", "c + 1"), ("c", "distance")]).unwrap_err();
    check_error(&error, UNKNOWN_COLUMN, "expression `b`", "");
}

#[test]
fn a_failing_value_is_an_error() {
    let expression = Expression::compile("CAST(carrier AS INT)", &schema()).unwrap();
    let error = expression.evaluate(&batch_from_rows(&schema(), &[row("AA", 1.0)]).unwrap()).unwrap_err();
    assert!(error.is(QUERY_FAILED), "{error:?}");
}
