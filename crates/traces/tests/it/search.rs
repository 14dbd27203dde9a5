//! Finding traces.

use lw_core::{Span as TimeSpan, Timestamp};
use lw_search::{Comparator, Comparison, Condition, Direction, Field, Literal, Number, OrderBy, PageToken, SpanField};
use lw_store::testing::both;
use lw_traces::{AssessmentValue, Json, NewAssessment, SourceType, TraceSearch, metadata};

use crate::world::{World, id, span, with};

pub fn all(world: &World) -> TraceSearch {
    TraceSearch {
        experiments: vec![world.experiment],
        condition: None,
        order: Vec::new(),
        limit: 100,
        page: PageToken::default(),
    }
}

fn is(field: Field, comparator: Comparator, value: Literal) -> Condition {
    Condition::Compare(Comparison { field, comparator, value })
}

fn text(field: Field, comparator: Comparator, value: &str) -> Condition {
    is(field, comparator, Literal::Text(value.to_owned()))
}

/// Four traces, a second apart; half of their spans are in the table.
async fn four(world: &World) {
    for n in 1..=4_u64 {
        let mut told = world.new_trace(&id(n));
        told.facts.started_at = Timestamp::parse("2013-06-01T12:00:00Z").unwrap() + TimeSpan::from_secs(n as i64);
        told.facts.tags.insert("n".to_owned(), n.to_string());
        told.facts.tags.insert("mlflow.traceName".to_owned(), format!("name{}", 5 - n));
        if n == 2 {
            told.facts.metadata.insert(metadata::RUN.to_owned(), "run-a".to_owned());
        }
        if n >= 3 {
            told.facts.metadata.insert(metadata::SESSION.to_owned(), "talk".to_owned());
        }
        world.traces.start(&world.ctx, told).await.unwrap();
        let spans = (1..=2_u64).map(|k| {
            let attributes =
                format!(r#"{{"mlflow.spanType": "{}", "n": {n}, "word": "w{n}{k}"}}"#, if k == 1 { "AGENT" } else { "TOOL" });
            with(span(k), &attributes)
        });
        world.log(&id(n), spans.collect()).await;
        if n == 2 {
            world.traces.deliver(&world.ctx).await.unwrap();
        }
    }
}

async fn found(world: &World, search: TraceSearch) -> Vec<u64> {
    let page = world.traces.search(search).await.unwrap();
    page.traces.iter().map(|trace| u64::from_str_radix(&trace.id[3..], 16).unwrap()).collect()
}

#[test]
fn traces_are_found_by_everything_that_is_known_of_them() {
    both(|store| async move {
        let world = World::make(store).await;
        four(&world).await;
        let (traces, ctx) = (&world.traces, &world.ctx);
        traces.link_to_run(ctx, vec![id(3)], "run-a").await.unwrap();
        traces.link_prompts(ctx, &id(1), vec!["p/1".to_owned()]).await.unwrap();
        let assess = async |n: u64, value: &str, metadata: &[(&str, &str)]| {
            let new = NewAssessment {
                id: None,
                name: "score".to_owned(),
                value: AssessmentValue::Feedback { value: Json::parse(value).unwrap(), error: None },
                source_type: SourceType::Human,
                source_id: None,
                span: None,
                rationale: None,
                metadata: metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
                overrides: None,
                created_at: None,
                updated_at: None,
            };
            traces.assess(ctx, &id(n), new).await.unwrap();
        };
        assess(1, "0.5", &[]).await;
        assess(2, "\"yes\"", &[]).await;
        // One of a whole conversation counts for each of its traces.
        assess(3, "0.9", &[(metadata::SESSION, "talk")]).await;
        let score = || Field::Feedback("score".to_owned());
        let of_span = |field: SpanField| Field::Span(field);
        let attribute = |name: &str| of_span(SpanField::Attribute(name.to_owned()));
        use Comparator::*;
        let cases = [
            (text(Field::Attribute("request_id"), Equal, &id(2)), vec![2]),
            (is(Field::Attribute("timestamp_ms"), Greater, Literal::Number(Number::Int(1_370_088_002_000))), vec![4, 3]),
            (is(Field::Attribute("execution_time_ms"), Equal, Literal::Number(Number::Int(1500))), vec![4, 3, 2, 1]),
            (text(Field::Attribute("status"), NotEqual, "OK"), vec![]),
            (text(Field::Tag("n".to_owned()), Equal, "3"), vec![3]),
            (text(Field::Metadata(metadata::RUN.to_owned()), Equal, "run-a"), vec![3, 2]),
            (is(Field::Metadata(metadata::SESSION.to_owned()), IsNull, Literal::Absent), vec![2, 1]),
            (text(Field::Prompt, Equal, "p/1"), vec![1]),
            (is(score(), Greater, Literal::Number(Number::Float(0.4))), vec![4, 3, 1]),
            (text(score(), Equal, "yes"), vec![2]),
            (text(score(), Equal, "0.5"), vec![1]),
            (text(of_span(SpanField::Name), Equal, "span2"), vec![4, 3, 2, 1]),
            (text(attribute("word"), Equal, "w32"), vec![3]),
            (text(attribute("n"), Equal, "2"), vec![2]),
            (text(attribute("word"), RLike, "^w[12]1$"), vec![2, 1]),
            (text(of_span(SpanField::Content), Like, "%w41%"), vec![4]),
            (text(of_span(SpanField::Content), ILike, "%W12%"), vec![1]),
            // Both of one span.
            (Condition::All(vec![text(of_span(SpanField::Type), Equal, "TOOL"), text(attribute("word"), Equal, "w31")]), vec![]),
            (
                Condition::All(vec![
                    text(of_span(SpanField::Type), Equal, "TOOL"),
                    text(attribute("word"), Like, "w_2"),
                    text(Field::Tag("n".to_owned()), NotEqual, "4"),
                ]),
                vec![3, 2, 1],
            ),
            (
                Condition::Any(vec![text(attribute("word"), Equal, "w11"), text(Field::Tag("n".to_owned()), Equal, "4")]),
                vec![4, 1],
            ),
            (Condition::Not(Box::new(text(attribute("word"), Equal, "w11"))), vec![4, 3, 2]),
        ];
        for (condition, want) in cases {
            let search = TraceSearch { condition: Some(condition.clone()), ..all(&world) };
            assert_eq!(found(&world, search).await, want, "{condition:?}");
        }
    });
}

#[test]
fn pages_and_orders_hold() {
    both(|store| async move {
        let world = World::make(store).await;
        four(&world).await;
        let by_name = OrderBy { field: Field::Tag("mlflow.traceName".to_owned()), direction: Direction::Ascending };
        let ordered = TraceSearch { order: vec![by_name], ..all(&world) };
        assert_eq!(found(&world, ordered.clone()).await, [4, 3, 2, 1]);
        let first = TraceSearch { limit: 3, ..all(&world) };
        let page = world.traces.search(first.clone()).await.unwrap();
        assert_eq!(page.next, Some(PageToken { offset: 3 }));
        let second = TraceSearch { page: page.next.unwrap(), ..first };
        let page = world.traces.search(second).await.unwrap();
        assert_eq!((page.traces.len(), page.next, page.traces[0].id.clone()), (1, None, id(1)));
        assert!(found(&world, TraceSearch { experiments: Vec::new(), ..all(&world) }).await.is_empty());
        let word = |word: &str| text(Field::Span(SpanField::Attribute("word".to_owned())), Comparator::Like, word);
        let tag = text(Field::Tag("n".to_owned()), Comparator::NotEqual, "1");
        let found = world.traces.correlate(&[world.experiment], word("w_1"), tag, None).await.unwrap();
        assert_eq!((found.n_all, found.n_first, found.n_second, found.n_both), (4, 4, 3, 3));
    });
}

#[tokio::test]
async fn a_condition_that_spans_of_very_many_traces_fit_is_walked() {
    let directory = tempfile::tempdir().unwrap();
    let store = lw_store::Store::open(&lw_store::MetadataUrl::sqlite(directory.path().join("metadata.db"))).unwrap();
    let world = World::make(store).await;
    for first in (1..=10_050_u64).step_by(670) {
        let groups = (first..first + 670).map(|n| crate::world::group(&id(n), vec![lw_traces::Span { parent: None, ..span(n) }]));
        world.traces.log_spans(&world.ctx, world.experiment, groups.collect()).await.unwrap();
    }
    world.traces.deliver(&world.ctx).await.unwrap();
    let like = |pattern: &str| Some(text(Field::Span(SpanField::Name), Comparator::Like, pattern));
    let search = TraceSearch { condition: like("span%"), limit: 3, page: PageToken { offset: 10_046 }, ..all(&world) };
    assert_eq!(found(&world, search.clone()).await, [4, 3, 2]);
    let last = world.traces.search(TraceSearch { page: PageToken { offset: 10_049 }, ..search.clone() }).await.unwrap();
    assert_eq!((last.traces.len(), last.next), (1, None));
    assert_eq!(
        found(&world, TraceSearch { condition: like("span77"), page: PageToken::default(), ..search.clone() }).await,
        [77]
    );
    let inside = Condition::Not(Box::new(like("span%").unwrap()));
    let refused = world.traces.search(TraceSearch { condition: Some(inside), ..search }).await.unwrap_err();
    assert!(refused.is(lw_search::BAD_FILTER), "{refused:?}");
}
