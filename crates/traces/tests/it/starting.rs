//! Whole traces as clients tell them, their tags and links.

use lw_core::{Span as TimeSpan, Timestamp};
use lw_store::testing::both;
use lw_traces::{BAD_TRACE, TRACE_NOT_FOUND, TRACE_TAG_NOT_FOUND, TraceState};
use lw_tracking::{EXPERIMENT_DELETED, Tracking};

use crate::world::{World, id};

#[test]
fn a_trace_told_twice_is_one() {
    both(|store| async move {
        let world = World::make(store.clone()).await;
        let mut told = world.new_trace(&id(1));
        told.facts.tags.insert("a".to_owned(), "b".to_owned());
        world.traces.start(&world.ctx, told.clone()).await.unwrap();
        told.facts.state = TraceState::Error;
        told.facts.request_preview = None;
        told.facts.tags = [("c".to_owned(), "d".repeat(9000))].into();
        let trace = world.traces.start(&world.ctx, told).await.unwrap();
        assert_eq!((trace.facts.state, trace.facts.request_preview.as_deref()), (TraceState::Error, Some("hello")));
        assert_eq!((trace.facts.tags["a"].as_str(), trace.facts.tags["c"].len()), ("b", 8000));

        Tracking::new(store).delete_experiment(&world.ctx, world.experiment).await.unwrap();
        let refused = world.traces.start(&world.ctx, world.new_trace(&id(2))).await.unwrap_err();
        assert!(refused.is(EXPERIMENT_DELETED), "{refused:?}");
    });
}

#[test]
fn old_clients_begin_and_end() {
    both(|store| async move {
        let world = World::make(store).await;
        let mut told = world.new_trace("abc");
        (told.facts.duration, told.facts.state, told.facts.is_final) = (None, TraceState::InProgress, false);
        world.traces.start(&world.ctx, told).await.unwrap();
        let ended_at = Timestamp::parse("2013-06-01T12:00:01Z").unwrap();
        let metadata = [("c".to_owned(), "d".to_owned())].into();
        let ended = world.traces.end(&world.ctx, "abc", ended_at, TraceState::Ok, metadata, Default::default()).await.unwrap();
        assert_eq!(
            (ended.facts.state, ended.facts.duration, ended.facts.metadata["c"].as_str()),
            (TraceState::Ok, Some(TimeSpan::from_millis(877)), "d")
        );
        let missing =
            world.traces.end(&world.ctx, "nope", ended_at, TraceState::Ok, Default::default(), Default::default()).await;
        assert!(missing.unwrap_err().is(TRACE_NOT_FOUND));
    });
}

#[test]
fn tags_and_links_come_and_go() {
    both(|store| async move {
        let world = World::make(store).await;
        let (traces, ctx) = (&world.traces, &world.ctx);
        traces.start(ctx, world.new_trace(&id(1))).await.unwrap();
        traces.tag(ctx, &id(1), "a", "b").await.unwrap();
        traces.tag(ctx, &id(1), "a", "c").await.unwrap();
        assert_eq!(traces.trace(&id(1)).await.unwrap().facts.tags["a"], "c");
        traces.remove_tag(ctx, &id(1), "a").await.unwrap();
        assert!(traces.remove_tag(ctx, &id(1), "a").await.unwrap_err().is(TRACE_TAG_NOT_FOUND));
        assert!(traces.tag(ctx, "nope", "a", "b").await.unwrap_err().is(TRACE_NOT_FOUND));
        assert!(traces.tag(ctx, &id(1), &"k".repeat(251), "b").await.unwrap_err().is(BAD_TRACE));
        let many = vec!["x".to_owned(); 101];
        assert!(traces.link_to_run(ctx, many, "r").await.unwrap_err().is(BAD_TRACE));
        traces.link_to_run(ctx, vec![id(1), id(1)], "r").await.unwrap();
        assert!(traces.link_prompts(ctx, "nope", vec!["p/1".to_owned()]).await.unwrap_err().is(TRACE_NOT_FOUND));
    });
}
