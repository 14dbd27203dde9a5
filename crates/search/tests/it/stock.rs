//! Stock MLflow's verdicts on some thousands of filters and orders (tests/oracles/search_mlflow.py), to the letter of its messages.

use lw_search::{
    Comparator, Comparison, Condition, DatasetField, Entity, Field, Grammar, Literal, Number, SpanField, parse_filter,
    parse_order_by,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Golden {
    filters: Vec<(String, Answer)>,
    orders: Vec<(Vec<String>, Answer)>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Accepted(Value),
    Refused(String),
    /// An error that stock means for itself.
    Failed(IgnoredAny),
    /// An exception that stock does not catch.
    Crashed(IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(flatten)]
    verdict: Verdict,
    message: Option<String>,
}

const GOLDEN: [(Entity, &str, &str); 7] = [
    (Entity::Run, "run", include_str!("../golden/run.json")),
    (Entity::Experiment, "experiment", include_str!("../golden/experiment.json")),
    (Entity::RegisteredModel, "registered_model", include_str!("../golden/registered_model.json")),
    (Entity::ModelVersion, "model_version", include_str!("../golden/model_version.json")),
    (Entity::LoggedModel, "logged_model", include_str!("../golden/logged_model.json")),
    (Entity::Trace, "trace", include_str!("../golden/trace.json")),
    (Entity::EvaluationDataset, "evaluation_dataset", include_str!("../golden/evaluation_dataset.json")),
];

/// Where we differ from stock on purpose: the entity, how our refusal begins, how many cases there are, and why.
const EXCEPTIONS: &[(Entity, &str, usize, &str)] = &[
    (
        Entity::LoggedModel,
        "Expected a list of quoted string values",
        24,
        "stock evaluates any constant of Python here and compares texts with numbers, None or nothing, which finds nothing on \
         SQLite and fails on PostgreSQL",
    ),
    (
        Entity::Trace,
        "Invalid value for numeric attribute",
        68,
        "stock compares a time with a text that is no number, which is true or false by type on SQLite and fails on PostgreSQL",
    ),
];

#[test]
fn filters_have_stocks_verdicts_and_messages() {
    let mut wrong = Vec::new();
    let mut n_cases = 0;
    let mut n_exceptions = vec![0; EXCEPTIONS.len()];
    for (entity, name, text) in GOLDEN {
        let golden: Golden = serde_json::from_str(text).expect("the golden file is JSON");
        for (filter, answer) in &golden.filters {
            n_cases += 1;
            let ours = parse_filter(entity, Grammar::Mlflow, filter);
            let ours = ours.map(|condition| normal(entity, condition.as_ref())).map_err(|error| error.message().to_owned());
            let Some(difference) = difference(answer, &ours) else { continue };
            let is_exception = |(of, refusal, ..): &(Entity, &str, usize, &str)| {
                *of == entity && ours.as_ref().is_err_and(|ours| ours.starts_with(refusal))
            };
            match EXCEPTIONS.iter().position(is_exception) {
                Some(position) => n_exceptions[position] += 1,
                None => wrong.push(format!("{name}: {}: {difference}", filter.chars().take(100).collect::<String>())),
            }
        }
    }
    assert_eq!(n_exceptions, EXCEPTIONS.iter().map(|(_, _, n_cases, _)| *n_cases).collect::<Vec<_>>());
    assert!(n_cases > 7_000, "{n_cases} cases");
    assert!(wrong.is_empty(), "{} of {n_cases} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn orders_have_stocks_verdicts_and_messages() {
    let mut wrong = Vec::new();
    for (entity, name, text) in GOLDEN {
        let golden: Golden = serde_json::from_str(text).expect("the golden file is JSON");
        for (order, answer) in &golden.orders {
            let ours = parse_order_by(entity, order).map(|_| json!(order.len())).map_err(|error| error.message().to_owned());
            if let Some(difference) = difference(answer, &ours) {
                wrong.push(format!("{name}: {order:?}: {difference}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn difference(answer: &Answer, ours: &Result<Value, String>) -> Option<String> {
    let is_same = match (&answer.verdict, ours) {
        (Verdict::Accepted(theirs), Ok(ours)) => is_equal(theirs, ours),
        (Verdict::Refused(theirs), Err(ours)) => sorted_sets(theirs) == sorted_sets(ours),
        // Stock fails with status 500 where it means to refuse: the same words, but a refusal.
        (Verdict::Failed(_), Err(ours)) if answer.message.as_ref().is_some_and(|message| message.contains("duplicate")) => {
            answer.message.as_ref() == Some(ours)
        }
        // What breaks stock is refused here in words of our own.
        (Verdict::Failed(_) | Verdict::Crashed(_), Err(_)) => true,
        (Verdict::Failed(_), Ok(_)) => answer.message.as_ref().is_some_and(|message| message.contains("too large to convert")),
        _ => false,
    };
    (!is_same).then(|| format!("\n  stock {answer:?}\n  ours  {ours:?}"))
}

fn is_equal(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Number(theirs), Value::Number(ours)) => theirs.as_f64() == ours.as_f64(),
        (Value::Array(theirs), Value::Array(ours)) => {
            theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(theirs, ours)| is_equal(theirs, ours))
        }
        (theirs, ours) => theirs == ours,
    }
}

/// Python's sets come in another order at each start.
fn sorted_sets(message: &str) -> String {
    let mut whole = String::new();
    for (position, part) in message.split('{').enumerate() {
        let Some((set, rest)) = part.split_once('}').filter(|_| position > 0) else {
            whole.push_str(part);
            continue;
        };
        let mut items: Vec<&str> = set.split(", ").collect();
        items.sort_unstable();
        whole.push_str(&format!("{{{}}}{rest}", items.join(", ")));
    }
    whole
}

/// A condition as stock shows its comparisons.
fn normal(entity: Entity, condition: Option<&Condition>) -> Value {
    let comparisons = condition.map(Condition::comparisons).unwrap_or_default();
    comparisons.into_iter().map(|comparison| normal_comparison(entity, comparison)).collect()
}

fn normal_comparison(entity: Entity, Comparison { field, comparator, value }: &Comparison) -> Value {
    let (group, key) = normal_field(field);
    let number = |number: &Number| match number {
        Number::Int(value) => json!(value),
        Number::Float(value) if value.is_finite() => json!(value),
        Number::Float(value) => json!(value.to_string().to_lowercase()),
    };
    let value = match value {
        Literal::Absent => Value::Null,
        Literal::Number(value) => number(value),
        Literal::Text(text) => json!(text),
        Literal::Texts(texts) => json!(texts),
        Literal::Integers(values) => json!(values),
        Literal::Range(low, high) => json!([number(low), number(high)]),
    };
    assert_ne!(*comparator, Comparator::Between, "stock has no BETWEEN");
    if entity == Entity::LoggedModel {
        let key = if key.ends_with("_timestamp") { format!("{key}_ms") } else { key };
        let group = if group == "parameter" { "params".to_owned() } else { format!("{group}s") };
        return json!([group, key, comparator.as_str(), value]);
    }
    json!([group, key, comparator.as_str(), value])
}

fn normal_field(field: &Field) -> (&'static str, String) {
    let (group, key) = match field {
        Field::Attribute(name) => ("attribute", *name),
        Field::Metric(key) => ("metric", key.as_str()),
        Field::Param(key) => ("parameter", key.as_str()),
        Field::Tag(key) => ("tag", key.as_str()),
        Field::Dataset(DatasetField::Name) => ("dataset", "name"),
        Field::Dataset(DatasetField::Digest) => ("dataset", "digest"),
        Field::Dataset(DatasetField::Context) => ("dataset", "context"),
        Field::Metadata(key) => ("request_metadata", key.as_str()),
        Field::Span(SpanField::Name) => ("span", "name"),
        Field::Span(SpanField::Type) => ("span", "type"),
        Field::Span(SpanField::Status) => ("span", "status"),
        Field::Span(SpanField::Content) => ("span", "content"),
        Field::Span(SpanField::Attribute(name)) => return ("span", format!("attributes.{name}")),
        Field::Feedback(key) => ("feedback", key.as_str()),
        Field::Expectation(key) => ("expectation", key.as_str()),
        Field::Issue => ("issue", "id"),
        Field::Prompt => ("tag", "mlflow.linkedPrompts"),
    };
    (group, key.to_owned())
}
