//! The native grammar: what it reads, how it refuses, and that it reads back what it prints.

use lw_search::{
    Comparator, Comparison, Condition, DatasetField, Entity, Field, Grammar, Literal, Number, SpanField, parse_filter,
    parse_order_by,
};
use proptest::prelude::*;

#[track_caller]
fn reads(entity: Entity, filter: &str, want: &str) {
    let condition = parse_filter(entity, Grammar::Native, filter).expect("the filter is good").expect("it is not empty");
    assert_eq!(condition.to_string(), want);
}

#[track_caller]
fn refuses(entity: Entity, filter: &str, message: &str, hint: &str) {
    let error = parse_filter(entity, Grammar::Native, filter).expect_err("the filter is bad");
    assert_eq!((error.message(), error.hint_text().unwrap_or_default()), (message, hint));
    assert_eq!(error.code(), "bad-filter");
}

#[test]
fn filters_are_read() {
    reads(Entity::Run, "metrics.auc>0.8", "metrics.auc > 0.8");
    reads(Entity::Run, "a.x = 'b'".replace("a.x", "params.\"a b\"").as_str(), "params.`a b` = 'b'");
    reads(
        Entity::Run,
        "metrics.a > 1 or metrics.b > 2 and metrics.c > 3",
        "metrics.a > 1.0 OR (metrics.b > 2.0 AND metrics.c > 3.0)",
    );
    reads(Entity::Run, "NOT (tags.a = 'x' OR tags.a IS NULL)", "NOT (tags.a = 'x' OR tags.a IS NULL)");
    reads(Entity::Run, "not not status <> \"it's\"", "NOT NOT status != 'it''s'");
    reads(Entity::Run, "created between 5 and -1.5e3", "start_time BETWEEN 5 AND -1500.0");
    reads(Entity::Run, "tags.mlflow.user NOT IN ('a', 'b''c')", "tags.`mlflow.user` NOT IN ('a', 'b''c')");
    reads(Entity::Run, "dataset.digest ILIKE 'Ab%'", "dataset.digest ILIKE 'Ab%'");
    reads(Entity::Experiment, "experiment_id IN ('1', 2)", "experiment_id IN (1, 2)");
    reads(Entity::ModelVersion, "version_number >= 2 AND name LIKE 'late%'", "version_number >= 2 AND name LIKE 'late%'");
    reads(
        Entity::Trace,
        "name = 'chat' AND run_id = 'r'",
        "tags.`mlflow.traceName` = 'chat' AND metadata.`mlflow.sourceRun` = 'r'",
    );
    reads(Entity::Trace, "span.attributes.`llm.model` RLIKE '^gpt'", "span.attributes.`llm.model` RLIKE '^gpt'");
    reads(Entity::Trace, "feedback.score > 0.5 OR feedback.score = 'yes'", "feedback.score > 0.5 OR feedback.score = 'yes'");
    assert_eq!(parse_filter(Entity::Run, Grammar::Native, " \n").expect("a blank filter is none"), None);
}

#[test]
fn refusals_say_where_and_what_to_do() {
    refuses(
        Entity::Run,
        "metrics.auc > 'high'",
        "the filter is wrong at character 15: `metrics.auc` is compared with a number, found the text 'high'",
        "write numbers without quotes",
    );
    refuses(
        Entity::Run,
        "stauts = 'RUNNING'",
        "the filter is wrong at character 1: there is no field `stauts`",
        "did you mean `status`?",
    );
    refuses(
        Entity::Run,
        "metrix.auc > 1",
        "the filter is wrong at character 1: `metrix` has no fields here",
        "did you mean `metrics.auc`?",
    );
    refuses(
        Entity::Run,
        "params.depth = 6",
        "the filter is wrong at character 16: expected a text, found the number 6",
        "put it in quotes: '6'",
    );
    refuses(
        Entity::Run,
        "(status = 'a' OR status = 'b'",
        "the filter is wrong at character 30: expected `)`, found the end of the filter",
        "",
    );
    refuses(
        Entity::Run,
        "status = 'a' status = 'b'",
        "the filter is wrong at character 14: `status` cannot follow",
        "join comparisons by AND or OR; close what you opened by `(`",
    );
    refuses(
        Entity::Run,
        "metrics.auc LIKE '1%'",
        "the filter is wrong at character 13: `metrics.auc` cannot be compared by LIKE",
        "it takes =, !=, <, <=, >, >=, BETWEEN, IS NULL, IS NOT NULL",
    );
    refuses(
        Entity::Run,
        "status = 'it",
        "the filter is wrong at character 10: the quote ' is never closed",
        "double a quote that is part of the text: 'it''s'",
    );
    refuses(
        Entity::Trace,
        "prompt = 'a'",
        "the filter is wrong at character 10: 'a' is no prompt version",
        "write prompt = 'name/version'",
    );
    let deep = format!("{}status = 'a'{}", "(".repeat(40), ")".repeat(40));
    refuses(
        Entity::Run,
        &deep,
        "the filter is wrong at character 34: parentheses and NOT go at most 32 deep",
        "write the filter flatter",
    );
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![Just("val loss".to_owned()), Just("a`b\"c".to_owned()), "[a-z_][a-z0-9_./é名-]{0,6}", "\\PC{1,6}"]
}

fn number() -> impl Strategy<Value = Number> {
    let float = prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL | prop::num::f64::INFINITE;
    prop_oneof![any::<i64>().prop_map(Number::Int), float.prop_map(Number::Float)]
}

fn float() -> impl Strategy<Value = Number> {
    number().prop_map(|number| match number {
        Number::Int(value) => Number::Float(value as f64),
        float => float,
    })
}

fn numbers(value: impl Strategy<Value = Number> + Clone + 'static) -> impl Strategy<Value = (Comparator, Literal)> {
    use Comparator::{Equal, Greater, GreaterOrEqual, IsNotNull, IsNull, Less, LessOrEqual, NotEqual};
    let one = prop::sample::select(vec![Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual]);
    prop_oneof![
        (one, value.clone()).prop_map(|(comparator, value)| (comparator, Literal::Number(value))),
        (value.clone(), value).prop_map(|(low, high)| (Comparator::Between, Literal::Range(low, high))),
        prop::sample::select(vec![IsNull, IsNotNull]).prop_map(|comparator| (comparator, Literal::Absent)),
    ]
}

fn texts() -> impl Strategy<Value = (Comparator, Literal)> {
    use Comparator::{Equal, ILike, In, IsNotNull, IsNull, Like, NotEqual, NotIn};
    prop_oneof![
        (prop::sample::select(vec![Equal, NotEqual, Like, ILike]), ".{0,8}")
            .prop_map(|(comparator, text)| (comparator, Literal::Text(text))),
        (prop::sample::select(vec![In, NotIn]), prop::collection::vec(".{0,4}", 1..4))
            .prop_map(|(comparator, texts)| (comparator, Literal::Texts(texts))),
        prop::sample::select(vec![IsNull, IsNotNull]).prop_map(|comparator| (comparator, Literal::Absent)),
    ]
}

fn comparison() -> impl Strategy<Value = Condition> {
    let numeric = prop_oneof![
        (key().prop_map(Field::Metric), numbers(float().boxed())),
        (prop::sample::select(vec!["start_time", "end_time"]).prop_map(Field::Attribute), numbers(number().boxed())),
    ];
    let text_field = prop_oneof![
        key().prop_map(Field::Param),
        key().prop_map(Field::Tag),
        prop::sample::select(vec![DatasetField::Name, DatasetField::Digest, DatasetField::Context]).prop_map(Field::Dataset),
        prop::sample::select(vec!["run_id", "run_name", "status", "user_id", "artifact_uri"]).prop_map(Field::Attribute),
    ];
    prop_oneof![numeric, (text_field, texts())]
        .prop_map(|(field, (comparator, value))| Condition::Compare(Comparison { field, comparator, value }))
}

fn condition() -> impl Strategy<Value = Condition> {
    comparison().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::Any),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(condition in condition()) {
        let filter = condition.to_string();
        let read = parse_filter(Entity::Run, Grammar::Native, &filter);
        prop_assert_eq!(read.ok().flatten(), Some(condition), "{}", filter);
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,60}") {
        all_readers(&text);
    }

    #[test]
    fn nothing_panics_on_what_looks_like_a_filter(parts in prop::collection::vec(prop::sample::select(vec![
        "tags.", "a", "`", "\"", "'", "(", ")", "[", "]", ",", ";", ".", " ", "\n", "=", "!=", ">", "<", "LIKE", "IN", "NOT", "IS", "NULL", "AND", "OR",
        "BETWEEN", "1", "-", "1.5", ".5", "e", "x", "*", "/*", "*/", "--", "#", "$$", "$a$", "%s", "\\", "@", ":=", "::", "->", "CASE", "END", "BEGIN",
        "WHERE", "ORDER BY", "ASC", "VALUES", "OVER", "AS", "timestamp", "metrics.m", "name", "status", "é", "名", "\u{212a}", "AT TIME ZONE 'x'", "JOIN",
    ]), 0..40), spaced in any::<bool>()) {
        all_readers(&parts.join(if spaced { " " } else { "" }));
    }
}

fn all_readers(text: &str) {
    for entity in Entity::ALL {
        for grammar in [Grammar::Mlflow, Grammar::Native] {
            let _ = parse_filter(entity, grammar, text).map(|condition| condition.map(|condition| condition.to_string()));
        }
        let _ = parse_order_by(entity, &[text]);
    }
}

#[test]
fn span_fields_read_back() {
    for field in [SpanField::Name, SpanField::Type, SpanField::Status, SpanField::Attribute("a b.c".into())] {
        let condition = Condition::Compare(Comparison {
            field: Field::Span(field),
            comparator: Comparator::Equal,
            value: Literal::Text("x".into()),
        });
        let read = parse_filter(Entity::Trace, Grammar::Native, &condition.to_string());
        assert_eq!(read.ok().flatten(), Some(condition));
    }
}

#[test]
fn hostile_filters_end_soon() {
    let started = std::time::Instant::now();
    for part in ["(", "[", "'", "/*", "$a$", "tags.a = ", "- ", "NOT ", "a.", "''", "1e", "CASE ", ", ", "-- "] {
        all_readers(&part.repeat(60_000 / part.len()));
    }
    let distinct: String = (0..20_000).map(|number| format!("$a{number}$")).collect();
    all_readers(&distinct);
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
}
