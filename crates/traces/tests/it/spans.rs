//! Spans in, traces out.

use lw_core::Timestamp;
use lw_store::testing::both;
use lw_traces::{SPAN_LOG_CORRUPT, SpanStatus, TRACE_INCOMPLETE, TRACE_NOT_FOUND, TraceState, metadata};
use lw_tracking::{EXPERIMENT_NOT_FOUND, ExperimentId};

use crate::world::{World, group, id, span, with};

#[test]
fn spans_make_their_trace() {
    both(|store| async move {
        let world = World::make(store).await;
        let root = with(
            span(1),
            r#"{"mlflow.spanType": "AGENT", "mlflow.spanInputs": {"q": "what", "a": 1}, "mlflow.spanOutputs": "ans",
                "mlflow.traceTag.foo": "bar", "session.id": "s1", "user.id": "u1"}"#,
        );
        world.log(&id(1), vec![span(2)]).await;
        let begun = world.traces.trace(&id(1)).await.unwrap();
        assert_eq!((begun.facts.state, begun.facts.request_preview), (TraceState::InProgress, None));
        world.log(&id(1), vec![root]).await;

        let (trace, spans) = world.traces.trace_with_spans(&id(1)).await.unwrap();
        assert_eq!(spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["span1", "span2"]);
        assert_eq!(spans[0].attributes.get("mlflow.spanInputs").unwrap().dumped(), r#"{"q": "what", "a": 1}"#);
        assert_eq!(trace.facts.started_at, Timestamp::parse("2013-06-01T12:00:00.001Z").unwrap());
        assert_eq!(trace.facts.duration.unwrap().micros(), 1_001_000);
        assert_eq!(trace.facts.state, TraceState::Ok);
        assert_eq!(trace.facts.request_preview.as_deref(), Some(r#"{"q": "what", "a": 1}"#));
        assert_eq!(trace.facts.response_preview.as_deref(), Some("\"ans\""));
        assert_eq!((trace.facts.tags["foo"].as_str(), trace.facts.metadata[metadata::USER].as_str()), ("bar", "u1"));
        assert_eq!(trace.facts.metadata[metadata::SESSION], "s1");
    });
}

#[test]
fn what_the_client_tells_of_the_whole_trace_stays() {
    both(|store| async move {
        let world = World::make(store).await;
        let mut told = world.new_trace(&id(1));
        told.facts.metadata.insert(metadata::TOKEN_USAGE.to_owned(), r#"{"input_tokens": 1}"#.to_owned());
        world.traces.start(&world.ctx, told).await.unwrap();
        let usage = r#"{"mlflow.chat.tokenUsage": {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}}"#;
        let mut root = with(span(1), usage);
        root.status = SpanStatus::Error;
        world.log(&id(1), vec![root]).await;
        let trace = world.traces.trace(&id(1)).await.unwrap();
        assert_eq!((trace.facts.state, trace.facts.duration.unwrap().micros()), (TraceState::Ok, 1_500_000));
        assert_eq!(trace.facts.metadata[metadata::TOKEN_USAGE], r#"{"input_tokens": 1}"#);
        assert!(trace.has_spans());
    });
}

#[test]
fn usage_is_added_up_over_batches_and_restarts() {
    both(|store| async move {
        let world = World::make(store).await;
        let used = |n, tokens: i64| {
            let usage = format!(r#"{{"gen_ai.usage.input_tokens": {tokens}, "gen_ai.usage.output_tokens": "1"}}"#);
            with(span(n), &usage)
        };
        world.log(&id(1), vec![used(2, 10)]).await;
        world.log(&id(1), vec![used(3, 5), used(2, 10)]).await;
        let usage = async |world: &World| world.traces.trace(&id(1)).await.unwrap().facts.metadata[metadata::TOKEN_USAGE].clone();
        assert_eq!(usage(&world).await, r#"{"input_tokens": 15, "output_tokens": 2, "total_tokens": 17}"#);
        let world = world.reopened().await;
        // The root's usage covers that of all below.
        world.log(&id(1), vec![used(4, 100)]).await;
        assert_eq!(usage(&world).await, r#"{"input_tokens": 115, "output_tokens": 3, "total_tokens": 118}"#);
        world.log(&id(1), vec![used(1, 50)]).await;
        assert_eq!(usage(&world).await, r#"{"input_tokens": 50, "output_tokens": 1, "total_tokens": 51}"#);
    });
}

#[test]
fn a_span_sent_again_replaces_itself_wherever_it_lies() {
    both(|store| async move {
        let world = World::make(store).await;
        let named = |name: &str| lw_traces::Span { name: name.to_owned(), ..span(1) };
        world.log(&id(1), vec![named("first")]).await;
        world.log(&id(1), vec![named("second")]).await;
        assert_eq!(world.spans(&id(1)).await, ["second"]);
        world.traces.deliver(&world.ctx).await.unwrap();
        assert_eq!(world.spans(&id(1)).await, ["second"]);
        world.log(&id(1), vec![named("third"), named("fourth")]).await;
        assert_eq!(world.spans(&id(1)).await, ["fourth"]);
        world.traces.deliver(&world.ctx).await.unwrap();
        assert_eq!(world.spans(&id(1)).await, ["fourth"]);
    });
}

#[test]
fn spans_without_a_place_are_refused_whole() {
    both(|store| async move {
        let world = World::make(store).await;
        let nowhere = ExperimentId::parse("999").unwrap();
        let groups = vec![group(&id(1), vec![span(1)]), group(&id(2), vec![span(1)])];
        let refused = world.traces.log_spans(&world.ctx, nowhere, groups).await.unwrap_err();
        assert!(refused.is(EXPERIMENT_NOT_FOUND), "{refused:?}");
        let missing = world.traces.trace_with_spans(&id(1)).await.unwrap_err();
        assert!(missing.is(TRACE_NOT_FOUND) && missing.message().contains("is not found."));
        world.traces.start(&world.ctx, world.new_trace(&id(3))).await.unwrap();
        assert!(world.traces.trace_with_spans(&id(3)).await.unwrap_err().is(TRACE_INCOMPLETE));
        assert_ne!(SPAN_LOG_CORRUPT.code, TRACE_INCOMPLETE.code);
    });
}

#[test]
fn a_trace_of_32_000_spans_is_listed_and_loaded_fast() {
    both(|store| async move {
        let world = World::make(store).await;
        let began = std::time::Instant::now();
        let all: Vec<_> = (1..=32_000)
            .map(|n| {
                with(span(n), r#"{"mlflow.spanType": "TOOL", "mlflow.spanInputs": {"text": "some words that are not short"}}"#)
            })
            .collect();
        for batch in all.chunks(512) {
            world.log(&id(1), batch.to_vec()).await;
        }
        let logged = began.elapsed();
        world.log(&id(2), vec![span(1)]).await;
        let timed = async |what: &str| {
            let began = std::time::Instant::now();
            let page = world.traces.search(crate::search::all(&world)).await.unwrap();
            assert_eq!(page.traces.len(), 2);
            let listed = began.elapsed();
            let began = std::time::Instant::now();
            let (_, spans) = world.traces.whole_trace(&id(1)).await.unwrap();
            assert_eq!((spans.len(), spans[0].name.as_str(), spans[31_999].name.as_str()), (32_000, "span1", "span32000"));
            let loaded = began.elapsed();
            eprintln!("{what}: listed in {listed:?}, loaded in {loaded:?}");
            assert!(listed.as_millis() < 500 && loaded.as_secs() < 10, "{what}: listed in {listed:?}, loaded in {loaded:?}");
        };
        timed("journal").await;
        let began = std::time::Instant::now();
        world.traces.deliver(&world.ctx).await.unwrap();
        eprintln!("logged in {logged:?}, delivered in {:?}", began.elapsed());
        timed("table").await;
        assert!(logged.as_secs() < 30, "logged in {logged:?}");
    });
}
