//! Searches, compared with what a look at every run in memory would find.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use lw_core::{RunId, Timestamp};
use lw_search::{Comparator, Comparison, Condition, DatasetField, Direction, Field, Literal, Number, OrderBy};
use lw_store::Store;
use lw_store::testing::{both, both_urls, in_languages};
use lw_tracking::{
    Batch, Circumstances, DatasetInput, ExperimentId, NewRun, Projection, RunSearch, RunStatus, RunUpdate, Tracking, View,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::with_run;

/// What the oracle knows of a run.
#[derive(Debug)]
struct Known {
    id: RunId,
    name: String,
    status: &'static str,
    started_ms: i64,
    ended_ms: Option<i64>,
    metrics: BTreeMap<String, f64>,
    texts: BTreeMap<String, String>,
    datasets: Vec<String>,
}

const METRICS: [f64; 4] = [f64::NAN, 0.0, 0.5, 1.0];
const TEXTS: [&str; 4] = ["a", "ab", "b", ""];

/// Runs that lack this and that, by a rule that mixes well.
async fn fill(tracking: &Tracking, ctx: &lw_core::Ctx, experiment: ExperimentId) -> Vec<Known> {
    let mut all = Vec::new();
    for index in 0..40_usize {
        let pick = |salt: usize, n: usize| (index * 7 + salt * 13 + index * index * salt) % n;
        let started_ms = pick(1, 9) as i64 + 1;
        let name = format!("run{}", pick(2, 5));
        let started_at = Some(Timestamp::from_millis(started_ms));
        let new = NewRun { started_at, ..NewRun::of(experiment, Circumstances::default()).named(&name) };
        let run = tracking.start_run(ctx, new).await.unwrap();
        let (mut batch, mut metrics, mut texts) = (Batch::default(), BTreeMap::new(), BTreeMap::new());
        for salt in 0..3 {
            if let Some(value) = METRICS.get(pick(salt + 3, 6)) {
                // The point before is not the latest, whatever it is.
                batch = batch.metric(&format!("m{salt}"), 9.0, Timestamp::from_millis(1), 0);
                batch = batch.metric(&format!("m{salt}"), *value, Timestamp::from_millis(1), 1);
                metrics.insert(format!("m{salt}"), *value);
            }
            if let Some(text) = TEXTS.get(pick(salt + 7, 6)) {
                batch = batch.param(&format!("p{salt}"), *text);
                texts.insert(format!("p{salt}"), (*text).to_owned());
            }
            if let Some(text) = TEXTS.get(pick(salt + 11, 6)) {
                batch = batch.tag(&format!("t{salt}"), *text);
                texts.insert(format!("t{salt}"), (*text).to_owned());
            }
        }
        tracking.log(ctx, &run.id, batch).await.unwrap();
        let datasets: Vec<String> = (0..pick(5, 3)).map(|number| format!("d{number}")).collect();
        let inputs = datasets.iter().map(|name| DatasetInput {
            name: name.clone(),
            digest: "1".to_owned(),
            tags: Vec::new(),
            source_type: String::new(),
            source: String::new(),
            schema: None,
            profile: None,
        });
        tracking.log_inputs(ctx, &run.id, inputs.collect(), Vec::new()).await.unwrap();
        let ended_ms = (pick(6, 3) == 0).then_some(pick(4, 20) as i64);
        if let Some(ended_ms) = ended_ms {
            let ended_at = Some(Timestamp::from_millis(ended_ms));
            let update = RunUpdate { status: Some(RunStatus::Finished), ended_at, name: None };
            tracking.update_run(ctx, &run.id, update).await.unwrap();
        }
        let status = if ended_ms.is_some() { "FINISHED" } else { "RUNNING" };
        all.push(Known { id: run.id, name, status, started_ms, ended_ms, metrics, texts, datasets });
    }
    all
}

fn number(number: Number) -> f64 {
    match number {
        Number::Int(number) => number as f64,
        Number::Float(number) => number,
    }
}

fn ordered(comparator: Comparator, order: Option<Ordering>) -> bool {
    match comparator {
        Comparator::Equal => order == Some(Ordering::Equal),
        Comparator::NotEqual => order != Some(Ordering::Equal),
        Comparator::Less => order == Some(Ordering::Less),
        Comparator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparator::Greater => order == Some(Ordering::Greater),
        Comparator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        other => panic!("{other:?} is not generated for numbers"),
    }
}

fn number_holds(value: f64, comparison: &Comparison) -> bool {
    match &comparison.value {
        Literal::Number(given) => ordered(comparison.comparator, value.partial_cmp(&number(*given))),
        Literal::Range(low, high) => (number(*low)..=number(*high)).contains(&value),
        other => panic!("{other:?} is not generated for numbers"),
    }
}

/// `%` alone at the end, as generated.
fn text_holds(text: &str, comparison: &Comparison) -> bool {
    match (comparison.comparator, &comparison.value) {
        (Comparator::Like, Literal::Text(pattern)) => text.starts_with(pattern.trim_end_matches('%')),
        (Comparator::ILike, Literal::Text(pattern)) => text.starts_with(&pattern.trim_end_matches('%').to_lowercase()),
        (Comparator::In, Literal::Texts(texts)) => texts.iter().any(|given| given == text),
        (Comparator::NotIn, Literal::Texts(texts)) => texts.iter().all(|given| given != text),
        (comparator, Literal::Text(given)) => ordered(comparator, Some(text.cmp(given.as_str()))),
        (_, other) => panic!("{other:?} is not generated for texts"),
    }
}

/// None where SQL has NULL.
fn holds(run: &Known, condition: &Condition) -> Option<bool> {
    let three_valued = |parts: &[Condition], ends_at: bool| {
        let mut all = parts.iter().map(|part| holds(run, part)).collect::<Vec<_>>();
        all.sort();
        if all.contains(&Some(ends_at)) {
            Some(ends_at)
        } else if all.contains(&None) {
            None
        } else {
            Some(!ends_at)
        }
    };
    match condition {
        Condition::All(parts) => three_valued(parts, false),
        Condition::Any(parts) => three_valued(parts, true),
        Condition::Not(inner) => Some(holds(run, inner) != Some(true)),
        Condition::Compare(comparison) => match &comparison.field {
            Field::Attribute("start_time") => Some(number_holds(run.started_ms as f64, comparison)),
            Field::Attribute("end_time") => run.ended_ms.map(|ended_ms| number_holds(ended_ms as f64, comparison)),
            Field::Attribute("run_name") => Some(text_holds(&run.name, comparison)),
            Field::Attribute("status") => Some(text_holds(run.status, comparison)),
            Field::Metric(key) => Some(run.metrics.get(key).is_some_and(|value| number_holds(*value, comparison))),
            Field::Dataset(DatasetField::Name) => Some(run.datasets.iter().any(|name| text_holds(name, comparison))),
            Field::Param(key) | Field::Tag(key) => Some(match comparison.comparator {
                Comparator::IsNull => !run.texts.contains_key(key),
                Comparator::IsNotNull => run.texts.contains_key(key),
                _ => run.texts.get(key).is_some_and(|text| text_holds(text, comparison)),
            }),
            other => panic!("{other:?} is not generated"),
        },
    }
}

/// By the keys, then newest first, then by id. Not-a-number after the numbers and what is missing last, in both directions.
fn in_order(a: &Known, b: &Known, keys: &[OrderBy]) -> Ordering {
    let directed = |order: Ordering, key: &OrderBy| if key.direction == Direction::Ascending { order } else { order.reverse() };
    for key in keys {
        let order = match &key.field {
            Field::Metric(name) => match (a.metrics.get(name), b.metrics.get(name)) {
                (Some(a), Some(b)) if !a.is_nan() && !b.is_nan() => directed(a.total_cmp(b), key),
                (a, b) => {
                    let rank = |value: Option<&f64>| value.map_or(2, |value| i32::from(value.is_nan()));
                    rank(a).cmp(&rank(b))
                }
            },
            Field::Param(name) | Field::Tag(name) => match (a.texts.get(name), b.texts.get(name)) {
                (Some(a), Some(b)) => directed(a.cmp(b), key),
                (a, b) => a.is_none().cmp(&b.is_none()),
            },
            Field::Attribute("end_time") => match (a.ended_ms, b.ended_ms) {
                (Some(a), Some(b)) => directed(a.cmp(&b), key),
                (a, b) => a.is_none().cmp(&b.is_none()),
            },
            Field::Attribute("run_name") => directed(a.name.cmp(&b.name), key),
            other => panic!("{other:?} is not generated"),
        };
        if order.is_ne() {
            return order;
        }
    }
    b.started_ms.cmp(&a.started_ms).then_with(|| a.id.cmp(&b.id))
}

fn comparison() -> impl Strategy<Value = Condition> {
    let numeric = prop_oneof![
        Just(Comparator::Equal),
        Just(Comparator::NotEqual),
        Just(Comparator::Less),
        Just(Comparator::LessOrEqual),
        Just(Comparator::Greater),
        Just(Comparator::GreaterOrEqual),
    ];
    let float = prop_oneof![Just(0.0), Just(0.25), Just(0.5), Just(1.0)].prop_map(Number::Float);
    let metric = (0..4, numeric.clone(), float.clone())
        .prop_map(|(key, comparator, value)| (Field::Metric(format!("m{key}")), comparator, Literal::Number(value)));
    let between = (0..3, float.clone(), float)
        .prop_map(|(key, low, high)| (Field::Metric(format!("m{key}")), Comparator::Between, Literal::Range(low, high)));
    let time = (prop_oneof![Just("start_time"), Just("end_time")], numeric, 0_i64..20)
        .prop_map(|(name, comparator, value)| (Field::Attribute(name), comparator, Literal::Number(Number::Int(value))));
    let text = prop_oneof![Just("a"), Just("ab"), Just("b"), Just(""), Just("run1"), Just("RUNNING"), Just("d1")];
    let value = prop_oneof![
        (prop_oneof![Just(Comparator::Equal), Just(Comparator::NotEqual)], text.clone())
            .prop_map(|(comparator, text)| (comparator, Literal::Text(text.to_owned()))),
        (prop_oneof![Just(Comparator::Like), Just(Comparator::ILike)], text.clone())
            .prop_map(|(comparator, text)| (comparator, Literal::Text(format!("{text}%")))),
        (prop_oneof![Just(Comparator::In), Just(Comparator::NotIn)], prop::collection::vec(text, 1..3))
            .prop_map(|(comparator, texts)| (comparator, Literal::Texts(texts.into_iter().map(str::to_owned).collect()))),
    ];
    let key = prop_oneof![
        (0..4).prop_map(|key| Field::Param(format!("p{key}"))),
        (0..4).prop_map(|key| Field::Tag(format!("t{key}"))),
    ];
    let named = prop_oneof![
        key.clone(),
        Just(Field::Dataset(DatasetField::Name)),
        Just(Field::Attribute("run_name")),
        Just(Field::Attribute("status")),
    ];
    let textual = (named, value).prop_map(|(field, (comparator, value))| (field, comparator, value));
    let null = (key, prop_oneof![Just(Comparator::IsNull), Just(Comparator::IsNotNull)])
        .prop_map(|(field, comparator)| (field, comparator, Literal::Absent));
    prop_oneof![metric, between, time, textual, null]
        .prop_map(|(field, comparator, value)| Condition::Compare(Comparison { field, comparator, value }))
        .prop_filter("patterns of small letters mean the same in both comparators", |condition| {
            let Condition::Compare(comparison) = condition else { return true };
            let is_pattern = matches!(comparison.comparator, Comparator::Like | Comparator::ILike);
            !is_pattern
                || !matches!(&comparison.value, Literal::Text(text) if text.starts_with("RUNNING"))
                    && comparison.field != Field::Attribute("status")
        })
}

fn condition() -> impl Strategy<Value = Condition> {
    comparison().prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::Any),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

fn order_by() -> impl Strategy<Value = Vec<OrderBy>> {
    let field = prop_oneof![
        (0..3).prop_map(|key| Field::Metric(format!("m{key}"))),
        (0..3).prop_map(|key| Field::Param(format!("p{key}"))),
        (0..3).prop_map(|key| Field::Tag(format!("t{key}"))),
        Just(Field::Attribute("end_time")),
        Just(Field::Attribute("run_name")),
    ];
    let direction = prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
    prop::collection::vec((field, direction).prop_map(|(field, direction)| OrderBy { field, direction }), 0..3)
}

#[test]
fn searches_find_what_a_look_at_every_run_finds() {
    both(|store| async move {
        let (tracking, ctx, other, _) = with_run(store).await;
        let experiment = tracking.ensure_experiment(&ctx, "searched").await.unwrap();
        let mut known = fill(&tracking, &ctx, experiment.id).await;
        let mut runner = TestRunner::deterministic();
        let cases = (prop::option::of(condition()), order_by());
        for _ in 0..300 {
            let (filter, order_by) = cases.new_tree(&mut runner).unwrap().current();
            known.sort_by(|a, b| in_order(a, b, &order_by));
            let is_wanted = |run: &&Known| filter.as_ref().is_none_or(|filter| holds(run, filter) == Some(true));
            let want: Vec<&RunId> = known.iter().filter(is_wanted).map(|run| &run.id).collect();
            let search = RunSearch {
                experiments: vec![experiment.id],
                filter: filter.clone(),
                order_by: order_by.clone(),
                view: View::Active,
                limit: 1000,
                offset: 0,
                projection: Projection::Only { metrics: Vec::new(), params: Vec::new(), tags: Vec::new() },
            };
            let found = tracking.search_runs(search).await.unwrap();
            let found: Vec<&RunId> = found.items.iter().map(|data| &data.run.id).collect();
            assert_eq!(found, want, "{filter:?} {order_by:?}");
        }
        assert_ne!(other.id, experiment.id);
    });
}

#[test]
fn a_search_brings_what_is_asked_for() {
    both(|store| async move {
        let (tracking, ctx, experiment, run) = with_run(store).await;
        let batch = (0..1000).fold(Batch::default(), |batch, index| batch.metric(&format!("m{index}"), 1.0, ctx.now(), 0));
        tracking.log(&ctx, &run.id, batch).await.unwrap();
        tracking.log(&ctx, &run.id, Batch::default().param("p", "1").tag("t", "1")).await.unwrap();
        let search = |projection: Projection, view: View| RunSearch {
            experiments: vec![experiment.id],
            filter: None,
            order_by: Vec::new(),
            view,
            limit: 10,
            offset: 0,
            projection,
        };
        let some = Projection::Only {
            metrics: vec!["m7".to_owned(), "none".to_owned()],
            params: vec!["p".to_owned()],
            tags: Vec::new(),
        };
        let data = tracking.search_runs(search(some, View::Active)).await.unwrap().items.remove(0);
        assert_eq!((data.metrics.len(), data.params.len(), data.tags.len()), (1, 1, 0));
        let data = tracking.search_runs(search(Projection::All, View::All)).await.unwrap().items.remove(0);
        assert_eq!((data.metrics.len(), data.params.len(), data.tags.len()), (1000, 1, 2));
        assert!(tracking.search_runs(search(Projection::All, View::Deleted)).await.unwrap().items.is_empty());
        tracking.delete_run(&ctx, &run.id).await.unwrap();
        assert_eq!(tracking.search_runs(search(Projection::All, View::Deleted)).await.unwrap().items.len(), 1);
        let none = RunSearch { experiments: Vec::new(), ..search(Projection::All, View::All) };
        assert!(tracking.search_runs(none).await.unwrap().items.is_empty());
    });
}

/// What languages order differently from bytes.
const WORDS: &[&str] = &["b", "A", "a", "B", "ä", "Ä", "z", "é", "co-op", "coop", "coOp", "10", "9"];

async fn words_are_ordered_by_bytes(url: lw_store::MetadataUrl) {
    let (tracking, ctx, experiment, _) = with_run(Store::open(&url).unwrap()).await;
    for word in WORDS {
        let new = NewRun::of(experiment.id, Circumstances::default()).named(word);
        let run = tracking.start_run(&ctx, new).await.unwrap();
        tracking.log(&ctx, &run.id, Batch::default().param("word", *word)).await.unwrap();
    }
    let param = Field::Param("word".to_owned());
    for field in [param.clone(), Field::Attribute("run_name")] {
        let filter = Comparison { field: param.clone(), comparator: Comparator::IsNotNull, value: Literal::Absent };
        let search = RunSearch {
            experiments: vec![experiment.id],
            filter: Some(Condition::Compare(filter)),
            order_by: vec![OrderBy { field, direction: Direction::Ascending }],
            view: View::Active,
            limit: 100,
            offset: 0,
            projection: Projection::All,
        };
        let found: Vec<String> =
            tracking.search_runs(search).await.unwrap().items.into_iter().map(|data| data.run.name).collect();
        let mut want = WORDS.to_vec();
        want.sort_unstable();
        assert_eq!(found, want);
    }
}

#[test]
fn the_order_of_texts_does_not_depend_on_the_language_of_the_database() {
    both_urls(words_are_ordered_by_bytes);
    in_languages(words_are_ordered_by_bytes);
}
