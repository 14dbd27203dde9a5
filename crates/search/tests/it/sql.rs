//! Conditions and orders as SQL.

use lw_core::{Result, Scalar};
use lw_search::sql::{Columns, Form, Parameters, Rows, SortKey, Source, Value, condition, order};
use lw_search::{Entity, Field, Grammar, SpanField, parse_filter, parse_order_by};

/// A stage as small as can be.
struct Stage;

impl Columns for Stage {
    fn source(&self, field: &Field, parameters: &mut Parameters) -> Result<Source> {
        Ok(match field {
            Field::Attribute(name) => Source::column(format!("run.{name}")),
            Field::Metric(key) => {
                let key = parameters.bind(key.as_str());
                Source::rows(format!("SELECT 1 FROM m WHERE m.run = run.id AND m.k = {key}"), "m.v")
                    .of(Form::Metric { is_nan: "m.n".into() })
            }
            Field::Feedback(key) => {
                let key = parameters.bind(key.as_str());
                Source::rows(format!("SELECT 1 FROM f WHERE f.trace = trace.id AND f.k = {key}"), "f.v")
                    .of(Form::Json { number: "f.n".into() })
            }
            Field::Span(span) => Source::Rows(Rows {
                test: "trace.id IN".into(),
                select: "SELECT s.trace FROM s WHERE s.experiment = $1".into(),
                value: Value::plain(if *span == SpanField::Name { "s.name" } else { "s.type" }),
                one_row: true,
            }),
            field => {
                let key = parameters.bind(field.to_string());
                Source::rows(format!("SELECT 1 FROM t WHERE t.run = run.id AND t.k = {key}"), "t.v")
            }
        })
    }

    fn sort_key(&self, field: &Field, position: usize, parameters: &mut Parameters) -> Result<SortKey> {
        Ok(match field {
            Field::Metric(key) => {
                let key = parameters.bind(key.as_str());
                let join = format!("LEFT JOIN m m{position} ON m{position}.run = run.id AND m{position}.k = {key}");
                SortKey { is_nan: Some(format!("m{position}.n")), ..SortKey::joined(join, format!("m{position}.v")) }
            }
            Field::Attribute("end_time") => SortKey::nullable("run.end_time"),
            field => SortKey::column(format!("run.{field}")),
        })
    }
}

#[track_caller]
fn check(entity: Entity, filter: &str, sql: &str, values: &[Scalar]) {
    let parsed = parse_filter(entity, Grammar::Native, filter).expect("the filter is good").expect("it is not empty");
    let mut parameters = Parameters::starting_at(2);
    assert_eq!(condition(&parsed, &Stage, &mut parameters).expect("it compiles"), sql);
    assert_eq!(parameters.into_scalars(), values);
}

fn text(text: &str) -> Scalar {
    Scalar::from(text)
}

#[test]
fn conditions_are_sql_with_parameters() {
    check(Entity::Run, "status = 'it''s'", "run.status = $2", &[text("it's")]);
    check(Entity::Run, "status != 'a'", "run.status <> $2", &[text("a")]);
    check(Entity::Run, "status LIKE 'a~\\%'", "run.status LIKE $2 ESCAPE '~'", &[text("a~~\\%")]);
    check(Entity::Run, "status ILIKE 'A_'", "LOWER(run.status) LIKE LOWER($2) ESCAPE '~'", &[text("A_")]);
    check(Entity::Run, "status NOT IN ('a', 'b')", "run.status NOT IN ($2, $3)", &[text("a"), text("b")]);
    check(Entity::Run, "end_time IS NULL", "run.end_time IS NULL", &[]);
    check(Entity::Run, "end_time > 5", "run.end_time > $2", &[Scalar::Int(5)]);
    check(Entity::Run, "end_time > 5.5", "run.end_time > CAST($2 AS DOUBLE PRECISION)", &[Scalar::Float(5.5)]);
    check(Entity::Run, "end_time BETWEEN 1 AND 2", "(run.end_time BETWEEN $2 AND $3)", &[Scalar::Int(1), Scalar::Int(2)]);
    let tag = "EXISTS (SELECT 1 FROM t WHERE t.run = run.id AND t.k = $2";
    check(Entity::Run, "tags.a != 'x'", &format!("{tag} AND t.v <> $3)"), &[text("tags.a"), text("x")]);
    check(Entity::Run, "tags.a IS NOT NULL", &format!("{tag})"), &[text("tags.a")]);
    check(Entity::Run, "tags.a IS NULL", &format!("NOT {tag})"), &[text("tags.a")]);
    check(Entity::Run, "NOT status = 'a'", "((run.status = $2) IS NOT TRUE)", &[text("a")]);
    check(
        Entity::Run,
        "user_id = 'a' AND (user_id = 'b' OR user_id = 'c') AND user_id = 'd'",
        "((run.user_id = $2 AND (run.user_id = $3 OR run.user_id = $4)) AND run.user_id = $5)",
        &[text("a"), text("b"), text("c"), text("d")],
    );
    check(Entity::Trace, "status RLIKE '^a'", "regexp_like(run.status, $2)", &[text("^a")]);
}

#[test]
fn a_nan_is_unequal_to_every_number_and_no_more() {
    let metric = "EXISTS (SELECT 1 FROM m WHERE m.run = run.id AND m.k = $2";
    let values = [text("a"), Scalar::Float(1.0)];
    check(Entity::Run, "metrics.a > 1", &format!("{metric} AND (m.v > $3 AND m.n = 0))"), &values);
    check(Entity::Run, "metrics.a != 1", &format!("{metric} AND (m.v <> $3 OR m.n <> 0))"), &values);
    let values = [text("a"), Scalar::Float(1.0), Scalar::Float(2.0)];
    check(Entity::Run, "metrics.a BETWEEN 1 AND 2", &format!("{metric} AND (m.v BETWEEN $3 AND $4 AND m.n = 0))"), &values);
}

#[test]
fn feedback_is_json_and_spans_match_as_one_row() {
    let feedback = "EXISTS (SELECT 1 FROM f WHERE f.trace = trace.id AND f.k = $2";
    let values = [text("a"), text("yes"), text("\"yes\"")];
    check(Entity::Trace, "feedback.a = 'yes'", &format!("{feedback} AND (f.v = $3 OR f.v = $4))"), &values);
    check(Entity::Trace, "feedback.a != 'yes'", &format!("{feedback} AND NOT (f.v = $3 OR f.v = $4))"), &values);
    let values = [text("a"), Scalar::Float(0.5)];
    check(Entity::Trace, "feedback.a > 0.5", &format!("{feedback} AND f.n > CAST($3 AS DOUBLE PRECISION))"), &values);
    check(
        Entity::Trace,
        "span.name = 'a' AND span.type = 'LLM'",
        "trace.id IN (SELECT s.trace FROM s WHERE s.experiment = $1 AND s.name = $2 AND s.type = $3)",
        &[text("a"), text("LLM")],
    );
}

#[test]
fn orders_put_nan_after_numbers_and_nothing_last() {
    let keys = parse_order_by(Entity::Run, &["metrics.a DESC", "end_time", "run_id DESC"]).expect("the order is good");
    let mut parameters = Parameters::from(vec![Scalar::Int(0)]);
    let order = order(&keys, &Stage, &mut parameters).expect("it compiles");
    assert_eq!(order.joins, ["LEFT JOIN m m0 ON m0.run = run.id AND m0.k = $2"]);
    assert_eq!(order.terms, ["m0.n ASC NULLS LAST", "m0.v DESC NULLS LAST", "run.end_time ASC NULLS LAST", "run.run_id DESC"]);
    assert_eq!(parameters.into_scalars(), [Scalar::Int(0), text("a")]);
}

#[test]
fn a_list_longer_than_a_statement_takes_is_refused() {
    let list: Vec<String> = (0..40_000).map(|number| format!("'{number}'")).collect();
    let filter = format!("run_id IN ({})", list.join(","));
    let parsed = parse_filter(Entity::Run, Grammar::Native, &filter).expect("the filter is good").expect("it is not empty");
    let error = condition(&parsed, &Stage, &mut Parameters::default()).expect_err("it is too long");
    assert_eq!(error.code(), "bad-filter");
}
